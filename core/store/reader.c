/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reader.h"

#include "base/log.h"
#include "store/delivery.h"

#include <errno.h>

/* Events looked at in one transaction; a forward page ends there. */
#define ROWS_A_STEP 4096
/* Segments looked up in one transaction, likewise. */
#define SEGMENTS_A_STEP 32
/* The newest are searched for no further back than this, if there is nothing to look up. */
#define NEWEST_MAX_ROWS 262144

/* Of one delivery, where all are asked for. */
#define MAX_ATTEMPTS 1000

/* By sequence, newest first; of one sequence in order of handler and interaction. ?3: states as bits. */
#define DELIVERIES_SELECT                                                                                           \
	DELIVERY_SELECT "WHERE sequence < ?1 AND sequence >= ?2 AND ((1 << state) & ?3) AND (?4 = '' OR handler = ?4) " \
					"ORDER BY sequence DESC, handler, interaction"

struct reader {
	struct journal *journal;
	sqlite3 *db;
	sqlite3_stmt *row, *segment, *deliveries, *attempt, *owed, *state;
	struct buffer scratch;
	struct candidates candidates;
	bool has_candidates;
};

int reader_create(struct journal *journal, struct reader **ret_reader)
{
	CLEANUP(reader_destroy) struct reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return -ENOMEM;
	reader->journal = journal;
	int r = sqlite_open(journal->file.path, SQLITE_OPEN_READONLY, &reader->db);
	if (r == 0)
		r = sqlite_run(reader->db, "PRAGMA query_only = TRUE; PRAGMA cache_size = -2048");
	if (r == 0)
		r = sqlite_prepare(reader->db, RECORD_SELECT, &reader->row);
	if (r == 0)
		r = sqlite_prepare(reader->db, SEGMENT_SELECT, &reader->segment);
	if (r == 0)
		r = sqlite_prepare(reader->db, DELIVERIES_SELECT, &reader->deliveries);
	if (r == 0)
		r = sqlite_prepare(reader->db, ATTEMPT_SELECT "DESC LIMIT ?", &reader->attempt);
	if (r == 0)
		r = sqlite_prepare(reader->db,
						   "SELECT handler FROM deliveries INDEXED BY deliveries_open WHERE state < 2 AND handler > ? "
						   "ORDER BY handler LIMIT 1",
						   &reader->owed);
	if (r == 0)
		r = sqlite_prepare(reader->db, "SELECT value FROM handler_state WHERE handler = ? AND key = ?", &reader->state);
	if (r < 0)
		return r;
	*ret_reader = STEAL(reader);
	return 0;
}

void reader_destroy(struct reader *reader)
{
	if (!reader)
		return;
	sqlite_finalize(reader->row);
	sqlite_finalize(reader->segment);
	sqlite_finalize(reader->deliveries);
	sqlite_finalize(reader->attempt);
	sqlite_finalize(reader->owed);
	sqlite_finalize(reader->state);
	sqlite_close(reader->db);
	buffer_finish(&reader->scratch);
	free(reader);
}

/* One page in the making. */
struct scan {
	struct reader *reader;
	const struct store_read *read;
	struct terms terms;
	bool is_backward;
	uint64_t first, last;      /* of the range, both included */
	uint64_t at;               /* the next to be looked at; outside of the range at the end */
	size_t n_rows, n_segments; /* in this step */
	struct event **events;
	uint64_t *sequences;
	size_t n, n_bytes;
	size_t n_damaged;
	uint64_t damaged_first, damaged_last;
	bool is_over; /* before what is at `at`: it begins another page */
};

static bool is_at_end(const struct scan *scan)
{
	return scan->at < scan->first || scan->at > scan->last;
}

static void move_on(struct scan *scan)
{
	scan->at += scan->is_backward ? UINT64_MAX : 1; /* may wrap below 0, which is beyond `last` */
}

/* The events of the segment that may match; all of them if the index cannot say. */
static int load_candidates(struct scan *scan, uint64_t segment)
{
	struct reader *reader = scan->reader;
	reader->candidates = (struct candidates){ .segment = segment };
	reader->has_candidates = true;
	scan->n_segments++;
	if (tail_find(reader->journal->tail, &scan->terms, &reader->candidates))
		return 0;
	int r = segment_find(reader->segment, &reader->scratch, &scan->terms, &reader->candidates);
	if (r != -ENODATA)
		return r;
	atomic_store(&reader->journal->damaged_segment, segment + 1);
	memset(reader->candidates.bits, 0xff, sizeof reader->candidates.bits);
	return 0;
}

/* To the next one that may match. 0, also at the end and where the step is over; or -errno. */
static int find_candidate(struct scan *scan)
{
	struct reader *reader = scan->reader;
	while (!scan->terms.is_everything && !is_at_end(scan)) {
		uint64_t segment = segment_of(scan->at);
		if (!reader->has_candidates || reader->candidates.segment != segment) {
			if (scan->n_segments == SEGMENTS_A_STEP)
				return 0;
			int r = load_candidates(scan, segment);
			if (r < 0)
				return r;
		}
		if (candidates_has(&reader->candidates, scan->at))
			return 0;
		move_on(scan);
	}
	return 0;
}

static bool is_wanted(const struct store_read *read, const struct event *event)
{
	int kinds = read->kinds ? read->kinds : STORE_PUSHED_KINDS;
	if (!(kinds >> event->kind & 1))
		return false;
	for (size_t i = 0; i < read->n_filters; i++)
		if (filter_matches(&read->filters[i], event))
			return true;
	return read->n_filters == 0;
}

static void note_damage(struct scan *scan, uint64_t sequence)
{
	if (!scan->n_damaged || sequence < scan->damaged_first)
		scan->damaged_first = sequence;
	if (!scan->n_damaged || sequence > scan->damaged_last)
		scan->damaged_last = sequence;
	scan->n_damaged++;
	(void)atomic_fetch_add(&scan->reader->journal->n_damaged, 1);
	log_error_limited("a damaged event is left out", LOG_NUMBER("sequence", sequence));
}

static int look_at(struct scan *scan, uint64_t sequence)
{
	CLEANUP(event_unref) struct event *event = NULL;
	int r = record_select(scan->reader->row, &scan->reader->scratch, sequence, &event);
	/* sequences have no holes but where retention has been */
	bool is_damaged = r == -EBADMSG || (r == -ENOENT && sequence >= atomic_load(&scan->reader->journal->oldest));
	bool is_found = r == 0 && is_wanted(scan->read, event);
	scan->n_rows++;
	scan->is_over = !scan->is_backward && ((is_damaged && scan->n) || (is_found && scan->n_damaged));
	if (scan->is_over)
		return 0;
	if (is_damaged)
		note_damage(scan, sequence);
	if (is_found) {
		scan->n_bytes += event->body.n;
		scan->sequences[scan->n] = sequence;
		scan->events[scan->n++] = STEAL(event);
	}
	return r == -EBADMSG || r == -ENOENT ? 0 : r;
}

static bool is_full(const struct scan *scan)
{
	return scan->n == scan->read->max_events || (scan->n > 0 && scan->n_bytes >= scan->read->max_bytes);
}

/* One short transaction. */
static int scan_step(struct scan *scan)
{
	int r = sqlite_run(scan->reader->db, "BEGIN");
	if (r < 0)
		return r;
	scan->n_rows = scan->n_segments = 0;
	while (r == 0 && !is_at_end(scan) && !is_full(scan) && scan->n_rows < ROWS_A_STEP) {
		r = find_candidate(scan);
		if (r < 0 || is_at_end(scan) || scan->n_segments == SEGMENTS_A_STEP)
			break;
		r = look_at(scan, scan->at);
		if (scan->is_over)
			break;
		move_on(scan);
	}
	scan->reader->has_candidates = false; /* the tail may have changed by the next step */
	int ended = sqlite_run(scan->reader->db, "COMMIT");
	return r < 0 ? r : ended;
}

static int scan_all(struct scan *scan)
{
	size_t n_rows = 0, max_rows = scan->read->max_rows ? scan->read->max_rows : NEWEST_MAX_ROWS;
	int r;
	do {
		r = scan_step(scan);
		n_rows += scan->n_rows;
	} while (r == 0 && scan->is_backward && !is_at_end(scan) && !is_full(scan) &&
			 (!scan->terms.is_everything || n_rows < max_rows));
	return r;
}

/* They were found from the newest backwards. */
static void reverse(struct scan *scan)
{
	for (size_t i = 0; i < scan->n / 2; i++) {
		size_t k = scan->n - 1 - i;
		struct event *event = scan->events[i];
		uint64_t sequence = scan->sequences[i];
		scan->events[i] = scan->events[k];
		scan->sequences[i] = scan->sequences[k];
		scan->events[k] = event;
		scan->sequences[k] = sequence;
	}
}

/* Everything from here on has been looked at. */
static uint64_t reached(const struct scan *scan)
{
	return !scan->is_backward || is_at_end(scan) ? scan->first : scan->at + 1;
}

/* Everything up to here has been looked at. */
static uint64_t scanned(const struct scan *scan)
{
	if (scan->is_backward || is_at_end(scan))
		return scan->last;
	return scan->at - 1;
}

static int make_page(struct reader *reader, const struct store_read *read, struct scan *scan)
{
	uint64_t oldest = atomic_load(&reader->journal->oldest), head = atomic_load(&reader->journal->head);
	*scan = (struct scan){
		.reader = reader,
		.read = read,
		.is_backward = read->direction == STORE_NEWEST,
		.first = read->after + 1 > oldest || read->has_kept ? read->after + 1 : oldest,
		.last = read->until < head ? read->until : head,
		.events = calloc(read->max_events, sizeof(struct event *)),
		.sequences = calloc(read->max_events, sizeof(uint64_t)),
	};
	if (!scan->events || !scan->sequences)
		return -ENOMEM;
	scan->at = scan->is_backward ? scan->last : scan->first;
	terms_of_filters(read->filters, read->n_filters, &scan->terms);
	if (read->kinds & ~STORE_PUSHED_KINDS)
		scan->terms.is_everything = true; /* the others have no terms */
	int r = scan_all(scan);
	if (scan->is_backward)
		reverse(scan);
	return r;
}

static void answer_events(struct reader *reader, struct store_read *read)
{
	struct scan scan;
	int r = make_page(reader, read, &scan);
	struct store_page page = {
		.events = scan.events,
		.sequences = scan.sequences,
		.n = r < 0 ? 0 : scan.n,
		.scanned = r < 0 ? read->after : scanned(&scan),
		.reached = r < 0 ? read->until + 1 : reached(&scan),
		.oldest = atomic_load(&reader->journal->oldest), /* after the scan: what was purged meanwhile is a gap */
		.n_damaged = scan.n_damaged,
		.damaged_first = scan.damaged_first,
		.damaged_last = scan.damaged_last,
		.error = r,
	};
	read->on_page(read, &page); /* `read` may be gone now */
	for (size_t i = 0; i < scan.n; i++)
		event_unref(scan.events[i]);
	free(scan.events);
	free(scan.sequences);
}

/* --- deliveries --------------------------------------------------------------------------------------------------- */

/* A row in memory of its own. */
struct listed {
	struct delivery_row row;  /* its handler in `handler` */
	struct attempt *attempts; /* their reasons in `reasons` */
	size_t n_attempts;
	struct event *event; /* a reference, or NULL */
	struct buffer handler, reasons;
};

struct listing {
	struct listed *rows;
	size_t n, max;
};

static void listed_finish(struct listed *listed)
{
	free(listed->attempts);
	buffer_finish(&listed->handler);
	buffer_finish(&listed->reasons);
	event_unref(listed->event);
}

static void listing_finish(struct listing *listing)
{
	for (size_t i = 0; i < listing->n; i++)
		listed_finish(&listing->rows[i]);
	free(listing->rows);
}

static struct listed *listing_add(struct listing *listing)
{
	if (listing->n == listing->max) {
		size_t max = listing->max ? listing->max * 2 : 64;
		struct listed *rows = realloc(listing->rows, max * sizeof *rows);
		if (!rows)
			return NULL;
		listing->rows = rows;
		listing->max = max;
	}
	listing->rows[listing->n] = (struct listed){ 0 };
	return &listing->rows[listing->n++];
}

/* The newest come first; its reason is the next in `reasons`. */
static int read_attempt(sqlite3_stmt *statement, struct listed *listed)
{
	struct attempt *grown = reallocarray(listed->attempts, listed->n_attempts + 1, sizeof *grown);
	const struct attempt attempt = attempt_read(statement);
	if (!grown)
		return -ENOMEM;
	listed->attempts = grown;
	listed->attempts[listed->n_attempts] = attempt;
	listed->attempts[listed->n_attempts++].reason.data = NULL; /* order_attempts() */
	buffer_add(&listed->reasons, attempt.reason);
	return listed->reasons.failed ? -ENOMEM : 0;
}

/* In order, each with its reason. */
static void order_attempts(struct listed *listed)
{
	struct span rest = buffer_span(&listed->reasons);
	for (size_t i = 0; i < listed->n_attempts; i++) {
		listed->attempts[i].reason.data = rest.data;
		rest = span_skip(rest, listed->attempts[i].reason.n);
	}
	for (size_t i = 0; i < listed->n_attempts / 2; i++) {
		struct attempt *first = &listed->attempts[i], *last = &listed->attempts[listed->n_attempts - 1 - i],
					   kept = *first;
		*first = *last;
		*last = kept;
	}
}

static int read_attempts(struct reader *reader, struct listed *listed, size_t max)
{
	sqlite3_stmt *statement = reader->attempt;
	int r = delivery_bind_key(statement, &listed->row.delivery), code = SQLITE_DONE;
	if (r == 0)
		r = sqlite_bind_number(statement, 4, (int64_t)max);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = read_attempt(statement, listed);
	if (r == 0)
		r = sqlite_errno(reader->db, code);
	(void)sqlite3_reset(statement);
	order_attempts(listed);
	return r;
}

/* The row that the statement stands on, and what belongs to it. */
static int list_row(struct reader *reader, const struct store_deliveries *question, struct listing *listing)
{
	struct delivery delivery;
	struct listed *listed = listing_add(listing);
	int r = listed ? delivery_read(reader->deliveries, &reader->scratch, &delivery) : -ENOMEM;
	if (r < 0)
		return r;
	buffer_add(&listed->handler, delivery.handler);
	delivery.handler = buffer_span(&listed->handler);
	listed->row = (struct delivery_row){ .delivery = delivery,
										 .is_damaged = r == DELIVERY_E_DAMAGED,
										 .has_all_attempts = question->wants_all_attempts };
	if (listed->handler.failed)
		return -ENOMEM;
	r = record_select(reader->row, &reader->scratch, delivery.sequence, &listed->event);
	if (r == 0 || r == -EBADMSG || r == -ENOENT)
		r = read_attempts(reader, listed, question->wants_all_attempts ? MAX_ATTEMPTS : 1);
	return r;
}

static int list(struct reader *reader, const struct store_deliveries *question, struct listing *listing)
{
	sqlite3_stmt *statement = reader->deliveries;
	const int64_t numbers[] = { question->only ? (int64_t)question->only + 1 : (int64_t)question->before,
								(int64_t)question->only, question->states ? question->states : ~0 };
	int code = SQLITE_DONE, r = sqlite_bind_text(statement, 4, question->handler);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(numbers); i++)
		r = sqlite_bind_number(statement, (int)i + 1, numbers[i]);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		uint64_t sequence = (uint64_t)sqlite3_column_int64(statement, 0);
		if (listing->n >= question->max && listing->rows[listing->n - 1].row.delivery.sequence != sequence)
			break;
		r = list_row(reader, question, listing);
	}
	if (r == 0)
		r = sqlite_errno(reader->db, code);
	(void)sqlite3_reset(statement);
	return r;
}

static void answer_deliveries(struct reader *reader, struct store_deliveries *question)
{
	struct listing listing = { 0 };
	int r = list(reader, question, &listing);
	CLEANUP(free) struct delivery_row *rows = calloc(listing.n + 1, sizeof *rows);
	if (r == 0 && !rows)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < listing.n; i++) {
		rows[i] = listing.rows[i].row;
		rows[i].event = listing.rows[i].event;
		rows[i].attempts = listing.rows[i].attempts;
		rows[i].n_attempts = listing.rows[i].n_attempts;
	}
	question->on_page(question, rows, r < 0 ? 0 : listing.n, r);
	listing_finish(&listing);
}

/* From one name to the next: a look-up for each handler, not a look at each delivery. */
static void answer_owed(struct reader *reader, struct store_owed *question)
{
	sqlite3_stmt *statement = reader->owed;
	CLEANUP(buffer_finish) struct buffer name = BUFFER_INIT;
	int code = SQLITE_ROW;
	while (code == SQLITE_ROW) {
		code = sqlite_bind_text(statement, 1, buffer_span(&name)) == 0 ? sqlite3_step(statement) : SQLITE_NOMEM;
		struct span found = code == SQLITE_ROW ? sqlite_column(statement, 0) : SPAN("");
		CLEANUP(buffer_finish) struct buffer next = BUFFER_INIT;
		buffer_add(&next, found);
		(void)sqlite3_reset(statement);
		if (next.failed || next.n == 0)
			break;
		question->on_handler(question, buffer_span(&next));
		buffer_finish(&name);
		name = next;
		next = BUFFER_INIT;
	}
	question->on_handler(question, SPAN(""));
}

static void answer_state(struct reader *reader, struct store_state *question)
{
	sqlite3_stmt *statement = reader->state;
	struct span value = SPAN("");
	int r = sqlite_bind_text(statement, 1, question->handler);
	if (r == 0)
		r = sqlite_bind_text(statement, 2, question->key);
	if (r == 0) {
		int code = sqlite3_step(statement);
		r = code == SQLITE_DONE ? -ENOENT : sqlite_errno(reader->db, code);
		if (code == SQLITE_ROW)
			value = sqlite_column(statement, 0);
	}
	question->on_value(question, value, r);
	(void)sqlite3_reset(statement);
}

void reader_answer(struct reader *reader, struct store_question *question)
{
	switch (question->kind) {
	case QUESTION_EVENTS:
		answer_events(reader, (struct store_read *)question);
		break;
	case QUESTION_DELIVERIES:
		answer_deliveries(reader, (struct store_deliveries *)question);
		break;
	case QUESTION_OWED:
		answer_owed(reader, (struct store_owed *)question);
		break;
	case QUESTION_STATE:
		answer_state(reader, (struct store_state *)question);
		break;
	}
}
