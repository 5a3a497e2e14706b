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
/* "live", ...; "websocket", ... */
extern const char *const survey_states[REPORT_STATES], *const survey_transports[SUBSCRIBER_KINDS];
/* On its reactor's thread. */
enum report_state survey_state(const struct subscriber *subscriber);
/* How many events it is behind. */
uint64_t survey_lag(const struct reactor *reactor, const struct subscriber *subscriber);

/* What one reactor says. */
struct report {
	struct counters counters;
	struct callback_counters *sources; /* by index in the configuration */
	uint64_t n_pending, n_delivered, n_delivered_bytes, n_ring_bytes, head, lag;
	uint64_t n_subscribers[SUBSCRIBER_KINDS][REPORT_STATES];
};

struct survey;

/* What is looked at on the i-th reactor, on its thread. */
typedef void survey_look(struct survey *survey, const struct reactor *reactor, size_t i);
/* Fills survey::reports. */
survey_look survey_report;

/* The exchange of an endpoint that asks first: its `finish` calls survey_start(), `expire` and `release` are these. */
struct survey {
	struct exchange exchange; /* first */
	struct survey_note *notes;
	size_t n_notes, n_left;
	survey_look *look;
	struct report *reports; /* by reactor; NULL unless they were asked for */
	/* Answers the exchange. */
	void (*conclude)(struct survey *survey);
};

/* look: NULL if only the answer counts. */
void survey_start(struct exchange *exchange, survey_look *look, void (*conclude)(struct survey *survey));
void survey_expire(struct exchange *exchange);
void survey_release(struct exchange *exchange);

#endif
