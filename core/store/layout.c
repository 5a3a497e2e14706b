/* SPDX-License-Identifier: Apache-2.0 */
#include "store/layout.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/complain.h"
#include "wire/digest.h"

#include <errno.h>
#include <inttypes.h>

/* Step i leads from version i to version i + 1. Released steps are never changed. */
static const char *const steps[] = {
	/* The state of the whole: one row. `identity` is the file's for life. The first commit in a write-ahead log writes
	 * it, so that every log has this row in it, and tells by it whose log it is. Events: the small columns come first,
	 * so that reading them does not lead through a large body. The text in `tags` and `interactions` is JSON.
	 * record_digest covers everything but the body, for which body_digest stands. Parts of the index: see segment.h. */
	"CREATE TABLE journal ("
	"  one INTEGER PRIMARY KEY CHECK (one = 1),"
	"  identity TEXT NOT NULL,"
	"  epoch TEXT NOT NULL,"
	"  n_opened INTEGER NOT NULL,"
	"  is_open INTEGER NOT NULL,"
	"  inode INTEGER NOT NULL,"
	"  head INTEGER NOT NULL,"
	"  purged INTEGER NOT NULL,"
	"  digest BLOB NOT NULL"
	") STRICT;"
	"CREATE TABLE events ("
	"  sequence INTEGER PRIMARY KEY,"
	"  kind INTEGER NOT NULL,"
	"  received_ms INTEGER NOT NULL,"
	"  source TEXT NOT NULL,"
	"  event_id TEXT NOT NULL,"
	"  tags TEXT NOT NULL,"
	"  interactions TEXT NOT NULL,"
	"  malformed TEXT NOT NULL,"
	"  body_digest BLOB NOT NULL,"
	"  record_digest BLOB NOT NULL,"
	"  body BLOB NOT NULL"
	") STRICT;"
	"CREATE TABLE index_parts ("
	"  part INTEGER PRIMARY KEY,"
	"  digest BLOB NOT NULL,"
	"  entries BLOB NOT NULL"
	") STRICT;"
	"INSERT INTO journal SELECT 1, lower(hex(randomblob(16))), '', 0, 0, 0, 0, 0, x'';",
	/* What is owed to handlers: see deliveries.h. What is open (state 0 and 1) is found by handler and time; what was
	 * claimed when the gateway ended, and what is dead (3), without looking at everything that was ever done. */
	"CREATE TABLE deliveries ("
	"  sequence INTEGER NOT NULL,"
	"  handler TEXT NOT NULL,"
	"  interaction INTEGER NOT NULL,"
	"  state INTEGER NOT NULL,"
	"  due_ms INTEGER NOT NULL,"
	"  owed_ms INTEGER NOT NULL,"
	"  n_attempts INTEGER NOT NULL,"
	"  n_before INTEGER NOT NULL,"
	"  n_interrupted INTEGER NOT NULL,"
	"  n_crashed INTEGER NOT NULL,"
	"  digest BLOB NOT NULL,"
	"  PRIMARY KEY (sequence, handler, interaction)"
	") STRICT, WITHOUT ROWID;"
	"CREATE INDEX deliveries_open ON deliveries (handler, due_ms) WHERE state < 2;"
	"CREATE INDEX deliveries_claimed ON deliveries (state) WHERE state = 1;"
	"CREATE INDEX deliveries_dead ON deliveries (handler) WHERE state = 3;"
	"CREATE TABLE attempts ("
	"  sequence INTEGER NOT NULL,"
	"  handler TEXT NOT NULL,"
	"  interaction INTEGER NOT NULL,"
	"  attempt INTEGER NOT NULL,"
	"  started_ms INTEGER NOT NULL,"
	"  duration_ms INTEGER NOT NULL,"
	"  outcome INTEGER NOT NULL,"
	"  reason TEXT NOT NULL,"
	"  PRIMARY KEY (sequence, handler, interaction, attempt)"
	") STRICT, WITHOUT ROWID;"
	"CREATE TABLE handler_state ("
	"  handler TEXT NOT NULL,"
	"  key TEXT NOT NULL,"
	"  value BLOB NOT NULL,"
	"  PRIMARY KEY (handler, key)"
	") STRICT, WITHOUT ROWID;",
	/* The trace context that a callback came with. Behind the body, where most rows have nothing: no row is rewritten.
	 */
	"ALTER TABLE events ADD COLUMN traceparent TEXT NOT NULL DEFAULT '';",
};
#define CURRENT_VERSION ((int64_t)ARRAY_LENGTH(steps))

int layout_complain(const char *path, int error, char **ret_message)
{
	if (error != -EUCLEAN)
		return COMPLAIN(error, ret_message, "the journal %s cannot be used: %s", path, strerrordesc_np(-error));
	return COMPLAIN(
		error, ret_message,
		"the journal %s is damaged. To go on with a new one, move the file away, together with those of the same "
		"name with -wal and -shm behind it. To save what can be read: sqlite3 %s .recover | sqlite3 NEW, "
		"then put NEW in its place",
		path, path);
}

static int refuse_stranger(const char *path, char **ret_message)
{
	return COMPLAIN(
		-EUCLEAN, ret_message,
		"%s is not a journal of Belfry (or its first bytes are damaged): give the journal another path, or move that "
		"file away. To save what can be read of a damaged one: sqlite3 %s .recover | sqlite3 NEW",
		path, path);
}

static int refuse_newer(const char *path, int64_t version, char **ret_message)
{
	return COMPLAIN(-EPROTO, ret_message,
					"the journal %s has version %" PRId64 ", and this Belfry knows versions up to %" PRId64
					": install the Belfry that wrote it, or a newer one, or give this one another path",
					path, version, CURRENT_VERSION);
}

static uint32_t read_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* https://www.sqlite.org/fileformat.html, "The Database Header" */
enum { HEADER_BYTES = 100, SCHEMA_COOKIE = 40, USER_VERSION = 60, APPLICATION_ID = 68 };

/* A database in which nothing was ever made: what is left when the very first start is killed. */
static bool has_nothing(const uint8_t *header)
{
	return read_u32(header + SCHEMA_COOKIE) == 0 && read_u32(header + USER_VERSION) == 0 &&
		   read_u32(header + APPLICATION_ID) == 0;
}

int layout_judge_file(const struct journal_file *file, char **ret_message)
{
	static const char magic[] = "SQLite format 3";
	uint8_t header[HEADER_BYTES];
	if (file->is_empty || file->had_rollback) /* the latter is undone by SQLite first */
		return 0;
	ssize_t n = pread(file->fd, header, sizeof header, 0);
	if (n < 0)
		return layout_complain(file->path, -errno, ret_message);
	bool is_database = n == HEADER_BYTES && memcmp(header, magic, sizeof magic) == 0;
	if (is_database && has_nothing(header))
		return 0;
	if (!is_database || read_u32(header + APPLICATION_ID) != LAYOUT_APPLICATION_ID)
		return refuse_stranger(file->path, ret_message);
	if (read_u32(header + USER_VERSION) > CURRENT_VERSION)
		return refuse_newer(file->path, read_u32(header + USER_VERSION), ret_message);
	return 0;
}

static int migrate(sqlite3 *db, int64_t version)
{
	CLEANUP(buffer_finish) struct buffer sql = BUFFER_INIT;
	buffer_add_printf(&sql,
					  "BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %" PRId64 "; COMMIT;",
					  steps[version], LAYOUT_APPLICATION_ID, version + 1);
	buffer_add_char(&sql, '\0');
	if (sql.failed)
		return -ENOMEM;
	int r = sqlite_run(db, sql.data);
	if (r < 0 && !sqlite3_get_autocommit(db))
		(void)!sqlite_run(db, "ROLLBACK");
	return r;
}

static int bring_up(sqlite3 *db, const char *path, int64_t version, char **ret_message)
{
	bool is_new = version == 0;
	for (; version < CURRENT_VERSION; version++) {
		int r = migrate(db, version);
		if (r < 0)
			return layout_complain(path, r, ret_message);
		if (!is_new)
			log_info("the journal has been migrated", LOG_TEXT("path", path), LOG_NUMBER("version", version + 1));
	}
	return 0;
}

int layout_prepare(sqlite3 *db, const char *path, char **ret_message)
{
	int64_t n_objects, application, version;
	int r = sqlite_ask(db, "SELECT count(*) FROM sqlite_schema", &n_objects);
	if (r == 0)
		r = sqlite_ask(db, "PRAGMA application_id", &application);
	if (r == 0)
		r = sqlite_ask(db, "PRAGMA user_version", &version);
	/* before the first table, or never */
	if (r == 0 && n_objects == 0)
		r = sqlite_run(db, "PRAGMA auto_vacuum = INCREMENTAL");
	if (r < 0)
		return layout_complain(path, r, ret_message);
	if (n_objects == 0 ? version != 0 : application != LAYOUT_APPLICATION_ID || version < 1)
		return refuse_stranger(path, ret_message);
	if (version > CURRENT_VERSION)
		return refuse_newer(path, version, ret_message);
	return bring_up(db, path, version, ret_message);
}

int layout_judge_current(sqlite3 *db, const char *path, char **ret_message)
{
	int64_t version;
	int r = sqlite_ask(db, "PRAGMA user_version", &version);
	if (r < 0)
		return layout_complain(path, r, ret_message);
	if (version == CURRENT_VERSION)
		return 0;
	if (version > CURRENT_VERSION)
		return refuse_newer(path, version, ret_message);
	if (version == 0)
		return COMPLAIN(-ENODATA, ret_message, "there is nothing in %s yet: no gateway has used it", path);
	return COMPLAIN(-EPROTO, ret_message,
					"the journal %s has version %" PRId64 ", and this Belfry reads version %" PRId64
					": belfryd brings it to that at its next start",
					path, version, CURRENT_VERSION);
}
