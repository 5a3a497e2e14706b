/* SPDX-License-Identifier: Apache-2.0 */
/* Who may come in: origins of pages (and CORS, which is driven by the same list), tokens, tickets. */
#ifndef NET_ACCESS_H
#define NET_ACCESS_H

#include "net/connection.h"

/*
 * Whether Host is a name by which subscribers may reach the gateway: one of subscribers.server_names, else any. But
 * anonymous subscribers on this machine must come by an address or localhost: whoever owns a name can make it lead
 * here, and its page would read what it finds without an Origin being sent (DNS rebinding).
 */
bool access_is_known_host(const struct config *config, const struct http_request *request);

/* Whether Host is an address, localhost, or not there: no name that a stranger can make lead here. */
bool access_is_plain_host(const struct http_request *request);
/* Whether it is one of these names, whatever the port. */
bool access_is_listed_host(char *const *names, size_t n, const struct http_request *request);
/* Whether the page came from where the request went: the same host and port, over whatever scheme a proxy in front may
 * have. There must be an Origin. */
bool access_is_own_origin(const struct http_request *request);

/*
 * Checks Origin: absent is fine (no browser), else it must be on subscribers.origins or, without such a list, be the
 * gateway's own. Adds the CORS lines to the exchange. True; or it has been answered 403.
 */
bool access_check_origin(struct exchange *exchange, const struct http_request *request);

/* Pages that the gateway itself serves may subscribe: their origin passes. */
bool access_has_own_pages(const struct config_subscribers *subscribers, const struct http_request *request);

enum access_outcome {
	ACCESS_GRANTED, /* *ret_grant is a reference for the caller */
	ACCESS_NONE,    /* nothing was shown, and anonymous subscribers are not allowed */
	ACCESS_E_REFUSED,
};
/* What the Authorization field (or, if not NULL, the ticket) grants. -ENOMEM possible. */
int access_read(struct exchange *exchange, const struct http_request *request, const char *ticket,
				struct grant **ret_grant) MUST_USE;
/* What stands behind "Bearer": ACCESS_GRANTED, with whatever it is; ACCESS_NONE, without the field; ACCESS_E_REFUSED.
 */
enum access_outcome access_read_bearer(const struct http_request *request, struct span *ret_token);
/* A token by itself: ACCESS_GRANTED, ACCESS_E_REFUSED (counted, logged), -ENOMEM. */
int access_verify(struct connection *connection, struct span token, struct grant **ret_grant) MUST_USE;
/* How long the answer to ACCESS_E_REFUSED has to wait, counting it: see limits_refusal_wait_ms(). */
int64_t access_refusal_wait_ms(struct connection *connection) MUST_USE;
/* Answers 401, when it is time. */
void access_refuse(struct connection *connection);
/* As access_read(); whatever is not a grant has been answered, and NULL is returned. */
struct grant *access_require(struct exchange *exchange, const struct http_request *request, const char *ticket);

/* OPTIONS. */
extern const struct endpoint preflight_endpoint;

#endif
