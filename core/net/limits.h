/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections there are, overall and by address (IPv6: by /64). Any thread; one mutex inside. */
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
void limits_destroy(struct limits *limits);
CLEANUP_DEFINE(struct limits, limits_destroy)

/* Counts one more. *ret_limit is a sentence that names the limit that it is over, NULL if it is within all or exempt
 * (it is counted in any case). 0, or -ENOMEM: nothing was counted. limits_leave() gives it back. */
int limits_enter(struct limits *limits, const struct sockaddr *address, bool is_exempt, struct limits_entry **ret_entry,
				 const char **ret_limit) MUST_USE;
void limits_leave(struct limits *limits, struct limits_entry *entry);
size_t limits_count(struct limits *limits);

/* How many were over which limit, since the beginning. */
struct limits_refused {
	uint64_t n_overall, n_by_address;
};
void limits_get_refused(struct limits *limits, struct limits_refused *ret_refused);

#endif
