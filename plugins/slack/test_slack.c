/* SPDX-License-Identifier: Apache-2.0 */
#include "testing/fake_host.h"
#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define URL "https://hooks.slack.example/services/T000/B000/canary-webhook"
#define ELLIPSIS "\xe2\x80\xa6"

/* What was posted, as JSON, for the caller to release. */
static json_t *posted(struct fake *fake)
{
	CU_ASSERT_EQUAL_FATAL(fake->n_requests, 1);
	CU_ASSERT_STRING_EQUAL(fake->requests[0].url, URL);
	CU_ASSERT(fake_has_header(fake, 0, "Content-Type: application/json; charset=utf-8"));
	json_t *message = json_loads(fake->requests[0].body, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	return message;
}

static const char *text_at(json_t *message, size_t block)
{
	const char *text = NULL;
	(void)json_unpack(json_array_get(json_object_get(message, "blocks"), block), "{s:{s:s}}", "text", "text", &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return text;
}

static void test_whole(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "title", "Ready", "text", "/event/summary", "link",
								   "/event/conferencing/join_url", "link_label", "Join", "fields.Start", "today",
								   "fields.End", "tomorrow"));
	fake_set_body(&fake, "{\"event\":{\"summary\":\"Board\","
						 "\"conferencing\":{\"join_url\":\"https://zoom.us/1?a=1&b=2\"}}}");
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(
		fake.requests[0].body,
		"{\"text\":\"Board\",\"mrkdwn\":false,\"blocks\":["
		"{\"type\":\"header\",\"text\":{\"type\":\"plain_text\",\"text\":\"Ready\"}},"
		"{\"type\":\"section\",\"text\":{\"type\":\"plain_text\",\"text\":\"Board\"}},"
		"{\"type\":\"section\",\"fields\":[{\"type\":\"plain_text\",\"text\":\"Start\\ntoday\"},"
		"{\"type\":\"plain_text\",\"text\":\"End\\ntomorrow\"}]},"
		"{\"type\":\"actions\",\"elements\":[{\"type\":\"button\",\"text\":{\"type\":\"plain_text\",\"text\":\"Join\"},"
		"\"url\":\"https://zoom.us/1?a=1&b=2\"}]}]}");
	CU_ASSERT_STRING_EQUAL(fake.reason, "");
	fake_end(&fake);
}

static void test_escapes(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "/s"));
	fake_set_body(&fake, "{\"s\":\"<!channel> & <http://evil|text> &amp; `*_\\u0000\\u001b\\r\\n\\t\"}");
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	json_t *message = posted(&fake);
	CU_ASSERT_STRING_EQUAL(text_at(message, 0), "&lt;!channel&gt; &amp; &lt;http://evil|text&gt; &amp;amp; `*_   \n\t");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(message, "text")), text_at(message, 0));
	json_decref(message);
	fake_end(&fake);
}

static void test_markdown(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "*<x>*", "markdown", "true"));
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.requests[0].body,
						   "{\"text\":\"*&lt;x&gt;*\",\"mrkdwn\":true,\"blocks\":[{\"type\":\"section\",\"text\":"
						   "{\"type\":\"mrkdwn\",\"text\":\"*&lt;x&gt;*\"}}]}");
	fake_end(&fake);
}

/* `unit` as often as n, and what is expected of a title made of it. */
static void check_cut(const char *unit, size_t n, const char *shown, size_t n_shown, bool is_cut)
{
	static char title[40000], expected[40000];
	struct fake fake;
	*title = *expected = '\0';
	for (size_t i = 0; i < n; i++)
		(void)strcat(title, unit);
	for (size_t i = 0; i < n_shown; i++)
		(void)strcat(expected, shown);
	if (is_cut)
		(void)strcat(expected, ELLIPSIS);
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "title", title, "text", "x"));
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	json_t *message = posted(&fake);
	CU_ASSERT_STRING_EQUAL(text_at(message, 0), expected);
	json_decref(message);
	fake_end(&fake);
}

static void test_limits(void)
{
	check_cut("x", 150, "x", 150, false);
	check_cut("x", 151, "x", 149, true);
	check_cut("\xc3\xa9", 150, "\xc3\xa9", 150, false);
	check_cut("\xc3\xa9", 151, "\xc3\xa9", 149, true);
	check_cut("\xf0\x9f\x94\x94", 75, "\xf0\x9f\x94\x94", 75, false);
	check_cut("\xf0\x9f\x94\x94", 5000, "\xf0\x9f\x94\x94", 74, true);
	check_cut("&", 30, "&amp;", 30, false);
	check_cut("&", 31, "&amp;", 29, true);
	check_cut("<", 37, "&lt;", 37, false);
	check_cut("<", 38, "&lt;", 37, true);
}

static void test_long_texts(void)
{
	static char text[50001];
	struct fake fake;
	memset(text, 'x', sizeof text - 1);
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", text, "fields.x", text));
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	json_t *message = posted(&fake), *field;
	CU_ASSERT_EQUAL(strlen(text_at(message, 0)), 2999 + strlen(ELLIPSIS));
	CU_ASSERT_EQUAL(json_string_length(json_object_get(message, "text")), 39999 + strlen(ELLIPSIS));
	field = json_array_get(json_object_get(json_array_get(json_object_get(message, "blocks"), 1), "fields"), 0);
	CU_ASSERT(json_string_length(json_object_get(field, "text")) <= 2000);
	json_decref(message);
	fake_end(&fake);
}

static void test_empty_ones_are_left_out(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "title", " \n", "text", "x", "link", "", "fields.Start", ""));
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	json_t *message = posted(&fake);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(message, "blocks")), 1);
	json_decref(message);
	fake_end(&fake);
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", " "));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "there is nothing to say: title, text and fields are empty");
	fake_end(&fake);
}

static void test_links(void)
{
	static const char *const links[] = { "javascript:alert(1)", "ftp://x", "https://x/<y",    "https://x y",
										 "https://x\r\nz",      "x",       "https://\xc3\xa9" };
	for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
		struct fake fake;
		fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x", "link", links[i]));
		fake_answer(&fake, 200, "ok");
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
		CU_ASSERT_PTR_NULL(strstr(fake.requests[0].body, "button"));
		CU_ASSERT_STRING_EQUAL(fake.log, "link: no http or https URL; left out");
		fake_end(&fake);
	}
}

static void test_failing_templates(void)
{
	static const char *const names[] = { "title", "text", "link", "fields.x" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct fake fake;
		fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x", names[i], "/nothing"));
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
		CU_ASSERT_STRING_EQUAL(fake.reason, "/nothing failed");
		CU_ASSERT_EQUAL(fake.n_requests, 0);
		fake_end(&fake);
	}
}

static void test_answers(void)
{
	static const struct {
		int64_t status;
		const char *body;
		int outcome;
		const char *reason;
	} rows[] = { { 200, "ok", BELFRY_DONE, "" },
				 { 200, "<html>login</html>", BELFRY_RETRY, "answered 200" },
				 { 200, "", BELFRY_RETRY, "answered 200" },
				 { 302, "", BELFRY_REJECT, "answered 302" },
				 { 400, "invalid_payload", BELFRY_REJECT, "answered 400: invalid_payload" },
				 { 400, "invalid_blocks", BELFRY_REJECT, "answered 400: invalid_blocks" },
				 { 403, "action_prohibited", BELFRY_REJECT, "answered 403: action_prohibited" },
				 { 404, "no_service", BELFRY_REJECT, "answered 404: no_service" },
				 { 410, "channel_is_archived", BELFRY_REJECT, "answered 410: channel_is_archived" },
				 { 404, "\x1b[2J<b>", BELFRY_REJECT, "answered 404" },
				 { 408, "", BELFRY_RETRY, "answered 408" },
				 { 429, "rate_limited", BELFRY_RETRY, "answered 429: rate_limited" },
				 { 500, "rollup_error", BELFRY_RETRY, "answered 500: rollup_error" },
				 { 503, "", BELFRY_RETRY, "answered 503" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x"));
		fake_answer(&fake, rows[i].status, rows[i].body);
		CU_ASSERT_EQUAL(fake_handle(&fake), rows[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		fake_end(&fake);
	}
}

static void test_later(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x"));
	fake_answer_later(&fake, 429, 30000);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_EQUAL(fake.retry_after_ms, 30000);
	fake_end(&fake);
}

static void test_no_answer(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x", "interval", "0ms"));
	fake_fail(&fake, -ETIMEDOUT);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	fake_fail(&fake, -EACCES);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	fake_end(&fake);
}

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_pace(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x", "interval", "100ms"));
	int64_t before_ms = now_ms();
	for (int i = 0; i < 2; i++) {
		fake_answer(&fake, 200, "ok");
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	}
	CU_ASSERT(now_ms() - before_ms >= 100);
	fake_end(&fake);
	fake_begin(&fake, FAKE_OPTIONS("webhook_url", URL, "text", "x", "interval", "60s"));
	fake_answer(&fake, 200, "ok");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	fake.remaining_ms = 1000;
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_STRING_EQUAL(fake.reason, "one message in 60000 ms");
	CU_ASSERT(fake.retry_after_ms > 0 && fake.retry_after_ms <= 60000);
	fake_end(&fake);
}

UNIT_MAIN({ "a message with all its parts", test_whole }, { "escapes three characters", test_escapes },
		  { "markdown if it is asked for", test_markdown }, { "limits are counted in characters", test_limits },
		  { "long texts are cut", test_long_texts }, { "empty ones are left out", test_empty_ones_are_left_out },
		  { "refuses links", test_links }, { "failing templates say nothing", test_failing_templates },
		  { "what answers mean", test_answers }, { "Retry-After is honoured", test_later },
		  { "without an answer", test_no_answer }, { "messages keep their distance", test_pace })
