/* SPDX-License-Identifier: Apache-2.0 */
#include "net/upgrade.h"

#include "net/access.h"
#include "net/session.h"
#include "wire/websocket.h"

#include <errno.h>

static const char subprotocol[] = "belfry.v1";

/* A client that offers none gets ours without a word; one that offers only others would not understand us. */
static bool check_subprotocol(struct exchange *exchange, const struct http_request *request, bool *ret_is_offered)
{
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	struct span offered = http_field_list(request, "sec-websocket-protocol", &joined);
	*ret_is_offered = offered.data && http_list_has(offered, span_text(subprotocol));
	if (!offered.data || *ret_is_offered)
		return true;
	connection_refuse(exchange->connection, 400, "subprotocol", "the only subprotocol here is belfry.v1", NULL);
	return false;
}

static void switch_protocols(struct exchange *exchange, const char *accept, bool has_subprotocol)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	connection_add_status(exchange->connection, &head, 101);
	buffer_add_text(&head, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
	buffer_add_text(&head, accept);
	buffer_add_text(&head, "\r\n");
	if (has_subprotocol)
		buffer_add_printf(&head, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
	buffer_add_text(&head, "\r\n");
	if (head.failed)
		link_close(&exchange->connection->link);
	else
		connection_send(exchange->connection, buffer_span(&head));
}

/* A page sees nothing of an HTTP answer to its WebSocket, only of what comes behind the upgrade. So what a page must
 * learn (a ticket that is spent, a limit) is told there. */
static void welcome(struct exchange *exchange, int access, struct grant *grant, struct message *from_url)
{
	struct connection *connection = exchange->connection;
	const char *limit = connection->limit;
	struct subscriber *subscriber = subscriber_create(exchange, SUBSCRIBER_WEBSOCKET, grant, from_url);
	if (!subscriber)
		return;
	if (atomic_load(&connection->reactor->gateway->is_draining))
		subscriber_disconnect(subscriber, 1012, "restart", 1000);
	else if (limit)
		subscriber_disconnect(subscriber, 1013, limit, 5000);
	else if (access == ACCESS_E_REFUSED)
		session_refuse(subscriber);
	else if (subscriber->grant)
		session_welcome(subscriber);
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	char accept[WEBSOCKET_ACCEPT_SIZE];
	struct http_problem problem;
	bool has_subprotocol;
	if (websocket_check_handshake(request, accept, &problem) != HTTP_OK) {
		connection_refuse(exchange->connection, problem.status, "handshake", problem.reason,
						  problem.status == 426 ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" : NULL);
		return;
	}
	if (!access_check_origin(exchange, request) || !check_subprotocol(exchange, request, &has_subprotocol))
		return;
	struct message *from_url = NULL; /* without a query it asks for nothing yet */
	if (request->query.n && !session_read_url(exchange, request, "", &from_url))
		return;
	struct grant *grant = NULL;
	const char *ticket = from_url ? from_url->ticket : NULL;
	int access = access_read(exchange, request, ticket, &grant);
	if (access < 0 || (access == ACCESS_E_REFUSED && !ticket)) {
		session_free_url(from_url);
		if (access < 0)
			connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
		else
			access_refuse(exchange->connection);
		return;
	}
	switch_protocols(exchange, accept, has_subprotocol);
	welcome(exchange, access, grant, from_url);
}

const struct endpoint upgrade_endpoint = { .methods = NULL, /* any: the handshake's own check answers */
										   .exchange_size = sizeof(struct exchange),
										   .begin = begin };
