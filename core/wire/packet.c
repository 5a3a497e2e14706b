/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/packet.h"

#include "wire/digest.h"

#include <assert.h>
#include <errno.h>

#define PREFIX_BYTES 8
#define MAX_KEYS 13

/* What a key's value may be. */
enum kind { TEXT = 1, NUMBER, ERRNO, FLAG, WORD, OBJECT, LIST };

struct key {
	const char *name;
	enum kind kind;
	bool is_optional;
	const char *const *words; /* WORD: ended by NULL */
};

struct form {
	const char *name;
	enum packet_side from;
	bool has_payload;
	struct key keys[MAX_KEYS]; /* ended by one without a name, or by the end */
};

static const char *const outcomes[] = { "done", "retry", "reject", NULL };
static const char *const levels[] = { "error", "warning", "info", "debug", NULL };
static const char *const questions[] = { "get_state", "set_state", "delete_state", "latest", "callback_uri", NULL };

#define KEY(key, of_kind)                 \
	{                                     \
		.name = (key), .kind = (of_kind), \
	}
#define OPTIONAL(key, of_kind)                                 \
	{                                                          \
		.name = (key), .kind = (of_kind), .is_optional = true, \
	}
#define ONE_OF(key, list)                             \
	{                                                 \
		.name = (key), .kind = WORD, .words = (list), \
	}
#define KEYS(...) .keys = { __VA_ARGS__ }

static const struct form forms[] = {
	[PACKET_CONFIGURE] = { .name = "configure",
						   .from = PACKET_DAEMON,
						   KEYS(KEY("handler", TEXT), KEY("plugin", TEXT), KEY("options", OBJECT),
								OPTIONAL("when", TEXT), OPTIONAL("allow", LIST), OPTIONAL("memory_bytes", NUMBER),
								OPTIONAL("descriptors", NUMBER), OPTIONAL("processes", NUMBER)) },
	[PACKET_DELIVER] = { .name = "deliver",
						 .from = PACKET_DAEMON,
						 .has_payload = true,
						 KEYS(KEY("key", TEXT), KEY("position", TEXT), KEY("source", TEXT), KEY("event_id", TEXT),
							  KEY("interaction", TEXT), KEY("subtype", TEXT), KEY("index", NUMBER), KEY("tags", OBJECT),
							  KEY("received_ms", NUMBER), KEY("attempt", NUMBER), KEY("max_attempts", NUMBER),
							  KEY("deadline_ms", NUMBER), OPTIONAL("traceparent", TEXT)) },
	[PACKET_REPLY] = { .name = "reply",
					   .from = PACKET_DAEMON,
					   .has_payload = true,
					   KEYS(KEY("error", ERRNO), OPTIONAL("text", TEXT)) },
	[PACKET_STOP] = { .name = "stop", .from = PACKET_DAEMON },
	[PACKET_READY] = { .name = "ready", .from = PACKET_HANDLER },
	[PACKET_REFUSED] = { .name = "refused", .from = PACKET_HANDLER, KEYS(KEY("message", TEXT)) },
	[PACKET_OUTCOME] = { .name = "outcome",
						 .from = PACKET_HANDLER,
						 KEYS(ONE_OF("outcome", outcomes), OPTIONAL("reason", TEXT), OPTIONAL("retry_after_ms", NUMBER),
							  OPTIONAL("skipped", FLAG)) },
	[PACKET_LOG] = { .name = "log", .from = PACKET_HANDLER, KEYS(ONE_OF("level", levels), KEY("text", TEXT)) },
	[PACKET_ASK] = { .name = "ask",
					 .from = PACKET_HANDLER,
					 .has_payload = true,
					 KEYS(ONE_OF("what", questions), OPTIONAL("name", TEXT), OPTIONAL("tags", OBJECT)) },
};

static const struct key *find_key(const struct form *form, const char *name)
{
	for (size_t i = 0; i < MAX_KEYS && form->keys[i].name; i++)
		if (strcmp(form->keys[i].name, name) == 0)
			return &form->keys[i];
	return NULL;
}

static int find_word(const char *const *words, struct span word)
{
	for (int i = 0; words[i]; i++)
		if (span_equal(span_text(words[i]), word))
			return i;
	return -1;
}

/* ---- reading what passed ---- */

static const json_t *get(const struct packet *packet, const char *name, enum kind kind)
{
	const struct key *key = find_key(&forms[packet->type], name);
	assert(key && (kind == key->kind || (kind == NUMBER && key->kind == ERRNO)));
	(void)key, (void)kind;
	return json_object_get(packet->head, name);
}

struct span packet_text(const struct packet *packet, const char *key)
{
	return document_text(get(packet, key, TEXT));
}

int64_t packet_number(const struct packet *packet, const char *key, int64_t if_absent)
{
	const json_t *value = get(packet, key, NUMBER);
	return value ? json_integer_value(value) : if_absent;
}

bool packet_flag(const struct packet *packet, const char *key)
{
	return json_is_true(get(packet, key, FLAG));
}

int packet_word(const struct packet *packet, const char *key)
{
	return find_word(find_key(&forms[packet->type], key)->words, document_text(get(packet, key, WORD)));
}

json_t *packet_value(const struct packet *packet, const char *key)
{
	const struct key *known = find_key(&forms[packet->type], key);
	assert(known && (known->kind == OBJECT || known->kind == LIST));
	(void)known;
	return json_object_get(packet->head, key);
}

/* ---- judging ---- */

static bool is_text(const json_t *value)
{
	struct span text = document_text(value);
	return text.data && !memchr(text.data, '\0', text.n);
}

static bool fits(const struct key *key, const json_t *value)
{
	switch (key->kind) {
	case TEXT:
		return is_text(value);
	case NUMBER:
		return json_is_integer(value) && json_integer_value(value) >= 0;
	case ERRNO: /* 0, or negative as errno is: no more than four digits */
		return json_is_integer(value) && json_integer_value(value) <= 0 && json_integer_value(value) > -10000;
	case FLAG:
		return json_is_boolean(value);
	case WORD:
		return is_text(value) && find_word(key->words, document_text(value)) >= 0;
	case OBJECT:
		return json_is_object(value);
	case LIST:
		return json_is_array(value);
	}
	return false;
}

/* NULL, or what is wrong with it. */
static const char *judge_keys(const struct form *form, const json_t *head)
{
	size_t n_known = 1; /* "type" */
	for (size_t i = 0; i < MAX_KEYS && form->keys[i].name; i++) {
		const json_t *value = json_object_get(head, form->keys[i].name);
		if (!value && form->keys[i].is_optional)
			continue;
		if (!value)
			return "a key is missing";
		if (!fits(&form->keys[i], value))
			return "a value is none that its key can have";
		n_known++;
	}
	return n_known == json_object_size(head) ? NULL : "there is a key that this type does not have";
}

static const char *judge(enum packet_side from, const json_t *head, bool has_payload, enum packet_type *ret_type)
{
	struct span name = document_text(json_object_get(head, "type"));
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
		if (forms[i].from != from || !span_equal(span_text(forms[i].name), name))
			continue;
		if (has_payload && !forms[i].has_payload)
			return "this type has no payload";
		*ret_type = (enum packet_type)i;
		return judge_keys(&forms[i], head);
	}
	return json_is_object(head) ? "there is no such type" : "the head is no object";
}

/* ---- putting together ---- */

static uint32_t get_u32(const char *bytes)
{
	uint32_t value = 0;
	for (size_t i = 0; i < 4; i++)
		value = value << 8 | (unsigned char)bytes[i];
	return value;
}

static void put_u32(char *bytes, uint32_t value)
{
	for (size_t i = 0; i < 4; i++)
		bytes[i] = (char)(value >> (24 - 8 * i) & 0xff);
}

static void forget(struct packet_reader *reader)
{
	document_finish(&reader->head);
	if (reader->pieces.n)
		secret_wipe(reader->pieces.data, reader->pieces.n);
	buffer_finish(&reader->pieces);
	reader->is_given = false;
}

void packet_reader_init(struct packet_reader *reader, enum packet_side from)
{
	*reader = (struct packet_reader){ .from = from };
}

void packet_reader_finish(struct packet_reader *reader)
{
	forget(reader);
}

/* Moves bytes until `n` are there. */
static bool gather(struct packet_reader *reader, struct span *bytes, size_t n)
{
	size_t wanted = reader->pieces.n < n ? n - reader->pieces.n : 0;
	size_t taken = wanted < bytes->n ? wanted : bytes->n;
	buffer_add(&reader->pieces, span_of(bytes->data, taken));
	if (taken)
		*bytes = span_skip(*bytes, taken);
	return taken == wanted;
}

static int end(struct packet_reader *reader, struct span *bytes, int result)
{
	forget(reader);
	reader->is_over = true;
	*bytes = span_of(NULL, 0);
	return result;
}

static int refuse(struct packet_reader *reader, struct span *bytes, const char *reason, const char **ret_reason)
{
	*ret_reason = reason;
	return end(reader, bytes, PACKET_E_MALFORMED);
}

static int read_whole(struct packet_reader *reader, struct span *bytes, size_t n_head, struct packet *ret_packet,
					  const char **ret_reason)
{
	json_error_t error;
	if (!buffer_reserve(&reader->pieces, 1))
		return end(reader, bytes, -ENOMEM);
	reader->pieces.data[reader->pieces.n] = '\0';
	struct span rest = span_skip(buffer_span(&reader->pieces), PREFIX_BYTES);
	int r = document_read(span_of(rest.data, n_head), &reader->head, &error);
	if (r < 0)
		return end(reader, bytes, r);
	if (r != DOCUMENT_OK)
		return refuse(reader, bytes, "the head is no JSON", ret_reason);
	struct packet packet = { .head = reader->head.root, .payload = span_skip(rest, n_head) };
	const char *reason = judge(reader->from, packet.head, packet.payload.n != 0, &packet.type);
	if (reason)
		return refuse(reader, bytes, reason, ret_reason);
	reader->is_given = true;
	*ret_packet = packet;
	return PACKET_WHOLE;
}

int packet_read(struct packet_reader *reader, struct span *bytes, struct packet *ret_packet, const char **ret_reason)
{
	if (reader->is_over)
		return refuse(reader, bytes, "it broke the protocol before", ret_reason);
	if (reader->is_given)
		forget(reader);
	bool is_there = gather(reader, bytes, PREFIX_BYTES);
	if (reader->pieces.failed)
		return end(reader, bytes, -ENOMEM);
	if (!is_there)
		return PACKET_MORE;
	size_t n_head = get_u32(reader->pieces.data), n_payload = get_u32(reader->pieces.data + 4);
	if (n_head > PACKET_MAX_HEAD_BYTES)
		return refuse(reader, bytes, "the head is too large", ret_reason);
	if (n_payload > (reader->from == PACKET_DAEMON ? PACKET_MAX_TO_HANDLER_BYTES : PACKET_MAX_TO_DAEMON_BYTES))
		return refuse(reader, bytes, "the payload is too large", ret_reason);
	is_there = gather(reader, bytes, PREFIX_BYTES + n_head + n_payload);
	if (reader->pieces.failed)
		return end(reader, bytes, -ENOMEM);
	return is_there ? read_whole(reader, bytes, n_head, ret_packet, ret_reason) : PACKET_MORE;
}

void packet_add(struct buffer *b, struct span head, struct span payload)
{
	char prefix[PREFIX_BYTES];
	if (head.n > PACKET_MAX_HEAD_BYTES || payload.n > PACKET_MAX_TO_HANDLER_BYTES) {
		b->failed = true;
		return;
	}
	put_u32(prefix, (uint32_t)head.n);
	put_u32(prefix + 4, (uint32_t)payload.n);
	buffer_add(b, span_of(prefix, sizeof prefix));
	buffer_add(b, head);
	buffer_add(b, payload);
}
