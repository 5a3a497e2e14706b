/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of daemon/ share. Everything belongs to the main thread but for what says otherwise. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include "config/contents.h"
#include "daemon/keys.h"
#include "net/acceptor.h"
#include "net/gateway.h"

#include <uv.h>

struct reload;
struct watchdog;

struct server {
	struct gateway gateway;
	const char *path;              /* of the configuration */
	struct generation *generation; /* the one in force; a reference */
	struct contents contents;      /* its certificates */
	uv_loop_t loop;
	uv_signal_t signals[4];
	uv_timer_t drain;
	struct acceptor *acceptor;
	struct key_fetcher *fetcher; /* NULL until there is a jwks_url */
	struct reload *reload;
	struct watchdog *watchdog;
	uint64_t drain_until_ns;
};

void server_log_complaints(const struct complaints *complaints);
/* Puts into effect what needs no building: limits, retention, the log. Also looks for handlers that are owed something
 * and are not configured. */
void server_apply_settings(struct server *server);

#endif
