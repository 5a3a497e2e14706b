/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/complain.h"
#include "store/delivery.h"
#include "store/head.h"
#include "store/layout.h"
#include "store/segment.h"
#include "store/work.h"

#include <errno.h>

static const char *const statements[STATEMENTS] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_ROLLBACK] = "ROLLBACK",
	[STATEMENT_INSERT] = RECORD_INSERT,
	[STATEMENT_REPLACE] = RECORD_REPLACE,
	[STATEMENT_SELECT] = RECORD_SELECT,
	[STATEMENT_STATE] = STATE_UPDATE,
	[STATEMENT_SEGMENT] = SEGMENT_INSERT,
	[STATEMENT_SEGMENT_SELECT] = SEGMENT_SELECT,
	[STATEMENT_OLDEST] = "SELECT min(sequence) FROM events WHERE sequence > ?",
	/* behind ?1, among the next ?2: up to the first one that is not older than ?3 */
	[STATEMENT_EXPIRED] = "SELECT coalesce(min(CASE WHEN received_ms >= ?3 THEN sequence - 1 END), max(sequence)) FROM "
						  "(SELECT sequence, received_ms FROM events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2)",
	[STATEMENT_PURGE] = "DELETE FROM events WHERE sequence <= ?2",
	[STATEMENT_PURGE_SEGMENTS] = "DELETE FROM index_parts WHERE part < ?",
	[STATEMENT_N_PAGES] = "PRAGMA page_count",
	[STATEMENT_N_FREE_PAGES] = "PRAGMA freelist_count",
	[STATEMENT_VACUUM] = "PRAGMA incremental_vacuum(64)",
	/* behind ?1 and up to ?2, the next ?3 */
	[STATEMENT_KEPT] = "SELECT max(sequence) FROM (SELECT sequence FROM events WHERE sequence > ?1 AND sequence <= ?2 "
					   "ORDER BY sequence LIMIT ?3)",
	[STATEMENT_PURGE_KEPT] = "DELETE FROM events WHERE sequence BETWEEN ?1 AND ?2 AND NOT EXISTS (SELECT 1 FROM "
							 "deliveries AS d WHERE d.sequence = events.sequence AND d.state < 2)",
	/* what is open stays even without its event: it is claimed, and found out */
	[STATEMENT_PURGE_DELIVERIES] = "DELETE FROM deliveries WHERE sequence BETWEEN ?1 AND ?2 AND state >= 2 AND NOT "
								   "EXISTS (SELECT 1 FROM events AS e WHERE e.sequence = deliveries.sequence)",
	[STATEMENT_PURGE_ATTEMPTS] = "DELETE FROM attempts WHERE sequence BETWEEN ?1 AND ?2 AND NOT EXISTS (SELECT 1 FROM "
								 "deliveries AS d WHERE d.sequence = attempts.sequence)",
	[STATEMENT_DELIVERY_INSERT] = DELIVERY_INSERT,
	[STATEMENT_DELIVERY_UPDATE] = DELIVERY_UPDATE,
	[STATEMENT_DELIVERY_DUE] =
		DELIVERY_SELECT "INDEXED BY deliveries_open WHERE handler = ? AND state < 2 AND state = 0 "
						"AND due_ms BETWEEN ? AND ? ORDER BY due_ms LIMIT ?",
	[STATEMENT_DELIVERY_NEXT] = "SELECT due_ms FROM deliveries INDEXED BY deliveries_open WHERE handler = ? AND "
								"state < 2 AND state = 0 ORDER BY due_ms LIMIT 1",
	[STATEMENT_DELIVERY_BEHIND] = DELIVERY_SELECT "WHERE sequence = ?1 AND handler = ?2 AND interaction > ?3 AND "
												  "state = 0 AND due_ms = 9223372036854775807 ORDER BY interaction "
												  "LIMIT 1",
	[STATEMENT_DELIVERY_BEFORE] = "SELECT count(*) FROM deliveries WHERE sequence = ?1 AND handler = ?2 AND "
								  "interaction < ?3 AND state < 2",
	[STATEMENT_DELIVERY_CLAIMED] = DELIVERY_SELECT "INDEXED BY deliveries_claimed WHERE state = 1 LIMIT 1",
	[STATEMENT_DELIVERY_DEAD] = DELIVERY_SELECT "INDEXED BY deliveries_dead WHERE state = 3 AND (?1 = '' OR handler = "
												"?1) AND owed_ms <= ?2 ORDER BY sequence, handler, interaction LIMIT 1",
	[STATEMENT_DELIVERY_OF_EVENT] = DELIVERY_SELECT "WHERE sequence = ?2 AND (?1 = '' OR handler = ?1) AND state >= 2 "
													"ORDER BY handler, interaction LIMIT 1",
	[STATEMENT_DELIVERY_FINISHED] = DELIVERY_SELECT "WHERE sequence BETWEEN ? AND ? AND state >= 2",
	[STATEMENT_DELIVERY_OPEN] =
		DELIVERY_SELECT "WHERE sequence = ? AND state < 2 ORDER BY handler, interaction LIMIT 1",
	[STATEMENT_DELIVERY_IN_HAND] = "SELECT count(*) FROM deliveries WHERE sequence = ? AND state = 1",
	[STATEMENT_ATTEMPT] = ATTEMPT_INSERT,
	/* as long as before: see record_make_erased() */
	[STATEMENT_ATTEMPT_BLANK] =
		"UPDATE attempts SET reason = printf('%*s', length(CAST(reason AS BLOB)), '') WHERE sequence = ?",
	[STATEMENT_STATE_UPDATE] = "UPDATE handler_state SET value = ?3 WHERE handler = ?1 AND key = ?2",
	[STATEMENT_STATE_INSERT] = "INSERT INTO handler_state (handler, key, value) VALUES (?, ?, ?)",
	[STATEMENT_STATE_COUNT] = "SELECT count(*) FROM handler_state WHERE handler = ?",
	[STATEMENT_STATE_FORGET] = "DELETE FROM handler_state WHERE handler = ? AND key = ?",
};

/* --- transactions ------------------------------------------------------------------------------------------------- */

int journal_begin(struct journal *journal)
{
	journal->log.is_given_state = false;
	owed_counts_roll_back(journal->owed);
	return journal->is_broken ? -EIO : sqlite_step(journal->statements[STATEMENT_BEGIN]);
}

int journal_end(struct journal *journal, int outcome)
{
	int r = outcome < 0 ? outcome : journal_file_in_place(&journal->file);
	if (r == 0)
		r = sqlite_step(journal->statements[STATEMENT_COMMIT]);
	if (r == 0) {
		owed_counts_commit(journal->owed);
		return outcome;
	}
	if (!sqlite3_get_autocommit(journal->db) && sqlite_step(journal->statements[STATEMENT_ROLLBACK]) < 0)
		journal->is_broken = true;
	journal->is_ready = false; /* it may have been the sync that failed: see journal.h */
	return r;
}

int journal_write_state(struct journal *journal, const struct journal_state *state)
{
	journal->log.is_given_state = true;
	return state_write(journal->statements[STATEMENT_STATE], state);
}

/* Cuts the log to nothing; -EBUSY while somebody else (sqlite3 at a terminal, say) reads from it. The PRAGMA would call
 * that success. */
static int truncate_log(sqlite3 *db)
{
	return sqlite_errno(db, sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
}

int journal_empty_log(struct journal *journal)
{
	(void)sqlite3_busy_timeout(journal->db, 0); /* callbacks wait meanwhile */
	int r = truncate_log(journal->db);
	(void)sqlite3_busy_timeout(journal->db, SQLITE_BUSY_TIMEOUT_MS);
	if (r == 0)
		journal->log = (struct journal_log){ 0 };
	return r;
}

/* Says in the main file, before anything is accepted, that the journal is in use: should its log get lost, or a copy be
 * made without it, the next start must know that something may be missing. */
static int mark_open(struct journal *journal)
{
	struct journal_state next = journal->state;
	next.is_open = true;
	int r = journal_begin(journal);
	if (r < 0)
		return r;
	r = head_remove_strangers(journal->db, journal->state.head);
	if (r == 0)
		r = journal_write_state(journal, &next);
	r = journal_end(journal, r);
	if (r == 0)
		r = truncate_log(journal->db);
	if (r < 0)
		return r;
	journal->state = next;
	journal->is_marked = true;
	return 0;
}

/* The log holds nothing but what was durable, and then nothing at all. */
static int make_ready(struct journal *journal)
{
	struct journal_state state;
	bool has_strangers;
	if (journal->is_ready)
		return 0;
	int r = journal->is_broken ? -EIO : journal_file_in_place(&journal->file);
	if (r == 0)
		r = truncate_log(journal->db);
	if (r == 0)
		r = state_read(journal->db, &state);
	if (r == 0)
		r = head_find(journal->db, state.head, &state.head, &has_strangers);
	if (r < 0)
		return r;
	if (state.head != journal->state.head) {
		journal->is_broken = true;
		log_error("the journal is not where it was left: restart the gateway",
				  LOG_NUMBER("expected", journal->state.head), LOG_NUMBER("found", state.head));
		return -EIO;
	}
	if (!journal->is_marked)
		r = mark_open(journal);
	journal->is_ready = r == 0;
	journal->log = (struct journal_log){ 0 };
	return r;
}

/* --- committing --------------------------------------------------------------------------------------------------- */

static int insert(struct journal *journal, struct commit_item *item, struct latest *event, uint64_t sequence)
{
	int r = record_write(journal->statements[STATEMENT_INSERT], &journal->texts, item->event, sequence);
	if (r == 0 && item->append->n_owed) {
		journal->has_deliveries = true;
		r = work_owe(journal, item->append, sequence);
	}
	if (r == 0)
		r = tail_add(journal->tail, item->event, sequence);
	if (r < 0)
		return r;
	event->sequence = sequence;
	if (item->event->kind != EVENT_OUTCOME) /* by its source, event id and tags it would pass for its event's latest */
		duplicates_add(journal->duplicates, event);
	item->status = COMMIT_STORED;
	item->sequence = sequence;
	return 0;
}

/* Stores the item, unless it is a duplicate. */
static int take(struct journal *journal, struct commit_item *item, struct journal_state *next)
{
	struct latest event = { .received_ms = item->event->received_ms };
	int r = record_texts_make(&journal->texts, item->event);
	if (r == 0)
		r = record_key(&journal->texts.scratch, item->event->source, item->event->event_id,
					   buffer_span(&journal->texts.tags), event.key);
	if (r < 0)
		return r;
	memcpy(event.body, item->event->body_digest, sizeof event.body);
	int64_t window_ms = item->append->duplicate_window_ms;
	const struct latest *latest = window_ms ? duplicates_find(journal->duplicates, event.key) : NULL;
	if (latest && duplicates_is_same(latest, &event, window_ms)) {
		item->status = COMMIT_DUPLICATE;
		item->sequence = latest->sequence;
		return 0;
	}
	r = insert(journal, item, &event, next->head + 1);
	if (r == 0)
		next->head++;
	return r;
}

static int do_work(struct journal *journal, struct store_work *work)
{
	int r = work && !journal->has_recovered ? work_recover(journal) : 0;
	for (; r == 0 && work; work = work->next)
		r = work_run(journal, work);
	return r;
}

/* The journal's row is written where it must be; elsewhere it would double what a commit of one event writes. */
static int take_all(struct journal *journal, struct commit_item *items, size_t n, struct store_work *work,
					struct journal_state *next)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take(journal, &items[i], next);
	if (r == 0)
		r = do_work(journal, work);
	bool needs_state = !journal->log.has_state || journal->log.may_begin_again;
	bool has_written = next->head != journal->state.head || work;
	if (r == 0 && ((needs_state && has_written) || (n == 0 && !work)))
		r = journal_write_state(journal, next);
	return r;
}

int journal_commit(struct journal *journal, struct commit_item *items, size_t n, struct store_work *work)
{
	int r = make_ready(journal);
	struct journal_state next = journal->state; /* getting ready may have changed it */
	if (r == 0)
		r = journal_begin(journal);
	if (r == 0)
		r = journal_end(journal, take_all(journal, items, n, work, &next));
	if (r == 0) {
		journal->state = next;
		journal->has_recovered = journal->has_recovered || work;
		duplicates_commit(journal->duplicates);
		tail_commit(journal->tail);
		atomic_store(&journal->head, next.head);
		return 0;
	}
	duplicates_roll_back(journal->duplicates);
	tail_roll_back(journal->tail);
	for (size_t i = 0; i < n; i++) {
		items[i].status = COMMIT_FAILED;
		items[i].error = r;
	}
	return r;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* Fewer pages than before: the log has begun again, by this commit. */
static int on_wal_commit(void *context, sqlite3 *db, const char *name, int n_pages)
{
	struct journal_log *log = &((struct journal *)context)->log;
	(void)db;
	(void)name;
	if (n_pages <= log->n_pages)
		log->has_state = log->may_begin_again = false;
	log->has_state |= log->is_given_state;
	log->n_pages = log->n_new_pages = n_pages;
	return SQLITE_OK;
}

/* The log and its index stay when the journal is closed: on a disk that is full at the next start there would be no
 * room to make them anew, and nothing could be read. */
static int keep_log(sqlite3 *db)
{
	int on = 1;
	return sqlite_errno(db, sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &on));
}

/* Closing a database copies its log into it: not before the log is known to be its own. */
static void copy_log_on_close(sqlite3 *db, bool is_allowed)
{
	(void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_allowed ? 0 : 1, NULL);
}

static int set_up_database(struct journal *journal, char **ret_message)
{
	const char *path = journal->file.path;
	int r = layout_judge_file(&journal->file, ret_message);
	if (r < 0)
		return r;
	r = sqlite_open(path, SQLITE_OPEN_READWRITE, &journal->db);
	if (r == 0) {
		copy_log_on_close(journal->db, false);
		r = sqlite_run(journal->db,
					   "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -4096; PRAGMA secure_delete = TRUE");
	}
	if (r < 0)
		return layout_complain(path, r, ret_message);
	r = state_judge_wal(journal->db, &journal->file,
						ret_message); /* or SQLite would write a stranger's log into this */
	if (r < 0)
		return r;
	r = layout_prepare(journal->db, path, ret_message);
	if (r < 0)
		return r;
	copy_log_on_close(journal->db, true);
	r = sqlite_run(journal->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
	if (r == 0)
		r = keep_log(journal->db);
	(void)sqlite3_wal_hook(journal->db, on_wal_commit, journal);
	for (size_t i = 0; r == 0 && i < STATEMENTS; i++)
		r = sqlite_prepare(journal->db, statements[i], &journal->statements[i]);
	return r < 0 ? layout_complain(path, r, ret_message) : 0;
}

int journal_find_oldest(struct journal *journal)
{
	int64_t oldest;
	sqlite3_stmt *statement = journal->statements[STATEMENT_OLDEST];
	int r = sqlite_bind_number(statement, 1, (int64_t)journal->state.purged);
	if (r == 0)
		r = sqlite_step_number(statement, &oldest);
	if (r == -ENODATA) {
		oldest = (int64_t)journal->state.head + 1;
		r = 0;
	}
	if (r == 0)
		atomic_store(&journal->oldest, (uint64_t)oldest);
	return r;
}

/* A page that is damaged keeps no callback out: then what is counted begins with nothing. */
static void count_owed(struct journal *journal)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int code = SQLITE_DONE;
	int r = sqlite_prepare(journal->db,
						   "SELECT handler, count(*) FROM deliveries INDEXED BY deliveries_open WHERE state < 2 "
						   "GROUP BY handler",
						   &statement);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = owed_counts_add(journal->owed, sqlite_column(statement, 0), sqlite3_column_int64(statement, 1));
	if (r == 0)
		r = sqlite_errno(journal->db, code);
	if (r == 0)
		owed_counts_commit(journal->owed);
	else
		log_error("what handlers are owed cannot be counted", LOG_TEXT("path", journal->file.path), LOG_ERRNO(r));
}

static int look_for_deliveries(struct journal *journal)
{
	int64_t has_any;
	int r = sqlite_ask(journal->db, "SELECT EXISTS (SELECT 1 FROM deliveries)", &has_any);
	journal->has_deliveries = journal->upkeep.has_released = r == 0 && has_any;
	return r;
}

/* The state of this run. It is written with the first commit: a disk that is full now may have room then. */
static int begin_run(struct journal *journal)
{
	struct journal_state state;
	bool has_strangers;
	int r = state_read(journal->db, &state);
	if (r == 0)
		r = head_find(journal->db, state.head, &state.head, &has_strangers);
	if (r == 0 && (has_strangers || state_needs_epoch(&state, &journal->file)))
		r = state_draw_epoch(state.epoch);
	if (r < 0)
		return r;
	state.n_opened++;
	state.inode = (uint64_t)journal->file.identity.inode;
	journal->state = state;
	memcpy(journal->epoch, state.epoch, sizeof journal->epoch);
	atomic_store(&journal->head, state.head);
	r = look_for_deliveries(journal);
	if (r == 0)
		r = journal_find_oldest(journal);
	if (r == 0)
		r = journal_file_know_wal(&journal->file);
	if (r < 0)
		return r;
	/* on a full disk it cannot be done now: then nothing is accepted until it can, but everything can be read */
	r = make_ready(journal);
	if (r < 0)
		log_error("nothing can be stored in the journal for now", LOG_ERRNO(r));
	if (journal->has_deliveries)
		count_owed(journal);
	return 0;
}

/* The terms of the events behind the last whole segment of the index. */
static int fill_tail(struct journal *journal)
{
	uint64_t head = journal->state.head, first = segment_first(segment_of(head + 1));
	CLEANUP(buffer_finish) struct buffer scratch = BUFFER_INIT;
	tail_drop(journal->tail, first);
	for (uint64_t sequence = first; sequence <= head; sequence++) {
		CLEANUP(event_unref) struct event *event = NULL;
		int r = record_select(journal->statements[STATEMENT_SELECT], &scratch, sequence, &event);
		if (r == 0)
			r = tail_add(journal->tail, event, sequence);
		if (r < 0 && r != -ENOENT && r != -EBADMSG)
			return r;
	}
	tail_commit(journal->tail);
	return 0;
}

static int open_parts(struct journal *journal, const char *path, char **ret_message)
{
	int r = journal_file_open(path, &journal->file, ret_message);
	if (r < 0)
		return r;
	journal_file_warn_of_system(&journal->file);
	r = duplicates_create(&journal->duplicates);
	if (r == 0)
		r = tail_create(&journal->tail);
	if (r == 0)
		r = owed_counts_create(&journal->owed);
	if (r == 0)
		r = set_up_database(journal, ret_message);
	if (r < 0)
		return r;
	r = begin_run(journal);
	if (r == 0)
		r = fill_tail(journal);
	return r < 0 ? layout_complain(journal->file.path, r, ret_message) : 0;
}

int journal_open(const struct store_options *options, struct journal **ret_journal, char **ret_message)
{
	CLEANUP(journal_close) struct journal *journal = calloc(1, sizeof *journal);
	if (!journal)
		return -ENOMEM;
	journal->file.fd = -1;
	journal->upkeep.retention_age_ms = options->limits.retention_age_ms;
	journal->upkeep.retention_bytes = options->limits.retention_bytes;
	int r = open_parts(journal, options->path, ret_message);
	if (r < 0)
		return r;
	*ret_journal = STEAL(journal);
	return 0;
}

/* In order: then nobody has to ask at the next start whether something is missing. */
static void mark_closed(struct journal *journal)
{
	struct journal_state state = journal->state;
	if (!journal->is_marked || make_ready(journal) < 0 || journal_begin(journal) < 0)
		return;
	state.is_open = false;
	if (journal_end(journal, journal_write_state(journal, &state)) < 0)
		log_warning("the journal could not be closed in good order; nothing is lost");
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	mark_closed(journal);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite_finalize(journal->statements[i]);
	sqlite_close(journal->db);
	record_texts_finish(&journal->texts);
	buffer_finish(&journal->handler);
	duplicates_destroy(journal->duplicates);
	owed_counts_destroy(journal->owed);
	tail_destroy(journal->tail);
	journal_file_finish(&journal->file);
	free(journal);
}

/* False at the end, or when it is enough. */
static bool remember_row(struct journal *journal, sqlite3_stmt *statement, int64_t since_ms)
{
	struct latest latest = { .sequence = (uint64_t)sqlite3_column_int64(statement, 0),
							 .received_ms = sqlite3_column_int64(statement, 1) };
	struct span digest = sqlite_column(statement, 5);
	if (latest.received_ms < since_ms || digest.n < sizeof latest.body)
		return false;
	memcpy(latest.body, digest.data, sizeof latest.body);
	return record_key(&journal->texts.scratch, sqlite_column(statement, 2), sqlite_column(statement, 3),
					  sqlite_column(statement, 4), latest.key) == 0 &&
		   duplicates_add_older(journal->duplicates, &latest);
}

void journal_remember(struct journal *journal)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int64_t since_ms = clock_wall_ms() - DUPLICATES_MAX_AGE_MS;
	int r = sqlite_prepare(journal->db,
						   "SELECT sequence, received_ms, source, event_id, tags, body_digest FROM events "
						   "WHERE kind <> ? ORDER BY sequence DESC",
						   &statement);
	if (r == 0)
		r = sqlite_bind_number(statement, 1, EVENT_OUTCOME);
	if (r < 0)
		log_warning("duplicates of older callbacks will not be recognized", LOG_ERRNO(r));
	while (r == 0 && sqlite3_step(statement) == SQLITE_ROW && remember_row(journal, statement, since_ms)) {
	}
}
