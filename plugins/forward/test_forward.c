/* SPDX-License-Identifier: Apache-2.0 */
#include "testing/fake_host.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The example secret of the standard's own libraries. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define URL "https://app.example.com/callbacks"

/* Of the id "msg_p5jXN8AQM9LWM0D4loKWxJek", the time 1614265330 and the body {"test": 2432232314}, as the libraries'
 * tests have it; time() is the test's own. */
#define VECTOR "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static time_t now = 1614265330;

time_t time(time_t *ret_now)
{
	if (ret_now)
		*ret_now = now;
	return now;
}

static void begin(struct fake *fake)
{
	fake_begin(fake, FAKE_OPTIONS("url", URL, "secrets", SECRET));
	fake->delivery.key = "msg_p5jXN8AQM9LWM0D4loKWxJek";
	fake_set_body(fake, "{\"test\": 2432232314}");
}

static void test_vector(void)
{
	struct fake fake;
	begin(&fake);
	fake_answer(&fake, 204, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.requests[0].url, URL);
	CU_ASSERT_STRING_EQUAL(fake.requests[0].method, "POST");
	CU_ASSERT_STRING_EQUAL(fake.requests[0].body, "{\"test\": 2432232314}");
	CU_ASSERT(fake_has_header(&fake, 0, "content-type: application/json"));
	CU_ASSERT(fake_has_header(&fake, 0, "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek"));
	CU_ASSERT(fake_has_header(&fake, 0, "webhook-timestamp: 1614265330"));
	CU_ASSERT(fake_has_header(&fake, 0, "webhook-signature: " VECTOR));
	CU_ASSERT(fake_has_header(&fake, 0, "belfry-position: k3x9-42"));
	CU_ASSERT(fake_has_header(&fake, 0, "belfry-source: cronofy"));
	CU_ASSERT_PTR_NULL(strstr(fake.requests[0].headers, "belfry-tags"));
	CU_ASSERT_PTR_NULL(strstr(fake.requests[0].headers, "traceparent"));
	fake_end(&fake);
}

static void test_rotation(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("url", URL, "secrets", OTHER, "secrets", SECRET));
	fake.delivery.key = "msg_p5jXN8AQM9LWM0D4loKWxJek";
	fake_set_body(&fake, "{\"test\": 2432232314}");
	fake_answer(&fake, 200, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	const char *value = strstr(fake.requests[0].headers, "webhook-signature: v1,");
	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	CU_ASSERT_PTR_NOT_NULL(strstr(value, " " VECTOR "\n"));
	fake_end(&fake);
}

static void test_without_prefix(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("url", URL, "secrets", SECRET + 6));
	fake.delivery.key = "msg_p5jXN8AQM9LWM0D4loKWxJek";
	fake_set_body(&fake, "{\"test\": 2432232314}");
	fake_answer(&fake, 200, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT(fake_has_header(&fake, 0, "webhook-signature: " VECTOR));
	fake_end(&fake);
}

static void test_id_is_stable_and_has_no_full_stop(void)
{
	struct fake fake;
	begin(&fake);
	fake.delivery.key = "k3x9-42.0:handler";
	for (int i = 0; i < 2; i++) {
		fake.delivery.attempt = i + 1;
		fake_answer(&fake, 500, "");
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
		CU_ASSERT(fake_has_header(&fake, (size_t)i, "webhook-id: k3x9-42_0:handler"));
	}
	fake_end(&fake);
}

static void test_bytes(void)
{
	static const char body[] = "{\"x\":\"a\0b\xff\"}\r\n";
	struct fake fake;
	begin(&fake);
	fake_set_body_bytes(&fake, body, sizeof body - 1);
	fake_answer(&fake, 200, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_EQUAL(fake.requests[0].n_body, sizeof body - 1);
	CU_ASSERT_EQUAL(memcmp(fake.requests[0].body, body, sizeof body - 1), 0);
	fake_set_body_bytes(&fake, NULL, 0);
	fake_answer(&fake, 200, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	fake_end(&fake);
}

static void test_tags_and_headers(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("url", URL, "secrets", SECRET, "headers.Authorization", "Bearer abc"));
	fake_add_tag(&fake, "user", "42");
	fake.delivery.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	fake_add_tag(&fake, "odd", "a b&c\r\nX: y/\xc3\xa9");
	fake_answer(&fake, 200, "");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT(fake_has_header(&fake, 0, "belfry-tags: user=42&odd=a%20b%26c%0D%0AX%3A%20y%2F%C3%A9"));
	CU_ASSERT(fake_has_header(&fake, 0, "Authorization: Bearer abc"));
	CU_ASSERT(fake_has_header(&fake, 0, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
	fake_end(&fake);
}

static void test_answers(void)
{
	static const struct {
		int64_t status;
		int outcome;
	} answers[] = { { 200, BELFRY_DONE },  { 202, BELFRY_DONE },  { 299, BELFRY_DONE },   { 301, BELFRY_RETRY },
					{ 400, BELFRY_RETRY }, { 404, BELFRY_RETRY }, { 410, BELFRY_REJECT }, { 429, BELFRY_RETRY },
					{ 500, BELFRY_RETRY }, { 503, BELFRY_RETRY } };
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct fake fake;
		char reason[32];
		begin(&fake);
		fake_answer(&fake, answers[i].status, "<html>secret</html>");
		CU_ASSERT_EQUAL(fake_handle(&fake), answers[i].outcome);
		(void)snprintf(reason, sizeof reason, "answered %lld", (long long)answers[i].status);
		CU_ASSERT_STRING_EQUAL(fake.reason, reason);
		CU_ASSERT_EQUAL(fake.retry_after_ms, -1);
		fake_end(&fake);
	}
}

static void test_later(void)
{
	struct fake fake;
	begin(&fake);
	fake_answer_later(&fake, 503, 7000);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_EQUAL(fake.retry_after_ms, 7000);
	fake_end(&fake);
}

static void test_no_answer(void)
{
	static const struct {
		int r, outcome;
	} failures[] = { { -ETIMEDOUT, BELFRY_RETRY }, { -ECONNREFUSED, BELFRY_RETRY }, { -EPROTO, BELFRY_RETRY },
					 { -EMSGSIZE, BELFRY_RETRY },  { -EACCES, BELFRY_REJECT },      { -EINVAL, BELFRY_REJECT } };
	for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
		struct fake fake;
		begin(&fake);
		fake_fail(&fake, failures[i].r);
		CU_ASSERT_EQUAL(fake_handle(&fake), failures[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, "no answer"); /* the host's own */
		fake_end(&fake);
	}
}

static void test_refuses_secrets(void)
{
	static const char *const secrets[] = { "",
										   "whsec_",
										   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
										   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
										   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*",
										   "whsec_====",
										   "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
										   "MDEyMzQ1Njc4OTo7PD0+P0A=" };
	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
		struct fake fake;
		CU_ASSERT_EQUAL(fake_create(&fake, FAKE_OPTIONS("url", URL, "secrets", SECRET, "secrets", secrets[i])),
						-EINVAL);
		CU_ASSERT_STRING_EQUAL(fake.log, "secrets: entry 2 is not whsec_ and the base64 of 24 to 64 bytes");
		fake_end(&fake);
	}
}

UNIT_MAIN({ "signs as the standard's own test", test_vector }, { "every secret signs", test_rotation },
		  { "a secret may lack its prefix", test_without_prefix },
		  { "the id is the same at each attempt", test_id_is_stable_and_has_no_full_stop },
		  { "the body goes on as it came", test_bytes }, { "tags and further fields", test_tags_and_headers },
		  { "what answers mean", test_answers }, { "Retry-After is honoured", test_later },
		  { "without an answer", test_no_answer }, { "refuses secrets", test_refuses_secrets })
