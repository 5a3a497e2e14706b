/* SPDX-License-Identifier: Apache-2.0 */
/* The journal from one opening to the next: order, positions, duplicates, the queue, and what it refuses to open. */
#include "store_unit.h"

#define HOUR_MS (INT64_C(3600) * 1000)

/* --- order --- */

static void test_gives_positions_in_order(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(store_head(bench.store), 0);
	CU_ASSERT_EQUAL(status_of(&bench).oldest, 1);
	CU_ASSERT_TRUE(append_many(&bench, 1, 1500, 1));
	CU_ASSERT_EQUAL(store_head(bench.store), 1500);
	ask(&bench, (struct store_read){ 0 }, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.n, 1500);
	CU_ASSERT_EQUAL(answer.scanned, 1500);
	CU_ASSERT_EQUAL(answer.oldest, 1);
	for (size_t i = 0; i < answer.n; i++) {
		char id[32];
		(void)snprintf(id, sizeof id, "%zu", i + 1);
		CU_ASSERT_EQUAL(answer.sequences[i], i + 1);
		CU_ASSERT_TRUE(has_id(&answer, i, id));
	}
}

static void test_goes_on_after_closing(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	char epoch[POSITION_MAX_EPOCH + 1];
	bench_init(&bench);
	open_store(&bench);
	(void)snprintf(epoch, sizeof epoch, "%s", store_epoch(bench.store));
	CU_ASSERT_TRUE(epoch[0] != '\0');
	CU_ASSERT_EQUAL(append_id(&bench, "a").sequence, 1);
	reopen_store(&bench);
	CU_ASSERT_STRING_EQUAL(store_epoch(bench.store), epoch);
	CU_ASSERT_EQUAL(store_head(bench.store), 1);
	CU_ASSERT_EQUAL(append_id(&bench, "b").sequence, 2);
	reopen_store(&bench);
	CU_ASSERT_STRING_EQUAL(store_epoch(bench.store), epoch);
	CU_ASSERT_EQUAL(append_id(&bench, "c").sequence, 3);
	ask(&bench, (struct store_read){ .after = 1 }, &answer);
	CU_ASSERT_EQUAL(answer.n, 2);
	CU_ASSERT_TRUE(has_id(&answer, 0, "b") && has_id(&answer, 1, "c"));
}

/* Everything of an event comes back. */
static void test_keeps_events_whole(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	static const struct tag tags[] = { { { "a", 1 }, { "1\"\n", 3 } }, { { "b", 1 }, { "", 0 } } };
	static const struct interaction interactions[] = { { { "x", 1 }, { "y", 1 } }, { { "z", 1 }, { "", 0 } } };
	struct event model = { .kind = EVENT_CALLBACK,
						   .received_ms = -5,
						   .source = SPAN("s"),
						   .body = SPAN("\0\xff{"),
						   .interactions = interactions,
						   .n_interactions = 2,
						   .tags = tags,
						   .n_tags = 2 };
	CLEANUP(event_unref) struct event *event = NULL;
	CU_ASSERT_EQUAL_FATAL(event_create(&model, &event), 0);
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(append_event(&bench, event_ref(event), 0).status, COMMIT_STORED);
	reopen_store(&bench);
	ask(&bench, (struct store_read){ 0 }, &answer);
	CU_ASSERT_EQUAL_FATAL(answer.n, 1);
	const struct event *found = answer.events[0];
	CU_ASSERT_EQUAL(found->received_ms, -5);
	CU_ASSERT_TRUE(span_equal(found->source, event->source));
	CU_ASSERT_TRUE(span_equal(found->body, event->body));
	CU_ASSERT_EQUAL(found->event_id.n, 0);
	CU_ASSERT_EQUAL_FATAL(found->n_tags, 2);
	CU_ASSERT_TRUE(span_equal(found->tags[0].value, tags[0].value));
	CU_ASSERT_EQUAL_FATAL(found->n_interactions, 2);
	CU_ASSERT_TRUE(span_equal(found->interactions[0].subtype, SPAN("y")));
	CU_ASSERT_TRUE(span_equal(found->interactions[1].type, SPAN("z")));
}

/* --- duplicates --- */

static struct entry again(struct bench *bench, const char *id, const char *type, const char *user, int64_t at_ms,
						  int64_t window_ms)
{
	return append_event(bench, make_event(id, type, user, at_ms), window_ms);
}

static void test_finds_duplicates(void)
{
	CLEANUP(bench_finish) struct bench bench;
	int64_t now = clock_wall_ms();
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(append_id(&bench, "before").sequence, 1);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, HOUR_MS).sequence, 2);
	struct entry twice = again(&bench, "a", "failing", "42", now + 1, HOUR_MS);
	CU_ASSERT_EQUAL(twice.status, COMMIT_DUPLICATE);
	CU_ASSERT_EQUAL(twice.sequence, 2);
	reopen_store(&bench);
	struct entry later = again(&bench, "a", "failing", "42", now + 2, HOUR_MS);
	CU_ASSERT_EQUAL(later.status, COMMIT_DUPLICATE);
	CU_ASSERT_EQUAL(later.sequence, 2);
	CU_ASSERT_EQUAL(store_head(bench.store), 2);
	CU_ASSERT_EQUAL(status_of(&bench).n_duplicates, 1);
}

static void test_finds_duplicates_within_a_batch(void)
{
	CLEANUP(bench_finish) struct bench bench;
	struct entry first, entries[3];
	CLEANUP(event_unref) struct event *event = make_event("a", "failing", "42", clock_wall_ms());
	CLEANUP(event_unref) struct event *other = make_event("b", "failing", "42", clock_wall_ms());
	bench_init(&bench);
	open_store(&bench);
	entry_init(&first, other, 0);
	for (size_t i = 0; i < 3; i++)
		entry_init(&entries[i], i == 1 ? other : event, HOUR_MS);
	hold(&bench);
	CU_ASSERT_EQUAL_FATAL(append_now(&bench, &first.append), 0);
	wait_until_held(&bench);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL_FATAL(append_now(&bench, &entries[i].append), 0);
	let_go(&bench);
	wait_for(&bench, entries, 3);
	CU_ASSERT_EQUAL(status_of(&bench).n_commits, 2);
	CU_ASSERT_TRUE(entries[0].status == COMMIT_STORED && entries[0].sequence == 2);
	CU_ASSERT_TRUE(entries[1].status == COMMIT_DUPLICATE && entries[1].sequence == 1);
	CU_ASSERT_TRUE(entries[2].status == COMMIT_DUPLICATE && entries[2].sequence == 2);
}

/* What was the case, then not, then is again, is news. */
static void test_compares_with_the_latest_only(void)
{
	CLEANUP(bench_finish) struct bench bench;
	int64_t now = clock_wall_ms();
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, HOUR_MS).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "a", "assigned", "42", now, HOUR_MS).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, HOUR_MS).status, COMMIT_STORED);
	struct entry last = again(&bench, "a", "failing", "42", now, HOUR_MS);
	CU_ASSERT_TRUE(last.status == COMMIT_DUPLICATE && last.sequence == 3);
	reopen_store(&bench);
	CU_ASSERT_EQUAL(again(&bench, "a", "assigned", "42", now, HOUR_MS).status, COMMIT_STORED);
}

static void test_other_keys_are_no_duplicates(void)
{
	CLEANUP(bench_finish) struct bench bench;
	int64_t now = clock_wall_ms();
	bench_init(&bench);
	open_store(&bench);
	CLEANUP(event_unref) struct event *event = make_event("a", "failing", "42", now);
	struct tag tag = { SPAN("user"), SPAN("43") };
	/* before the writer counts references to it too */
	struct event models[] = { *event, *event, *event, *event };
	CU_ASSERT_EQUAL(append_event(&bench, event_ref(event), HOUR_MS).status, COMMIT_STORED);
	models[0].source = SPAN("elsewhere");
	models[1].event_id = SPAN("b");
	models[2].tags = &tag;
	models[3].n_tags = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(models); i++) {
		struct event *other = NULL;
		CU_ASSERT_EQUAL_FATAL(event_create(&models[i], &other), 0);
		CU_ASSERT_EQUAL(append_event(&bench, other, HOUR_MS).status, COMMIT_STORED);
	}
	CU_ASSERT_EQUAL(append_event(&bench, event_ref(event), HOUR_MS).status, COMMIT_DUPLICATE);
}

static void test_minds_the_window(void)
{
	CLEANUP(bench_finish) struct bench bench;
	int64_t now = clock_wall_ms();
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, 1000).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now + 1000, 1000).status, COMMIT_DUPLICATE);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now - 1000, 1000).status, COMMIT_DUPLICATE);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now + 1001, 1000).sequence, 2);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, 1000).sequence, 3);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, 0).sequence, 4);
	/* stored without a window, it is still what the next one is compared with */
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, 1000).sequence, 4);
	/* the ends of the clock */
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", INT64_MIN, INT64_MAX).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", INT64_MAX, INT64_MAX).status, COMMIT_STORED);
}

/* The table holds a day at most: an event of long ago makes no other forgotten, and is itself forgotten. */
static void test_remembers_a_day(void)
{
	CLEANUP(bench_finish) struct bench bench;
	int64_t now = clock_wall_ms(), day_ms = 24 * HOUR_MS;
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now - day_ms - 1, 2 * day_ms).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "b", "failing", "42", now, 2 * day_ms).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "a", "failing", "42", now, 2 * day_ms).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(again(&bench, "b", "failing", "42", now, 2 * day_ms).status, COMMIT_DUPLICATE);
}

/* --- the queue --- */

static void test_bounds_the_queue(void)
{
	CLEANUP(bench_finish) struct bench bench;
	struct entry first, entries[3];
	CLEANUP(event_unref) struct event *event = make_event("a", "failing", "42", 1);
	bench_init(&bench);
	bench.options.limits.max_queue_bytes = 2 * (event->body.n + 512);
	open_store(&bench);
	entry_init(&first, event, 0);
	for (size_t i = 0; i < 3; i++)
		entry_init(&entries[i], event, 0);
	hold(&bench);
	CU_ASSERT_EQUAL_FATAL(append_now(&bench, &first.append), 0);
	wait_until_held(&bench);
	CU_ASSERT_EQUAL(status_of(&bench).queue_bytes, 0);
	CU_ASSERT_EQUAL(append_now(&bench, &entries[0].append), 0);
	CU_ASSERT_EQUAL(append_now(&bench, &entries[1].append), 0);
	CU_ASSERT_EQUAL(append_now(&bench, &entries[2].append), -ENOBUFS);
	CU_ASSERT_EQUAL(status_of(&bench).queue_bytes, bench.options.limits.max_queue_bytes);
	let_go(&bench);
	wait_for(&bench, entries, 2);
	CU_ASSERT_EQUAL(append_all(&bench, &entries[2], 1), 0);
	CU_ASSERT_EQUAL(entries[2].sequence, 4);
	CU_ASSERT_EQUAL(status_of(&bench).queue_bytes, 0);
}

static void *close_in_thread(void *bench)
{
	store_close(((struct bench *)bench)->store);
	return NULL;
}

/* Nothing more is taken, and what was taken is finished. */
static void test_closes_in_order(void)
{
	enum { MAX_ENTRIES = 12001 };
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(free) struct entry *entries = calloc(MAX_ENTRIES, sizeof *entries);
	CLEANUP(event_unref) struct event *event = make_event("a", "failing", "42", 1);
	pthread_t thread;
	size_t n = 0;
	int r = 0;
	bench_init(&bench);
	open_store(&bench);
	hold(&bench);
	for (; r == 0 && n < MAX_ENTRIES; n++) {
		entry_init(&entries[n], event, 0);
		r = append_now(&bench, &entries[n].append);
		if (n == 0) {
			wait_until_held(&bench);
			CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, close_in_thread, &bench), 0);
		}
		nap();
	}
	CU_ASSERT_EQUAL(r, -ESHUTDOWN);
	let_go(&bench);
	(void)pthread_join(thread, NULL);
	bench.store = NULL;
	for (size_t i = 0; i + 1 < n; i++)
		CU_ASSERT_TRUE(entries[i].is_done && entries[i].status == COMMIT_STORED && entries[i].sequence == i + 1);
	CU_ASSERT_FALSE(entries[n - 1].is_done);
	open_store(&bench);
	CU_ASSERT_EQUAL(store_head(bench.store), n - 1);
}

/* --- refusing --- */

static void make_journal(struct bench *bench)
{
	bench_init(bench);
	open_store(bench);
	CU_ASSERT_EQUAL(append_id(bench, "a").sequence, 1);
	close_store(bench);
}

static void test_refuses_a_newer_layout(void)
{
	CLEANUP(bench_finish) struct bench bench;
	make_journal(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "PRAGMA user_version = 99"), SQLITE_OK);
	CU_ASSERT_TRUE(is_refused(&bench, -EPROTO, "version 99"));
	CU_ASSERT_EQUAL(look_up(bench.path, "PRAGMA user_version"), 99);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM events"), 1);
}

static void test_refuses_a_strangers_file(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	CU_ASSERT_TRUE(write_all(bench.path, SPAN("not a database")));
	CU_ASSERT_TRUE(is_refused(&bench, -EUCLEAN, "not a journal of Belfry"));
	CU_ASSERT_TRUE(has_bytes(bench.path, SPAN("not a database")));
	(void)unlink(bench.path);
	CU_ASSERT_EQUAL(meddle(bench.path, "CREATE TABLE theirs (x); PRAGMA user_version = 1"), SQLITE_OK);
	(void)chmod(bench.path, 0600);
	struct span before = read_all(bench.path);
	CLEANUP(free) void *data = (void *)(uintptr_t)before.data;
	CU_ASSERT_TRUE(is_refused(&bench, -EUCLEAN, "not a journal of Belfry"));
	CU_ASSERT_TRUE(has_bytes(bench.path, before));
}

static void test_refuses_what_others_may_write(void)
{
	CLEANUP(bench_finish) struct bench bench;
	make_journal(&bench);
	CU_ASSERT_EQUAL(chmod(bench.path, 0660), 0);
	CU_ASSERT_TRUE(is_refused(&bench, -EPERM, "chmod go-w"));
	CU_ASSERT_EQUAL(chmod(bench.path, 0602), 0);
	CU_ASSERT_TRUE(is_refused(&bench, -EPERM, "mode 0602"));
	CU_ASSERT_EQUAL(chmod(bench.path, 0644), 0);
	open_store(&bench);
}

static void test_refuses_a_second_gateway(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char *message = NULL;
	struct store *second = NULL;
	make_journal(&bench);
	open_store(&bench);
	CU_ASSERT_EQUAL(store_open(&bench.options, &second, &message), -EBUSY);
	CU_ASSERT_PTR_NULL(second);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, "in use by another gateway"));
	free(message);
	CU_ASSERT_EQUAL(append_id(&bench, "b").sequence, 2);
}

static void test_refuses_other_names(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char link_path[96];
	make_journal(&bench);
	(void)snprintf(link_path, sizeof link_path, "%s/other.db", bench.folder);
	CU_ASSERT_EQUAL(link(bench.path, link_path), 0);
	CU_ASSERT_TRUE(is_refused(&bench, -EMLINK, "hard links"));
	CU_ASSERT_EQUAL(unlink(link_path), 0);
	CU_ASSERT_EQUAL(symlink("journal.db", link_path), 0); /* leads to the same file and log */
	bench.options.path = link_path;
	open_store(&bench);
	CU_ASSERT_EQUAL(append_id(&bench, "b").sequence, 2);
	close_store(&bench);
}

static void test_refuses_a_missing_folder(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	name_files(&bench, "nowhere/journal.db");
	CU_ASSERT_TRUE(is_refused(&bench, -ENOENT, "its folder must exist"));
	bench.options.path = bench.folder;
	CU_ASSERT_TRUE(is_refused(&bench, -EISDIR, bench.folder));
}

static void test_refuses_a_damaged_state(void)
{
	CLEANUP(bench_finish) struct bench bench;
	make_journal(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "UPDATE journal SET head = head - 1"), SQLITE_OK);
	CU_ASSERT_TRUE(is_refused(&bench, -EUCLEAN, ".recover"));
	CU_ASSERT_EQUAL(meddle(bench.path, "DELETE FROM journal"), SQLITE_OK);
	CU_ASSERT_TRUE(is_refused(&bench, -EUCLEAN, ".recover"));
}

/* --- copies and logs --- */

/* Ends like a gateway that was killed: its write-ahead log stays. */
static bool append_and_vanish(struct bench *bench)
{
	return try_open(bench) == 0 && append_id(bench, "x").status == COMMIT_STORED &&
		   append_id(bench, "y").status == COMMIT_STORED;
}

static void test_a_copy_has_another_epoch(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char epoch[POSITION_MAX_EPOCH + 1], original[96];
	make_journal(&bench);
	open_store(&bench);
	(void)snprintf(epoch, sizeof epoch, "%s", store_epoch(bench.store));
	close_store(&bench);
	(void)snprintf(original, sizeof original, "%s", bench.path);
	name_files(&bench, "other.db");
	CU_ASSERT_TRUE(copy_file(original, bench.path));
	open_store(&bench);
	CU_ASSERT_STRING_NOT_EQUAL(store_epoch(bench.store), epoch);
	CU_ASSERT_EQUAL(append_id(&bench, "b").sequence, 2);
	name_files(&bench, "journal.db");
	reopen_store(&bench);
	CU_ASSERT_STRING_EQUAL(store_epoch(bench.store), epoch);
	CU_ASSERT_EQUAL(append_id(&bench, "c").sequence, 2);
}

/* The original goes on, and so may the copy: they must not give the same positions to different events. */
static void copy_a_running_journal(bool with_log)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	char epoch[POSITION_MAX_EPOCH + 1], original[96], log[96];
	make_journal(&bench);
	open_store(&bench);
	(void)snprintf(epoch, sizeof epoch, "%s", store_epoch(bench.store));
	CU_ASSERT_EQUAL(append_id(&bench, "b").sequence, 2);
	(void)snprintf(original, sizeof original, "%s", bench.path);
	(void)snprintf(log, sizeof log, "%s", bench.wal_path);
	name_files(&bench, "other.db");
	CU_ASSERT_TRUE(copy_file(original, bench.path));
	CU_ASSERT_TRUE(!with_log || copy_file(log, bench.wal_path));
	CU_ASSERT_EQUAL(append_id(&bench, "c").sequence, 3);
	reopen_store(&bench);
	CU_ASSERT_STRING_NOT_EQUAL(store_epoch(bench.store), epoch);
	ask(&bench, (struct store_read){ 0 }, &answer);
	CU_ASSERT_EQUAL(answer.n, with_log ? 2 : 1); /* what had been copied of the journal by then */
	CU_ASSERT_EQUAL(answer.n_damaged, 0);
	CU_ASSERT_EQUAL(append_id(&bench, "d").sequence, answer.n + 1);
}

static void test_a_copy_of_a_running_journal(void)
{
	copy_a_running_journal(true);
	copy_a_running_journal(false);
}

static void test_a_kill_keeps_the_epoch(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char epoch[POSITION_MAX_EPOCH + 1];
	make_journal(&bench);
	open_store(&bench);
	(void)snprintf(epoch, sizeof epoch, "%s", store_epoch(bench.store));
	close_store(&bench);
	CU_ASSERT_TRUE(in_child(append_and_vanish, &bench));
	open_store(&bench);
	CU_ASSERT_STRING_EQUAL(store_epoch(bench.store), epoch);
	CU_ASSERT_EQUAL(store_head(bench.store), 3);
}

static void test_a_lost_log_costs_the_epoch(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char epoch[POSITION_MAX_EPOCH + 1];
	make_journal(&bench);
	open_store(&bench);
	(void)snprintf(epoch, sizeof epoch, "%s", store_epoch(bench.store));
	close_store(&bench);
	CU_ASSERT_TRUE(in_child(append_and_vanish, &bench));
	CU_ASSERT_EQUAL(unlink(bench.wal_path), 0); /* what was appended is only in it */
	open_store(&bench);
	CU_ASSERT_STRING_NOT_EQUAL(store_epoch(bench.store), epoch);
}

static void test_refuses_the_log_of_another_journal(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char strange_log[96];
	bench_init(&bench);
	CU_ASSERT_TRUE(in_child(append_and_vanish, &bench));
	(void)snprintf(strange_log, sizeof strange_log, "%s", bench.wal_path);
	name_files(&bench, "other.db");
	CU_ASSERT_TRUE(in_child(append_and_vanish, &bench));
	CU_ASSERT_TRUE(copy_file(strange_log, bench.wal_path));
	struct span file = read_all(bench.path), log = read_all(bench.wal_path);
	CLEANUP(free) void *file_data = (void *)(uintptr_t)file.data;
	CLEANUP(free) void *log_data = (void *)(uintptr_t)log.data;
	CU_ASSERT_TRUE(log.n != SIZE_MAX && log.n > 0);
	for (int i = 0; i < 2; i++) { /* being refused changes nothing */
		CU_ASSERT_TRUE(is_refused(&bench, -EUCLEAN, "write-ahead log of another journal"));
		CU_ASSERT_TRUE(has_bytes(bench.path, file));
		CU_ASSERT_TRUE(has_bytes(bench.wal_path, log));
	}
}

UNIT_MAIN({ "positions grow in the order of appending", test_gives_positions_in_order },
		  { "epoch and positions go on after closing", test_goes_on_after_closing },
		  { "everything of an event comes back", test_keeps_events_whole },
		  { "a repetition is a duplicate, after a restart too", test_finds_duplicates },
		  { "duplicates within one batch", test_finds_duplicates_within_a_batch },
		  { "only the latest counts", test_compares_with_the_latest_only },
		  { "other source, id or tags: no duplicate", test_other_keys_are_no_duplicates },
		  { "the window goes by the time of receipt", test_minds_the_window },
		  { "nothing older than a day is remembered", test_remembers_a_day },
		  { "the queue is bounded", test_bounds_the_queue },
		  { "closing finishes what was taken", test_closes_in_order },
		  { "refuses a newer layout", test_refuses_a_newer_layout },
		  { "refuses a stranger's file", test_refuses_a_strangers_file },
		  { "refuses a file that others may write", test_refuses_what_others_may_write },
		  { "refuses a second gateway", test_refuses_a_second_gateway },
		  { "refuses a file with two names", test_refuses_other_names },
		  { "refuses a missing folder", test_refuses_a_missing_folder },
		  { "refuses a damaged state", test_refuses_a_damaged_state },
		  { "a copy has another epoch", test_a_copy_has_another_epoch },
		  { "a copy made while it runs has another epoch", test_a_copy_of_a_running_journal },
		  { "a kill keeps the epoch", test_a_kill_keeps_the_epoch },
		  { "a lost log costs the epoch", test_a_lost_log_costs_the_epoch },
		  { "refuses the log of another journal", test_refuses_the_log_of_another_journal })
