/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The latest event of each source, tags and event id: what a new one is compared with.
 *
 * A compact table in memory, as every event is looked up and hardly any is found. Events are noted in order of sequence
 * in a ring; a table of slots leads from a key to its latest place in the ring: 56 bytes an event. At most
 * DUPLICATES_MAX events, and none older than DUPLICATES_MAX_AGE_MS, are remembered; the oldest are forgotten first.
 *
 * What belongs to a batch is found by the rest of the batch, and is gone if the batch fails.
 *
 * Belongs to the writer thread.
 */
#ifndef STORE_DUPLICATES_H
#define STORE_DUPLICATES_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

#define DUPLICATES_MAX 1048576u
#define DUPLICATES_MAX_BATCH 4096u /* events in one batch */
#define DUPLICATES_MAX_AGE_MS (INT64_C(24) * 3600 * 1000)
#define DUPLICATES_KEY_BYTES 16
#define DUPLICATES_BODY_BYTES 16 /* of the body's digest */

struct latest {
	uint8_t key[DUPLICATES_KEY_BYTES];
	uint8_t body[DUPLICATES_BODY_BYTES];
	uint64_t sequence;
	int64_t received_ms;
};

struct duplicates;
int duplicates_create(struct duplicates **ret_duplicates) MUST_USE;
void duplicates_destroy(struct duplicates *duplicates); /* NULL is fine */
CLEANUP_DEFINE(struct duplicates, duplicates_destroy)

/* NULL if there is none. Valid until the table is changed. */
const struct latest *duplicates_find(const struct duplicates *duplicates,
									 const uint8_t key[static DUPLICATES_KEY_BYTES]);
/* `latest` was the answer for the key of `event`: whether the two are the same within the window. */
bool duplicates_is_same(const struct latest *latest, const struct latest *event, int64_t window_ms);

/* An event of the batch under way, the newest so far. */
void duplicates_add(struct duplicates *duplicates, const struct latest *event);
void duplicates_commit(struct duplicates *duplicates);
void duplicates_roll_back(struct duplicates *duplicates);

/* An event older than all that are known, for filling the table at the start. False if there is no room for more. */
bool duplicates_add_older(struct duplicates *duplicates, const struct latest *event);

#endif
