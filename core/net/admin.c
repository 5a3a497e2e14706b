/* SPDX-License-Identifier: Apache-2.0 */
#include "net/admin.h"

static void answer_text(struct exchange *exchange, int status, struct span text)
{
	connection_answer(exchange->connection,
					  &(struct answer){ .status = status, .content_type = "text/plain; charset=utf-8", .body = text });
}

static void begin_healthz(struct exchange *exchange, const struct http_request *request)
{
	(void)request;
	answer_text(exchange, 200, SPAN("ok\n"));
}

/* Ready means: a callback that came now would be kept. */
static void begin_readyz(struct exchange *exchange, const struct http_request *request)
{
	struct gateway *gateway = exchange->reactor->gateway;
	struct store_status status;
	(void)request;
	store_get_status(gateway->store, &status);
	if (atomic_load(&gateway->is_draining))
		answer_text(exchange, 503, SPAN("draining\n"));
	else if (status.last_error)
		answer_text(exchange, 503, SPAN("the journal cannot be written\n"));
	else
		answer_text(exchange, 200, SPAN("ready\n"));
}

static void begin_metrics(struct exchange *exchange, const struct http_request *request)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	(void)request;
	counters_add_text(&text, &exchange->reactor->gateway->counters);
	connection_answer(exchange->connection, &(struct answer){ .status = text.failed ? 503 : 200,
															  .content_type = "text/plain; version=0.0.4",
															  .body = buffer_span(&text) });
}

static const struct {
	const char *path;
	struct endpoint endpoint;
} endpoints[] = {
	{ "/healthz", { "GET, HEAD", sizeof(struct exchange), begin_healthz, NULL, NULL, NULL } },
	{ "/readyz", { "GET, HEAD", sizeof(struct exchange), begin_readyz, NULL, NULL, NULL } },
	{ "/metrics", { "GET, HEAD", sizeof(struct exchange), begin_metrics, NULL, NULL, NULL } },
};

const struct endpoint *admin_find(const struct http_request *request)
{
	for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++)
		if (span_equal(request->path, span_text(endpoints[i].path)))
			return &endpoints[i].endpoint;
	return NULL;
}
