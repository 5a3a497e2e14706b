/* SPDX-License-Identifier: Apache-2.0 */
/* The dialogue of belfry.v1: what a subscriber says, and what it is answered. */
#ifndef NET_SESSION_H
#define NET_SESSION_H

#include "net/subscriber.h"

/* One text message. */
void session_on_message(struct subscriber *subscriber, struct span text);
/* There is a grant: says welcome, and subscribes to what the URL asked for. */
void session_welcome(struct subscriber *subscriber);
/*
 * What the request's query asks for (without one: everything), a message for the caller to session_free_url() or to
 * give to subscriber_create(). True; or the exchange has been answered 400. Parameters named in `others` are left to
 * the caller.
 */
bool session_read_url(struct exchange *exchange, const struct http_request *request, const char *others,
					  struct message **ret_message);
void session_free_url(struct message *message); /* NULL is fine */
/* Its filters side by side, as the store takes them: a list for the caller to free, while what is in them stays the
 * message's. NULL without memory. */
struct filter *session_list_filters(const struct message *message) MUST_USE;
/* Why the grant, or the configuration, does not allow what the message asks for: a sentence. NULL if it is allowed. */
const char *session_find_forbidden(const struct config *config, const struct grant *grant,
								   const struct message *message);
/* The token or ticket is not valid: closes, when it is time (limits_refusal_wait_ms()). */
void session_refuse(struct subscriber *subscriber);
void session_refuse_now(struct subscriber *subscriber);
/* Keys or configuration have changed: closes the session if its token's key is gone, or if it has no token and needs
 * one now. */
void session_check_key(struct subscriber *subscriber, const struct token_keys *keys);

#endif
