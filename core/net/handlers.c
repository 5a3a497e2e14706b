/* SPDX-License-Identifier: Apache-2.0 */
#include "net/handlers.h"

#include "base/clock.h"
#include "net/operator.h"
#include "store/deliveries.h"

static const char *state_of(const struct supervisor_counts *counts)
{
	if (counts->is_failing)
		return "failing";
	if (counts->is_paused)
		return "paused";
	return counts->n_in_hand ? "working" : "idle";
}

static void add_ms(struct buffer *json, const char *key, uint64_t ns)
{
	buffer_add_printf(json, ",\"%s\":%.3f", key, (double)ns / NS_PER_MS);
}

static void add_interactions(struct buffer *json, const struct config *config, size_t handler)
{
	size_t n = 0;
	buffer_add_text(json, ",\"interactions\":[");
	for (size_t i = 0; i < config->n_interactions; i++)
		for (size_t k = 0; k < config->interactions[i].n_targets; k++) {
			if (config->interactions[i].targets[k].handler != handler)
				continue;
			buffer_add_text(json, n++ ? "," : "");
			buffer_add_json(json, span_text(config->interactions[i].pattern));
			break;
		}
	buffer_add_char(json, ']');
}

static void add_handler(struct buffer *json, const struct gateway *gateway, const struct config *config, size_t i)
{
	const struct config_handler *handler = &config->handlers[i];
	struct supervisor_counts counts;
	supervisor_get_counts(gateway->supervisor, span_text(handler->name), &counts);
	buffer_add_text(json, "{\"name\":");
	buffer_add_json(json, span_text(handler->name));
	buffer_add_json_member(json, "plugin", span_text(handler->plugin));
	buffer_add_json_member(json, "version", span_text(handler->version));
	add_interactions(json, config, i);
	buffer_add_json_member(json, "state", span_text(state_of(&counts)));
	if (counts.is_paused)
		operator_add_time(json, "paused_until", counts.paused_until_ms);
	operator_add_number(json, "workers", handler->workers);
	operator_add_number(json, "processes", counts.n_processes);
	operator_add_number(json, "owed", store_count_owed(gateway->store, span_text(handler->name)));
	operator_add_number(json, "in_hand", counts.n_in_hand);
	operator_add_number(json, "done", counts.n_done);
	operator_add_number(json, "retried", counts.n_retried);
	operator_add_number(json, "dead", counts.n_dead);
	operator_add_number(json, "crashed", counts.n_crashed);
	add_ms(json, "mean_ms", counts.mean_ns);
	add_ms(json, "p99_ms", histogram_quantile(&counts.took, 99));
	buffer_add_char(json, '}');
}

static void finish(struct exchange *exchange, struct span body)
{
	const struct config *config = exchange_config(exchange);
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	(void)body;
	buffer_add_text(&json, "{\"handlers\":[");
	for (size_t i = 0; i < config->n_handlers; i++) {
		buffer_add_text(&json, i ? ",\n" : "");
		add_handler(&json, exchange->reactor->gateway, config, i);
	}
	buffer_add_text(&json, "]}\n");
	operator_answer(exchange, &json);
}

const struct endpoint handlers_endpoint = { .methods = "GET, HEAD",
											.exchange_size = sizeof(struct exchange),
											.finish = finish };
