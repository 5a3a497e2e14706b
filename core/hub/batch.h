/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is a run of events that became durable together (or were read together), each with its WebSocket frame. The
 * frames are encoded once, here, and lie side by side in one piece of memory: a subscriber that wants neighbours gets
 * them in one write. Immutable and reference counted: reactors share it.
 */
#ifndef HUB_BATCH_H
#define HUB_BATCH_H

#include "wire/event.h"

struct batch_entry {
	struct event *event; /* the batch's reference */
	uint64_t sequence;
	struct span frame;   /* header and payload, ready for the socket */
	struct span message; /* the payload alone: the JSON text */
};

struct batch {
	atomic_uint references;
	size_t n;
	char *bytes;
	size_t n_bytes;
	struct batch_entry entries[];
};

/* Takes references to the events. Sequences grow. 0 or -ENOMEM. Any thread. */
int batch_create(const char *epoch, struct event *const *events, const uint64_t *sequences, size_t n,
				 struct batch **ret_batch) MUST_USE;
struct batch *batch_ref(struct batch *batch);
void batch_unref(struct batch *batch); /* NULL is fine */
CLEANUP_DEFINE(struct batch, batch_unref)

#endif
