/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading by filter against a model that knows what was appended: through the tail, through written segments of the
 * index, through damaged ones, and after retention. A seeded generator makes the runs repeatable.
 */
#include "store_unit.h"
#include "wire/outcome.h"

#define N_TYPES 7
#define N_USERS 23
/* Two whole segments of the index, and some events behind them in the tail. */
#define N_EVENTS (2 * 16384 + 900)

/* What was appended as sequence `s`: its id is the sequence in words. */
static const char *type_of(uint64_t s)
{
	static const char *const types[N_TYPES] = {
		"change", "conferencing_assigned", "conferencing_failing", "verification", "unknown", "smart_invite", "rare"
	};
	uint64_t i = (s * 2654435761u >> 7) % 101;
	return types[i == 0 ? 6 : i % 6];
}

static size_t user_of(uint64_t s)
{
	return (size_t)((s * 40503u >> 5) % N_USERS);
}

static struct event *outcome_of(struct event *event)
{
	struct event *outcome = NULL;
	const struct outcome what = { .sequence = 1, .at_ms = event->received_ms, .state = SPAN("done") };
	CU_ASSERT_EQUAL_FATAL(outcome_create(event, &what, &outcome), 0);
	event_unref(event);
	return outcome;
}

/* Each ninth is an outcome. */
static struct event *event_of(uint64_t s, int64_t received_ms)
{
	char id[24], user[24];
	(void)snprintf(id, sizeof id, "e%llu", (unsigned long long)s);
	(void)snprintf(user, sizeof user, "u%zu", user_of(s));
	struct event *event = make_event(id, type_of(s), user, received_ms);
	return s % 9 ? event : outcome_of(event);
}

/* first..last, in as few batches as it takes. */
static void append_range(struct bench *bench, uint64_t first, uint64_t last)
{
	size_t n = (size_t)(last - first + 1);
	struct entry *entries = calloc(n, sizeof *entries);
	CU_ASSERT_PTR_NOT_NULL_FATAL(entries);
	for (size_t i = 0; i < n; i++)
		entry_init(&entries[i], event_of(first + i, clock_wall_ms()), 0);
	CU_ASSERT_EQUAL_FATAL(append_all(bench, entries, n), 0);
	for (size_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL_FATAL(entries[i].sequence, first + i);
		event_unref(entries[i].append.event);
	}
	free(entries);
}

struct question {
	const char *event_id, *type, *user; /* NULL: not asked for */
	bool has_outcomes;
};

static struct filter filter_of(const struct question *question)
{
	struct filter filter;
	const char *reason = NULL;
	int r = 0;
	filter_init(&filter);
	if (question->event_id)
		r = filter_add(&filter, FILTER_EVENT_IDS, span_text(question->event_id), &reason);
	if (r == 0 && question->type)
		r = filter_add(&filter, FILTER_INTERACTIONS, span_text(question->type), &reason);
	if (r == 0 && question->user)
		r = filter_add_tag(&filter, SPAN("user"), span_text(question->user), &reason);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	filter.has_outcomes = question->has_outcomes;
	return filter;
}

/* The events again, made once: there are many questions. */
static struct event *appended[N_EVENTS + 1];

static bool model_matches(const struct filter *filter, uint64_t s)
{
	if (!appended[s]) {
		appended[s] = event_of(s, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(appended[s]);
	}
	return filter_matches(filter, appended[s]);
}

static void forget_model(void)
{
	for (size_t s = 0; s <= N_EVENTS; s++) {
		event_unref(appended[s]);
		appended[s] = NULL;
	}
}

/* Page after page, as a subscriber that resumes would, against the model. */
static void check_forward(struct bench *bench, const struct question *question, uint64_t after, size_t page_events)
{
	CLEANUP(filter_finish) struct filter filter = filter_of(question);
	uint64_t head = store_head(bench->store), at = after, s = after + 1;
	for (int n_pages = 0; at < head; n_pages++) {
		CLEANUP(answer_finish) struct answer answer;
		struct store_read read = { .after = at, .filters = &filter, .n_filters = 1, .max_events = page_events };
		ask(bench, read, &answer);
		CU_ASSERT_EQUAL_FATAL(answer.error, 0);
		CU_ASSERT_EQUAL_FATAL(answer.n_damaged, 0);
		CU_ASSERT_FATAL(answer.scanned > at && answer.scanned <= head && n_pages < N_EVENTS);
		size_t n = 0;
		for (; s <= answer.scanned; s++)
			if (model_matches(&filter, s)) {
				CU_ASSERT_FATAL(n < answer.n);
				CU_ASSERT_EQUAL_FATAL(answer.sequences[n], s);
				n++;
			}
		CU_ASSERT_EQUAL_FATAL(n, answer.n);
		at = answer.scanned;
	}
}

static void check_newest(struct bench *bench, const struct question *question, size_t max)
{
	CLEANUP(filter_finish) struct filter filter = filter_of(question);
	CLEANUP(answer_finish) struct answer answer;
	struct store_read read = { .direction = STORE_NEWEST, .filters = &filter, .n_filters = 1, .max_events = max };
	ask(bench, read, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.error, 0);
	size_t n = answer.n;
	for (uint64_t s = store_head(bench->store); s > 0 && (n > 0 || answer.n < max); s--) {
		if (!model_matches(&filter, s))
			continue;
		CU_ASSERT_FATAL(n > 0);
		CU_ASSERT_EQUAL_FATAL(answer.sequences[--n], s);
	}
	CU_ASSERT_EQUAL_FATAL(n, 0);
}

static const struct question questions[] = {
	{ .event_id = "e1" },
	{ .event_id = "e16383" },
	{ .event_id = "e16384" },
	{ .event_id = "e33000" },
	{ .user = "u5" },
	{ .user = "nobody" },
	{ .type = "rare" },
	{ .type = "conferencing_failing", .user = "u7" },
	{ .type = "rare*" },
	{ .event_id = "e16380" },
	{ .event_id = "e16380", .has_outcomes = true },
	{ .event_id = "e33003", .has_outcomes = true },
	{ .user = "u5", .has_outcomes = true },
	{ .type = "conferencing_failing", .user = "u7", .has_outcomes = true },
	{ .type = "rare", .has_outcomes = true },
	{ .type = "rare*", .has_outcomes = true },
};

static void ask_everything(struct bench *bench, uint64_t after)
{
	for (size_t i = 0; i < ARRAY_LENGTH(questions); i++) {
		check_forward(bench, &questions[i], after, 37);
		check_newest(bench, &questions[i], 3);
	}
}

static bool has_segments(struct bench *bench, int n)
{
	char sql[128];
	(void)snprintf(sql, sizeof sql, "SELECT 1 / (count(*) >= %d) FROM index_parts", n * 64);
	sqlite3 *db = NULL;
	sqlite3_stmt *statement = NULL;
	bool is_so = sqlite3_open_v2(bench->path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
				 sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
				 sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1;
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	return is_so;
}

static void test_filters_through_tail_and_segments(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	open_store(&bench);
	append_range(&bench, 1, 5000); /* all in the tail */
	ask_everything(&bench, 0);
	append_range(&bench, 5001, N_EVENTS);
	CU_ASSERT_TRUE(WAIT_UNTIL(has_segments(&bench, 2)));
	ask_everything(&bench, 0);
	ask_everything(&bench, 16383);
	reopen_store(&bench); /* the tail is filled again */
	ask_everything(&bench, 32700);
	forget_model();
}

static void test_a_damaged_index_answers_right_and_is_mended(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	open_store(&bench);
	append_range(&bench, 1, 16384 + 10);
	CU_ASSERT_TRUE(WAIT_UNTIL(has_segments(&bench, 1)));
	CU_ASSERT_EQUAL(meddle(bench.path, "UPDATE index_parts SET entries = zeroblob(20)"), SQLITE_OK);
	ask_everything(&bench, 0);
	CU_ASSERT_EQUAL(meddle(bench.path, "DELETE FROM index_parts WHERE part % 2"), SQLITE_OK);
	ask_everything(&bench, 0);
	append_range(&bench, 16384 + 11, 16384 + 12); /* the writer does not get up for the index alone */
	CU_ASSERT_TRUE(WAIT_UNTIL(has_segments(&bench, 1)));
	ask_everything(&bench, 0);
	forget_model();
}

struct page {
	size_t n, n_damaged;
	uint64_t scanned, damaged_first, damaged_last;
};

static void expect_page(struct bench *bench, enum store_direction direction, uint64_t after, struct page expected)
{
	CLEANUP(answer_finish) struct answer answer;
	ask(bench, (struct store_read){ .direction = direction, .after = after }, &answer);
	CU_ASSERT_EQUAL(answer.n, expected.n);
	CU_ASSERT_EQUAL(answer.scanned, expected.scanned);
	CU_ASSERT_EQUAL(answer.n_damaged, expected.n_damaged);
	CU_ASSERT_EQUAL(answer.damaged_first, expected.damaged_first);
	CU_ASSERT_EQUAL(answer.damaged_last, expected.damaged_last);
}

/* In a page of their own when reading forward, so that what is lost can be told in its place. */
static void test_changed_columns_are_left_out_and_counted(void)
{
	static const char *const changes[] = {
		"UPDATE events SET body = cast('{}' AS BLOB) WHERE sequence = 2",
		"UPDATE events SET tags = '{\"user\":\"u1\"}' WHERE sequence = 3",
		"UPDATE events SET received_ms = received_ms + 1 WHERE sequence = 4",
		"UPDATE events SET kind = 1 WHERE sequence = 5",
		"DELETE FROM events WHERE sequence = 6",
	};
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	open_store(&bench);
	append_range(&bench, 1, 10);
	for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
		CU_ASSERT_EQUAL(meddle(bench.path, changes[i]), SQLITE_OK);
		expect_page(&bench, STORE_FORWARD, 0, (struct page){ .n = 1, .scanned = 1 });
		expect_page(&bench, STORE_FORWARD, 1,
					(struct page){ .scanned = i + 2, .n_damaged = i + 1, .damaged_first = 2, .damaged_last = i + 2 });
		expect_page(&bench, STORE_FORWARD, i + 2, (struct page){ .n = 8 - i, .scanned = 10 });
		expect_page(
			&bench, STORE_NEWEST, 0,
			(struct page){ .n = 9 - i, .scanned = 10, .n_damaged = i + 1, .damaged_first = 2, .damaged_last = i + 2 });
	}
}

static void test_malformed_events_are_kept_and_not_returned(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	struct event *event = NULL;
	const struct event model = {
		.kind = EVENT_MALFORMED,
		.received_ms = clock_wall_ms(),
		.source = SPAN("cronofy"),
		.body = SPAN("{"),
		.malformed = SPAN("premature_end"),
	};
	bench_init(&bench);
	open_store(&bench);
	append_range(&bench, 1, 1);
	CU_ASSERT_EQUAL_FATAL(event_create(&model, &event), 0);
	CU_ASSERT_EQUAL(append_event(&bench, event, 0).status, COMMIT_STORED);
	append_range(&bench, 3, 3);
	ask(&bench, (struct store_read){ 0 }, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.n, 2);
	CU_ASSERT_EQUAL(answer.sequences[1], 3);
	CU_ASSERT_EQUAL(answer.n_damaged, 0);
	CU_ASSERT_EQUAL(status_of(&bench).n_malformed, 1);
}

static void test_retention_by_age(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_TRUE(append_many(&bench, 1, 600, clock_wall_ms() - 3600 * MS_PER_S));
	CU_ASSERT_TRUE(append_many(&bench, 601, 5, clock_wall_ms()));
	close_store(&bench);
	bench.options.limits.retention_age_ms = 60 * MS_PER_S;
	open_store(&bench);
	CU_ASSERT_TRUE(WAIT_UNTIL(status_of(&bench).oldest == 601));
	ask(&bench, (struct store_read){ .after = 3 }, &answer);
	CU_ASSERT_EQUAL(answer.n, 5);
	CU_ASSERT_EQUAL(answer.oldest, 601);
	CU_ASSERT_EQUAL(answer.n_damaged, 0);
}

static void test_retention_by_size_and_positions_go_on(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_TRUE(append_many(&bench, 1, 3000, clock_wall_ms()));
	close_store(&bench);
	bench.options.limits.retention_bytes = 1; /* nothing may stay */
	open_store(&bench);
	CU_ASSERT_TRUE(WAIT_UNTIL(status_of(&bench).oldest == 3001));
	CU_ASSERT_EQUAL(status_of(&bench).head, 3000);
	bench.options.limits.retention_bytes = 0;
	reopen_store(&bench);
	CU_ASSERT_EQUAL(append_id(&bench, "next").sequence, 3001);
}

UNIT_MAIN({ "filters, through the tail and through segments", test_filters_through_tail_and_segments },
		  { "a damaged index answers right and is mended", test_a_damaged_index_answers_right_and_is_mended },
		  { "changed columns are left out and counted", test_changed_columns_are_left_out_and_counted },
		  { "malformed events are kept and not returned", test_malformed_events_are_kept_and_not_returned },
		  { "retention by age", test_retention_by_age },
		  { "retention by size, and positions go on", test_retention_by_size_and_positions_go_on })
