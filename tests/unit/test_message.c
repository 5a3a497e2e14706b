/* SPDX-License-Identifier: Apache-2.0 */
/* What subscribers say, as JSON and in a URL. Refusals are compared with the very words that the subscriber gets. */
#include "unit.h"
#include "wire/message.h"

#include <stdio.h>

static bool is_text(struct span actual, const char *expected)
{
	bool is_right = span_equal(actual, span_text(expected));
	if (!is_right)
		fprintf(stderr, "%.*s, not %s\n", SPAN_PRINTF(actual), expected);
	return is_right;
}

/* The caller finishes. */
static struct message parse(struct span text)
{
	struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	int r = message_parse(text, &message, &reason);
	if (r != MESSAGE_OK)
		fprintf(stderr, "%.*s: %.*s\n", SPAN_PRINTF(buffer_span(&reason)), SPAN_PRINTF(text));
	CU_ASSERT_EQUAL_FATAL(r, MESSAGE_OK);
	CU_ASSERT_EQUAL(reason.n, 0);
	return message;
}

static void refuse(struct span text, enum message_outcome outcome, const char *id, const char *words)
{
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	CU_ASSERT_EQUAL(message_parse(text, &message, &reason), (int)outcome);
	CU_ASSERT_TRUE(is_text(buffer_span(&reason), words));
	CU_ASSERT_EQUAL(!message.id, !id);
	CU_ASSERT_TRUE(!message.id || !id || is_text(span_text(message.id), id));
}

static bool has_filter(const struct message *message, size_t i, const char *id, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	if (i >= message->n_filters)
		return false;
	filter_add_json(&json, &message->filters[i].filter);
	return is_text(span_text(message->filters[i].id), id) && is_text(buffer_span(&json), expected);
}

/* --- JSON: what is accepted --- */

static void test_reads_auth(void)
{
	CLEANUP(message_finish) struct message message = parse(SPAN("{\"type\":\"auth\",\"token\":\"a.b.c\"}"));
	CU_ASSERT_EQUAL(message.type, MESSAGE_AUTH);
	CU_ASSERT_STRING_EQUAL(message.token, "a.b.c");
	CU_ASSERT_PTR_NULL(message.id);
	CU_ASSERT_PTR_NULL(message.ticket);
	CU_ASSERT_EQUAL(message.n_filters, 0);
	CLEANUP(message_finish)
	struct message other = parse(SPAN(" {\"token\":\"\xc3\xa9\",\"id\":\"1\",\"type\":\"auth\"}\n"));
	CU_ASSERT_STRING_EQUAL(other.token, "\xc3\xa9"); /* whether it is any good is not said here */
	CU_ASSERT_STRING_EQUAL(other.id, "1");
}

static void test_reads_subscribe(void)
{
	CLEANUP(message_finish)
	struct message message =
		parse(SPAN("{\"type\":\"subscribe\",\"id\":\"s1\",\"filter\":{\"tags\":{\"user\":\"42\"}}}"));
	CU_ASSERT_EQUAL(message.type, MESSAGE_SUBSCRIBE);
	CU_ASSERT_STRING_EQUAL(message.id, "s1");
	CU_ASSERT_EQUAL(message.n_filters, 1);
	CU_ASSERT_TRUE(has_filter(&message, 0, "s1", "{\"tags\":{\"user\":[\"42\"]}}"));
	CU_ASSERT_EQUAL(message.start, MESSAGE_START_NONE);
	CU_ASSERT_FALSE(message.filters[0].filter.has_outcomes);
}

static void test_reads_several_filters(void)
{
	CLEANUP(message_finish)
	struct message message = parse(SPAN("{\"type\":\"subscribe\",\"filters\":{\"s2\":{},\"s1\":{\"sources\":\"a\"},"
										"\"\\u00e9\":{\"interactions\":[\"b*\"]}},\"outcomes\":true}"));
	CU_ASSERT_EQUAL_FATAL(message.n_filters, 3);
	CU_ASSERT_TRUE(has_filter(&message, 0, "s2", "{}"));
	CU_ASSERT_TRUE(has_filter(&message, 1, "s1", "{\"sources\":[\"a\"]}"));
	CU_ASSERT_TRUE(has_filter(&message, 2, "\xc3\xa9", "{\"interactions\":[\"b*\"]}"));
	CU_ASSERT_PTR_NULL(message.id);
	for (size_t i = 0; i < message.n_filters; i++)
		CU_ASSERT_TRUE(message.filters[i].filter.has_outcomes);
	CLEANUP(message_finish)
	struct message named =
		parse(SPAN("{\"type\":\"subscribe\",\"id\":\"7\",\"filters\":{\"s1\":{}},\"outcomes\":false}"));
	CU_ASSERT_STRING_EQUAL(named.id, "7");
	CU_ASSERT_TRUE(has_filter(&named, 0, "s1", "{}"));
	CU_ASSERT_FALSE(named.filters[0].filter.has_outcomes);
}

#define SUBSCRIBE(more) "{\"type\":\"subscribe\",\"id\":\"s1\",\"filter\":{}," more "}"

static void test_reads_where_to_start(void)
{
	CLEANUP(message_finish) struct message earliest = parse(SPAN(SUBSCRIBE("\"after\":\"earliest\"")));
	CLEANUP(message_finish) struct message latest = parse(SPAN(SUBSCRIBE("\"after\":\"latest\"")));
	CLEANUP(message_finish) struct message after = parse(SPAN(SUBSCRIBE("\"after\":\"k3x9-42\"")));
	CLEANUP(message_finish) struct message zero = parse(SPAN(SUBSCRIBE("\"after\":\"k3x9-0\"")));
	CLEANUP(message_finish) struct message one = parse(SPAN(SUBSCRIBE("\"last\":1")));
	CLEANUP(message_finish) struct message most = parse(SPAN(SUBSCRIBE("\"last\":100")));
	CU_ASSERT_EQUAL(earliest.start, MESSAGE_START_EARLIEST);
	CU_ASSERT_EQUAL(latest.start, MESSAGE_START_LATEST);
	CU_ASSERT_EQUAL(after.start, MESSAGE_START_AFTER);
	CU_ASSERT_STRING_EQUAL(after.after.epoch, "k3x9");
	CU_ASSERT_EQUAL(after.after.sequence, 42);
	CU_ASSERT_EQUAL(zero.after.sequence, 0);
	CU_ASSERT_EQUAL(one.start, MESSAGE_START_LAST);
	CU_ASSERT_EQUAL(one.last, 1);
	CU_ASSERT_EQUAL(most.last, MESSAGE_MAX_LAST);
}

static void test_reads_unsubscribe_and_ping(void)
{
	CLEANUP(message_finish) struct message unsubscribe = parse(SPAN("{\"type\":\"unsubscribe\",\"id\":\"s1\"}"));
	CLEANUP(message_finish) struct message ping = parse(SPAN("{\"type\":\"ping\"}"));
	CLEANUP(message_finish) struct message named = parse(SPAN("{\"type\":\"ping\",\"id\":\"p1\"}"));
	CU_ASSERT_EQUAL(unsubscribe.type, MESSAGE_UNSUBSCRIBE);
	CU_ASSERT_STRING_EQUAL(unsubscribe.id, "s1");
	CU_ASSERT_EQUAL(ping.type, MESSAGE_PING);
	CU_ASSERT_PTR_NULL(ping.id);
	CU_ASSERT_STRING_EQUAL(named.id, "p1");
}

/* --- JSON: what is refused --- */

static void test_refuses_what_is_no_object(void)
{
	static const struct span bad[] = {
		{ NULL, 0 },
		SPAN(""),
		SPAN(" "),
		SPAN("ping"),
		SPAN("{"),
		SPAN("{\"type\":\"ping\""),
		SPAN("{\"type\":\"ping\"} x"),
		SPAN("{\"type\":\"ping\"}{\"type\":\"ping\"}"),
		SPAN("{\"type\":\"ping\"}\0"),
		SPAN("{\"type\":\"ping\",\"type\":\"ping\"}"),
		SPAN("{\"type\":\"subscribe\",\"id\":\"s1\",\"filter\":{\"tags\":{\"a\":\"1\",\"a\":\"2\"}}}"),
		SPAN("{\"type\":\"subscribe\",\"filters\":{\"s1\":{},\"s1\":{}}}"),
		SPAN("{\"type\":\"ping\",\"id\\u0000\":\"1\"}"),
		SPAN("{\"type\":\"ping\",\"id\":\"\xff\"}"),
		SPAN("{\"type\":\"ping\",\"id\":\"\\ud800\"}"),
		SPAN("{\"type\":\"ping\",\"id\":NaN}"),
		SPAN("{'type':'ping'}"),
		SPAN("\xef\xbb\xbf{\"type\":\"ping\"}"),
		SPAN(SUBSCRIBE("\"last\":9223372036854775808")),
		SPAN(SUBSCRIBE("\"last\":1e400")),
	};
	static const char *const others[] = { "null", "true", "7", "\"ping\"", "[]", "[{\"type\":\"ping\"}]" };
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		refuse(bad[i], MESSAGE_E_MALFORMED, NULL, "a message is JSON");
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
		refuse(span_text(others[i]), MESSAGE_E_MALFORMED, NULL, "a message is a JSON object");
}

static void test_refuses_nesting_without_end(void)
{
	static const char *const pieces[] = { "[", "{\"a\":", "{\"filter\":" };
	for (size_t i = 0; i < ARRAY_LENGTH(pieces); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		while (text.n < 65536)
			buffer_add_text(&text, pieces[i]);
		refuse(buffer_span(&text), MESSAGE_E_MALFORMED, NULL, "a message is JSON");
	}
}

static void test_refuses_unknown_types(void)
{
	static const char words[] = "\"type\" is one of auth, subscribe, unsubscribe, ping";
	static const char *const types[] = { "null",     "7",         "\"\"",       "\"pong\"",
										 "\"Ping\"", "\"ping \"", "[\"ping\"]", "\"ping\\u0000\"",
										 "\"event\"" };
	refuse(SPAN("{}"), MESSAGE_E_UNKNOWN_TYPE, NULL, words);
	refuse(SPAN("{\"id\":\"1\"}"), MESSAGE_E_UNKNOWN_TYPE, "1", words);
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "{\"type\":%s,\"id\":\"s1\",\"what\":1}", types[i]);
		refuse(buffer_span(&text), MESSAGE_E_UNKNOWN_TYPE, "s1", words);
	}
}

static void test_refuses_bad_ids(void)
{
	static const char words[] = "\"id\" is a string of 1 to 64 bytes";
	static const char *const ids[] = { "null", "7", "true", "[]", "{}", "\"\"", "\"a\\u0000\"", "\"\\u0000\"" };
	for (size_t i = 0; i < ARRAY_LENGTH(ids); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "{\"type\":\"ping\",\"id\":%s}", ids[i]);
		refuse(buffer_span(&text), MESSAGE_E_MALFORMED, NULL, words);
	}
	for (size_t n = 1; n <= MESSAGE_MAX_ID_BYTES + 1; n++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "{\"type\":\"ping\",\"id\":\"%0*d\"}", (int)n, 0);
		if (n > MESSAGE_MAX_ID_BYTES) {
			refuse(buffer_span(&text), MESSAGE_E_MALFORMED, NULL, words);
			continue;
		}
		CLEANUP(message_finish) struct message message = parse(buffer_span(&text));
		CU_ASSERT_EQUAL(strlen(message.id), n);
	}
}

static void test_names_unknown_keys(void)
{
	static const struct {
		const char *text, *id, *words;
	} bad[] = {
		{ "{\"type\":\"ping\",\"id\":\"1\",\"x\":1}", "1", "unknown key \"x\"" },
		{ "{\"type\":\"ping\",\"token\":\"a\"}", NULL, "unknown key \"token\"" },
		{ "{\"type\":\"ping\",\"filter\":{}}", NULL, "unknown key \"filter\"" },
		{ "{\"type\":\"auth\",\"token\":\"a\",\"filter\":{}}", NULL, "unknown key \"filter\"" },
		{ "{\"type\":\"auth\",\"tokens\":\"a\"}", NULL, "unknown key \"tokens\"" },
		{ "{\"type\":\"auth\",\"toke\":\"a\"}", NULL, "unknown key \"toke\"" },
		{ "{\"type\":\"unsubscribe\",\"id\":\"1\",\"filter\":{}}", "1", "unknown key \"filter\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"1\",\"filter\":{},\"token\":\"a\"}", "1", "unknown key \"token\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"1\",\"filter\":{},\"From\":\"a\"}", "1", "unknown key \"From\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"1\",\"interactions\":[\"a\"]}", "1", "unknown key \"interactions\"" },
		{ "{\"type\":\"subscribe\",\"id\":\"1\",\"filter filters\":{}}", "1", "unknown key \"filter filters\"" },
		{ "{\"type\":\"ping\",\"\":1}", NULL, "unknown key \"\"" },
		{ "{\"type\":\"ping\",\"\\\"\\n\":1}", NULL, "unknown key \"\\\"\\n\"" },
		{ "{\"type\":\"ping\",\"type id\":1}", NULL, "unknown key \"type id\"" },
		{ "{\"type\":\"ping\",\"x123456789012345678901234567890123456789012345678901234567890123456789\":1}", NULL,
		  "unknown key \"x123456789012345678901234567890123456789012345678901234567890123\"" }, /* cut at 64 bytes */
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		refuse(span_text(bad[i].text), MESSAGE_E_MALFORMED, bad[i].id, bad[i].words);
}

static void test_refuses_bad_tokens(void)
{
	static const char *const tokens[] = { "null", "7", "\"\"", "[\"a\"]", "\"a\\u0000b\"", "\"\\u0000\"" };
	refuse(SPAN("{\"type\":\"auth\",\"id\":\"1\"}"), MESSAGE_E_MALFORMED, "1", "auth takes a \"token\"");
	for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "{\"type\":\"auth\",\"token\":%s}", tokens[i]);
		refuse(buffer_span(&text), MESSAGE_E_MALFORMED, NULL, "auth takes a \"token\"");
	}
}

static void test_refuses_bad_subscriptions(void)
{
	static const char either[] = "subscribe takes either \"id\" and \"filter\", or \"filters\":{\"ID\":{...}}";
	static const char object[] = "\"filters\" is an object with at least one member: {\"ID\":{...}}";
	static const char id[] = "the id of a subscription has 1 to 64 bytes";
	static const char is_object[] = "a filter is an object";
	static const struct {
		const char *rest, *words;
	} bad[] = {
		{ "", either },
		{ ",\"filter\":{},\"filters\":{\"a\":{}}", either },
		{ ",\"filters\":null", object },
		{ ",\"filters\":[]", object },
		{ ",\"filters\":[{}]", object },
		{ ",\"filters\":{}", object },
		{ ",\"filters\":{\"\":{}}", id },
		{ ",\"filters\":{\"a\":{},\"x1234567890123456789012345678901234567890123456789012345678901234\":{}}", id },
		{ ",\"filters\":{\"a\":null}", is_object },
		{ ",\"filters\":{\"a\":{},\"b\":\"*\"}", is_object },
		{ ",\"filter\":null", is_object },
		{ ",\"filter\":[{}]", is_object },
		{ ",\"filter\":{\"users\":[\"42\"]}",
		  "a filter has the keys interactions, subtypes, sources, event_ids and tags" },
		{ ",\"filter\":{\"interactions\":[\"*a\"]}", "a star may stand only at the end of an interaction's type" },
		{ ",\"filter\":{\"sources\":[]}",
		  "a list in a filter must have a member; leave the key out to match everything" },
		{ ",\"filter\":{\"sources\":[\"a\\u0000\"]}", "a member of a filter must not contain NUL" },
		{ ",\"filter\":{\"tags\":{\"user\":42}}", "a key of a filter takes a string or a list of strings" },
		{ ",\"filter\":{},\"outcomes\":null", "\"outcomes\" is true or false" },
		{ ",\"filter\":{},\"outcomes\":1", "\"outcomes\" is true or false" },
		{ ",\"filter\":{},\"outcomes\":\"true\"", "\"outcomes\" is true or false" },
	};
	refuse(SPAN("{\"type\":\"subscribe\",\"filter\":{}}"), MESSAGE_E_MALFORMED, NULL,
		   "subscribe with a \"filter\" needs an \"id\"");
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "{\"type\":\"subscribe\",\"id\":\"s1\"%s}", bad[i].rest);
		refuse(buffer_span(&text), MESSAGE_E_MALFORMED, "s1", bad[i].words);
	}
}

static const char no_position[] = "\"after\" is a position as the gateway gave it, \"earliest\" or \"latest\"";
static const char exclusive[] = "\"after\" and \"last\" exclude each other";
static const char no_last[] = "\"last\" is a number from 1 to 100";

static void test_refuses_bad_starts(void)
{
	static const char *const positions[] = {
		"null",
		"0",
		"42",
		"\"\"",
		"\"42\"",
		"\"k3x9\"",
		"\"k3x9-\"",
		"\"-42\"",
		"\"k3x9--1\"",
		"\"k3x9-9223372036854775808\"",
		"\"Earliest\"",
		"\"latest \"",
		"[\"earliest\"]",
		"{}",
		"\"k3x9-42\\u0000\"",
		"\"k3x9-042\"",
		"true",
		"\"earliest\\u0000\"",
	};
	static const char *const lasts[] = {
		"null", "0", "-1", "101", "1.0", "1e1", "\"1\"", "true", "[1]", "9223372036854775807", "-9223372036854775808"
	};
	for (size_t i = 0; i < ARRAY_LENGTH(positions); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, SUBSCRIBE("\"after\":%s"), positions[i]);
		refuse(buffer_span(&text), MESSAGE_E_POSITION, "s1", no_position);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(lasts); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, SUBSCRIBE("\"last\":%s"), lasts[i]);
		refuse(buffer_span(&text), MESSAGE_E_MALFORMED, "s1", no_last);
	}
	refuse(SPAN(SUBSCRIBE("\"after\":\"latest\",\"last\":1")), MESSAGE_E_MALFORMED, "s1", exclusive);
	refuse(SPAN(SUBSCRIBE("\"last\":1,\"after\":\"k3x9-42\"")), MESSAGE_E_MALFORMED, "s1", exclusive);
}

static void test_refuses_unsubscribe_without_id(void)
{
	refuse(SPAN("{\"type\":\"unsubscribe\"}"), MESSAGE_E_MALFORMED, NULL,
		   "unsubscribe needs the \"id\" of the subscription");
}

static void test_forgets_earlier_reasons(void)
{
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	buffer_add_text(&reason, "something else");
	CU_ASSERT_EQUAL(message_parse(SPAN("[]"), &message, &reason), MESSAGE_E_MALFORMED);
	CU_ASSERT_TRUE(is_text(buffer_span(&reason), "a message is a JSON object"));
}

static void test_names_outcomes(void)
{
	CU_ASSERT_STRING_EQUAL(message_outcome_name(MESSAGE_OK), "ok");
	CU_ASSERT_STRING_EQUAL(message_outcome_name(MESSAGE_E_MALFORMED), "malformed");
	CU_ASSERT_STRING_EQUAL(message_outcome_name(MESSAGE_E_UNKNOWN_TYPE), "unknown_type");
	CU_ASSERT_STRING_EQUAL(message_outcome_name(MESSAGE_E_POSITION), "bad_position");
}

/* --- URLs --- */

/* The caller finishes. */
static struct message parse_query(const char *query, const char *others)
{
	struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	int r = message_parse_query(span_text(query), others, &message, &reason);
	if (r != MESSAGE_OK)
		fprintf(stderr, "%.*s: %s\n", SPAN_PRINTF(buffer_span(&reason)), query);
	CU_ASSERT_EQUAL_FATAL(r, MESSAGE_OK);
	CU_ASSERT_EQUAL(message.type, MESSAGE_SUBSCRIBE);
	CU_ASSERT_STRING_EQUAL(message.id, MESSAGE_URL_ID);
	CU_ASSERT_EQUAL_FATAL(message.n_filters, 1);
	return message;
}

static void refuse_query(struct span query, enum message_outcome outcome, const char *words)
{
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	CU_ASSERT_EQUAL(message_parse_query(query, "", &message, &reason), (int)outcome);
	if (!is_text(buffer_span(&reason), words))
		fprintf(stderr, "\tof %.*s\n", SPAN_PRINTF(query));
	CU_ASSERT_TRUE(is_text(buffer_span(&reason), words));
}

static void test_reads_filters_from_a_url(void)
{
	static const struct {
		const char *query, *filter;
	} queries[] = {
		{ NULL, "{}" },
		{ "", "{}" },
		{ "&&", "{}" },
		{ "interactions=conferencing_assigned", "{\"interactions\":[\"conferencing_assigned\"]}" },
		{ "interactions=conferencing_*,change", "{\"interactions\":[\"change\",\"conferencing_*\"]}" },
		{ "interactions=a&sources=x&interactions=b,a", "{\"interactions\":[\"a\",\"b\"],\"sources\":[\"x\"]}" },
		{ "interactions=%2A", "{\"interactions\":[\"*\"]}" },
		{ "subtypes=profile_missing&event_ids=qTtZ", "{\"subtypes\":[\"profile_missing\"],\"event_ids\":[\"qTtZ\"]}" },
		{ "tags.user=42", "{\"tags\":{\"user\":[\"42\"]}}" },
		{ "tags.user=42,43&tags.room=1", "{\"tags\":{\"room\":[\"1\"],\"user\":[\"42\",\"43\"]}}" },
		{ "tags.user=a%2Cb,c%2cd", "{\"tags\":{\"user\":[\"a,b\",\"c,d\"]}}" },
		{ "tags.a%20b=1", "{\"tags\":{\"a b\":[\"1\"]}}" },
		{ "tags.a.b=1", "{\"tags\":{\"a.b\":[\"1\"]}}" },
		{ "tags.a%3Db=1=2", "{\"tags\":{\"a=b\":[\"1=2\"]}}" },
		{ "tags.a%2Cb=1", "{\"tags\":{\"a,b\":[\"1\"]}}" },
		{ "tags.user=me%40example.com", "{\"tags\":{\"user\":[\"me@example.com\"]}}" },
		{ "tags.user=a+b", "{\"tags\":{\"user\":[\"a+b\"]}}" }, /* '+' is a plus */
		{ "tags.user=gr%C3%B6%C3%9Fe%26%25", "{\"tags\":{\"user\":[\"gr\xc3\xb6\xc3\x9f"
											 "e&%\"]}}" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
		CLEANUP(message_finish) struct message message = parse_query(queries[i].query, "");
		CU_ASSERT_TRUE(has_filter(&message, 0, MESSAGE_URL_ID, queries[i].filter));
		CU_ASSERT_EQUAL(message.start, MESSAGE_START_NONE);
		CU_ASSERT_PTR_NULL(message.ticket);
		CU_ASSERT_PTR_NULL(message.token);
		CU_ASSERT_FALSE(message.filters[0].filter.has_outcomes);
	}
}

static void test_reads_the_rest_of_a_url(void)
{
	CLEANUP(message_finish) struct message ticket = parse_query("ticket=abc-_%41&after=earliest", "");
	CLEANUP(message_finish) struct message twice = parse_query("ticket=a&ticket=b&after=k3x9-42", "");
	CLEANUP(message_finish) struct message empty = parse_query("ticket=&after=latest", "");
	CLEANUP(message_finish) struct message bare = parse_query("ticket&last=100", "");
	CU_ASSERT_STRING_EQUAL(ticket.ticket, "abc-_%41"); /* no ticket needs an escape */
	CU_ASSERT_STRING_EQUAL(twice.ticket, "b");
	CU_ASSERT_STRING_EQUAL(empty.ticket, "");
	CU_ASSERT_STRING_EQUAL(bare.ticket, "");
	CU_ASSERT_EQUAL(ticket.start, MESSAGE_START_EARLIEST);
	CU_ASSERT_EQUAL(twice.start, MESSAGE_START_AFTER);
	CU_ASSERT_EQUAL(twice.after.sequence, 42);
	CU_ASSERT_EQUAL(empty.start, MESSAGE_START_LATEST);
	CU_ASSERT_EQUAL(bare.start, MESSAGE_START_LAST);
	CU_ASSERT_EQUAL(bare.last, 100);
}

static void test_reads_outcomes_of_a_url(void)
{
	CLEANUP(message_finish) struct message wanted = parse_query("outcomes=true&sources=a", "");
	CLEANUP(message_finish) struct message not = parse_query("outcomes=true&outcomes=false", "");
	CU_ASSERT_TRUE(wanted.filters[0].filter.has_outcomes);
	CU_ASSERT_TRUE(has_filter(&wanted, 0, MESSAGE_URL_ID, "{\"sources\":[\"a\"]}"));
	CU_ASSERT_FALSE(not .filters[0].filter.has_outcomes);
}

static void test_reads_several_filters_from_a_url(void)
{
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	struct span query =
		SPAN("outcomes=true&filters=%7B%22s1%22:{\"tags\":{\"user\":\"a%26b\"}},%22s2%22:{}}&after=k3x9-42");
	CU_ASSERT_EQUAL_FATAL(message_parse_query(query, "", &message, &reason), MESSAGE_OK);
	CU_ASSERT_EQUAL_FATAL(message.n_filters, 2);
	CU_ASSERT_TRUE(has_filter(&message, 0, "s1", "{\"tags\":{\"user\":[\"a&b\"]}}"));
	CU_ASSERT_TRUE(has_filter(&message, 1, "s2", "{}"));
	CU_ASSERT_TRUE(message.filters[0].filter.has_outcomes && message.filters[1].filter.has_outcomes);
	CU_ASSERT_EQUAL(message.after.sequence, 42);
}

static void test_leaves_others_alone(void)
{
	CLEANUP(message_finish) struct message message = parse_query("limit=x&sources=a&n=%&limit", "limit n");
	CU_ASSERT_TRUE(has_filter(&message, 0, MESSAGE_URL_ID, "{\"sources\":[\"a\"]}"));
	CLEANUP(message_finish) struct message none = parse_query("sources=a", NULL);
	CU_ASSERT_TRUE(has_filter(&none, 0, MESSAGE_URL_ID, "{\"sources\":[\"a\"]}"));
	refuse_query(SPAN("limit=1"), MESSAGE_E_MALFORMED, "unknown parameter \"limit\"");
}

static void test_refuses_bad_parameters(void)
{
	static const char token[] = "a token does not belong into a URL: POST it to /ticket and use the ticket";
	static const char escape[] = "a parameter has a bad percent-encoding";
	static const char empty[] = "a member of a filter must not be empty";
	static const char utf8[] = "a member of a filter must be UTF-8";
	static const char tag[] = "a tag is written tags.NAME=VALUE";
	static const struct {
		struct span query;
		const char *words;
	} bad[] = {
		{ SPAN("x=1"), "unknown parameter \"x\"" },
		{ SPAN("=1"), "unknown parameter \"\"" },
		{ SPAN("sources=a&interaction=b"), "unknown parameter \"interaction\"" },
		{ SPAN("Sources=a"), "unknown parameter \"Sources\"" },
		{ SPAN("%73ources=a"), "unknown parameter \"%73ources\"" },
		{ SPAN("sources[]=a"), "unknown parameter \"sources[]\"" },
		{ SPAN("tags=user"), "unknown parameter \"tags\"" },
		{ SPAN("tags[user]=42"), "unknown parameter \"tags[user]\"" },
		{ SPAN("filter={}"), "unknown parameter \"filter\"" },
		{ SPAN("filters"), "\"filters\" is JSON, percent-encoded" },
		{ SPAN("filters=%"), "\"filters\" is JSON, percent-encoded" },
		{ SPAN("filters={\"a\":{},\"a\":{}}"), "\"filters\" is JSON, percent-encoded" },
		{ SPAN("filters={}"), "\"filters\" is an object with at least one member: {\"ID\":{...}}" },
		{ SPAN("filters={\"a\":{\"sources\":\"\"}}"), empty },
		{ SPAN("filters={\"a\":{}}&filters={\"b\":{}}"), "\"filters\" stands in a URL once" },
		{ SPAN("filters={\"a\":{}}&sources=a"), "\"filters\" and a filter's own parameters exclude each other" },
		{ SPAN("outcomes"), "\"outcomes\" is true or false" },
		{ SPAN("outcomes=1"), "\"outcomes\" is true or false" },
		{ SPAN("outcomes=tru%65"), "\"outcomes\" is true or false" },
		{ SPAN("sources=a;interactions=b;c=\"\"&\"\x01\xff=1"), "unknown parameter \"\\\"\\u0001\xef\xbf\xbd\"" },
		{ SPAN("x12345678901234567890123456789012345678901234567890123456789012345678901234567890=1"),
		  "unknown parameter \"x123456789012345678901234567890123456789012345678901234567890123\"" },
		{ SPAN("token=a.b.c"), token },
		{ SPAN("token"), token },
		{ SPAN("sources=a&token="), token },
		{ SPAN("sources"), empty },
		{ SPAN("sources="), empty },
		{ SPAN("sources=,"), empty },
		{ SPAN("sources=a,"), empty },
		{ SPAN("sources=,a"), empty },
		{ SPAN("sources=a,,b"), empty },
		{ SPAN("tags.user"), empty },
		{ SPAN("tags.user="), empty },
		{ SPAN("tags.=42"), tag },
		{ SPAN("tags."), tag },
		{ SPAN("tags.a%=42"), tag },
		{ SPAN("tags.%4=42"), tag },
		{ SPAN("tags.%00=42"), "a member of a filter must not contain NUL" },
		{ SPAN("tags.%FF=42"), utf8 },
		{ SPAN("tags.user=%00"), "a member of a filter must not contain NUL" },
		{ SPAN("tags.user=%C3"), utf8 },
		{ SPAN("tags.user=%C3,%A9"), utf8 }, /* split before decoding */
		{ SPAN("tags.user=\xff"), utf8 },
		{ SPAN("sources=%"), escape },
		{ SPAN("sources=%2"), escape },
		{ SPAN("sources=a%2"), escape },
		{ SPAN("sources=%zz"), escape },
		{ SPAN("sources=a,%g0"), escape },
		{ SPAN("sources=% 41"), escape },
		{ SPAN("tags.user=%u0041"), escape },
		{ SPAN("interactions=*a"), "a star may stand only at the end of an interaction's type" },
		{ SPAN("interactions=a**"), "a star may stand only at the end of an interaction's type" },
		{ SPAN("interactions=a,%2Ab"), "a star may stand only at the end of an interaction's type" },
		{ SPAN("last=0"), no_last },
		{ SPAN("last=101"), no_last },
		{ SPAN("last="), no_last },
		{ SPAN("last"), no_last },
		{ SPAN("last=-1"), no_last },
		{ SPAN("last=+1"), no_last },
		{ SPAN("last=1.0"), no_last },
		{ SPAN("last=18446744073709551617"), no_last },
		{ SPAN("last=1&last=1"), exclusive },
		{ SPAN("after=latest&last=1"), exclusive },
		{ SPAN("last=1&after=latest"), exclusive },
		{ SPAN("after=latest&after=latest"), exclusive },
	};
	static const struct span positions[] = {
		SPAN("after="),
		SPAN("after"),
		SPAN("after=42"),
		SPAN("after=k3x9-"),
		SPAN("after=Latest"),
		SPAN("after=k3x9%2D42"),
		SPAN("after=k3x9--1"),
		SPAN("after=-1"),
		SPAN("after=k3x9-042"),
		SPAN("after=earliest,latest"),
		SPAN("sources=a&after=k3x9-9223372036854775808"),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		refuse_query(bad[i].query, MESSAGE_E_MALFORMED, bad[i].words);
	for (size_t i = 0; i < ARRAY_LENGTH(positions); i++)
		refuse_query(positions[i], MESSAGE_E_POSITION, no_position);
}

static void test_bounds_lists_in_a_url(void)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	buffer_add_text(&query, "tags.user=0");
	for (size_t i = 1; i <= FILTER_MAX_MEMBERS; i++)
		buffer_add_printf(&query, i % 2 ? ",%zu" : "&tags.user=%zu", i);
	refuse_query(buffer_span(&query), MESSAGE_E_MALFORMED, "a list in a filter may have 128 members at most");
	query.n -= strlen("&tags.user=128"); /* the 128th member, counted from 0 */
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	CU_ASSERT_EQUAL(message_parse_query(buffer_span(&query), "", &message, &reason), MESSAGE_OK);
	CU_ASSERT_EQUAL(message.filters[0].filter.tags[0].values.n, FILTER_MAX_MEMBERS);
}

UNIT_MAIN({ "reads auth", test_reads_auth }, { "reads subscribe", test_reads_subscribe },
		  { "reads several filters at once", test_reads_several_filters },
		  { "reads where to start", test_reads_where_to_start },
		  { "reads unsubscribe and ping", test_reads_unsubscribe_and_ping },
		  { "refuses what is no JSON object", test_refuses_what_is_no_object },
		  { "refuses nesting without end", test_refuses_nesting_without_end },
		  { "refuses unknown types", test_refuses_unknown_types }, { "refuses bad ids", test_refuses_bad_ids },
		  { "names unknown keys", test_names_unknown_keys }, { "refuses bad tokens", test_refuses_bad_tokens },
		  { "refuses bad subscriptions", test_refuses_bad_subscriptions },
		  { "refuses bad starts", test_refuses_bad_starts },
		  { "refuses unsubscribe without id", test_refuses_unsubscribe_without_id },
		  { "forgets earlier reasons", test_forgets_earlier_reasons }, { "names outcomes", test_names_outcomes },
		  { "reads filters from a URL", test_reads_filters_from_a_url },
		  { "reads ticket and start from a URL", test_reads_the_rest_of_a_url },
		  { "reads outcomes of a URL", test_reads_outcomes_of_a_url },
		  { "reads several filters from a URL", test_reads_several_filters_from_a_url },
		  { "leaves others' parameters alone", test_leaves_others_alone },
		  { "refuses bad parameters", test_refuses_bad_parameters },
		  { "bounds lists in a URL", test_bounds_lists_in_a_url })
