/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/deliveries.h"
#include "store/journal.h"
#include "store/reader.h"
#include "store/upkeep.h"
#include "store/work.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* How often the writer looks whether a journal that could not be written can be written again. */
#define PROBE_NS (1ull * MS_PER_S * NS_PER_MS)
/* What a waiting event costs besides its body. */
#define EVENT_OVERHEAD_BYTES 512
/* Pieces of work in one transaction. */
#define MAX_WORK 1024
/* Events in one transaction, with those that come with work. */
#define MAX_ITEMS (JOURNAL_MAX_BATCH + MAX_WORK * SETTLEMENT_MAX_TOLD)

struct store {
	struct store_options options; /* {write_lock} its limits */
	struct journal *journal;
	struct reader *reader;
	pthread_t writer_thread, reader_thread;
	bool has_writer, has_reader;

	pthread_mutex_t write_lock;
	pthread_cond_t write_wake;
	struct append *appends, **appends_end; /* {write_lock} */
	struct store_work *work, **work_end;   /* {write_lock} */
	struct store_status status;            /* {write_lock} but what the journal itself counts */
	uint64_t writer_since_ns;              /* {write_lock}: busy since then; 0 if it is not */
	bool is_closing;                       /* {write_lock} */
	bool has_new_limits;                   /* {write_lock}: the writer has not seen them yet */
	struct commit_item items[MAX_ITEMS];   /* the writer's */

	pthread_mutex_t read_lock;
	pthread_cond_t read_wake;
	struct store_question *questions, **questions_end; /* {read_lock} */
	uint64_t reader_since_ns;                          /* {read_lock}: as writer_since_ns */
	bool is_reader_closing;                            /* {read_lock} */
};

static uint64_t queue_cost(const struct event *event)
{
	return event->body.n + EVENT_OVERHEAD_BYTES;
}

/* --- the writer --------------------------------------------------------------------------------------------------- */

static void wait_for_more(struct store *store, uint64_t ns)
{
	struct timespec until;
	if (ns == UPKEEP_FOREVER) {
		(void)pthread_cond_wait(&store->write_wake, &store->write_lock);
		return;
	}
	uint64_t at = clock_monotonic_ns() + ns;
	until.tv_sec = (time_t)(at / (NS_PER_MS * MS_PER_S));
	until.tv_nsec = (long)(at % (NS_PER_MS * MS_PER_S));
	(void)pthread_cond_timedwait(&store->write_wake, &store->write_lock, &until);
}

/* The lock is held. */
static struct store_work *take_work(struct store *store)
{
	struct store_work *work = store->work, **end = &store->work;
	for (size_t n = 0; *end && n < MAX_WORK; n++)
		end = &(*end)->next;
	store->work = *end;
	if (!store->work)
		store->work_end = &store->work;
	*end = NULL;
	return work;
}

/* All that waits, as far as it fits into one batch. Waits for at most `ns` if nothing does. False at the end. */
static bool take_batch(struct store *store, uint64_t ns, size_t *ret_n, struct store_work **ret_work)
{
	size_t n = 0;
	(void)pthread_mutex_lock(&store->write_lock);
	if (!store->appends && !store->work && !store->is_closing && !store->has_new_limits && ns > 0) {
		store->writer_since_ns = 0;
		wait_for_more(store, ns);
	}
	store->writer_since_ns = clock_monotonic_ns();
	while (store->appends && n < JOURNAL_MAX_BATCH) {
		struct append *append = store->appends;
		store->appends = append->next;
		store->status.queue_bytes -= queue_cost(append->event);
		store->status.n_queued--;
		/* the caller's memory may go as soon as it is answered; the batch needs the event a little longer */
		store->items[n++] = (struct commit_item){ .append = append, .event = event_ref(append->event) };
	}
	if (!store->appends)
		store->appends_end = &store->appends;
	struct store_work *work = take_work(store);
	if (store->has_new_limits)
		upkeep_set_limits(store->journal, &store->options.limits);
	store->has_new_limits = false;
	bool goes_on = n > 0 || work || !store->is_closing;
	(void)pthread_mutex_unlock(&store->write_lock);
	*ret_n = n;
	*ret_work = work;
	return goes_on;
}

static void count(struct store *store, size_t n, int error)
{
	struct store_status *status = &store->status;
	(void)pthread_mutex_lock(&store->write_lock);
	status->last_error = error;
	status->n_commits += n && error == 0;
	status->n_failed_commits += n && error != 0;
	for (size_t i = 0; i < n; i++) {
		const struct commit_item *item = &store->items[i];
		status->n_failed += item->status == COMMIT_FAILED;
		status->n_duplicates += item->status == COMMIT_DUPLICATE;
		status->n_appended += item->status == COMMIT_STORED;
		status->n_malformed += item->status == COMMIT_STORED && item->event->kind == EVENT_MALFORMED;
	}
	(void)pthread_mutex_unlock(&store->write_lock);
}

static void end_work(struct store *store, struct store_work *work, int r)
{
	while (work) {
		struct store_work *next = work->next; /* `work` may be gone when it has been ended */
		work_end(store->journal, work, r);
		work = next;
	}
}

/* The events that come with the work, behind the first n. How many there are now. */
static size_t add_told(struct store *store, const struct store_work *work, size_t n)
{
	for (; work; work = work->next) {
		if (work->kind != WORK_SETTLE)
			continue;
		const struct store_settlement *settlement = (const struct store_settlement *)work;
		for (size_t i = 0; i < settlement->n_told; i++) {
			struct append *append = settlement->told[i];
			store->items[n++] = (struct commit_item){ .append = append, .event = event_ref(append->event) };
		}
	}
	return n;
}

static void report(struct store *store, size_t n)
{
	if (n)
		store->options.on_commit(store->options.context, &(struct commit){ store->items, n, store_head(store) });
	for (size_t i = 0; i < n; i++)
		event_unref(store->items[i].event);
}

/* Each piece in a transaction of its own. */
static void work_alone(struct store *store, struct store_work *work)
{
	while (work) {
		struct store_work *next = work->next;
		work->next = NULL;
		size_t n = add_told(store, work, 0);
		int r = journal_commit(store->journal, store->items, n, work);
		if (r < 0)
			log_error_limited("what handlers are owed cannot be read or written", LOG_TEXT("path", store->options.path),
							  LOG_ERRNO(r));
		else
			count(store, n, r);
		report(store, n);
		work_end(store->journal, work, r);
		work = next;
	}
}

/* What the last commit of events came to. A page of the deliveries' tables that is damaged must not keep callbacks out,
 * nor other work: then all are on their own. */
static int commit(struct store *store, size_t n, struct store_work *work)
{
	size_t n_all = add_told(store, work, n);
	int r = journal_commit(store->journal, store->items, n_all, work);
	bool is_apart = r == -EUCLEAN && work;
	if (is_apart) {
		for (; n_all > n; n_all--)
			event_unref(store->items[n_all - 1].event);
		r = n ? journal_commit(store->journal, store->items, n, NULL) : 0;
	}
	if (r < 0)
		log_error_limited("the journal cannot be written", LOG_TEXT("path", store->options.path), LOG_ERRNO(r));
	count(store, n_all, r);
	report(store, n_all);
	if (is_apart)
		work_alone(store, work);
	else
		end_work(store, work, r);
	return r;
}

static void *write_loop(void *argument)
{
	struct store *store = argument;
	struct store_work *work;
	size_t n;
	uint64_t rest_ns = 0;
	int error = store->journal->is_ready ? 0 : -EIO;
	journal_remember(store->journal);
	while (take_batch(store, rest_ns, &n, &work)) {
		if (n || work || error)
			error = commit(store, n, work);
		rest_ns = upkeep_step(store->journal);
		if (error && rest_ns > PROBE_NS)
			rest_ns = PROBE_NS;
	}
	return NULL;
}

/* --- the reader --------------------------------------------------------------------------------------------------- */

/* NULL at the end. */
static struct store_question *take_question(struct store *store)
{
	(void)pthread_mutex_lock(&store->read_lock);
	while (!store->questions && !store->is_reader_closing) {
		store->reader_since_ns = 0;
		(void)pthread_cond_wait(&store->read_wake, &store->read_lock);
	}
	struct store_question *question = store->questions;
	store->reader_since_ns = clock_monotonic_ns();
	if (question)
		store->questions = question->next;
	if (!store->questions)
		store->questions_end = &store->questions;
	(void)pthread_mutex_unlock(&store->read_lock);
	return question;
}

static void *read_loop(void *argument)
{
	struct store *store = argument;
	struct store_question *question;
	while ((question = take_question(store)))
		reader_answer(store->reader, question);
	return NULL;
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */

static int create(const struct store_options *options, struct store **ret_store)
{
	pthread_condattr_t attributes;
	struct store *store = calloc(1, sizeof *store);
	if (!store)
		return -ENOMEM;
	store->options = *options;
	store->appends_end = &store->appends;
	store->work_end = &store->work;
	store->questions_end = &store->questions;
	(void)pthread_mutex_init(&store->write_lock, NULL);
	(void)pthread_mutex_init(&store->read_lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&store->write_wake, &attributes);
	(void)pthread_cond_init(&store->read_wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	*ret_store = store;
	return 0;
}

int store_open(const struct store_options *options, struct store **ret_store, char **ret_message)
{
	CLEANUP(store_close) struct store *store = NULL;
	*ret_message = NULL;
	int r = create(options, &store);
	if (r == 0)
		r = journal_open(options, &store->journal, ret_message);
	if (r == 0)
		r = reader_create(store->journal, &store->reader);
	if (r == 0)
		r = -pthread_create(&store->reader_thread, NULL, read_loop, store);
	if (r < 0)
		return r;
	store->has_reader = true;
	(void)pthread_setname_np(store->reader_thread, "reader");
	r = -pthread_create(&store->writer_thread, NULL, write_loop, store);
	if (r < 0)
		return r;
	store->has_writer = true;
	(void)pthread_setname_np(store->writer_thread, "writer");
	*ret_store = STEAL(store);
	return 0;
}

static void stop(pthread_mutex_t *lock, pthread_cond_t *wake, bool *is_closing, pthread_t thread)
{
	(void)pthread_mutex_lock(lock);
	*is_closing = true;
	(void)pthread_cond_signal(wake);
	(void)pthread_mutex_unlock(lock);
	(void)pthread_join(thread, NULL);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->has_writer)
		stop(&store->write_lock, &store->write_wake, &store->is_closing, store->writer_thread);
	if (store->has_reader)
		stop(&store->read_lock, &store->read_wake, &store->is_reader_closing, store->reader_thread);
	reader_destroy(store->reader);
	journal_close(store->journal);
	(void)pthread_cond_destroy(&store->write_wake);
	(void)pthread_cond_destroy(&store->read_wake);
	(void)pthread_mutex_destroy(&store->write_lock);
	(void)pthread_mutex_destroy(&store->read_lock);
	free(store);
}

/* --- for everybody ------------------------------------------------------------------------------------------------ */

int store_append(struct store *store, struct append *append)
{
	int r = 0;
	uint64_t cost = queue_cost(append->event);
	append->next = NULL;
	(void)pthread_mutex_lock(&store->write_lock);
	if (store->is_closing) {
		r = -ESHUTDOWN;
	} else if (store->status.queue_bytes + cost > store->options.limits.max_queue_bytes) {
		r = -ENOBUFS;
	} else {
		store->status.queue_bytes += cost;
		store->status.n_queued++;
		if (!store->writer_since_ns)
			store->writer_since_ns = clock_monotonic_ns();
		*store->appends_end = append;
		store->appends_end = &append->next;
	}
	(void)pthread_mutex_unlock(&store->write_lock);
	return r;
}

void store_set_limits(struct store *store, const struct store_limits *limits)
{
	(void)pthread_mutex_lock(&store->write_lock);
	store->options.limits = *limits;
	store->has_new_limits = true;
	(void)pthread_mutex_unlock(&store->write_lock);
	(void)pthread_cond_signal(&store->write_wake);
}

void store_wake(struct store *store)
{
	(void)pthread_mutex_lock(&store->write_lock);
	bool has_work = store->appends || store->work;
	(void)pthread_mutex_unlock(&store->write_lock);
	if (has_work) /* not under the lock: the first that the writer wants is the lock */
		(void)pthread_cond_signal(&store->write_wake);
}

int store_submit(struct store *store, struct store_work *work)
{
	int r = 0;
	work->next = NULL;
	(void)pthread_mutex_lock(&store->write_lock);
	if (store->is_closing) {
		r = -ESHUTDOWN;
	} else {
		if (!store->writer_since_ns)
			store->writer_since_ns = clock_monotonic_ns();
		*store->work_end = work;
		store->work_end = &work->next;
	}
	(void)pthread_mutex_unlock(&store->write_lock);
	return r;
}

static int ask(struct store *store, struct store_question *question)
{
	int r = 0;
	question->next = NULL;
	(void)pthread_mutex_lock(&store->read_lock);
	if (store->is_reader_closing) {
		r = -ESHUTDOWN;
	} else {
		if (!store->reader_since_ns)
			store->reader_since_ns = clock_monotonic_ns();
		*store->questions_end = question;
		store->questions_end = &question->next;
		(void)pthread_cond_signal(&store->read_wake);
	}
	(void)pthread_mutex_unlock(&store->read_lock);
	return r;
}

int store_read(struct store *store, struct store_read *read)
{
	read->question.kind = QUESTION_EVENTS;
	return ask(store, &read->question);
}

int store_ask_deliveries(struct store *store, struct store_deliveries *question)
{
	question->question.kind = QUESTION_DELIVERIES;
	return ask(store, &question->question);
}

int store_ask_owed(struct store *store, struct store_owed *question)
{
	question->question.kind = QUESTION_OWED;
	return ask(store, &question->question);
}

int store_ask_state(struct store *store, struct store_state *question)
{
	question->question.kind = QUESTION_STATE;
	return ask(store, &question->question);
}

uint64_t store_count_owed(const struct store *store, struct span handler)
{
	return owed_counts_get(store->journal->owed, handler);
}

const char *store_epoch(const struct store *store)
{
	return store->journal->epoch;
}

uint64_t store_head(const struct store *store)
{
	return atomic_load(&store->journal->head);
}

static uint64_t busy_ns(uint64_t since_ns)
{
	return since_ns ? clock_monotonic_ns() - since_ns : 0;
}

void store_get_status(struct store *store, struct store_status *ret_status)
{
	const struct journal *journal = store->journal;
	(void)pthread_mutex_lock(&store->write_lock);
	*ret_status = store->status;
	ret_status->writer_busy_ns = busy_ns(store->writer_since_ns);
	(void)pthread_mutex_unlock(&store->write_lock);
	(void)pthread_mutex_lock(&store->read_lock);
	ret_status->reader_busy_ns = busy_ns(store->reader_since_ns);
	(void)pthread_mutex_unlock(&store->read_lock);
	ret_status->head = atomic_load(&journal->head);
	ret_status->oldest = atomic_load(&journal->oldest);
	ret_status->n_bytes = atomic_load(&journal->n_bytes);
	ret_status->n_free_bytes = atomic_load(&journal->n_free_bytes);
	ret_status->n_damaged = atomic_load(&journal->n_damaged);
	ret_status->n_damaged_deliveries = atomic_load(&journal->n_damaged_deliveries);
	ret_status->is_held = atomic_load(&journal->is_held);
}
