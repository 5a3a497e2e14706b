/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: which events have a term.
 *
 * A table with a row for each term of each event was measured first: it cost four times as much as storing the event
 * itself, because every event's terms fall on other pages. So the index is written as a whole for 16,384 events at a
 * time, a segment, when the last of them is durable: in 64 parts (the upper six bits of the term choose the part), each
 * of them one row with a sorted list and a digest. To look a term up is to read one row a segment and to search in it:
 * 10,000,000 events are 610 segments. The newest events, whose segment is not complete yet, are in the tail
 * (tail.h), in memory.
 *
 * The index is derived from the events. A part that is missing or damaged is an occasion to look at all events of its
 * segment, and to write it anew; never an error.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "store/sqlite.h"
#include "store/terms.h"

#define SEGMENT_EVENTS 16384u
#define SEGMENT_PARTS 64u

/* Segment 0 holds the sequences 1..16383, segment 1 16384..32767, and so on. */
static inline uint64_t segment_of(uint64_t sequence)
{
	return sequence / SEGMENT_EVENTS;
}

static inline uint64_t segment_first(uint64_t segment)
{
	return segment * SEGMENT_EVENTS;
}

/* The events of one segment that may match: a bit for each. */
struct candidates {
	uint64_t segment;
	uint64_t bits[SEGMENT_EVENTS / 64];
};

static inline void candidates_add(struct candidates *candidates, uint64_t sequence)
{
	uint64_t offset = sequence % SEGMENT_EVENTS;
	candidates->bits[offset / 64] |= UINT64_C(1) << offset % 64;
}

static inline bool candidates_has(const struct candidates *candidates, uint64_t sequence)
{
	uint64_t offset = sequence % SEGMENT_EVENTS;
	return candidates->bits[offset / 64] >> offset % 64 & 1;
}

struct segment_entry {
	uint64_t term, sequence;
};

/* Entries that are gathered from events, for the functions below. Zeroed at first; the caller frees `entries`. */
struct segment_entries {
	struct segment_entry *entries;
	size_t n, max;
};
/* Adds those of the event. 0 or -ENOMEM. */
int segment_gather(struct segment_entries *entries, const struct event *event, uint64_t sequence) MUST_USE;

#define SEGMENT_INSERT "INSERT OR REPLACE INTO index_parts (part, digest, entries) VALUES (?, ?, ?)"
/* All entries must be of this segment. Sorts them. 0 or -errno. */
int segment_write(sqlite3_stmt *statement, uint64_t segment, struct segment_entry *entries, size_t n) MUST_USE;

#define SEGMENT_SELECT "SELECT digest, entries FROM index_parts WHERE part = ?"
/* Adds the events that have one of the terms. 0; -ENODATA if a part is missing or damaged; else -errno. */
int segment_find(sqlite3_stmt *statement, struct buffer *scratch, const struct terms *terms,
				 struct candidates *candidates) MUST_USE;

/* Whether the index says of the events in `known`, whose entries these are (sorted here), what it should. 0; -ENOENT if
 * the segment was never written; -ENODATA if a part is missing, damaged, or says something else; else -errno. */
int segment_check(sqlite3_stmt *select, struct buffer *scratch, const struct candidates *known,
				  struct segment_entry *entries, size_t n) MUST_USE;
/* Removes all entries of these events. A part that is missing or damaged is left to be written anew. 0 or -errno. */
int segment_forget(sqlite3_stmt *select, sqlite3_stmt *insert, struct buffer *scratch,
				   const struct candidates *gone) MUST_USE;

#endif
