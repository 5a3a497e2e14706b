/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file system fails, or the process is killed, at the n-th call that concerns the journal, for every n.
 *
 * The test does what a gateway does, meets the fault, and notes what was acknowledged; where the fault is a kill, a
 * child process does that, in memory that both share. Then the journal is opened without any fault. Each event is sent
 * again until it is acknowledged, as the provider does: so each must be there exactly once; or once at most, if it
 * never was. What an event owes is there with it, and is claimed until it has been settled for good.
 *
 * The functions below stand in front of the C library's, also for SQLite. They leave the sync itself out: no power is
 * cut here, and without it there is time for every n.
 */
#include "store/deliveries.h"
#include "store_unit.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>

#define MAX_FDS 256
#define MAX_EVENTS 4
#define MAX_TRIES 3

/* --- faults ------------------------------------------------------------------------------------------------------- */

enum fault {
	FAULT_KILL,       /* right before the call */
	FAULT_KILL_AFTER, /* right after it; if it writes, in the middle */
	FAULT_SHORT,      /* half of the bytes */
	FAULT_ERROR,      /* this call fails */
	FAULT_ERRORS,     /* and all that follow */
};

enum call {
	CALL_WRITE, /* may need room on the disk */
	CALL_SYNC,
	CALL_READ,
};

static struct plan {
	const char *name;
	enum fault fault;
	int error;
	bool spares_reads; /* a full disk can be read; and whoever is killed at a read might as well be at the write behind
						  it */
	size_t n_before;   /* calls that go well */
	size_t pages_a_call;
} plan;

static struct shared { /* by parent and child */
	_Atomic size_t n_calls;
	bool is_acknowledged[MAX_EVENTS];
	bool is_handled[MAX_EVENTS], is_settled[MAX_EVENTS];
	size_t n_failed;
} * shared;

static char ours[96];         /* what the paths begin with that count; empty: none does */
static bool is_ours[MAX_FDS]; /* by descriptor */

static bool is_path_ours(const char *path)
{
	return ours[0] && strncmp(path, ours, strlen(ours)) == 0;
}

static bool is_fd_ours(int fd)
{
	return ours[0] && fd >= 0 && fd < MAX_FDS && is_ours[fd];
}

/* Whether this transfer is to be counted. */
static bool is_of_interest(int fd, size_t n)
{
	enum { PAGE_BYTES = 4096, FRAME_HEADER_BYTES = 24 };
	static _Atomic size_t n_pages;
	bool is_of_page = n == PAGE_BYTES || n == FRAME_HEADER_BYTES;
	return is_fd_ours(fd) && (!is_of_page || atomic_fetch_add(&n_pages, 1) % plan.pages_a_call == 0);
}

static void die(void)
{
	(void)kill(getpid(), SIGKILL);
}

/* Counts a call of ours. True if it is the one, or one of those, that the plan is about. */
static bool is_struck(enum call call)
{
	if (plan.spares_reads && call == CALL_READ)
		return false;
	size_t n = atomic_fetch_add(&shared->n_calls, 1);
	bool is = plan.fault == FAULT_ERRORS ? n >= plan.n_before : n == plan.n_before;
	if (is && plan.fault == FAULT_KILL)
		die();
	return is;
}

static bool is_error(void)
{
	errno = plan.error;
	return plan.fault == FAULT_ERROR || plan.fault == FAULT_ERRORS;
}

static size_t half_of(size_t n)
{
	return plan.fault == FAULT_SHORT || plan.fault == FAULT_KILL_AFTER ? (n + 1) / 2 : n;
}

static void die_after(void)
{
	if (plan.fault == FAULT_KILL_AFTER)
		die();
}

/* --- in front of the C library ------------------------------------------------------------------------------------ */

/* A function that the linker knows by the name of the library's. */
#define FRONT(type, name, parameters)                                                         \
	type front_##name parameters __asm__(#name) __attribute__((visibility("default"), used)); \
	type front_##name parameters

/* The library's own. */
#define NEXT(name)                                              \
	({                                                          \
		static __typeof__(front_##name) *next_;                 \
		if (!next_)                                             \
			*(void **)(void *)&next_ = dlsym(RTLD_NEXT, #name); \
		next_;                                                  \
	})

/* What becomes of a call that moves n bytes, or none, and is ours if `is_counted`. */
#define STRIKE(is_counted, call, n, ...)                   \
	({                                                     \
		bool is_struck_ = (is_counted) && is_struck(call); \
		if (is_struck_ && is_error())                      \
			return -1;                                     \
		if (is_struck_)                                    \
			(n) = half_of(n);                              \
		__typeof__(__VA_ARGS__) r_ = __VA_ARGS__;          \
		if (is_struck_)                                    \
			die_after();                                   \
		r_;                                                \
	})

static int note_path(int fd, const char *path)
{
	if (fd >= 0 && fd < MAX_FDS)
		is_ours[fd] = is_path_ours(path);
	return fd;
}

#define FRONT_OPEN(name)                                                                            \
	FRONT(int, name, (const char *path, int flags, ...))                                            \
	{                                                                                               \
		size_t n = 0;                                                                               \
		va_list arguments;                                                                          \
		va_start(arguments, flags);                                                                 \
		mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;                              \
		va_end(arguments);                                                                          \
		enum call call = flags & O_CREAT ? CALL_WRITE : CALL_READ;                                  \
		return note_path(STRIKE(is_path_ours(path), call, n, NEXT(name)(path, flags, mode)), path); \
	}
FRONT_OPEN(open)
FRONT_OPEN(open64)

FRONT(ssize_t, read, (int fd, void *data, size_t n))
{
	return STRIKE(is_fd_ours(fd), CALL_READ, n, NEXT(read)(fd, data, n));
}

FRONT(ssize_t, pread64, (int fd, void *data, size_t n, off64_t at))
{
	return STRIKE(is_of_interest(fd, n), CALL_READ, n, NEXT(pread64)(fd, data, n, at));
}

FRONT(ssize_t, write, (int fd, const void *data, size_t n))
{
	return STRIKE(is_fd_ours(fd), CALL_WRITE, n, NEXT(write)(fd, data, n));
}

FRONT(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at))
{
	return STRIKE(is_of_interest(fd, n), CALL_WRITE, n, NEXT(pwrite64)(fd, data, n, at));
}

FRONT(int, ftruncate64, (int fd, off64_t size))
{
	size_t n = 0;
	return STRIKE(is_fd_ours(fd), CALL_WRITE, n, NEXT(ftruncate64)(fd, size));
}

FRONT(int, fdatasync, (int fd))
{
	size_t n = 0;
	return STRIKE(is_fd_ours(fd), CALL_SYNC, n, (int)(fd < 0));
}

FRONT(int, unlink, (const char *path))
{
	size_t n = 0;
	return STRIKE(is_path_ours(path), CALL_WRITE, n, NEXT(unlink)(path));
}

/* --- what a gateway does ------------------------------------------------------------------------------------------ */

/* One life of a gateway, from opening to closing. */
struct life {
	const char *name;
	size_t n_old; /* events that the journal had before, too old to stay if there is a retention */
	int64_t retention_age_ms;
	size_t body_bytes;   /* of the new ones: large ones bring about a checkpoint */
	size_t pages_a_call; /* so many transfers of whole pages count as one: they are all alike */
	bool has_handler;
};

#define OLD_MS (INT64_C(3600) * MS_PER_S)
#define WINDOW_MS (10 * OLD_MS)

static struct event *make_numbered(size_t i, size_t body_bytes)
{
	struct event *event = NULL;
	const struct interaction interaction = { .type = SPAN("change") };
	char id[16];
	CLEANUP(free) char *body = calloc(1, body_bytes);
	(void)snprintf(id, sizeof id, "new-%zu", i);
	if (body)
		memset(body, 'a' + (int)i, body_bytes);
	struct event model = { .kind = EVENT_CALLBACK,
						   .received_ms = clock_wall_ms(),
						   .source = SPAN("cronofy"),
						   .event_id = span_text(id),
						   .body = span_of(body, body_bytes),
						   .interactions = &interaction,
						   .n_interactions = 1 };
	return body && event_create(&model, &event) == 0 ? event : NULL;
}

/* Takes the reference over. */
static struct entry append_owing(struct bench *bench, struct event *event, bool has_handler)
{
	static const struct owed owed = { .handler = SPAN("a") };
	struct entry entry;
	entry_init(&entry, event, WINDOW_MS);
	entry.append.owed = &owed;
	entry.append.n_owed = has_handler;
	int r = event ? append_all(bench, &entry, 1) : -ENOMEM;
	event_unref(event);
	if (r < 0)
		return (struct entry){ .status = COMMIT_FAILED, .error = r };
	return entry;
}

/* As the provider does it. */
static void send_until_acknowledged(struct bench *bench, size_t i, const struct life *life)
{
	for (int tries = 0; tries < MAX_TRIES && !shared->is_acknowledged[i]; tries++) {
		struct entry entry = append_owing(bench, make_numbered(i, life->body_bytes), life->has_handler);
		shared->is_acknowledged[i] = entry.status != COMMIT_FAILED;
		shared->n_failed += entry.status == COMMIT_FAILED;
	}
}

struct turn {
	struct bench *bench;
	struct store_claim claim;
	struct store_settlement settlement;
	struct claimed claimed[2 * MAX_EVENTS];
	bool is_done; /* {bench.lock} */
};

static void end_turn(struct turn *turn)
{
	(void)pthread_mutex_lock(&turn->bench->lock);
	turn->is_done = true;
	(void)pthread_cond_broadcast(&turn->bench->wake);
	(void)pthread_mutex_unlock(&turn->bench->lock);
}

static void on_claimed(struct store_work *work)
{
	end_turn(CONTAINER_OF(work, struct turn, claim.work));
}

static void on_settled(struct store_work *work)
{
	end_turn(CONTAINER_OF(work, struct turn, settlement.work));
}

static int submit(struct turn *turn, struct store_work *work)
{
	turn->is_done = false;
	int r = store_submit(turn->bench->store, work);
	if (r < 0)
		return r;
	store_wake(turn->bench->store);
	(void)pthread_mutex_lock(&turn->bench->lock);
	while (!turn->is_done)
		(void)pthread_cond_wait(&turn->bench->wake, &turn->bench->lock);
	(void)pthread_mutex_unlock(&turn->bench->lock);
	return work->error;
}

/* "new-2" */
static size_t number_of(const struct event *event)
{
	return event->event_id.n == 5 ? (size_t)(event->event_id.data[4] - '0') : MAX_EVENTS;
}

static void handle(struct turn *turn, struct claimed *claimed)
{
	size_t i = number_of(claimed->event);
	event_unref(claimed->event);
	if (i >= MAX_EVENTS)
		return;
	shared->is_handled[i] = true;
	for (int tries = 0; tries < MAX_TRIES && !shared->is_settled[i]; tries++) {
		turn->settlement = (struct store_settlement){ .work = { .kind = WORK_SETTLE, .on_done = on_settled },
													  .delivery = claimed->delivery,
													  .has_attempt = true };
		turn->settlement.delivery.state = DELIVERY_DONE;
		shared->is_settled[i] = submit(turn, &turn->settlement.work) == 0;
	}
}

/* As the supervisor does it. How many there were. */
static size_t handle_all(struct bench *bench)
{
	struct turn turn = { .bench = bench };
	int r = -EIO;
	for (int tries = 0; tries < MAX_TRIES && r < 0; tries++) {
		turn.claim = (struct store_claim){ .work = { .kind = WORK_CLAIM, .on_done = on_claimed },
										   .handler = SPAN("a"),
										   .now_ms = clock_wall_ms(),
										   .max = ARRAY_LENGTH(turn.claimed),
										   .max_bytes = SIZE_MAX,
										   .claimed = turn.claimed };
		r = submit(&turn, &turn.claim.work);
	}
	for (size_t i = 0; i < turn.claim.n; i++)
		handle(&turn, &turn.claimed[i]);
	return turn.claim.n;
}

static bool is_retained(struct bench *bench, const struct life *life)
{
	return !life->retention_age_ms || status_of(bench).oldest > life->n_old;
}

static void live(struct bench *bench, const struct life *life)
{
	bench->options.limits.retention_age_ms = life->retention_age_ms;
	(void)snprintf(ours, sizeof ours, "%s", bench->path);
	if (try_open(bench) < 0)
		return;
	for (size_t i = 0; i < MAX_EVENTS; i++) {
		send_until_acknowledged(bench, i, life);
		if (life->has_handler)
			(void)handle_all(bench);
	}
	/* an error makes upkeep wait for some seconds: nobody waits with it */
	if (plan.fault != FAULT_ERROR && plan.fault != FAULT_ERRORS)
		(void)WAIT_UNTIL(is_retained(bench, life));
	close_store(bench);
}

/* --- what must be true afterwards --------------------------------------------------------------------------------- */

static bool is_right(const struct event *event, const char *id, size_t i, size_t body_bytes)
{
	bool is = span_equal(event->event_id, span_text(id)) && event->body.n == body_bytes;
	return is && event->body.data[0] == 'a' + (int)i && event->body.data[body_bytes - 1] == 'a' + (int)i;
}

/* How often the event is in the journal, whole. */
static size_t count_event(const struct answer *answer, size_t i, size_t body_bytes)
{
	size_t n = 0;
	char id[16];
	(void)snprintf(id, sizeof id, "new-%zu", i);
	for (size_t k = 0; k < answer->n; k++)
		n += is_right(answer->events[k], id, i, body_bytes);
	return n;
}

static bool is_in_order(const struct answer *answer)
{
	for (size_t i = 0; i + 1 < answer->n; i++)
		if (answer->sequences[i] >= answer->sequences[i + 1])
			return false;
	return true;
}

/* Whatever is in the journal, acknowledged or not, has been handled or is handled now; and what was settled is not
 * handled again. */
static bool has_paid(struct bench *bench, const struct answer *answer)
{
	bool was_handled[MAX_EVENTS], was_settled[MAX_EVENTS], is = true;
	memcpy(was_handled, shared->is_handled, sizeof was_handled);
	memcpy(was_settled, shared->is_settled, sizeof was_settled);
	memset(shared->is_handled, 0, sizeof shared->is_handled);
	while (handle_all(bench)) {
	}
	for (size_t i = 0; i < answer->n; i++) {
		size_t k = number_of(answer->events[i]);
		if (k < MAX_EVENTS)
			is = is && (was_handled[k] || shared->is_handled[k]) && !(was_settled[k] && shared->is_handled[k]);
	}
	return is;
}

/* Whether the journal is as it must be after this life. */
static bool check(struct bench *bench, const struct life *life)
{
	CLEANUP(answer_finish) struct answer answer;
	size_t n = 0;
	bool is = true;
	bench->options.limits.retention_age_ms = 0;
	open_store(bench);
	ask(bench, (struct store_read){ 0 }, &answer);
	for (size_t i = 0; i < MAX_EVENTS; i++) {
		size_t found = count_event(&answer, i, life->body_bytes);
		is = is && (shared->is_acknowledged[i] ? found == 1 : found <= 1);
		n += found;
	}
	size_t n_old = answer.n - n; /* all of them, or what retention has left */
	is = is && answer.error == 0 && answer.n_damaged == 0 && is_in_order(&answer) && answer.n >= n;
	is = is && (life->retention_age_ms ? n_old <= life->n_old : n_old == life->n_old);
	is = is && append_id(bench, "another").status == COMMIT_STORED;
	is = is && (!life->has_handler || has_paid(bench, &answer));
	close_store(bench);
	return is;
}

/* --- every n ------------------------------------------------------------------------------------------------------ */

/* The journal before each life, as bytes: writing them leaves the file the same one. */
static struct span prepare(struct bench *bench, const struct life *life)
{
	if (life->n_old == 0)
		return SPAN("");
	open_store(bench);
	CU_ASSERT_TRUE(append_many(bench, 1, life->n_old, clock_wall_ms() - OLD_MS));
	close_store(bench);
	return read_all(bench->path);
}

static void restore(struct bench *bench, struct span before)
{
	char path[128];
	(void)snprintf(path, sizeof path, "%s-shm", bench->path);
	(void)unlink(path);
	(void)unlink(bench->wal_path);
	CU_ASSERT_TRUE(write_all(bench->path, before));
	memset(shared, 0, sizeof *shared);
}

static bool is_deadly(void)
{
	return plan.fault == FAULT_KILL || plan.fault == FAULT_KILL_AFTER;
}

/* Where it can end early, in a child process. */
static bool live_somewhere(struct bench *bench, const struct life *life)
{
	int status = 0;
	pid_t child = is_deadly() ? fork() : 0;
	if (child == 0)
		live(bench, life);
	if (child == 0 && is_deadly())
		_exit(0);
	ours[0] = '\0';
	bool is_over = child == 0 || (child > 0 && waitpid(child, &status, 0) == child);
	return is_over && (WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
}

static size_t count_acknowledged(void)
{
	size_t n = 0;
	for (size_t i = 0; i < MAX_EVENTS; i++)
		n += shared->is_acknowledged[i];
	return n;
}

/* Lives through one fault after the other until there is nothing left to strike. */
static size_t try_all(struct bench *bench, const struct life *life, struct span before)
{
	for (plan.n_before = 0;; plan.n_before++) {
		restore(bench, before);
		bool is = live_somewhere(bench, life);
		size_t n_calls = atomic_load(&shared->n_calls);
		is = check(bench, life) && is;
		if (!is)
			fprintf(stderr, "%s, %s: call %zu of %zu\n", life->name, plan.name, plan.n_before, n_calls);
		CU_ASSERT_TRUE(is);
		if (plan.fault == FAULT_SHORT || n_calls <= plan.n_before)
			CU_ASSERT_TRUE(count_acknowledged() == MAX_EVENTS && shared->n_failed == 0);
		if (n_calls <= plan.n_before)
			return n_calls;
	}
}

static const struct life lives[] = {
	{ "a new journal", 0, 0, 100, 1, false },        { "one that goes on", 20, 0, 100, 1, false },
	{ "retention", 300, OLD_MS / 2, 100, 1, false }, { "a checkpoint", 20, 0, 1200000, 127, false },
	{ "deliveries", 20, 0, 100, 1, true },
};

static void suffer(struct plan what)
{
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(shared != MAP_FAILED);
	plan = what;
	for (size_t i = 0; i < ARRAY_LENGTH(lives); i++) {
		CLEANUP(bench_finish) struct bench bench;
		bench_init(&bench);
		plan.pages_a_call = lives[i].pages_a_call;
		struct span before = prepare(&bench, &lives[i]);
		size_t n = try_all(&bench, &lives[i], before);
		printf("%s: %zu ", lives[i].name, n);
		CU_ASSERT_TRUE(n > 20); /* or nothing stands in front of the library */
		if (before.n)
			free((void *)(uintptr_t)before.data);
	}
	(void)munmap(shared, sizeof *shared);
}

static void test_a_kill(void)
{
	suffer((struct plan){ .name = "killed", .fault = FAULT_KILL, .spares_reads = true });
}

static void test_a_kill_in_the_middle(void)
{
	suffer((struct plan){ .name = "killed in the middle", .fault = FAULT_KILL_AFTER, .spares_reads = true });
}

static void test_half_a_transfer(void)
{
	suffer((struct plan){ .name = "short", .fault = FAULT_SHORT });
}

static void test_an_interruption(void)
{
	suffer((struct plan){ .name = "EINTR", .fault = FAULT_ERROR, .error = EINTR });
}

static void test_an_error(void)
{
	suffer((struct plan){ .name = "EIO", .fault = FAULT_ERROR, .error = EIO });
}

static void test_a_full_disk(void)
{
	suffer((struct plan){ .name = "ENOSPC", .fault = FAULT_ERROR, .error = ENOSPC, .spares_reads = true });
}

static void test_a_disk_that_stays_full(void)
{
	suffer((struct plan){ .name = "ENOSPC for ever", .fault = FAULT_ERRORS, .error = ENOSPC, .spares_reads = true });
}

/* --- a log that ends early ---------------------------------------------------------------------------------------- */

enum { N_KEPT = 3 };

static size_t size_of(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

/* Some events, each in a commit of its own; the log stays. */
static bool leave_a_log(struct bench *bench)
{
	if (try_open(bench) < 0)
		return false;
	for (size_t i = 0; i <= N_KEPT; i++) {
		atomic_store(&shared->n_calls, size_of(bench->wal_path));
		if (append_event(bench, make_numbered(i, 100), 0).status != COMMIT_STORED)
			return false;
	}
	return true;
}

/* All that was durable before the last commit is there; the last one is there or not. */
static bool has_kept(struct bench *bench, bool is_whole)
{
	CLEANUP(answer_finish) struct answer answer;
	open_store(bench);
	ask(bench, (struct store_read){ 0 }, &answer);
	bool is = answer.error == 0 && answer.n_damaged == 0 && answer.n == (is_whole ? N_KEPT + 1 : N_KEPT);
	for (size_t i = 0; i < answer.n; i++)
		is = is && count_event(&answer, i, 100) == 1;
	is = is && append_id(bench, "another").sequence == answer.n + 1;
	close_store(bench);
	return is;
}

/* At every byte of the headers of its frames, and here and there in the pages between them. */
static void test_a_log_cut_anywhere(void)
{
	enum { PAGE_BYTES = 4096, FRAME_BYTES = PAGE_BYTES + 24, STEP = 61 };
	CLEANUP(bench_finish) struct bench bench;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(shared != MAP_FAILED);
	bench_init(&bench);
	CU_ASSERT_TRUE_FATAL(in_child(leave_a_log, &bench));
	size_t start = atomic_load(&shared->n_calls);
	struct span file = read_all(bench.path), log = read_all(bench.wal_path);
	CU_ASSERT_FATAL(log.n != SIZE_MAX && start > 0 && log.n > start && (log.n - start) % FRAME_BYTES == 0);
	for (size_t n = start; n <= log.n; n += (n - start) % FRAME_BYTES < 24 ? 1 : STEP) {
		restore(&bench, file);
		CU_ASSERT_TRUE(write_all(bench.wal_path, span_of(log.data, n)));
		bool is = has_kept(&bench, n == log.n);
		if (!is)
			fprintf(stderr, "the log cut at %zu of %zu\n", n, log.n);
		CU_ASSERT_TRUE(is);
	}
	free((void *)(uintptr_t)file.data);
	free((void *)(uintptr_t)log.data);
	(void)munmap(shared, sizeof *shared);
}

UNIT_MAIN({ "killed at every call", test_a_kill }, { "killed within every call", test_a_kill_in_the_middle },
		  { "every call moves half of its bytes", test_half_a_transfer },
		  { "every call is interrupted", test_an_interruption }, { "every call fails once", test_an_error },
		  { "the disk is full for a call", test_a_full_disk },
		  { "the disk is full from a call on", test_a_disk_that_stays_full },
		  { "a log cut anywhere in its last part", test_a_log_cut_anywhere })
