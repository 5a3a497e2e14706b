/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's file as the file system sees it: whose it is, that it is ours alone, and that it is still where it was.
 *
 * The file is kept open for as long as the journal is, with a lock on one byte of it: an open-file-description
 * lock, which belongs to this descriptor (what SQLite opens and closes does not release it) and to the file itself (a
 * link to it is the same journal). SQLite's own locks lie elsewhere, so an administrator may read the journal with
 * sqlite3 while the gateway runs, and a second gateway may not.
 */
#ifndef STORE_JOURNAL_FILE_H
#define STORE_JOURNAL_FILE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct file_identity {
	dev_t device;
	ino_t inode;
	bool is_known;
};

struct journal_file {
	char *path;     /* no link in it */
	char *wal_path; /* its write-ahead log, which SQLite names so */
	int fd;         /* also the lock */
	struct file_identity identity;
	struct file_identity wal; /* not known before SQLite has made it */
	bool is_empty;            /* no journal yet */
	bool had_wal;             /* one was there before this process came */
	bool had_wal_frames;      /* and something in it */
	bool had_rollback;        /* a transaction of the kind without WAL was under way */
};

/* Opens or creates. 0; -errno and a sentence. */
int journal_file_open(const char *path, struct journal_file *ret_file, char **ret_message) MUST_USE;
/* The same for somebody who only reads, and is not the gateway: nothing is made, nothing is locked, and it may belong
 * to whomever it does. */
int journal_file_look(const char *path, struct journal_file *ret_file, char **ret_message) MUST_USE;
void journal_file_finish(struct journal_file *file); /* zeroed is fine, with fd -1 */
static inline void journal_file_finish_cleanup(struct journal_file *file)
{
	journal_file_finish(file);
}

/* Remembers the write-ahead log that SQLite has opened by now. 0 or -errno. */
int journal_file_know_wal(struct journal_file *file) MUST_USE;
/* 0 while both names still lead to the files that are open; -ESTALE when either was renamed, deleted or replaced (a
 * commit would seem to succeed, and be lost). */
int journal_file_in_place(const struct journal_file *file) MUST_USE;
/* After a file of this path was made, or moved there: its name is on the disk, too. 0 or -errno. */
int journal_file_sync_folder(const char *path) MUST_USE;
/* Warns when the file system is none that keeps what it was given. */
void journal_file_warn_of_system(const struct journal_file *file);

#endif
