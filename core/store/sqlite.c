/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite.h"

#include <errno.h>
#include <pthread.h>

static int system_errno(sqlite3 *db, int otherwise)
{
	int error = db ? sqlite3_system_errno(db) : 0;
	return error > 0 ? -error : otherwise;
}

int sqlite_errno(sqlite3 *db, int code)
{
	static const struct {
		int code, error;
	} known[] = {
		{ SQLITE_OK, 0 },
		{ SQLITE_ROW, 0 },
		{ SQLITE_DONE, 0 },
		{ SQLITE_FULL, -ENOSPC },
		{ SQLITE_NOMEM, -ENOMEM },
		{ SQLITE_BUSY, -EBUSY },
		{ SQLITE_LOCKED, -EBUSY },
		{ SQLITE_READONLY, -EROFS },
		{ SQLITE_PERM, -EACCES },
		{ SQLITE_AUTH, -EACCES },
		{ SQLITE_TOOBIG, -E2BIG },
		{ SQLITE_CORRUPT, -EUCLEAN },
		{ SQLITE_NOTADB, -EUCLEAN },
	};
	if (code == SQLITE_IOERR_NOMEM)
		return -ENOMEM;
	if (code == SQLITE_IOERR_CORRUPTFS)
		return -EUCLEAN;
	for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
		if (known[i].code == (code & 0xff))
			return known[i].error;
	return system_errno(db, -EIO); /* IOERR, CANTOPEN and whatever else may come */
}

/* SQLite would count each allocation under a lock that all connections share; nobody asks for the counts. */
static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int sqlite_open(const char *name, int flags, sqlite3 **ret_db)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, configure);
	int code = sqlite3_open_v2(name, ret_db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(*ret_db, SQLITE_BUSY_TIMEOUT_MS);
	return *ret_db ? sqlite_errno(*ret_db, code) : -ENOMEM;
}

void sqlite_close(sqlite3 *db)
{
	(void)sqlite3_close_v2(db);
}

int sqlite_run(sqlite3 *db, const char *sql)
{
	return sqlite_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int sqlite_ask(sqlite3 *db, const char *sql, int64_t *ret_number)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int r = sqlite_prepare(db, sql, &statement);
	return r < 0 ? r : sqlite_step_number(statement, ret_number);
}

int sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement)
{
	return sqlite_errno(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL));
}

void sqlite_finalize(sqlite3_stmt *statement)
{
	(void)sqlite3_finalize(statement);
}

int sqlite_step(sqlite3_stmt *statement)
{
	int code;
	do
		code = sqlite3_step(statement);
	while (code == SQLITE_ROW); /* some PRAGMAs work a little for each row */
	(void)sqlite3_reset(statement);
	return sqlite_errno(sqlite3_db_handle(statement), code);
}

int sqlite_step_number(sqlite3_stmt *statement, int64_t *ret_number)
{
	int code = sqlite3_step(statement);
	int r = sqlite_errno(sqlite3_db_handle(statement), code);
	if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
		*ret_number = sqlite3_column_int64(statement, 0);
	else if (r == 0)
		r = -ENODATA;
	(void)sqlite3_reset(statement);
	return r;
}

int sqlite_bind_text(sqlite3_stmt *statement, int i, struct span text)
{
	if (text.n > SQLITE_MAX_BYTES)
		return -E2BIG;
	const char *data = text.data ? text.data : ""; /* a null pointer would be NULL, not an empty text */
	return sqlite_errno(NULL, sqlite3_bind_text(statement, i, data, (int)text.n, SQLITE_STATIC));
}

int sqlite_bind_blob(sqlite3_stmt *statement, int i, struct span bytes)
{
	if (bytes.n > SQLITE_MAX_BYTES)
		return -E2BIG;
	const char *data = bytes.data ? bytes.data : "";
	return sqlite_errno(NULL, sqlite3_bind_blob(statement, i, data, (int)bytes.n, SQLITE_STATIC));
}

int sqlite_bind_number(sqlite3_stmt *statement, int i, int64_t number)
{
	return sqlite_errno(NULL, sqlite3_bind_int64(statement, i, number));
}

struct span sqlite_column(sqlite3_stmt *statement, int i)
{
	const void *data = sqlite3_column_blob(statement, i); /* a text's bytes as they are */
	return span_of(data, (size_t)sqlite3_column_bytes(statement, i));
}
