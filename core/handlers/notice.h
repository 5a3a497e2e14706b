/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices: events of the gateway's own, for handlers alone, so that an administrator is told by the same handlers that
 * do everything else. They are in the journal, with what they owe, and are handled like callbacks; subscribers never
 * see them.
 *
 *     belfry_dead_letter    a delivery is dead
 *     belfry_breaker        a handler pauses
 *
 * Never about a handler to itself, and never about a notice. Their body is JSON:
 * {"belfry":{"type":...,"handler":...,...},"callback":BODY}.
 */
#ifndef HANDLERS_NOTICE_H
#define HANDLERS_NOTICE_H

#include "handlers/internal.h"

/* The supervisor's thread. Both cost nothing where no handler is to be told. What cannot be written is said in the log.
 */
void notice_dead_letter(const struct job *job, const struct delivery *delivery, struct span reason);
void notice_breaker(struct handler *handler);

#endif
