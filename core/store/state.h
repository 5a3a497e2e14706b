/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's one row about itself, and what it tells when the files are not what they were.
 *
 * A position may never be given twice, and it is EPOCH-SEQUENCE: so whenever the file is not certainly the continuation
 * of what was last acknowledged, it gets a new epoch.
 *
 *   not closed, and its write-ahead log is gone    a copy of a running journal, or the log was deleted
 *   another inode than when it was last open       a copy: the original may have gone on
 *
 * A write-ahead log that belongs to another journal would be taken for ours by SQLite, which then writes the stranger's
 * pages into our file. Every log holds this row, so it is read twice: from the file alone, and as the log would
 * have it. The two must be the same journal in the same run (or in the one after, if that one was just beginning).
 *
 * A backup (backup.h) is another journal from the beginning, whatever becomes of it: it has an identity of its own, and
 * an inode that no file has.
 */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "store/journal_file.h"
#include "store/sqlite.h"
#include "wire/position.h"

#define STATE_IDENTITY_CHARS 32
#define STATE_EPOCH_CHARS 8

struct journal_state {
	char identity[STATE_IDENTITY_CHARS + 1];
	char epoch[POSITION_MAX_EPOCH + 1];
	int64_t n_opened;
	bool is_open;
	uint64_t inode;
	uint64_t head;   /* the newest sequence that was given when this was written: see head.h */
	uint64_t purged; /* everything up to here is gone on purpose */
};

/* -EUCLEAN if the row is not there or its digest is wrong. */
int state_read(sqlite3 *db, struct journal_state *ret_state) MUST_USE;
#define STATE_UPDATE \
	"UPDATE journal SET epoch = ?, n_opened = ?, is_open = ?, inode = ?, head = ?, purged = ?, digest = ?"
int state_write(sqlite3_stmt *statement, const struct journal_state *state) MUST_USE;
/* From the file alone, whatever stands in its write-ahead log. */
int state_read_without_wal(const struct journal_file *file, struct journal_state *ret_state) MUST_USE;
/* Refuses a write-ahead log that belongs to another journal. 0; -EUCLEAN and a sentence. */
int state_judge_wal(sqlite3 *db, const struct journal_file *file, char **ret_message) MUST_USE;
/* Whether this file may be anything else than what this journal was when it was last used. */
bool state_needs_epoch(const struct journal_state *state, const struct journal_file *file);
/* Makes the database, a copy of a journal, a journal of its own: no write-ahead log that may lie where it is put
 * belongs to it, and its first start finds that it needs a new epoch, wherever that is. 0 or -errno. */
int state_make_own(sqlite3 *db) MUST_USE;
/* A new epoch. 0 or -EIO. */
int state_draw_epoch(char ret_epoch[static POSITION_MAX_EPOCH + 1]) MUST_USE;
#endif
