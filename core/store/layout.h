/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the journal's file, and how an older file becomes a newer one.
 *
 * The file says who wrote it (application_id) and in which form (user_version). A form never changes: a new one is a
 * step appended to the table in layout.c. A step runs in one transaction together with the new version number, so a
 * crash leaves the old form or the new one.
 */
#ifndef STORE_LAYOUT_H
#define STORE_LAYOUT_H

#include "store/journal_file.h"
#include "store/sqlite.h"

#define LAYOUT_APPLICATION_ID 0x42656c66 /* "Belf" */

/* Refuses a stranger's file and a newer form by the file's first bytes alone, before SQLite has touched anything.
 * 0; -errno and a sentence. */
int layout_judge_file(const struct journal_file *file, char **ret_message) MUST_USE;
/* Brings the open database to the current form. 0; -errno and a sentence. */
int layout_prepare(sqlite3 *db, const char *path, char **ret_message) MUST_USE;
/* For those who only read: the form must be the current one. 0; -errno and a sentence. */
int layout_judge_current(sqlite3 *db, const char *path, char **ret_message) MUST_USE;
/* The sentence for a file that SQLite finds damaged, or cannot read at all. Returns `error`. */
int layout_complain(const char *path, int error, char **ret_message) MUST_USE;

#endif
