/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told of an attempt beside its settlement: events of the gateway's own, which become durable together with the
 * settlement, so that neither is there without the other.
 *
 * Notices are for handlers alone, so that an administrator is told by the same handlers that do everything else. They
 * are in the journal, with what they owe, and are handled like callbacks; subscribers never see them.
 *
 *     belfry_dead_letter    a delivery is dead
 *     belfry_breaker        a handler pauses
 *
 * Never about a handler to itself, and never about a notice. Their body is JSON:
 * {"belfry":{"type":...,"handler":...,...},"callback":BODY}.
 *
 * Outcomes (wire/outcome.h) are for subscribers alone, where subscribers.outcomes is true, and about callbacks.
 */
#ifndef HANDLERS_NOTICE_H
#define HANDLERS_NOTICE_H

#include "handlers/internal.h"

/*
 * The supervisor's thread; before the job is settled, each at most once. They cost nothing where nobody is to be told.
 * What there is no memory for is said in the log. notice_dead_letter() and notice_outcome() take the delivery with its
 * new state.
 */
void notice_dead_letter(struct job *job, const struct delivery *delivery, struct span reason);
void notice_breaker(struct job *job);
void notice_outcome(struct job *job, const struct delivery *delivery, struct span reason);

/* When the job ends. */
void notice_forget(struct job *job);

#endif
