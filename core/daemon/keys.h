/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of subscribers' tokens from subscribers.tokens.jwks_url, which is asked again and again. */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include "net/gateway.h"

/* Fetches the key set at once and every jwks_refresh, on a thread of its own, and gives it to the gateway beside the
 * keys of the configuration. What cannot be fetched changes nothing: the keys that are there stay. */
struct key_fetcher;
/* On hold, until key_fetcher_go_on(). 0 or -errno. */
int key_fetcher_start(struct gateway *gateway, struct generation *generation,
					  struct key_fetcher **ret_fetcher) MUST_USE;
/* Nothing that is fetched is put in force meanwhile: a reload makes keys of what was fetched last, which it gets a copy
 * of. Any thread. */
void key_fetcher_hold(struct key_fetcher *fetcher, struct buffer *ret_fetched);
/* By another generation, or, NULL, by the same. */
void key_fetcher_go_on(struct key_fetcher *fetcher, struct generation *generation);
/* Waits for the thread. NULL is fine. */
void key_fetcher_stop(struct key_fetcher *fetcher);

#endif
