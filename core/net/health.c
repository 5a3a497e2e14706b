/* SPDX-License-Identifier: Apache-2.0 */
#include "net/health.h"

#include "base/clock.h"
#include "net/survey.h"

static void answer_text(struct exchange *exchange, int status, struct span text)
{
	connection_answer(exchange->connection,
					  &(struct answer){ .status = status, .content_type = "text/plain; charset=utf-8", .body = text });
}

/* --- alive: every thread does its work ---------------------------------------------------------------------------- */

static void conclude_healthz(struct survey *survey)
{
	struct exchange *exchange = &survey->exchange;
	const char *hanging = gateway_hanging_thread(exchange->reactor->gateway);
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	if (hanging)
		buffer_add_printf(&text, "does not respond: the journal's %s\n", hanging);
	else
		buffer_add_text(&text, "ok\n");
	answer_text(exchange, hanging ? 503 : 200, buffer_span(&text));
}

static void finish_healthz(struct exchange *exchange, struct span body)
{
	(void)body;
	survey_start(exchange, NULL, conclude_healthz);
}

const struct endpoint healthz_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct survey),
	.finish = finish_healthz,
	.expire = survey_expire,
	.release = survey_release,
};

/* --- ready: a callback that came now would be kept, a subscriber let in ------------------------------------------- */

/* Subscribers can only have keys that were never fetched. */
static bool has_no_keys(const struct config *config, struct gateway *gateway)
{
	const struct config_subscribers *subscribers = &config->subscribers;
	return subscribers->jwks_url && !subscribers->n_keys && !subscribers->anonymous &&
		   !atomic_load(&gateway->has_fetched_keys);
}

static uint64_t largest_callback(const struct config *config)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < config->n_sources; i++)
		if (config->sources[i].max_body_bytes > bytes)
			bytes = config->sources[i].max_body_bytes;
	return bytes;
}

void health_add_problem(struct gateway *gateway, const struct config *config, struct buffer *text)
{
	const struct config_limits *limits = &config->limits;
	struct store_status status;
	store_get_status(gateway->store, &status);
	if (atomic_load(&gateway->is_stopping))
		buffer_add_text(text, "the gateway is stopping");
	else if (status.last_error)
		buffer_add_printf(text, "the journal cannot be written: %s", strerrordesc_np(-status.last_error));
	else if (status.writer_busy_ns > (uint64_t)limits->answer_timeout_ms * NS_PER_MS)
		buffer_add_text(text, "the journal is too slow: callbacks are answered 503");
	else if (status.queue_bytes + largest_callback(config) > limits->queue_bytes)
		buffer_add_text(text, "the queue to the journal is full");
	else if (has_no_keys(config, gateway))
		buffer_add_text(text, "no token can be checked: the key set could not be fetched yet");
}

static void finish_readyz(struct exchange *exchange, struct span body)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	(void)body;
	health_add_problem(exchange->reactor->gateway, exchange_config(exchange), &text);
	bool is_ready = text.n == 0;
	buffer_add_text(&text, is_ready ? "ready\n" : "\n");
	answer_text(exchange, is_ready ? 200 : 503, buffer_span(&text));
}

const struct endpoint readyz_endpoint = { .methods = "GET, HEAD",
										  .exchange_size = sizeof(struct exchange),
										  .finish = finish_readyz };
