/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a journal beside the gateway, or without one: what is found wrong with it, and copies of it. */
#include "store/backup.h"
#include "store/check.h"
#include "store_unit.h"

/* What a check found, one behind the other. */
struct found {
	struct check check;
	char text[4096];
};

static void on_finding(void *context, const char *sentence)
{
	struct found *found = context;
	(void)strncat(found->text, sentence, sizeof found->text - strlen(found->text) - 1);
}

static struct found check(const struct bench *bench)
{
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	CLEANUP(free) char *message = NULL;
	struct found found = { .check.on_finding = on_finding };
	CU_ASSERT_EQUAL_FATAL(inspection_open(bench->path, &inspection, &message), 0);
	found.check.context = &found;
	CU_ASSERT_EQUAL(check_run(inspection, &found.check), 0);
	return found;
}

static bool finds(const struct bench *bench, const char *words)
{
	struct found found = check(bench);
	bool is_right = found.check.n_findings == 1 && strstr(found.text, words);
	if (!is_right)
		fprintf(stderr, "%llu findings: %s\n", (unsigned long long)found.check.n_findings, found.text);
	return is_right;
}

static bool is_refused_to_readers(const struct bench *bench, int error, const char *words)
{
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	CLEANUP(free) char *message = NULL;
	int r = inspection_open(bench->path, &inspection, &message);
	bool is_right = r == error && message && strstr(message, words);
	if (!is_right)
		fprintf(stderr, "%d, %s\n", r, message ? message : "no message");
	return is_right;
}

/* 20,000 events, of which one owes something; closed. */
static void begin(struct bench *bench)
{
	static const struct owed owed[] = { { .interaction = 0, .handler = SPAN("it") } };
	struct entry entry;
	struct event *event = make_event("owed", "change", "42", clock_wall_ms());
	bench_init(bench);
	open_store(bench);
	entry_init(&entry, event, 0);
	entry.append.owed = owed;
	entry.append.n_owed = 1;
	CU_ASSERT_EQUAL_FATAL(append_all(bench, &entry, 1), 0);
	event_unref(event);
	CU_ASSERT_TRUE(append_many(bench, 1, 19999, clock_wall_ms()));
	CU_ASSERT_TRUE(WAIT_UNTIL(look_up(bench->path, "SELECT count(*) FROM index_parts") == 64));
}

static void test_a_good_journal_is_good(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	struct found running = check(&bench);
	CU_ASSERT_STRING_EQUAL(running.text, "");
	CU_ASSERT_EQUAL(running.check.n_events, 20000);
	CU_ASSERT_EQUAL(running.check.n_deliveries, 1);
	close_store(&bench);
	CU_ASSERT_STRING_EQUAL(check(&bench).text, "");
}

static void test_finds_what_is_wrong(void)
{
	static const struct {
		const char *sql, *words;
	} cases[] = {
		{ "UPDATE events SET source = 'x' WHERE sequence IN (7, 8)", "-7 to " },
		{ "DELETE FROM events WHERE sequence = 9", "-9: missing" },
		{ "DELETE FROM events WHERE sequence > 19990", "-20000: missing" },
		{ "UPDATE index_parts SET entries = zeroblob(10) WHERE part = 3", "their index is wrong" },
		{ "DELETE FROM index_parts WHERE part = 63", "their index is wrong" },
		{ "UPDATE deliveries SET n_attempts = 3", "its delivery to it (interaction 0) is damaged" },
		{ "INSERT INTO events SELECT 30000, kind, received_ms, source, event_id, tags, interactions, malformed, "
		  "body_digest, record_digest, body, '' FROM events WHERE sequence = 5",
		  "behind the newest event" },
	};
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	close_store(&bench);
	struct span before = read_all(bench.path);
	CLEANUP(free) void *data = (void *)(uintptr_t)before.data;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CU_ASSERT_EQUAL(meddle(bench.path, cases[i].sql), SQLITE_OK);
		CU_ASSERT_TRUE(finds(&bench, cases[i].words));
		CU_ASSERT_TRUE(write_all(bench.path, before));
		(void)unlink(bench.wal_path);
	}
}

static void test_readers_refuse(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	CU_ASSERT_TRUE(is_refused_to_readers(&bench, -ENOENT, "No such file"));
	CU_ASSERT_TRUE(write_all(bench.path, SPAN("")));
	CU_ASSERT_TRUE(is_refused_to_readers(&bench, -ENODATA, "nothing in"));
	CU_ASSERT_TRUE(write_all(bench.path, SPAN("some text")));
	CU_ASSERT_TRUE(is_refused_to_readers(&bench, -EUCLEAN, "not a journal of Belfry"));
	(void)unlink(bench.path);
	open_store(&bench);
	close_store(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "PRAGMA user_version = 1"), SQLITE_OK);
	CU_ASSERT_TRUE(is_refused_to_readers(&bench, -EPROTO, "has version 1, and this Belfry reads version 3"));
	CU_ASSERT_EQUAL(meddle(bench.path, "PRAGMA user_version = 9"), SQLITE_OK);
	CU_ASSERT_TRUE(is_refused_to_readers(&bench, -EPROTO, "has version 9, and this Belfry knows versions up to 3"));
}

/* --- backups ------------------------------------------------------------------------------------------------------ */

static void back_up(const struct bench *bench, const char *path)
{
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	CLEANUP(free) char *message = NULL;
	CU_ASSERT_EQUAL_FATAL(inspection_open(bench->path, &inspection, &message), 0);
	int r = backup_make(inspection, path, &message);
	if (r < 0)
		fprintf(stderr, "%s\n", message ? message : "no message");
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

static void name_other(const struct bench *bench, char other[static 128])
{
	(void)snprintf(other, 128, "%s/other.db", bench->folder);
}

/* Made while the gateway runs, with what is in its log alone. */
static void test_a_backup_is_a_journal(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char other[128];
	struct stat status;
	begin(&bench);
	name_other(&bench, other);
	append_id(&bench, "last");
	back_up(&bench, other);
	append_id(&bench, "later");
	CU_ASSERT_EQUAL(stat(other, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
	char epoch[POSITION_MAX_EPOCH + 1];
	(void)snprintf(epoch, sizeof epoch, "%s", store_epoch(bench.store));
	close_store(&bench);
	name_files(&bench, "other.db");
	bench.options.path = bench.path;
	CU_ASSERT_STRING_EQUAL(check(&bench).text, "");
	open_store(&bench);
	CU_ASSERT_EQUAL(store_head(bench.store), 20001);
	CU_ASSERT_STRING_NOT_EQUAL(store_epoch(bench.store), epoch);
}

/* However it is put in place: into the very file of the journal, again and again, the inode stays the same. */
static void test_positions_of_a_backup_are_its_own(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char other[128], epochs[3][POSITION_MAX_EPOCH + 1];
	bench_init(&bench);
	open_store(&bench);
	name_other(&bench, other);
	append_id(&bench, "a");
	back_up(&bench, other);
	for (size_t i = 0; i < ARRAY_LENGTH(epochs); i++) {
		(void)snprintf(epochs[i], sizeof epochs[i], "%s", store_epoch(bench.store));
		append_id(&bench, "another, at the same sequence");
		close_store(&bench);
		(void)unlink(bench.wal_path);
		CU_ASSERT_TRUE(copy_file(other, bench.path));
		open_store(&bench);
		CU_ASSERT_EQUAL(store_head(bench.store), 1);
	}
	CU_ASSERT_STRING_NOT_EQUAL(epochs[0], epochs[1]);
	CU_ASSERT_STRING_NOT_EQUAL(epochs[1], epochs[2]);
	CU_ASSERT_STRING_NOT_EQUAL(store_epoch(bench.store), epochs[2]);
}

/* The log of the run in which the backup was made lies beside it: its pages must not get into it. */
static void test_the_log_beside_a_backup_is_a_strangers(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char other[128], log[136];
	bench_init(&bench);
	open_store(&bench);
	name_other(&bench, other);
	append_id(&bench, "a");
	back_up(&bench, other);
	append_id(&bench, "b");
	(void)snprintf(log, sizeof log, "%s-wal", other);
	CU_ASSERT_TRUE(copy_file(bench.wal_path, log));
	close_store(&bench);
	name_files(&bench, "other.db");
	bench.options.path = bench.path;
	CU_ASSERT_TRUE(is_refused(&bench, -EUCLEAN, "write-ahead log of another journal"));
	CU_ASSERT_TRUE(is_refused_to_readers(&bench, -EUCLEAN, "write-ahead log of another journal"));
}

static void test_a_backup_overwrites_nothing(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	CLEANUP(free) char *message = NULL;
	char other[128];
	bench_init(&bench);
	open_store(&bench);
	name_other(&bench, other);
	CU_ASSERT_TRUE(write_all(other, SPAN("mine")));
	CU_ASSERT_EQUAL_FATAL(inspection_open(bench.path, &inspection, &message), 0);
	CU_ASSERT_EQUAL(backup_make(inspection, other, &message), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, "nothing is overwritten"));
	CU_ASSERT_TRUE(has_bytes(other, SPAN("mine")));
}

UNIT_MAIN({ "a good journal is good", test_a_good_journal_is_good },
		  { "finds what is wrong", test_finds_what_is_wrong }, { "readers refuse", test_readers_refuse },
		  { "a backup is a journal", test_a_backup_is_a_journal },
		  { "positions of a backup are its own", test_positions_of_a_backup_are_its_own },
		  { "the log beside a backup is a stranger's", test_the_log_beside_a_backup_is_a_strangers },
		  { "a backup overwrites nothing", test_a_backup_overwrites_nothing })
