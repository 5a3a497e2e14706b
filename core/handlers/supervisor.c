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
	for (size_t i = 0; i < supervisor->n_handlers; i++)
		for (struct worker *worker = supervisor->handlers[i].workers; worker; worker = worker->next)
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
	for (size_t i = 0; i < supervisor->n_handlers; i++)
		handler_touch(&supervisor->handlers[i]);
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
	for (size_t i = 0; i < supervisor->n_handlers; i++)
		if (atomic_load_explicit(&supervisor->handlers[i].has_news, memory_order_relaxed))
			handler_touch(&supervisor->handlers[i]);
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
	for (size_t i = 0; i < supervisor->n_handlers; i++)
		if (handler_next_ms(&supervisor->handlers[i]) <= now_ms)
			handler_touch(&supervisor->handlers[i]);
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
	for (size_t i = 0; i < supervisor->n_handlers; i++) {
		int64_t next_ms = handler_next_ms(&supervisor->handlers[i]);
		at_ms = next_ms < at_ms ? next_ms : at_ms;
	}
	(void)uv_timer_start(&supervisor->timer, on_timer, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0, 0);
}

static bool has_nothing(const struct supervisor *supervisor)
{
	return supervisor->n_in_hand == 0 && supervisor->n_claims == 0 && supervisor->n_workers == 0 &&
		   supervisor->n_answers == 0;
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

void supervisor_note_owed(struct supervisor *supervisor, size_t handler)
{
	atomic_store_explicit(&supervisor->handlers[handler].has_news, true, memory_order_relaxed);
}

void supervisor_note_all(struct supervisor *supervisor)
{
	for (size_t i = 0; i < supervisor->n_handlers; i++)
		supervisor_note_owed(supervisor, i);
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

void supervisor_get_counts(const struct supervisor *supervisor, size_t handler, struct supervisor_counts *ret_counts)
{
	const struct handler *h = &supervisor->handlers[handler];
	*ret_counts = (struct supervisor_counts){
		.n_done = atomic_load(&h->n_done),
		.n_retried = atomic_load(&h->n_retried),
		.n_dead = atomic_load(&h->n_dead),
		.n_crashed = atomic_load(&h->n_crashed),
		.n_processes = atomic_load(&h->n_processes),
		.n_in_hand = atomic_load(&h->n_held),
		.is_paused = atomic_load(&h->is_paused),
	};
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

static int create_handlers(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	supervisor->handlers = calloc(config->n_handlers, sizeof *supervisor->handlers);
	if (!supervisor->handlers)
		return -ENOMEM;
	supervisor->n_handlers = config->n_handlers;
	for (size_t i = 0; i < config->n_handlers; i++) {
		struct handler *handler = &supervisor->handlers[i];
		handler->supervisor = supervisor;
		handler->config = &config->handlers[i];
		handler->index = i;
		handler->ready_end = &handler->ready;
		handler_touch(handler); /* what is owed from before is due at once */
	}
	return 0;
}

int supervisor_create(const struct config *config, struct store *store, struct supervisor **ret_supervisor)
{
	struct supervisor *supervisor = calloc(1, sizeof *supervisor);
	if (!supervisor)
		return -ENOMEM;
	supervisor->config = config;
	supervisor->store = store;
	inbox_init(&supervisor->inbox);
	int r = vault_create(config->journal.path, &supervisor->vault);
	if (r == 0)
		r = create_handlers(supervisor);
	if (r == 0)
		r = create_loop(supervisor);
	if (r < 0) {
		supervisor_destroy(supervisor);
		return r;
	}
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
	free(supervisor->handlers);
	vault_destroy(supervisor->vault);
	inbox_finish(&supervisor->inbox);
	free(supervisor);
}
