/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "wire/callback.h"
#include "wire/document.h"

#include <errno.h>
#include <stdio.h>

#define RECEIVED_MS 1777302001123
#define RECEIVED "2026-04-27T15:00:01.123Z"

static const struct position position = { "k3x9", 42 };

static struct event *create(const struct event *model)
{
	struct event *event = NULL;
	CU_ASSERT_EQUAL_FATAL(event_create(model, &event), 0);
	return event;
}

static struct event *event_of(const char *body)
{
	static const struct tag tags[] = { { { "user", 4 }, { "4\"2", 3 } }, { { "a", 1 }, { "", 0 } } };
	struct callback_origin origin = { SPAN("cronofy"), RECEIVED_MS, tags, ARRAY_LENGTH(tags), SPAN("") };
	struct event *event = NULL;
	CU_ASSERT_EQUAL_FATAL(callback_to_event(&origin, span_text(body), &event), 0);
	return event;
}

static bool is_text(const struct buffer *text, const char *expected)
{
	bool is_right = !text->failed && span_equal(buffer_span(text), span_text(expected));
	if (!is_right)
		fprintf(stderr, "%.*s, not %s\n", SPAN_PRINTF(buffer_span(text)), expected);
	return is_right;
}

/* --- making --- */

static void test_keeps_copies(void)
{
	char source[] = "cronofy", type[] = "conferencing_failing", subtype[] = "profile_missing", name[] = "user",
		 value[] = "42", body[] = "{\0}", id[] = "1\0002";
	struct interaction interaction = { span_text(type), span_text(subtype) };
	struct tag tag = { span_text(name), span_text(value) };
	struct event model = { .kind = EVENT_CALLBACK,
						   .received_ms = -1,
						   .source = span_text(source),
						   .event_id = span_of(id, 3),
						   .body = span_of(body, 3),
						   .interactions = &interaction,
						   .n_interactions = 1,
						   .tags = &tag,
						   .n_tags = 1 };
	CLEANUP(event_unref) struct event *event = create(&model);
	source[0] = type[0] = subtype[0] = name[0] = value[0] = body[0] = id[0] = '?';
	CU_ASSERT_EQUAL(event->received_ms, -1);
	CU_ASSERT_TRUE(span_equal(event->source, SPAN("cronofy")));
	CU_ASSERT_TRUE(span_equal(event->event_id, SPAN("1\0002")));
	CU_ASSERT_TRUE(span_equal(event->body, SPAN("{\0}")));
	CU_ASSERT_TRUE(span_equal(event->interactions[0].type, SPAN("conferencing_failing")));
	CU_ASSERT_TRUE(span_equal(event->interactions[0].subtype, SPAN("profile_missing")));
	CU_ASSERT_TRUE(span_equal(event->tags[0].name, SPAN("user")));
	CU_ASSERT_TRUE(span_equal(event->tags[0].value, SPAN("42")));
}

static void test_keeps_nothing_at_all(void)
{
	struct event model = { .kind = EVENT_MALFORMED };
	CLEANUP(event_unref) struct event *event = create(&model);
	CLEANUP(buffer_finish) struct buffer interactions = BUFFER_INIT, tags = BUFFER_INIT;
	event_add_interactions(&interactions, event);
	event_add_tags(&tags, event);
	CU_ASSERT_TRUE(is_text(&interactions, "[]"));
	CU_ASSERT_TRUE(is_text(&tags, "{}"));
	CU_ASSERT_EQUAL(event->body.n + event->source.n + event->event_id.n + event->malformed.n, 0);
}

static void test_digests_the_body(void)
{
	/* RFC 6234 8.5, TEST1: SHA-256 of "abc" */
	static const uint8_t expected[DIGEST_BYTES] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
													0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
													0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	struct event model = { .kind = EVENT_MALFORMED, .body = SPAN("abc"), .body_digest = { 1, 2, 3 } };
	CLEANUP(event_unref) struct event *event = create(&model);
	CU_ASSERT_TRUE(digest_equal(event->body_digest, expected, DIGEST_BYTES));
}

static void test_sorts_tags(void)
{
	const struct tag tags[] = { { SPAN("b"), SPAN("1") },  { SPAN("ab"), SPAN("2") },       { SPAN("a"), SPAN("4") },
								{ SPAN("B"), SPAN("3") },  { SPAN("\xc3\xa9"), SPAN("5") }, { SPAN("a_"), SPAN("") },
								{ SPAN("a"), SPAN("10") }, { SPAN(""), SPAN("6") } };
	struct event model = { .tags = tags, .n_tags = ARRAY_LENGTH(tags) };
	CLEANUP(event_unref) struct event *event = create(&model);
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	event_add_tags(&text, event);
	CU_ASSERT_TRUE(is_text(&text, "{\"\":\"6\",\"B\":\"3\",\"a\":\"10\",\"a\":\"4\",\"a_\":\"\",\"ab\":\"2\","
								  "\"b\":\"1\",\"\xc3\xa9\":\"5\"}"));
	CU_ASSERT_TRUE(span_equal(tags[0].name, SPAN("b"))); /* the model's are as they were */
}

static void test_counts_references(void)
{
	struct event model = { .body = SPAN("{}"), .references = 99 };
	struct event *event = create(&model);
	CU_ASSERT_EQUAL(atomic_load(&event->references), 1);
	CU_ASSERT_PTR_EQUAL(event_ref(event), event);
	event_unref(event);
	CU_ASSERT_TRUE(span_equal(event->body, SPAN("{}")));
	event_unref(event);
	event_unref(NULL);
}

/* --- what the journal keeps --- */

static struct event_record record_of(const struct event *event, struct buffer *interactions, struct buffer *tags)
{
	event_add_interactions(interactions, event);
	event_add_tags(tags, event);
	return (struct event_record){
		.kind = event->kind,
		.received_ms = event->received_ms,
		.source = event->source,
		.event_id = event->event_id,
		.body = event->body,
		.malformed = event->malformed,
		.traceparent = event->traceparent,
		.interactions = buffer_span(interactions),
		.tags = buffer_span(tags),
	};
}

static bool are_equal(const struct event *a, const struct event *b)
{
	bool is_right = a->kind == b->kind && a->received_ms == b->received_ms && span_equal(a->source, b->source) &&
					span_equal(a->event_id, b->event_id) && span_equal(a->body, b->body) &&
					span_equal(a->malformed, b->malformed) && span_equal(a->traceparent, b->traceparent) &&
					a->n_interactions == b->n_interactions && a->n_tags == b->n_tags &&
					digest_equal(a->body_digest, b->body_digest, DIGEST_BYTES);
	for (size_t i = 0; is_right && i < a->n_interactions; i++)
		is_right = span_equal(a->interactions[i].type, b->interactions[i].type) &&
				   span_equal(a->interactions[i].subtype, b->interactions[i].subtype);
	for (size_t i = 0; is_right && i < a->n_tags; i++)
		is_right = span_equal(a->tags[i].name, b->tags[i].name) && span_equal(a->tags[i].value, b->tags[i].value);
	return is_right;
}

static const char *const bodies[] = {
	"{\"notification\":{\"type\":\"event_subscription\",\"interactions\":[{\"type\":\"conferencing_assigned\"},"
	"{\"type\":\"conferencing_failing\",\"subtype\":\"profile_missing\"}]},\"event\":{\"event_id\":\"qTtZ\"}}",
	"{ \"notification\" :\n{ \"type\" : \"change\" } }\r\n",
	"{\"notification\":{\"interactions\":[{\"type\":\"\\u0000\\\"\\\\\\n\\u007f\",\"subtype\":\"\\u0000\"}]}}",
	"{\"notification\":{\"type\":\"gr\xc3\xb6\xc3\x9f \xf0\x9f\x94\x94 \xef\xbf\xbf \xe2\x80\xa8\"},\"x\":\"\\u2028\"}",
	"{\"event\":{\"event_id\":\"\\u0000\"},\"x\":[9223372036854775808,1e400,-0]}",
	"{}",
	"{",
	"not json",
	"",
};

static void test_restores_what_it_wrote(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		CLEANUP(event_unref) struct event *event = event_of(bodies[i]);
		CLEANUP(event_unref) struct event *restored = NULL;
		CLEANUP(buffer_finish) struct buffer interactions = BUFFER_INIT, tags = BUFFER_INIT;
		struct event_record record = record_of(event, &interactions, &tags);
		CU_ASSERT_EQUAL_FATAL(event_restore(&record, &restored), 0);
		CU_ASSERT_TRUE(are_equal(event, restored));
	}
}

static int restore(enum event_kind kind, const char *interactions, const char *tags)
{
	struct event_record record = {
		.kind = kind, .body = SPAN("{}"), .interactions = span_text(interactions), .tags = span_text(tags)
	};
	struct event *event = NULL;
	int r = event_restore(&record, &event);
	CU_ASSERT_EQUAL(r == 0, event != NULL);
	event_unref(event);
	return r;
}

static void test_refuses_records_that_it_did_not_write(void)
{
	static const char *const interactions[] = {
		"",
		"{}",
		"null",
		"\"a\"",
		"[",
		"[]]",
		"[null]",
		"[\"a\"]",
		"[[]]",
		"[{}]",
		"[{\"type\":null}]",
		"[{\"type\":7}]",
		"[{\"type\":\"\"}]",
		"[{\"subtype\":\"a\"}]",
		"[{\"type\":\"a\",\"type\":\"b\"}]",
		"[{\"type\":\"a\",\"subtype\":null}]",
		"[{\"type\":\"a\",\"subtype\":\"\"}]",
		"[{\"type\":\"a\",\"subtype\":[]}]",
		"[{\"type\":\"a\"},{\"type\":\"b\"},{}]",
		"[{\"type\":\"\xff\"}]",
	};
	static const char *const tags[] = {
		"",
		"[]",
		"null",
		"{",
		"{}}",
		"{\"a\":null}",
		"{\"a\":7}",
		"{\"a\":[\"b\"]}",
		"{\"a\":\"b\",\"c\":{}}",
		"{\"a\":\"b\",\"a\":\"c\"}",
		"{\"a\\u0000\":\"b\"}",
		"{\"a\":\"\xff\"}",
	};
	CU_ASSERT_EQUAL(restore(EVENT_CALLBACK, "[{\"type\":\"a\"}]", "{}"), 0);
	CU_ASSERT_EQUAL(restore(EVENT_MALFORMED, "[]", "{}"), 0);
	CU_ASSERT_EQUAL(restore(EVENT_CALLBACK, "[]", "{}"), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LENGTH(interactions); i++)
		CU_ASSERT_EQUAL(restore(EVENT_CALLBACK, interactions[i], "{}"), -EBADMSG);
	for (size_t i = 0; i < ARRAY_LENGTH(tags); i++)
		CU_ASSERT_EQUAL(restore(EVENT_CALLBACK, "[{\"type\":\"a\"}]", tags[i]), -EBADMSG);
}

/* --- what a subscriber gets --- */

static void test_writes_the_message(void)
{
	CLEANUP(event_unref) struct event *event = event_of(bodies[0]);
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT, expected = BUFFER_INIT;
	buffer_add_printf(&expected,
					  "{\"type\":\"event\",\"position\":\"k3x9-42\",\"received_at\":\"%s\",\"source\":\"cronofy\","
					  "\"interactions\":[{\"type\":\"conferencing_assigned\"},{\"type\":\"conferencing_failing\","
					  "\"subtype\":\"profile_missing\"}],\"tags\":{\"a\":\"\",\"user\":\"4\\\"2\"},\"callback\":%s}",
					  RECEIVED, bodies[0]);
	event_add_message(&message, event, &position);
	CLEANUP(free) char *text = buffer_steal_text(&expected);
	CU_ASSERT_TRUE(is_text(&message, text));
}

static void test_writes_a_trace_context_before_the_callback(void)
{
	CLEANUP(event_unref) struct event *event = NULL;
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	struct callback_origin origin = { .source = SPAN("cronofy"), .traceparent = SPAN("00-4bf9-00f0-01") };
	CU_ASSERT_EQUAL_FATAL(callback_to_event(&origin, SPAN("{}"), &event), 0);
	event_add_message(&message, event, &position);
	CU_ASSERT_TRUE(is_text(&message, "{\"type\":\"event\",\"position\":\"k3x9-42\",\"received_at\":"
									 "\"1970-01-01T00:00:00.000Z\",\"source\":\"cronofy\",\"interactions\":["
									 "{\"type\":\"unknown\"}],\"tags\":{},\"traceparent\":\"00-4bf9-00f0-01\","
									 "\"callback\":{}}"));
}

/* "callback" is last: its bytes can be found without parsing, and compared. */
static void check_callback(const struct event *event, struct span message)
{
	CU_ASSERT_FATAL(message.n > event->body.n + 1);
	struct span tail = span_skip(message, message.n - event->body.n - 1);
	CU_ASSERT_TRUE(span_equal(span_of(tail.data, event->body.n), event->body));
	CU_ASSERT_EQUAL(tail.data[event->body.n], '}');
	CU_ASSERT_EQUAL(memcmp(tail.data - strlen("\"callback\":"), "\"callback\":", strlen("\"callback\":")), 0);
}

static void test_writes_json_with_the_callback_in_it(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		CLEANUP(event_unref) struct event *event = event_of(bodies[i]);
		CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
		if (event->kind == EVENT_MALFORMED)
			continue; /* never pushed */
		event_add_message(&message, event, &position);
		CU_ASSERT_FALSE_FATAL(message.failed);
		check_callback(event, buffer_span(&message));
		json_error_t error = { 0 };
		CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
		int r = document_read(buffer_span(&message), &document, &error);
		/* a number too large for jansson is no fault of the message */
		CU_ASSERT_TRUE(r == DOCUMENT_OK || json_error_code(&error) == json_error_numeric_overflow);
		CU_ASSERT_TRUE(r != DOCUMENT_OK || json_object_size(document.root) == 7);
	}
}

static void test_writes_behind_what_is_there(void)
{
	CLEANUP(event_unref) struct event *event = event_of("{}");
	CLEANUP(buffer_finish) struct buffer both = BUFFER_INIT, one = BUFFER_INIT;
	event_add_message(&one, event, &position);
	event_add_message(&both, event, &position);
	event_add_message(&both, event, &position);
	CU_ASSERT_EQUAL(both.n, 2 * one.n);
	CU_ASSERT_TRUE(span_equal(span_skip(buffer_span(&both), one.n), buffer_span(&one)));
}

UNIT_MAIN({ "keeps copies", test_keeps_copies }, { "keeps nothing at all", test_keeps_nothing_at_all },
		  { "digests the body", test_digests_the_body }, { "sorts the tags", test_sorts_tags },
		  { "counts references", test_counts_references }, { "restores what it wrote", test_restores_what_it_wrote },
		  { "refuses records that it did not write", test_refuses_records_that_it_did_not_write },
		  { "writes the message", test_writes_the_message },
		  { "writes a trace context before the callback", test_writes_a_trace_context_before_the_callback },
		  { "writes JSON with the callback as it came", test_writes_json_with_the_callback_in_it },
		  { "writes behind what is there", test_writes_behind_what_is_there })
