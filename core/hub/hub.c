/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/internal.h"

#include <errno.h>
#include <utlist.h>

int hub_create(const struct hub_options *options, struct hub **ret_hub)
{
	CLEANUP(hub_destroy) struct hub *hub = calloc(1, sizeof *hub);
	if (!hub)
		return -ENOMEM;
	hub->options = *options;
	hub->head = options->head;
	int r = interest_index_create(&hub->index);
	if (r == 0)
		r = ring_create(options->max_ring_bytes, options->head, &hub->ring);
	if (r < 0)
		return r;
	*ret_hub = STEAL(hub);
	return 0;
}

void hub_destroy(struct hub *hub)
{
	if (!hub)
		return;
	hub_release_read(hub);
	ring_destroy(hub->ring);
	interest_index_destroy(hub->index);
	free(hub->reading);
	free(hub->read_filters);
	free(hub);
}

uint64_t hub_delivered(const struct hub *hub)
{
	return hub->n_delivered;
}

uint64_t hub_delivered_bytes(const struct hub *hub)
{
	return hub->n_delivered_bytes;
}

size_t hub_ring_bytes(const struct hub *hub)
{
	return ring_bytes(hub->ring);
}

void hub_set_max_ring_bytes(struct hub *hub, size_t max_bytes)
{
	ring_set_max_bytes(hub->ring, max_bytes);
}

uint64_t hub_head(const struct hub *hub)
{
	return hub->head;
}

/* --- frames for one member ---------------------------------------------------------------------------- */

void hub_frames_add(struct hub_frames *frames, struct batch *batch, const struct batch_entry *entry)
{
	frames->entries[frames->n] = entry;
	frames->batches[frames->n++] = batch;
	frames->n_bytes += entry->frame.n;
	union {
		const char *constant;
		char *plain; /* iovec has no const; nobody writes through it */
	} start = { entry->frame.data };
	struct iovec *last = frames->n_pieces ? &frames->pieces[frames->n_pieces - 1] : NULL;
	if (last && (char *)last->iov_base + last->iov_len == start.plain)
		last->iov_len += entry->frame.n;
	else
		frames->pieces[frames->n_pieces++] = (struct iovec){ start.plain, entry->frame.n };
}

void hub_frames_clear(struct hub_frames *frames)
{
	frames->n = 0;
	frames->n_pieces = 0;
	frames->n_bytes = 0;
}

/* The first `n_taken` frames are with this member. */
static void count_taken(struct hub *hub, struct interest_slot *slot, size_t n_taken)
{
	hub->n_delivered += n_taken;
	for (size_t i = 0; i < n_taken; i++)
		hub->n_delivered_bytes += hub->frames.entries[i]->frame.n;
	if (n_taken)
		slot->cursor = hub->frames.entries[n_taken - 1]->sequence;
}

size_t hub_give(struct hub *hub, struct interest_slot *slots, size_t n)
{
	const struct hub_frames *frames = &hub->frames;
	if (frames->n == 0)
		return n;
	size_t n_taken = 0;
	size_t n_done = hub->options.deliver(slots, n, frames, &n_taken);
	hub->n_delivered += n_done * frames->n;
	hub->n_delivered_bytes += n_done * frames->n_bytes;
	for (size_t i = 0; i < n_done; i++)
		slots[i].cursor = frames->entries[frames->n - 1]->sequence;
	if (n_done < n)
		count_taken(hub, &slots[n_done], n_taken);
	return n_done;
}

/* --- where members are ----------------------------------------------------------------------------------------- */

/* Behind, and able to take more: what the ring does not have comes from the journal. */
void hub_set_behind(struct hub *hub, struct member *member)
{
	if (member->n_newest == 0 && member->cursor >= ring_floor(hub->ring)) {
		member->state = MEMBER_READY;
		DL_APPEND(hub->ready, member);
		return;
	}
	member->state = MEMBER_WAITING;
	member->is_in_read = false;
	DL_APPEND(hub->waiting, member);
}

static void set_due(struct hub *hub, struct interest *interest)
{
	if (interest->n_due == 0)
		DL_APPEND(hub->due, interest);
	interest->n_due = interest->n_slots;
}

static void publication_drop(struct publication *publication)
{
	if (--publication->n_left)
		return;
	batch_unref(publication->batch);
	free(publication);
}

static const struct batch_entry *pending_entry(const struct interest_pending *pending)
{
	return &pending->publication->batch->entries[pending->entry];
}

static void finish_pending(struct hub *hub, const struct interest_pending *pending)
{
	if (--pending->publication->n_due[pending->entry])
		return;
	hub->options.finished(hub->options.context, pending_entry(pending)->event);
	publication_drop(pending->publication);
}

static void clear_pending(struct hub *hub, struct interest *interest, size_t n)
{
	for (size_t i = 0; i < n; i++)
		finish_pending(hub, &interest->pending[i]);
	interest->n_pending -= n;
	if (interest->n_pending)
		memmove(interest->pending, interest->pending + n, interest->n_pending * sizeof *interest->pending);
}

static void set_done(struct hub *hub, struct interest *interest)
{
	if (interest->n_due) {
		interest->n_due = 0;
		DL_DELETE(hub->due, interest);
	}
	clear_pending(hub, interest, interest->n_pending);
}

static uint64_t pending_sequence(const struct interest *interest, size_t i)
{
	return pending_entry(&interest->pending[i])->sequence;
}

/* The first pending event that a slot with this cursor has not got. */
static size_t first_pending(const struct interest *interest, uint64_t cursor)
{
	size_t i = interest->n_pending;
	while (i > 0 && pending_sequence(interest, i - 1) > cursor)
		i--;
	return i;
}

/* A live member's cursor goes stale while nothing matches; what it has really dealt with is everything before the first
 * pending event that it lacks. */
static uint64_t slot_position(const struct hub *hub, const struct interest *interest, const struct interest_slot *slot)
{
	size_t i = first_pending(interest, slot->cursor);
	if (i < interest->n_pending)
		return pending_sequence(interest, i) - 1;
	return slot->cursor > hub->head ? slot->cursor : hub->head;
}

static int slot_add(struct hub *hub, struct member *member)
{
	struct interest *interest = member->interest;
	if (interest->n_slots == interest->max_slots) {
		size_t max = interest->max_slots ? interest->max_slots * 2 : 1;
		struct interest_slot *slots = realloc(interest->slots, max * sizeof *slots);
		if (!slots)
			return -ENOMEM;
		interest->slots = slots;
		interest->max_slots = max;
	}
	member->slot = interest->n_slots;
	member->state = MEMBER_LIVE;
	/* a cursor may be ahead of this reactor's head: another reactor gave it that position */
	uint64_t cursor = member->cursor > hub->head ? member->cursor : hub->head;
	interest->slots[interest->n_slots++] = (struct interest_slot){ cursor, member, member->fd };
	if (interest->n_due)
		interest->n_due++; /* the round has become longer by one */
	return 0;
}

/* The last slot takes the place of the one that goes. It may be carried from before the sweep's next slot to behind it
 * or the other way round, so the round begins anew: visiting twice costs little, missing one would cost an event. */
static void slot_remove(struct hub *hub, struct member *member)
{
	struct interest *interest = member->interest;
	size_t last = --interest->n_slots;
	interest->slots[member->slot] = interest->slots[last];
	interest->slots[member->slot].member->slot = member->slot;
	if (interest->next_slot >= interest->n_slots)
		interest->next_slot = 0;
	if (interest->n_slots == 0) {
		set_done(hub, interest);
	} else if (interest->n_pending) {
		for (size_t i = 0; i < interest->n_pending; i++)
			interest->pending[i].added_at = interest->visits;
		set_due(hub, interest);
	}
}

/* Takes the member from wherever it is; its cursor is right afterwards. */
static void detach(struct hub *hub, struct member *member)
{
	switch (member->state) {
	case MEMBER_LIVE:
		member->cursor = slot_position(hub, member->interest, &member->interest->slots[member->slot]);
		slot_remove(hub, member);
		break;
	case MEMBER_READY:
		DL_DELETE(hub->ready, member);
		break;
	case MEMBER_WAITING:
		DL_DELETE(hub->waiting, member);
		break;
	case MEMBER_PAGED:
		DL_DELETE(hub->paged, member);
		break;
	case MEMBER_OUTSIDE:
	case MEMBER_BLOCKED:
		break;
	}
}

void hub_fail_member(struct hub *hub, struct member *member)
{
	hub_leave(hub, member);
	hub->options.fail(member->owner);
}

void hub_set_live(struct hub *hub, struct member *member)
{
	if (slot_add(hub, member) < 0) {
		member->state = MEMBER_BLOCKED; /* on no list */
		hub_fail_member(hub, member);
	}
}

int hub_join(struct hub *hub, struct member *member, const struct filter *const *filters, size_t n_filters,
			 uint64_t after, uint64_t n_newest)
{
	struct interest *interest;
	int r = interest_get(hub->index, filters, n_filters, &interest);
	if (r < 0)
		return r;
	enum member_state before = member->state;
	detach(hub, member);
	interest_put(hub->index, member->interest);
	member->interest = interest;
	if (before == MEMBER_OUTSIDE) {
		member->n_newest = n_newest;
		member->cursor = after == HUB_FROM_HEAD ? hub->head : after;
	}
	if (before == MEMBER_BLOCKED)
		member->state = MEMBER_BLOCKED;
	else
		hub_set_behind(hub, member); /* the next sweep finds out whether it is live */
	return 0;
}

void hub_leave(struct hub *hub, struct member *member)
{
	detach(hub, member);
	interest_put(hub->index, member->interest);
	member->interest = NULL;
	member->state = MEMBER_OUTSIDE;
}

void hub_block(struct hub *hub, struct member *member)
{
	if (member->state == MEMBER_OUTSIDE)
		return;
	detach(hub, member);
	member->state = MEMBER_BLOCKED;
}

void hub_writable(struct hub *hub, struct member *member)
{
	if (member->state == MEMBER_BLOCKED)
		hub_set_behind(hub, member);
}

uint64_t hub_position(const struct hub *hub, const struct member *member)
{
	if (member->state == MEMBER_OUTSIDE)
		return hub->head;
	if (member->state == MEMBER_LIVE)
		return slot_position(hub, member->interest, &member->interest->slots[member->slot]);
	return member->cursor;
}

/* --- publishing ------------------------------------------------------------------------------------------------ */

struct publishing {
	struct hub *hub;
	struct publication *publication;
	size_t entry;
};

static int add_pending(void *context, struct interest *interest)
{
	struct publishing *publishing = context;
	if (interest->n_slots == 0)
		return 0;
	if (interest->n_pending == interest->max_pending) {
		size_t max = interest->max_pending ? interest->max_pending * 2 : 1;
		struct interest_pending *pending = realloc(interest->pending, max * sizeof *pending);
		if (!pending)
			return -ENOMEM;
		interest->pending = pending;
		interest->max_pending = max;
	}
	interest->pending[interest->n_pending++] =
		(struct interest_pending){ publishing->publication, publishing->entry, interest->visits };
	if (publishing->publication->n_due[publishing->entry]++ == 0)
		publishing->publication->n_left++;
	set_due(publishing->hub, interest);
	return 0;
}

static int publish(struct hub *hub, struct batch *batch)
{
	struct publishing publishing = { .hub = hub };
	int r = ring_push(hub->ring, batch);
	if (r < 0)
		return r;
	publishing.publication = calloc(1, sizeof(struct publication) + batch->n * sizeof(size_t));
	if (!publishing.publication)
		return -ENOMEM;
	publishing.publication->batch = batch_ref(batch);
	publishing.publication->n_left = 1;
	for (size_t i = 0; r == 0 && i < batch->n; i++) {
		publishing.entry = i;
		r = interest_index_match(hub->index, batch->entries[i].event, batch->entries[i].sequence, add_pending,
								 &publishing);
	}
	publication_drop(publishing.publication);
	return r;
}

void hub_publish(struct hub *hub, struct batch *batch, uint64_t head)
{
	int r = batch ? publish(hub, batch) : 0;
	if (r < 0)
		hub_miss(hub, head);
	else if (head > hub->head)
		hub->head = head;
}

static void demote_members(void *context, struct interest *interest)
{
	struct hub *hub = context;
	while (interest->n_slots) {
		struct member *member = interest->slots[interest->n_slots - 1].member;
		detach(hub, member);
		hub_set_behind(hub, member);
	}
}

void hub_miss(struct hub *hub, uint64_t head)
{
	interest_index_each(hub->index, demote_members, hub);
	ring_clear(hub->ring, head);
	if (head > hub->head)
		hub->head = head;
}

/* --- sweeping -------------------------------------------------------------------------------------------------- */

/* Gathers pending events from `from` on. */
static size_t gather_pending(struct hub *hub, const struct interest *interest, size_t from)
{
	hub_frames_clear(&hub->frames);
	for (; from < interest->n_pending && hub->frames.n < HUB_MAX_FRAMES; from++) {
		const struct interest_pending *pending = &interest->pending[from];
		hub_frames_add(&hub->frames, pending->publication->batch, pending_entry(pending));
	}
	return from;
}

/* How many of these slots, at least one, lack the same pending events as the first: those from `from` on. */
static size_t count_alike(const struct interest *interest, const struct interest_slot *slots, size_t max, size_t from)
{
	size_t n = 1;
	while (n < max && first_pending(interest, slots[n].cursor) == from)
		n++;
	return n;
}

/* Live members beside each other mostly lack the same, which is gathered once for all of them: they get all that waits,
 * up to the first one whose socket is full, which is live no more. Returns how many got it. */
static size_t visit_slots(struct hub *hub, struct interest *interest, struct interest_slot *slots, size_t max)
{
	size_t from = first_pending(interest, slots->cursor);
	size_t n = count_alike(interest, slots, max, from);
	while (n > 0 && from < interest->n_pending) {
		from = gather_pending(hub, interest, from);
		size_t n_done = hub_give(hub, slots, n);
		if (n_done < n)
			hub_block(hub, slots[n_done].member);
		n = n_done;
	}
	return n;
}

/* Drops from the front what every slot has been visited for. */
static void trim_pending(struct hub *hub, struct interest *interest)
{
	size_t n = 0;
	while (n < interest->n_pending && interest->visits - interest->pending[n].added_at >= interest->n_slots)
		n++;
	if (n)
		clear_pending(hub, interest, n);
}

/* Whom the sweep did not reach while the ring went on catches up from the journal: nothing older than the ring may stay
 * in memory for what waits here. */
static void drop_late(struct hub *hub, struct interest *interest)
{
	size_t n = 0;
	while (n < interest->n_pending && pending_sequence(interest, n) <= ring_floor(hub->ring))
		n++;
	if (n == 0)
		return;
	uint64_t dropped = pending_sequence(interest, n - 1);
	for (size_t i = interest->n_slots; i > 0; i--) { /* the last one, seen already, takes the place of one that goes */
		struct interest_slot *slot = &interest->slots[i - 1];
		struct member *member = slot->member;
		if (slot->cursor >= dropped)
			continue;
		detach(hub, member);
		hub_set_behind(hub, member);
	}
	if (interest->n_pending)
		clear_pending(hub, interest, n);
}

/* Visits up to `max` of the slots that are due, from the next one on. Returns how many it has tried. */
static size_t visit_next(struct hub *hub, struct interest *interest, size_t max)
{
	if (interest->next_slot >= interest->n_slots)
		interest->next_slot = 0;
	size_t n = interest->n_slots - interest->next_slot;
	n = n < interest->n_due ? n : interest->n_due;
	n = visit_slots(hub, interest, &interest->slots[interest->next_slot], n < max ? n : max);
	if (n == 0)
		return 1; /* another one has its place now */
	interest->next_slot += n;
	interest->visits += n;
	interest->n_due -= n;
	if (interest->n_due == 0)
		DL_DELETE(hub->due, interest);
	return n;
}

static size_t sweep_interest(struct hub *hub, struct interest *interest, size_t max_visits)
{
	size_t n = 0;
	drop_late(hub, interest);
	while (n < max_visits && interest->n_due > 0)
		n += visit_next(hub, interest, max_visits - n);
	if (interest->n_due == 0)
		clear_pending(hub, interest, interest->n_pending);
	else
		trim_pending(hub, interest);
	return n;
}

bool hub_sweep(struct hub *hub, size_t max_writes)
{
	size_t n = 0;
	while (hub->due && n < max_writes) {
		struct interest *interest = hub->due;
		n += sweep_interest(hub, interest, max_writes - n);
		if (interest->n_due) { /* the next one's turn */
			DL_DELETE(hub->due, interest);
			DL_APPEND(hub->due, interest);
		}
	}
	for (n = 0; hub->ready && n < max_writes; n++)
		hub_serve_ready(hub, hub->ready);
	for (n = 0; hub->has_page && n < max_writes; n++)
		hub_serve_page(hub);
	hub_start_read(hub);
	return hub->due || hub->ready || hub->has_page;
}
