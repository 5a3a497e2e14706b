/* SPDX-License-Identifier: Apache-2.0 */
#include "net/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/limits.h"

#include <arpa/inet.h>
#include <errno.h>

static struct span without_port(struct span host)
{
	if (!host.n)
		return host;
	const char *end = host.data[0] == '[' ? memchr(host.data, ']', host.n) : memchr(host.data, ':', host.n);
	if (!end)
		return host;
	return span_of(host.data, (size_t)(end - host.data) + (*end == ']'));
}

static bool is_address(struct span host)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];
	bool is_bracketed = host.n > 2 && host.data[0] == '[' && host.data[host.n - 1] == ']';
	struct span inner = is_bracketed ? span_of(host.data + 1, host.n - 2) : host;
	if (inner.n >= sizeof text)
		return false;
	memcpy(text, inner.data, inner.n);
	text[inner.n] = '\0';
	return inet_pton(is_bracketed ? AF_INET6 : AF_INET, text, &address) == 1;
}

bool access_is_plain_host(const struct http_request *request)
{
	struct span host = without_port(http_field(request, "host"));
	return !host.n || is_address(host) || span_equal_ignoring_case(host, SPAN("localhost"));
}

bool access_is_listed_host(char *const *names, size_t n, const struct http_request *request)
{
	struct span host = without_port(http_field(request, "host"));
	for (size_t i = 0; i < n; i++)
		if (span_equal_ignoring_case(host, span_text(names[i])))
			return true;
	return false;
}

bool access_is_known_host(const struct config *config, const struct http_request *request)
{
	const struct config_subscribers *subscribers = &config->subscribers;
	if (subscribers->n_server_names)
		return access_is_listed_host(subscribers->server_names, subscribers->n_server_names, request);
	bool may_be_rebound = subscribers->anonymous && !subscribers->anonymous_anywhere;
	return !may_be_rebound || access_is_plain_host(request);
}

static bool is_own_origin(struct span origin, struct span host)
{
	static const char *const schemes[] = { "https://", "http://" };
	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
		struct span scheme = span_text(schemes[i]);
		if (span_starts_with(origin, scheme) && span_equal_ignoring_case(span_skip(origin, scheme.n), host))
			return true;
	}
	return false;
}

bool access_is_own_origin(const struct http_request *request)
{
	return http_field_count(request, "origin") == 1 &&
		   is_own_origin(http_field(request, "origin"), http_field(request, "host"));
}

static bool is_allowed(const struct config_subscribers *subscribers, struct span origin, struct span host)
{
	for (size_t i = 0; i < subscribers->n_origins; i++)
		if (span_equal(origin, span_text(subscribers->origins[i])))
			return true;
	return subscribers->n_origins == 0 && is_own_origin(origin, host);
}

bool access_has_own_pages(const struct config_subscribers *subscribers, const struct http_request *request)
{
	struct span host = http_field(request, "host");
	for (size_t i = 0; i < subscribers->n_origins; i++)
		if (is_own_origin(span_text(subscribers->origins[i]), host))
			return true;
	return subscribers->n_origins == 0;
}

bool access_check_origin(struct exchange *exchange, const struct http_request *request)
{
	struct span origin = http_field(request, "origin");
	if (!origin.data)
		return true;
	if (http_field_count(request, "origin") == 1 &&
		is_allowed(&exchange_config(exchange)->subscribers, origin, http_field(request, "host"))) {
		buffer_add_text(&exchange->headers, "Vary: Origin\r\nAccess-Control-Allow-Origin: ");
		buffer_add(&exchange->headers, origin);
		buffer_add_text(&exchange->headers, "\r\n");
		return true;
	}
	exchange->reactor->counters.origins_refused++;
	log_info_limited("page refused", LOG_SPAN("origin", origin));
	connection_refuse(exchange->connection, 403, "origin",
					  "pages of this origin may not subscribe (subscribers.origins)", NULL);
	return false;
}

int access_verify(struct connection *connection, struct span token, struct grant **ret_grant)
{
	struct gateway *gateway = connection->reactor->gateway;
	struct token_keys *keys = gateway_keys(gateway);
	int r = token_verify(keys, token, clock_wall_ms(), ret_grant);
	token_keys_unref(keys);
	if (r == TOKEN_OK)
		return ACCESS_GRANTED;
	if (r < 0)
		return r;
	connection->reactor->counters.tokens_refused++;
	log_info_rarely("token refused", LOG_TEXT("reason", token_outcome_name((enum token_outcome)r)),
					LOG_SPAN("peer", connection_peer(connection)));
	return ACCESS_E_REFUSED;
}

/* What a token granted when its ticket was issued may have ended since. */
static bool is_still_good(struct gateway *gateway, const struct grant *grant)
{
	if (grant->expires_ms == INT64_MAX)
		return true;
	struct token_keys *keys = gateway_keys(gateway);
	bool has_key = token_keys_has(keys, grant->key_id);
	token_keys_unref(keys);
	return has_key && grant->expires_ms + TOKEN_LEEWAY_MS > clock_wall_ms();
}

static int redeem(struct exchange *exchange, const char *ticket, struct grant **ret_grant)
{
	struct gateway *gateway = exchange->reactor->gateway;
	CLEANUP(grant_unref) struct grant *grant = ticket_redeem(gateway->tickets, span_text(ticket), clock_monotonic_ns());
	if (!grant || !is_still_good(gateway, grant)) {
		exchange->reactor->counters.tickets_refused++;
		log_info_rarely("ticket refused");
		return ACCESS_E_REFUSED;
	}
	*ret_grant = STEAL(grant);
	return ACCESS_GRANTED;
}

enum access_outcome access_read_bearer(const struct http_request *request, struct span *ret_token)
{
	struct span authorization = http_field(request, "authorization"), scheme;
	if (!authorization.data)
		return ACCESS_NONE;
	bool has_scheme = span_next(&authorization, ' ', &scheme);
	if (!has_scheme || !authorization.data || !span_equal_ignoring_case(scheme, SPAN("bearer")) ||
		http_field_count(request, "authorization") != 1)
		return ACCESS_E_REFUSED;
	*ret_token = span_trim(authorization);
	return ACCESS_GRANTED;
}

int access_read(struct exchange *exchange, const struct http_request *request, const char *ticket,
				struct grant **ret_grant)
{
	struct span token;
	if (ticket)
		return redeem(exchange, ticket, ret_grant);
	enum access_outcome outcome = access_read_bearer(request, &token);
	if (outcome == ACCESS_GRANTED)
		return access_verify(exchange->connection, token, ret_grant);
	if (outcome != ACCESS_NONE)
		return outcome;
	if (!exchange_config(exchange)->subscribers.anonymous)
		return ACCESS_NONE;
	int r = grant_create_anonymous(ret_grant);
	return r < 0 ? r : ACCESS_GRANTED;
}

int64_t access_refusal_wait_ms(struct connection *connection)
{
	int64_t wait_ms =
		limits_refusal_wait_ms(connection->reactor->gateway->limits, connection->address, clock_monotonic_ns());
	if (wait_ms) {
		log_info_rarely("bad tokens come too fast: refusals have to wait",
						LOG_SPAN("peer", connection_peer(connection)));
	}
	return wait_ms;
}

void access_refuse(struct connection *connection)
{
	connection_refuse_late(connection, access_refusal_wait_ms(connection), 401, "unauthorized", "token not valid",
						   "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
}

struct grant *access_require(struct exchange *exchange, const struct http_request *request, const char *ticket)
{
	struct grant *grant = NULL;
	int r = access_read(exchange, request, ticket, &grant);
	if (r < 0)
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
	else if (r == ACCESS_NONE)
		connection_refuse(exchange->connection, 401, "unauthorized",
						  "a token is needed: Authorization: Bearer, or a ticket from POST /ticket",
						  "WWW-Authenticate: Bearer\r\n");
	else if (r != ACCESS_GRANTED)
		access_refuse(exchange->connection);
	return grant;
}

static void begin_preflight(struct exchange *exchange, const struct http_request *request)
{
	if (!access_check_origin(exchange, request))
		return;
	buffer_add_text(&exchange->headers, "Access-Control-Allow-Methods: GET, POST\r\n"
										"Access-Control-Allow-Headers: authorization, content-type, last-event-id\r\n"
										"Access-Control-Max-Age: 600\r\n");
	connection_answer(exchange->connection, &(struct answer){ .status = 204 });
}

const struct endpoint preflight_endpoint = { .methods = "OPTIONS",
											 .exchange_size = sizeof(struct exchange),
											 .begin = begin_preflight };
