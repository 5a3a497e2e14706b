/* SPDX-License-Identifier: Apache-2.0 */
/* When a delivery is tried again and when it is given up; when a handler pauses. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "handlers/breaker.h"
#include "handlers/schedule.h"
#include "unit.h"

static const struct config_retry retry = {
	.max_attempts = 5, .initial_ms = 1000, .maximum_ms = 3000, .give_up_after_ms = 60000
};

/* The delivery after its n-th attempt, at a time, by chance. */
static struct delivery after(int64_t n_attempt, struct schedule_attempt attempt, const char **ret_end)
{
	struct delivery delivery = { .state = DELIVERY_CLAIMED, .owed_ms = 1000, .n_attempts = n_attempt - 1 };
	if (attempt.now_ms == 0)
		attempt.now_ms = 2000;
	*ret_end = schedule_decide(&retry, &attempt, &delivery);
	return delivery;
}

static void test_ends(void)
{
	const char *end = NULL;
	CU_ASSERT_EQUAL(after(1, (struct schedule_attempt){ .result = RESULT_DONE }, &end).state, DELIVERY_DONE);
	CU_ASSERT_PTR_NULL(end);
	CU_ASSERT_EQUAL(after(1, (struct schedule_attempt){ .result = RESULT_REJECT }, &end).state, DELIVERY_DEAD);
	CU_ASSERT_PTR_NULL(end);
	CU_ASSERT_EQUAL(after(5, (struct schedule_attempt){ .result = RESULT_DONE }, &end).state, DELIVERY_DONE);
}

static int64_t pause_after(int64_t n_attempt, uint64_t random)
{
	const char *end = NULL;
	struct schedule_attempt attempt = { .result = RESULT_RETRY, .retry_after_ms = -1, .random = random };
	struct delivery delivery = after(n_attempt, attempt, &end);
	CU_ASSERT_TRUE(delivery.state == DELIVERY_DUE && !end);
	return delivery.due_ms - 2000;
}

static void test_pauses_are_drawn(void)
{
	CU_ASSERT_EQUAL(pause_after(1, 0), 1);
	CU_ASSERT_EQUAL(pause_after(1, 999), 1000);
	CU_ASSERT_EQUAL(pause_after(1, 1000), 1);
	CU_ASSERT_EQUAL(pause_after(2, 1999), 2000);
	CU_ASSERT_EQUAL(pause_after(3, 2999), 3000); /* and not 4000 */
	CU_ASSERT_EQUAL(pause_after(4, 2999), 3000);
	CU_ASSERT_TRUE(pause_after(1, UINT64_MAX) <= 1000);
}

static void test_pauses_never_overflow(void)
{
	const struct config_retry patient = { .max_attempts = 1000,
										  .initial_ms = INT64_C(24) * 3600 * 1000,
										  .maximum_ms = INT64_C(24) * 3600 * 1000,
										  .give_up_after_ms = INT64_C(30) * 24 * 3600 * 1000 };
	struct delivery delivery = { .owed_ms = 0, .n_attempts = 998 };
	struct schedule_attempt attempt = {
		.result = RESULT_RETRY, .retry_after_ms = -1, .now_ms = 1, .random = UINT64_MAX
	};
	CU_ASSERT_PTR_NULL(schedule_decide(&patient, &attempt, &delivery));
	CU_ASSERT_TRUE(delivery.due_ms > 1 && delivery.due_ms <= 1 + patient.maximum_ms);
}

static void test_a_far_end_says_when(void)
{
	const char *end = NULL;
	struct schedule_attempt attempt = { .result = RESULT_RETRY, .retry_after_ms = 30000, .random = 7 };
	CU_ASSERT_EQUAL(after(1, attempt, &end).due_ms, 32000);
	attempt.retry_after_ms = 0;
	CU_ASSERT_EQUAL(after(1, attempt, &end).due_ms, 2000);
	attempt.retry_after_ms = INT64_MAX; /* no later than it is given up */
	CU_ASSERT_EQUAL(after(1, attempt, &end).due_ms, 61000);
}

static void test_is_given_up(void)
{
	const char *end = NULL;
	struct schedule_attempt attempt = { .result = RESULT_RETRY, .retry_after_ms = -1 };
	CU_ASSERT_EQUAL(after(5, attempt, &end).state, DELIVERY_DEAD);
	CU_ASSERT_STRING_EQUAL(end, "given up: the last attempt of max_attempts");
	attempt.now_ms = 60999;
	CU_ASSERT_EQUAL(after(2, attempt, &end).due_ms, 61000); /* the last attempt falls on the end */
	attempt.now_ms = 61000;
	CU_ASSERT_EQUAL(after(2, attempt, &end).state, DELIVERY_DEAD);
	CU_ASSERT_STRING_EQUAL(end, "given up: give_up_after is over");
}

static void test_a_replay_begins_anew(void)
{
	struct delivery delivery = { .owed_ms = 1000, .n_attempts = 5, .n_before = 5 };
	struct schedule_attempt attempt = { .result = RESULT_RETRY, .retry_after_ms = -1, .now_ms = 2000 };
	CU_ASSERT_EQUAL(schedule_attempt_number(&delivery), 1);
	CU_ASSERT_PTR_NULL(schedule_decide(&retry, &attempt, &delivery));
	CU_ASSERT_EQUAL(delivery.due_ms, 2001);
}

static void test_three_crashes_in_a_row(void)
{
	struct delivery delivery = { .owed_ms = 1000, .n_crashed = 1 };
	struct schedule_attempt crash = { .result = RESULT_CRASHED, .retry_after_ms = -1, .now_ms = 2000 };
	struct schedule_attempt late = { .result = RESULT_LATE, .retry_after_ms = -1, .now_ms = 2000 };
	CU_ASSERT_PTR_NULL(schedule_decide(&retry, &crash, &delivery));
	CU_ASSERT_EQUAL(delivery.n_crashed, 2);
	CU_ASSERT_PTR_NULL(schedule_decide(&retry, &late, &delivery));
	CU_ASSERT_EQUAL(delivery.n_crashed, 0);
	CU_ASSERT_PTR_NULL(schedule_decide(&retry, &crash, &delivery));
	CU_ASSERT_PTR_NULL(schedule_decide(&retry, &crash, &delivery));
	const char *end = schedule_decide(&retry, &crash, &delivery);
	CU_ASSERT_EQUAL(delivery.state, DELIVERY_DEAD);
	CU_ASSERT_STRING_EQUAL(end, "given up: three times in a row it ended its process");
}

/* What waited too long without ever being tried (the plugin could not be loaded, say) is tried once. */
static void test_is_over(void)
{
	struct delivery delivery = { .owed_ms = 1000 };
	CU_ASSERT_PTR_NULL(schedule_end(&retry, &delivery, INT64_C(1) << 40));
	delivery.n_attempts = 1;
	CU_ASSERT_PTR_NULL(schedule_end(&retry, &delivery, 61000));
	CU_ASSERT_STRING_EQUAL(schedule_end(&retry, &delivery, 64001), "given up: give_up_after is over");
}

static void test_what_ends_the_gateway(void)
{
	struct delivery delivery = { .owed_ms = 1000, .n_interrupted = SCHEDULE_MAX_INTERRUPTED - 1 };
	CU_ASSERT_PTR_NULL(schedule_end(&retry, &delivery, 1000));
	delivery.n_interrupted++;
	CU_ASSERT_STRING_EQUAL(schedule_end(&retry, &delivery, 1000),
						   "given up: the gateway ended again and again while it was handled");
}

static void test_the_breaker(void)
{
	const struct config_breaker config = { .failures = 2, .pause_ms = 100 };
	struct breaker breaker = { 0 };
	CU_ASSERT_FALSE(breaker_note_failure(&breaker, &config, 1000));
	CU_ASSERT_FALSE(breaker_note_success(&breaker));
	CU_ASSERT_FALSE(breaker_note_failure(&breaker, &config, 1000));
	CU_ASSERT_EQUAL(breaker_allowance(&breaker, 1000), SIZE_MAX);
	CU_ASSERT_TRUE(breaker_note_failure(&breaker, &config, 1000));
	CU_ASSERT_EQUAL(breaker_allowance(&breaker, 1099), 0);
	CU_ASSERT_EQUAL(breaker_allowance(&breaker, 1100), 1);
	CU_ASSERT_FALSE(breaker_note_failure(&breaker, &config, 1100)); /* it pauses again */
	CU_ASSERT_EQUAL(breaker_allowance(&breaker, 1199), 0);
	CU_ASSERT_TRUE(breaker_note_success(&breaker));
	CU_ASSERT_EQUAL(breaker_allowance(&breaker, 1100), SIZE_MAX);
}

static void test_a_breaker_that_is_off(void)
{
	const struct config_breaker config = { .failures = 0, .pause_ms = 100 };
	struct breaker breaker = { 0 };
	for (int i = 0; i < 1000; i++)
		CU_ASSERT_FALSE(breaker_note_failure(&breaker, &config, 1000));
	CU_ASSERT_EQUAL(breaker_allowance(&breaker, 1000), SIZE_MAX);
}

UNIT_MAIN({ "ends", test_ends }, { "pauses are drawn", test_pauses_are_drawn },
		  { "pauses never overflow", test_pauses_never_overflow }, { "a far end says when", test_a_far_end_says_when },
		  { "is given up", test_is_given_up }, { "a replay begins anew", test_a_replay_begins_anew },
		  { "three crashes in a row", test_three_crashes_in_a_row }, { "is over", test_is_over },
		  { "what ends the gateway", test_what_ends_the_gateway }, { "the breaker", test_the_breaker },
		  { "a breaker that is off", test_a_breaker_that_is_off })
