/* SPDX-License-Identifier: Apache-2.0 */
#include "store/segment.h"

#include "wire/digest.h"

#include <endian.h>
#include <errno.h>

#define PART_DIGEST_BYTES 16 /* of SHA-256 over the part's number and its entries */

/* An entry as stored: the term in 8 bytes, the event's place in the segment in 2, both little-endian. */
enum { TERM_BYTES = 8, OFFSET_BYTES = 2, ENTRY_BYTES = TERM_BYTES + OFFSET_BYTES };

struct gathering {
	struct segment_entries *entries;
	uint64_t sequence;
};

static int gather_term(void *context, uint64_t term)
{
	const struct gathering *gathering = context;
	struct segment_entries *all = gathering->entries;
	if (all->n == all->max) {
		size_t max = all->max ? all->max * 2 : 4096;
		struct segment_entry *entries = realloc(all->entries, max * sizeof *entries);
		if (!entries)
			return -ENOMEM;
		all->entries = entries;
		all->max = max;
	}
	all->entries[all->n++] = (struct segment_entry){ term, gathering->sequence };
	return 0;
}

int segment_gather(struct segment_entries *entries, const struct event *event, uint64_t sequence)
{
	return terms_of_event(event, gather_term, &(struct gathering){ entries, sequence });
}

static uint64_t part_of(uint64_t segment, uint64_t term)
{
	return segment * SEGMENT_PARTS + term / (UINT64_MAX / SEGMENT_PARTS + 1);
}

static void add_number(struct buffer *bytes, uint64_t number)
{
	number = htole64(number);
	buffer_add(bytes, span_of(&number, sizeof number));
}

static void add_entry(struct buffer *bytes, const struct segment_entry *entry)
{
	uint16_t offset = htole16((uint16_t)(entry->sequence % SEGMENT_EVENTS));
	add_number(bytes, entry->term);
	buffer_add(bytes, span_of(&offset, sizeof offset));
}

static int write_part(sqlite3_stmt *statement, uint64_t part, const struct segment_entry *entries, size_t n)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	add_number(&bytes, part);
	for (size_t i = 0; i < n; i++)
		add_entry(&bytes, &entries[i]);
	int r = bytes.failed ? -ENOMEM : digest_sha256(buffer_span(&bytes), digest);
	if (r == 0)
		r = sqlite_bind_number(statement, 1, (int64_t)part);
	if (r == 0)
		r = sqlite_bind_blob(statement, 2, span_of(digest, PART_DIGEST_BYTES));
	if (r == 0)
		r = sqlite_bind_blob(statement, 3, span_skip(buffer_span(&bytes), sizeof part));
	return r < 0 ? r : sqlite_step(statement);
}

static int compare_entries(const void *a, const void *b)
{
	const struct segment_entry *left = a, *right = b;
	if (left->term != right->term)
		return left->term < right->term ? -1 : 1;
	return (left->sequence > right->sequence) - (left->sequence < right->sequence);
}

int segment_write(sqlite3_stmt *statement, uint64_t segment, struct segment_entry *entries, size_t n)
{
	uint64_t first_part = segment * SEGMENT_PARTS;
	size_t at = 0;
	int r = 0;
	if (n)
		qsort(entries, n, sizeof *entries, compare_entries);
	for (uint64_t part = first_part; r == 0 && part < first_part + SEGMENT_PARTS; part++) {
		size_t start = at;
		while (at < n && part_of(segment, entries[at].term) == part)
			at++;
		r = write_part(statement, part, n ? entries + start : NULL, at - start);
	}
	return r;
}

static uint64_t term_at(struct span entries, size_t i)
{
	uint64_t term;
	memcpy(&term, entries.data + i * ENTRY_BYTES, sizeof term);
	return le64toh(term);
}

static uint16_t offset_at(struct span entries, size_t i)
{
	uint16_t offset;
	memcpy(&offset, entries.data + i * ENTRY_BYTES + TERM_BYTES, sizeof offset);
	return le16toh(offset);
}

static void find_term(struct span entries, uint64_t term, struct candidates *candidates)
{
	size_t n = entries.n / ENTRY_BYTES, low = 0, high = n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (term_at(entries, middle) < term)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < n && term_at(entries, low) == term; low++)
		candidates_add(candidates, offset_at(entries, low));
}

static bool is_sound(struct buffer *scratch, uint64_t part, struct span digest, struct span entries)
{
	uint8_t expected[DIGEST_BYTES];
	scratch->n = 0;
	add_number(scratch, part);
	buffer_add(scratch, entries);
	return !scratch->failed && digest_sha256(buffer_span(scratch), expected) == 0 &&
		   span_equal(digest, span_of(expected, PART_DIGEST_BYTES)) && entries.n % ENTRY_BYTES == 0;
}

/* The entries of a part, valid until the statement is reset. 0; -ENOENT if there is none; -ENODATA if it is damaged;
 * else -errno. */
static int select_part(sqlite3_stmt *statement, struct buffer *scratch, uint64_t part, struct span *ret_entries)
{
	int r = sqlite_bind_number(statement, 1, (int64_t)part);
	if (r < 0)
		return r;
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		r = code == SQLITE_DONE ? -ENOENT : sqlite_errno(sqlite3_db_handle(statement), code);
	else if (!is_sound(scratch, part, sqlite_column(statement, 0), sqlite_column(statement, 1)))
		r = -ENODATA;
	else
		*ret_entries = sqlite_column(statement, 1);
	return r == -EUCLEAN ? -ENODATA : r;
}

static int find_in_part(sqlite3_stmt *statement, struct buffer *scratch, uint64_t term, struct candidates *candidates)
{
	struct span entries;
	int r = select_part(statement, scratch, part_of(candidates->segment, term), &entries);
	if (r == 0)
		find_term(entries, term, candidates);
	(void)sqlite3_reset(statement);
	return r == -ENOENT ? -ENODATA : r;
}

int segment_find(sqlite3_stmt *statement, struct buffer *scratch, const struct terms *terms,
				 struct candidates *candidates)
{
	int r = 0;
	if (scratch->failed)
		buffer_finish(scratch);
	for (size_t i = 0; r == 0 && i < terms->n; i++)
		r = find_in_part(statement, scratch, terms->terms[i], candidates);
	return r;
}

/* --- checking and forgetting -------------------------------------------------------------------------------------- */

static int check_part(sqlite3_stmt *select, struct buffer *scratch, uint64_t part, const struct candidates *known,
					  const struct segment_entry *entries, size_t n)
{
	struct span stored;
	size_t at = 0;
	int r = select_part(select, scratch, part, &stored);
	for (size_t i = 0; r == 0 && i < stored.n / ENTRY_BYTES; i++) {
		uint64_t sequence = segment_first(known->segment) + offset_at(stored, i);
		if (!candidates_has(known, sequence)) /* nobody can say what this event had */
			continue;
		bool is_right = at < n && entries[at].term == term_at(stored, i) && entries[at].sequence == sequence;
		r = is_right ? 0 : -ENODATA;
		at++;
	}
	(void)sqlite3_reset(select);
	return r == 0 && at < n ? -ENODATA : r;
}

int segment_check(sqlite3_stmt *select, struct buffer *scratch, const struct candidates *known,
				  struct segment_entry *entries, size_t n)
{
	uint64_t first_part = known->segment * SEGMENT_PARTS, n_missing = 0;
	size_t at = 0;
	int r = 0;
	if (n)
		qsort(entries, n, sizeof *entries, compare_entries);
	for (uint64_t part = first_part; r == 0 && part < first_part + SEGMENT_PARTS; part++) {
		size_t start = at;
		while (at < n && part_of(known->segment, entries[at].term) == part)
			at++;
		r = check_part(select, scratch, part, known, n ? entries + start : NULL, at - start);
		if (r == -ENOENT) {
			n_missing++;
			r = 0;
		}
	}
	if (r < 0 || n_missing == 0)
		return r;
	return n_missing == SEGMENT_PARTS ? -ENOENT : -ENODATA;
}

/* What stays of a part; *ret_has_gone: something does not. The caller frees. */
static int keep_entries(struct span stored, const struct candidates *gone, struct segment_entry **ret_entries,
						size_t *ret_n, bool *ret_has_gone)
{
	size_t n_stored = stored.n / ENTRY_BYTES, n = 0;
	struct segment_entry *entries = malloc((n_stored + 1) * sizeof *entries);
	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < n_stored; i++) {
		const struct segment_entry entry = { term_at(stored, i), segment_first(gone->segment) + offset_at(stored, i) };
		if (!candidates_has(gone, entry.sequence))
			entries[n++] = entry;
	}
	*ret_entries = entries;
	*ret_n = n;
	*ret_has_gone = n < n_stored;
	return 0;
}

static int forget_in_part(sqlite3_stmt *select, sqlite3_stmt *insert, struct buffer *scratch, uint64_t part,
						  const struct candidates *gone)
{
	CLEANUP(free) struct segment_entry *entries = NULL;
	struct span stored;
	size_t n = 0;
	bool has_gone = false;
	int r = select_part(select, scratch, part, &stored);
	if (r == 0)
		r = keep_entries(stored, gone, &entries, &n, &has_gone);
	(void)sqlite3_reset(select);
	if (r == 0 && has_gone)
		r = write_part(insert, part, entries, n);
	return r == -ENOENT || r == -ENODATA ? 0 : r;
}

int segment_forget(sqlite3_stmt *select, sqlite3_stmt *insert, struct buffer *scratch, const struct candidates *gone)
{
	uint64_t first_part = gone->segment * SEGMENT_PARTS;
	int r = 0;
	if (scratch->failed)
		buffer_finish(scratch);
	for (uint64_t part = first_part; r == 0 && part < first_part + SEGMENT_PARTS; part++)
		r = forget_in_part(select, insert, scratch, part, gone);
	return r;
}
