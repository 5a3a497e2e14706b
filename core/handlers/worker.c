/* SPDX-License-Identifier: Apache-2.0 */
/* One process of a handler, from its configuration to its end. */
#include "base/clock.h"
#include "base/log.h"
#include "handlers/internal.h"
#include "wire/order.h"

#include <errno.h>
#include <stdio.h>

/* Loading the plugin and create() may take so long. */
#define START_MS 10000
/* destroy() may. */
#define STOP_MS 2000
/* The handler's own bounds end at the deadline: then it may say so. */
#define GRACE_MS 250
/* Pauses before it is started again: doubled each time that it ends by itself. */
#define BACKOFF_LEAST_NS (100ull * NS_PER_MS)
#define BACKOFF_MOST_NS (30000ull * NS_PER_MS)
/* The third time in a row. */
#define BACKOFF_FAILING_NS (4 * BACKOFF_LEAST_NS)
/* Lines in the log, of one process in one second. */
#define MAX_LINES 100

#define REASON_LATE "killed at its deadline"
#define REASON_START "killed: it was not ready in time"
#define REASON_STOP "killed: it did not stop"

static const char *name_of(const struct worker *worker)
{
	return worker->handler->name;
}

/* --- saying ------------------------------------------------------------------------------------------------------- */

static void send_head(struct worker *worker, struct buffer *head, struct span payload)
{
	if (head->failed)
		worker_kill(worker, "out of memory");
	else
		process_send(worker->process, buffer_span(head), payload);
}

static void configure(struct worker *worker)
{
	const struct config_handler *config = worker->handler->config;
	const struct config_confinement *confinement = &config->confinement;
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	order_add_configuration(
		&head, &(struct order_configuration){ .handler = span_text(config->name),
											  .plugin = span_text(config->file),
											  .options = span_text(config->options ? config->options : "{}"),
											  .when = span_text(config->condition),
											  .allows_exec = confinement->allows_exec,
											  .allows_inner = confinement->allows_inner,
											  .memory_bytes = confinement->memory_bytes,
											  .descriptors = confinement->descriptors,
											  .processes = confinement->processes });
	send_head(worker, &head, SPAN(""));
	if (head.n)
		secret_wipe(head.data, head.n);
}

/* A malformed event has no interactions: it is here because it is a dead letter. */
static struct interaction interaction_of(const struct job *job)
{
	const struct event *event = job->event;
	if (event->n_interactions == 0)
		return (struct interaction){ SPAN("belfry_dead_letter"), event->malformed };
	return event->interactions[job->delivery.interaction];
}

/* Its key is POSITION.INDEX.HANDLER: the same at each attempt, and of no other delivery. */
static void add_delivery(struct buffer *head, const struct job *job)
{
	const struct config_handler *config = job->handler->config;
	struct position position = { .sequence = job->delivery.sequence };
	const char *epoch = store_epoch(job->handler->supervisor->store);
	CLEANUP(buffer_finish) struct buffer key = BUFFER_INIT;
	char text[POSITION_TEXT_SIZE];
	memcpy(position.epoch, epoch, strnlen(epoch, POSITION_MAX_EPOCH));
	size_t n = position_format(&position, text);
	buffer_add_printf(&key, "%s.%d.%s", text, (int)job->delivery.interaction, config->name);
	order_add_delivery(head, &(struct order_delivery){ .event = job->event,
													   .interaction = interaction_of(job),
													   .index = job->delivery.interaction,
													   .key = buffer_span(&key),
													   .position = span_of(text, n),
													   .attempt = schedule_attempt_number(&job->delivery),
													   .max_attempts = (int64_t)config->retry.max_attempts,
													   .deadline_ms = config->deadline_ms });
	head->failed |= key.failed;
}

void worker_reply(struct worker *worker, int error, struct span text, struct span payload)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	worker->ask = 0;
	order_add_reply(&head, error, text);
	send_head(worker, &head, payload);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static void on_start_timeout(uv_timer_t *timer)
{
	worker_kill(timer->data, REASON_START);
}

static void on_deadline(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	worker->is_late = true;
	worker_kill(worker, REASON_LATE);
}

static void on_stop_timeout(uv_timer_t *timer)
{
	worker_kill(timer->data, REASON_STOP);
}

static void on_idle_timeout(uv_timer_t *timer)
{
	worker_stop(timer->data);
}

static void become(struct worker *worker, enum worker_state state, uv_timer_cb on_timer, int64_t ms)
{
	worker->state = state;
	(void)uv_timer_start(&worker->timer, on_timer, (uint64_t)ms, 0);
}

static void rest(struct worker *worker)
{
	handler_touch(worker->handler);
	if (worker->is_outdated) {
		worker_stop(worker);
		return;
	}
	become(worker, WORKER_IDLE, on_idle_timeout, worker->handler->supervisor->config->limits.handler_idle_timeout_ms);
}

void worker_deliver(struct worker *worker, struct job *job)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	if (job->event->body.n > PACKET_MAX_TO_HANDLER_BYTES) {
		job_conclude(job, RESULT_REJECT, -1, SPAN("the callback is too large for a handler"));
		return;
	}
	worker->job = job;
	become(worker, WORKER_BUSY, on_deadline, worker->handler->config->deadline_ms + GRACE_MS);
	add_delivery(&head, job);
	send_head(worker, &head, job->event->body);
}

void worker_stop(struct worker *worker)
{
	if (worker->state == WORKER_STOPPING)
		return;
	worker->handler->supervisor->n_stopping++;
	become(worker, WORKER_STOPPING, on_stop_timeout, STOP_MS);
	process_send(worker->process, ORDER_STOP, SPAN(""));
}

void worker_outdate(struct worker *worker)
{
	worker->is_outdated = true;
	if (worker->state == WORKER_IDLE)
		worker_stop(worker);
}

void worker_kill(struct worker *worker, const char *why)
{
	process_kill(worker->process, why);
}

/* --- hearing ------------------------------------------------------------------------------------------------------ */

static void log_line(struct worker *worker, enum log_level level, const char *message, struct span text)
{
	uint64_t second = clock_monotonic_ns() / (NS_PER_MS * MS_PER_S);
	if (second != worker->line_second) {
		if (worker->n_left_out)
			log_warning("handler said too much", LOG_TEXT("handler", name_of(worker)),
						LOG_NUMBER("lines_left_out", worker->n_left_out));
		worker->n_lines = worker->n_left_out = 0;
		worker->line_second = second;
	}
	if (worker->n_lines++ < MAX_LINES)
		LOG_WRITE_(level, NULL, message, LOG_TEXT("handler", name_of(worker)), LOG_SPAN("text", text));
	else
		worker->n_left_out++;
}

static void on_line(void *owner, struct span line)
{
	log_line(owner, LOG_LEVEL_INFO, "handler printed", line);
}

static void hear_ready(struct worker *worker, const struct packet *packet)
{
	(void)packet;
	if (worker->state == WORKER_STARTING)
		rest(worker);
	else if (worker->state != WORKER_STOPPING)
		worker_kill(worker, "it broke the protocol: it was ready before");
}

static void hear_refused(struct worker *worker, const struct packet *packet)
{
	worker->is_refused = true;
	log_error("handler cannot start", LOG_TEXT("handler", name_of(worker)),
			  LOG_SPAN("reason", packet_text(packet, "message")));
	worker_kill(worker, "refused");
}

static void hear_outcome(struct worker *worker, const struct packet *packet)
{
	static const enum schedule_result results[] = {
		[PACKET_DONE] = RESULT_DONE, [PACKET_RETRY] = RESULT_RETRY, [PACKET_REJECT] = RESULT_REJECT
	};
	struct job *job = STEAL(worker->job);
	struct handler *handler = worker->handler;
	if (!job || worker->ask) {
		worker->job = job;
		worker_kill(worker, "it broke the protocol: an outcome of nothing");
		return;
	}
	struct span reason = packet_text(packet, "reason");
	if (!reason.n && packet_flag(packet, "skipped"))
		reason = SPAN("not wanted: `when` is false");
	handler->backoff_ns = 0;
	atomic_store(&handler->is_failing, false);
	if (worker->state == WORKER_BUSY)
		rest(worker);
	job_conclude(job, results[packet_word(packet, "outcome")], packet_number(packet, "retry_after_ms", -1), reason);
}

static void hear_log(struct worker *worker, const struct packet *packet)
{
	static const enum log_level levels[] = { [PACKET_ERROR] = LOG_LEVEL_ERROR,
											 [PACKET_WARNING] = LOG_LEVEL_WARNING,
											 [PACKET_INFO] = LOG_LEVEL_INFO,
											 [PACKET_DEBUG] = LOG_LEVEL_DEBUG };
	log_line(worker, levels[packet_word(packet, "level")], "handler says", packet_text(packet, "text"));
}

static void hear_ask(struct worker *worker, const struct packet *packet)
{
	if (!worker->job || worker->ask) {
		worker_kill(worker, "it broke the protocol: a question out of turn");
		return;
	}
	worker->ask = ++worker->handler->supervisor->n_asks;
	answer(worker, packet);
}

static void on_packet(void *owner, const struct packet *packet)
{
	static void (*const hear[])(struct worker * worker, const struct packet *packet) = {
		[PACKET_READY] = hear_ready, [PACKET_REFUSED] = hear_refused, [PACKET_OUTCOME] = hear_outcome,
		[PACKET_LOG] = hear_log,     [PACKET_ASK] = hear_ask,
	};
	hear[packet->type](owner, packet);
}

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void back_off(struct handler *handler)
{
	uint64_t ns = handler->backoff_ns * 2;
	handler->backoff_ns = ns < BACKOFF_LEAST_NS ? BACKOFF_LEAST_NS : ns > BACKOFF_MOST_NS ? BACKOFF_MOST_NS : ns;
	handler->start_not_before_ns = clock_monotonic_ns() + handler->backoff_ns;
	atomic_store(&handler->is_failing, handler->backoff_ns >= BACKOFF_FAILING_NS);
}

static void conclude_crash(struct worker *worker, const char *how)
{
	char reason[160];
	struct job *job = STEAL(worker->job);
	if (worker->handler->supervisor->is_stopping) { /* it was us */
		job_give_back(job);
		return;
	}
	bool is_late = worker->is_late;
	int n = is_late
				? snprintf(reason, sizeof reason, "%s (%lld ms)", how, (long long)worker->handler->config->deadline_ms)
				: snprintf(reason, sizeof reason, "%s in handle()", how);
	if (!is_late)
		back_off(worker->handler);
	job_conclude(job, is_late ? RESULT_LATE : RESULT_CRASHED, -1,
				 span_of(reason, (size_t)n < sizeof reason ? (size_t)n : sizeof reason - 1));
}

static void tell_end(struct worker *worker, const char *how)
{
	static const char *const when[] = { [WORKER_STARTING] = "before it was ready",
										[WORKER_IDLE] = "while it had nothing to do",
										[WORKER_BUSY] = "in handle()",
										[WORKER_STOPPING] = "in destroy()" };
	bool is_usual = worker->state == WORKER_STOPPING && strcmp(how, "exit status 0") == 0;
	if (is_usual || worker->is_refused || worker->handler->supervisor->is_stopping)
		return;
	log_warning("handler's process ended", LOG_TEXT("handler", name_of(worker)), LOG_TEXT("how", how),
				LOG_TEXT("when", when[worker->state]));
}

static void unlink_worker(struct worker *worker)
{
	struct handler *handler = worker->handler;
	struct worker **at = &handler->workers;
	while (*at != worker)
		at = &(*at)->next;
	*at = worker->next;
	handler->n_workers--;
	handler->supervisor->n_workers--;
	handler->supervisor->n_stopping -= worker->state == WORKER_STOPPING;
	(void)atomic_fetch_sub(&handler->n_processes, 1);
}

static void on_timer_closed(uv_handle_t *timer)
{
	free(timer->data);
}

static void on_end(void *owner, const char *how)
{
	struct worker *worker = owner;
	struct handler *handler = worker->handler;
	struct supervisor *supervisor = handler->supervisor;
	tell_end(worker, how);
	unlink_worker(worker);
	if (worker->job)
		conclude_crash(worker, how);
	else if (worker->state != WORKER_STOPPING && !worker->is_outdated)
		back_off(handler);
	handler_touch(handler);
	for (struct handler *other = supervisor->handlers; other; other = other->hh.next)
		if (other->waits_for_room)
			handler_touch(other);
	uv_close((uv_handle_t *)&worker->timer, on_timer_closed);
}

/* --- its beginning ------------------------------------------------------------------------------------------------ */

static const struct process_calls calls = { .on_packet = on_packet, .on_line = on_line, .on_end = on_end };

int worker_start(struct handler *handler)
{
	struct supervisor *supervisor = handler->supervisor;
	struct worker *worker = calloc(1, sizeof *worker);
	int r = -ENOMEM;
	if (worker)
		r = process_start(&supervisor->loop, supervisor->config->plugins.program, &calls, worker, &worker->process);
	if (r < 0) {
		free(worker);
		back_off(handler);
		handler_touch(handler);
		return r;
	}
	worker->handler = handler;
	worker->started_ns = clock_monotonic_ns();
	worker->timer.data = worker;
	(void)uv_timer_init(&supervisor->loop, &worker->timer);
	worker->next = handler->workers;
	handler->workers = worker;
	handler->n_workers++;
	supervisor->n_workers++;
	(void)atomic_fetch_add(&handler->n_processes, 1);
	become(worker, WORKER_STARTING, on_start_timeout, START_MS);
	configure(worker);
	return 0;
}
