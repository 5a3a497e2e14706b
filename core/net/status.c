/* SPDX-License-Identifier: Apache-2.0 */
#include "net/status.h"

#include "base/clock.h"
#include "net/health.h"
#include "net/limits.h"
#include "net/operator.h"
#include "net/rights.h"
#include "net/survey.h"

struct status_exchange {
	struct survey survey; /* first */
	struct identity identity;
};

/* What is wrong, in sentences. */
static void add_problem(struct buffer *json, size_t *n, const struct buffer *problem)
{
	buffer_add_text(json, (*n)++ ? "," : "");
	buffer_add_json(json, buffer_span(problem));
}

static void add_handlers_problems(struct buffer *json, size_t *n, struct supervisor *supervisor,
								  const struct config *config)
{
	for (size_t i = 0; i < config->n_handlers; i++) {
		const char *handler = config->handlers[i].name;
		CLEANUP(buffer_finish) struct buffer problem = BUFFER_INIT;
		struct supervisor_counts counts;
		supervisor_get_counts(supervisor, span_text(handler), &counts);
		if (counts.is_failing)
			buffer_add_printf(&problem, "the process of handler %s ends by itself, again and again", handler);
		else if (counts.is_paused)
			buffer_add_printf(&problem, "handler %s pauses: nothing but failures", handler);
		if (problem.n)
			add_problem(json, n, &problem);
	}
}

static void add_state(struct buffer *json, struct gateway *gateway, const struct config *config)
{
	CLEANUP(buffer_finish) struct buffer problem = BUFFER_INIT, problems = BUFFER_INIT;
	bool is_draining = atomic_load(&gateway->is_stopping);
	size_t n = 0;
	health_add_problem(gateway, config, &problem);
	if (problem.n)
		add_problem(&problems, &n, &problem);
	add_handlers_problems(&problems, &n, gateway->supervisor, config);
	buffer_add_printf(json, ",\"state\":\"%s\",\"problems\":[", is_draining ? "draining" : n ? "degraded" : "ok");
	buffer_add(json, buffer_span(&problems));
	buffer_add_char(json, ']');
	json->failed |= problem.failed || problems.failed;
}

static void add_journal(struct buffer *json, const struct gateway *gateway, const struct store_status *status)
{
	const char *epoch = store_epoch(gateway->store);
	buffer_add_printf(json, ",\"journal\":{\"epoch\":\"%s\",", epoch);
	position_add_json(json, "head", epoch, status->head);
	buffer_add_char(json, ',');
	position_add_json(json, "oldest", epoch, status->oldest);
	operator_add_number(json, "events", status->head + 1 - status->oldest);
	operator_add_number(json, "bytes", status->n_bytes);
	operator_add_number(json, "free_bytes", status->n_free_bytes);
	operator_add_flag(json, "writable", status->last_error == 0);
	operator_add_flag(json, "held", status->is_held);
	operator_add_number(json, "damaged", status->n_damaged);
	buffer_add_printf(json, "},\"queue\":{\"callbacks\":%llu", (unsigned long long)status->n_queued);
	operator_add_number(json, "bytes", status->queue_bytes);
	buffer_add_char(json, '}');
}

static void add_connections(struct buffer *json, const struct survey *survey)
{
	const struct gateway *gateway = survey->exchange.reactor->gateway;
	uint64_t n_by_state[REPORT_STATES] = { 0 }, n_by_transport[SUBSCRIBER_KINDS] = { 0 }, n_pending = 0, lag = 0;
	for (size_t i = 0; i < gateway->n_reactors; i++) {
		const struct report *report = &survey->reports[i];
		n_pending += report->n_pending;
		lag = report->lag > lag ? report->lag : lag;
		for (size_t kind = 0; kind < SUBSCRIBER_KINDS; kind++)
			for (size_t state = 0; state < REPORT_STATES; state++) {
				n_by_state[state] += report->n_subscribers[kind][state];
				n_by_transport[kind] += report->n_subscribers[kind][state];
			}
	}
	buffer_add_printf(json, ",\"connections\":{\"open\":%zu", limits_count(gateway->limits));
	operator_add_number(json, "pending", n_pending);
	buffer_add_printf(json, "},\"subscribers\":{\"lag\":%llu", (unsigned long long)lag);
	for (size_t i = 0; i < REPORT_STATES; i++)
		operator_add_number(json, survey_states[i], n_by_state[i]);
	for (size_t i = 0; i < SUBSCRIBER_KINDS; i++)
		operator_add_number(json, survey_transports[i], n_by_transport[i]);
	buffer_add_char(json, '}');
}

/* Since when it goes by its configuration, and who wanted that. */
static void add_configuration(struct buffer *json, const struct generation *generation)
{
	buffer_add_text(json, ",\"configuration\":{\"by\":");
	buffer_add_json(json, span_text(generation->by));
	operator_add_time(json, "loaded_at", generation->loaded_ms);
	buffer_add_char(json, '}');
}

/* Whoever asks is told what it may do: a page shows nobody what would be refused. */
static void add_identity(struct buffer *json, const struct identity *identity)
{
	buffer_add_text(json, ",\"you\":{\"name\":");
	buffer_add_json(json, span_text(identity->name));
	buffer_add_json_member(json, "role", identity->role == CONFIG_ROLE_OPERATOR ? SPAN("operator") : SPAN("viewer"));
	buffer_add_char(json, '}');
}

static void conclude(struct survey *survey)
{
	struct exchange *exchange = &survey->exchange;
	struct gateway *gateway = exchange->reactor->gateway;
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	struct store_status status;
	store_get_status(gateway->store, &status);
	buffer_add_text(&json, "{\"version\":\"" BELFRY_VERSION "\"");
	add_state(&json, gateway, exchange_config(exchange));
	operator_add_time(&json, "started_at", gateway->started_ms);
	operator_add_number(&json, "uptime", (uint64_t)(clock_wall_ms() - gateway->started_ms) / MS_PER_S);
	add_configuration(&json, exchange->setup->generation);
	add_journal(&json, gateway, &status);
	add_connections(&json, survey);
	operator_add_number(&json, "handlers", exchange_config(exchange)->n_handlers);
	add_identity(&json, &CONTAINER_OF(survey, struct status_exchange, survey)->identity);
	buffer_add_text(&json, "}\n");
	operator_answer(exchange, &json);
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct status_exchange *status = CONTAINER_OF(exchange, struct status_exchange, survey.exchange);
	(void)rights_identify(exchange->connection, request, &status->identity);
}

static void finish(struct exchange *exchange, struct span body)
{
	(void)body;
	survey_start(exchange, survey_report, conclude);
}

const struct endpoint status_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct status_exchange),
	.begin = begin,
	.finish = finish,
	.expire = survey_expire,
	.release = survey_release,
};
