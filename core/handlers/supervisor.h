/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: claims what is due, gives it to processes, one delivery at a time each, and writes down what became
 * of it.
 *
 * One thread with a loop of its own. The store tells it by notes in its inbox what was claimed and settled; on a commit
 * it is told for which handlers something new is owed. Processes start at the first delivery that is due and stop when
 * they had nothing to do for a while, so that a handler at rest costs nothing but its entry here. Nothing is kept here
 * that the journal does not know: whenever the gateway ends, everything is found again.
 *
 * How many deliveries a handler holds in advance follows from how long it takes for one: as many as it handles while
 * the journal writes down a batch.
 */
#ifndef HANDLERS_SUPERVISOR_H
#define HANDLERS_SUPERVISOR_H

#include "base/histogram.h"
#include "config/generation.h"
#include "store/store.h"

struct supervisor;

/* The store must outlive it. 0 or -errno. */
int supervisor_create(struct generation *generation, struct store *store, struct supervisor **ret_supervisor) MUST_USE;
/* Starts the thread. 0 or -errno. */
int supervisor_start(struct supervisor *supervisor) MUST_USE;

/*
 * Another configuration, in two steps, so that the second one cannot fail. Handlers are found again by their names:
 * those whose processes would be told the same keep them, their breaker and their pace; others have their processes
 * ended after what they are at. Those that are gone finish that, too; what else they are owed stays in the journal.
 * done(context) is called on the supervisor's thread when it goes by it.
 */
struct supervisor_switch;
int supervisor_switch_create(struct supervisor *supervisor, struct generation *generation, void (*done)(void *context),
							 void *context, struct supervisor_switch **ret_switch) MUST_USE;
void supervisor_switch_destroy(struct supervisor_switch *change);
CLEANUP_DEFINE(struct supervisor_switch, supervisor_switch_destroy)
/* Takes it over. Any thread. */
void supervisor_switch(struct supervisor *supervisor, struct supervisor_switch *change);

/* Something new is owed to this handler, or to all. Behind the last of those that came
 * together, supervisor_wake(). Any thread. */
void supervisor_note_owed(struct supervisor *supervisor, struct span handler);
void supervisor_note_all(struct supervisor *supervisor);
void supervisor_wake(struct supervisor *supervisor);

/* Nothing more is begun; what waits in its hands is given back. Any thread. */
void supervisor_drain(struct supervisor *supervisor);
/* After supervisor_drain(): whether nothing is in its hands any more. Any thread. */
bool supervisor_is_idle(struct supervisor *supervisor);
/* Ends all processes, gives back what they were at, and ends the thread. The store must be open. */
void supervisor_stop(struct supervisor *supervisor);
/* After supervisor_stop(), and after the store is closed. NULL is fine. */
void supervisor_destroy(struct supervisor *supervisor);

/* What operators ask about one handler; zeros if there is none of this name. Any thread. */
struct supervisor_counts {
	uint64_t n_done, n_retried, n_dead, n_crashed, n_processes, n_in_hand;
	bool is_paused;          /* by its circuit breaker */
	int64_t paused_until_ms; /* if it is: when one attempt is made */
	bool is_failing;         /* its process ends by itself, again and again: nothing gets done */
	uint64_t mean_ns;        /* of the latest attempts, about; 0: there was none */
	struct histogram took;   /* all attempts since the start */
};
void supervisor_get_counts(struct supervisor *supervisor, struct span handler, struct supervisor_counts *ret_counts);

/* What became of deliveries lately, all handlers together: sums of done, retry and dead, as history_add_up(). Any
 * thread. */
#define SUPERVISOR_HISTORY_COLUMNS 3
void supervisor_add_history(struct supervisor *supervisor, uint64_t first_slot, size_t slots_a_point, size_t n_points,
							uint64_t *sums);

#endif
