/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick reader: it calls plain what the provider sends, gives up on what it does not read, and never disagrees with
 * jansson: not on the bodies here, and not on one of their neighbours, each with one byte changed, missing or added.
 */
#include "outline_oracle.h"
#include "unit.h"

/* SPAN() cannot stand in a static table. */
#define SPAN_INIT(literal)              \
	{                                   \
		"" literal, sizeof(literal) - 1 \
	}

#define ASSIGNED                                                                                                   \
	"{\n  \"notification\": {\"type\": \"event_subscription\", \"interactions\": [{\"type\": "                     \
	"\"conferencing_assigned\"},"                                                                                  \
	"\n {\"type\":\"conferencing_failing\",\"subtype\":\"profile_missing\"}]},\r\n\t\"event\": {\"event_id\": "    \
	"\"qTtZ\", \"summary\": \"B\\u00f6ard \\\"m\\\" \xc3\xb6\xf0\x9f\x94\x94\", \"n\": [1, -0.5e+3, true, false, " \
	"null, "                                                                                                       \
	"{}, []]}}"

static const struct span plain[] = {
	SPAN_INIT(ASSIGNED),
	SPAN_INIT("{}"),
	SPAN_INIT(" {\"notification\":{\"type\":\"change\",\"interactions\":{}}} \r\n\t"),
	SPAN_INIT("{\"event\":{\"event_id\":[\"a\"]},\"notification\":[{\"type\":\"a\"}]}"),
	SPAN_INIT("{\"notification\":{\"interactions\":[[{\"type\":\"a\"}],\"a\",1,{\"type\":\"\"},{\"type\":7},{\"type\":"
			  "\"b\"}]}}"),
	SPAN_INIT("{\"authorization\":{\"code\":\"x\"},\"summary\":\"\\u0000\\uD7FF\\ue000\\/\"}"),
	SPAN_INIT("{\"a\":{\"k\":1,\"l\":2},\"b\":{\"k\":1,\"l\":2},\"k\":3}"),
	SPAN_INIT("{\"a\":100000000000000000000000000000000000000,\"b\":1e999,\"c\":-0}"),
};

static const struct span not_plain[] = {
	SPAN_INIT(""),
	SPAN_INIT(" "),
	SPAN_INIT("[]"),
	SPAN_INIT("null"),
	SPAN_INIT("1"),
	SPAN_INIT("\"a\""),
	SPAN_INIT("{"),
	SPAN_INIT("{}x"),
	SPAN_INIT("{} {}"),
	SPAN_INIT("\xef\xbb\xbf{}"),
	SPAN_INIT("{}\0"),
	/* grammar */
	SPAN_INIT("{,}"),
	SPAN_INIT("{\"a\":1,}"),
	SPAN_INIT("{\"a\" 1}"),
	SPAN_INIT("{\"a\":}"),
	SPAN_INIT("{a:1}"),
	SPAN_INIT("{\"a\":[1,]}"),
	SPAN_INIT("{\"a\":[,1]}"),
	SPAN_INIT("{\"a\":[1 2]}"),
	SPAN_INIT("{\"a\":[1}"),
	SPAN_INIT("{\"a\":{]}"),
	SPAN_INIT("{\"a\":1]"),
	SPAN_INIT("{\"a\":\x0b"
			  "1}"),
	/* words and numbers */
	SPAN_INIT("{\"a\":tru}"),
	SPAN_INIT("{\"a\":True}"),
	SPAN_INIT("{\"a\":nul"),
	SPAN_INIT("{\"a\":truefalse}"),
	SPAN_INIT("{\"a\":01}"),
	SPAN_INIT("{\"a\":-}"),
	SPAN_INIT("{\"a\":+1}"),
	SPAN_INIT("{\"a\":.5}"),
	SPAN_INIT("{\"a\":1.}"),
	SPAN_INIT("{\"a\":1e}"),
	SPAN_INIT("{\"a\":1e+}"),
	SPAN_INIT("{\"a\":0x1}"),
	SPAN_INIT("{\"a\":NaN}"),
	SPAN_INIT("{\"a\":1e5.5}"),
	SPAN_INIT("{\"a\":-e1}"),
	/* texts */
	SPAN_INIT("{\"a\":\"\n\"}"),
	SPAN_INIT("{\"a\":\"\0\"}"),
	SPAN_INIT("{\"a\":\"\\x\"}"),
	SPAN_INIT("{\"a\":\"\\u00g0\"}"),
	SPAN_INIT("{\"a\":\"\\u00\"}"),
	SPAN_INIT("{\"a\":\"\\\"}"),
	SPAN_INIT("{\"a\":\"b}"),
	SPAN_INIT("{\"a\":\"\\"),
	SPAN_INIT("{\"a\":\"\\u1"),
	SPAN_INIT("{\"a\":'b'}"),
	SPAN_INIT("{\"a\":\"\xff\"}"),
	SPAN_INIT("{\"a\":\"\xc3\"}"),
	SPAN_INIT("{\"a\":\"\xed\xa0\x80\"}"),
	SPAN_INIT("{\"a\":\"\xc0\x80\"}"),
	SPAN_INIT("{\"\xff\":1}"),
	/* good, maybe, but for jansson to say */
	SPAN_INIT("{\"a\":\"\\ud83d\\udd14\"}"),
	SPAN_INIT("{\"a\":\"\\uDC00\"}"),
	SPAN_INIT("{\"\\u0061\":1}"),
	SPAN_INIT("{\"a\":1,\"a\":2}"),
	SPAN_INIT("{\"\":{\"b\":1,\"c\":{},\"b\":2}}"),
	SPAN_INIT("{\"event\":{\"event_id\":\"\\n\"}}"),
	SPAN_INIT("{\"notification\":{\"type\":\"\\/\"}}"),
	SPAN_INIT("{\"notification\":{\"interactions\":[{\"type\":\"a\",\"subtype\":\"\\t\"}]}}"),
};

static bool is_plain(struct span body)
{
	struct outline outline;
	return outline_read(body, CALLBACK_MAX_DEPTH, &outline);
}

static void test_reads_what_is_needed(void)
{
	struct outline outline;
	CU_ASSERT_TRUE_FATAL(outline_read(SPAN(ASSIGNED), CALLBACK_MAX_DEPTH, &outline));
	CU_ASSERT_TRUE(span_equal(outline.notification_type, SPAN("event_subscription")));
	CU_ASSERT_TRUE(span_equal(outline.event_id, SPAN("qTtZ")));
	CU_ASSERT_EQUAL_FATAL(outline.n_interactions, 2);
	CU_ASSERT_TRUE(span_equal(outline.interactions[0].type, SPAN("conferencing_assigned")));
	CU_ASSERT_EQUAL(outline.interactions[0].subtype.n, 0);
	CU_ASSERT_TRUE(span_equal(outline.interactions[1].subtype, SPAN("profile_missing")));
}

static void test_knows_what_is_plain(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
		CU_ASSERT_TRUE(is_plain(plain[i]) && outline_agrees(plain[i]));
	for (size_t i = 0; i < ARRAY_LENGTH(not_plain); i++)
		CU_ASSERT_FALSE(is_plain(not_plain[i]));
}

/* A list of lists, so many levels deep, in an object. */
static struct span nest(char *text, size_t depth)
{
	size_t n = 5;
	memcpy(text, "{\"a\":", n);
	memset(text + n, '[', depth - 1);
	memset(text + n + depth - 1, ']', depth - 1);
	text[n + 2 * (depth - 1)] = '}';
	return span_of(text, n + 2 * (depth - 1) + 1);
}

static void test_bounds(void)
{
	char text[4096];
	struct outline outline;
	CU_ASSERT_TRUE(is_plain(nest(text, CALLBACK_MAX_DEPTH)));
	CU_ASSERT_FALSE(is_plain(nest(text, CALLBACK_MAX_DEPTH + 1)));
	CU_ASSERT_FALSE(is_plain(nest(text, 2000)));
	for (size_t n = 1; n < 2 * OUTLINE_MAX_INTERACTIONS; n++) {
		CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
		buffer_add_text(&json, "{\"notification\":{\"interactions\":[");
		for (size_t i = 0; i < n; i++)
			buffer_add_text(&json, i ? ",{\"type\":\"a\"}" : "{\"type\":\"a\"}");
		buffer_add_text(&json, "]}}");
		CU_ASSERT_EQUAL(outline_read(buffer_span(&json), 32, &outline), n <= OUTLINE_MAX_INTERACTIONS);
	}
	for (size_t n = 1; n < 200; n++) {
		CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
		for (size_t i = 0; i < n; i++)
			buffer_add_printf(&json, "%s\"%zu\":0", i ? "," : "{", i);
		buffer_add_text(&json, "}");
		CU_ASSERT_EQUAL(is_plain(buffer_span(&json)), n <= 64);
	}
}

/* The body with its i-th byte changed, left out, and with one put before it. */
static void try_neighbours(struct span body, size_t i, char *text)
{
	static const char bytes[] = "\0\x01\n \"\\/{}[],:0189-+.eEtfnu\x7f\x80\xc3\xff";
	for (size_t k = 0; k < sizeof bytes - 1; k++) {
		memcpy(text, body.data, body.n);
		text[i] = bytes[k];
		CU_ASSERT_TRUE(outline_agrees(span_of(text, body.n)));
		memmove(text + i + 1, body.data + i, body.n - i);
		CU_ASSERT_TRUE(outline_agrees(span_of(text, body.n + 1)));
	}
	memcpy(text, body.data, body.n);
	memmove(text + i, body.data + i + 1, body.n - i - 1);
	CU_ASSERT_TRUE(outline_agrees(span_of(text, body.n - 1)));
	CU_ASSERT_TRUE(outline_agrees(span_of(body.data, i)));
}

static void test_never_disagrees(void)
{
	char text[1024];
	for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
		for (size_t at = 0; at < plain[i].n; at++)
			try_neighbours(plain[i], at, text);
	for (size_t i = 0; i < ARRAY_LENGTH(not_plain); i++)
		for (size_t at = 0; at < not_plain[i].n; at++)
			try_neighbours(not_plain[i], at, text);
}

UNIT_MAIN({ "reads what is needed", test_reads_what_is_needed }, { "knows what is plain", test_knows_what_is_plain },
		  { "bounds depth, keys and interactions", test_bounds },
		  { "never disagrees with jansson", test_never_disagrees })
