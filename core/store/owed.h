/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many deliveries each handler is owed: those that are due or claimed.
 *
 * Counted as they come and go, as counting them in the table would cost what is owed. What a transaction changes holds
 * when it has been committed: journal_begin() forgets what the one before has left, journal_end() makes it hold.
 * Belongs to the writer's thread but for what says otherwise.
 */
#ifndef STORE_OWED_H
#define STORE_OWED_H

#include "base/cleanup.h"
#include "base/span.h"

struct owed_counts;

int owed_counts_create(struct owed_counts **ret_counts) MUST_USE;
void owed_counts_destroy(struct owed_counts *counts); /* NULL is fine */
CLEANUP_DEFINE(struct owed_counts, owed_counts_destroy)

/* In the transaction: n more (or less). 0 or -ENOMEM. */
int owed_counts_add(struct owed_counts *counts, struct span handler, int64_t n) MUST_USE;
void owed_counts_commit(struct owed_counts *counts);
void owed_counts_roll_back(struct owed_counts *counts);

/* Any thread. */
uint64_t owed_counts_get(struct owed_counts *counts, struct span handler);

#endif
