/* SPDX-License-Identifier: Apache-2.0 */
/* Where the gateway can be reached: a URL that somebody wrote, or the way to a listener of the configuration. */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli/invocation.h"
#include "config/config.h"

struct target {
	char *url;           /* without query */
	char *unix_path;     /* the socket, if it is one */
	char *connect_to;    /* where to connect whatever host the URL names, in curl's words; NULL: there */
	bool is_local;       /* a listener of ours: never by way of a proxy */
	const char *ca_file; /* borrowed from the invocation */
	bool is_insecure;
};

enum target_role { TARGET_SOURCES, TARGET_SUBSCRIBERS, TARGET_ADMIN };

/*
 * The first listener that serves this role. public_url gives the host name that its certificate should be for; NULL:
 * its address.
 * --insecure and --cacert are taken from the invocation, and --url wins over everything (then config may be NULL).
 * CLI_OK; CLI_E_USAGE, told; -ENOMEM.
 */
int target_find(const struct invocation *invocation, const struct config *config, enum target_role role,
				const char *public_url, const char *path, struct target *ret_target) MUST_USE;
void target_finish(struct target *target);
static inline void target_finish_cleanup(struct target *target)
{
	target_finish(target);
}

#endif
