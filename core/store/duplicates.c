/* SPDX-License-Identifier: Apache-2.0 */
#include "store/duplicates.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

/* Places count on for ever, and start in the middle so that older ones can be put before the first. */
#define START (UINT64_C(1) << 62)

struct duplicates {
	struct latest *ring;  /* by place % n_ring */
	size_t n_ring;        /* a power of two */
	uint64_t first, end;  /* places of the durable ones */
	uint64_t end_pending; /* and of the batch under way, behind them */
	uint32_t *slots;      /* 2 * n_ring: an index of the ring + 1, or 0; open addressing with linear probing */
	bool has_been_full;
};

static struct latest *at_place(const struct duplicates *duplicates, uint64_t place)
{
	return &duplicates->ring[place % duplicates->n_ring];
}

static bool has_key(const struct latest *latest, const uint8_t *key)
{
	return memcmp(latest->key, key, DUPLICATES_KEY_BYTES) == 0;
}

static size_t slot_mask(const struct duplicates *duplicates)
{
	return 2 * duplicates->n_ring - 1;
}

/* Keys are digests: any eight bytes of them are as good as a hash. */
static size_t home_of(const struct duplicates *duplicates, const uint8_t *key)
{
	uint64_t hash;
	memcpy(&hash, key, sizeof hash);
	return hash & slot_mask(duplicates);
}

static struct latest *in_slot(const struct duplicates *duplicates, size_t slot)
{
	return duplicates->slots[slot] ? &duplicates->ring[duplicates->slots[slot] - 1] : NULL;
}

/* The slot of the key, or the empty one where it belongs. */
static size_t slot_of(const struct duplicates *duplicates, const uint8_t *key)
{
	size_t slot = home_of(duplicates, key);
	while (duplicates->slots[slot] && !has_key(in_slot(duplicates, slot), key))
		slot = (slot + 1) & slot_mask(duplicates);
	return slot;
}

/* Points the key's slot at the place. */
static void enter(struct duplicates *duplicates, uint64_t place)
{
	size_t slot = slot_of(duplicates, at_place(duplicates, place)->key);
	duplicates->slots[slot] = (uint32_t)(place % duplicates->n_ring) + 1;
}

/* Moves everything into a larger ring. False, and nothing changed, without memory. */
static bool resize(struct duplicates *duplicates, size_t n_ring)
{
	struct duplicates larger = *duplicates;
	larger.n_ring = n_ring;
	larger.ring = calloc(n_ring, sizeof *larger.ring);
	larger.slots = calloc(2 * n_ring, sizeof *larger.slots);
	if (!larger.ring || !larger.slots) {
		free(larger.ring);
		free(larger.slots);
		return false;
	}
	for (uint64_t place = larger.first; place < larger.end_pending; place++) {
		*at_place(&larger, place) = *at_place(duplicates, place);
		if (place < larger.end) /* in order, so that the latest of a key stays */
			enter(&larger, place);
	}
	free(duplicates->ring);
	free(duplicates->slots);
	*duplicates = larger;
	return true;
}

int duplicates_create(struct duplicates **ret_duplicates)
{
	CLEANUP(duplicates_destroy) struct duplicates *made = calloc(1, sizeof *made);
	if (!made)
		return -ENOMEM;
	made->first = made->end = made->end_pending = START;
	if (!resize(made, 2 * DUPLICATES_MAX_BATCH))
		return -ENOMEM;
	*ret_duplicates = STEAL(made);
	return 0;
}

void duplicates_destroy(struct duplicates *duplicates)
{
	if (!duplicates)
		return;
	free(duplicates->ring);
	free(duplicates->slots);
	free(duplicates);
}

const struct latest *duplicates_find(const struct duplicates *duplicates,
									 const uint8_t key[static DUPLICATES_KEY_BYTES])
{
	/* the batch's own first, from the newest on: they are few */
	for (uint64_t place = duplicates->end_pending; place > duplicates->end; place--)
		if (has_key(at_place(duplicates, place - 1), key))
			return at_place(duplicates, place - 1);
	return in_slot(duplicates, slot_of(duplicates, key));
}

/* The wall clock may jump, so the distance counts, not the direction. */
bool duplicates_is_same(const struct latest *latest, const struct latest *event, int64_t window_ms)
{
	int64_t distance;
	if (memcmp(latest->body, event->body, DUPLICATES_BODY_BYTES) != 0 ||
		__builtin_sub_overflow(event->received_ms, latest->received_ms, &distance))
		return false;
	return distance <= window_ms && distance >= -window_ms;
}

/* Empties the slot, and moves up those behind it that would not be found any more. */
static void empty_slot(struct duplicates *duplicates, size_t hole)
{
	size_t mask = slot_mask(duplicates);
	for (size_t slot = (hole + 1) & mask; duplicates->slots[slot]; slot = (slot + 1) & mask) {
		size_t home = home_of(duplicates, in_slot(duplicates, slot)->key);
		if (((slot - home) & mask) < ((slot - hole) & mask)) /* its home lies behind the hole */
			continue;
		duplicates->slots[hole] = duplicates->slots[slot];
		hole = slot;
	}
	duplicates->slots[hole] = 0;
}

static void forget_oldest(struct duplicates *duplicates)
{
	struct latest *oldest = at_place(duplicates, duplicates->first++);
	size_t slot = slot_of(duplicates, oldest->key);
	if (in_slot(duplicates, slot) == oldest) /* else a later one has taken its key over */
		empty_slot(duplicates, slot);
}

/* Room in the ring for one more. */
static bool has_room(struct duplicates *duplicates)
{
	size_t n_ring = duplicates->n_ring;
	if (duplicates->end_pending - duplicates->first < n_ring)
		return true;
	if (n_ring < DUPLICATES_MAX && resize(duplicates, 2 * n_ring))
		return true;
	if (!duplicates->has_been_full)
		log_warning("too many events to remember all of them for the duplicate window: the oldest are forgotten",
					LOG_NUMBER("remembered", n_ring));
	duplicates->has_been_full = true;
	return false;
}

void duplicates_add(struct duplicates *duplicates, const struct latest *event)
{
	if (!has_room(duplicates)) /* the ring is larger than a batch: the oldest is a durable one */
		forget_oldest(duplicates);
	*at_place(duplicates, duplicates->end_pending++) = *event;
}

static bool is_too_old(const struct latest *latest, int64_t now_ms)
{
	int64_t age;
	return !__builtin_sub_overflow(now_ms, latest->received_ms, &age) && age > DUPLICATES_MAX_AGE_MS;
}

void duplicates_commit(struct duplicates *duplicates)
{
	while (duplicates->end < duplicates->end_pending) {
		int64_t now_ms = at_place(duplicates, duplicates->end)->received_ms;
		enter(duplicates, duplicates->end++);
		while (is_too_old(at_place(duplicates, duplicates->first), now_ms))
			forget_oldest(duplicates);
	}
}

void duplicates_roll_back(struct duplicates *duplicates)
{
	duplicates->end_pending = duplicates->end;
}

bool duplicates_add_older(struct duplicates *duplicates, const struct latest *event)
{
	if (in_slot(duplicates, slot_of(duplicates, event->key))) /* a later one is known */
		return true;
	if (!has_room(duplicates))
		return false;
	*at_place(duplicates, --duplicates->first) = *event;
	enter(duplicates, duplicates->first);
	return true;
}
