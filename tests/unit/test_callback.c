/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From bodies to events: every kind that the provider sends, every way in which a body can be odd and still be read,
 * and every way in which it cannot. Whatever is read or not, the event holds the body byte for byte.
 */
#include "unit.h"
#include "wire/callback.h"

#include <pthread.h>
#include <stdio.h>

#define RECEIVED_MS 1777303801123

/* The event of a body, with its origin and its bytes checked. */
static struct event *event_of(struct span body)
{
	static const struct tag tags[] = { { { "user", 4 }, { "42", 2 } }, { { "calendar_id", 11 }, { "cal_1", 5 } } };
	struct callback_origin origin = { SPAN("cronofy"), RECEIVED_MS, tags, ARRAY_LENGTH(tags), SPAN("") };
	struct event *event = NULL;
	uint8_t digest[DIGEST_BYTES];
	CU_ASSERT_EQUAL_FATAL(callback_to_event(&origin, body, &event), 0);
	CU_ASSERT_TRUE(span_equal(event->body, body));
	CU_ASSERT_TRUE(span_equal(event->source, SPAN("cronofy")));
	CU_ASSERT_EQUAL(event->received_ms, RECEIVED_MS);
	CU_ASSERT_EQUAL_FATAL(event->n_tags, 2);
	CU_ASSERT_TRUE(span_equal(event->tags[0].name, SPAN("calendar_id")));
	CU_ASSERT_TRUE(span_equal(event->tags[1].value, SPAN("42")));
	CU_ASSERT_EQUAL(digest_sha256(body, digest), 0);
	CU_ASSERT_TRUE(digest_equal(digest, event->body_digest, DIGEST_BYTES));
	return event;
}

static bool check(struct span actual, struct span expected, struct span body)
{
	bool is_right = span_equal(actual, expected);
	if (!is_right)
		fprintf(stderr, "%.*s, not %.*s: %.*s\n", SPAN_PRINTF(actual), SPAN_PRINTF(expected),
				body.n < 200 ? (int)body.n : 200, body.data);
	return is_right;
}

/* interactions as event_add_interactions() writes them */
static void accept(struct span body, const char *interactions, const char *event_id)
{
	CLEANUP(event_unref) struct event *event = event_of(body);
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	event_add_interactions(&json, event);
	CU_ASSERT_EQUAL(event->kind, EVENT_CALLBACK);
	CU_ASSERT_TRUE(check(event->malformed, SPAN(""), body));
	CU_ASSERT_TRUE(check(buffer_span(&json), span_text(interactions), body));
	CU_ASSERT_TRUE(check(event->event_id, span_text(event_id), body));
	CU_ASSERT_TRUE(event->n_interactions >= 1);
}

static void refuse(struct span body, const char *reason)
{
	CLEANUP(event_unref) struct event *event = event_of(body);
	CU_ASSERT_EQUAL(event->kind, EVENT_MALFORMED);
	CU_ASSERT_TRUE(check(event->malformed, span_text(reason), body));
	CU_ASSERT_EQUAL(event->n_interactions, 0);
	CU_ASSERT_EQUAL(event->event_id.n, 0);
}

/* --- what the provider sends --- */

#define ONE(type) "[{\"type\":\"" type "\"}]"
#define TWO(type, subtype) "[{\"type\":\"" type "\",\"subtype\":\"" subtype "\"}]"
#define UNKNOWN ONE("unknown")
#define EVENT "\"event\":{\"event_id\":\"qTtZ\",\"summary\":\"Board meeting\"}"
#define SUBSCRIPTION(interactions) \
	"{\"notification\":{\"type\":\"event_subscription\",\"interactions\":" interactions "}," EVENT "}"
#define NOTIFICATION(type) "{\"notification\":{\"type\":\"" type "\"}}"

static void test_reads_conferencing(void)
{
	static const char *const as_they_are[] = {
		ONE("conferencing_assigned"),
		TWO("conferencing_failing", "profile_missing"),
		TWO("conferencing_failing", "missing_meeting_url"),
		TWO("conferencing_failing", "moon_in_the_way"),
		ONE("conferencing_failing"),
		"[{\"type\":\"conferencing_assigned\"},{\"type\":\"conferencing_failing\",\"subtype\":\"profile_missing\"}]",
		"[{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\",\"subtype\":\"b\"}]",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(as_they_are); i++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		buffer_add_printf(&body, SUBSCRIPTION("%s"), as_they_are[i]);
		accept(buffer_span(&body), as_they_are[i], "qTtZ");
	}
	accept(SPAN("{\n  \"notification\": {\n    \"type\": \"event_subscription\",\n    \"interactions\": [\n      {\n"
				"        \"type\": \"conferencing_assigned\"\n      }\n    ]\n  },\n  \"event\": {\n"
				"    \"event_id\": \"qTtZdczOccgaPncGJaCiLg\",\n    \"start\": {\"time\": \"2026-04-27T15:30:00Z\", "
				"\"tzid\": \"Etc/UTC\"},\n    \"end\": \"2026-04-27\",\n    \"conferencing\": {\"pending\": true}\n"
				"  }\n}\n"),
		   ONE("conferencing_assigned"), "qTtZdczOccgaPncGJaCiLg");
}

static void test_reads_notifications(void)
{
	static const char *const types[] = {
		"verification",
		"change",
		"profile_disconnected",
		"conferencing_profile_disconnected",
		"profile_initial_sync_completed",
		"gdpr_requested",
		"smart_invite",
		"scheduling_request_time_chosen",
		"scheduling_conversation_joined",
		"scheduling_conversation_updated",
		"meeting_agent_activated",
		"meeting_agent_complete",
		"meeting_agent_failed",
		"something_new",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT, interactions = BUFFER_INIT;
		buffer_add_printf(&body, "{\"notification\":{\"type\":\"%s\",\"changes_since\":\"2026\"},\"meeting_agent\":{}}",
						  types[i]);
		buffer_add_printf(&interactions, ONE("%s"), types[i]);
		CLEANUP(free) char *expected = buffer_steal_text(&interactions);
		accept(buffer_span(&body), expected, "");
	}
}

static void test_reads_what_has_no_notification(void)
{
	accept(SPAN("{\"event\":{\"event_id\":\"qTtZ\"},\"participants\":[],\"user\":{\"id\":\"u\"}}"), UNKNOWN, "qTtZ");
	accept(SPAN("{\"authorization\":{\"code\":\"abc\"}}"), UNKNOWN, "");
	accept(SPAN("{\"authorization\":{\"error\":\"access_denied\"}}"), UNKNOWN, "");
	accept(SPAN("{}"), UNKNOWN, "");
	accept(SPAN(" \t\r\n{ } \n"), UNKNOWN, "");
}

/* --- what nobody promised --- */

static void test_reads_around_wrong_types(void)
{
	static const struct {
		const char *body, *interactions, *event_id;
	} odd[] = {
		{ "{\"notification\":[]}", UNKNOWN, "" },
		{ "{\"notification\":[{\"type\":\"change\"}]}", UNKNOWN, "" },
		{ "{\"notification\":null}", UNKNOWN, "" },
		{ "{\"notification\":\"change\"}", UNKNOWN, "" },
		{ "{\"notification\":{}}", UNKNOWN, "" },
		{ "{\"notification\":{\"type\":null}}", UNKNOWN, "" },
		{ "{\"notification\":{\"type\":7}}", UNKNOWN, "" },
		{ "{\"notification\":{\"type\":\"\"}}", UNKNOWN, "" },
		{ "{\"notification\":{\"type\":[\"change\"]}}", UNKNOWN, "" },
		{ "{\"type\":\"change\"}", UNKNOWN, "" },
		{ "{\"Notification\":{\"type\":\"change\"}}", UNKNOWN, "" },
		{ SUBSCRIPTION("[]"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("null"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("{}"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("{\"type\":\"conferencing_assigned\"}"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("\"conferencing_assigned\""), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("[\"conferencing_assigned\"]"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("[[{\"type\":\"a\"}]]"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("[{}]"), ONE("event_subscription"), "qTtZ" },
		{ SUBSCRIPTION("[{\"type\":\"\"},{\"type\":0},{\"subtype\":\"profile_missing\"}]"), ONE("event_subscription"),
		  "qTtZ" },
		{ SUBSCRIPTION("[null,{\"type\":\"a\"},7,{\"type\":null}]"), ONE("a"), "qTtZ" },
		{ SUBSCRIPTION("[{\"type\":\"a\",\"subtype\":null}]"), ONE("a"), "qTtZ" },
		{ SUBSCRIPTION("[{\"type\":\"a\",\"subtype\":\"\"}]"), ONE("a"), "qTtZ" },
		{ SUBSCRIPTION("[{\"type\":\"a\",\"subtype\":[\"b\"],\"new\":{}}]"), ONE("a"), "qTtZ" },
		{ "{\"notification\":{\"interactions\":[{\"type\":\"a\"}]}}", ONE("a"), "" },
		{ "{\"interactions\":[{\"type\":\"a\"}]}", UNKNOWN, "" },
		{ "{\"event\":null}", UNKNOWN, "" },
		{ "{\"event\":[]}", UNKNOWN, "" },
		{ "{\"event\":\"qTtZ\"}", UNKNOWN, "" },
		{ "{\"event\":{}}", UNKNOWN, "" },
		{ "{\"event\":{\"event_id\":null}}", UNKNOWN, "" },
		{ "{\"event\":{\"event_id\":42}}", UNKNOWN, "" },
		{ "{\"event\":{\"event_id\":\"\"}}", UNKNOWN, "" },
		{ "{\"event\":{\"event_id\":{\"event_id\":\"qTtZ\"}}}", UNKNOWN, "" },
		{ "{\"event_id\":\"qTtZ\"}", UNKNOWN, "" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(odd); i++)
		accept(span_text(odd[i].body), odd[i].interactions, odd[i].event_id);
}

static void test_reads_texts(void)
{
	accept(SPAN(NOTIFICATION("ch\\u0061nge")), ONE("change"), "");
	accept(SPAN(NOTIFICATION("\\\"\\\\\\/\\b\\f\\n\\r\\t")), ONE("\\\"\\\\/\\u0008\\u000c\\n\\r\\t"), "");
	accept(SPAN(NOTIFICATION("a\\u0000b")), ONE("a\\u0000b"), "");
	accept(SPAN(NOTIFICATION("\\u0000")), ONE("\\u0000"), "");
	accept(SPAN(NOTIFICATION("gr\xc3\xb6\xc3\x9f\x65")), ONE("gr\xc3\xb6\xc3\x9f\x65"), "");
	accept(SPAN(NOTIFICATION("\\ud83d\\udd14")), ONE("\xf0\x9f\x94\x94"), "");
	accept(SPAN(NOTIFICATION("\xf0\x9f\x94\x94")), ONE("\xf0\x9f\x94\x94"), "");
	accept(SPAN("{\"event\":{\"summary\":\"\\u202e \xe2\x80\xae \\uffff \xef\xbf\xbf a\xcc\x80\xcc\x81 \\u0000\"}}"),
		   UNKNOWN, "");
	accept(SPAN("{\"\":\"\",\"event\":{\"event_id\":\"\\u0031\",\"\":{\"\":[]}}}"), UNKNOWN, "1");
}

static void test_reads_ids_with_nul(void)
{
	CLEANUP(event_unref) struct event *event = event_of(SPAN("{\"event\":{\"event_id\":\"a\\u0000b\"}}"));
	CU_ASSERT_EQUAL(event->kind, EVENT_CALLBACK);
	CU_ASSERT_TRUE(span_equal(event->event_id, SPAN("a\0b")));
}

/* --- numbers --- */

#define DIGITS_40 "9999999999999999999999999999999999999999"
#define DIGITS_400 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40 DIGITS_40

static void test_reads_numbers_of_any_size(void)
{
	static const char *const numbers[] = {
		"0",
		"-0",
		"-0.0",
		"9223372036854775807",
		"9223372036854775808",
		"-9223372036854775808",
		"-9223372036854775809",
		"18446744073709551616",
		"1e308",
		"1e309",
		"1E400",
		"1e+400",
		"-1e400",
		"1e-400",
		"-1.5e-400",
		"0.0000000000000000000000000000001e9999",
		DIGITS_400,
		"-" DIGITS_400,
		DIGITS_400 "." DIGITS_400,
		DIGITS_400 "." DIGITS_400 "e" DIGITS_400,
		"1e" DIGITS_400,
		"1e-" DIGITS_400,
		"1e400,1e400,9223372036854775808,\"1e400\",[-1e400],{\"1e400\":1e400}",
		"\t1e400\n",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		buffer_add_printf(&body, "{\"x\":[%s],\"notification\":{\"type\":\"1e400\"},\"event\":{\"event_id\":\"-0\"}}",
						  numbers[i]);
		accept(buffer_span(&body), ONE("1e400"), "-0");
	}
	accept(SPAN("{\"a\":1e400,\"b\\\"1e400\":\"\\\\\",\"c\":1e400}"), UNKNOWN, "");
}

/* Each one alone, and in front of and behind a number that is good but too large for jansson: then it is read from a
 * copy without numbers, and what is no number must not become one there. */
static void test_refuses_what_is_no_number(void)
{
	static const char *const junk[] = {
		"-",
		"+1",
		"01",
		"-01",
		"00",
		"1.",
		".5",
		"1.e5",
		"1e",
		"1e+",
		"1E-",
		"1e+-1",
		"--1",
		"1-1",
		"1 1",
		"0x10",
		"1_000",
		"1,,1",
		"1e5.5",
		"1.5.5",
		"1ee5",
		"NaN",
		"-NaN",
		"Infinity",
		"-Infinity",
		"inf",
		"1f",
		"1e400x",
		"1e400.",
		"1e400e",
		"1e400 1e400",
		"1e400-1",
		"-1e400-1",
		"1e400+1",
		"1e400.5",
		"01e400",
		"-e400",
		".1e400",
		"+1e400",
		"1e400true",
		"true1e400",
		"1e400\"a\"",
		"\"a\"1e400",
		"1e400[]",
		"[]1e400",
		"1e400:",
		"1e400}",
		"1e400]",
		"tr1e400ue",
		"nul0l",
		"\\u0031",
		"\xd9\xa1"
		"e400",
		"1e4\\u00300",
		DIGITS_400 "x",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(junk); i++) {
		CLEANUP(buffer_finish) struct buffer alone = BUFFER_INIT, behind = BUFFER_INIT, before = BUFFER_INIT;
		buffer_add_printf(&alone, "{\"x\":[%s]}", junk[i]);
		buffer_add_printf(&behind, "{\"x\":[1e400,%s]}", junk[i]);
		buffer_add_printf(&before, "{\"x\":[%s,1e400]}", junk[i]);
		refuse(buffer_span(&alone), "not_json");
		refuse(buffer_span(&behind), "not_json");
		refuse(buffer_span(&before), "not_json");
	}
}

static void test_refuses_other_faults_behind_large_numbers(void)
{
	refuse(SPAN("{\"x\":1e400,\"a\":1,\"a\":2}"), "duplicate_key");
	refuse(SPAN("{\"x\":1e400,\"a\":\"\xff\"}"), "invalid_utf8");
	refuse(SPAN("{\"x\":1e400,\"a\\u0000\":1}"), "null_in_key");
	refuse(SPAN("{\"x\":1e400} 1"), "trailing_bytes");
	refuse(SPAN("{\"x\":1e400} 1e400"), "trailing_bytes");
	refuse(SPAN("{\"x\":1e400"), "premature_end");
	refuse(SPAN("{\"x\":1e400,\"y\":\"1"), "premature_end");
	refuse(SPAN("[1e400]"), "not_an_object");
	refuse(SPAN("1e400"), "not_an_object");
}

/* --- depth --- */

/* {"x":[[ ... ]]}, n deep in all */
static void nest(struct buffer *body, size_t n, const char *inside)
{
	buffer_add_text(body, "{\"x\":");
	for (size_t i = 1; i < n; i++)
		buffer_add_text(body, i % 2 ? "[" : "{\"y\":");
	buffer_add_text(body, inside);
	for (size_t i = n - 1; i > 0; i--)
		buffer_add_text(body, i % 2 ? "]" : "}");
	buffer_add_text(body, "}");
}

static void test_bounds_depth(void)
{
	static const size_t too_deep[] = { CALLBACK_MAX_DEPTH + 1, CALLBACK_MAX_DEPTH + 2, 100, 2047, 2048, 2049, 50000 };
	for (size_t n = 1; n <= CALLBACK_MAX_DEPTH; n++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		nest(&body, n, "1");
		accept(buffer_span(&body), UNKNOWN, "");
	}
	for (size_t i = 0; i < ARRAY_LENGTH(too_deep); i++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		nest(&body, too_deep[i], "1");
		refuse(buffer_span(&body), "too_deep");
	}
}

static void test_counts_depth_outside_of_strings(void)
{
	static const char *const inside[] = {
		"\"[[[[{{{{\"",   "\"\\\"[[[[\"",          "\"\\\\\",\"[[[[\"",     "\"\\\\\\\"[[[[\"",
		"\"]]]]\",\"[\"", "\"\\u005b[[[\\u005B\"", "\"a\",\"[\\\\\",\"{\"", "\"\\\"]\",\"{{\\\\\\\"\"",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(inside); i++) {
		CLEANUP(buffer_finish) struct buffer deepest = BUFFER_INIT, deeper = BUFFER_INIT, list = BUFFER_INIT;
		nest(&deepest, CALLBACK_MAX_DEPTH, inside[i]); /* 32 is even: a list is innermost */
		accept(buffer_span(&deepest), UNKNOWN, "");
		buffer_add_printf(&list, "[%s]", inside[i]);
		CLEANUP(free) char *text = buffer_steal_text(&list);
		nest(&deeper, CALLBACK_MAX_DEPTH, text);
		refuse(buffer_span(&deeper), "too_deep");
	}
}

static void test_counts_depth_not_brackets(void)
{
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	buffer_add_text(&body, "{\"x\":[");
	for (size_t i = 0; i < 1000; i++)
		buffer_add_text(&body, "[{}],");
	buffer_add_text(&body, "[]]}");
	accept(buffer_span(&body), UNKNOWN, "");
}

/* --- what cannot be read --- */

static void test_refuses_with_a_reason(void)
{
	static const struct {
		struct span body;
		const char *reason;
	} bad[] = {
		{ { NULL, 0 }, "empty" },
		{ SPAN(""), "empty" },
		{ SPAN(" "), "premature_end" },
		{ SPAN("\r\n\t "), "premature_end" },
		{ SPAN("{"), "premature_end" },
		{ SPAN("{\"notification\""), "premature_end" },
		{ SPAN("{\"notification\":"), "premature_end" },
		{ SPAN("{\"notification\":{\"type\":\"change"), "premature_end" },
		{ SPAN("{\"notification\":{\"type\":\"change\\"), "not_json" },
		{ SPAN(NOTIFICATION("change") "}"), "trailing_bytes" },
		{ SPAN("{}{}"), "trailing_bytes" },
		{ SPAN("{} x"), "trailing_bytes" },
		{ SPAN("{}\0"), "not_json" },
		{ SPAN("{},"), "trailing_bytes" },
		{ SPAN("null"), "not_an_object" },
		{ SPAN("true"), "not_an_object" },
		{ SPAN("42"), "not_an_object" },
		{ SPAN("\"{}\""), "not_an_object" },
		{ SPAN("[]"), "not_an_object" },
		{ SPAN("[" NOTIFICATION("change") "]"), "not_an_object" },
		{ SPAN("ding dong"), "not_json" },
		{ SPAN("notification=change"), "not_json" },
		{ SPAN("<notification/>"), "not_json" },
		{ SPAN("\0"), "not_json" },
		{ SPAN("\0{}"), "not_json" },
		{ SPAN("{\"x\":0\0}"), "not_json" },
		{ SPAN("{\"x\":[1.5\0,1e400\0]}"), "not_json" },
		{ SPAN("{\"x\":true\0}"), "not_json" },
		{ SPAN("\xef\xbb\xbf{}"), "not_json" }, /* a byte order mark (RFC 8259 8.1) */
		{ SPAN("{\"x\":NaN}"), "not_json" },
		{ SPAN("{\"x\":nil}"), "not_json" },
		{ SPAN("{\"x\":True}"), "not_json" },
		{ SPAN("{\"x\":1,}"), "not_json" },
		{ SPAN("{\"x\":[1,]}"), "not_json" },
		{ SPAN("{,}"), "not_json" },
		{ SPAN("{\"x\" 1}"), "not_json" },
		{ SPAN("{\"x\"}"), "not_json" },
		{ SPAN("{\"x\":}"), "not_json" },
		{ SPAN("{\"x\":[}"), "not_json" },
		{ SPAN("{\"x\":[1}]"), "not_json" },
		{ SPAN("{x:1}"), "not_json" },
		{ SPAN("{'x':1}"), "not_json" },
		{ SPAN("{1:1}"), "not_json" },
		{ SPAN("{\"x\":1 /* one */}"), "not_json" },
		{ SPAN("// one\n{}"), "not_json" },
		{ SPAN("\f{}"), "not_json" },
		{ SPAN("\xc2\xa0{}"), "not_json" }, /* a blank, but not JSON's */
		{ SPAN("{\"x\":\"\\x41\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\u12\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\u12g4\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\U0041\"}"), "not_json" },
		{ SPAN("{\"x\":\"a\nb\"}"), "not_json" },
		{ SPAN("{\"x\":\"a\tb\"}"), "not_json" },
		{ SPAN("{\"x\":\"a\0b\"}"), "not_json" },
		{ SPAN("{\"x\":\"\x1f\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\ud800\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\ud800a\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\udc00\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\udc00\\ud800\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\ud800\\ud800\"}"), "not_json" },
		{ SPAN("{\"x\":\"\\ud800\\u0041\"}"), "not_json" },
		{ SPAN("{\"\\ud800\":1}"), "not_json" },
		{ SPAN("{\"x\":\"\xff\"}"), "invalid_utf8" },
		{ SPAN("{\"\xff\":1}"), "invalid_utf8" },
		{ SPAN("\xff\xfe{\0}\0"), "not_json" },
		{ SPAN("{\"x\":\"\xc3\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xc3\x28\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xc0\x80\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xe0\x80\xaf\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xed\xa0\x80\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xed\xa0\xbd\xed\xb4\x94\"}"), "invalid_utf8" }, /* CESU-8 */
		{ SPAN("{\"x\":\"\xf4\x90\x80\x80\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xf8\x88\x80\x80\x80\"}"), "invalid_utf8" },
		{ SPAN("{\"x\":\"\xc3"), "invalid_utf8" },
		{ SPAN("{}\xff"), "invalid_utf8" },
		{ SPAN("{\"a\\u0000b\":1}"), "null_in_key" },
		{ SPAN("{\"\\u0000\":1}"), "null_in_key" },
		{ SPAN("{\"x\":[{\"a\":{\"b\\u0000\":1}}]}"), "null_in_key" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		refuse(bad[i].body, bad[i].reason);
}

static void test_refuses_keys_that_stand_twice(void)
{
	static const char *const twice[] = {
		"{\"notification\":{\"type\":\"a\"},\"notification\":{\"type\":\"b\"}}",
		"{\"notification\":{\"type\":\"a\"},\"notification\":{\"type\":\"a\"}}",
		"{\"notification\":{\"type\":\"a\",\"type\":\"b\"}}",
		"{\"notification\":{\"interactions\":[{\"type\":\"a\",\"type\":\"b\"}]}}",
		"{\"event\":{\"event_id\":\"1\",\"event_id\":\"2\"}}",
		"{\"a\":1,\"\\u0061\":2}",
		"{\"\xc3\xa9\":1,\"\\u00e9\":2}",
		"{\"\":1,\"\":2}",
		"{\"x\":null,\"x\":null}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(twice); i++)
		refuse(span_text(twice[i]), "duplicate_key");
	for (size_t n = 2; n < CALLBACK_MAX_DEPTH; n++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		nest(&body, n, "{\"a\":1,\"b\":2,\"a\":3}");
		refuse(buffer_span(&body), "duplicate_key");
	}
	accept(SPAN("{\"a\":{\"a\":1},\"b\":{\"a\":1},\"A\":[{\"a\":1},{\"a\":1}]}"), UNKNOWN, "");
}

/* No prefix of a body is a body: whatever was cut is told from whatever is whole. */
static void test_refuses_every_prefix(void)
{
	struct span body =
		SPAN("{\"notification\":{\"interactions\":[{\"type\":\"a\",\"subtype\":\"\\ud83d\\udd14\xc3\xa9\"}]},"
			 "\"x\":[1.5e3,9223372036854775808,true,null]}");
	accept(body, "[{\"type\":\"a\",\"subtype\":\"\xf0\x9f\x94\x94\xc3\xa9\"}]", "");
	for (size_t n = 0; n < body.n; n++) {
		CLEANUP(free) char *cut = malloc(n + !n); /* of exactly this size */
		memcpy(cut, body.data, n);
		CLEANUP(event_unref) struct event *event = event_of(span_of(cut, n));
		CU_ASSERT_EQUAL(event->kind, EVENT_MALFORMED);
	}
}

/* --- size --- */

#define LARGE (250 * 1024)

static void fill(struct buffer *body, const char *piece)
{
	while (body->n < LARGE)
		buffer_add_text(body, piece);
}

static void test_reads_large_bodies(void)
{
	static const char *const pieces[] = { "a",       "\xf0\x9f\x94\x94", "\\\\", "\\\"",
										  "\\u0000", "\\ud83d\\udd14",   "[{",   "\\n" };
	for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		buffer_add_text(&body, "{\"event\":{\"event_id\":\"1\",\"summary\":\"");
		fill(&body, pieces[i]);
		buffer_add_text(&body, "\"},\"notification\":{\"type\":\"change\"}}");
		accept(buffer_span(&body), ONE("change"), "1");
	}
}

static void test_reads_many_keys(void)
{
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT, same = BUFFER_INIT;
	buffer_add_text(&body, "{\"notification\":{\"type\":\"change\"}");
	for (size_t i = 0; body.n < LARGE; i++)
		buffer_add_printf(&body, ",\"%zx\":%zu", i, i);
	buffer_add(&same, buffer_span(&body));
	buffer_add_text(&body, "}");
	accept(buffer_span(&body), ONE("change"), "");
	buffer_add_text(&same, ",\"7ff\":0}");
	refuse(buffer_span(&same), "duplicate_key");
}

static void test_reads_many_interactions(void)
{
	CLEANUP(buffer_finish) struct buffer list = BUFFER_INIT, body = BUFFER_INIT;
	size_t n = 1;
	buffer_add_text(&list, "[{\"type\":\"first\"}");
	for (; list.n < LARGE; n++)
		buffer_add_printf(&list, ",{\"type\":\"%zu\",\"subtype\":\"x\"}", n);
	buffer_add_text(&list, "]");
	CLEANUP(free) char *interactions = buffer_steal_text(&list);
	buffer_add_printf(&body, SUBSCRIPTION("%s"), interactions);
	accept(buffer_span(&body), interactions, "qTtZ");
	CLEANUP(event_unref) struct event *event = event_of(buffer_span(&body));
	CU_ASSERT_EQUAL(event->n_interactions, n);
}

static void test_refuses_large_bodies(void)
{
	static const struct {
		const char *piece, *reason;
	} bodies[] = { { "[", "too_deep" },           { "{\"a\":", "too_deep" }, { "\"", "trailing_bytes" },
				   { "\\", "not_json" },          { "1", "not_an_object" },  { " ", "premature_end" },
				   { "{}", "trailing_bytes" },    { "]", "not_json" },       { "-", "not_json" },
				   { "1e400", "trailing_bytes" }, { "\xff", "invalid_utf8" } };
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
		fill(&body, bodies[i].piece);
		CLEANUP(event_unref) struct event *event = event_of(buffer_span(&body));
		CU_ASSERT_TRUE(check(event->malformed, span_text(bodies[i].reason), buffer_span(&body)));
	}
}

/* --- threads --- */

/* Without CUnit, which does not know threads. Fails by returning something else than what it was given. */
static void *read_often(void *given)
{
	static const struct {
		struct span body;
		enum event_kind kind;
		struct span event_id;
	} bodies[] = {
		{ SPAN(SUBSCRIPTION("[{\"type\":\"a\"}]")), EVENT_CALLBACK, SPAN("qTtZ") },
		{ SPAN("{\"x\":1e400,\"event\":{\"event_id\":\"1\"}}"), EVENT_CALLBACK, SPAN("1") },
		{ SPAN("{\"x\":[[{}],\"cut"), EVENT_MALFORMED, SPAN("") },
	};
	struct callback_origin origin = { .source = SPAN("cronofy") };
	for (size_t i = 0; i < 600; i++) {
		CLEANUP(event_unref) struct event *event = NULL;
		size_t k = i % ARRAY_LENGTH(bodies);
		if (callback_to_event(&origin, bodies[k].body, &event) != 0 || event->kind != bodies[k].kind ||
			!span_equal(event->event_id, bodies[k].event_id))
			return NULL;
	}
	return given;
}

static void test_reads_in_several_threads(void)
{
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, read_often, threads), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
		void *result = NULL;
		CU_ASSERT_EQUAL(pthread_join(threads[i], &result), 0);
		CU_ASSERT_PTR_EQUAL(result, threads);
	}
}

UNIT_MAIN({ "reads what happens to conferences", test_reads_conferencing },
		  { "reads every notification", test_reads_notifications },
		  { "reads what has no notification", test_reads_what_has_no_notification },
		  { "reads around wrong types", test_reads_around_wrong_types },
		  { "reads escapes and all of Unicode", test_reads_texts },
		  { "reads an id with NUL in it", test_reads_ids_with_nul },
		  { "reads numbers of any size", test_reads_numbers_of_any_size },
		  { "refuses what is no number", test_refuses_what_is_no_number },
		  { "refuses other faults behind large numbers", test_refuses_other_faults_behind_large_numbers },
		  { "bounds depth", test_bounds_depth },
		  { "counts depth outside of strings", test_counts_depth_outside_of_strings },
		  { "counts depth, not brackets", test_counts_depth_not_brackets },
		  { "refuses with a reason", test_refuses_with_a_reason },
		  { "refuses keys that stand twice", test_refuses_keys_that_stand_twice },
		  { "refuses every prefix", test_refuses_every_prefix }, { "reads large bodies", test_reads_large_bodies },
		  { "reads many keys", test_reads_many_keys }, { "reads many interactions", test_reads_many_interactions },
		  { "refuses large bodies", test_refuses_large_bodies },
		  { "reads in several threads at once", test_reads_in_several_threads })
