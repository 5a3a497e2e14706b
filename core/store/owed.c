/* SPDX-License-Identifier: Apache-2.0 */
#include "store/owed.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uthash.h>

/* One handler's; stays, once it is there. */
struct count {
	UT_hash_handle hh; /* owed_counts::counts */
	char *handler;
	_Atomic int64_t n;
	int64_t change;             /* of the transaction */
	struct count *next_changed; /* owed_counts::changed */
	bool has_changed;
};

struct owed_counts {
	pthread_mutex_t lock;
	struct count *counts; /* {lock} to add one, and for other threads to find one */
	struct count *changed;
};

int owed_counts_create(struct owed_counts **ret_counts)
{
	struct owed_counts *counts = calloc(1, sizeof *counts);
	if (!counts)
		return -ENOMEM;
	(void)pthread_mutex_init(&counts->lock, NULL);
	*ret_counts = counts;
	return 0;
}

void owed_counts_destroy(struct owed_counts *counts)
{
	struct count *count, *next;
	if (!counts)
		return;
	HASH_ITER(hh, counts->counts, count, next)
	{
		HASH_DEL(counts->counts, count);
		free(count->handler);
		free(count);
	}
	(void)pthread_mutex_destroy(&counts->lock);
	free(counts);
}

static struct count *find(struct owed_counts *counts, struct span handler)
{
	struct count *count;
	HASH_FIND(hh, counts->counts, handler.data, handler.n, count);
	return count;
}

static struct count *make(struct owed_counts *counts, struct span handler)
{
	struct count *count = calloc(1, sizeof *count);
	if (!count || !(count->handler = span_dup(handler))) {
		free(count);
		return NULL;
	}
	(void)pthread_mutex_lock(&counts->lock);
	HASH_ADD_KEYPTR(hh, counts->counts, count->handler, handler.n, count);
	(void)pthread_mutex_unlock(&counts->lock);
	return count;
}

int owed_counts_add(struct owed_counts *counts, struct span handler, int64_t n)
{
	struct count *count = find(counts, handler);
	if (!count)
		count = make(counts, handler);
	if (!count)
		return -ENOMEM;
	count->change += n;
	if (count->has_changed)
		return 0;
	count->has_changed = true;
	count->next_changed = counts->changed;
	counts->changed = count;
	return 0;
}

static void end(struct owed_counts *counts, bool holds)
{
	while (counts->changed) {
		struct count *count = counts->changed;
		counts->changed = count->next_changed;
		if (holds)
			(void)atomic_fetch_add(&count->n, count->change);
		count->change = 0;
		count->has_changed = false;
	}
}

void owed_counts_commit(struct owed_counts *counts)
{
	end(counts, true);
}

void owed_counts_roll_back(struct owed_counts *counts)
{
	end(counts, false);
}

uint64_t owed_counts_get(struct owed_counts *counts, struct span handler)
{
	(void)pthread_mutex_lock(&counts->lock);
	struct count *count = find(counts, handler);
	int64_t n = count ? atomic_load(&count->n) : 0;
	(void)pthread_mutex_unlock(&counts->lock);
	return n > 0 ? (uint64_t)n : 0;
}
