/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal as others read it than the gateway: one that nobody uses, or beside a gateway that runs.
 *
 * Nothing is ever written, not even by SQLite. Each question is a short transaction of its own, so that the gateway's
 * write-ahead log can always be begun anew; what the gateway writes or purges meanwhile is seen, or is not.
 */
#ifndef STORE_INSPECTION_H
#define STORE_INSPECTION_H

#include "store/deliveries.h"
#include "store/state.h"
#include "wire/event.h"

struct inspection {
	struct journal_file file;
	sqlite3 *db;
	sqlite3_stmt *record, *next, *deliveries, *attempts, *part;
	struct buffer scratch, handler;
	/* As of the opening. */
	struct journal_state state;
	uint64_t oldest, head;
	bool has_strangers; /* records beyond the head: see head.h */
};

/* 0; -errno and a sentence. */
int inspection_open(const char *path, struct inspection **ret_inspection, char **ret_message) MUST_USE;
void inspection_close(struct inspection *inspection); /* NULL is fine */
CLEANUP_DEFINE(struct inspection, inspection_close)

/* The next sequence behind `after` at which there is a record; -ENODATA if there is none. Else -errno. */
int inspection_next(struct inspection *inspection, uint64_t after, uint64_t *ret_sequence) MUST_USE;
/* 0; -ENOENT if there is none (any more); -EBADMSG if it is damaged; else -errno. */
int inspection_event(struct inspection *inspection, uint64_t sequence, struct event **ret_event) MUST_USE;

/* Calls on_delivery for what the event at this sequence owes or owed, in order of handler and interaction, until it
 * returns something else than 0, which is returned. What it is given is valid during the call. */
typedef int inspection_delivery(void *context, const struct delivery *delivery, bool is_damaged);
int inspection_deliveries(struct inspection *inspection, uint64_t sequence, inspection_delivery *on_delivery,
						  void *context) MUST_USE;
/* The same for the attempts of a delivery, the first one first. */
typedef int inspection_attempt(void *context, const struct attempt *attempt);
int inspection_attempts(struct inspection *inspection, const struct delivery *delivery, inspection_attempt *on_attempt,
						void *context) MUST_USE;

#endif
