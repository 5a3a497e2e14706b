/* SPDX-License-Identifier: Apache-2.0 */
#include "store/state.h"

#include "base/buffer.h"
#include "store/complain.h"
#include "wire/digest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

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

#define STATE_DIGEST_BYTES 16 /* of SHA-256 over the row as text */

static int digest_of(const struct journal_state *state, uint8_t ret_digest[static DIGEST_BYTES])
{
	char text[STATE_IDENTITY_CHARS + POSITION_MAX_EPOCH + 128];
	int n = snprintf(text, sizeof text, "%s %s %" PRId64 " %d %" PRIu64 " %" PRIu64 " %" PRIu64, state->identity,
					 state->epoch, state->n_opened, state->is_open, state->inode, state->head, state->purged);
	return n < 0 || (size_t)n >= sizeof text ? -EINVAL : digest_sha256(span_of(text, (size_t)n), ret_digest);
}

/* The row that came with the table has not been written by state_write yet. (A page that was only written in part may
 * look like nothing but zeros.) */
static bool is_new(const struct journal_state *state, struct span digest)
{
	return strlen(state->identity) == STATE_IDENTITY_CHARS && digest.n == 0 && state->n_opened == 0 &&
		   state->head == 0 && state->purged == 0 && !state->epoch[0];
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
	struct span digest = sqlite_column(statement, 7);
	uint8_t expected[DIGEST_BYTES];
	if (!copy_text(statement, 0, state.identity, sizeof state.identity) ||
		!copy_text(statement, 1, state.epoch, sizeof state.epoch))
		return -EUCLEAN;
	int r = digest_of(&state, expected);
	if (r < 0)
		return r;
	if (!is_new(&state, digest) && !span_equal(digest, span_of(expected, STATE_DIGEST_BYTES)))
		return -EUCLEAN;
	*ret_state = state;
	return 0;
}

int state_read(sqlite3 *db, struct journal_state *ret_state)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int r = sqlite_prepare(db, "SELECT identity, epoch, n_opened, is_open, inode, head, purged, digest FROM journal",
						   &statement);
	if (r < 0)
		return r;
	int code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return -EUCLEAN;
	return code == SQLITE_ROW ? read_row(statement, ret_state) : sqlite_errno(db, code);
}

int state_write(sqlite3_stmt *statement, const struct journal_state *state)
{
	uint8_t digest[DIGEST_BYTES];
	int r = digest_of(state, digest);
	const int64_t numbers[] = { state->n_opened, state->is_open, (int64_t)state->inode, (int64_t)state->head,
								(int64_t)state->purged };
	if (r == 0)
		r = sqlite_bind_text(statement, 1, span_text(state->epoch));
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(numbers); i++)
		r = sqlite_bind_number(statement, (int)i + 2, numbers[i]);
	if (r == 0)
		r = sqlite_bind_blob(statement, 7, span_of(digest, STATE_DIGEST_BYTES));
	return r < 0 ? r : sqlite_step(statement);
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

static bool continues(const struct journal_state *state, const struct journal_state *without_wal)
{
	return strcmp(state->identity, without_wal->identity) == 0 &&
		   (state->n_opened == without_wal->n_opened || state->n_opened == without_wal->n_opened + 1);
}

int state_judge_wal(sqlite3 *db, const struct journal_file *file, char **ret_message)
{
	struct journal_state state, without_wal;
	if (!file->had_wal_frames || file->is_empty)
		return 0;
	int r = state_read(db, &state);
	if (r == 0)
		r = state_read_without_wal(file, &without_wal);
	if (r < 0) /* the table may be in the log alone, just made; layout_prepare() says what is wrong otherwise */
		return 0;
	if (continues(&state, &without_wal))
		return 0;
	return COMPLAIN(
		-EUCLEAN, ret_message,
		"%s does not belong to %s: it is the write-ahead log of another journal. Put its own log back, or move "
		"it away (what was only in it is lost)",
		file->wal_path, file->path);
}

bool state_needs_epoch(const struct journal_state *state, const struct journal_file *file)
{
	if (!state->epoch[0])
		return true;
	return (state->is_open && !file->had_wal) || state->inode != (uint64_t)file->identity.inode;
}

static int write_identity(sqlite3 *db, const char *identity)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	int r = sqlite_prepare(db, "UPDATE journal SET identity = ?", &statement);
	if (r == 0)
		r = sqlite_bind_text(statement, 1, span_text(identity));
	return r < 0 ? r : sqlite_step(statement);
}

static int draw_identity(char ret_identity[static STATE_IDENTITY_CHARS + 1])
{
	uint8_t bytes[STATE_IDENTITY_CHARS / 2];
	int r = digest_random(bytes, sizeof bytes);
	for (size_t i = 0; r == 0 && i < sizeof bytes; i++)
		(void)snprintf(ret_identity + 2 * i, 3, "%02x", bytes[i]);
	return r;
}

int state_make_own(sqlite3 *db)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	struct journal_state state;
	int r = state_read(db, &state);
	if (r == 0)
		r = draw_identity(state.identity);
	if (r == 0)
		r = write_identity(db, state.identity);
	if (r == 0)
		r = sqlite_prepare(db, STATE_UPDATE, &statement);
	if (r < 0)
		return r;
	state.is_open = false;
	state.inode = 0;
	return state_write(statement, &state);
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
