/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th allocation fails, for every n: alone, or with all that come after it. Then the answer is -ENOMEM, or the one
 * that would have been given anyway; never another one (a truncated text, "malformed"), and nothing leaks.
 */
#include "failing_memory.h"
#include "unit.h"
#include "wire/callback.h"
#include "wire/document.h"
#include "wire/message.h"

#include <errno.h>
#include <stdio.h>

/* --- every n --- */

/* Does something with an input and says what came of it. Anything wrong with a success is its own to report. */
typedef int act_function(const void *input);

/* How many allocations the act makes; it ends when as many have failed. */
static size_t try_all(act_function *act, const void *input, bool is_lasting)
{
	int expected = act(input);
	CU_ASSERT_NOT_EQUAL(expected, -ENOMEM);
	for (size_t n = 0;; n++) {
		failure.is_lasting = is_lasting;
		failure.n_before = n;
		failure.n_calls = 0;
		failure.is_on = true;
		int r = act(input);
		failure.is_on = false;
		if (r != expected && r != -ENOMEM)
			fprintf(stderr, "allocation %zu: %d\n", n, r);
		CU_ASSERT_TRUE(r == expected || r == -ENOMEM);
		if (failure.n_calls <= n) { /* there was none to fail */
			CU_ASSERT_EQUAL(r, expected);
			return n;
		}
	}
}

static void fail_all(act_function *act, const void *input)
{
	size_t n = try_all(act, input, false);
	CU_ASSERT_TRUE(n >= 1); /* or the wrapping does not work */
	CU_ASSERT_EQUAL(try_all(act, input, true), n);
}

/* The check itself may allocate what it likes. */
static void check_text(void (*add)(struct buffer *, const void *), const void *object, const char *expected)
{
	bool was_on = failure.is_on;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	failure.is_on = false;
	add(&text, object);
	bool is_right = span_equal(buffer_span(&text), span_text(expected));
	if (!is_right)
		fprintf(stderr, "%.*s, not %s\n", SPAN_PRINTF(buffer_span(&text)), expected);
	CU_ASSERT_TRUE(is_right);
	failure.is_on = was_on;
}

/* --- events --- */

/* Long texts: jansson's buffers grow while it reads them. 32 and 64 bytes with the quotes: it is the last quote that
 * needs the room. */
#define TEXT_30 "conferencing_failing_for_ages1"
#define TEXT_62 "a_text_of_62_bytes_that_is_so_long_that_buffers_need_more_room"
#define INTERACTIONS "[{\"type\":\"" TEXT_30 "\",\"subtype\":\"" TEXT_62 "\"},{\"type\":\"a\"}]"
#define TAGS "{\"" TEXT_30 "\":\"" TEXT_62 "\",\"user\":\"42\"}"

static void add_event(struct buffer *text, const void *object)
{
	const struct event *event = object;
	buffer_add(text, event->malformed);
	buffer_add_char(text, ' ');
	event_add_interactions(text, event);
	event_add_tags(text, event);
	buffer_add(text, event->event_id);
}

struct expected_event {
	const char *body, *text;
};

static int make_event(const void *input)
{
	const struct expected_event *expected = input;
	static const struct tag tags[] = { { { "user", 4 }, { "42", 2 } }, { { "a", 1 }, { "b", 1 } } };
	struct callback_origin origin = { SPAN("cronofy"), 1, tags, ARRAY_LENGTH(tags), SPAN("") };
	CLEANUP(event_unref) struct event *event = NULL;
	int r = callback_to_event(&origin, span_text(expected->body), &event);
	CU_ASSERT_EQUAL(r == 0, event != NULL);
	if (event)
		check_text(add_event, event, expected->text);
	return r;
}

static void test_callbacks(void)
{
	static const struct expected_event events[] = {
		{ "{\"notification\":{\"type\":\"b\",\"interactions\":" INTERACTIONS "},\"event\":{\"event_id\":\"" TEXT_62
		  "\"}}",
		  " " INTERACTIONS "{\"a\":\"b\",\"user\":\"42\"}" TEXT_62 },
		{ "{\"notification\":{\"type\":\"" TEXT_30 "\"},\"a\":1e400,\"b\":9223372036854775808}",
		  " [{\"type\":\"" TEXT_30 "\"}]{\"a\":\"b\",\"user\":\"42\"}" },
		{ "{\"\\ud83d\\udd14\":\"" TEXT_62 TEXT_62 TEXT_62 "\",\"b\":[[[{},true,null,1.5,-7]]]}",
		  " [{\"type\":\"unknown\"}]{\"a\":\"b\",\"user\":\"42\"}" },
		{ "{\"" TEXT_30 "\":[1,{}],\"" TEXT_30 "\":2}", "duplicate_key []{\"a\":\"b\",\"user\":\"42\"}" },
		{ "{\"a\":\"" TEXT_62, "premature_end []{\"a\":\"b\",\"user\":\"42\"}" },
		{ "[1e400]", "not_an_object []{\"a\":\"b\",\"user\":\"42\"}" },
		{ "", "empty []{\"a\":\"b\",\"user\":\"42\"}" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(events); i++)
		fail_all(make_event, &events[i]);
}

/* So large that one chunk of memory is not enough. */
static void test_large_callbacks(void)
{
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	buffer_add_text(&body, "{\"event\":{\"event_id\":\"1\"}");
	for (unsigned i = 0; i < 1000; i++)
		buffer_add_printf(&body, ",\"%u\":[\"%030u\",{\"a\":{}}]", i, i);
	buffer_add_char(&body, '}');
	CLEANUP(free) char *text = buffer_steal_text(&body);
	struct expected_event event = { text, " [{\"type\":\"unknown\"}]{\"a\":\"b\",\"user\":\"42\"}1" };
	fail_all(make_event, &event);
}

static int restore_event(const void *input)
{
	const struct event_record *record = input;
	CLEANUP(event_unref) struct event *event = NULL;
	int r = event_restore(record, &event);
	CU_ASSERT_EQUAL(r == 0, event != NULL);
	if (event)
		check_text(add_event, event, " " INTERACTIONS TAGS);
	return r;
}

static void test_records(void)
{
	struct event_record good = { .body = SPAN("{}"), .interactions = SPAN(INTERACTIONS), .tags = SPAN(TAGS) };
	struct event_record bad = { .body = SPAN("{}"), .interactions = SPAN(INTERACTIONS), .tags = SPAN("{\"a\":1}") };
	fail_all(restore_event, &good);
	fail_all(restore_event, &bad);
	CU_ASSERT_EQUAL(restore_event(&bad), -EBADMSG);
}

/* --- filters --- */

#define FILTER                                                                                                         \
	"{\"interactions\":[\"" TEXT_30 "\",\"a*\"],\"subtypes\":[\"s\"],\"sources\":[\"x\",\"y\"],\"event_ids\":[\"1\"]," \
	"\"tags\":{\"a\":[\"1\",\"2\"],\"b\":[\"" TEXT_62 "\"]}}"
#define CANONICAL                                                                                                      \
	"{\"interactions\":[\"a*\",\"" TEXT_30 "\"],\"subtypes\":[\"s\"],\"sources\":[\"x\",\"y\"],\"event_ids\":[\"1\"]," \
	"\"tags\":{\"a\":[\"1\",\"2\"],\"b\":[\"" TEXT_62 "\"]}}"

static void add_filter(struct buffer *text, const void *object)
{
	filter_add_json(text, object);
}

static int parse_filter(const void *json)
{
	CLEANUP(filter_finish) struct filter filter;
	const char *reason = NULL;
	filter_init(&filter);
	int r = filter_parse(json, &filter, &reason);
	if (r == FILTER_OK)
		check_text(add_filter, &filter, CANONICAL);
	return r;
}

static int copy_filter(const void *input)
{
	CLEANUP(filter_finish) struct filter copy;
	filter_init(&copy);
	int r = filter_copy(input, &copy);
	if (r == 0)
		check_text(add_filter, &copy, CANONICAL);
	return r;
}

static void test_filters(void)
{
	json_error_t error;
	const char *reason;
	CLEANUP(document_finish) struct document good = DOCUMENT_INIT, bad = DOCUMENT_INIT;
	CLEANUP(filter_finish) struct filter filter;
	filter_init(&filter);
	CU_ASSERT_EQUAL_FATAL(document_read(SPAN(FILTER), &good, &error), DOCUMENT_OK);
	CU_ASSERT_EQUAL_FATAL(document_read(SPAN("{\"sources\":[\"a\",\"b\"],\"tags\":7}"), &bad, &error), DOCUMENT_OK);
	CU_ASSERT_EQUAL_FATAL(filter_parse(good.root, &filter, &reason), FILTER_OK);
	fail_all(parse_filter, good.root);
	fail_all(parse_filter, bad.root);
	fail_all(copy_filter, &filter);
}

/* --- messages --- */

static void add_message(struct buffer *text, const void *object)
{
	const struct message *message = object;
	buffer_add_printf(text, "%d %s %s %s", (int)message->type, message->id ? message->id : "-",
					  message->token ? message->token : "-", message->ticket ? message->ticket : "-");
	for (size_t i = 0; i < message->n_filters; i++) {
		buffer_add_printf(text, " %s ", message->filters[i].id);
		filter_add_json(text, &message->filters[i].filter);
	}
}

static void add_reason(struct buffer *text, const void *object)
{
	const struct buffer *reason = object;
	buffer_add(text, buffer_span(reason));
}

struct expected_message {
	const char *text, *expected;
	bool is_query;
};

/* A refusal may come without its words, if it says so. */
static int parse_message(const void *input)
{
	const struct expected_message *expected = input;
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	struct span text = span_text(expected->text);
	int r = expected->is_query ? message_parse_query(text, "limit", &message, &reason)
							   : message_parse(text, &message, &reason);
	if (r == MESSAGE_OK)
		check_text(add_message, &message, expected->expected);
	else if (r > 0 && !reason.failed)
		check_text(add_reason, &reason, expected->expected);
	return r;
}

static void test_messages(void)
{
	static const struct expected_message messages[] = {
		{ "{\"type\":\"auth\",\"id\":\"1\",\"token\":\"" TEXT_62 TEXT_62 "\"}", "0 1 " TEXT_62 TEXT_62 " -", false },
		{ "{\"type\":\"subscribe\",\"id\":\"" TEXT_30 "\",\"filter\":" FILTER ",\"after\":\"latest\"}",
		  "1 " TEXT_30 " - - " TEXT_30 " " CANONICAL, false },
		{ "{\"type\":\"subscribe\",\"filters\":{\"" TEXT_30 "\":" FILTER ",\"b\":{}},\"last\":7}",
		  "1 - - - " TEXT_30 " " CANONICAL " b {}", false },
		{ "{\"type\":\"unsubscribe\",\"id\":\"1\"}", "2 1 - -", false },
		{ "{\"type\":\"ping\"}", "3 - - -", false },
		{ "{\"type\":\"ping\",\"id\":\"1\",\"" TEXT_62 "\":1}", "unknown key \"" TEXT_62 "\"", false },
		{ "{\"type\":\"subscribe\",\"filters\":{\"a\":" FILTER ",\"b\":7}}", "a filter is an object", false },
		{ "{\"type\":\"" TEXT_62 "\"}", "\"type\" is one of auth, subscribe, unsubscribe, ping", false },
		{ "{\"type\":\"ping\"", "a message is JSON", false },
		{ "interactions=%61*," TEXT_30 "&sources=x,%79&event_ids=1&subtypes=s&tags.b=" TEXT_62 "&tags.%61=2,1&ticket=t"
		  "&after=latest&limit=1",
		  "1 url - t url " CANONICAL, true },
		{ "tags.a=" TEXT_30 "%20" TEXT_62 "%20" TEXT_62,
		  "1 url - - url {\"tags\":{\"a\":[\"" TEXT_30 " " TEXT_62 " " TEXT_62 "\"]}}", true },
		{ "tags." TEXT_30 "%20" TEXT_62 "=1&ticket=" TEXT_62 "&ticket=" TEXT_30,
		  "1 url - " TEXT_30 " url {\"tags\":{\"" TEXT_30 " " TEXT_62 "\":[\"1\"]}}", true },
		{ "sources=a&" TEXT_62 "=1", "unknown parameter \"" TEXT_62 "\"", true },
		{ "sources=a&token=t", "a token does not belong into a URL: POST it to /ticket and use the ticket", true },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(messages); i++)
		fail_all(parse_message, &messages[i]);
}

UNIT_MAIN({ "callbacks", test_callbacks }, { "large callbacks", test_large_callbacks }, { "records", test_records },
		  { "filters", test_filters }, { "messages", test_messages })
