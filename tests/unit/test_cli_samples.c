/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/samples.h"

#include "cli/base64.h"
#include "cli/tally.h"
#include "unit.h"
#include "wire/callback.h"

#include <jansson.h>

static struct event *event_of(const char *name)
{
	struct event *event = NULL;
	const struct callback_origin origin = { .source = SPAN("cronofy") };
	const struct sample *sample = sample_find(span_text(name));
	CU_ASSERT_PTR_NOT_NULL_FATAL(sample);
	CU_ASSERT_EQUAL_FATAL(callback_to_event(&origin, span_text(sample->body), &event), 0);
	return event;
}

/* The gateway reads all of them, but for the one that it should not. */
static void test_all_are_read(void)
{
	for (const struct sample *s = samples; s->name; s++) {
		CLEANUP(event_unref) struct event *event = event_of(s->name);
		bool is_malformed = strcmp(s->name, "malformed") == 0;
		CU_ASSERT_EQUAL(event->kind, is_malformed ? EVENT_MALFORMED : EVENT_CALLBACK);
	}
}

static void test_interactions(void)
{
	static const struct {
		const char *sample, *type, *subtype;
	} cases[] = {
		{ "conferencing_assigned", "conferencing_assigned", "" },
		{ "conferencing_failing", "conferencing_failing", "profile_missing" },
		{ "missing_meeting_url", "conferencing_failing", "missing_meeting_url" },
		{ "failing_without_subtype", "conferencing_failing", "" },
		{ "no_interactions", "event_subscription", "" },
		{ "verification", "verification", "" },
		{ "meeting_agent_failed", "meeting_agent_failed", "" },
		{ "real_time_scheduling", "unknown", "" },
		{ "enterprise_connect_error", "unknown", "" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(event_unref) struct event *event = event_of(cases[i].sample);
		CU_ASSERT_TRUE(span_equal(event->interactions[0].type, span_text(cases[i].type)));
		CU_ASSERT_TRUE(span_equal(event->interactions[0].subtype, span_text(cases[i].subtype)));
	}
	CU_ASSERT_PTR_NULL(sample_find(SPAN("nothing")));
	CU_ASSERT_PTR_NULL(sample_find(SPAN("")));
}

static void expect_renumbered(struct span body, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	sample_renumber(body, SPAN("NEW"), &text);
	CU_ASSERT_TRUE(span_equal(buffer_span(&text), span_text(expected)));
}

static void test_renumber(void)
{
	expect_renumbered(SPAN("{\"event\": {\"event_id\": \"old\", \"x\": 1}}"),
					  "{\"event\": {\"event_id\": \"NEW\", \"x\": 1}}");
	expect_renumbered(SPAN("{\"event_id\"\n:\t\"\"}"), "{\"event_id\"\n:\t\"NEW\"}");
	expect_renumbered(SPAN("{\"s\":\"\\\"event_id\\\": \\\"x\\\"\",\"event_id\":\"a\\\"b\"}"),
					  "{\"s\":\"\\\"event_id\\\": \\\"x\\\"\",\"event_id\":\"NEW\"}");
	expect_renumbered(SPAN("{\"s\":\"event_id\",\"t\":1}"), "{\"belfry_sample\": \"NEW\", \"s\":\"event_id\",\"t\":1}");
	expect_renumbered(SPAN("{\"event_id\":7}"), "{\"belfry_sample\": \"NEW\", \"event_id\":7}");
	expect_renumbered(SPAN(" { } "), " {\"belfry_sample\": \"NEW\" } ");
	expect_renumbered(SPAN("[1]"), "[1]");
	expect_renumbered(SPAN(""), "");
	expect_renumbered(SPAN("{"), "{\"belfry_sample\": \"NEW\", ");
	expect_renumbered(SPAN("{\"event_id\":\"open"), "{\"belfry_sample\": \"NEW\", \"event_id\":\"open");
	expect_renumbered(SPAN("{\"event_id\":\"open\\"), "{\"belfry_sample\": \"NEW\", \"event_id\":\"open\\");
}

/* All but the malformed one are JSON before and after. */
static void test_renumbered_samples(void)
{
	for (const struct sample *s = samples; s->name; s++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		sample_renumber(span_text(s->body), SPAN("NEW"), &text);
		json_t *json = json_loadb(text.data, text.n, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		CU_ASSERT_EQUAL(json == NULL, strcmp(s->name, "malformed") == 0);
		CU_ASSERT_PTR_NOT_NULL(memmem(text.data, text.n, "\"NEW\"", 5));
		json_decref(json);
	}
}

static void test_base64(void)
{
	static const struct {
		const char *text;
		enum base64_alphabet alphabet;
		const char *bytes; /* NULL: refused */
	} cases[] = {
		{ "", BASE64_STANDARD, "" },
		{ "Zg==", BASE64_STANDARD, "f" },
		{ "Zg", BASE64_STANDARD, "f" },
		{ "Zm8=", BASE64_STANDARD, "fo" },
		{ "Zm9v", BASE64_STANDARD, "foo" },
		{ "-_-_", BASE64_URL, "\xfb\xff\xbf" },
		{ "+/+/", BASE64_STANDARD, "\xfb\xff\xbf" },
		{ "-_-_", BASE64_STANDARD, NULL },
		{ "+/+/", BASE64_URL, NULL },
		{ "Z", BASE64_STANDARD, NULL },
		{ "Zg=", BASE64_STANDARD, NULL },
		{ "Zg===", BASE64_STANDARD, NULL },
		{ "Z===", BASE64_STANDARD, NULL },
		{ "=Zg=", BASE64_STANDARD, NULL },
		{ "Zm 9v", BASE64_STANDARD, NULL },
		{ "Zm9v\n", BASE64_STANDARD, NULL },
		{ "Zg==Zg==", BASE64_STANDARD, NULL },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
		bool is_read = base64_read(span_text(cases[i].text), cases[i].alphabet, &bytes);
		CU_ASSERT_EQUAL(is_read, cases[i].bytes != NULL);
		if (is_read && cases[i].bytes)
			CU_ASSERT_TRUE(span_equal(buffer_span(&bytes), span_text(cases[i].bytes)));
	}
}

static void test_tally(void)
{
	CLEANUP(tally_finish) struct tally tally;
	CU_ASSERT_EQUAL_FATAL(tally_init(&tally, 100), 0);
	CU_ASSERT_EQUAL(tally_percentile_ns(&tally, 50), 0);
	for (uint64_t i = 100; i > 0; i--)
		tally_add(&tally, 200, i);
	tally_add(&tally, 0, 0);
	tally_add(&tally, 401, 5); /* beyond max: counted, not timed */
	tally_add(&tally, 9999, 5);
	CU_ASSERT_EQUAL(tally_percentile_ns(&tally, 50), 50);
	CU_ASSERT_EQUAL(tally_percentile_ns(&tally, 99), 99);
	CU_ASSERT_EQUAL(tally_percentile_ns(&tally, 100), 100);
	CU_ASSERT_EQUAL(tally.n, 103);
	CU_ASSERT_EQUAL(tally.n_accepted, 100);
	CU_ASSERT_EQUAL(tally.by_status[0], 1);
	CU_ASSERT_EQUAL(tally.by_status[401], 1);
	CU_ASSERT_EQUAL(tally.by_status[TALLY_MAX_STATUS - 1], 1);
}

UNIT_MAIN({ "the gateway reads them", test_all_are_read }, { "interactions", test_interactions },
		  { "another event id", test_renumber }, { "another event id for every sample", test_renumbered_samples },
		  { "base64 of others", test_base64 }, { "percentiles and statuses", test_tally })
