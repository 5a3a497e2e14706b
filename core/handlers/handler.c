/* SPDX-License-Identifier: Apache-2.0 */
/* One handler: what it claims, whom it gives it to, and what becomes of it. */
#include "base/clock.h"
#include "base/log.h"
#include "handlers/internal.h"
#include "handlers/notice.h"
#include "wire/digest.h"

#include <errno.h>
#include <stdio.h>

/* So many deliveries are held in advance as are handled in this time: about what the journal takes for a batch. */
#define AHEAD_NS (20ull * NS_PER_MS)
/* Bodies in one claim. */
#define MAX_CLAIM_BYTES (1u << 20)
/* After the journal failed. */
#define JOURNAL_PAUSE_MS MS_PER_S
/* A process may have been at work for so long before it has to make room for another handler's. */
#define ROOM_NS (1000ull * NS_PER_MS)

void handler_touch(struct handler *handler)
{
	if (handler->is_listed)
		return;
	handler->is_listed = true;
	handler->next_to_step = handler->supervisor->to_step;
	handler->supervisor->to_step = handler;
}

/* --- settling ----------------------------------------------------------------------------------------------------- */

void job_destroy(struct job *job)
{
	job->handler->n_in_hand--;
	job->handler->supervisor->n_in_hand--;
	(void)atomic_fetch_sub(&job->handler->n_held, 1);
	handler_touch(job->handler);
	notice_forget(job);
	event_unref(job->event);
	free(job);
}

/* The settlement is durable, or was not to be. */
static void on_settled(struct supervisor *supervisor, struct supervisor_note *note)
{
	struct job *job = CONTAINER_OF(note, struct job, note);
	struct handler *handler = job->handler;
	const struct store_settlement *settlement = &job->settlement;
	int error = settlement->work.error;
	if (error == 0 && settlement->delivery.state == DELIVERY_DUE && settlement->delivery.due_ms < handler->next_due_ms)
		handler->next_due_ms = settlement->delivery.due_ms;
	if (error == 0 && settlement->delivery.state != DELIVERY_DUE && settlement->has_others)
		handler->next_due_ms = 0; /* another interaction may have waited for it */
	if (error == 0 || error == -EUCLEAN || supervisor->is_stopping) {
		if (error)
			log_error_limited("what became of a delivery could not be written; it will be made again",
							  LOG_TEXT("handler", handler->name), LOG_ERRNO(error));
		job_destroy(job);
		return;
	}
	job->next = supervisor->unsettled;
	supervisor->unsettled = job;
}

static void on_settlement_done(struct store_work *work)
{
	struct job *job = CONTAINER_OF(work, struct job, settlement.work);
	supervisor_post(job->handler->supervisor, &job->note);
}

void job_submit(struct job *job)
{
	struct supervisor *supervisor = job->handler->supervisor;
	job->note.run = on_settled;
	job->settlement.work.on_done = on_settlement_done;
	supervisor->has_submitted = true;
	if (store_submit(supervisor->store, &job->settlement.work) < 0)
		job_destroy(job); /* the store is closed: the next start finds it claimed */
}

static void settle(struct job *job, const struct delivery *delivery, const struct attempt *attempt)
{
	struct store_settlement *settlement = &job->settlement;
	settlement->work.kind = WORK_SETTLE;
	settlement->delivery = *delivery;
	settlement->has_attempt = attempt;
	if (attempt)
		settlement->attempt = *attempt;
	settlement->has_others = job->event->n_interactions > 1;
	job_submit(job);
}

void job_give_back(struct job *job)
{
	struct delivery delivery = job->delivery;
	delivery.state = DELIVERY_DUE;
	settle(job, &delivery, NULL);
}

void handler_give_back(struct handler *handler)
{
	struct job *job = handler->ready;
	handler->ready = NULL;
	handler->ready_end = &handler->ready;
	while (job) {
		struct job *next = job->next;
		job_give_back(job);
		job = next;
	}
}

static void note_pause(struct job *job, enum schedule_result result, int64_t now_ms)
{
	struct handler *handler = job->handler;
	const char *name = handler->name;
	if (result == RESULT_DONE && breaker_note_success(&handler->breaker))
		log_info("handler goes on", LOG_TEXT("handler", name));
	bool is_failure = result == RESULT_RETRY || result == RESULT_LATE || result == RESULT_CRASHED;
	if (is_failure && breaker_note_failure(&handler->breaker, &handler->config->breaker, now_ms)) {
		log_warning("handler pauses: nothing but failures", LOG_TEXT("handler", name),
					LOG_NUMBER("failures", handler->breaker.n_failures),
					LOG_NUMBER("pause_ms", handler->config->breaker.pause_ms));
		notice_breaker(job);
	}
	atomic_store(&handler->paused_until_ms, handler->breaker.paused_until_ms);
	atomic_store(&handler->is_paused, handler->breaker.is_open);
	if (handler->breaker.is_open)
		handler_give_back(handler);
}

static void count(struct handler *handler, enum schedule_result result, enum delivery_state state)
{
	(void)atomic_fetch_add(state == DELIVERY_DONE  ? &handler->n_done
						   : state == DELIVERY_DUE ? &handler->n_retried
												   : &handler->n_dead,
						   1);
	if (result == RESULT_CRASHED || result == RESULT_LATE)
		(void)atomic_fetch_add(&handler->n_crashed, 1);
}

/* In the order that supervisor_add_history() tells. */
static void note_history(struct supervisor *supervisor, enum delivery_state state)
{
	(void)pthread_mutex_lock(&supervisor->lock);
	history_row(supervisor->history, clock_monotonic_ns())[state == DELIVERY_DONE  ? 0
														   : state == DELIVERY_DUE ? 1
																				   : 2]++;
	(void)pthread_mutex_unlock(&supervisor->lock);
}

static void note_time(struct handler *handler, uint64_t took_ns)
{
	handler->mean_ns += (took_ns >> 3) - (handler->mean_ns >> 3);
	atomic_store(&handler->told_mean_ns, handler->mean_ns);
	(void)atomic_fetch_add(&handler->took[histogram_bucket(took_ns)], 1);
	(void)atomic_fetch_add(&handler->took_sum_ns, took_ns);
}

static void log_conclusion(const struct job *job, const struct delivery *delivery, struct span reason)
{
	static const char *const outcomes[] = { "retry", NULL, "done", "dead" };
	enum log_level level = delivery->state == DELIVERY_DEAD  ? LOG_LEVEL_ERROR
						   : delivery->state == DELIVERY_DUE ? LOG_LEVEL_WARNING
															 : LOG_LEVEL_INFO;
	if (!log_has_level(level))
		return;
	LOG_WRITE_(level, NULL, "delivery", LOG_TEXT("outcome", outcomes[delivery->state]),
			   LOG_TEXT("handler", job->handler->name), LOG_NUMBER("sequence", delivery->sequence),
			   LOG_NUMBER("interaction", delivery->interaction),
			   LOG_NUMBER("attempt", schedule_attempt_number(&job->delivery)),
			   reason.n ? LOG_SPAN("reason", reason) : LOG_NOTHING);
}

/* The reason, and why it is the end. */
static struct span write_reason(struct job *job, struct span reason, const char *end)
{
	size_t end_n = end ? strlen(end) + 3 : 0, room = DELIVERY_MAX_REASON - end_n;
	reason.n = reason.n < room ? reason.n : room;
	int n = snprintf(job->reason, sizeof job->reason, end && reason.n ? "%.*s (%s)" : "%.*s%s", (int)reason.n,
					 reason.n ? reason.data : "", end ? end : "");
	return span_of(job->reason, n < 0 ? 0 : (size_t)n);
}

void job_conclude(struct job *job, enum schedule_result result, int64_t retry_after_ms, struct span reason)
{
	static const enum attempt_outcome outcomes[] = { [RESULT_DONE] = ATTEMPT_DONE,
													 [RESULT_RETRY] = ATTEMPT_RETRY,
													 [RESULT_REJECT] = ATTEMPT_REJECT,
													 [RESULT_LATE] = ATTEMPT_FAILED,
													 [RESULT_CRASHED] = ATTEMPT_FAILED };
	struct handler *handler = job->handler;
	struct delivery delivery = job->delivery;
	uint64_t took_ns = clock_monotonic_ns() - job->started_ns;
	struct schedule_attempt what = { .result = result, .retry_after_ms = retry_after_ms, .now_ms = clock_wall_ms() };
	if (digest_random(&what.random, sizeof what.random) < 0)
		what.random = job->started_ns; /* a spread is all that matters */
	const char *end = schedule_decide(&handler->config->retry, &what, &delivery);
	struct span text = write_reason(job, reason, end);
	note_time(handler, took_ns);
	count(handler, result, delivery.state);
	note_history(handler->supervisor, delivery.state);
	log_conclusion(job, &delivery, text);
	notice_outcome(job, &delivery, text);
	if (delivery.state == DELIVERY_DEAD)
		notice_dead_letter(job, &delivery, text);
	note_pause(job, result, what.now_ms);
	settle(job, &delivery,
		   &(struct attempt){ .started_ms = job->started_ms,
							  .duration_ms = (int64_t)(took_ns / NS_PER_MS),
							  .outcome = outcomes[result],
							  .reason = text });
}

/* --- claiming ----------------------------------------------------------------------------------------------------- */

struct handler_claim {
	struct supervisor_note note;
	struct handler *handler;
	struct store_claim claim;
	struct claimed claimed[];
};

static bool take(struct handler *handler, const struct claimed *claimed)
{
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return false;
	job->handler = handler;
	job->delivery = claimed->delivery;
	job->delivery.handler = span_text(handler->name);
	job->event = claimed->event;
	*handler->ready_end = job;
	handler->ready_end = &job->next;
	handler->n_in_hand++;
	handler->supervisor->n_in_hand++;
	(void)atomic_fetch_add(&handler->n_held, 1);
	return true;
}

/* Without memory for one, it stays claimed until the next start. */
static void on_claimed(struct supervisor *supervisor, struct supervisor_note *note)
{
	struct handler_claim *claim = CONTAINER_OF(note, struct handler_claim, note);
	struct handler *handler = claim->handler;
	handler->claim = NULL;
	supervisor->n_claims--;
	if (claim->claim.work.error) {
		handler->claim_not_before_ms = clock_wall_ms() + JOURNAL_PAUSE_MS;
		log_error_limited("what is due cannot be claimed", LOG_TEXT("handler", handler->name),
						  LOG_ERRNO(claim->claim.work.error));
	} else {
		handler->next_due_ms = handler->has_news_since_claim ? 0 : claim->claim.next_due_ms;
	}
	handler->has_news_since_claim = false;
	for (size_t i = 0; i < claim->claim.n; i++) {
		if (take(handler, &claim->claimed[i]))
			continue;
		log_error_limited("a delivery must wait for the next start", LOG_ERRNO(ENOMEM));
		event_unref(claim->claimed[i].event);
	}
	free(claim);
	handler_touch(handler);
}

static void on_claim_done(struct store_work *work)
{
	struct handler_claim *claim = CONTAINER_OF(work, struct handler_claim, claim.work);
	supervisor_post(claim->handler->supervisor, &claim->note);
}

static void claim_some(struct handler *handler, size_t max, int64_t now_ms)
{
	struct supervisor *supervisor = handler->supervisor;
	struct handler_claim *claim = calloc(1, sizeof *claim + max * sizeof claim->claimed[0]);
	if (!claim) {
		handler->claim_not_before_ms = now_ms + JOURNAL_PAUSE_MS;
		return;
	}
	claim->note.run = on_claimed;
	claim->handler = handler;
	claim->claim = (struct store_claim){ .work = { .kind = WORK_CLAIM, .on_done = on_claim_done },
										 .handler = span_text(handler->name),
										 .now_ms = now_ms,
										 .max = max,
										 .max_bytes = MAX_CLAIM_BYTES,
										 .claimed = claim->claimed };
	if (store_submit(supervisor->store, &claim->claim.work) < 0) {
		free(claim);
		handler->claim_not_before_ms = INT64_MAX; /* it is closing */
		return;
	}
	handler->claim = claim;
	supervisor->n_claims++;
	supervisor->has_submitted = true;
}

/* How many it may have in its hands. */
static size_t allowance(const struct handler *handler, int64_t now_ms)
{
	uint64_t mean_ns = handler->mean_ns ? handler->mean_ns : AHEAD_NS;
	uint64_t ahead = 1 + AHEAD_NS / mean_ns;
	size_t allowed = breaker_allowance(&handler->breaker, now_ms);
	if (ahead > HANDLER_MAX_AHEAD)
		ahead = HANDLER_MAX_AHEAD;
	size_t n = (size_t)(handler->config->workers * ahead);
	return n < allowed ? n : allowed;
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

static bool is_backing_off(const struct handler *handler)
{
	return handler->n_workers == 0 && clock_monotonic_ns() < handler->start_not_before_ns;
}

static struct worker *find_worker(const struct handler *handler, enum worker_state state)
{
	struct worker *worker = handler->workers;
	while (worker && worker->state != state)
		worker = worker->next;
	return worker;
}

static bool is_full(const struct supervisor *supervisor)
{
	return supervisor->n_workers >= supervisor->config->limits.max_handler_processes;
}

/* Whoever has waited longer comes first. */
static bool has_room(const struct handler *handler)
{
	const struct supervisor *supervisor = handler->supervisor;
	size_t n = supervisor->n_workers;
	for (const struct handler *other = supervisor->handlers; other && supervisor->n_waiting; other = other->hh.next) {
		n += other != handler && other->waits_for_room &&
			 (!handler->waits_for_room || other->wait_number < handler->wait_number);
	}
	return n < supervisor->config->limits.max_handler_processes;
}

/* Others may have to make room now, or have it. */
static void set_waiting(struct handler *handler, bool waits)
{
	struct supervisor *supervisor = handler->supervisor;
	if (handler->waits_for_room == waits)
		return;
	handler->waits_for_room = waits;
	handler->wait_number = ++supervisor->n_waits;
	supervisor->n_waiting += waits ? 1 : SIZE_MAX;
	for (struct handler *other = supervisor->handlers; other; other = other->hh.next)
		if (other->waits_for_room || other->n_workers)
			handler_touch(other);
}

/* A process that does nothing ends for a handler that waits for room. */
static void make_room(struct handler *handler)
{
	const struct supervisor *supervisor = handler->supervisor;
	struct worker *idle = handler->ready ? NULL : find_worker(handler, WORKER_IDLE);
	if (idle && is_full(supervisor) && supervisor->n_waiting > supervisor->n_stopping)
		worker_stop(idle);
}

/* One that has worked for a while does, too, before it goes on. */
static bool must_make_room(const struct worker *worker)
{
	const struct supervisor *supervisor = worker->handler->supervisor;
	return is_full(supervisor) && supervisor->n_waiting > supervisor->n_stopping &&
		   clock_monotonic_ns() - worker->started_ns >= ROOM_NS;
}

/* Whether a worker has another callback about the same event of the provider: two at once would undo each other's work.
 */
static bool is_in_work(const struct handler *handler, const struct event *event)
{
	for (const struct worker *worker = handler->workers; worker && event->event_id.n; worker = worker->next)
		if (worker->job && span_equal(worker->job->event->event_id, event->event_id) &&
			span_equal(worker->job->event->source, event->source))
			return true;
	return false;
}

/* The first that may begin, taken from those that are ready; NULL if all wait for others. */
static struct job *take_ready(struct handler *handler)
{
	struct job **place = &handler->ready;
	while (*place && is_in_work(handler, (*place)->event))
		place = &(*place)->next;
	struct job *job = *place;
	if (!job)
		return NULL;
	*place = job->next;
	if (!*place)
		handler->ready_end = place;
	job->next = NULL;
	return job;
}

static void hand_out(struct handler *handler)
{
	struct worker *worker;
	struct job *job;
	while (handler->ready && (worker = find_worker(handler, WORKER_IDLE))) {
		if (must_make_room(worker)) {
			worker_stop(worker);
			return;
		}
		job = take_ready(handler);
		if (!job)
			return;
		job->started_ms = clock_wall_ms();
		job->started_ns = clock_monotonic_ns();
		const char *end = schedule_end(&handler->config->retry, &job->delivery, job->started_ms);
		if (end)
			job_conclude(job, RESULT_REJECT, -1, span_text(end));
		else
			worker_deliver(worker, job);
	}
}

static size_t count_starting(const struct handler *handler)
{
	size_t n = 0;
	for (const struct worker *worker = handler->workers; worker; worker = worker->next)
		n += worker->state == WORKER_STARTING;
	return n;
}

static size_t count_ready(const struct handler *handler, size_t max)
{
	size_t n = 0;
	for (const struct job *job = handler->ready; job && n < max; job = job->next)
		n++;
	return n;
}

static void start_workers(struct handler *handler)
{
	struct supervisor *supervisor = handler->supervisor;
	while (count_ready(handler, handler->config->workers) > count_starting(handler) &&
		   handler->n_workers < handler->config->workers && clock_monotonic_ns() >= handler->start_not_before_ns) {
		if (!has_room(handler)) {
			set_waiting(handler, handler->n_workers == 0);
			return;
		}
		int r = worker_start(handler);
		if (r < 0) {
			log_error_limited("a handler's process cannot be started", LOG_TEXT("handler", handler->name),
							  LOG_TEXT("program", supervisor->config->plugins.program), LOG_ERRNO(r));
			return;
		}
	}
	set_waiting(handler, false);
}

/* Not while nobody could handle it: then it is better off in the journal. */
static bool may_claim(const struct handler *handler, int64_t now_ms)
{
	return !handler->claim && now_ms >= handler->next_due_ms && now_ms >= handler->claim_not_before_ms &&
		   !is_backing_off(handler) && !(handler->waits_for_room && handler->ready);
}

static size_t count_working(const struct handler *handler)
{
	size_t n = 0;
	for (const struct worker *worker = handler->workers; worker; worker = worker->next)
		n += worker->state != WORKER_STOPPING;
	return n;
}

/* The configuration may want fewer than it did. */
static void stop_surplus(struct handler *handler)
{
	struct worker *worker;
	while (count_working(handler) > handler->config->workers && (worker = find_worker(handler, WORKER_IDLE)))
		worker_stop(worker);
}

static void stop_idle(struct handler *handler)
{
	struct worker *worker;
	while ((worker = find_worker(handler, WORKER_IDLE)))
		worker_stop(worker);
}

void handler_step(struct handler *handler)
{
	int64_t now_ms = clock_wall_ms();
	if (atomic_exchange(&handler->has_news, false)) {
		handler->next_due_ms = 0;
		handler->has_news_since_claim = handler->claim;
	}
	if (handler->supervisor->is_draining || handler->is_removed || is_backing_off(handler)) {
		handler_give_back(handler);
		stop_idle(handler);
		set_waiting(handler, false);
		return;
	}
	stop_surplus(handler);
	hand_out(handler);
	start_workers(handler);
	make_room(handler);
	size_t allowed = allowance(handler, now_ms);
	if (may_claim(handler, now_ms) && handler->n_in_hand < allowed)
		claim_some(handler, allowed - handler->n_in_hand, now_ms);
}

int64_t handler_next_ms(const struct handler *handler)
{
	int64_t at_ms = handler->next_due_ms;
	if (handler->is_removed || handler->claim || at_ms == DELIVERY_BEHIND_MS)
		return INT64_MAX;
	if (at_ms < handler->claim_not_before_ms)
		at_ms = handler->claim_not_before_ms;
	if (handler->breaker.is_open && at_ms < handler->breaker.paused_until_ms)
		at_ms = handler->breaker.paused_until_ms;
	if (is_backing_off(handler)) {
		uint64_t left_ns = handler->start_not_before_ns - clock_monotonic_ns();
		int64_t free_ms = clock_wall_ms() + (int64_t)(left_ns / NS_PER_MS) + 1;
		at_ms = at_ms < free_ms ? free_ms : at_ms;
	}
	/* with its hands full it goes on when something is settled */
	return handler->n_in_hand && at_ms <= clock_wall_ms() ? INT64_MAX : at_ms;
}

/* --- coming, changing, going -------------------------------------------------------------------------------------- */

int handler_create(struct supervisor *supervisor, struct generation *generation, const struct config_handler *config,
				   struct handler **ret_handler)
{
	struct handler *handler = calloc(1, sizeof *handler);
	if (!handler)
		return -ENOMEM;
	handler->supervisor = supervisor;
	handler->ready_end = &handler->ready;
	handler->generation = generation_ref(generation);
	handler->config = config;
	handler->name = span_dup(span_text(config->name));
	if (!handler->name) {
		handler_destroy(handler);
		return -ENOMEM;
	}
	*ret_handler = handler;
	return 0;
}

void handler_destroy(struct handler *handler)
{
	if (!handler)
		return;
	generation_unref(handler->generation);
	free(handler->name);
	free(handler);
}

/* Whatever was wrong with the old one, this one is tried at once. */
static void begin_anew(struct handler *handler)
{
	for (struct worker *worker = handler->workers; worker; worker = worker->next)
		worker_outdate(worker);
	handler->breaker = (struct breaker){ 0 };
	atomic_store(&handler->is_paused, false);
	atomic_store(&handler->is_failing, false);
	handler->backoff_ns = handler->start_not_before_ns = 0;
}

void handler_set_config(struct handler *handler, struct generation *generation, const struct config_handler *config)
{
	struct generation *old = handler->generation;
	bool is_another = memcmp(handler->config->digest, config->digest, DIGEST_BYTES) != 0;
	handler->generation = generation_ref(generation);
	handler->config = config;
	handler->is_removed = false;
	if (is_another)
		begin_anew(handler);
	generation_unref(old);
	handler_touch(handler);
}

bool handler_is_at_rest(const struct handler *handler)
{
	return handler->n_workers == 0 && handler->n_in_hand == 0 && !handler->claim && handler->n_questions == 0;
}
