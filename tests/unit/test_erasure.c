/* SPDX-License-Identifier: Apache-2.0 */
/* Erasing: nothing of it is left in any byte of the journal's files, and nothing else has changed. */
#include "store/check.h"
#include "store/deliveries.h"
#include "store/erasure.h"
#include "store_unit.h"

/* What is looked for in the files' bytes: it stands in the body, in the event id and in the tag of what is erased. */
#define PERSON "Ada-Lovelace"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool has_ended; /* {lock} */

static void on_done(struct store_work *work)
{
	(void)work;
	(void)pthread_mutex_lock(&lock);
	has_ended = true;
	(void)pthread_cond_signal(&wake);
	(void)pthread_mutex_unlock(&lock);
}

static int submit(struct bench *bench, struct store_work *work)
{
	work->on_done = on_done;
	has_ended = false;
	CU_ASSERT_EQUAL_FATAL(store_submit(bench->store, work), 0);
	store_wake(bench->store);
	(void)pthread_mutex_lock(&lock);
	while (!has_ended)
		(void)pthread_cond_wait(&wake, &lock);
	(void)pthread_mutex_unlock(&lock);
	return work->error;
}

static void begin(struct bench *bench)
{
	bench_init(bench);
	open_store(bench);
}

static void filter_for(struct filter *filter, const char *user)
{
	const char *reason = NULL;
	filter_init(filter);
	filter->has_outcomes = true;
	CU_ASSERT_EQUAL_FATAL(filter_add_tag(filter, SPAN("user"), span_text(user), &reason), FILTER_OK);
}

/* An event about this user whose body has n bytes. */
static struct event *make_sized(enum event_kind kind, const char *user, size_t number, size_t n)
{
	struct event *event = NULL;
	char id[64];
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	(void)snprintf(id, sizeof id, "%s-%zu", user, number);
	while (body.n < n)
		buffer_add(&body, span_of(user, body.n + strlen(user) < n ? strlen(user) : n - body.n));
	const struct interaction interaction = { .type = SPAN("change") };
	const struct tag tag = { SPAN("user"), span_text(user) };
	const struct event model = { .kind = kind,
								 .received_ms = clock_wall_ms(),
								 .source = SPAN("cronofy"),
								 .event_id = span_text(id),
								 .body = buffer_span(&body),
								 .malformed = kind == EVENT_MALFORMED ? SPAN("no JSON") : SPAN(""),
								 .interactions = &interaction,
								 .n_interactions = kind != EVENT_MALFORMED,
								 .tags = &tag,
								 .n_tags = 1 };
	return event_create(&model, &event) == 0 ? event : NULL;
}

static bool has_person(const char *path)
{
	struct span bytes = read_all(path);
	CLEANUP(free) void *data = (void *)(uintptr_t)bytes.data;
	return bytes.n != SIZE_MAX && memmem(bytes.data, bytes.n, PERSON, strlen(PERSON));
}

static void note_finding(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "%s\n", sentence);
}

/* How many events the journal has, if nothing is wrong with it. */
static uint64_t check(const struct bench *bench)
{
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	CLEANUP(free) char *message = NULL;
	struct check check = { .on_finding = note_finding };
	CU_ASSERT_EQUAL_FATAL(inspection_open(bench->path, &inspection, &message), 0);
	CU_ASSERT_EQUAL(check_run(inspection, &check), 0);
	CU_ASSERT_EQUAL(check.n_findings, 0);
	return check.n_events;
}

/* The last step of a gateway that erases: then nothing is left in any file. */
static void scrub_to_nothing(struct bench *bench)
{
	struct store_scrub scrub = { .work.kind = WORK_SCRUB, .next_page = 1 };
	CU_ASSERT_EQUAL(submit(bench, &scrub.work), 0);
	CU_ASSERT_FALSE(has_person(bench->path));
	CU_ASSERT_FALSE(has_person(bench->wal_path));
}

static struct erasure_tally erase_file(const struct bench *bench, const char *user)
{
	CLEANUP(filter_finish) struct filter filter;
	CLEANUP(free) char *message = NULL;
	struct erasure_tally tally = { 0 };
	filter_for(&filter, user);
	CU_ASSERT_EQUAL(erasure_run_file(bench->path, &filter, &tally, &message), 0);
	return tally;
}

/* Every length at which a row may be stored in another way: in the page, in pages behind it, with a longer header.
 * Those of others stand between them, so that pages are shared. */
static void test_nothing_is_left_in_the_file(void)
{
	static const size_t lengths[] = { 0,    1,    12,   56,   57,   58,   59,   120,  1000, 3000, 3800,  3900,
									  4000, 4050, 4096, 5000, 8000, 8150, 8184, 8185, 8186, 8192, 70000, 200000 };
	static const enum event_kind kinds[] = { EVENT_CALLBACK, EVENT_MALFORMED, EVENT_NOTICE, EVENT_OUTCOME };
	CLEANUP(bench_finish) struct bench bench;
	size_t n = 0;
	begin(&bench);
	for (size_t i = 0; i < ARRAY_LENGTH(lengths) * ARRAY_LENGTH(kinds); i++) {
		size_t length = lengths[i / ARRAY_LENGTH(kinds)];
		enum event_kind kind = kinds[i % ARRAY_LENGTH(kinds)];
		CU_ASSERT_EQUAL(append_event(&bench, make_sized(kind, PERSON, n++, length), 0).status, COMMIT_STORED);
		CU_ASSERT_EQUAL(append_event(&bench, make_sized(kind, "Charles-Babbage", n++, length), 0).status,
						COMMIT_STORED);
	}
	close_store(&bench);
	CU_ASSERT_TRUE(has_person(bench.path));
	long long n_bytes = look_up(bench.path, "SELECT sum(pgsize) FROM dbstat WHERE name = 'events'");
	struct erasure_tally tally = erase_file(&bench, PERSON);
	CU_ASSERT_EQUAL(tally.n_events, n / 2);
	CU_ASSERT_FALSE(has_person(bench.path));
	CU_ASSERT_FALSE(has_person(bench.wal_path));
	CU_ASSERT_EQUAL(check(&bench), n);
	/* written over where they stood */
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT sum(pgsize) FROM dbstat WHERE name = 'events'"), n_bytes);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM events WHERE event_id LIKE 'Charles%'"),
					(long long)n / 2);
	tally = erase_file(&bench, PERSON);
	CU_ASSERT_EQUAL(tally.n_events, 0);
}

/* Rows that have been moved from page to page leave bytes behind. What retention does with events that are owed, a hand
 * does here: it takes some of the rows away, so that the others move together. */
static void test_nothing_is_left_between_rows(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	for (size_t i = 0; i < 1500; i++)
		CU_ASSERT_EQUAL(append_event(&bench, make_sized(EVENT_CALLBACK, PERSON, i, i * 37 % 1500), 0).status,
						COMMIT_STORED);
	close_store(&bench);
	for (size_t i = 0; i < 7; i++) {
		char sql[96];
		(void)snprintf(sql, sizeof sql, "DELETE FROM events WHERE sequence * 11 %% 23 BETWEEN %zu AND %zu", i * 3,
					   i * 3 + 1);
		CU_ASSERT_EQUAL(meddle(bench.path, sql), SQLITE_OK);
	}
	uint64_t n = (uint64_t)look_up(bench.path, "SELECT count(*) FROM events");
	CU_ASSERT_EQUAL(erase_file(&bench, PERSON).n_events, n);
	CU_ASSERT_FALSE(has_person(bench.path));
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
}

/* By the writer, beside everything else; what is in the write-ahead log goes, too. */
static void test_a_gateway_that_runs_erases(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(filter_finish) struct filter filter;
	CLEANUP(answer_finish) struct answer answer;
	begin(&bench);
	filter_for(&filter, PERSON);
	append_event(&bench, make_sized(EVENT_CALLBACK, PERSON, 1, 100), 0);
	append_event(&bench, make_sized(EVENT_CALLBACK, "other", 2, 100), 0);
	CU_ASSERT_TRUE(has_person(bench.wal_path));
	struct store_erasure erasure = { .work.kind = WORK_ERASE, .filter = &filter, .sequences = { 1, 2, 3 }, .n = 3 };
	CU_ASSERT_EQUAL(submit(&bench, &erasure.work), 0);
	CU_ASSERT_EQUAL(erasure.n_events, 1);
	scrub_to_nothing(&bench);
	/* positions stay, and what comes next is where it would have been */
	CU_ASSERT_EQUAL(append_id(&bench, "next").sequence, 3);
	ask(&bench, (struct store_read){ 0 }, &answer);
	CU_ASSERT_EQUAL(answer.n, 2);
	CU_ASSERT_EQUAL(answer.n_damaged, 0);
	CU_ASSERT_EQUAL(answer.sequences[0], 2);
	reopen_store(&bench);
	CU_ASSERT_EQUAL(store_head(bench.store), 3);
}

/* A page that came to lie where the clearing has been already would keep what is between its rows. */
static void test_no_page_moves_between_steps(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	for (size_t i = 0; i < 80; i++)
		CU_ASSERT_EQUAL(append_event(&bench, make_sized(EVENT_CALLBACK, "other", i, 70000), 0).status, COMMIT_STORED);
	struct store_scrub scrub = { .work.kind = WORK_SCRUB, .next_page = 1 };
	CU_ASSERT_EQUAL(submit(&bench, &scrub.work), -EAGAIN);
	CU_ASSERT_TRUE(scrub.next_page > 1);
	CU_ASSERT_EQUAL(meddle(bench.path, "DELETE FROM events WHERE sequence < 5"), SQLITE_OK);
	long long n_free = look_up(bench.path, "PRAGMA freelist_count");
	CU_ASSERT_TRUE(n_free > 0);
	CU_ASSERT_EQUAL(submit(&bench, &scrub.work), 0);
	CU_ASSERT_EQUAL(look_up(bench.path, "PRAGMA freelist_count"), n_free);
}

/* While somebody reads from the log it cannot be emptied: that is told, and nothing waits for it. */
static void test_who_reads_the_log_is_told(void)
{
	CLEANUP(bench_finish) struct bench bench;
	sqlite3 *db = NULL;
	begin(&bench);
	append_id(&bench, "a");
	CU_ASSERT_EQUAL_FATAL(sqlite3_open_v2(bench.path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL), SQLITE_OK);
	append_id(&bench, "b");
	struct store_scrub scrub = { .work.kind = WORK_SCRUB, .next_page = 1 };
	CU_ASSERT_EQUAL(submit(&bench, &scrub.work), -EBUSY);
	CU_ASSERT_EQUAL(append_id(&bench, "c").status, COMMIT_STORED);
	(void)sqlite3_close(db);
	CU_ASSERT_EQUAL(submit(&bench, &scrub.work), 0);
}

/* In a segment of the index that is written, and in the tail. */
static void test_the_index_forgets(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(filter_finish) struct filter filter;
	CLEANUP(answer_finish) struct answer answer;
	begin(&bench);
	filter_for(&filter, PERSON);
	append_event(&bench, make_sized(EVENT_CALLBACK, PERSON, 1, 10), 0);
	CU_ASSERT_TRUE(append_many(&bench, 2, 20000, clock_wall_ms()));
	append_event(&bench, make_sized(EVENT_CALLBACK, PERSON, 3, 10), 0);
	CU_ASSERT_TRUE(WAIT_UNTIL(look_up(bench.path, "SELECT count(*) FROM index_parts") == 64));
	struct store_erasure erasure = { .work.kind = WORK_ERASE, .filter = &filter, .sequences = { 1, 20002 }, .n = 2 };
	CU_ASSERT_EQUAL(submit(&bench, &erasure.work), 0);
	CU_ASSERT_EQUAL(erasure.n_events, 2);
	ask(&bench, (struct store_read){ .filters = &filter, .n_filters = 1 }, &answer);
	CU_ASSERT_EQUAL(answer.n, 0);
	close_store(&bench);
	CU_ASSERT_EQUAL(check(&bench), 20002); /* the index against the events */
}

/* --- what is owed ------------------------------------------------------------------------------------------------- */

/* With the person in it, and owed to the handler "it". */
static uint64_t owe(struct bench *bench)
{
	static const struct owed owed[] = { { .interaction = 0, .handler = SPAN("it") } };
	struct entry entry;
	struct event *event = make_sized(EVENT_CALLBACK, PERSON, 1, 100);
	entry_init(&entry, event, 0);
	entry.append.owed = owed;
	entry.append.n_owed = 1;
	CU_ASSERT_EQUAL_FATAL(append_all(bench, &entry, 1), 0);
	event_unref(event);
	return entry.sequence;
}

static struct claimed claim(struct bench *bench, int64_t now_ms)
{
	struct claimed claimed = { .event = NULL };
	struct store_claim claim = { .work.kind = WORK_CLAIM,
								 .handler = SPAN("it"),
								 .now_ms = now_ms,
								 .max = 1,
								 .max_bytes = 1000,
								 .claimed = &claimed };
	CU_ASSERT_EQUAL(submit(bench, &claim.work), 0);
	return claimed;
}

static void settle(struct bench *bench, struct claimed claimed, enum delivery_state state)
{
	struct store_settlement settlement = { .work.kind = WORK_SETTLE,
										   .delivery = claimed.delivery,
										   .has_attempt = true,
										   .attempt = { .started_ms = 7, .reason = SPAN("no mailbox for " PERSON) } };
	settlement.delivery.state = state;
	CU_ASSERT_EQUAL(submit(bench, &settlement.work), 0);
	event_unref(claimed.event);
}

static struct store_erasure erase(struct bench *bench, const struct filter *filter, uint64_t sequence)
{
	struct store_erasure erasure = { .work.kind = WORK_ERASE, .filter = filter, .sequences = { sequence }, .n = 1 };
	CU_ASSERT_EQUAL(submit(bench, &erasure.work), 0);
	return erasure;
}

#define DEAD_AND_ERASED                                                                                         \
	"SELECT count(*) FROM deliveries JOIN attempts USING (sequence, handler, interaction) WHERE state = 3 AND " \
	"reason = '" WORK_ERASED "'"

/* The reasons of attempts go with the event. A handler has it in its hands: not before that is over. */
static void test_what_is_owed_is_dead(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(filter_finish) struct filter filter;
	begin(&bench);
	filter_for(&filter, PERSON);
	uint64_t sequence = owe(&bench);
	struct claimed claimed = claim(&bench, clock_wall_ms());
	CU_ASSERT_PTR_NOT_NULL_FATAL(claimed.event);
	struct store_erasure erasure = erase(&bench, &filter, sequence);
	CU_ASSERT_EQUAL(erasure.n_in_hand, 1);
	CU_ASSERT_EQUAL(erasure.n_events, 0);
	settle(&bench, claimed, DELIVERY_DUE);
	erasure = erase(&bench, &filter, sequence);
	CU_ASSERT_EQUAL(erasure.n_in_hand, 0);
	CU_ASSERT_EQUAL(erasure.n_events, 1);
	CU_ASSERT_EQUAL(erasure.n_deliveries, 1);
	CU_ASSERT_EQUAL(erasure.n_attempts, 1);
	scrub_to_nothing(&bench);
	CU_ASSERT_EQUAL(look_up(bench.path, DEAD_AND_ERASED), 1);
	close_store(&bench);
	CU_ASSERT_EQUAL(check(&bench), 1);
}

/* What is erased is never given to a handler again. */
static void test_what_is_erased_is_not_handled_again(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(filter_finish) struct filter filter;
	begin(&bench);
	filter_for(&filter, PERSON);
	uint64_t sequence = owe(&bench);
	settle(&bench, claim(&bench, clock_wall_ms()), DELIVERY_DONE);
	CU_ASSERT_EQUAL(erase(&bench, &filter, sequence).n_events, 1);
	struct store_replay replay = {
		.work.kind = WORK_REPLAY, .sequence = sequence, .now_ms = clock_wall_ms(), .max = 10
	};
	CU_ASSERT_EQUAL(submit(&bench, &replay.work), 0);
	CU_ASSERT_EQUAL(replay.n, 1);
	CU_ASSERT_PTR_NULL(claim(&bench, clock_wall_ms() + 1).event);
	CU_ASSERT_EQUAL(look_up(bench.path, DEAD_AND_ERASED), 1);
}

static void test_refuses_what_is_in_use(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(filter_finish) struct filter filter;
	CLEANUP(free) char *message = NULL;
	struct erasure_tally tally;
	begin(&bench);
	filter_for(&filter, PERSON);
	CU_ASSERT_EQUAL(erasure_run_file(bench.path, &filter, &tally, &message), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(message);
}

UNIT_MAIN({ "nothing is left in the file", test_nothing_is_left_in_the_file },
		  { "nothing is left between rows", test_nothing_is_left_between_rows },
		  { "a gateway that runs erases", test_a_gateway_that_runs_erases },
		  { "no page moves between steps", test_no_page_moves_between_steps },
		  { "who reads the log is told", test_who_reads_the_log_is_told },
		  { "the index forgets", test_the_index_forgets }, { "what is owed is dead", test_what_is_owed_is_dead },
		  { "what is erased is not handled again", test_what_is_erased_is_not_handled_again },
		  { "refuses what is in use", test_refuses_what_is_in_use })
