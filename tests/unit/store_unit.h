/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A journal in a folder of its own, and calls that wait for their answer.
 *
 * The store answers on its own threads; append_all() and ask() wait on a condition until it has. Where a test needs to
 * know what the writer is doing, hold() keeps it inside on_commit: what is appended meanwhile becomes one batch.
 */
#ifndef UNIT_STORE_UNIT_H
#define UNIT_STORE_UNIT_H

#include "base/clock.h"
#include "store/store.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BODY_SIZE 64
#define QUEUE_BYTES (64u << 20)

struct bench {
	char folder[64], path[96], wal_path[96];
	struct store_options options;
	struct store *store;
	char *message; /* of the last refusal */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_held;    /* {lock} the writer is to stay in on_commit */
	bool is_waiting; /* {lock} it does */
};

/* One event on its way, and what became of it. */
struct entry {
	struct append append;
	bool is_done; /* {bench.lock} */
	enum commit_status status;
	uint64_t sequence;
	int error;
};

static inline void nap(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* For what can only be seen from outside: a nap between two looks, and a minute at most. */
#define WAIT_UNTIL(condition)                                                            \
	({                                                                                   \
		uint64_t until_ns_ = clock_monotonic_ns() + UINT64_C(60) * MS_PER_S * NS_PER_MS; \
		bool is_so_;                                                                     \
		while (!(is_so_ = (condition)) && clock_monotonic_ns() < until_ns_)              \
			nap();                                                                       \
		is_so_;                                                                          \
	})

/* --- the journal --- */

static inline void bench_on_commit(void *context, struct commit *commit)
{
	struct bench *bench = context;
	(void)pthread_mutex_lock(&bench->lock);
	for (size_t i = 0; i < commit->n; i++) {
		const struct commit_item *item = &commit->items[i];
		struct entry *entry = item->append->owner;
		entry->status = item->status;
		entry->sequence = item->sequence;
		entry->error = item->error;
		entry->is_done = true;
	}
	bench->is_waiting = bench->is_held;
	(void)pthread_cond_broadcast(&bench->wake);
	while (bench->is_held)
		(void)pthread_cond_wait(&bench->wake, &bench->lock);
	bench->is_waiting = false;
	(void)pthread_mutex_unlock(&bench->lock);
}

static inline void name_files(struct bench *bench, const char *name)
{
	(void)snprintf(bench->path, sizeof bench->path, "%s/%s", bench->folder, name);
	(void)snprintf(bench->wal_path, sizeof bench->wal_path, "%s/%s-wal", bench->folder, name);
}

static inline void bench_init(struct bench *bench)
{
	*bench = (struct bench){ .folder = "/tmp/belfry-store-XXXXXX" };
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(bench->folder));
	name_files(bench, "journal.db");
	bench->options = (struct store_options){
		.path = bench->path, .limits.max_queue_bytes = QUEUE_BYTES, .on_commit = bench_on_commit, .context = bench
	};
	(void)pthread_mutex_init(&bench->lock, NULL);
	(void)pthread_cond_init(&bench->wake, NULL);
}

static inline int try_open(struct bench *bench)
{
	free(bench->message);
	return store_open(&bench->options, &bench->store, &bench->message);
}

static inline void open_store(struct bench *bench)
{
	int r = try_open(bench);
	if (r < 0)
		fprintf(stderr, "%s\n", bench->message ? bench->message : "no message");
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

static inline void close_store(struct bench *bench)
{
	store_close(bench->store);
	bench->store = NULL;
}

static inline void reopen_store(struct bench *bench)
{
	close_store(bench);
	open_store(bench);
}

/* Refused with this errno, and a sentence that has `words` in it. */
static inline bool is_refused(struct bench *bench, int error, const char *words)
{
	int r = try_open(bench);
	bool is_right = r == error && !bench->store && bench->message && strstr(bench->message, words);
	if (!is_right)
		fprintf(stderr, "%d, %s\n", r, bench->message ? bench->message : "no message");
	close_store(bench);
	return is_right;
}

static inline void bench_finish(struct bench *bench)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	static const char *const names[] = { "journal.db", "other.db" };
	close_store(bench);
	for (size_t i = 0; i < ARRAY_LENGTH(names) * ARRAY_LENGTH(suffixes); i++) {
		char path[128];
		(void)snprintf(path, sizeof path, "%s/%s%s", bench->folder, names[i % 2], suffixes[i / 2]);
		(void)unlink(path);
	}
	CU_ASSERT_EQUAL(rmdir(bench->folder), 0);
	free(bench->message);
	(void)pthread_cond_destroy(&bench->wake);
	(void)pthread_mutex_destroy(&bench->lock);
}

static inline void bench_finish_cleanup(struct bench *bench)
{
	bench_finish(bench);
}

static inline struct store_status status_of(struct bench *bench)
{
	struct store_status status;
	store_get_status(bench->store, &status);
	return status;
}

/* --- writing --- */

/* A callback with the given id, type of interaction and tag `user`; NULL without memory. */
static inline struct event *make_event(const char *event_id, const char *type, const char *user, int64_t received_ms)
{
	struct event *event = NULL;
	char body[BODY_SIZE];
	(void)snprintf(body, sizeof body, "{\"id\":\"%s\",\"type\":\"%s\"}", event_id, type);
	struct interaction interaction = { .type = span_text(type) };
	struct tag tag = { SPAN("user"), span_text(user) };
	struct event model = { .kind = EVENT_CALLBACK,
						   .received_ms = received_ms,
						   .source = SPAN("cronofy"),
						   .event_id = span_text(event_id),
						   .body = span_text(body),
						   .interactions = &interaction,
						   .n_interactions = 1,
						   .tags = &tag,
						   .n_tags = 1 };
	return event_create(&model, &event) == 0 ? event : NULL;
}

static inline void entry_init(struct entry *entry, struct event *event, int64_t window_ms)
{
	*entry = (struct entry){ .append = { .event = event, .duplicate_window_ms = window_ms } };
	entry->append.owner = entry;
}

static inline void wait_for(struct bench *bench, struct entry *entries, size_t n)
{
	(void)pthread_mutex_lock(&bench->lock);
	for (size_t i = 0; i < n; i++)
		while (!entries[i].is_done)
			(void)pthread_cond_wait(&bench->wake, &bench->lock);
	(void)pthread_mutex_unlock(&bench->lock);
}

static inline int append_now(struct bench *bench, struct append *append)
{
	int r = store_append(bench->store, append);
	store_wake(bench->store);
	return r;
}

/* 0, or what the first one that was not taken said. Waits for those that were. */
static inline int append_all(struct bench *bench, struct entry *entries, size_t n)
{
	size_t n_taken = 0;
	int r = 0;
	while (n_taken < n && (r = store_append(bench->store, &entries[n_taken].append)) == 0)
		n_taken++;
	store_wake(bench->store);
	wait_for(bench, entries, n_taken);
	return r;
}

/* One event, whose reference it takes over. */
static inline struct entry append_event(struct bench *bench, struct event *event, int64_t window_ms)
{
	struct entry entry;
	entry_init(&entry, event, window_ms);
	int r = event ? append_all(bench, &entry, 1) : -ENOMEM;
	event_unref(event);
	if (r < 0)
		return (struct entry){ .status = COMMIT_FAILED, .error = r };
	return entry;
}

static inline struct entry append_id(struct bench *bench, const char *event_id)
{
	return append_event(bench, make_event(event_id, "change", "42", clock_wall_ms()), 0);
}

/* n events with the ids first, first + 1, ... in as few batches as it takes. */
static inline bool append_many(struct bench *bench, size_t first, size_t n, int64_t received_ms)
{
	struct entry *entries = calloc(n, sizeof *entries);
	bool is_right = entries != NULL;
	for (size_t i = 0; is_right && i < n; i++) {
		char id[32];
		(void)snprintf(id, sizeof id, "%zu", first + i);
		entry_init(&entries[i], make_event(id, "change", "42", received_ms), 0);
	}
	is_right = is_right && append_all(bench, entries, n) == 0;
	for (size_t i = 0; entries && i < n; i++) {
		is_right = is_right && entries[i].status == COMMIT_STORED;
		event_unref(entries[i].append.event);
	}
	free(entries);
	return is_right;
}

/* From here on the writer stays in its next on_commit. */
static inline void hold(struct bench *bench)
{
	(void)pthread_mutex_lock(&bench->lock);
	bench->is_held = true;
	(void)pthread_mutex_unlock(&bench->lock);
}

static inline void wait_until_held(struct bench *bench)
{
	(void)pthread_mutex_lock(&bench->lock);
	while (!bench->is_waiting)
		(void)pthread_cond_wait(&bench->wake, &bench->lock);
	(void)pthread_mutex_unlock(&bench->lock);
}

static inline void let_go(struct bench *bench)
{
	(void)pthread_mutex_lock(&bench->lock);
	bench->is_held = false;
	(void)pthread_cond_broadcast(&bench->wake);
	(void)pthread_mutex_unlock(&bench->lock);
}

/* --- reading --- */

/* A page of one's own. */
struct answer {
	struct bench *bench;
	bool is_done; /* {bench.lock} */
	struct event **events;
	uint64_t *sequences;
	size_t n, n_damaged;
	uint64_t scanned, oldest, damaged_first, damaged_last;
	int error;
};

static inline void answer_finish(struct answer *answer)
{
	for (size_t i = 0; i < answer->n; i++)
		event_unref(answer->events[i]);
	free(answer->events);
	free(answer->sequences);
	*answer = (struct answer){ .bench = answer->bench };
}

static inline void answer_finish_cleanup(struct answer *answer)
{
	answer_finish(answer);
}

static inline void bench_on_page(struct store_read *read, const struct store_page *page)
{
	struct answer *answer = read->owner;
	struct bench *bench = answer->bench;
	answer->events = calloc(page->n + 1, sizeof *answer->events);
	answer->sequences = calloc(page->n + 1, sizeof *answer->sequences);
	answer->error = answer->events && answer->sequences ? page->error : -ENOMEM;
	for (size_t i = 0; answer->error == 0 && i < page->n; i++) {
		answer->events[i] = event_ref(page->events[i]);
		answer->sequences[i] = page->sequences[i];
		answer->n++;
	}
	answer->scanned = page->scanned;
	answer->oldest = page->oldest;
	answer->n_damaged = page->n_damaged;
	answer->damaged_first = page->damaged_first;
	answer->damaged_last = page->damaged_last;
	(void)pthread_mutex_lock(&bench->lock);
	answer->is_done = true;
	(void)pthread_cond_broadcast(&bench->wake);
	(void)pthread_mutex_unlock(&bench->lock);
}

/* Fills what is not set of the question: the journal from its beginning, whatever its size. */
static inline void ask(struct bench *bench, struct store_read read, struct answer *answer)
{
	*answer = (struct answer){ .bench = bench };
	read.until = read.until ? read.until : store_head(bench->store);
	read.max_events = read.max_events ? read.max_events : 20000;
	read.max_bytes = read.max_bytes ? read.max_bytes : SIZE_MAX;
	read.on_page = bench_on_page;
	read.owner = answer;
	int r = store_read(bench->store, &read);
	if (r < 0) {
		answer->error = r; /* nobody else will write to it */
		return;
	}
	(void)pthread_mutex_lock(&bench->lock);
	while (!answer->is_done)
		(void)pthread_cond_wait(&bench->wake, &bench->lock);
	(void)pthread_mutex_unlock(&bench->lock);
}

static inline bool has_id(const struct answer *answer, size_t i, const char *event_id)
{
	return i < answer->n && span_equal(answer->events[i]->event_id, span_text(event_id));
}

/* --- from outside --- */

/* What an administrator may do with sqlite3 at the terminal. */
static inline int meddle(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(db, 5000);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	(void)sqlite3_close(db);
	return code;
}

static inline int note_number(void *number, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	*(long long *)number = values[0] ? strtoll(values[0], NULL, 10) : -1;
	return 0;
}

/* The number that the query yields, -1 for none. */
static inline long long look_up(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	long long number = -1;
	int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_busy_timeout(db, 5000);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, sql, note_number, &number, NULL);
	(void)sqlite3_close(db);
	return code == SQLITE_OK ? number : -1;
}

/* A file's bytes; n is SIZE_MAX if there is none. The data is the caller's to free. */
static inline struct span read_all(const char *path)
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return (struct span){ NULL, SIZE_MAX };
	char *data = malloc((size_t)status.st_size + 1);
	ssize_t n = data ? read(fd, data, (size_t)status.st_size) : -1;
	return (struct span){ data, n < 0 ? SIZE_MAX : (size_t)n };
}

static inline bool write_all(const char *path, struct span bytes)
{
	CLEANUP(close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, bytes.data, bytes.n) == (ssize_t)bytes.n;
}

static inline bool copy_file(const char *from, const char *to)
{
	struct span bytes = read_all(from);
	CLEANUP(free) void *data = (void *)(uintptr_t)bytes.data;
	return bytes.n != SIZE_MAX && write_all(to, bytes);
}

static inline bool has_bytes(const char *path, struct span expected)
{
	struct span bytes = read_all(path);
	CLEANUP(free) void *data = (void *)(uintptr_t)bytes.data;
	return span_equal(bytes, expected);
}

/* Runs `run` in a process of its own, which is gone without a goodbye when it returns. True if it returned true. */
static inline bool in_child(bool (*run)(struct bench *bench), struct bench *bench)
{
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(run(bench) ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif
