/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The n-th allocation fails while a journal is opened, written to and read, for every n: SQLite's too. Then what is
 * asked for fails with -ENOMEM and nothing else, goes well when it is tried again, and the journal is intact.
 */
#include "failing_memory.h"
#include "store_unit.h"

#define N_EVENTS 3
#define MAX_TRIES 2

/* --- SQLite's memory ---------------------------------------------------------------------------------------------- */

/* It wants to know how large a piece is: that stands in front of it. */
#define SIZE_BYTES 16

static void *sqlite_malloc(int n)
{
	char *memory = __wrap_malloc((size_t)n + SIZE_BYTES);
	if (!memory)
		return NULL;
	memcpy(memory, &n, sizeof n);
	return memory + SIZE_BYTES;
}

static void sqlite_free(void *memory)
{
	free((char *)memory - SIZE_BYTES);
}

static void *sqlite_realloc(void *old, int n)
{
	char *memory = __wrap_realloc((char *)old - SIZE_BYTES, (size_t)n + SIZE_BYTES);
	if (!memory)
		return NULL;
	memcpy(memory, &n, sizeof n);
	return memory + SIZE_BYTES;
}

static int sqlite_size(void *memory)
{
	int n = 0;
	if (memory)
		memcpy(&n, (char *)memory - SIZE_BYTES, sizeof n);
	return n;
}

static int sqlite_round_up(int n)
{
	return (n + 7) & ~7;
}

static int sqlite_begin(void *context)
{
	(void)context;
	return SQLITE_OK;
}

static void sqlite_end(void *context)
{
	(void)context;
}

__attribute__((constructor)) static void take_over_sqlite(void)
{
	static sqlite3_mem_methods methods = { sqlite_malloc,   sqlite_free,  sqlite_realloc, sqlite_size,
										   sqlite_round_up, sqlite_begin, sqlite_end,     NULL };
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
		abort();
}

/* In front of the C library's: no power is cut here, and without syncs there is time for every n. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
	(void)fd;
	return 0;
}

/* --- a life ------------------------------------------------------------------------------------------------------- */

static struct event *numbered(size_t i)
{
	char id[16];
	(void)snprintf(id, sizeof id, "%zu", i);
	return make_event(id, "change", "42", clock_wall_ms());
}

static bool is_outcome(int r)
{
	return r == 0 || r == -ENOMEM;
}

/* Sent again as the provider does. */
static bool append_one(struct bench *bench, size_t i, bool is_failing)
{
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		struct event *event = numbered(i);
		atomic_store(&failure.is_on, is_failing);
		struct entry entry = append_event(bench, event, INT64_C(3600) * MS_PER_S);
		atomic_store(&failure.is_on, false);
		if (entry.status != COMMIT_FAILED)
			return true;
		CU_ASSERT_EQUAL(entry.error, -ENOMEM);
	}
	return false;
}

/* By their tag, so that the index has its part in it. */
static void read_all_events(struct bench *bench, size_t n, bool is_failing)
{
	CLEANUP(answer_finish) struct answer answer;
	CLEANUP(filter_finish) struct filter filter;
	const char *reason = NULL;
	filter_init(&filter);
	CU_ASSERT_EQUAL_FATAL(filter_add_tag(&filter, SPAN("user"), SPAN("42"), &reason), 0);
	atomic_store(&failure.is_on, is_failing);
	ask(bench, (struct store_read){ .filters = &filter, .n_filters = 1 }, &answer);
	atomic_store(&failure.is_on, false);
	CU_ASSERT_TRUE(is_outcome(answer.error));
	CU_ASSERT_TRUE(answer.error < 0 || (answer.n == n && answer.n_damaged == 0));
}

/* How many events were acknowledged, or -ENOMEM if it was not opened. */
static int live(struct bench *bench)
{
	size_t n = 0;
	atomic_store(&failure.is_on, true);
	int r = try_open(bench);
	atomic_store(&failure.is_on, false);
	CU_ASSERT_TRUE(is_outcome(r));
	if (r < 0)
		return r;
	for (size_t i = 0; i < N_EVENTS; i++)
		n += append_one(bench, i, true);
	CU_ASSERT_TRUE(failure.is_lasting || n == N_EVENTS); /* one failure is made good for by sending again */
	read_all_events(bench, n, true);
	atomic_store(&failure.is_on, true);
	close_store(bench);
	atomic_store(&failure.is_on, false);
	return (int)n;
}

/* Afterwards everything works. What failed was perhaps appended all the same, but then it is a duplicate now. */
static void check(struct bench *bench)
{
	open_store(bench);
	for (size_t i = 0; i < N_EVENTS; i++)
		CU_ASSERT_TRUE(append_one(bench, i, false));
	read_all_events(bench, N_EVENTS, false);
	close_store(bench);
}

static void start_afresh(struct bench *bench)
{
	bench_finish(bench);
	bench_init(bench);
}

/* How many allocations a life needs. */
static size_t fail_all(bool is_lasting)
{
	CLEANUP(bench_finish) struct bench bench;
	bench_init(&bench);
	failure.is_lasting = is_lasting;
	for (failure.n_before = 0;; failure.n_before++) {
		atomic_store(&failure.n_calls, 0);
		int r = live(&bench);
		size_t n = atomic_load(&failure.n_calls);
		check(&bench);
		if (n <= failure.n_before) {
			CU_ASSERT_EQUAL(r, N_EVENTS);
			return n;
		}
		start_afresh(&bench);
	}
}

static void test_one_allocation_fails(void)
{
	CU_ASSERT_TRUE(fail_all(false) > 100);
}

static void test_allocations_fail_from_then_on(void)
{
	CU_ASSERT_TRUE(fail_all(true) > 100);
}

UNIT_MAIN({ "one allocation fails", test_one_allocation_fails },
		  { "allocations fail from then on", test_allocations_fail_from_then_on })
