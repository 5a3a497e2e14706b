/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/notice.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/routes.h"
#include "wire/outcome.h"

#include <errno.h>

/* No source of the configuration, so that no callback is compared with a notice. */
#define NOTICE_SOURCE SPAN("belfry")

/* An append, and whom it is owed to. */
struct notice {
	struct append append;
	struct generation *generation; /* whose handlers' names these are; a reference; NULL: it is owed to nobody */
	struct owed owed[];
};

static void notice_destroy(struct notice *notice)
{
	event_unref(notice->append.event);
	generation_unref(notice->generation);
	free(notice);
}

void notice_forget(struct job *job)
{
	struct store_settlement *settlement = &job->settlement;
	for (size_t i = 0; i < settlement->n_told; i++)
		notice_destroy(CONTAINER_OF(settlement->told[i], struct notice, append));
	settlement->n_told = 0;
}

/* Takes the notice over (NULL without memory). r: whether it has its event. */
static void tell(struct job *job, struct notice *notice, int r)
{
	struct store_settlement *settlement = &job->settlement;
	if (r == 0) {
		settlement->told[settlement->n_told++] = &notice->append;
		return;
	}
	log_error_limited("what became of a delivery is not told", LOG_TEXT("handler", job->handler->name), LOG_ERRNO(r));
	if (notice)
		notice_destroy(notice);
}

static size_t count_targets(const struct config *config, const char *type, const struct handler *about)
{
	struct route_walk walk;
	struct route route;
	size_t n = 0;
	routes_begin_own(&walk, config->routes, type, span_text(about->name));
	while (routes_next(&walk, &route))
		n += &config->handlers[route.handler] != about->config;
	return n;
}

/* For all handlers of this type but the one that it is about. */
static struct notice *make(const struct handler *about, const char *type)
{
	const struct config *config = about->supervisor->config;
	size_t n = count_targets(config, type, about);
	struct notice *notice = n ? calloc(1, sizeof *notice + n * sizeof notice->owed[0]) : NULL;
	struct route_walk walk;
	struct route route;
	if (!notice)
		return NULL;
	notice->generation = generation_ref(about->supervisor->generation);
	notice->append.owed = notice->owed;
	routes_begin_own(&walk, config->routes, type, span_text(about->name));
	while (routes_next(&walk, &route) && notice->append.n_owed < n)
		if (&config->handlers[route.handler] != about->config)
			notice->owed[notice->append.n_owed++] =
				(struct owed){ .handler = span_text(config->handlers[route.handler].name) };
	return notice;
}

/* {"belfry":{"type":...,"handler":... */
static void begin_body(struct buffer *body, const char *type, const struct handler *about)
{
	buffer_add_printf(body, "{\"belfry\":{\"type\":\"%s\"", type);
	buffer_add_json_member(body, "handler", span_text(about->name));
}

void notice_dead_letter(struct job *job, const struct delivery *delivery, struct span reason)
{
	const struct event *event = job->event;
	struct notice *notice = event->kind == EVENT_NOTICE ? NULL : make(job->handler, ROUTES_DEAD_LETTER);
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	const struct interaction interaction = { SPAN(ROUTES_DEAD_LETTER), span_text(job->handler->name) };
	if (!notice)
		return;
	begin_body(&body, ROUTES_DEAD_LETTER, job->handler);
	buffer_add_printf(&body, ",\"position\":\"%s-%llu\"", store_epoch(job->handler->supervisor->store),
					  (unsigned long long)delivery->sequence);
	buffer_add_json_member(&body, "source", event->source);
	if (event->kind == EVENT_CALLBACK) {
		buffer_add_json_member(&body, "interaction", event->interactions[delivery->interaction].type);
		buffer_add_json_member(&body, "subtype", event->interactions[delivery->interaction].subtype);
	}
	buffer_add_printf(&body, ",\"attempts\":%lld", (long long)schedule_attempt_number(&job->delivery));
	buffer_add_json_member(&body, "reason", reason);
	buffer_add_text(&body, event->kind == EVENT_CALLBACK ? "},\"callback\":" : "}");
	if (event->kind == EVENT_CALLBACK)
		buffer_add(&body, event->body);
	buffer_add_char(&body, '}');
	const struct event model = { .kind = EVENT_NOTICE,
								 .received_ms = clock_wall_ms(),
								 .source = NOTICE_SOURCE,
								 .event_id = event->event_id,
								 .body = buffer_span(&body),
								 .interactions = &interaction,
								 .n_interactions = 1,
								 .tags = event->tags,
								 .n_tags = event->n_tags };
	tell(job, notice, body.failed ? -ENOMEM : event_create(&model, &notice->append.event));
}

void notice_breaker(struct job *job)
{
	const struct handler *handler = job->handler;
	struct notice *notice = make(handler, ROUTES_BREAKER);
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	const struct interaction interaction = { SPAN(ROUTES_BREAKER), span_text(handler->name) };
	if (!notice)
		return;
	begin_body(&body, ROUTES_BREAKER, handler);
	buffer_add_printf(&body, ",\"failures\":%llu,\"pause_ms\":%lld}}", (unsigned long long)handler->breaker.n_failures,
					  (long long)handler->config->breaker.pause_ms);
	const struct event model = { .kind = EVENT_NOTICE,
								 .received_ms = clock_wall_ms(),
								 .source = NOTICE_SOURCE,
								 .body = buffer_span(&body),
								 .interactions = &interaction,
								 .n_interactions = 1 };
	tell(job, notice, body.failed ? -ENOMEM : event_create(&model, &notice->append.event));
}

void notice_outcome(struct job *job, const struct delivery *delivery, struct span reason)
{
	static const char *const states[] = {
		[DELIVERY_DUE] = "retry", [DELIVERY_DONE] = "done", [DELIVERY_DEAD] = "dead"
	};
	const struct outcome outcome = { .sequence = delivery->sequence,
									 .interaction = (size_t)delivery->interaction,
									 .at_ms = clock_wall_ms(),
									 .handler = span_text(job->handler->name),
									 .state = span_text(states[delivery->state]),
									 .attempt = schedule_attempt_number(&job->delivery),
									 .detail = reason };
	if (!job->handler->supervisor->config->subscribers.outcomes || job->event->kind != EVENT_CALLBACK)
		return;
	struct notice *notice = calloc(1, sizeof *notice);
	tell(job, notice, notice ? outcome_create(job->event, &outcome, &notice->append.event) : -ENOMEM);
}
