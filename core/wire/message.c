/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include "wire/document.h"
#include "wire/http.h"

#include <errno.h>

const char *message_outcome_name(enum message_outcome outcome)
{
	switch (outcome) {
	case MESSAGE_OK:
		return "ok";
	case MESSAGE_E_MALFORMED:
		return "malformed";
	case MESSAGE_E_UNKNOWN_TYPE:
		return "unknown_type";
	case MESSAGE_E_POSITION:
		return "bad_position";
	}
	return "?";
}

void message_finish(struct message *message)
{
	free(message->id);
	if (message->token)
		secret_wipe(message->token, strlen(message->token));
	free(message->token);
	free(message->ticket);
	for (size_t i = 0; i < message->n_filters; i++) {
		free(message->filters[i].id);
		filter_finish(&message->filters[i].filter);
	}
	free(message->filters);
	*message = (struct message){ 0 };
}

static int refuse(struct buffer *reason, const char *text)
{
	reason->n = 0;
	buffer_add_text(reason, text);
	return MESSAGE_E_MALFORMED;
}

static bool is_id(struct span id)
{
	return id.n >= 1 && id.n <= MESSAGE_MAX_ID_BYTES && span_is_utf8(id) && !memchr(id.data, '\0', id.n);
}

static int set_text(char **text, struct span value)
{
	free(*text);
	*text = span_dup(value);
	return *text ? MESSAGE_OK : -ENOMEM;
}

/* A new subscription that wants everything, for the caller to fill in. */
static int add_filter(struct message *message, struct span id, struct filter **ret_filter)
{
	struct message_filter *filters = realloc(message->filters, (message->n_filters + 1) * sizeof *filters);
	if (!filters)
		return -ENOMEM;
	message->filters = filters;
	char *copy = span_dup(id);
	if (!copy)
		return -ENOMEM;
	filters[message->n_filters] = (struct message_filter){ .id = copy };
	*ret_filter = &filters[message->n_filters++].filter;
	return MESSAGE_OK;
}

static int read_filter(struct message *message, struct span id, const json_t *json, struct buffer *reason)
{
	struct filter *filter;
	const char *why = NULL;
	if (!is_id(id))
		return refuse(reason, "the id of a subscription has 1 to 64 bytes");
	int r = add_filter(message, id, &filter);
	if (r < 0)
		return r;
	r = filter_parse(json, filter, &why);
	return r == FILTER_E_MALFORMED ? refuse(reason, why) : r;
}

static int read_several(struct message *message, json_t *several, struct buffer *reason)
{
	const char *id;
	json_t *value;
	if (!json_is_object(several) || json_object_size(several) == 0)
		return refuse(reason, "\"filters\" is an object with at least one member: {\"ID\":{...}}");
	json_object_foreach(several, id, value)
	{
		int r = read_filter(message, span_text(id), value, reason);
		if (r != MESSAGE_OK)
			return r;
	}
	return MESSAGE_OK;
}

static int read_filters(struct message *message, json_t *root, struct buffer *reason)
{
	const json_t *one = json_object_get(root, "filter");
	json_t *several = json_object_get(root, "filters");
	if (!one == !several)
		return refuse(reason, "subscribe takes either \"id\" and \"filter\", or \"filters\":{\"ID\":{...}}");
	if (one && !message->id)
		return refuse(reason, "subscribe with a \"filter\" needs an \"id\"");
	if (one)
		return read_filter(message, span_text(message->id), one, reason);
	return read_several(message, several, reason);
}

static const char exclusive[] = "\"after\" and \"last\" exclude each other";

static int set_after(struct message *message, struct span text, struct buffer *reason)
{
	if (message->start != MESSAGE_START_NONE)
		return refuse(reason, exclusive);
	if (span_equal(text, SPAN("earliest")))
		message->start = MESSAGE_START_EARLIEST;
	else if (span_equal(text, SPAN("latest")))
		message->start = MESSAGE_START_LATEST;
	else if (position_parse(text, &message->after))
		message->start = MESSAGE_START_AFTER;
	else {
		(void)refuse(reason, "\"after\" is a position as the gateway gave it, \"earliest\" or \"latest\"");
		return MESSAGE_E_POSITION;
	}
	return MESSAGE_OK;
}

static int set_last(struct message *message, uint64_t last, struct buffer *reason)
{
	if (message->start != MESSAGE_START_NONE)
		return refuse(reason, exclusive);
	if (last < 1 || last > MESSAGE_MAX_LAST)
		return refuse(reason, "\"last\" is a number from 1 to 100");
	message->start = MESSAGE_START_LAST;
	message->last = last;
	return MESSAGE_OK;
}

static int read_start(struct message *message, const json_t *root, struct buffer *reason)
{
	const json_t *after = json_object_get(root, "after"), *last = json_object_get(root, "last");
	int r = MESSAGE_OK;
	if (after)
		r = set_after(message, document_text(after), reason);
	if (r == MESSAGE_OK && last) {
		json_int_t n = json_is_integer(last) ? json_integer_value(last) : 0;
		r = set_last(message, n < 0 ? 0 : (uint64_t)n, reason);
	}
	return r;
}

static int read_auth(struct message *message, json_t *root, struct buffer *reason)
{
	struct span token = document_text(json_object_get(root, "token"));
	if (!token.n || memchr(token.data, '\0', token.n))
		return refuse(reason, "auth takes a \"token\"");
	return set_text(&message->token, token);
}

static const char not_boolean[] = "\"outcomes\" is true or false";

static int read_subscribe(struct message *message, json_t *root, struct buffer *reason)
{
	const json_t *outcomes = json_object_get(root, "outcomes");
	if (outcomes && !json_is_boolean(outcomes))
		return refuse(reason, not_boolean);
	int r = read_filters(message, root, reason);
	for (size_t i = 0; i < message->n_filters; i++)
		message->filters[i].filter.has_outcomes = json_is_true(outcomes);
	return r == MESSAGE_OK ? read_start(message, root, reason) : r;
}

static int read_unsubscribe(struct message *message, json_t *root, struct buffer *reason)
{
	(void)root;
	return message->id ? MESSAGE_OK : refuse(reason, "unsubscribe needs the \"id\" of the subscription");
}

static int read_ping(struct message *message, json_t *root, struct buffer *reason)
{
	(void)message;
	(void)root;
	(void)reason;
	return MESSAGE_OK;
}

static const struct {
	const char *name;
	const char *keys; /* besides type and id */
	int (*read)(struct message *message, json_t *root, struct buffer *reason);
} types[] = {
	[MESSAGE_AUTH] = { "auth", "token", read_auth },
	[MESSAGE_SUBSCRIBE] = { "subscribe", "filter filters after last outcomes", read_subscribe },
	[MESSAGE_UNSUBSCRIBE] = { "unsubscribe", "", read_unsubscribe },
	[MESSAGE_PING] = { "ping", "", read_ping },
};

static bool is_listed(const char *list, struct span word)
{
	struct span rest = span_text(list), item;
	while (span_next(&rest, ' ', &item))
		if (item.n && span_equal(item, word))
			return true;
	return false;
}

static int check_keys(json_t *root, const char *known, struct buffer *reason)
{
	const char *key;
	json_t *value;
	json_object_foreach(root, key, value)
	{
		if (is_listed("type id", span_text(key)) || is_listed(known, span_text(key)))
			continue;
		(void)refuse(reason, "unknown key ");
		buffer_add_json(reason, span_of(key, strnlen(key, MESSAGE_MAX_ID_BYTES)));
		return MESSAGE_E_MALFORMED;
	}
	return MESSAGE_OK;
}

static int read_message(json_t *root, struct message *message, struct buffer *reason)
{
	if (!json_is_object(root))
		return refuse(reason, "a message is a JSON object");
	const json_t *id = json_object_get(root, "id");
	if (id && !is_id(document_text(id)))
		return refuse(reason, "\"id\" is a string of 1 to 64 bytes");
	if (id && set_text(&message->id, document_text(id)) < 0)
		return -ENOMEM;
	struct span type = document_text(json_object_get(root, "type"));
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		if (!span_equal(type, span_text(types[i].name)))
			continue;
		message->type = (enum message_type)i;
		int r = check_keys(root, types[i].keys, reason);
		return r == MESSAGE_OK ? types[i].read(message, root, reason) : r;
	}
	(void)refuse(reason, "\"type\" is one of auth, subscribe, unsubscribe, ping");
	return MESSAGE_E_UNKNOWN_TYPE;
}

int message_parse(struct span text, struct message *ret_message, struct buffer *reason)
{
	*ret_message = (struct message){ 0 };
	json_error_t error;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	int r = document_read(text, &document, &error);
	if (r == DOCUMENT_E_MALFORMED)
		return refuse(reason, "a message is JSON");
	return r < 0 ? r : read_message(document.root, ret_message, reason);
}

/* "a,b" gives two members; a comma inside a member is written %2C. */
static int add_members(struct filter *filter, enum filter_key key, struct span tag, struct span value,
					   struct buffer *reason)
{
	CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
	struct span member;
	while (span_next(&value, ',', &member)) {
		const char *why = "a parameter has a bad percent-encoding";
		decoded.n = 0;
		int r = FILTER_E_MALFORMED;
		bool is_decoded = http_percent_decode(member, &decoded);
		if (decoded.failed)
			return -ENOMEM;
		if (is_decoded)
			r = tag.data ? filter_add_tag(filter, tag, buffer_span(&decoded), &why)
						 : filter_add(filter, key, buffer_span(&decoded), &why);
		if (r == FILTER_E_MALFORMED)
			return refuse(reason, why);
		if (r < 0)
			return r;
	}
	return MESSAGE_OK;
}

static int read_filter_parameter(struct filter *filter, struct span name, struct span value, struct buffer *reason)
{
	if (span_starts_with(name, SPAN("tags."))) {
		CLEANUP(buffer_finish) struct buffer tag = BUFFER_INIT;
		bool is_decoded = http_percent_decode(span_skip(name, 5), &tag);
		if (tag.failed)
			return -ENOMEM;
		if (!is_decoded || tag.n == 0)
			return refuse(reason, "a tag is written tags.NAME=VALUE");
		return add_members(filter, FILTER_KEYS, buffer_span(&tag), value, reason);
	}
	for (size_t key = 0; key < FILTER_KEYS; key++)
		if (span_equal(name, span_text(filter_key_name((enum filter_key)key))))
			return add_members(filter, (enum filter_key)key, span_of(NULL, 0), value, reason);
	(void)refuse(reason, "unknown parameter ");
	buffer_add_json(reason, span_of(name.data, name.n < MESSAGE_MAX_ID_BYTES ? name.n : MESSAGE_MAX_ID_BYTES));
	return MESSAGE_E_MALFORMED;
}

static int set_outcomes(struct filter *filter, struct span word, struct buffer *reason)
{
	filter->has_outcomes = span_equal(word, SPAN("true"));
	return filter->has_outcomes || span_equal(word, SPAN("false")) ? MESSAGE_OK : refuse(reason, not_boolean);
}

/* As in a message, for whoever has to say all in one request: an event stream with several filters. */
static int read_several_from_url(struct message *message, struct span value, struct buffer *reason)
{
	json_error_t error;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	if (message->n_filters > 1)
		return refuse(reason, "\"filters\" stands in a URL once");
	bool is_decoded = http_percent_decode(value, &text);
	if (text.failed)
		return -ENOMEM;
	int r = is_decoded ? document_read(buffer_span(&text), &document, &error) : DOCUMENT_E_MALFORMED;
	if (r == DOCUMENT_E_MALFORMED)
		return refuse(reason, "\"filters\" is JSON, percent-encoded");
	return r < 0 ? r : read_several(message, document.root, reason);
}

static int read_parameter(struct message *message, struct span name, struct span value, struct buffer *reason)
{
	uint64_t last = 0;
	if (span_equal(name, SPAN("ticket")))
		return set_text(&message->ticket, value);
	if (span_equal(name, SPAN("token")))
		return refuse(reason, "a token does not belong into a URL: POST it to /ticket and use the ticket");
	if (span_equal(name, SPAN("after")))
		return set_after(message, value, reason);
	if (span_equal(name, SPAN("last"))) {
		(void)span_to_u64(value, MESSAGE_MAX_LAST, &last);
		return set_last(message, last, reason);
	}
	if (span_equal(name, SPAN("filters")))
		return read_several_from_url(message, value, reason);
	if (span_equal(name, SPAN("outcomes")))
		return set_outcomes(&message->filters[0].filter, value, reason);
	return read_filter_parameter(&message->filters[0].filter, name, value, reason);
}

/* Behind the filter that the other parameters are about, there are those with ids: they take its place. */
static int use_several(struct message *message, struct buffer *reason)
{
	CLEANUP(filter_finish) struct filter everything;
	struct message_filter *url = &message->filters[0];
	filter_init(&everything);
	if (!filter_is_within(&everything, &url->filter))
		return refuse(reason, "\"filters\" and a filter's own parameters exclude each other");
	for (size_t i = 1; i < message->n_filters; i++)
		message->filters[i].filter.has_outcomes = url->filter.has_outcomes;
	free(url->id);
	filter_finish(&url->filter);
	memmove(url, url + 1, --message->n_filters * sizeof *url);
	return MESSAGE_OK;
}

int message_parse_query(struct span query, const char *others, struct message *ret_message, struct buffer *reason)
{
	struct filter *filter;
	struct span name, value;
	*ret_message = (struct message){ .type = MESSAGE_SUBSCRIBE };
	int r = set_text(&ret_message->id, SPAN(MESSAGE_URL_ID));
	if (r == MESSAGE_OK)
		r = add_filter(ret_message, SPAN(MESSAGE_URL_ID), &filter);
	while (r == MESSAGE_OK && http_query_next(&query, &name, &value))
		if (!is_listed(others, name))
			r = read_parameter(ret_message, name, value, reason);
	return r == MESSAGE_OK && ret_message->n_filters > 1 ? use_several(ret_message, reason) : r;
}
