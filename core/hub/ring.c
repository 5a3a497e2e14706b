/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/ring.h"

#include <errno.h>

struct ring {
	size_t max_bytes, n_bytes;
	uint64_t floor;
	struct batch **batches; /* from `first` on, in a circle */
	size_t first, n, max;   /* max is a power of two */
};

int ring_create(size_t max_bytes, uint64_t floor, struct ring **ret_ring)
{
	struct ring *ring = calloc(1, sizeof *ring);
	if (!ring)
		return -ENOMEM;
	ring->max_bytes = max_bytes;
	ring->floor = floor;
	*ret_ring = ring;
	return 0;
}

void ring_destroy(struct ring *ring)
{
	if (!ring)
		return;
	ring_clear(ring, 0);
	free(ring->batches);
	free(ring);
}

void ring_set_max_bytes(struct ring *ring, size_t max_bytes)
{
	ring->max_bytes = max_bytes;
}

static struct batch *batch_at(const struct ring *ring, size_t i)
{
	return ring->batches[(ring->first + i) & (ring->max - 1)];
}

static uint64_t last_sequence(const struct batch *batch)
{
	return batch->entries[batch->n - 1].sequence;
}

static void drop_oldest(struct ring *ring)
{
	struct batch *batch = batch_at(ring, 0);
	ring->floor = last_sequence(batch);
	ring->n_bytes -= batch->n_bytes;
	ring->first = (ring->first + 1) & (ring->max - 1);
	ring->n--;
	batch_unref(batch);
}

void ring_clear(struct ring *ring, uint64_t floor)
{
	while (ring->n)
		drop_oldest(ring);
	ring->floor = floor;
}

size_t ring_bytes(const struct ring *ring)
{
	return ring->n_bytes;
}

uint64_t ring_floor(const struct ring *ring)
{
	return ring->floor;
}

static int grow(struct ring *ring)
{
	size_t max = ring->max ? ring->max * 2 : 64;
	struct batch **batches = malloc(max * sizeof(struct batch *));
	if (!batches)
		return -ENOMEM;
	for (size_t i = 0; i < ring->n; i++)
		batches[i] = batch_at(ring, i);
	free(ring->batches);
	ring->batches = batches;
	ring->first = 0;
	ring->max = max;
	return 0;
}

int ring_push(struct ring *ring, struct batch *batch)
{
	if (batch->n == 0)
		return 0;
	if (ring->n == ring->max) {
		int r = grow(ring);
		if (r < 0)
			return r;
	}
	ring->batches[(ring->first + ring->n++) & (ring->max - 1)] = batch_ref(batch);
	ring->n_bytes += batch->n_bytes;
	while (ring->n > 1 && ring->n_bytes > ring->max_bytes)
		drop_oldest(ring);
	return 0;
}

void ring_seek(const struct ring *ring, uint64_t after, struct ring_cursor *ret_cursor)
{
	size_t low = 0, high = ring->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (last_sequence(batch_at(ring, middle)) <= after)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_cursor = (struct ring_cursor){ low, 0 };
	if (low == ring->n)
		return;
	const struct batch *batch = batch_at(ring, low);
	while (batch->entries[ret_cursor->entry].sequence <= after)
		ret_cursor->entry++;
}

const struct batch_entry *ring_next(const struct ring *ring, struct ring_cursor *cursor, struct batch **ret_batch)
{
	if (cursor->batch >= ring->n)
		return NULL;
	struct batch *batch = batch_at(ring, cursor->batch);
	const struct batch_entry *entry = &batch->entries[cursor->entry];
	if (++cursor->entry == batch->n)
		*cursor = (struct ring_cursor){ cursor->batch + 1, 0 };
	*ret_batch = batch;
	return entry;
}
