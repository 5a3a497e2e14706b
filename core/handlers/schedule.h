/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a delivery is tried again, and when it is given up. Pure: time and chance are passed in.
 *
 * The pause before the next attempt is drawn from nothing up to a bound that doubles with each attempt (full jitter:
 * those that failed together do not come back together). A far end that says when (Retry-After) is believed, up to a
 * day. Whatever is left of give_up_after bounds both: the last attempt falls on its end.
 */
#ifndef HANDLERS_SCHEDULE_H
#define HANDLERS_SCHEDULE_H

#include "config/config.h"
#include "store/deliveries.h"

#define SCHEDULE_MAX_RETRY_AFTER_MS (INT64_C(24) * 3600 * 1000)
/* Attempts in a row that ended their process, after which an event is not given to it any more. */
#define SCHEDULE_MAX_CRASHED 3
/* Times that the gateway ended while it was handled, after which nobody tries again: it may be what ends the gateway.
 */
#define SCHEDULE_MAX_INTERRUPTED 16

enum schedule_result {
	RESULT_DONE,
	RESULT_RETRY,
	RESULT_REJECT,
	RESULT_LATE,    /* killed at its deadline */
	RESULT_CRASHED, /* its process ended, or broke the protocol */
};

struct schedule_attempt {
	enum schedule_result result;
	int64_t retry_after_ms; /* negative: it did not say */
	int64_t now_ms;
	uint64_t random;
};

/* What becomes of the delivery (as it was claimed) after an attempt: its new state, due_ms and n_crashed. Returns why
 * it was given up, to be put behind the attempt's own reason; NULL if it was not, or the handler itself did. */
const char *schedule_decide(const struct config_retry *retry, const struct schedule_attempt *attempt,
							struct delivery *delivery);

/* Before an attempt: why there is to be none any more; NULL if there is. */
const char *schedule_end(const struct config_retry *retry, const struct delivery *delivery, int64_t now_ms);

/* The attempt that comes next: 1.. */
int64_t schedule_attempt_number(const struct delivery *delivery);

#endif
