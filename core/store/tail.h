/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tail: the terms of the newest events, whose segment of the index is not written yet, in memory.
 *
 * The writer thread adds and drops; any thread may look. What belongs to a batch that is not durable yet is not seen by
 * anybody, and is gone if the batch fails.
 */
#ifndef STORE_TAIL_H
#define STORE_TAIL_H

#include "store/segment.h"

struct tail;
int tail_create(struct tail **ret_tail) MUST_USE;
void tail_destroy(struct tail *tail); /* NULL is fine */
CLEANUP_DEFINE(struct tail, tail_destroy)

/* Everything from this sequence on is in the tail, everything before it in segments. */
uint64_t tail_first(struct tail *tail);
/* Adds the terms of the candidates' segment. False, and nothing added, if that lies before the tail. */
bool tail_find(struct tail *tail, const struct terms *terms, struct candidates *candidates);

/* The writer's. Sequences grow. 0 or -ENOMEM. */
int tail_add(struct tail *tail, const struct event *event, uint64_t sequence) MUST_USE;
void tail_commit(struct tail *tail);
void tail_roll_back(struct tail *tail);
/* A copy, the caller's to free, of what is durable of the segment. 0 or -ENOMEM. */
int tail_copy(struct tail *tail, uint64_t segment, struct segment_entry **ret_entries, size_t *ret_n) MUST_USE;
/* Forgets this event's terms. */
void tail_forget(struct tail *tail, uint64_t sequence);
/* Forgets what lies before `first`. */
void tail_drop(struct tail *tail, uint64_t first);

#endif
