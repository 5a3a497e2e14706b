/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/schedule.h"

#include <assert.h>

static_assert(SCHEDULE_MAX_RETRY_AFTER_MS < DELIVERY_MAX_WAIT_MS, "what is put off must be believed when it is read");

int64_t schedule_attempt_number(const struct delivery *delivery)
{
	return delivery->n_attempts - delivery->n_before + 1;
}

static int64_t end_ms(const struct config_retry *retry, const struct delivery *delivery)
{
	return delivery->owed_ms + retry->give_up_after_ms;
}

const char *schedule_end(const struct config_retry *retry, const struct delivery *delivery, int64_t now_ms)
{
	if (delivery->n_interrupted >= SCHEDULE_MAX_INTERRUPTED)
		return "given up: the gateway ended again and again while it was handled";
	/* the last attempt falls on the end: a little late is still in time */
	if (schedule_attempt_number(delivery) > 1 && now_ms > end_ms(retry, delivery) + retry->maximum_ms)
		return "given up: give_up_after is over";
	return NULL;
}

/* The longest pause before the next attempt. */
static int64_t pause_bound_ms(const struct config_retry *retry, int64_t n_tried)
{
	int64_t ms = retry->initial_ms;
	for (int64_t i = 1; i < n_tried && ms < retry->maximum_ms; i++)
		ms *= 2;
	return ms < retry->maximum_ms ? ms : retry->maximum_ms;
}

static int64_t pause_ms(const struct config_retry *retry, const struct schedule_attempt *attempt, int64_t n_tried)
{
	if (attempt->retry_after_ms >= 0)
		return attempt->retry_after_ms < SCHEDULE_MAX_RETRY_AFTER_MS ? attempt->retry_after_ms
																	 : SCHEDULE_MAX_RETRY_AFTER_MS;
	return 1 + (int64_t)(attempt->random % (uint64_t)pause_bound_ms(retry, n_tried));
}

static const char *give_up(struct delivery *delivery, const char *why)
{
	delivery->state = DELIVERY_DEAD;
	return why;
}

const char *schedule_decide(const struct config_retry *retry, const struct schedule_attempt *attempt,
							struct delivery *delivery)
{
	int64_t n_tried = schedule_attempt_number(delivery), last_ms = end_ms(retry, delivery);
	delivery->n_crashed = attempt->result == RESULT_CRASHED ? delivery->n_crashed + 1 : 0;
	if (attempt->result == RESULT_DONE || attempt->result == RESULT_REJECT) {
		delivery->state = attempt->result == RESULT_DONE ? DELIVERY_DONE : DELIVERY_DEAD;
		return NULL;
	}
	if (delivery->n_crashed >= SCHEDULE_MAX_CRASHED)
		return give_up(delivery, "given up: three times in a row it ended its process");
	if (n_tried >= (int64_t)retry->max_attempts)
		return give_up(delivery, "given up: the last attempt of max_attempts");
	if (attempt->now_ms >= last_ms)
		return give_up(delivery, "given up: give_up_after is over");
	delivery->state = DELIVERY_DUE;
	delivery->due_ms = attempt->now_ms + pause_ms(retry, attempt, n_tried);
	if (delivery->due_ms > last_ms)
		delivery->due_ms = last_ms;
	return NULL;
}
