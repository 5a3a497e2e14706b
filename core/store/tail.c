/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tail.h"

#include <errno.h>
#include <pthread.h>

struct tail {
	pthread_mutex_t lock;
	struct segment_entry *entries; /* {lock} in order of sequence; the writer alone changes them */
	size_t cap;                    /* {lock} */
	size_t n;                      /* {lock} durable ones */
	size_t n_pending;              /* behind them, the writer's */
	uint64_t first;                /* {lock} */
};

int tail_create(struct tail **ret_tail)
{
	struct tail *tail = calloc(1, sizeof *tail);
	if (!tail)
		return -ENOMEM;
	(void)pthread_mutex_init(&tail->lock, NULL);
	*ret_tail = tail;
	return 0;
}

void tail_destroy(struct tail *tail)
{
	if (!tail)
		return;
	(void)pthread_mutex_destroy(&tail->lock);
	free(tail->entries);
	free(tail);
}

uint64_t tail_first(struct tail *tail)
{
	(void)pthread_mutex_lock(&tail->lock);
	uint64_t first = tail->first;
	(void)pthread_mutex_unlock(&tail->lock);
	return first;
}

/* Where the sequences from `sequence` on begin. */
static size_t search(const struct tail *tail, uint64_t sequence)
{
	size_t low = 0, high = tail->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (tail->entries[middle].sequence < sequence)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Almost all entries are somebody else's: a bit for six bits of the term says so without a look at the list. */
static void find(const struct tail *tail, size_t from, size_t to, const struct terms *terms,
				 struct candidates *candidates)
{
	uint64_t seen = 0;
	for (size_t i = 0; i < terms->n; i++)
		seen |= UINT64_C(1) << terms->terms[i] % 64;
	for (size_t at = from; at < to; at++) {
		const struct segment_entry *entry = &tail->entries[at];
		if (!(seen >> entry->term % 64 & 1))
			continue;
		for (size_t i = 0; i < terms->n; i++)
			if (terms->terms[i] == entry->term)
				candidates_add(candidates, entry->sequence);
	}
}

bool tail_find(struct tail *tail, const struct terms *terms, struct candidates *candidates)
{
	uint64_t segment = candidates->segment;
	(void)pthread_mutex_lock(&tail->lock);
	bool is_here = segment_first(segment) >= tail->first;
	if (is_here)
		find(tail, search(tail, segment_first(segment)), search(tail, segment_first(segment + 1)), terms, candidates);
	(void)pthread_mutex_unlock(&tail->lock);
	return is_here;
}

static int grow(struct tail *tail)
{
	size_t cap = tail->cap ? tail->cap * 2 : 1024;
	(void)pthread_mutex_lock(&tail->lock);
	struct segment_entry *entries = realloc(tail->entries, cap * sizeof *entries);
	if (entries) {
		tail->entries = entries;
		tail->cap = cap;
	}
	(void)pthread_mutex_unlock(&tail->lock);
	return entries ? 0 : -ENOMEM;
}

struct addition {
	struct tail *tail;
	uint64_t sequence;
};

static int add_term(void *context, uint64_t term)
{
	struct addition *addition = context;
	struct tail *tail = addition->tail;
	if (tail->n + tail->n_pending == tail->cap) {
		int r = grow(tail);
		if (r < 0)
			return r;
	}
	tail->entries[tail->n + tail->n_pending++] = (struct segment_entry){ term, addition->sequence };
	return 0;
}

int tail_add(struct tail *tail, const struct event *event, uint64_t sequence)
{
	return terms_of_event(event, add_term, &(struct addition){ tail, sequence });
}

void tail_commit(struct tail *tail)
{
	(void)pthread_mutex_lock(&tail->lock);
	tail->n += tail->n_pending;
	(void)pthread_mutex_unlock(&tail->lock);
	tail->n_pending = 0;
}

void tail_roll_back(struct tail *tail)
{
	tail->n_pending = 0;
}

int tail_copy(struct tail *tail, uint64_t segment, struct segment_entry **ret_entries, size_t *ret_n)
{
	size_t from = search(tail, segment_first(segment)), to = search(tail, segment_first(segment + 1));
	struct segment_entry *entries = malloc((to - from + 1) * sizeof *entries);
	if (!entries)
		return -ENOMEM;
	if (to > from)
		memcpy(entries, tail->entries + from, (to - from) * sizeof *entries);
	*ret_entries = entries;
	*ret_n = to - from;
	return 0;
}

void tail_forget(struct tail *tail, uint64_t sequence)
{
	(void)pthread_mutex_lock(&tail->lock);
	size_t from = search(tail, sequence), to = search(tail, sequence + 1);
	if (to > from) {
		memmove(tail->entries + from, tail->entries + to, (tail->n - to) * sizeof *tail->entries);
		tail->n -= to - from;
	}
	(void)pthread_mutex_unlock(&tail->lock);
}

void tail_drop(struct tail *tail, uint64_t first)
{
	(void)pthread_mutex_lock(&tail->lock);
	size_t from = search(tail, first);
	if (from)
		memmove(tail->entries, tail->entries + from, (tail->n - from) * sizeof *tail->entries);
	tail->n -= from;
	tail->first = first;
	(void)pthread_mutex_unlock(&tail->lock);
}
