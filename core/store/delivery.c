/* SPDX-License-Identifier: Apache-2.0 */
#include "store/delivery.h"

#include "base/log.h"
#include "wire/digest.h"

#include <errno.h>
#include <inttypes.h>

#define DELIVERY_DIGEST_BYTES 16 /* of SHA-256 over the row as text */

const char *const delivery_states[] = {
	[DELIVERY_DUE] = "due", [DELIVERY_CLAIMED] = "claimed", [DELIVERY_DONE] = "done", [DELIVERY_DEAD] = "dead"
};
const char *const attempt_outcomes[] = {
	[ATTEMPT_DONE] = "done", [ATTEMPT_RETRY] = "retry", [ATTEMPT_REJECT] = "reject", [ATTEMPT_FAILED] = "failed"
};

enum column {
	COLUMN_SEQUENCE,
	COLUMN_HANDLER,
	COLUMN_INTERACTION,
	COLUMN_STATE,
	COLUMN_DUE_MS,
	COLUMN_OWED_MS,
	COLUMN_N_ATTEMPTS,
	COLUMN_N_BEFORE,
	COLUMN_N_INTERRUPTED,
	COLUMN_N_CRASHED,
	COLUMN_DIGEST,
};
#define PARAMETER(column) ((int)(column) + 1)

static int digest_of(struct buffer *scratch, const struct delivery *delivery, uint8_t ret_digest[static DIGEST_BYTES])
{
	const int64_t numbers[] = { (int64_t)delivery->sequence, delivery->interaction,
								(int64_t)delivery->state,    delivery->due_ms,
								delivery->owed_ms,           delivery->n_attempts,
								delivery->n_before,          delivery->n_interrupted,
								delivery->n_crashed };
	if (scratch->failed)
		buffer_finish(scratch);
	scratch->n = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		buffer_add_i64(scratch, numbers[i]);
		buffer_add_char(scratch, ' ');
	}
	buffer_add(scratch, delivery->handler);
	return scratch->failed ? -ENOMEM : digest_sha256(buffer_span(scratch), ret_digest);
}

int delivery_bind_key(sqlite3_stmt *statement, const struct delivery *delivery)
{
	int r = sqlite_bind_number(statement, PARAMETER(COLUMN_SEQUENCE), (int64_t)delivery->sequence);
	if (r == 0)
		r = sqlite_bind_text(statement, PARAMETER(COLUMN_HANDLER), delivery->handler);
	return r < 0 ? r : sqlite_bind_number(statement, PARAMETER(COLUMN_INTERACTION), delivery->interaction);
}

int delivery_write(sqlite3_stmt *statement, struct buffer *scratch, const struct delivery *delivery)
{
	uint8_t digest[DIGEST_BYTES];
	const int64_t numbers[] = { delivery->state,    delivery->due_ms,        delivery->owed_ms,  delivery->n_attempts,
								delivery->n_before, delivery->n_interrupted, delivery->n_crashed };
	int r = digest_of(scratch, delivery, digest);
	if (r == 0)
		r = delivery_bind_key(statement, delivery);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(numbers); i++)
		r = sqlite_bind_number(statement, PARAMETER(COLUMN_STATE + i), numbers[i]);
	if (r == 0)
		r = sqlite_bind_blob(statement, PARAMETER(COLUMN_DIGEST), span_of(digest, DELIVERY_DIGEST_BYTES));
	if (r == 0)
		r = sqlite_step(statement);
	return r == 0 && sqlite3_changes(sqlite3_db_handle(statement)) != 1 ? -EUCLEAN : r;
}

int delivery_read(sqlite3_stmt *statement, struct buffer *scratch, struct delivery *ret_delivery)
{
	uint8_t digest[DIGEST_BYTES];
	struct delivery delivery = {
		.sequence = (uint64_t)sqlite3_column_int64(statement, COLUMN_SEQUENCE),
		.handler = sqlite_column(statement, COLUMN_HANDLER),
		.interaction = sqlite3_column_int64(statement, COLUMN_INTERACTION),
		.state = (enum delivery_state)(sqlite3_column_int64(statement, COLUMN_STATE) & 3),
		.due_ms = sqlite3_column_int64(statement, COLUMN_DUE_MS),
		.owed_ms = sqlite3_column_int64(statement, COLUMN_OWED_MS),
		.n_attempts = sqlite3_column_int64(statement, COLUMN_N_ATTEMPTS),
		.n_before = sqlite3_column_int64(statement, COLUMN_N_BEFORE),
		.n_interrupted = sqlite3_column_int64(statement, COLUMN_N_INTERRUPTED),
		.n_crashed = sqlite3_column_int64(statement, COLUMN_N_CRASHED),
	};
	int r = digest_of(scratch, &delivery, digest);
	if (r < 0)
		return r;
	*ret_delivery = delivery;
	bool is_intact = span_equal(sqlite_column(statement, COLUMN_DIGEST), span_of(digest, DELIVERY_DIGEST_BYTES));
	return is_intact ? 0 : DELIVERY_E_DAMAGED;
}

int delivery_first(sqlite3_stmt *statement, struct buffer *scratch, struct buffer *handler,
				   struct delivery *ret_delivery)
{
	struct delivery delivery;
	int code = sqlite3_step(statement);
	int r = code == SQLITE_DONE ? -ENOENT : sqlite_errno(sqlite3_db_handle(statement), code);
	if (r == 0)
		r = delivery_read(statement, scratch, &delivery);
	if (r >= 0) {
		if (handler->failed)
			buffer_finish(handler);
		handler->n = 0;
		buffer_add(handler, delivery.handler);
		delivery.handler = buffer_span(handler);
		if (handler->failed)
			r = -ENOMEM;
	}
	(void)sqlite3_reset(statement);
	if (r >= 0)
		*ret_delivery = delivery;
	return r;
}

void delivery_tell_damage(const struct delivery *delivery)
{
	log_error_limited("a damaged delivery is taken as owed", LOG_NUMBER("sequence", delivery->sequence),
					  LOG_SPAN("handler", delivery->handler), LOG_NUMBER("interaction", delivery->interaction));
}

struct attempt attempt_read(sqlite3_stmt *statement)
{
	return (struct attempt){ .started_ms = sqlite3_column_int64(statement, 0),
							 .duration_ms = sqlite3_column_int64(statement, 1),
							 .outcome = (enum attempt_outcome)(sqlite3_column_int64(statement, 2) & 3),
							 .reason = sqlite_column(statement, 3) };
}

int attempt_insert(sqlite3_stmt *statement, const struct delivery *delivery, const struct attempt *attempt)
{
	const int64_t numbers[] = { delivery->n_attempts, attempt->started_ms, attempt->duration_ms,
								(int64_t)attempt->outcome };
	struct span reason = attempt->reason;
	if (reason.n > DELIVERY_MAX_REASON)
		reason.n = DELIVERY_MAX_REASON;
	int r = delivery_bind_key(statement, delivery);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(numbers); i++)
		r = sqlite_bind_number(statement, (int)i + 4, numbers[i]);
	if (r == 0)
		r = sqlite_bind_text(statement, 8, reason);
	return r < 0 ? r : sqlite_step(statement);
}
