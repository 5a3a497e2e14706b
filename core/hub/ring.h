/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recent batches of one reactor, bounded in bytes: whoever is a little behind catches up from here.
 * What always holds: every event that is to be pushed with a sequence above the floor, up to the head, is in the ring.
 */
#ifndef HUB_RING_H
#define HUB_RING_H

#include "hub/batch.h"

struct ring;
int ring_create(size_t max_bytes, uint64_t floor, struct ring **ret_ring) MUST_USE;
void ring_destroy(struct ring *ring);
/* Takes effect with the next push. */
void ring_set_max_bytes(struct ring *ring, size_t max_bytes);

/* Takes a reference; drops old batches over the bound (never the newest). The batch's events are all above those of the
 * batch before. 0 or -ENOMEM. */
int ring_push(struct ring *ring, struct batch *batch) MUST_USE;
/* Forgets everything; `floor` is the new floor. */
void ring_clear(struct ring *ring, uint64_t floor);
uint64_t ring_floor(const struct ring *ring);
size_t ring_bytes(const struct ring *ring);

struct ring_cursor {
	size_t batch, entry;
};
/* To the first entry with a sequence greater than `after`, which is not below the floor. */
void ring_seek(const struct ring *ring, uint64_t after, struct ring_cursor *ret_cursor);
/* The entry at the cursor, and on to the next; NULL at the end. */
const struct batch_entry *ring_next(const struct ring *ring, struct ring_cursor *cursor, struct batch **ret_batch);

#endif
