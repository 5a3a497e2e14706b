/* SPDX-License-Identifier: Apache-2.0 */
#include "store/upkeep.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/work.h"

#include <errno.h>

/* Events purged in one transaction. */
#define PURGE_EVENTS 256
/* Retention looks ten times within the age that it keeps, between these bounds; when it found something, again at once.
 */
#define RETENTION_LEAST_NS (1ull * MS_PER_S * NS_PER_MS)
#define RETENTION_MOST_NS (3600ull * MS_PER_S * NS_PER_MS)
/* After a failure. */
#define PAUSE_NS (10ull * MS_PER_S * NS_PER_MS)
/* Pages in the log that are worth a checkpoint: 4 MiB. */
#define CHECKPOINT_PAGES 1024

/* Every log must hold the journal's row (state.h), and this may be the log's first transaction. */
static int end_with_state(struct journal *journal, int outcome, struct journal_state next)
{
	next.is_open = true;
	int r = journal_end(journal, outcome < 0 ? outcome : journal_write_state(journal, &next));
	if (r < 0)
		return r;
	journal->state = next;
	journal->is_marked = true;
	return 0;
}

/* --- the index ---------------------------------------------------------------------------------------------------- */

/* True if a whole segment waits in the tail, or a reader has found one damaged. */
static bool has_segment(const struct journal *journal, uint64_t *ret_segment)
{
	uint64_t first = tail_first(journal->tail), damaged = atomic_load(&journal->damaged_segment);
	*ret_segment = segment_of(first);
	if (segment_first(segment_of(first) + 1) <= atomic_load(&journal->head))
		return true;
	*ret_segment = damaged - 1;
	return damaged != 0 && damaged - 1 < segment_of(first);
}

/* The entries of a segment that is not in the tail any more, from its events. */
static int gather_events(struct journal *journal, uint64_t segment, struct segment_entries *entries)
{
	CLEANUP(buffer_finish) struct buffer scratch = BUFFER_INIT;
	for (uint64_t sequence = segment_first(segment); sequence < segment_first(segment + 1); sequence++) {
		CLEANUP(event_unref) struct event *event = NULL;
		int r = record_select(journal->statements[STATEMENT_SELECT], &scratch, sequence, &event);
		if (r == 0)
			r = segment_gather(entries, event, sequence);
		if (r < 0 && r != -ENOENT && r != -EBADMSG)
			return r;
	}
	return 0;
}

static int write_segment(struct journal *journal, uint64_t segment)
{
	struct segment_entries gathered = { 0 };
	bool is_in_tail = segment_first(segment) >= tail_first(journal->tail);
	int r = is_in_tail ? tail_copy(journal->tail, segment, &gathered.entries, &gathered.n)
					   : gather_events(journal, segment, &gathered);
	if (r == 0)
		r = journal_begin(journal);
	if (r == 0)
		r = end_with_state(journal,
						   segment_write(journal->statements[STATEMENT_SEGMENT], segment, gathered.entries, gathered.n),
						   journal->state);
	free(gathered.entries);
	if (r < 0)
		return r;
	if (is_in_tail)
		tail_drop(journal->tail, segment_first(segment + 1));
	else
		atomic_store(&journal->damaged_segment, 0);
	return 0;
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

static int measure(struct journal *journal)
{
	int64_t n_pages, n_free;
	int r = sqlite_step_number(journal->statements[STATEMENT_N_PAGES], &n_pages);
	if (r == 0)
		r = sqlite_step_number(journal->statements[STATEMENT_N_FREE_PAGES], &n_free);
	if (r == 0 && !journal->page_bytes)
		r = sqlite_ask(journal->db, "PRAGMA page_size", &journal->page_bytes);
	if (r < 0)
		return r;
	atomic_store(&journal->n_bytes, (uint64_t)(n_pages * journal->page_bytes));
	atomic_store(&journal->n_free_bytes, (uint64_t)(n_free * journal->page_bytes));
	return 0;
}

/* The newest of the oldest events that is too old; 0 if none is. */
static int find_expired(struct journal *journal, uint64_t *ret_sequence)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_EXPIRED];
	int64_t sequence = 0;
	*ret_sequence = 0;
	if (journal->upkeep.retention_age_ms == 0)
		return 0;
	int r = sqlite_bind_number(statement, 1, (int64_t)atomic_load(&journal->oldest) - 1);
	if (r == 0)
		r = sqlite_bind_number(statement, 2, PURGE_EVENTS);
	if (r == 0)
		r = sqlite_bind_number(statement, 3, clock_wall_ms() - journal->upkeep.retention_age_ms);
	if (r == 0)
		r = sqlite_step_number(statement, &sequence);
	if (r == 0 && (uint64_t)sequence >= atomic_load(&journal->oldest))
		*ret_sequence = (uint64_t)sequence;
	return r == -ENODATA ? 0 : r;
}

static bool is_too_large(const struct journal *journal)
{
	uint64_t bytes = atomic_load(&journal->n_bytes) - atomic_load(&journal->n_free_bytes);
	return journal->upkeep.retention_bytes && bytes > journal->upkeep.retention_bytes;
}

/* Up to where to purge in this step; 0 if everything may stay. */
static int find_purge(struct journal *journal, uint64_t *ret_sequence)
{
	uint64_t oldest = atomic_load(&journal->oldest), head = journal->state.head;
	int r = find_expired(journal, ret_sequence);
	if (r == 0 && *ret_sequence == 0 && oldest <= head && is_too_large(journal))
		*ret_sequence = oldest + PURGE_EVENTS - 1 < head ? oldest + PURGE_EVENTS - 1 : head;
	return r;
}

static int run_over(struct journal *journal, enum journal_statement which, uint64_t first, uint64_t last)
{
	sqlite3_stmt *statement = journal->statements[which];
	int r = sqlite_bind_number(statement, 1, (int64_t)first);
	if (r == 0)
		r = sqlite_bind_number(statement, 2, (int64_t)last);
	return r < 0 ? r : sqlite_step(statement);
}

/* What is owed to a handler stays, and nothing else does. */
static int purge_range(struct journal *journal, uint64_t first, uint64_t last)
{
	static const enum journal_statement statements[] = { STATEMENT_PURGE_KEPT, STATEMENT_PURGE_DELIVERIES,
														 STATEMENT_PURGE_ATTEMPTS };
	if (!journal->has_deliveries)
		return run_over(journal, STATEMENT_PURGE, first, last);
	int r = work_check_finished(journal, first, last);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
		r = run_over(journal, statements[i], first, last);
	return r;
}

static int purge_rows(struct journal *journal, uint64_t oldest, uint64_t sequence)
{
	sqlite3_stmt *parts = journal->statements[STATEMENT_PURGE_SEGMENTS];
	int r = purge_range(journal, oldest, sequence);
	if (r == 0)
		r = sqlite_bind_number(parts, 1, (int64_t)(segment_of(sequence + 1) * SEGMENT_PARTS));
	if (r == 0)
		r = sqlite_step(parts);
	return r < 0 ? r : sqlite_step(journal->statements[STATEMENT_VACUUM]);
}

static uint64_t retention_interval(const struct journal *journal)
{
	uint64_t ns = (uint64_t)journal->upkeep.retention_age_ms * NS_PER_MS / 10;
	if (journal->upkeep.retention_age_ms == 0 || ns > RETENTION_MOST_NS)
		return RETENTION_MOST_NS;
	return ns < RETENTION_LEAST_NS ? RETENTION_LEAST_NS : ns;
}

/* Where the next events end that were kept only because they were owed; 0 if there are no more. */
static int find_kept(struct journal *journal, uint64_t *ret_sequence)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_KEPT];
	int64_t sequence = 0;
	int r = sqlite_bind_number(statement, 1, (int64_t)journal->upkeep.released_after);
	if (r == 0)
		r = sqlite_bind_number(statement, 2, (int64_t)journal->state.purged);
	if (r == 0)
		r = sqlite_bind_number(statement, 3, PURGE_EVENTS);
	if (r == 0)
		r = sqlite_step_number(statement, &sequence);
	*ret_sequence = (uint64_t)sequence;
	return r == -ENODATA ? 0 : r;
}

/* Looks through what was kept, a step at a time, for what is not owed any more. */
static int purge_released(struct journal *journal, bool *ret_has_more)
{
	struct upkeep *upkeep = &journal->upkeep;
	uint64_t last;
	if (!upkeep->is_releasing) {
		upkeep->is_releasing = upkeep->has_released;
		upkeep->has_released = false; /* what is settled from now on is looked for again */
		upkeep->released_after = 0;
	}
	if (!upkeep->is_releasing)
		return 0;
	int r = find_kept(journal, &last);
	if (r == 0 && last != 0)
		r = journal_begin(journal);
	if (r == 0 && last != 0)
		r = end_with_state(journal, purge_range(journal, upkeep->released_after + 1, last), journal->state);
	if (r < 0)
		return r;
	upkeep->released_after = last;
	upkeep->is_releasing = *ret_has_more = last != 0;
	return 0;
}

/* With all that is not owed gone, nothing more can be done about its size. */
static void tell_held(struct journal *journal)
{
	bool is_held = journal->has_deliveries && is_too_large(journal);
	if (is_held)
		log_warning_limited("the journal is larger than journal.retention.size: what is left is owed to handlers",
							LOG_TEXT("path", journal->file.path));
	atomic_store(&journal->is_held, is_held);
}

/* A step of retention. *ret_has_more: the next one is due at once. */
static int retain(struct journal *journal, bool *ret_has_more)
{
	uint64_t sequence;
	*ret_has_more = false;
	int r = measure(journal);
	if (r == 0)
		r = find_purge(journal, &sequence);
	if (r == 0 && sequence == 0)
		r = purge_released(journal, ret_has_more);
	if (r == 0 && sequence == 0 && !*ret_has_more)
		tell_held(journal);
	if (r < 0 || sequence == 0)
		return r;
	struct journal_state next = journal->state;
	next.purged = sequence;
	uint64_t oldest = atomic_load(&journal->oldest);
	atomic_store(&journal->oldest, sequence + 1); /* before they are gone: a reader who misses one knows why */
	r = journal_begin(journal);
	if (r == 0)
		r = end_with_state(journal, purge_rows(journal, oldest, sequence), next);
	if (r < 0) {
		atomic_store(&journal->oldest, oldest);
		return r;
	}
	*ret_has_more = true;
	return journal_find_oldest(journal);
}

/* --- checkpoints -------------------------------------------------------------------------------------------------- */

/* Copies the log into the file, so that it can be written from its beginning again. Readers may keep some of it: next
 * time. */
static int checkpoint(struct journal *journal)
{
	int code = sqlite3_wal_checkpoint_v2(journal->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	journal->log.n_new_pages = 0;
	journal->log.may_begin_again = true;
	if (code != SQLITE_OK && code != SQLITE_BUSY)
		return sqlite_errno(journal->db, code);
	int r = measure(journal);
	if (r == 0 && is_too_large(journal)) /* so much has come since the last look */
		journal->upkeep.next_retention_ns = 0;
	return r;
}

void upkeep_set_limits(struct journal *journal, const struct store_limits *limits)
{
	journal->upkeep.retention_age_ms = limits->retention_age_ms;
	journal->upkeep.retention_bytes = limits->retention_bytes;
	journal->upkeep.next_retention_ns = 0;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static int do_step(struct journal *journal, uint64_t now, bool *ret_has_more)
{
	struct upkeep *upkeep = &journal->upkeep;
	uint64_t segment;
	*ret_has_more = true;
	if (journal->log.n_new_pages >= CHECKPOINT_PAGES)
		return checkpoint(journal);
	if (has_segment(journal, &segment))
		return write_segment(journal, segment);
	*ret_has_more = false;
	if (now < upkeep->next_retention_ns || upkeep->is_scrubbing)
		return 0;
	int r = retain(journal, ret_has_more);
	if (r == 0 && !*ret_has_more)
		upkeep->next_retention_ns = now + retention_interval(journal);
	return r;
}

uint64_t upkeep_step(struct journal *journal)
{
	struct upkeep *upkeep = &journal->upkeep;
	uint64_t now = clock_monotonic_ns();
	bool has_more;
	if (journal->is_broken)
		return UPKEEP_FOREVER;
	if (now < upkeep->pause_until_ns)
		return upkeep->pause_until_ns - now;
	int r = journal->is_ready ? do_step(journal, now, &has_more) : 0;
	if (r < 0) {
		log_warning_limited("upkeep of the journal waits", LOG_ERRNO(r));
		upkeep->pause_until_ns = now + PAUSE_NS;
		return PAUSE_NS;
	}
	if (journal->is_ready && has_more)
		return 0;
	bool has_events = atomic_load(&journal->oldest) <= journal->state.head || upkeep->has_released;
	return has_events && upkeep->next_retention_ns > now ? upkeep->next_retention_ns - now : UPKEEP_FOREVER;
}
