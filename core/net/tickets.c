/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tickets.h"

#include "base/clock.h"
#include "net/access.h"

#include <errno.h>

/* Pages like to post a body; what is in it does not matter. */
#define MAX_BODY_BYTES 1024

struct ticket_exchange {
	struct exchange exchange; /* first */
	struct grant *grant;
};

static void begin(struct exchange *exchange, const struct http_request *request)
{
	exchange->max_body = MAX_BODY_BYTES;
	if (!access_check_origin(exchange, request))
		return;
	struct grant *grant = access_require(exchange, request, NULL);
	if (grant)
		CONTAINER_OF(exchange, struct ticket_exchange, exchange)->grant = grant;
}

static void finish(struct exchange *exchange, struct span body)
{
	struct grant *grant = CONTAINER_OF(exchange, struct ticket_exchange, exchange)->grant;
	char ticket[TICKET_CHARS + 1];
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	(void)body;
	int r = ticket_issue(exchange->reactor->gateway->tickets, grant, clock_monotonic_ns(), ticket);
	if (r < 0) {
		connection_refuse(exchange->connection, 503, "limit",
						  r == -ENOBUFS ? "too many tickets wait to be used" : "no ticket can be made now",
						  "Retry-After: 5\r\n");
		return;
	}
	buffer_add_printf(&json, "{\"ticket\":\"%s\",\"expires_in\":%d}\n", ticket, TICKET_LIFETIME_MS / MS_PER_S);
	connection_answer(exchange->connection, &(struct answer){ .status = 200,
															  .content_type = "application/json",
															  .body = buffer_span(&json),
															  .headers = "Cache-Control: no-store\r\n" });
}

static void release(struct exchange *exchange)
{
	grant_unref(CONTAINER_OF(exchange, struct ticket_exchange, exchange)->grant);
}

const struct endpoint ticket_endpoint = {
	.methods = "POST",
	.exchange_size = sizeof(struct ticket_exchange),
	.begin = begin,
	.finish = finish,
	.release = release,
};
