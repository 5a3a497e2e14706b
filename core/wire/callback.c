/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/callback.h"

#include "wire/document.h"
#include "wire/outline.h"

#include <errno.h>

/* Walks the bytes outside of strings. Bytes that are no JSON do no harm here: jansson refuses them later. */
struct scanner {
	bool is_in_string, is_escaped;
};

/* Whether this byte is structure, that is, outside of any string. */
static bool scanner_step(struct scanner *scanner, char c)
{
	if (!scanner->is_in_string) {
		scanner->is_in_string = c == '"';
		return c != '"';
	}
	if (scanner->is_escaped)
		scanner->is_escaped = false;
	else if (c == '\\')
		scanner->is_escaped = true;
	else
		scanner->is_in_string = c != '"';
	return false;
}

/* Before jansson sees it: its own limit is compiled in, and far too high for us. */
static bool is_too_deep(struct span body)
{
	struct scanner scanner = { 0 };
	size_t depth = 0;
	for (size_t i = 0; i < body.n; i++) {
		char c = body.data[i];
		if (!scanner_step(&scanner, c))
			continue;
		if ((c == '{' || c == '[') && ++depth > CALLBACK_MAX_DEPTH)
			return true;
		if ((c == '}' || c == ']') && depth)
			depth--;
	}
	return false;
}

static size_t digits(struct span s, size_t at)
{
	size_t start = at;
	while (at < s.n && s.data[at] >= '0' && s.data[at] <= '9')
		at++;
	return at - start;
}

/* The length of the number (RFC 8259 6) at `at`, 0 if there is none. */
static size_t number_length(struct span s, size_t start)
{
	size_t at = start, n;
	if (s.data[at] == '-')
		at++;
	n = digits(s, at);
	if (n == 0 || (n > 1 && s.data[at] == '0'))
		return 0;
	at += n;
	if (at < s.n && s.data[at] == '.') {
		n = digits(s, at + 1);
		if (n == 0)
			return 0;
		at += 1 + n;
	}
	if (at < s.n && (s.data[at] == 'e' || s.data[at] == 'E')) {
		size_t sign = at + 1 < s.n && (s.data[at + 1] == '+' || s.data[at + 1] == '-');
		n = digits(s, at + 1 + sign);
		if (n == 0)
			return 0;
		at += 1 + sign + n;
	}
	return at - start;
}

/* Makes every number a zero and blanks. We need none of them, and 2^63 or 400 digits are good JSON that jansson cannot
 * hold: a copy without numbers tells whether the rest is right. */
static void blank_numbers(char *text, size_t n_text)
{
	struct scanner scanner = { 0 };
	for (size_t i = 0; i < n_text; i++) {
		if (!scanner_step(&scanner, text[i]))
			continue;
		if (text[i] != '-' && (text[i] < '0' || text[i] > '9'))
			continue;
		size_t n = number_length(span_of(text, n_text), i);
		if (n == 0)
			return; /* no JSON: leave it for jansson to say */
		memset(text + i, ' ', n);
		text[i] = '0';
		i += n - 1;
	}
}

static int load(struct span body, struct document *ret_document, json_error_t *ret_error)
{
	int r = document_read(body, ret_document, ret_error);
	if (r != DOCUMENT_E_MALFORMED || json_error_code(ret_error) != json_error_numeric_overflow)
		return r;
	CLEANUP(free) char *copy = span_dup(body);
	if (!copy)
		return -ENOMEM;
	blank_numbers(copy, body.n);
	return document_read(span_of(copy, body.n), ret_document, ret_error);
}

/* A short name for what is wrong, fit for a metric's label. */
static const char *malformed_reason(const json_error_t *error)
{
	static const struct {
		enum json_error_code code;
		const char *reason;
	} reasons[] = {
		{ json_error_duplicate_key, "duplicate_key" },          { json_error_invalid_utf8, "invalid_utf8" },
		{ json_error_premature_end_of_input, "premature_end" }, { json_error_end_of_input_expected, "trailing_bytes" },
		{ json_error_null_byte_in_key, "null_in_key" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++)
		if (json_error_code(error) == reasons[i].code)
			return reasons[i].reason;
	return "not_json";
}

/* The readable members of notification.interactions. */
static size_t read_interactions(const json_t *list, struct interaction *interactions)
{
	size_t n = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		struct span type = document_text(json_object_get(item, "type"));
		if (type.n)
			interactions[n++] = (struct interaction){ type, document_text(json_object_get(item, "subtype")) };
	}
	return n;
}

static int make_event(const struct callback_origin *origin, struct span body, const struct outline *outline,
					  const struct interaction *interactions, size_t n, struct event **ret_event)
{
	struct span type = outline->notification_type;
	struct interaction only = { .type = type.n ? type : SPAN("unknown") };
	struct event model = {
		.kind = EVENT_CALLBACK,
		.received_ms = origin->received_ms,
		.source = origin->source,
		.event_id = outline->event_id,
		.body = body,
		.interactions = n ? interactions : &only,
		.n_interactions = n ? n : 1,
		.tags = origin->tags,
		.n_tags = origin->n_tags,
		.traceparent = origin->traceparent,
	};
	return event_create(&model, ret_event);
}

static int make_event_of_document(const struct callback_origin *origin, struct span body, const json_t *root,
								  struct event **ret_event)
{
	const json_t *notification = json_object_get(root, "notification");
	const json_t *list = json_object_get(notification, "interactions");
	CLEANUP(free) struct interaction *interactions = calloc(json_array_size(list) + 1, sizeof *interactions);
	if (!interactions)
		return -ENOMEM;
	struct outline outline = {
		.notification_type = document_text(json_object_get(notification, "type")),
		.event_id = document_text(json_object_get(json_object_get(root, "event"), "event_id")),
	};
	return make_event(origin, body, &outline, interactions, read_interactions(list, interactions), ret_event);
}

static int make_malformed(const struct callback_origin *origin, struct span body, const char *reason,
						  struct event **ret_event)
{
	struct event model = {
		.kind = EVENT_MALFORMED,
		.received_ms = origin->received_ms,
		.source = origin->source,
		.body = body,
		.malformed = span_text(reason),
		.tags = origin->tags,
		.n_tags = origin->n_tags,
		.traceparent = origin->traceparent,
	};
	return event_create(&model, ret_event);
}

int callback_to_event(const struct callback_origin *origin, struct span body, struct event **ret_event)
{
	struct outline outline;
	if (outline_read(body, CALLBACK_MAX_DEPTH, &outline))
		return make_event(origin, body, &outline, outline.interactions, outline.n_interactions, ret_event);
	if (body.n == 0)
		return make_malformed(origin, body, "empty", ret_event);
	if (is_too_deep(body))
		return make_malformed(origin, body, "too_deep", ret_event);
	json_error_t error;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	int r = load(body, &document, &error);
	if (r < 0)
		return r;
	if (r == DOCUMENT_E_MALFORMED)
		return make_malformed(origin, body, malformed_reason(&error), ret_event);
	if (!json_is_object(document.root))
		return make_malformed(origin, body, "not_an_object", ret_event);
	return make_event_of_document(origin, body, document.root, ret_event);
}
