/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include "net/access.h"
#include "net/session.h"

#include <errno.h>

static bool accepts_stream(const struct http_request *request)
{
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	struct span accept = http_field_list(request, "accept", &joined), item, type;
	if (!accept.data)
		return true;
	while (span_next(&accept, ',', &item)) {
		(void)span_next(&item, ';', &type);
		type = span_trim(type);
		if (span_equal_ignoring_case(type, SPAN("text/event-stream")) || span_equal(type, SPAN("*/*")))
			return true;
	}
	return false;
}

/* What a browser's EventSource sends by itself when it reconnects is newer than what stands in the URL. */
static bool use_last_event_id(struct exchange *exchange, const struct http_request *request, struct message *message)
{
	struct span id = http_field(request, "last-event-id");
	if (!id.n)
		return true;
	if (!position_parse(id, &message->after)) {
		connection_refuse(exchange->connection, 400, "bad_position", "Last-Event-ID is no position of this gateway",
						  NULL);
		return false;
	}
	message->start = MESSAGE_START_AFTER;
	message->last = 0;
	return true;
}

static bool is_granted(struct exchange *exchange, const struct grant *grant, const struct message *message)
{
	const char *why = session_find_forbidden(exchange_config(exchange), grant, message);
	if (why)
		connection_refuse(exchange->connection, 403, "forbidden", why, NULL);
	return !why;
}

static void send_head(struct exchange *exchange)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	connection_add_status(exchange->connection, &head, 200);
	/* it ends with the connection; proxies must not wait for the end */
	buffer_add_text(&head, "Content-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
						   "Connection: close\r\n");
	buffer_add(&head, buffer_span(&exchange->headers));
	buffer_add_text(&head, "\r\n");
	if (head.failed)
		link_close(&exchange->connection->link);
	else
		connection_send(exchange->connection, buffer_span(&head));
}

void stream_start(struct exchange *exchange, const struct http_request *request, struct grant *grant,
				  struct message *message)
{
	if (!use_last_event_id(exchange, request, message) || !is_granted(exchange, grant, message)) {
		grant_unref(grant);
		session_free_url(message);
		return;
	}
	const struct gateway *gateway = exchange->reactor->gateway;
	send_head(exchange);
	struct subscriber *subscriber = subscriber_create(exchange, SUBSCRIBER_STREAM, grant, message);
	if (subscriber && atomic_load(&gateway->is_draining))
		subscriber_disconnect(subscriber, 1012, "restart", 1000);
	else if (subscriber)
		session_welcome(subscriber);
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	if (!access_check_origin(exchange, request))
		return;
	if (!accepts_stream(request)) {
		connection_refuse(exchange->connection, 426, "upgrade",
						  "connect by WebSocket, or ask for Accept: text/event-stream", "Upgrade: websocket\r\n");
		return;
	}
	struct message *message = NULL;
	if (!session_read_url(exchange, request, "", &message))
		return;
	struct grant *grant = access_require(exchange, request, message->ticket);
	if (grant)
		stream_start(exchange, request, grant, message);
	else
		session_free_url(message);
}

const struct endpoint stream_endpoint = { .methods = "GET", .exchange_size = sizeof(struct exchange), .begin = begin };
