/* SPDX-License-Identifier: Apache-2.0 */
#include "store/check.h"

#include "base/buffer.h"
#include "store/segment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Neighbours of which the same is to be said. */
struct range {
	uint64_t first, last; /* 0: nothing yet */
};

struct work {
	struct inspection *inspection;
	struct check *check;
	struct candidates known;         /* the events of one segment that are there and intact */
	struct segment_entries gathered; /* theirs */
	struct range damaged;
};

__attribute__((format(printf, 2, 3))) static int find(struct check *check, const char *format, ...)
{
	CLEANUP(free) char *sentence = NULL;
	va_list arguments;
	va_start(arguments, format);
	int n = vasprintf(&sentence, format, arguments);
	va_end(arguments);
	if (n < 0) {
		sentence = NULL;
		return -ENOMEM;
	}
	check->n_findings++;
	check->on_finding(check->context, sentence);
	return 0;
}

/* "k3x9t2ma-12", or "k3x9t2ma-12 to k3x9t2ma-20" */
struct range_text {
	char text[2 * POSITION_TEXT_SIZE + 4];
};

static struct range_text name_range(const struct inspection *inspection, uint64_t first, uint64_t last)
{
	struct range_text name;
	const char *epoch = inspection->state.epoch;
	int n = snprintf(name.text, sizeof name.text, "%s-%llu", epoch, (unsigned long long)first);
	if (last != first && n > 0)
		(void)snprintf(name.text + n, sizeof name.text - (size_t)n, " to %s-%llu", epoch, (unsigned long long)last);
	return name;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static int tell_damaged(struct work *work)
{
	struct range range = work->damaged;
	work->damaged = (struct range){ 0 };
	if (!range.first)
		return 0;
	return find(
		work->check,
		"%s: damaged. Subscribers are told a gap in its place, and what is owed for it becomes dead. It can only "
		"come from a backup, or from the provider",
		name_range(work->inspection, range.first, range.last).text);
}

static int note_damaged(struct work *work, uint64_t sequence)
{
	bool is_next = work->damaged.first && work->damaged.last + 1 == sequence;
	int r = is_next ? 0 : tell_damaged(work);
	if (!is_next)
		work->damaged.first = sequence;
	work->damaged.last = sequence;
	return r;
}

/* Unless retention has just been there. */
static int tell_missing(struct work *work, uint64_t first, uint64_t last)
{
	struct inspection *inspection = work->inspection;
	struct journal_state now;
	int r = state_read(inspection->db, &now);
	if (r < 0 || now.purged >= last)
		return r;
	first = now.purged >= first ? now.purged + 1 : first;
	return find(work->check,
				"%s: missing. Subscribers are told a gap in its place. It can only come from a backup, or from the "
				"provider",
				name_range(inspection, first, last).text);
}

/* Segments that are not complete are not written yet, and the newest complete one may just not have been. */
static int check_segment(struct work *work)
{
	struct inspection *inspection = work->inspection;
	uint64_t segment = work->known.segment, first = segment_first(segment), end = segment_first(segment + 1);
	if (end > inspection->head || segment < segment_of(inspection->oldest))
		return 0;
	int r =
		segment_check(inspection->part, &inspection->scratch, &work->known, work->gathered.entries, work->gathered.n);
	bool is_newest = segment_first(segment + 2) > inspection->head;
	if (r == 0 || (r == -ENOENT && is_newest))
		return 0;
	if (r != -ENOENT && r != -ENODATA)
		return r;
	return find(
		work->check,
		"%s: their index is %s. Nothing is lost: they are found more slowly, and the gateway writes it anew when "
		"somebody looks for one of them",
		name_range(inspection, first ? first : 1, end - 1).text, r == -ENOENT ? "missing" : "wrong");
}

static int enter_segment(struct work *work, uint64_t segment)
{
	if (work->known.segment == segment)
		return 0;
	int r = check_segment(work);
	work->known = (struct candidates){ .segment = segment };
	work->gathered.n = 0;
	return r;
}

static int check_event(struct work *work, uint64_t sequence)
{
	CLEANUP(event_unref) struct event *event = NULL;
	int r = inspection_event(work->inspection, sequence, &event);
	if (r == -EBADMSG)
		return note_damaged(work, sequence);
	if (r < 0)
		return r == -ENOENT ? 0 : r; /* purged meanwhile */
	work->check->n_events++;
	candidates_add(&work->known, sequence);
	return segment_gather(&work->gathered, event, sequence);
}

/* What lies below the oldest is there for a handler alone, and may have holes. */
static int check_events(struct work *work)
{
	struct inspection *inspection = work->inspection;
	uint64_t sequence = 0, expected = inspection->oldest;
	int r;
	while ((r = inspection_next(inspection, sequence, &sequence)) == 0 && sequence <= inspection->head) {
		if (sequence > expected)
			r = tell_missing(work, expected, sequence - 1);
		if (r == 0)
			r = enter_segment(work, segment_of(sequence));
		if (r == 0)
			r = check_event(work, sequence);
		if (r < 0)
			return r;
		expected = sequence >= expected ? sequence + 1 : expected;
	}
	if (r == 0 || r == -ENODATA)
		r = expected <= inspection->head ? tell_missing(work, expected, inspection->head) : 0;
	if (r == 0)
		r = check_segment(work);
	return r < 0 ? r : tell_damaged(work);
}

/* --- deliveries --------------------------------------------------------------------------------------------------- */

/* The event of the deliveries at hand. */
struct owing {
	struct work *work;
	const struct event *event; /* NULL if it is missing or damaged */
};

static int count_attempt(void *context, const struct attempt *attempt)
{
	(void)attempt;
	((struct check *)context)->n_attempts++;
	return 0;
}

static int check_delivery(void *context, const struct delivery *delivery, bool is_damaged)
{
	const struct owing *owing = context;
	const struct event *event = owing->event;
	struct check *check = owing->work->check;
	struct range_text name = name_range(owing->work->inspection, delivery->sequence, delivery->sequence);
	bool is_open = delivery->state == DELIVERY_DUE || delivery->state == DELIVERY_CLAIMED;
	/* a malformed event has no interactions, and is owed as a whole */
	bool has_interaction = event && (uint64_t)delivery->interaction < event->n_interactions + !event->n_interactions;
	check->n_deliveries++;
	if (is_damaged)
		return find(
			check,
			"%s: its delivery to %.*s (interaction %lld) is damaged. Nothing is to be done: the gateway takes it as "
			"owed, so it may be handled twice",
			name.text, SPAN_PRINTF(delivery->handler), (long long)delivery->interaction);
	if (is_open && !has_interaction)
		return find(
			check,
			"%s: owed to %.*s (interaction %lld), which the event does not have any more. It becomes dead when its "
			"turn comes: belfry deliveries --state dead",
			name.text, SPAN_PRINTF(delivery->handler), (long long)delivery->interaction);
	return 0;
}

static int count_attempts(void *context, const struct delivery *delivery, bool is_damaged)
{
	const struct owing *owing = context;
	int r = check_delivery(context, delivery, is_damaged);
	return r < 0 ? r : inspection_attempts(owing->work->inspection, delivery, count_attempt, owing->work->check);
}

static int check_deliveries_of(struct work *work, uint64_t sequence)
{
	CLEANUP(event_unref) struct event *event = NULL;
	int r = inspection_event(work->inspection, sequence, &event);
	if (r < 0 && r != -ENOENT && r != -EBADMSG)
		return r;
	return inspection_deliveries(work->inspection, sequence, count_attempts, &(struct owing){ work, event });
}

static int check_deliveries(struct work *work)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *next = NULL;
	int64_t sequence = INT64_MIN;
	int r = sqlite_prepare(work->inspection->db, "SELECT min(sequence) FROM deliveries WHERE sequence > ?", &next);
	while (r == 0 && (r = sqlite_bind_number(next, 1, sequence)) == 0 && (r = sqlite_step_number(next, &sequence)) == 0)
		r = check_deliveries_of(work, (uint64_t)sequence);
	return r == -ENODATA ? 0 : r;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int check_state(struct work *work)
{
	if (!work->inspection->has_strangers)
		return 0;
	return find(work->check,
				"there are records behind the newest event, where none belongs. The gateway removes them when it "
				"starts, and gives its positions a new epoch");
}

static int check_file(struct work *work)
{
	CLEANUP(sqlite_finalize) sqlite3_stmt *statement = NULL;
	const char *path = work->inspection->file.path;
	int code = SQLITE_DONE, r = sqlite_prepare(work->inspection->db, "PRAGMA integrity_check(20)", &statement);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct span line = sqlite_column(statement, 0);
		if (!span_equal(line, SPAN("ok")))
			r = find(
				work->check,
				"SQLite: %.*s. Put a backup in its place, or save what can be read: sqlite3 %s .recover | sqlite3 NEW",
				SPAN_PRINTF(line), path);
	}
	return r < 0 ? r : sqlite_errno(work->inspection->db, code);
}

int check_run(struct inspection *inspection, struct check *check)
{
	static int (*const steps[])(struct work * work) = { check_state, check_events, check_deliveries, check_file };
	struct work work = { .inspection = inspection, .check = check };
	bool has_bad_page = false;
	int r = 0;
	check->n_events = check->n_deliveries = check->n_attempts = check->n_findings = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(steps); i++) {
		r = steps[i](&work);
		has_bad_page |= r == -EUCLEAN;
		r = r == -EUCLEAN ? 0 : r; /* the next step may get further */
	}
	free(work.gathered.entries);
	if (r == 0 && has_bad_page && check->n_findings == 0)
		r = find(check, "SQLite cannot read a part of %s. Put a backup in its place", inspection->file.path);
	return r;
}
