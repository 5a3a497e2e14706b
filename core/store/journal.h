/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal in SQLite, as its writer sees it.
 *
 * What always holds: a transaction is one batch of events (or one little job of upkeep, see upkeep.h), it is durable
 * when COMMIT says so, and what is in memory beside it (head, tail, duplicates) changes only after that.
 *
 * Failed writes. SQLite appends a transaction's pages to the write-ahead log, syncs it, and only then counts them as
 * committed in its index of the log, which all connections share. If the sync fails, the kernel may have dropped those
 * pages and will say "synced" the next time without having written them: so the log may now hold bytes in memory that
 * are not on the disk. Nothing may ever depend on these. In this process nothing does: they are not counted as
 * committed, and the next transaction is written over them. But should this process end, the next one would find them
 * in the page cache, take them for committed, and append to them. So after any failure that may be one of a sync,
 * nothing is accepted until wal_checkpoint(TRUNCATE) has succeeded: it copies all committed pages to the main file,
 * freshly written, syncs that, and cuts the log to nothing. The same is done first thing at every start, for what the
 * process before may have left. Committed pages are safe to copy as each of them was synced once (synchronous=FULL for
 * every transaction, upkeep included: with less, a page read back from the log could be one that was dropped). A
 * checkpoint that fails is repeated as a whole. The descriptors stay the same ones on purpose: only they are sure to be
 * told of every error of a write in the background. If the journal is then not exactly at the head that was reported
 * last, it refuses everything until a restart.
 *
 * Belongs to the writer thread but for what says otherwise.
 */
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "store/deliveries.h"
#include "store/duplicates.h"
#include "store/owed.h"
#include "store/record.h"
#include "store/state.h"
#include "store/store.h"
#include "store/tail.h"

/* Events in one transaction. */
#define JOURNAL_MAX_BATCH 1024

enum journal_statement {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_ROLLBACK,
	STATEMENT_INSERT,
	STATEMENT_REPLACE,
	STATEMENT_SELECT,
	STATEMENT_STATE,
	STATEMENT_SEGMENT,
	STATEMENT_SEGMENT_SELECT,
	STATEMENT_OLDEST,
	STATEMENT_EXPIRED,
	STATEMENT_PURGE,
	STATEMENT_PURGE_SEGMENTS,
	STATEMENT_N_PAGES,
	STATEMENT_N_FREE_PAGES,
	STATEMENT_VACUUM,
	STATEMENT_KEPT,
	STATEMENT_PURGE_KEPT,
	STATEMENT_PURGE_DELIVERIES,
	STATEMENT_PURGE_ATTEMPTS,
	STATEMENT_DELIVERY_INSERT,
	STATEMENT_DELIVERY_UPDATE,
	STATEMENT_DELIVERY_DUE,
	STATEMENT_DELIVERY_NEXT,
	STATEMENT_DELIVERY_BEHIND,
	STATEMENT_DELIVERY_BEFORE,
	STATEMENT_DELIVERY_CLAIMED,
	STATEMENT_DELIVERY_DEAD,
	STATEMENT_DELIVERY_OF_EVENT,
	STATEMENT_DELIVERY_FINISHED,
	STATEMENT_DELIVERY_OPEN,
	STATEMENT_DELIVERY_IN_HAND,
	STATEMENT_ATTEMPT,
	STATEMENT_ATTEMPT_BLANK,
	STATEMENT_STATE_UPDATE,
	STATEMENT_STATE_INSERT,
	STATEMENT_STATE_COUNT,
	STATEMENT_STATE_FORGET,
	STATEMENTS,
};

/* SQLite's write-ahead log, as far as it matters that it holds the journal's row (state.h): from the first commit on.
 */
struct journal_log {
	int n_pages;          /* as of the last commit */
	int n_new_pages;      /* the same, or 0 when they have been copied since */
	bool has_state;       /* the row is in it */
	bool may_begin_again; /* it has been copied: some commit, perhaps the next one, will be its first */
	bool is_given_state;  /* by the transaction that is under way */
};

struct journal {
	struct journal_file file;
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct journal_state state; /* as it is durable; its head may be in the events alone (head.h) */
	struct tail *tail;          /* any thread */
	struct duplicates *duplicates;
	struct owed_counts *owed;
	struct record_texts texts;
	struct buffer handler;              /* a name, while its delivery is at work */
	char epoch[POSITION_MAX_EPOCH + 1]; /* any thread */
	_Atomic uint64_t head, oldest;      /* any thread */
	/* Any thread: a segment of the index that a reader found missing or damaged, plus one; 0 if none. */
	_Atomic uint64_t damaged_segment;
	_Atomic uint64_t n_damaged;             /* any thread: events that readers left out */
	_Atomic uint64_t n_damaged_deliveries;  /* any thread */
	atomic_bool is_held;                    /* any thread: see struct store_status */
	_Atomic uint64_t n_bytes, n_free_bytes; /* any thread: of the file, as of the last step */
	int64_t page_bytes;
	bool is_ready;       /* the log is known to hold nothing but what is durable */
	bool is_marked;      /* as open, in the file */
	bool is_broken;      /* until a restart */
	bool has_deliveries; /* there is or was one: an empty table costs retention nothing */
	bool has_recovered;  /* what was claimed when the last run ended is due again */
	struct journal_log log;
	struct upkeep {
		int64_t retention_age_ms;
		uint64_t retention_bytes;
		uint64_t next_retention_ns; /* monotonic */
		uint64_t pause_until_ns;    /* after a failure */
		bool has_released;          /* an event that was kept beyond retention may not be owed any more */
		bool is_releasing;          /* such are looked for */
		uint64_t released_after;    /* behind this */
		bool is_scrubbing;          /* erasure.h: no page may be moved now */
	} upkeep;
};

/* 0; -errno and a sentence (which is NULL without memory). */
int journal_open(const struct store_options *options, struct journal **ret_journal, char **ret_message) MUST_USE;
/* The readers must have been destroyed. NULL is fine. */
void journal_close(struct journal *journal);
CLEANUP_DEFINE(struct journal, journal_close)

/* Fills the table of duplicates from the newest events. It may take a second or two: before the first commit. */
void journal_remember(struct journal *journal);
/* Stores a batch (JOURNAL_MAX_BATCH, and what comes with work) and gives every item its status, sequence and error;
 * does the work that is chained to `work` (NULL: none), without ending it. 0, or what failed. An empty one finds out
 * whether the journal can be written. */
int journal_commit(struct journal *journal, struct commit_item *items, size_t n, struct store_work *work) MUST_USE;

/* A transaction: begin, and if that went well, end with the outcome of what was done in between. A positive outcome
 * commits too. */
int journal_begin(struct journal *journal) MUST_USE;
int journal_end(struct journal *journal, int outcome) MUST_USE;
/* Notes in the transaction what the state will be, for journal_end(); assigns it when that has succeeded. */
int journal_write_state(struct journal *journal, const struct journal_state *state) MUST_USE;
/* Copies the log into the file, and cuts it to nothing. 0; -EBUSY while somebody reads from it; else -errno. */
int journal_empty_log(struct journal *journal) MUST_USE;
/* Reads what is the oldest event now. 0 or -errno. */
int journal_find_oldest(struct journal *journal) MUST_USE;

#endif
