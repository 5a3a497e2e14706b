/* SPDX-License-Identifier: Apache-2.0 */
#include "net/watch.h"

#include "net/operator.h"
#include "net/session.h"
#include "net/stream.h"

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct grant *grant = NULL;
	struct message *message = NULL;
	if (!session_read_url(exchange, request, "", &message))
		return;
	for (size_t i = 0; i < message->n_filters; i++)
		message->filters[i].filter.has_outcomes = exchange_config(exchange)->subscribers.outcomes;
	if (grant_create_anonymous(&grant) == 0) {
		stream_start(exchange, request, grant, message);
		return;
	}
	session_free_url(message);
	connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
}

const struct endpoint watch_endpoint = { .methods = "GET", .exchange_size = sizeof(struct exchange), .begin = begin };
