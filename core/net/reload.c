/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reload.h"

#include "net/rights.h"

/* A plugin may take its time to describe itself. */
#define PATIENCE_MS 60000

struct reload_exchange {
	struct exchange exchange; /* first */
	struct reload_request request;
	struct identity identity;
	struct note note;
	int status;
	struct buffer json;
};

static struct reload_exchange *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct reload_exchange, exchange);
}

static void on_answer(struct reactor *reactor, struct note *note)
{
	struct reload_exchange *reload = CONTAINER_OF(note, struct reload_exchange, note);
	(void)reactor;
	exchange_answer_json_status(&reload->exchange, reload->status, &reload->json, 0, "out of memory");
}

static void on_done(struct reload_request *request, int status, struct span json)
{
	struct reload_exchange *reload = CONTAINER_OF(request, struct reload_exchange, request);
	reload->status = status;
	buffer_add(&reload->json, json);
	reload->note.run = on_answer;
	reactor_post(reload->exchange.reactor, &reload->note);
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct reload_exchange *reload = of(exchange);
	reload->request.is_rehearsal = !span_equal(request->method, SPAN("POST"));
	(void)rights_identify(exchange->connection, request, &reload->identity);
	if (!reload->request.is_rehearsal)
		rights_log(exchange, request);
}

static void finish(struct exchange *exchange, struct span body)
{
	struct reload_exchange *reload = of(exchange);
	struct gateway *gateway = exchange->reactor->gateway;
	(void)body;
	reload->request.by = reload->identity.name;
	reload->request.on_done = on_done;
	exchange->is_held = true;
	connection_set_deadline(exchange->connection, PATIENCE_MS);
	gateway->ask_reload(gateway, &reload->request);
}

static void expire(struct exchange *exchange)
{
	connection_refuse(exchange->connection, 503, "unavailable", "it takes longer: the log will say what became of it",
					  NULL);
}

static void release(struct exchange *exchange)
{
	buffer_finish(&of(exchange)->json);
}

const struct endpoint reload_endpoint = {
	.methods = "GET, HEAD, POST",
	.exchange_size = sizeof(struct reload_exchange),
	.begin = begin,
	.finish = finish,
	.expire = expire,
	.release = release,
};
