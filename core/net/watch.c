/* SPDX-License-Identifier: Apache-2.0 */
#include "net/watch.h"

#include "net/operator.h"
#include "net/rights.h"
#include "net/session.h"
#include "net/stream.h"

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct grant *grant = NULL;
	struct message *message = NULL;
	struct identity identity;
	if (!session_read_url(exchange, request, "", &message))
		return;
	for (size_t i = 0; i < message->n_filters; i++)
		message->filters[i].filter.has_outcomes = exchange_config(exchange)->subscribers.outcomes;
	(void)rights_identify(exchange->connection, request, &identity);
	CLEANUP(free) char *key_id = rights_key_id(&identity);
	if (key_id && grant_create_administrator(key_id, &grant) == 0) {
		stream_start(exchange, request, grant, message);
		return;
	}
	session_free_url(message);
	connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
}

const struct endpoint watch_endpoint = { .methods = "GET", .exchange_size = sizeof(struct exchange), .begin = begin };
