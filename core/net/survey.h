/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every reactor is asked how it is, by a note, and answers on its own thread. So what a reactor counts needs neither
 * lock nor atomic, and one that hangs is found out: who has not answered in time is named.
 */
#ifndef NET_SURVEY_H
#define NET_SURVEY_H

#include "net/connection.h"
#include "net/subscriber.h"

enum report_state { REPORT_LIVE, REPORT_BEHIND, REPORT_IDLE, REPORT_STATES };

/* What one reactor says. */
struct report {
	struct counters counters;
	struct callback_counters *sources; /* by index in the configuration */
	uint64_t n_pending, n_delivered, n_delivered_bytes, n_ring_bytes, head, lag;
	uint64_t n_subscribers[SUBSCRIBER_KINDS][REPORT_STATES];
};

/* The exchange of an endpoint that asks first: its `finish` calls survey_start(), `expire` and `release` are these. */
struct survey {
	struct exchange exchange; /* first */
	struct survey_note *notes;
	size_t n_notes, n_left;
	bool wants_reports;
	struct report *reports; /* by reactor */
	/* Answers the exchange. */
	void (*conclude)(struct survey *survey);
};

void survey_start(struct exchange *exchange, bool wants_reports, void (*conclude)(struct survey *survey));
void survey_expire(struct exchange *exchange);
void survey_release(struct exchange *exchange);

#endif
