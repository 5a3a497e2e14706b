/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest sequence that was ever given.
 *
 * Most commits write events and nothing else: the journal's row (state.h) says the head as of the beginning of the log,
 * and the events behind that say the rest. So a head is found anew, at the start and after a failure.
 *
 * A record whose key was damaged, or that a hand has put there, may stand anywhere. It is told by its digest, which
 * covers its sequence. The newest record that is whole is the head; what stands behind it is a stranger, and one of the
 * strangers may have been the newest event: so where there are any, the journal is not certainly the continuation of
 * what it was.
 */
#ifndef STORE_HEAD_H
#define STORE_HEAD_H

#include "store/sqlite.h"

/* `known`: what the journal's row says. *ret_has_strangers: there are records beyond the head. 0 or -errno. */
int head_find(sqlite3 *db, uint64_t known, uint64_t *ret_head, bool *ret_has_strangers) MUST_USE;
/* Strangers would be in the way of the events to come. In a transaction. 0 or -errno. */
int head_remove_strangers(sqlite3 *db, uint64_t head) MUST_USE;

#endif
