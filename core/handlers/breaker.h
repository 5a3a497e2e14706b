/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit breaker of one handler. When its far end seems to be down (so many attempts in a row were to be retried)
 * the handler pauses instead of using up the attempts of one delivery after the other. After the pause one attempt is
 * made; it decides. Pure: time is passed in.
 */
#ifndef HANDLERS_BREAKER_H
#define HANDLERS_BREAKER_H

#include "config/config.h"

struct breaker {
	uint64_t n_failures; /* in a row */
	int64_t paused_until_ms;
	bool is_open;
};

/* How many deliveries the handler may have in its hands now: 0, 1, or as many as it likes. */
size_t breaker_allowance(const struct breaker *breaker, int64_t now_ms);
/* True if the handler pauses from now on, and did not before. */
bool breaker_note_failure(struct breaker *breaker, const struct config_breaker *config, int64_t now_ms);
/* True if that ends a pause. */
bool breaker_note_success(struct breaker *breaker);

#endif
