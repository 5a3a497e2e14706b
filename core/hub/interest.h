/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interest is a set of filters that some members share, and the index leads from an event to interests.
 *
 * Every filter is filed once or several times under the most selective thing it asks for: its event ids, else the
 * values of one tag, else its types of interaction without a star; what asks for none of these is looked at for every
 * event. The index only proposes; filter_matches() decides.
 */
#ifndef HUB_INTEREST_H
#define HUB_INTEREST_H

#include "hub/batch.h"
#include "wire/filter.h"

#include <uthash.h>

struct member;

/* A live member as the sweep sees it: small, in an array, so that a broadcast touches little memory. */
struct interest_slot {
	uint64_t cursor; /* the last sequence given to it in this sweep */
	struct member *member;
	int fd;
};

/* A batch on its way to the live members of one hub. It ends when all of them have been visited. */
struct publication {
	struct batch *batch; /* a reference */
	size_t n_left;       /* entries that are due somewhere, and one while it is being published */
	size_t n_due[];      /* by entry: interests with members that have not been visited for it */
};

/* An event that some live member may not have got yet. */
struct interest_pending {
	struct publication *publication; /* counted in its n_due */
	size_t entry;
	uint64_t added_at; /* interest::visits when it came */
};

struct interest {
	UT_hash_handle hh; /* interest_index::interests */
	unsigned references;
	char *key; /* canonical text of the filters */
	struct filter *filters;
	size_t n_filters;

	struct interest_slot *slots; /* live members */
	size_t n_slots, max_slots;
	size_t next_slot; /* the sweep goes on here */
	uint64_t visits;  /* slots visited since the beginning */
	size_t n_due;     /* visits left in this round */
	struct interest_pending *pending;
	size_t n_pending, max_pending;
	uint64_t matched;             /* last sequence that was found to match: each once, however it is filed */
	struct interest *prev, *next; /* hub::due, while n_due > 0 */
};

struct interest_index;
int interest_index_create(struct interest_index **ret_index) MUST_USE;
void interest_index_destroy(struct interest_index *index);
CLEANUP_DEFINE(struct interest_index, interest_index_destroy)

/* The interest in these filters, made if there is none: a reference for the caller. 0 or -ENOMEM. */
int interest_get(struct interest_index *index, const struct filter *const *filters, size_t n_filters,
				 struct interest **ret_interest) MUST_USE;
struct interest *interest_ref(struct interest *interest);
/* The last reference takes it out of the index and frees it. NULL is fine. */
void interest_put(struct interest_index *index, struct interest *interest);

/* Calls back for every interest; `act` must not add or remove any. */
void interest_index_each(struct interest_index *index, void (*act)(void *context, struct interest *interest),
						 void *context);

bool interest_matches(const struct interest *interest, const struct event *event);
/* Calls back once for each interest that matches. A negative errno from `found` ends the walk and is returned. */
int interest_index_match(struct interest_index *index, const struct event *event, uint64_t sequence,
						 int (*found)(void *context, struct interest *interest), void *context) MUST_USE;

#endif
