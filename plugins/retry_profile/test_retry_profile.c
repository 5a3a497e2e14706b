/* SPDX-License-Identifier: Apache-2.0 */
#include "testing/fake_host.h"
#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define START "2099-04-27T15:30:00Z"
#define FAILING "{\"event\":{\"event_id\":\"evt\",\"summary\":\"Board\",\"start\":\"" START "\"}}"
#define ASSIGNED "{\"event\":{\"event_id\":\"evt\",\"conferencing\":{\"join_url\":\"https://zoom.us/1\"}}}"
#define EVENT(calendar, more)                                                                                         \
	"{\"calendar_id\":\"" calendar "\",\"event_id\":\"evt\",\"summary\":\"Board\",\"start\":\"" START "\",\"end\":\"" \
	"2099-04-27T17:00:00Z\"" more "}"
#define PAGE(...) "{\"pages\":{\"current\":1,\"total\":1},\"events\":[" __VA_ARGS__ "]}"
#define FOUND PAGE(EVENT("cal_1", ""))
#define TOKEN "{\"access_token\":\"token-1\"}"
#define NEW_TOKEN "{\"access_token\":\"token-2\"}"
#define GRANTED "{\"access_token\":\"token-1\",\"expires_in\":10800,\"refresh_token\":\"refresh-2\"}"
#define API "https://api.cronofy.com"

#define BY_URL(...) \
	FAKE_OPTIONS("profiles", "pro_b", "profiles", "pro_c", "token_url", "https://app.example.com/token", ##__VA_ARGS__)
#define BY_ACCOUNT(...)                                                                                            \
	FAKE_OPTIONS("profiles", "pro_b", "accounts.acc_1", "refresh-1", "client_id", "id", "client_secret", "secret", \
				 ##__VA_ARGS__)

static void begin(struct fake *fake, const char *const *options)
{
	fake_begin(fake, options);
	fake_set_body(fake, FAILING);
}

/* With a token, the event, and what the update is answered. */
static int handle_accepted(struct fake *fake)
{
	fake_answer(fake, 200, TOKEN);
	fake_answer(fake, 200, FOUND);
	fake_answer(fake, 202, "");
	return fake_handle(fake);
}

/* As Cronofy calls back about the n-th try. */
static void next_callback(struct fake *fake, const char *key, const char *n)
{
	fake->delivery.key = key;
	fake->delivery.n_tags = 0;
	fake_add_tag(fake, "retry", n);
}

static const char *last_body(const struct fake *fake)
{
	return fake->requests[fake->n_requests - 1].body;
}

/* ---- the way through ---- */

static void test_next_profile(void)
{
	struct fake fake;
	begin(&fake, BY_URL("data_center", "de", "token_secret", "canary"));
	fake_add_tag(&fake, "user", "42");
	fake_add_tag(&fake, "profile_id", "pro_a");
	fake_add_tag(&fake, "retry", "0");
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_b after pro_a: accepted");
	CU_ASSERT_STRING_EQUAL(fake.requests[0].url, "https://app.example.com/token");
	CU_ASSERT_STRING_EQUAL(fake.requests[0].body, "{\"event_id\":\"evt\",\"tags\":{\"user\":\"42\",\"profile_id\":"
												  "\"pro_a\",\"retry\":\"0\"},\"renew\":false}");
	CU_ASSERT(fake_has_header(&fake, 0, "Authorization: Bearer canary"));
	CU_ASSERT_STRING_EQUAL(fake.requests[1].url,
						   "https://api-de.cronofy.com/v1/events?tzid=Etc%2FUTC&include_managed=true&localized_times="
						   "true&from=2099-04-26&to=2099-04-29");
	CU_ASSERT(fake_has_header(&fake, 1, "Authorization: Bearer token-1"));
	CU_ASSERT_STRING_EQUAL(fake.requests[2].url, "https://api-de.cronofy.com/v1/calendars/cal_1/events");
	CU_ASSERT_STRING_EQUAL(
		fake.requests[2].body,
		"{\"conferencing\":{\"profile_id\":\"pro_b\"},\"subscriptions\":[{\"type\":\"webhook\",\"uri\":"
		"\"https://gateway.example.com/callbacks/cronofy?user=42&retry=1&profile_id=pro_b\",\"interactions\":"
		"[{\"type\":\"conferencing_assigned\"},{\"type\":\"conferencing_failing\"}]}],\"event_id\":\"evt\","
		"\"summary\":\"Board\",\"start\":\"" START "\",\"end\":\"2099-04-27T17:00:00Z\"}");
	fake_end(&fake);
}

static void test_list_to_its_end(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_b: accepted");
	next_callback(&fake, "second", "1");
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_c after pro_b: accepted");
	CU_ASSERT_PTR_NOT_NULL(strstr(last_body(&fake), "retry=2"));
	next_callback(&fake, "third", "2");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "no profile is left: these have failed: pro_b, pro_c");
	fake_end(&fake);
}

static void test_what_the_application_asked_for_is_not_tried(void)
{
	struct fake fake;
	begin(&fake, FAKE_OPTIONS("profiles", "pro_a", "profiles", "pro_b", "token_url", "https://app.example.com/token"));
	fake_add_tag(&fake, "profile_id", "pro_a");
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_b after pro_a: accepted");
	next_callback(&fake, "second", "1"); /* whose tag is pro_b: only the history knows of pro_a */
	fake_add_tag(&fake, "profile_id", "pro_b");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "no profile is left: these have failed: pro_a, pro_b");
	fake_end(&fake);
}

static void test_late_ones_change_nothing(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE); /* the same delivery again */
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_b: accepted before");
	fake.delivery.key = "copy"; /* the same failure, told twice */
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "superseded: pro_b was tried since");
	fake_end(&fake);
}

static void test_an_interrupted_try_is_made_again(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 503, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy answered 503");
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_body(&fake), "retry=1&profile_id=pro_b"));
	fake_end(&fake);
}

static void test_written_down_before_it_is_made(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake.set_state_r = -ENOSPC;
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_STRING_EQUAL(fake.reason, "the handler's state cannot be written: No space left on device");
	CU_ASSERT_EQUAL(fake.n_requests, 0);
	fake_end(&fake);
}

static void test_state_that_was_lost(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_add_tag(&fake, "retry", "3");
	fake_add_tag(&fake, "profile_id", "pro_b");
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_body(&fake), "retry=4&profile_id=pro_c"));
	fake_end(&fake);
	begin(&fake, BY_URL());
	fake_add_tag(&fake, "retry", "9223372036854775807");
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(last_body(&fake), "retry=1&"));
	fake_end(&fake);
}

static void test_events_are_apart(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	fake.delivery.key = "other";
	fake.delivery.source = "cronofy-de";
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_b: accepted");
	fake_end(&fake);
}

static void test_forgets(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fake.states[0].value);
	fake.delivery.interaction = "conferencing_assigned";
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NULL(fake.states[0].value);
	fake.delivery.interaction = "change";
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "nothing to do for this interaction");
	fake_end(&fake);
}

/* ---- nothing to do ---- */

static void test_superseded(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake.latest = ASSIGNED;
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "superseded: the event has got its conference");
	fake.latest = FAILING;
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, PAGE(EVENT("cal_1", ",\"conferencing\":{\"join_url\":\"https://x\"}")));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "superseded: the event has got its conference");
	fake_end(&fake);
}

static void test_patience(void)
{
	static const char *const subtypes[] = { "", "moon_in_the_way" };
	for (size_t i = 0; i < 2; i++) {
		struct fake fake;
		begin(&fake, BY_URL());
		fake.delivery.subtype = subtypes[i];
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
		CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy keeps trying by itself");
		fake_end(&fake);
		begin(&fake, BY_URL("patience", "1h"));
		fake.delivery.subtype = subtypes[i];
		fake.delivery.received_ms = (int64_t)time(NULL) * 1000 - 600000;
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
		CU_ASSERT(fake.retry_after_ms > 0 && fake.retry_after_ms <= 3000000);
		fake.delivery.received_ms -= 3600000;
		CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
		fake_end(&fake);
	}
}

static void test_starts(void)
{
	static const struct {
		const char *start;
		int outcome;
		const char *from; /* of the reading */
	} rows[] = { { "\"2099-04-27\"", BELFRY_DONE, "from=2099-04-26" },
				 { "\"2099-04-27T23:30:00-02:00\"", BELFRY_DONE, "from=2099-04-27" },
				 { "\"2099-04-27T23:30:00.123+0200\"", BELFRY_DONE, "from=2099-04-26" },
				 { "{\"time\":\"2099-04-27T17:30:00+02:00\",\"tzid\":\"Europe/Berlin\"}", BELFRY_DONE,
				   "from=2099-04-26" },
				 { "\"2020-04-27T15:30:00Z\"", BELFRY_REJECT, NULL },
				 { "\"2020-04-27\"", BELFRY_REJECT, NULL },
				 { "\"tomorrow\"", BELFRY_REJECT, NULL },
				 { "\"2099-04-27T17:30:00 Berlin\"", BELFRY_REJECT, NULL },
				 { "\"2099-04-27T17\"", BELFRY_REJECT, NULL },
				 { "7", BELFRY_REJECT, NULL },
				 { "null", BELFRY_REJECT, NULL } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		char body[256];
		begin(&fake, BY_URL());
		(void)snprintf(body, sizeof body, "{\"event\":{\"start\":%s}}", rows[i].start);
		fake_set_body(&fake, body);
		CU_ASSERT_EQUAL(rows[i].from ? handle_accepted(&fake) : fake_handle(&fake), rows[i].outcome);
		if (rows[i].from)
			CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[1].url, rows[i].from));
		fake_end(&fake);
	}
}

static void test_what_is_missing(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake.delivery.event_id = "";
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "the callback has no event.event_id");
	fake.delivery.event_id = "evt";
	fake_set_body(&fake, "{}");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "the callback has no event.start");
	fake_end(&fake);
}

/* ---- the event ---- */

static void test_what_it_had_is_kept(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200,
				PAGE(EVENT("cal_1", ",\"description\":\"Gr\xc3\xbc\xc3\x9f"
									"e\",\"location\":{\"description\":\"Tower\"},\"url\":null,"
									"\"transparency\":\"opaque\",\"attendees\":[{\"email\":\"a@example.com\","
									"\"display_name\":\"A\",\"status\":\"accepted\"},{\"email\":\"b@example.com\"}],"
									"\"participation_status\":\"accepted\",\"options\":{\"delete\":true}")));
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	json_t *sent = json_loads(last_body(&fake), 0, NULL);
	json_t *wanted = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s}, s:s, s:{s:[{s:s, s:s}, {s:s}]}}", "event_id", "evt",
							   "summary", "Board", "description",
							   "Gr\xc3\xbc\xc3\x9f"
							   "e",
							   "start", START, "end", "2099-04-27T17:00:00Z", "location", "description", "Tower",
							   "transparency", "opaque", "attendees", "invite", "email", "a@example.com",
							   "display_name", "A", "email", "b@example.com");
	CU_ASSERT_EQUAL(json_object_del(sent, "conferencing"), 0);
	CU_ASSERT_EQUAL(json_object_del(sent, "subscriptions"), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
	CU_ASSERT(json_equal(sent, wanted));
	json_decref(sent);
	json_decref(wanted);
	fake_end(&fake);
}

static void test_calendars(void)
{
	struct fake fake;
	begin(&fake, BY_URL("calendar_id", "cal_2"));
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, PAGE(EVENT("cal_1", "") "," EVENT("cal_2", "")));
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[1].url, "&calendar_ids%5B%5D=cal_2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[2].url, "/v1/calendars/cal_2/events"));
	fake_end(&fake);
	begin(&fake, BY_URL("calendar_id", "cal_2"));
	fake_add_tag(&fake, "calendar_id", "a+b/c@example.com");
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, PAGE(EVENT("a+b/c@example.com", "")));
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[2].url, "/v1/calendars/a%2Bb%2Fc%40example.com/events"));
	fake_end(&fake);
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, PAGE(EVENT("cal_1", "") "," EVENT("cal_2", "")));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason,
						   "the event is in several calendars: which one is meant, a tag calendar_id must say");
	fake_end(&fake);
}

static void test_pages(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, "{\"pages\":{\"next_page\":\"" API "/v1/events/pages/2\"},\"events\":[{\"x\":1}, 7]}");
	fake_answer(&fake, 200,
				"{\"pages\":{\"next_page\":\"" API "/v1/events/pages/3\"},\"events\":["
				"{\"event_id\":\"evt\",\"calendar_id\":\"cal_0\",\"deleted\":true}]}");
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.requests[3].url, API "/v1/events/pages/3");
	fake_end(&fake);
}

static void test_pages_elsewhere(void)
{
	static const char *const urls[] = { "https://evil.example/v1/events/pages/2", "http://api.cronofy.com/v1/events",
										API ".evil.example/x", API "@evil.example/", "/v1/events/pages/2" };
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct fake fake;
		char page[256];
		begin(&fake, BY_URL());
		(void)snprintf(page, sizeof page, "{\"pages\":{\"next_page\":\"%s\"},\"events\":[]}", urls[i]);
		fake_answer(&fake, 200, TOKEN);
		fake_answer(&fake, 200, page);
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
		CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy's next page is on another host");
		fake_end(&fake);
	}
}

static void test_not_there(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, PAGE());
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "the event is in no calendar: deleted, or moved to another day");
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, "<html>");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy's list of events is none");
	fake_end(&fake);
}

/* ---- answers ---- */

static void test_answers(void)
{
	static const struct {
		int64_t status;
		int outcome;
		const char *reason;
	} rows[] = { { 400, BELFRY_REJECT, "Cronofy answered 400" },
				 { 402, BELFRY_REJECT, "Cronofy answered 402: the application's plan does not allow it" },
				 { 403, BELFRY_REJECT, "Cronofy answered 403: the access token may not do that" },
				 { 404, BELFRY_REJECT, "Cronofy answered 404: there is no such calendar" },
				 { 423, BELFRY_RETRY, "Cronofy answered 423: the account is locked" },
				 { 429, BELFRY_RETRY, "Cronofy answered 429: too many requests" },
				 { 500, BELFRY_RETRY, "Cronofy answered 500" },
				 { 302, BELFRY_REJECT, "Cronofy answered 302" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		begin(&fake, BY_URL());
		fake_answer(&fake, 200, TOKEN);
		fake_answer(&fake, rows[i].status, "");
		CU_ASSERT_EQUAL(fake_handle(&fake), rows[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		fake_answer(&fake, 200, TOKEN);
		fake_answer(&fake, 200, FOUND);
		fake_answer_later(&fake, rows[i].status, 7000);
		CU_ASSERT_EQUAL(fake_handle(&fake), rows[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		CU_ASSERT_EQUAL(fake.retry_after_ms, 7000);
		fake_end(&fake);
	}
}

static void test_422(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 422, "{\"errors\":{\"summary\":[{\"key\":\"errors.required\",\"description\":\"required\"}]}}");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy answered 422: summary: required");
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 422, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy answered 422: no field: no description");
	fake_end(&fake);
}

static void test_a_profile_that_is_not_taken(void)
{
	static const char no[] = "{\"errors\":{\"conferencing.profile_id\":[{\"key\":\"x\",\"description\":\"y\"}]}}";
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 422, no);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "tried pro_c after pro_b: accepted");
	fake_end(&fake);
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 422, no);
	fake_answer(&fake, 422, no);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "no profile is left: these have failed: pro_b, pro_c");
	fake_end(&fake);
}

static void test_no_answer(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_fail(&fake, -ETIMEDOUT);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	fake_answer(&fake, 200, TOKEN);
	fake_fail(&fake, -EACCES);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "no answer");
	fake_end(&fake);
}

static void test_no_callback_uri(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake.callback_uri_r = -ENOTSUP;
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 200, FOUND);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	fake_end(&fake);
}

/* ---- tokens ---- */

static void test_tokens_of_the_application(void)
{
	static const struct {
		int64_t status;
		const char *body;
		int outcome;
		const char *reason;
	} rows[] = { { 404, "", BELFRY_REJECT, "token_url answered 404" },
				 { 503, "", BELFRY_RETRY, "token_url answered 503" },
				 { 429, "", BELFRY_RETRY, "token_url answered 429" },
				 { 200, "{}", BELFRY_REJECT, "token_url's answer has no \"access_token\"" },
				 { 200, "{\"access_token\":\"a\\r\\nb\"}", BELFRY_REJECT,
				   "token_url's answer has no \"access_token\"" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		begin(&fake, BY_URL());
		fake_answer(&fake, rows[i].status, rows[i].body);
		CU_ASSERT_EQUAL(fake_handle(&fake), rows[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		fake_end(&fake);
	}
}

static void test_a_token_is_renewed_once(void)
{
	struct fake fake;
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 401, "");
	fake_answer(&fake, 200, NEW_TOKEN);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[2].body, "\"renew\":true"));
	CU_ASSERT(fake_has_header(&fake, 4, "Authorization: Bearer token-2"));
	fake_end(&fake);
	begin(&fake, BY_URL());
	fake_answer(&fake, 200, TOKEN);
	fake_answer(&fake, 401, "");
	fake_answer(&fake, 200, NEW_TOKEN);
	fake_answer(&fake, 401, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "Cronofy answered 401: the access token is refused");
	fake_end(&fake);
}

static void test_accounts(void)
{
	struct fake fake;
	begin(&fake, BY_ACCOUNT());
	fake_answer(&fake, 200, GRANTED);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.requests[0].url, API "/oauth/token");
	CU_ASSERT_STRING_EQUAL(fake.requests[0].body, "{\"client_id\":\"id\",\"client_secret\":\"secret\",\"grant_type\":"
												  "\"refresh_token\",\"refresh_token\":\"refresh-1\"}");
	fake.delivery.key = "another";
	fake.delivery.source = "another";
	fake_answer(&fake, 200, FOUND); /* the token is still good */
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	fake.delivery.key = fake.delivery.source = "third";
	fake_answer(&fake, 401, "");
	fake_answer(&fake, 200, "{\"access_token\":\"token-2\",\"expires_in\":10800}");
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[6].body, "\"refresh_token\":\"refresh-2\""));
	CU_ASSERT(fake_has_header(&fake, 8, "Authorization: Bearer token-2"));
	fake_end(&fake);
}

static void keep_account(struct fake *fake, const char *kept)
{
	CU_ASSERT_EQUAL(fake->host.set_state(&fake->host, "account:acc_1", kept, strlen(kept)), 0);
}

static void test_another_refresh_token_in_the_configuration(void)
{
	struct fake fake;
	begin(&fake, BY_ACCOUNT());
	keep_account(&fake, "{\"configured\":\"older\",\"refresh_token\":\"x\",\"access_token\":\"y\","
						"\"expires_ms\":9000000000000}");
	fake_answer(&fake, 200, GRANTED);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[0].body, "\"refresh_token\":\"refresh-1\""));
	fake_end(&fake);
}

static void test_tokens_that_expire(void)
{
	struct fake fake;
	begin(&fake, BY_ACCOUNT());
	keep_account(&fake, "{\"configured\":\"refresh-1\",\"refresh_token\":\"refresh-2\",\"access_token\":\"y\","
						"\"expires_ms\":1700000000000}");
	fake_answer(&fake, 200, GRANTED);
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[0].body, "\"refresh_token\":\"refresh-2\""));
	fake_end(&fake);
}

/* Before the refusal arrives, another worker has refreshed. */
static void be_faster(struct fake *fake)
{
	if (strstr(fake->requests[fake->n_requests - 1].url, "/oauth/token"))
		keep_account(fake, "{\"configured\":\"refresh-1\",\"refresh_token\":\"refresh-9\",\"access_token\":"
						   "\"token-9\",\"expires_ms\":9000000000000}");
}

static void test_workers_share_tokens(void)
{
	struct fake fake;
	begin(&fake, BY_ACCOUNT());
	fake.on_request = be_faster;
	fake_answer(&fake, 400, "{\"error\":\"invalid_grant\"}");
	fake_answer(&fake, 200, FOUND);
	fake_answer(&fake, 202, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT(fake_has_header(&fake, 1, "Authorization: Bearer token-9"));
	fake_end(&fake);
}

static void test_refused_refreshes(void)
{
	static const struct {
		int64_t status;
		const char *body;
		int outcome;
		const char *reason;
	} rows[] = { { 400, "{\"error\":\"invalid_grant\"}", BELFRY_REJECT,
				   "account acc_1: its refresh token is refused (invalid_grant): it needs a new one" },
				 { 400, "{\"error\":\"invalid_client\"}", BELFRY_REJECT,
				   "Cronofy's /oauth/token answered 400: client_id or client_secret is wrong" },
				 { 400, "", BELFRY_REJECT, "Cronofy's /oauth/token answered 400" },
				 { 503, "", BELFRY_RETRY, "Cronofy's /oauth/token answered 503" },
				 { 200, "{}", BELFRY_RETRY, "Cronofy's answer has no token" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		begin(&fake, BY_ACCOUNT());
		fake_answer(&fake, rows[i].status, rows[i].body);
		CU_ASSERT_EQUAL(fake_handle(&fake), rows[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		fake_end(&fake);
	}
}

static void test_whose_event(void)
{
	struct fake fake;
	begin(&fake, BY_ACCOUNT("accounts.acc_2", "refresh-x"));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "the callback has no tag account, which says whose event it is");
	fake_add_tag(&fake, "account", "acc_3");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "there is no account \"acc_3\" in the configuration");
	fake.tags[0].value = "acc_2";
	fake_answer(&fake, 503, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.requests[0].body, "refresh-x"));
	fake_end(&fake);
}

static void test_refuses_options(void)
{
	static const struct {
		const char *const options[10];
		const char *log;
	} rows[] = {
		{ { "profiles", "a", NULL }, "either token_url or accounts must say where access tokens come from" },
		{ { "profiles", "a", "token_url", "https://x", "accounts.x", "y", NULL },
		  "either token_url or accounts must say where access tokens come from" },
		{ { "profiles", "a", "accounts.x", "y", "client_id", "z", NULL }, "accounts need client_id and client_secret" },
		{ { "profiles", "a", "profiles", "a", "token_url", "https://x", NULL }, "profiles has an entry twice" }
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		CU_ASSERT_EQUAL(fake_create(&fake, rows[i].options), -EINVAL);
		CU_ASSERT_STRING_EQUAL(fake.log, rows[i].log);
		fake_end(&fake);
	}
}

static void test_another_server(void)
{
	struct fake fake;
	begin(&fake, BY_URL("api_url", "http://127.0.0.1:8090//"));
	CU_ASSERT_EQUAL(handle_accepted(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.requests[2].url, "http://127.0.0.1:8090/v1/calendars/cal_1/events");
	fake_end(&fake);
}

UNIT_MAIN({ "the next profile", test_next_profile }, { "the list to its end", test_list_to_its_end },
		  { "what the application asked for is not tried", test_what_the_application_asked_for_is_not_tried },
		  { "what comes late changes nothing", test_late_ones_change_nothing },
		  { "an interrupted try is made again", test_an_interrupted_try_is_made_again },
		  { "a try is written down before it is made", test_written_down_before_it_is_made },
		  { "state that was lost", test_state_that_was_lost }, { "events are apart", test_events_are_apart },
		  { "a conference makes it forget", test_forgets }, { "superseded", test_superseded },
		  { "Cronofy may try by itself", test_patience }, { "all forms of time", test_starts },
		  { "says what is missing", test_what_is_missing }, { "what the event had is kept", test_what_it_had_is_kept },
		  { "which calendar", test_calendars }, { "pages", test_pages },
		  { "refuses pages of another host", test_pages_elsewhere }, { "an event that is not there", test_not_there },
		  { "what answers mean", test_answers }, { "422 says which field", test_422 },
		  { "a profile that is not taken", test_a_profile_that_is_not_taken }, { "without an answer", test_no_answer },
		  { "without a callback URI", test_no_callback_uri },
		  { "tokens of the application", test_tokens_of_the_application },
		  { "a token is renewed once", test_a_token_is_renewed_once }, { "tokens of accounts", test_accounts },
		  { "a refresh token that was replaced", test_another_refresh_token_in_the_configuration },
		  { "tokens that expire", test_tokens_that_expire }, { "workers share tokens", test_workers_share_tokens },
		  { "refused refreshes", test_refused_refreshes }, { "whose event it is", test_whose_event },
		  { "refuses options", test_refuses_options }, { "another server", test_another_server })
