/* SPDX-License-Identifier: Apache-2.0 */
/* Where the newest position is written, and how it is found again. */
#include "store_unit.h"

#define ROW_HEAD "SELECT head FROM journal"
/* More than a log's worth of pages (store/upkeep.c), one event a commit. */
#define SOME_LOGS 1500

static void append_some(struct bench *bench, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		CU_ASSERT_EQUAL(append_id(bench, "x").sequence, i);
}

/* A journal with three events, closed in order. */
static void make_journal(struct bench *bench, char ret_epoch[static POSITION_MAX_EPOCH + 1])
{
	bench_init(bench);
	open_store(bench);
	append_some(bench, 1, 3);
	(void)snprintf(ret_epoch, POSITION_MAX_EPOCH + 1, "%s", store_epoch(bench->store));
	close_store(bench);
}

/* What somebody does to the journal before it vanishes. */
static const char *change;

/* Ends like a gateway that was killed: its log stays. */
static bool append_three_and_vanish(struct bench *bench)
{
	if (try_open(bench) < 0)
		return false;
	append_some(bench, 4, 6);
	return look_up(bench->path, ROW_HEAD) == 4 && (!change || meddle(bench->path, change) == SQLITE_OK);
}

static void test_only_the_first_commit_of_a_log_writes_the_row(void)
{
	CLEANUP(bench_finish) struct bench bench;
	char epoch[POSITION_MAX_EPOCH + 1];
	change = NULL;
	make_journal(&bench, epoch);
	CU_ASSERT_EQUAL(look_up(bench.path, ROW_HEAD), 3); /* closing writes it, too */
	CU_ASSERT_TRUE(in_child(append_three_and_vanish, &bench));
	open_store(&bench);
	CU_ASSERT_EQUAL(store_head(bench.store), 6);
	CU_ASSERT_STRING_EQUAL(store_epoch(bench.store), epoch);
	CU_ASSERT_EQUAL(append_id(&bench, "next").sequence, 7);
}

/* The log's first salt: another one each time that it begins again (https://www.sqlite.org/fileformat.html, "WAL Header
 * Format"). */
static uint64_t salt_of(const struct bench *bench)
{
	uint64_t salt = 0;
	int fd = open(bench->wal_path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pread(fd, &salt, sizeof salt, 16), sizeof salt);
	(void)close(fd);
	return salt;
}

static void test_every_log_has_the_row_from_its_first_commit_on(void)
{
	CLEANUP(bench_finish) struct bench bench;
	uint64_t salt = 0;
	size_t n_logs = 0, n_rows = 0;
	long long row = 0;
	bench_init(&bench);
	open_store(&bench);
	for (unsigned i = 1; i <= SOME_LOGS; i++) {
		append_some(&bench, i, i);
		long long before = row;
		row = look_up(bench.path, ROW_HEAD);
		n_rows += row != before;
		if (salt_of(&bench) == salt)
			continue;
		salt = salt_of(&bench);
		n_logs++;
		CU_ASSERT_EQUAL(row, i);
	}
	CU_ASSERT_TRUE(n_logs >= 2 && n_rows < n_logs + 3);
}

/* Somebody else has copied the log: our next commit begins it anew, without knowing that it would. */
static void test_a_log_that_others_copied_gets_the_row(void)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	open_store(&bench);
	append_some(&bench, 1, 5);
	CU_ASSERT_EQUAL(look_up(bench.path, ROW_HEAD), 1);
	CU_ASSERT_EQUAL(meddle(bench.path, "PRAGMA wal_checkpoint(PASSIVE)"), SQLITE_OK);
	append_some(&bench, 6, 6);
	CU_ASSERT_EQUAL(look_up(bench.path, ROW_HEAD), 1);
	append_some(&bench, 7, 8);
	CU_ASSERT_EQUAL(look_up(bench.path, ROW_HEAD), 7);
}

/* What was acknowledged may be gone: nobody may take the next event for it. */
static void test_damage_behind_the_newest_whole_event_costs_the_epoch(void)
{
	static const struct {
		const char *sql;
		uint64_t next;
	} cases[] = {
		{ "UPDATE events SET sequence = 1099511627776 WHERE sequence = 6", 6 },
		{ "UPDATE events SET sequence = 9223372036854775807 WHERE sequence = 6", 6 },
		{ "UPDATE events SET body = x'7b7d' WHERE sequence >= 5", 5 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(bench_finish) struct bench bench;
		char epoch[POSITION_MAX_EPOCH + 1];
		change = cases[i].sql;
		make_journal(&bench, epoch);
		CU_ASSERT_TRUE(in_child(append_three_and_vanish, &bench));
		open_store(&bench);
		CU_ASSERT_STRING_NOT_EQUAL(store_epoch(bench.store), epoch);
		CU_ASSERT_EQUAL(append_id(&bench, "next").sequence, cases[i].next);
		CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM events"), cases[i].next);
	}
}

UNIT_MAIN({ "only the first commit of a log writes the row", test_only_the_first_commit_of_a_log_writes_the_row },
		  { "every log has the row from its first commit on", test_every_log_has_the_row_from_its_first_commit_on },
		  { "a log that others copied gets the row", test_a_log_that_others_copied_gets_the_row },
		  { "damage behind the newest whole event costs the epoch",
			test_damage_behind_the_newest_whole_event_costs_the_epoch })
