/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body. The quick reader and jansson agree on it. Whatever it is, there is an event that holds it byte for byte; it
 * is a callback only if another, slower reader of the grammar agrees; and what the journal and the subscribers get of
 * it reads back as the same.
 */
#include "fuzz.h"
#include "outline_oracle.h"

/* --- RFC 8259 once more, from the text of the RFC: the grammar alone, without UTF-8, surrogates and double keys --- */

struct reader {
	struct span rest;
	unsigned depth, max_depth;
};

static bool is_value(struct reader *reader);

static char peek(const struct reader *reader)
{
	return reader->rest.n ? reader->rest.data[0] : '\0';
}

/* One of these characters, if it is next. */
static bool take(struct reader *reader, const char *characters)
{
	if (!reader->rest.n || !reader->rest.data[0] || !strchr(characters, reader->rest.data[0]))
		return false;
	reader->rest = span_skip(reader->rest, 1);
	return true;
}

static void skip_blanks(struct reader *reader)
{
	while (take(reader, " \t\r\n"))
		;
}

static bool is_word(struct reader *reader, struct span word)
{
	if (!span_starts_with(reader->rest, word))
		return false;
	reader->rest = span_skip(reader->rest, word.n);
	return true;
}

static bool is_digits(struct reader *reader)
{
	if (!take(reader, "0123456789"))
		return false;
	while (take(reader, "0123456789"))
		;
	return true;
}

static bool is_number(struct reader *reader)
{
	(void)take(reader, "-");
	if (!take(reader, "0") && !is_digits(reader))
		return false;
	if (take(reader, ".") && !is_digits(reader))
		return false;
	if (!take(reader, "eE"))
		return true;
	(void)take(reader, "+-");
	return is_digits(reader);
}

static bool is_escape(struct reader *reader)
{
	if (!take(reader, "u"))
		return take(reader, "\"\\/bfnrt");
	for (int i = 0; i < 4; i++)
		if (!take(reader, "0123456789abcdefABCDEF"))
			return false;
	return true;
}

static bool is_string(struct reader *reader)
{
	if (!take(reader, "\""))
		return false;
	while (reader->rest.n) {
		if (take(reader, "\""))
			return true;
		if ((unsigned char)peek(reader) < 0x20)
			return false;
		bool is_escaped = peek(reader) == '\\';
		reader->rest = span_skip(reader->rest, 1);
		if (is_escaped && !is_escape(reader))
			return false;
	}
	return false;
}

static bool is_member(struct reader *reader, bool is_named)
{
	skip_blanks(reader);
	if (!is_named)
		return is_value(reader);
	if (!is_string(reader))
		return false;
	skip_blanks(reader);
	return take(reader, ":") && is_value(reader);
}

/* Behind the opening bracket. */
static bool is_collection(struct reader *reader, const char *end)
{
	if (++reader->depth > reader->max_depth)
		return false;
	skip_blanks(reader);
	if (!take(reader, end)) {
		do {
			if (!is_member(reader, end[0] == '}'))
				return false;
		} while (take(reader, ","));
		if (!take(reader, end))
			return false;
	}
	reader->depth--;
	return true;
}

static bool is_value(struct reader *reader)
{
	bool is_good;
	skip_blanks(reader);
	if (take(reader, "{"))
		is_good = is_collection(reader, "}");
	else if (take(reader, "["))
		is_good = is_collection(reader, "]");
	else if (peek(reader) == '"')
		is_good = is_string(reader);
	else
		is_good = is_word(reader, SPAN("true")) || is_word(reader, SPAN("false")) || is_word(reader, SPAN("null")) ||
				  is_number(reader);
	skip_blanks(reader);
	return is_good;
}

static bool is_json(struct span body)
{
	struct reader reader = { .rest = body, .max_depth = CALLBACK_MAX_DEPTH };
	return is_value(&reader) && reader.rest.n == 0;
}

/* --- the event --- */

static bool is_reason(const struct event *event, const char *reason)
{
	return span_equal(event->malformed, span_text(reason));
}

static bool has_surrogate(struct span body)
{
	return memmem(body.data, body.n, "\\ud", 3) || memmem(body.data, body.n, "\\uD", 3);
}

static void check_kind(const struct event *event)
{
	bool is_good = is_json(event->body);
	if (event->kind == EVENT_CALLBACK)
		FUZZ_ASSERT(is_good && span_is_utf8(event->body) && event->malformed.n == 0 && event->n_interactions >= 1);
	else
		FUZZ_ASSERT(event->malformed.n && event->n_interactions == 0 && event->event_id.n == 0);
	FUZZ_ASSERT(!is_reason(event, "invalid_utf8") || !span_is_utf8(event->body));
	if (!is_good || !span_is_utf8(event->body))
		return;
	/* good by the grammar: then only these can be wrong with it */
	FUZZ_ASSERT(event->kind == EVENT_CALLBACK || is_reason(event, "not_an_object") ||
				is_reason(event, "duplicate_key") || is_reason(event, "null_in_key") ||
				(is_reason(event, "not_json") && has_surrogate(event->body)));
}

static void check_restored(const struct event *event)
{
	CLEANUP(buffer_finish) struct buffer interactions = BUFFER_INIT, tags = BUFFER_INIT, again = BUFFER_INIT;
	CLEANUP(event_unref) struct event *restored = NULL;
	event_add_interactions(&interactions, event);
	event_add_tags(&tags, event);
	struct event_record record = {
		.kind = event->kind,
		.event_id = event->event_id,
		.body = event->body,
		.interactions = buffer_span(&interactions),
		.tags = buffer_span(&tags),
	};
	FUZZ_ASSERT(event_restore(&record, &restored) == 0);
	event_add_interactions(&again, restored);
	FUZZ_ASSERT(span_equal(buffer_span(&interactions), buffer_span(&again)));
	FUZZ_ASSERT(digest_equal(event->body_digest, restored->body_digest, DIGEST_BYTES));
	FUZZ_ASSERT(restored->n_tags == 1 && span_equal(restored->tags[0].value, event->tags[0].value));
}

static void check_message(const struct event *event)
{
	static const struct position position = { "k3x9", 42 };
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	event_add_message(&message, event, &position);
	FUZZ_ASSERT(!message.failed && message.n > event->body.n + 1);
	FUZZ_ASSERT(span_equal(span_of(message.data + message.n - event->body.n - 1, event->body.n), event->body));
	if (event->kind == EVENT_MALFORMED)
		return;
	struct reader reader = { .rest = buffer_span(&message), .max_depth = CALLBACK_MAX_DEPTH + 1 };
	FUZZ_ASSERT(is_value(&reader) && reader.rest.n == 0 && span_is_utf8(buffer_span(&message)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct tag tag = { SPAN("user"), SPAN("4\"2") };
	struct callback_origin origin = { SPAN("cronofy"), 0, &tag, 1, SPAN("") };
	CLEANUP(event_unref) struct event *event = NULL;
	FUZZ_ASSERT(callback_to_event(&origin, span_of(data, n), &event) == 0);
	FUZZ_ASSERT(span_equal(event->body, span_of(data, n)));
	check_kind(event);
	check_restored(event);
	check_message(event);
	FUZZ_ASSERT(outline_agrees(span_of(data, n)));
	return 0;
}
