/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who are behind: from the ring if it reaches back far enough, else from pages of the journal. One question to
 * the journal at a time; everybody who is about as far behind as the first in the queue is served by its answer.
 */
#include "hub/internal.h"

#include <errno.h>
#include <utlist.h>

/* Members whose cursors are at most this far apart share a page of the journal. */
#define SHARED_PAGE_SPAN 4096
/* More interests than this are not told apart in one question: then the page has everything. */
#define MAX_READ_FILTERS 64
#define MAX_PAGE_EVENTS 256
#define MAX_PAGE_BYTES (1u << 20)

/* Gathers what the ring has for the member; returns up to where it looked. */
static uint64_t gather_ring(struct hub *hub, const struct member *member)
{
	struct ring_cursor at;
	struct batch *batch;
	const struct batch_entry *entry;
	hub_frames_clear(&hub->frames);
	ring_seek(hub->ring, member->cursor, &at);
	while ((entry = ring_next(hub->ring, &at, &batch))) {
		if (!interest_matches(member->interest, entry->event))
			continue;
		hub_frames_add(&hub->frames, batch, entry);
		if (hub->frames.n == HUB_MAX_FRAMES)
			return entry->sequence;
	}
	return hub->head;
}

/* False if the member's socket is full. Its cursor is right afterwards. */
static bool give(struct hub *hub, struct member *member)
{
	struct interest_slot slot = { .cursor = member->cursor, .member = member, .fd = -1 };
	bool is_done = hub_give(hub, &slot, 1) == 1;
	member->cursor = slot.cursor;
	return is_done;
}

void hub_serve_ready(struct hub *hub, struct member *member)
{
	DL_DELETE(hub->ready, member);
	if (member->cursor < ring_floor(hub->ring)) { /* the ring went on meanwhile */
		hub_set_behind(hub, member);
		return;
	}
	uint64_t scanned = gather_ring(hub, member);
	if (!give(hub, member)) {
		member->state = MEMBER_BLOCKED;
		return;
	}
	if (scanned > member->cursor)
		member->cursor = scanned;
	if (member->cursor >= hub->head)
		hub_set_live(hub, member);
	else
		hub_set_behind(hub, member);
}

void hub_release_read(struct hub *hub)
{
	for (size_t i = 0; i < hub->n_reading; i++)
		interest_put(hub->index, hub->reading[i]);
	hub->n_reading = 0;
	hub->is_reading = hub->has_page = false;
	batch_unref(hub->page.batch);
	hub->page.batch = NULL;
}

static bool is_being_read(const struct hub *hub, const struct interest *interest)
{
	for (size_t i = 0; i < hub->n_reading; i++)
		if (hub->reading[i] == interest)
			return true;
	return false;
}

static int hold_interest(struct hub *hub, struct interest *interest)
{
	if (is_being_read(hub, interest))
		return 0;
	if (hub->n_reading == hub->max_reading) {
		size_t max = hub->max_reading ? hub->max_reading * 2 : 4;
		struct interest **reading = realloc(hub->reading, max * sizeof(struct interest *));
		if (!reading)
			return -ENOMEM;
		hub->reading = reading;
		hub->max_reading = max;
	}
	hub->reading[hub->n_reading++] = interest_ref(interest);
	return 0;
}

/* The filters of all interests in one array. None where there are too many to tell apart. */
static int collect_filters(struct hub *hub, struct hub_read *read)
{
	size_t n = 0;
	for (size_t i = 0; i < hub->n_reading; i++)
		n += hub->reading[i]->n_filters;
	if (n > MAX_READ_FILTERS)
		return 0;
	if (n > hub->max_read_filters) {
		struct filter *filters = realloc(hub->read_filters, n * sizeof *filters);
		if (!filters)
			return -ENOMEM;
		hub->read_filters = filters;
		hub->max_read_filters = n;
	}
	for (size_t i = 0; i < hub->n_reading; i++)
		for (size_t k = 0; k < hub->reading[i]->n_filters; k++)
			hub->read_filters[read->n_filters++] = hub->reading[i]->filters[k];
	read->filters = hub->read_filters;
	return 0;
}

/* The first who waits decides where the page begins; all who are not much further on share it. Beyond
 * MAX_READ_FILTERS interests nobody is told apart, so holding them is enough. */
static int choose_readers(struct hub *hub, struct hub_read *read)
{
	struct member *first = hub->waiting, *member;
	read->newest = first->n_newest > 0;
	read->max_events = first->n_newest ? (size_t)first->n_newest : MAX_PAGE_EVENTS;
	read->after = read->newest ? 0 : first->cursor;
	DL_FOREACH(hub->waiting, member)
	{
		bool shares = !first->n_newest && !member->n_newest && member->cursor >= first->cursor &&
					  member->cursor - first->cursor <= SHARED_PAGE_SPAN;
		if (member != first && !shares)
			continue;
		member->is_in_read = true;
		int r = hub->n_reading <= MAX_READ_FILTERS ? hold_interest(hub, member->interest) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

void hub_start_read(struct hub *hub)
{
	while (hub->waiting && !hub->is_reading) {
		struct hub_read read = { .until = hub->head, .max_bytes = MAX_PAGE_BYTES };
		hub->is_reading = true;
		int r = choose_readers(hub, &read);
		if (r == 0)
			r = collect_filters(hub, &read);
		if (r == 0)
			r = hub->options.read(hub->options.context, &read);
		if (r < 0)
			hub_page(hub, &(struct hub_page){ .error = r });
	}
}

/* What of the page this member lacks. Its cursor and state are right afterwards. */
static bool give_entries(struct hub *hub, struct member *member, struct batch *batch)
{
	for (size_t i = 0; batch && i < batch->n;) {
		hub_frames_clear(&hub->frames);
		for (; i < batch->n && hub->frames.n < HUB_MAX_FRAMES; i++)
			if (batch->entries[i].sequence > member->cursor &&
				interest_matches(member->interest, batch->entries[i].event))
				hub_frames_add(&hub->frames, batch, &batch->entries[i]);
		if (!give(hub, member))
			return false;
	}
	return true;
}

static void tell_purged(struct hub *hub, struct member *member, const struct hub_page *page)
{
	if (page->oldest <= member->cursor + 1)
		return;
	hub->options.gap(member->owner, member->cursor, page->oldest);
	member->cursor = page->oldest - 1;
}

static void tell_damaged(struct hub *hub, const struct member *member, const struct hub_page *page)
{
	if (page->n_damaged && page->damaged_last > member->cursor)
		hub->options.gap(member->owner, page->damaged_first - 1, page->damaged_last + 1);
}

static void give_page(struct hub *hub, struct member *member, const struct hub_page *page)
{
	bool is_newest = member->n_newest > 0;
	uint64_t scanned = page->scanned;
	if (!is_newest && member->cursor >= scanned && page->oldest <= member->cursor + 1) {
		hub_set_behind(hub, member); /* further on than this page: the next one */
		return;
	}
	member->n_newest = 0;
	if (is_newest)
		member->cursor = 0;
	else
		tell_purged(hub, member, page);
	tell_damaged(hub, member, page);
	if (!give_entries(hub, member, page->batch))
		return;
	if (scanned > member->cursor)
		member->cursor = scanned;
	hub_set_behind(hub, member);
}

void hub_serve_page(struct hub *hub)
{
	struct member *member = hub->paged;
	if (member) {
		DL_DELETE(hub->paged, member);
		member->state = MEMBER_BLOCKED; /* on no list, whatever telling it brings about */
		give_page(hub, member, &hub->page);
	} else {
		hub_release_read(hub);
	}
}

void hub_page(struct hub *hub, const struct hub_page *page)
{
	struct member *member, *next;
	DL_FOREACH_SAFE(hub->waiting, member, next)
	{
		if (!member->is_in_read)
			continue;
		if (page->error) {
			hub_fail_member(hub, member);
			continue;
		}
		DL_DELETE(hub->waiting, member);
		member->state = MEMBER_PAGED;
		DL_APPEND(hub->paged, member);
	}
	if (page->error) {
		hub_release_read(hub);
		return;
	}
	hub->page = *page;
	hub->page.batch = page->batch ? batch_ref(page->batch) : NULL;
	hub->has_page = true;
}
