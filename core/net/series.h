/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /history on the administrator's side: what has been counted in the last six hours, as series to be drawn.
 *
 * Each reactor keeps its own (base/history.h) and is asked for it, as for what it counts; the supervisor has that of
 * deliveries. What is counted here is counted in net/counters.h as well: this says when.
 */
#ifndef NET_SERIES_H
#define NET_SERIES_H

#include "net/connection.h"

/* A reactor's. 0 or -ENOMEM. */
int series_create(struct history **ret_history) MUST_USE;
void series_count_callback(struct reactor *reactor, enum callback_result result);
/* One that is durable, after so long. */
void series_count_durable(struct reactor *reactor, uint64_t took_ns);
void series_count_answer(struct reactor *reactor, int status);
/* reactor::n_subscribers has changed. */
void series_note_subscribers(struct reactor *reactor);

extern const struct endpoint series_endpoint;

#endif
