/* SPDX-License-Identifier: Apache-2.0 */
#include "net/drain.h"

#include "net/operator.h"
#include "net/rights.h"

#include <signal.h>

static void begin(struct exchange *exchange, const struct http_request *request)
{
	rights_log(exchange, request);
}

/* A second signal would cut everybody off. */
static void finish(struct exchange *exchange, struct span body)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	struct gateway *gateway = exchange->reactor->gateway;
	(void)body;
	if (!atomic_exchange(&gateway->is_asked_to_stop, true) && !atomic_load(&gateway->is_stopping))
		(void)kill(getpid(), SIGTERM);
	buffer_add_text(&json, "{\"draining\":true}\n");
	operator_answer(exchange, &json);
}

const struct endpoint drain_endpoint = {
	.methods = "POST", .exchange_size = sizeof(struct exchange), .begin = begin, .finish = finish
};
