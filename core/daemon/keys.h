/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of subscribers' tokens: from the configuration, and from subscribers.tokens.jwks_url, which is asked again
 * and again. */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include "net/gateway.h"

/* The keys of the configuration and, if `fetched` is not empty, of that JWK set. 0; -EINVAL with *ret_message (the
 * caller frees); -ENOMEM. */
int keys_load(const struct config *config, struct span fetched, struct token_keys **ret_keys,
			  char **ret_message) MUST_USE;

/* Fetches the key set now and every jwks_refresh, on a thread of its own, and gives it to the gateway. What cannot be
 * fetched changes nothing: the keys that are there stay. */
struct key_fetcher;
int key_fetcher_start(struct gateway *gateway, struct key_fetcher **ret_fetcher) MUST_USE;
/* Waits for the thread. NULL is fine. */
void key_fetcher_stop(struct key_fetcher *fetcher);

#endif
