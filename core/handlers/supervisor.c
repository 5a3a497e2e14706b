/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/supervisor.h"

#include "base/clock.h"
#include "base/log.h"
#include "handlers/internal.h"

#include <errno.h>

/* What could not be written is tried again so soon. */
#define AGAIN_MS 1000

/* --- the inbox ---------------------------------------------------------------------------------------------------- */

void supervisor_post(struct supervisor *supervisor, struct supervisor_note *note)
{
	inbox_put(&supervisor->inbox, &note->item);
	(void)uv_async_send(&supervisor->wake);
}

static void run_notes(struct supervisor *supervisor)
{
	struct inbox_item *item = inbox_take(&supervisor->inbox);
	while (item) {
		struct supervisor_note *note = CONTAINER_OF(item, struct supervisor_note, item);
		item = item->next; /* the note may go */
		note->run(supervisor, note);
	}
}

/* --- stopping ----------------------------------------------------------------------------------------------------- */

static void for_each_worker(struct supervisor *supervisor, void (*call)(struct worker *worker))
{
	for (struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next)
		for (struct worker *worker = handler->workers; worker; worker = worker->next)
			call(worker);
}

static void stop_unless_busy(struct worker *worker)
{
	if (worker->state != WORKER_BUSY)
		worker_stop(worker);
}

static void kill_it(struct worker *worker)
{
	worker_kill(worker, "killed: the gateway stops");
}

static void touch_all(struct supervisor *supervisor)
{
	for (struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next)
		handler_touch(handler);
}

static void begin_drain(struct supervisor *supervisor)
{
	supervisor->is_draining = true;
	for_each_worker(supervisor, stop_unless_busy);
	touch_all(supervisor);
}

/* What cannot be written now is found claimed at the next start. */
static void drop_unsettled(struct supervisor *supervisor)
{
	while (supervisor->unsettled) {
		struct job *job = supervisor->unsettled;
		supervisor->unsettled = job->next;
		job_destroy(job);
	}
}

static void begin_stop(struct supervisor *supervisor)
{
	supervisor->is_stopping = supervisor->is_draining = true;
	for_each_worker(supervisor, kill_it);
	drop_unsettled(supervisor);
	touch_all(supervisor);
}

static void mind_wishes(struct supervisor *supervisor)
{
	if (atomic_load(&supervisor->wants_drain) && !supervisor->is_draining)
		begin_drain(supervisor);
	if (atomic_load(&supervisor->wants_stop) && !supervisor->is_stopping)
		begin_stop(supervisor);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void look_for_news(struct supervisor *supervisor)
{
	for (struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next)
		if (atomic_load_explicit(&handler->has_news, memory_order_relaxed))
			handler_touch(handler);
}

static void on_wake(uv_async_t *wake)
{
	struct supervisor *supervisor = wake->data;
	run_notes(supervisor);
	look_for_news(supervisor);
	mind_wishes(supervisor);
}

static void on_timer(uv_timer_t *timer)
{
	struct supervisor *supervisor = timer->data;
	int64_t now_ms = clock_wall_ms();
	for (struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next)
		if (handler_next_ms(handler) <= now_ms)
			handler_touch(handler);
}

static void on_again(uv_timer_t *timer)
{
	struct supervisor *supervisor = timer->data;
	struct job *job = supervisor->unsettled;
	supervisor->unsettled = NULL;
	while (job) {
		struct job *next = job->next;
		job_submit(job);
		job = next;
	}
}

/* The earliest of the handlers' wishes. */
static void set_timer(struct supervisor *supervisor)
{
	/* a clock that is put forward is noticed within a minute */
	int64_t now_ms = clock_wall_ms(), at_ms = now_ms + 60 * MS_PER_S;
	for (const struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next) {
		int64_t next_ms = handler_next_ms(handler);
		at_ms = next_ms < at_ms ? next_ms : at_ms;
	}
	(void)uv_timer_start(&supervisor->timer, on_timer, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

static bool has_nothing(const struct supervisor *supervisor)
{
	return supervisor->n_in_hand == 0 && supervisor->n_claims == 0 && supervisor->n_workers == 0 &&
		   supervisor->n_answers == 0;
}

static void forget(struct supervisor *supervisor, struct handler *handler)
{
	(void)pthread_mutex_lock(&supervisor->lock);
	HASH_DEL(supervisor->handlers, handler);
	(void)pthread_mutex_unlock(&supervisor->lock);
	handler_destroy(handler);
}

/* Before the loop waits, everybody for whom something has changed is looked after, once. */
static void on_before_waiting(uv_prepare_t *before_waiting)
{
	struct supervisor *supervisor = before_waiting->data;
	bool has_stepped = supervisor->to_step;
	while (supervisor->to_step) {
		struct handler *handler = supervisor->to_step;
		supervisor->to_step = handler->next_to_step;
		handler->is_listed = false;
		handler_step(handler);
		if (handler->is_removed && !handler->is_listed && handler_is_at_rest(handler))
			forget(supervisor, handler);
	}
	if (supervisor->has_submitted)
		store_wake(supervisor->store);
	supervisor->has_submitted = false;
	if (has_stepped && !supervisor->is_draining)
		set_timer(supervisor);
	if (supervisor->unsettled && !uv_is_active((uv_handle_t *)&supervisor->again))
		(void)uv_timer_start(&supervisor->again, on_again, AGAIN_MS, 0);
	atomic_store(&supervisor->is_idle, supervisor->is_draining && has_nothing(supervisor));
	if (supervisor->is_stopping && has_nothing(supervisor))
		uv_stop(&supervisor->loop);
}

static void *run(void *argument)
{
	struct supervisor *supervisor = argument;
	(void)uv_run(&supervisor->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* --- for other threads -------------------------------------------------------------------------------------------- */

static struct handler *find(struct supervisor *supervisor, struct span name)
{
	struct handler *handler;
	HASH_FIND(hh, supervisor->handlers, name.data, name.n, handler);
	return handler;
}

void supervisor_note_owed(struct supervisor *supervisor, struct span name)
{
	(void)pthread_mutex_lock(&supervisor->lock);
	struct handler *handler = find(supervisor, name);
	if (handler) /* else it waits in the journal */
		atomic_store_explicit(&handler->has_news, true, memory_order_relaxed);
	(void)pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_note_all(struct supervisor *supervisor)
{
	(void)pthread_mutex_lock(&supervisor->lock);
	for (struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next)
		atomic_store_explicit(&handler->has_news, true, memory_order_relaxed);
	(void)pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_wake(struct supervisor *supervisor)
{
	(void)uv_async_send(&supervisor->wake);
}

void supervisor_drain(struct supervisor *supervisor)
{
	atomic_store(&supervisor->wants_drain, true);
	supervisor_wake(supervisor);
}

bool supervisor_is_idle(struct supervisor *supervisor)
{
	return atomic_load(&supervisor->is_idle);
}

static void read_counts(const struct handler *handler, struct supervisor_counts *ret_counts)
{
	*ret_counts = (struct supervisor_counts){
		.n_done = atomic_load(&handler->n_done),
		.n_retried = atomic_load(&handler->n_retried),
		.n_dead = atomic_load(&handler->n_dead),
		.n_crashed = atomic_load(&handler->n_crashed),
		.n_processes = atomic_load(&handler->n_processes),
		.n_in_hand = atomic_load(&handler->n_held),
		.is_paused = atomic_load(&handler->is_paused),
		.paused_until_ms = atomic_load(&handler->paused_until_ms),
		.is_failing = atomic_load(&handler->is_failing),
		.mean_ns = atomic_load(&handler->told_mean_ns),
		.took.sum_ns = atomic_load(&handler->took_sum_ns),
	};
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		ret_counts->took.n[i] = atomic_load(&handler->took[i]);
}

void supervisor_get_counts(struct supervisor *supervisor, struct span name, struct supervisor_counts *ret_counts)
{
	*ret_counts = (struct supervisor_counts){ 0 };
	(void)pthread_mutex_lock(&supervisor->lock);
	const struct handler *handler = find(supervisor, name);
	if (handler)
		read_counts(handler, ret_counts);
	(void)pthread_mutex_unlock(&supervisor->lock);
}

void supervisor_add_history(struct supervisor *supervisor, uint64_t first_slot, size_t slots_a_point, size_t n_points,
							uint64_t *sums)
{
	(void)pthread_mutex_lock(&supervisor->lock);
	history_add_up(supervisor->history, first_slot, slots_a_point, n_points, sums);
	(void)pthread_mutex_unlock(&supervisor->lock);
}

/* --- another configuration ---------------------------------------------------------------------------------------- */

struct supervisor_switch {
	struct supervisor_note note; /* first */
	struct generation *generation;
	struct handler **handlers; /* in the order of the configuration; those that are there already go unused */
	size_t n_handlers;
	void (*done)(void *context);
	void *context;
};

int supervisor_switch_create(struct supervisor *supervisor, struct generation *generation, void (*done)(void *context),
							 void *context, struct supervisor_switch **ret_switch)
{
	const struct config *config = generation->config;
	CLEANUP(supervisor_switch_destroy) struct supervisor_switch *change = calloc(1, sizeof *change);
	if (!change)
		return -ENOMEM;
	change->generation = generation_ref(generation);
	change->done = done;
	change->context = context;
	change->handlers = calloc(config->n_handlers + 1, sizeof(struct handler *));
	if (!change->handlers)
		return -ENOMEM;
	for (; change->n_handlers < config->n_handlers; change->n_handlers++) {
		int r = handler_create(supervisor, generation, &config->handlers[change->n_handlers],
							   &change->handlers[change->n_handlers]);
		if (r < 0)
			return r;
	}
	*ret_switch = STEAL(change);
	return 0;
}

void supervisor_switch_destroy(struct supervisor_switch *change)
{
	if (!change)
		return;
	for (size_t i = 0; i < change->n_handlers; i++)
		handler_destroy(change->handlers[i]);
	free(change->handlers);
	generation_unref(change->generation);
	free(change);
}

/* What is owed to one that is new is due at once. */
static void add_handler(struct supervisor *supervisor, struct handler *handler)
{
	(void)pthread_mutex_lock(&supervisor->lock);
	HASH_ADD_KEYPTR(hh, supervisor->handlers, handler->name, strlen(handler->name), handler);
	(void)pthread_mutex_unlock(&supervisor->lock);
	handler_touch(handler);
}

static void remove_others(struct supervisor *supervisor)
{
	for (struct handler *handler = supervisor->handlers; handler; handler = handler->hh.next)
		if (handler->generation != supervisor->generation) {
			handler->is_removed = true;
			handler_touch(handler);
		}
}

static void apply(struct supervisor *supervisor, struct supervisor_switch *change)
{
	struct generation *old = supervisor->generation;
	supervisor->generation = generation_ref(change->generation);
	supervisor->config = supervisor->generation->config;
	for (size_t i = 0; i < change->n_handlers; i++) {
		struct handler *known = find(supervisor, span_text(change->handlers[i]->name));
		if (known)
			handler_set_config(known, supervisor->generation, change->handlers[i]->config);
		else
			add_handler(supervisor, STEAL(change->handlers[i]));
	}
	remove_others(supervisor);
	generation_unref(old);
}

static void on_switch(struct supervisor *supervisor, struct supervisor_note *note)
{
	struct supervisor_switch *change = CONTAINER_OF(note, struct supervisor_switch, note);
	apply(supervisor, change);
	change->done(change->context);
	supervisor_switch_destroy(change);
}

void supervisor_switch(struct supervisor *supervisor, struct supervisor_switch *change)
{
	change->note.run = on_switch;
	supervisor_post(supervisor, &change->note);
}

/* --- creating and destroying -------------------------------------------------------------------------------------- */

static int create_loop(struct supervisor *supervisor)
{
	if (uv_loop_init(&supervisor->loop) < 0)
		return -ENOMEM;
	supervisor->has_loop = true;
	supervisor->wake.data = supervisor->timer.data = supervisor->again.data = supervisor;
	supervisor->before_waiting.data = supervisor;
	if (uv_async_init(&supervisor->loop, &supervisor->wake, on_wake) < 0)
		return -ENOMEM;
	(void)uv_timer_init(&supervisor->loop, &supervisor->timer);
	(void)uv_timer_init(&supervisor->loop, &supervisor->again);
	(void)uv_prepare_init(&supervisor->loop, &supervisor->before_waiting);
	(void)uv_prepare_start(&supervisor->before_waiting, on_before_waiting);
	return 0;
}

int supervisor_create(struct generation *generation, struct store *store, struct supervisor **ret_supervisor)
{
	struct supervisor *supervisor = calloc(1, sizeof *supervisor);
	struct supervisor_switch *change = NULL;
	if (!supervisor)
		return -ENOMEM;
	supervisor->store = store;
	(void)pthread_mutex_init(&supervisor->lock, NULL);
	inbox_init(&supervisor->inbox);
	int r = vault_create(generation->config->journal.path, &supervisor->vault);
	if (r == 0)
		r = history_create(SUPERVISOR_HISTORY_COLUMNS, &supervisor->history);
	if (r == 0)
		r = create_loop(supervisor);
	if (r == 0)
		r = supervisor_switch_create(supervisor, generation, NULL, NULL, &change);
	if (r < 0) {
		supervisor_destroy(supervisor);
		return r;
	}
	apply(supervisor, change);
	supervisor_switch_destroy(change);
	*ret_supervisor = supervisor;
	return 0;
}

int supervisor_start(struct supervisor *supervisor)
{
	int r = pthread_create(&supervisor->thread, NULL, run, supervisor);
	if (r)
		return -r;
	supervisor->has_thread = true;
	(void)pthread_setname_np(supervisor->thread, "supervisor");
	return 0;
}

void supervisor_stop(struct supervisor *supervisor)
{
	if (!supervisor || !supervisor->has_thread)
		return;
	atomic_store(&supervisor->wants_stop, true);
	supervisor_wake(supervisor);
	(void)pthread_join(supervisor->thread, NULL);
	supervisor->has_thread = false;
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void supervisor_destroy(struct supervisor *supervisor)
{
	if (!supervisor)
		return;
	if (supervisor->has_loop) {
		uv_walk(&supervisor->loop, close_handle, NULL);
		(void)uv_run(&supervisor->loop, UV_RUN_DEFAULT);
		(void)uv_loop_close(&supervisor->loop);
	}
	run_notes(supervisor); /* a switch may have come too late */
	struct handler *handler, *next;
	HASH_ITER(hh, supervisor->handlers, handler, next)
	{
		HASH_DEL(supervisor->handlers, handler);
		handler_destroy(handler);
	}
	generation_unref(supervisor->generation);
	vault_destroy(supervisor->vault);
	history_destroy(supervisor->history);
	inbox_finish(&supervisor->inbox);
	(void)pthread_mutex_destroy(&supervisor->lock);
	free(supervisor);
}
