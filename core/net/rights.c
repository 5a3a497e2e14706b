/* SPDX-License-Identifier: Apache-2.0 */
#include "net/rights.h"

#include "base/log.h"
#include "net/access.h"

/* --- whose request it is ------------------------------------------------------------------------------------------ */

/* All are compared, by their digests, so that the time tells nothing of any. */
static const struct config_admin_token *find_token(const struct config_admin *admin, struct span shown)
{
	const struct config_admin_token *found = NULL;
	uint8_t digest[DIGEST_BYTES], other[DIGEST_BYTES];
	if (digest_sha256(shown, digest) < 0)
		return NULL;
	for (size_t i = 0; i < admin->n_tokens; i++) {
		const struct secret *token = &admin->tokens[i].token;
		if (digest_sha256(span_of(token->data, token->n), other) == 0 && digest_equal(digest, other, sizeof digest))
			found = &admin->tokens[i];
	}
	return found;
}

bool rights_identify(const struct connection *connection, const struct http_request *request,
					 struct identity *ret_identity)
{
	const struct config_admin *admin = &connection->reactor->config->admin;
	bool is_socket = connection->serves & SERVES_TRUSTED;
	struct span shown;
	*ret_identity = (struct identity){ CONFIG_ROLE_OPERATOR, is_socket ? "socket" : "address", NULL };
	if (is_socket || !admin->n_tokens)
		return true;
	if (access_read_bearer(request, &shown) != ACCESS_GRANTED)
		return false;
	const struct config_admin_token *token = find_token(admin, shown);
	if (token)
		*ret_identity = (struct identity){ token->role, token->name, token };
	return token;
}

/* The token's digest; empty without a token. */
static void add_key_id(struct buffer *id, const struct config_admin_token *token)
{
	uint8_t digest[DIGEST_BYTES];
	if (token && digest_sha256(span_of(token->token.data, token->token.n), digest) < 0)
		id->failed = true;
	else if (token)
		base64_add(id, digest, sizeof digest);
}

char *rights_key_id(const struct identity *identity)
{
	struct buffer id = BUFFER_INIT;
	add_key_id(&id, identity->token);
	return buffer_steal_text(&id);
}

bool rights_has_key(const struct connection *connection, const char *key_id)
{
	const struct config_admin *admin = &connection->reactor->config->admin;
	bool has_key = (connection->serves & SERVES_TRUSTED) || !admin->n_tokens;
	for (size_t i = 0; i < admin->n_tokens && !has_key; i++) {
		CLEANUP(buffer_finish) struct buffer id = BUFFER_INIT;
		add_key_id(&id, &admin->tokens[i]);
		has_key = span_equal(buffer_span(&id), span_text(key_id));
	}
	return has_key;
}

void rights_log(const struct exchange *exchange, const struct http_request *request)
{
	struct identity identity;
	if (rights_identify(exchange->connection, request, &identity))
		log_info("operator", LOG_TEXT("name", identity.name), LOG_SPAN("method", request->method),
				 LOG_SPAN("path", request->path), LOG_SPAN("query", request->query),
				 LOG_SPAN("peer", connection_peer(exchange->connection)));
}

/* --- why not ------------------------------------------------------------------------------------------------------ */

static void refuse_host(struct exchange *exchange, const struct http_request *request)
{
	exchange->reactor->counters.admin_hosts_refused++;
	log_info_limited("a host that is none of ours", LOG_SPAN("host", http_field(request, "host")));
	exchange->keep_alive = false;
	connection_refuse(exchange->connection, 421, "host",
					  "administrators do not reach the gateway by this name (admin.server_names)", NULL);
}

static void refuse_origin(struct exchange *exchange, const struct http_request *request)
{
	exchange->reactor->counters.admin_origins_refused++;
	log_info_limited("page refused", LOG_SPAN("origin", http_field(request, "origin")));
	connection_refuse(exchange->connection, 403, "origin", "pages of elsewhere have no business here", NULL);
}

static void refuse_token(struct exchange *exchange, const struct http_request *request)
{
	if (!http_field(request, "authorization").data) {
		connection_refuse(exchange->connection, 401, "unauthorized", "a token is needed: Authorization: Bearer",
						  "WWW-Authenticate: Bearer\r\n");
		return;
	}
	exchange->reactor->counters.admin_tokens_refused++;
	log_warning_limited("administrator's token refused", LOG_SPAN("peer", connection_peer(exchange->connection)));
	access_refuse(exchange->connection);
}

static void refuse_role(struct exchange *exchange, const struct http_request *request)
{
	(void)request;
	exchange->reactor->counters.admin_roles_refused++;
	connection_refuse(exchange->connection, 403, "forbidden", "this takes an operator, and the token is a viewer's",
					  NULL);
}

static const struct endpoint host_refused = { .exchange_size = sizeof(struct exchange), .begin = refuse_host };
static const struct endpoint origin_refused = { .exchange_size = sizeof(struct exchange), .begin = refuse_origin };
static const struct endpoint token_refused = { .exchange_size = sizeof(struct exchange), .begin = refuse_token };
static const struct endpoint role_refused = { .exchange_size = sizeof(struct exchange), .begin = refuse_role };

static bool is_known_host(const struct config_admin *admin, const struct http_request *request)
{
	return access_is_plain_host(request) || access_is_listed_host(admin->server_names, admin->n_server_names, request);
}

static bool only_reads(const struct http_request *request)
{
	return span_equal(request->method, SPAN("GET")) || span_equal(request->method, SPAN("HEAD"));
}

const struct endpoint *rights_refusal(const struct connection *connection, const struct http_request *request,
									  enum rights rights)
{
	struct identity identity;
	if (rights == RIGHTS_NONE || (connection->serves & SERVES_TRUSTED)) /* no page can reach the socket */
		return NULL;
	if (!is_known_host(&connection->reactor->config->admin, request))
		return &host_refused;
	if (http_field(request, "origin").data && !access_is_own_origin(request))
		return &origin_refused;
	if (rights == RIGHTS_ANYBODY)
		return NULL;
	if (!rights_identify(connection, request, &identity))
		return &token_refused;
	return identity.role == CONFIG_ROLE_OPERATOR || only_reads(request) ? NULL : &role_refused;
}
