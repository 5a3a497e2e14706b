/* SPDX-License-Identifier: Apache-2.0 */
#include "store/head.h"

#include "base/buffer.h"
#include "base/log.h"
#include "store/record.h"

#include <errno.h>

/* 0; -ENOENT if there is none; -EBADMSG if it is not what it was; else -errno. */
static int check_record(sqlite3_stmt *select, uint64_t sequence)
{
	CLEANUP(buffer_finish) struct buffer scratch = BUFFER_INIT;
	CLEANUP(event_unref) struct event *event = NULL;
	return record_select(select, &scratch, sequence, &event);
}

/* The newest sequence that a record stands at, from `first` to `last`; -ENODATA if none does. */
static int find_newest(sqlite3 *db, uint64_t first, uint64_t last, uint64_t *ret_sequence)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int64_t sequence;
	int r = sqlite_prepare(db, "SELECT max(sequence) FROM events WHERE sequence BETWEEN ? AND ?", &statement);
	if (r == 0)
		r = sqlite_bind_number(statement, 1, (int64_t)first);
	if (r == 0)
		r = sqlite_bind_number(statement, 2, (int64_t)last);
	if (r == 0)
		r = sqlite_step_number(statement, &sequence);
	if (r == 0)
		*ret_sequence = (uint64_t)sequence;
	return r;
}

int head_find(sqlite3 *db, uint64_t known, uint64_t *ret_head, bool *ret_has_strangers)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *select = NULL;
	uint64_t sequence = (uint64_t)INT64_MAX + 1;
	bool has_strangers = false;
	int r = sqlite_prepare(db, RECORD_SELECT, &select);
	while (r == 0 && (r = find_newest(db, known + 1, sequence - 1, &sequence)) == 0) {
		r = check_record(select, sequence);
		if (r != -EBADMSG)
			break;
		has_strangers = true;
		r = 0;
	}
	if (r < 0 && r != -ENODATA)
		return r;
	*ret_head = r == 0 ? sequence : known;
	*ret_has_strangers = has_strangers;
	return 0;
}

static int remove_from(sqlite3 *db, const char *sql, uint64_t head)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int r = sqlite_prepare(db, sql, &statement);
	if (r == 0)
		r = sqlite_bind_number(statement, 1, (int64_t)head);
	if (r == 0)
		r = sqlite_step(statement);
	if (r == 0 && sqlite3_changes(db) > 0)
		log_error("records with impossible positions were removed", LOG_NUMBER("records", sqlite3_changes(db)));
	return r;
}

int head_remove_strangers(sqlite3 *db, uint64_t head)
{
	static const char *const statements[] = { "DELETE FROM events WHERE sequence > ? OR sequence < 1",
											  "DELETE FROM deliveries WHERE sequence > ? OR sequence < 1",
											  "DELETE FROM attempts WHERE sequence > ? OR sequence < 1" };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
		r = remove_from(db, statements[i], head);
	return r;
}
