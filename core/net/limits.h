/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one address (IPv6: one /64) can make us do: how many connections it has, and how fast its guesses are answered.
 * Any thread; one mutex inside.
 */
#ifndef NET_LIMITS_H
#define NET_LIMITS_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct limits;
struct limits_entry;

int limits_create(uint64_t max_connections, uint64_t max_per_address, struct limits **ret_limits) MUST_USE;
/* Whoever is in stays. */
void limits_set(struct limits *limits, uint64_t max_connections, uint64_t max_per_address);
void limits_destroy(struct limits *limits);
CLEANUP_DEFINE(struct limits, limits_destroy)

/* Counts one more. *ret_limit is a sentence that names the limit that it is over, NULL if it is within all or exempt
 * (it is counted in any case). 0, or -ENOMEM: nothing was counted. limits_leave() gives it back. */
int limits_enter(struct limits *limits, const struct sockaddr *address, bool is_exempt, struct limits_entry **ret_entry,
				 const char **ret_limit) MUST_USE;
void limits_leave(struct limits *limits, struct limits_entry *entry);
size_t limits_count(struct limits *limits);
/* How many of them are too many. */
size_t limits_excess(struct limits *limits);

/* How many were over which limit, since the beginning. */
struct limits_refused {
	uint64_t n_overall, n_by_address;
};
void limits_get_refused(struct limits *limits, struct limits_refused *ret_refused);

/*
 * A token or ticket that came from this address has been refused once more. For how many milliseconds the answer has to
 * wait: 0 for the first hundred, then as long as it takes that there is one a second; negative when that would be more
 * than LIMITS_MAX_WAIT_MS: not worth an answer. All addresses together have 200 a second. Whoever shows a good token
 * never waits, because an address may be a whole company. entry: NULL (a unix socket) never waits either.
 */
#define LIMITS_MAX_WAIT_MS 5000
int64_t limits_refusal_wait_ms(struct limits *limits, const struct limits_entry *entry, uint64_t now_ns);

#endif
