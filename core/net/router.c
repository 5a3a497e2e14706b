/* SPDX-License-Identifier: Apache-2.0 */
#include "net/router.h"

#include "base/log.h"
#include "net/access.h"
#include "net/admin.h"
#include "net/events.h"
#include "net/ingest.h"
#include "net/page.h"
#include "net/stream.h"
#include "net/tickets.h"
#include "net/upgrade.h"
#include "wire/websocket.h"

/* A provider that was given a wrong URL is found by this line. */
static void refuse_path(struct exchange *exchange, const struct http_request *request)
{
	log_info_limited("nothing is at this path", LOG_SPAN("path", request->path), LOG_SPAN("method", request->method),
					 LOG_SPAN("peer", connection_peer(exchange->connection)));
	connection_refuse(exchange->connection, 404, "not_found", "there is nothing here", NULL);
}

static void refuse_limit(struct exchange *exchange, const struct http_request *request)
{
	(void)request;
	exchange->keep_alive = false;
	connection_refuse(exchange->connection, 503, "limit", exchange->connection->limit, "Retry-After: 5\r\n");
}

static void refuse_host(struct exchange *exchange, const struct http_request *request)
{
	log_info_limited("a host that is none of ours", LOG_SPAN("host", http_field(request, "host")));
	exchange->keep_alive = false;
	connection_refuse(exchange->connection, 421, "host",
					  "subscribers do not reach the gateway by this name (subscribers.server_names)", NULL);
}

static const struct endpoint misdirected = { .exchange_size = sizeof(struct exchange), .begin = refuse_host };
static const struct endpoint not_found = { .exchange_size = sizeof(struct exchange), .begin = refuse_path };
static const struct endpoint over_limit = { .exchange_size = sizeof(struct exchange), .begin = refuse_limit };

/* Answers 405 for the endpoint that is there; it reads its methods from the router again, so it needs no state. */
static void refuse_method(struct exchange *exchange, const struct http_request *request);
static const struct endpoint wrong_method = { .exchange_size = sizeof(struct exchange), .begin = refuse_method };

static bool is_path(const struct http_request *request, const char *path)
{
	return span_equal(request->path, span_text(path));
}

static const struct endpoint *find_source(const struct connection *connection, const struct http_request *request,
										  struct source **ret_source)
{
	const struct config *config = connection->reactor->config;
	for (size_t i = 0; i < config->n_sources; i++)
		if (is_path(request, config->sources[i].path)) {
			*ret_source = &connection->reactor->setup->sources[i];
			return &ingest_endpoint;
		}
	return NULL;
}

/* The subscribers' address is the WebSocket's; for whoever does not upgrade the event stream's, or a browser's page. */
static const struct endpoint *find_way(const struct config_subscribers *subscribers, const struct http_request *request)
{
	if (websocket_is_upgrade(request))
		return &upgrade_endpoint;
	return page_is_wanted(subscribers, request) ? &page_endpoint : &stream_endpoint;
}

static const struct endpoint *find_subscribers(const struct connection *connection, const struct http_request *request)
{
	bool is_preflight = span_equal(request->method, SPAN("OPTIONS"));
	const struct config_subscribers *subscribers = &connection->reactor->config->subscribers;
	const struct endpoint *endpoint = NULL;
	if (is_path(request, subscribers->path))
		endpoint = find_way(subscribers, request);
	else if (is_path(request, "/events"))
		endpoint = &events_endpoint;
	else if (is_path(request, "/ticket"))
		endpoint = &ticket_endpoint;
	else if (is_path(request, "/belfry.js"))
		endpoint = &client_endpoint;
	if (endpoint && !access_is_known_host(connection->reactor->config, request))
		return &misdirected;
	return endpoint && is_preflight ? &preflight_endpoint : endpoint;
}

static const struct endpoint *find(const struct connection *connection, const struct http_request *request,
								   struct source **ret_source)
{
	const struct endpoint *endpoint = NULL;
	if (connection->serves & SERVES_ADMIN)
		return admin_find(connection, request);
	if (connection->serves & SERVES_SOURCES)
		endpoint = find_source(connection, request, ret_source);
	if (!endpoint && (connection->serves & SERVES_SUBSCRIBERS))
		endpoint = find_subscribers(connection, request);
	return endpoint;
}

static bool has_method(const struct endpoint *endpoint, struct span method)
{
	struct span rest = span_text(endpoint->methods), item;
	while (span_next(&rest, ',', &item))
		if (span_equal(span_trim(item), method)) /* case matters, RFC 9110 9.1 */
			return true;
	return !endpoint->methods;
}

static void refuse_method(struct exchange *exchange, const struct http_request *request)
{
	struct source *source;
	CLEANUP(buffer_finish) struct buffer allow = BUFFER_INIT;
	buffer_add_printf(&allow, "Allow: %s\r\n", find(exchange->connection, request, &source)->methods);
	buffer_add_char(&allow, '\0');
	exchange->keep_alive = false; /* what a method means that nobody knows here, its sender alone knows (CONNECT) */
	connection_refuse(exchange->connection, 405, "method_not_allowed", "the path is right, the method is not",
					  allow.data);
}

const struct endpoint *router_find(const struct connection *connection, const struct http_request *request,
								   struct source **ret_source)
{
	const struct endpoint *endpoint = find(connection, request, ret_source);
	if (connection->limit && endpoint != &upgrade_endpoint) /* which says so in a way that a page can see */
		return &over_limit;
	if (!endpoint)
		return &not_found;
	return has_method(endpoint, request->method) ? endpoint : &wrong_method;
}
