/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include <errno.h>

/* In the order of RECORD_SELECT; RECORD_INSERT has the sequence before them and counts from 1. */
enum column {
	COLUMN_KIND,
	COLUMN_RECEIVED_MS,
	COLUMN_SOURCE,
	COLUMN_EVENT_ID,
	COLUMN_TAGS,
	COLUMN_INTERACTIONS,
	COLUMN_MALFORMED,
	COLUMN_BODY_DIGEST,
	COLUMN_RECORD_DIGEST,
	COLUMN_BODY,
	COLUMN_TRACEPARENT,
};
#define PARAMETER(column) ((int)(column) + 2)

void record_texts_finish(struct record_texts *texts)
{
	buffer_finish(&texts->tags);
	buffer_finish(&texts->interactions);
	buffer_finish(&texts->scratch);
}

int record_texts_make(struct record_texts *texts, const struct event *event)
{
	if (texts->tags.failed || texts->interactions.failed) {
		buffer_finish(&texts->tags);
		buffer_finish(&texts->interactions);
	}
	texts->tags.n = texts->interactions.n = 0;
	event_add_tags(&texts->tags, event);
	event_add_interactions(&texts->interactions, event);
	return texts->tags.failed || texts->interactions.failed ? -ENOMEM : 0;
}

static void restart(struct buffer *scratch)
{
	if (scratch->failed)
		buffer_finish(scratch);
	scratch->n = 0;
}

static void add_number(struct buffer *scratch, uint64_t number)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(number >> 8 * i);
	buffer_add(scratch, span_of(bytes, sizeof bytes));
}

/* With its length, so that no two lists of columns give the same bytes. */
static void add_column(struct buffer *scratch, struct span column)
{
	add_number(scratch, column.n);
	buffer_add(scratch, column);
}

static int finish_digest(const struct buffer *scratch, uint8_t *ret_digest, size_t n)
{
	uint8_t digest[DIGEST_BYTES];
	int r = scratch->failed ? -ENOMEM : digest_sha256(buffer_span(scratch), digest);
	if (r == 0)
		memcpy(ret_digest, digest, n);
	return r;
}

int record_key(struct buffer *scratch, struct span source, struct span event_id, struct span tags,
			   uint8_t ret_key[static RECORD_KEY_BYTES])
{
	restart(scratch);
	add_column(scratch, source);
	add_column(scratch, event_id);
	add_column(scratch, tags);
	return finish_digest(scratch, ret_key, RECORD_KEY_BYTES);
}

static int digest_record(struct buffer *scratch, const struct event_record *record, const uint8_t *body_digest,
						 uint64_t sequence, uint8_t ret_digest[static RECORD_DIGEST_BYTES])
{
	const struct span columns[] = { record->source,       record->event_id,  record->tags,
									record->interactions, record->malformed, span_of(body_digest, DIGEST_BYTES) };
	restart(scratch);
	add_number(scratch, sequence);
	add_number(scratch, (uint64_t)record->kind);
	add_number(scratch, (uint64_t)record->received_ms);
	for (size_t i = 0; i < ARRAY_LENGTH(columns); i++)
		add_column(scratch, columns[i]);
	if (record->traceparent.n) /* not for the others, which may be older than it */
		add_column(scratch, record->traceparent);
	return finish_digest(scratch, ret_digest, RECORD_DIGEST_BYTES);
}

static int bind_columns(sqlite3_stmt *statement, const struct event_record *record)
{
	const struct {
		enum column column;
		struct span text;
	} texts[] = {
		{ COLUMN_SOURCE, record->source },       { COLUMN_EVENT_ID, record->event_id },
		{ COLUMN_TAGS, record->tags },           { COLUMN_INTERACTIONS, record->interactions },
		{ COLUMN_MALFORMED, record->malformed }, { COLUMN_TRACEPARENT, record->traceparent },
	};
	int r = sqlite_bind_number(statement, PARAMETER(COLUMN_KIND), (int64_t)record->kind);
	if (r == 0)
		r = sqlite_bind_number(statement, PARAMETER(COLUMN_RECEIVED_MS), record->received_ms);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(texts); i++)
		r = sqlite_bind_text(statement, PARAMETER(texts[i].column), texts[i].text);
	return r < 0 ? r : sqlite_bind_blob(statement, PARAMETER(COLUMN_BODY), record->body);
}

int record_write(sqlite3_stmt *statement, struct record_texts *texts, const struct event *event, uint64_t sequence)
{
	const struct event_record record = {
		.kind = event->kind,
		.received_ms = event->received_ms,
		.source = event->source,
		.event_id = event->event_id,
		.body = event->body,
		.malformed = event->malformed,
		.traceparent = event->traceparent,
		.interactions = buffer_span(&texts->interactions),
		.tags = buffer_span(&texts->tags),
	};
	uint8_t digest[RECORD_DIGEST_BYTES];
	int r = digest_record(&texts->scratch, &record, event->body_digest, sequence, digest);
	if (r == 0)
		r = bind_columns(statement, &record);
	if (r == 0)
		r = sqlite_bind_number(statement, 1, (int64_t)sequence);
	if (r == 0)
		r = sqlite_bind_blob(statement, PARAMETER(COLUMN_BODY_DIGEST), span_of(event->body_digest, DIGEST_BYTES));
	if (r == 0)
		r = sqlite_bind_blob(statement, PARAMETER(COLUMN_RECORD_DIGEST), span_of(digest, sizeof digest));
	return r < 0 ? r : sqlite_step(statement);
}

/* --- erasing ------------------------------------------------------------------------------------------------------ */

/* https://www.sqlite.org/fileformat.html, "Record Format": each column has a type, which for a text or a blob says how
 * long it is, and then its bytes. */
static size_t varint_bytes(size_t n)
{
	size_t bytes = 1;
	while (n >>= 7)
		bytes++;
	return bytes;
}

static size_t column_bytes(size_t n)
{
	return varint_bytes(2 * n + 13) + n;
}

/* The other way round. False if no column takes so many: one byte less does. */
static bool column_of_bytes(size_t bytes, size_t *ret_n)
{
	for (size_t type_bytes = 1; type_bytes < bytes; type_bytes++)
		if (column_bytes(bytes - type_bytes) == bytes) {
			*ret_n = bytes - type_bytes;
			return true;
		}
	return false;
}

/* What two rows of the same source and time may differ in. A kind of 0 or 1 takes no byte but its type. */
static size_t row_bytes(enum event_kind kind, const size_t *columns, size_t n)
{
	size_t bytes = kind > EVENT_MALFORMED;
	for (size_t i = 0; i < n; i++)
		bytes += column_bytes(columns[i]);
	return bytes;
}

int record_make_erased(const struct record_texts *texts, const struct event *event, struct event **ret_erased)
{
	const size_t old[] = { event->event_id.n,  texts->tags.n, texts->interactions.n,
						   event->malformed.n, event->body.n, event->traceparent.n };
	const size_t new[] = { 0, strlen("{}"), strlen("[]"), EVENT_ERASED.n, 0 }; /* without the body */
	size_t before = row_bytes(event->kind, old, ARRAY_LENGTH(old));
	size_t after = row_bytes(EVENT_MALFORMED, new, ARRAY_LENGTH(new)), n = 0;
	bool has_odd_byte = before > after && !column_of_bytes(before - after, &n);
	if (has_odd_byte)
		(void)column_of_bytes(before - after - 1, &n);
	CLEANUP(free) char *zeros = calloc(1, n + 1);
	if (!zeros)
		return -ENOMEM;
	const struct event model = { .kind = EVENT_MALFORMED,
								 .received_ms = event->received_ms,
								 .source = event->source,
								 .event_id = has_odd_byte ? SPAN(" ") : SPAN(""),
								 .malformed = EVENT_ERASED,
								 .body = span_of(zeros, n) };
	return event_create(&model, ret_erased);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static enum event_kind kind_of(int64_t number)
{
	bool is_known = number == EVENT_CALLBACK || number == EVENT_NOTICE || number == EVENT_OUTCOME;
	return is_known ? (enum event_kind)number : EVENT_MALFORMED;
}

/* The row that the statement stands on, if its digests are right. */
static int restore(sqlite3_stmt *statement, struct buffer *scratch, uint64_t sequence, struct event **ret_event)
{
	const struct event_record record = {
		.kind = kind_of(sqlite3_column_int64(statement, COLUMN_KIND)),
		.received_ms = sqlite3_column_int64(statement, COLUMN_RECEIVED_MS),
		.source = sqlite_column(statement, COLUMN_SOURCE),
		.event_id = sqlite_column(statement, COLUMN_EVENT_ID),
		.body = sqlite_column(statement, COLUMN_BODY),
		.malformed = sqlite_column(statement, COLUMN_MALFORMED),
		.traceparent = sqlite_column(statement, COLUMN_TRACEPARENT),
		.interactions = sqlite_column(statement, COLUMN_INTERACTIONS),
		.tags = sqlite_column(statement, COLUMN_TAGS),
	};
	struct span body_digest = sqlite_column(statement, COLUMN_BODY_DIGEST);
	struct span record_digest = sqlite_column(statement, COLUMN_RECORD_DIGEST);
	CLEANUP(event_unref) struct event *event = NULL;
	uint8_t digest[RECORD_DIGEST_BYTES];
	if (body_digest.n != DIGEST_BYTES || record_digest.n != RECORD_DIGEST_BYTES)
		return -EBADMSG;
	int r = digest_record(scratch, &record, (const uint8_t *)body_digest.data, sequence, digest);
	if (r == 0 && !span_equal(record_digest, span_of(digest, sizeof digest)))
		return -EBADMSG;
	if (r == 0)
		r = event_restore(&record, &event);
	if (r < 0)
		return r;
	if (!span_equal(body_digest, span_of(event->body_digest, DIGEST_BYTES)))
		return -EBADMSG;
	*ret_event = STEAL(event);
	return 0;
}

int record_select(sqlite3_stmt *statement, struct buffer *scratch, uint64_t sequence, struct event **ret_event)
{
	int r = sqlite_bind_number(statement, 1, (int64_t)sequence);
	if (r < 0)
		return r;
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		r = restore(statement, scratch, sequence, ret_event);
	else if (code == SQLITE_DONE)
		r = -ENOENT;
	else
		r = sqlite_errno(sqlite3_db_handle(statement), code);
	(void)sqlite3_reset(statement);
	return r == -EUCLEAN ? -EBADMSG : r; /* a page that SQLite cannot make sense of costs its records */
}
