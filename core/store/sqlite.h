/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite in the manner of this project: negative errno, statements that are prepared once and stepped often. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "base/cleanup.h"
#include "base/span.h"

#include <sqlite3.h>

/* Every length is checked against this before it is bound; SQLite counts in int. */
#define SQLITE_MAX_BYTES 1000000000

/* How long to wait for somebody else's lock: an administrator with sqlite3 at the terminal. */
#define SQLITE_BUSY_TIMEOUT_MS 2000

/* What a result code means to those who know nothing of SQLite; 0 for OK, ROW and DONE. */
int sqlite_errno(sqlite3 *db, int code) MUST_USE;

/* Connections belong to one thread at a time. `name` is a path, or a URI with SQLITE_OPEN_URI. On failure too
 * *ret_db is to be closed. */
int sqlite_open(const char *name, int flags, sqlite3 **ret_db) MUST_USE;
void sqlite_close(sqlite3 *db); /* NULL is fine */
CLEANUP_DEFINE(sqlite3, sqlite_close)

/* One or more statements whose rows are of no interest. */
int sqlite_run(sqlite3 *db, const char *sql) MUST_USE;
/* The first column of the first row; -ENODATA if there is no row, or NULL in it. */
int sqlite_ask(sqlite3 *db, const char *sql, int64_t *ret_number) MUST_USE;

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement) MUST_USE;
void sqlite_finalize(sqlite3_stmt *statement); /* NULL is fine */
CLEANUP_DEFINE(sqlite3_stmt, sqlite_finalize)
/* Runs a prepared statement that gives no rows, and makes it ready for the next time. */
int sqlite_step(sqlite3_stmt *statement) MUST_USE;
/* As sqlite_ask. */
int sqlite_step_number(sqlite3_stmt *statement, int64_t *ret_number) MUST_USE;

/* Bound without a copy: the bytes must stay until the statement has been stepped. 0 or -E2BIG, -ENOMEM. */
int sqlite_bind_text(sqlite3_stmt *statement, int i, struct span text) MUST_USE;
int sqlite_bind_blob(sqlite3_stmt *statement, int i, struct span bytes) MUST_USE;
int sqlite_bind_number(sqlite3_stmt *statement, int i, int64_t number) MUST_USE;

/* Valid until the statement is stepped or reset. */
struct span sqlite_column(sqlite3_stmt *statement, int i);

#endif
