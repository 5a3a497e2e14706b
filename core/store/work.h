/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What deliveries.h asks of the writer, within the journal's transaction.
 *
 * Belongs to the writer thread.
 */
#ifndef STORE_WORK_H
#define STORE_WORK_H

#include "store/deliveries.h"
#include "store/journal.h"

/* What the event at this sequence owes. 0 or -errno. */
int work_owe(struct journal *journal, const struct append *append, uint64_t sequence) MUST_USE;

/* Before the first of them: what was claimed when the gateway ended is due again. 0 or -errno. */
int work_recover(struct journal *journal) MUST_USE;
/* 0, also where only this work has failed (`error` says so), or -errno: then the transaction has. */
int work_run(struct journal *journal, struct store_work *work) MUST_USE;
/* After the transaction. r: what it came to. Calls on_done; the work may be gone then. */
void work_end(struct journal *journal, struct store_work *work, int r);

/* What is still owed for the event at this sequence is dead, for this reason; how many deliveries that are is added to
 * *n. 0 or -errno. */
int work_kill_all(struct journal *journal, uint64_t sequence, const char *reason, uint64_t *n) MUST_USE;

/* Before events from `first` to `last` are purged: a finished delivery of theirs that is damaged is owed again. */
int work_check_finished(struct journal *journal, uint64_t first, uint64_t last) MUST_USE;

#endif
