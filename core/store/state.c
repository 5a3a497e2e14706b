/* SPDX-License-Identifier: Apache-2.0 */
#include "store/state.h"

#include "base/buffer.h"
#include "wire/digest.h"

#include <errno.h>

static bool copy_text(sqlite3_stmt *statement, int i, char *text, size_t size)
{
	struct span column = sqlite_column(statement, i);
	if (column.n >= size)
		return false;
	if (column.n)
		memcpy(text, column.data, column.n);
	text[column.n] = '\0';
	return true;
}

static bool is_epoch(const char *epoch)
{
	size_t n = strlen(epoch);
	return n == 0 || (n == STATE_EPOCH_CHARS && strspn(epoch, "abcdefghijklmnopqrstuvwxyz0123456789") == n);
}

static int read_row(sqlite3_stmt *statement, struct journal_state *ret_state)
{
	struct journal_state state = {
		.n_opened = sqlite3_column_int64(statement, 2),
		.is_open = sqlite3_column_int(statement, 3) != 0,
		.inode = (uint64_t)sqlite3_column_int64(statement, 4),
		.head = (uint64_t)sqlite3_column_int64(statement, 5),
		.purged = (uint64_t)sqlite3_column_int64(statement, 6),
	};
	if (!copy_text(statement, 0, state.identity, sizeof state.identity) ||
	    !copy_text(statement, 1, state.epoch, sizeof state.epoch) || !is_epoch(state.epoch) ||
	    state.head >= POSITION_MAX_SEQUENCE || state.purged > state.head)
		return -EUCLEAN;
	*ret_state = state;
	return 0;
}

int state_read(sqlite3 *db, struct journal_state *ret_state)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int r = sqlite_prepare(db, "SELECT identity, epoch, n_opened, is_open, inode, head, purged FROM journal", &statement);
	if (r < 0)
		return r;
	int code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return -EUCLEAN;
	return code == SQLITE_ROW ? read_row(statement, ret_state) : sqlite_errno(db, code);
}

int state_read_without_wal(const struct journal_file *file, struct journal_state *ret_state)
{
	CLEANUP(buffer_finish) struct buffer uri = BUFFER_INIT;
	CLEANUP(sqlite_close) sqlite3 *db = NULL;
	buffer_add_text(&uri, "file:");
	buffer_add_percent_encoded(&uri, span_text(file->path));
	buffer_add_text(&uri, "?immutable=1"); /* no locks, no write-ahead log, nothing written */
	buffer_add_char(&uri, '\0');
	if (uri.failed)
		return -ENOMEM;
	int r = sqlite_open(uri.data, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &db);
	return r < 0 ? r : state_read(db, ret_state);
}

bool state_continues(const struct journal_state *state, const struct journal_state *without_wal)
{
	return strcmp(state->identity, without_wal->identity) == 0 &&
		   (state->n_opened == without_wal->n_opened || state->n_opened == without_wal->n_opened + 1);
}

bool state_needs_epoch(const struct journal_state *state, const struct journal_file *file)
{
	if (!state->epoch[0])
		return true;
	return (state->is_open && !file->had_wal) || state->inode != (uint64_t)file->identity.inode;
}

int state_draw_epoch(char ret_epoch[static POSITION_MAX_EPOCH + 1])
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	uint8_t bytes[STATE_EPOCH_CHARS];
	int r = digest_random(bytes, sizeof bytes);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof bytes; i++) /* not quite even, and nobody guesses at it */
		ret_epoch[i] = alphabet[bytes[i] % (sizeof alphabet - 1)];
	ret_epoch[sizeof bytes] = '\0';
	return 0;
}

int state_mark_open(sqlite3 *db, const struct journal_file *file, const char *epoch)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int r = sqlite_prepare(db, "UPDATE journal SET n_opened = n_opened + 1, is_open = 1, epoch = ?, inode = ?",
	                       &statement);
	if (r == 0)
		r = sqlite_bind_text(statement, 1, span_text(epoch));
	if (r == 0)
		r = sqlite_bind_number(statement, 2, (int64_t)file->identity.inode);
	return r < 0 ? r : sqlite_step(statement);
}

int state_mark_closed(sqlite3 *db)
{
	return sqlite_run(db, "UPDATE journal SET is_open = 0");
}
