/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's watchdog (WatchdogSec=): it hears from us as long as everybody works. What that is, /healthz asks as well:
 * every reactor comes to its inbox, and no thread of the journal hangs. Without a word it starts another gateway.
 */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include "net/gateway.h"

#include <uv.h>

struct watchdog;

/* On the loop of the calling thread; *ret_watchdog is NULL if nobody wants to hear from us. 0 or -ENOMEM. The reactors
 * must be running. */
int watchdog_create(struct gateway *gateway, uv_loop_t *loop, struct watchdog **ret_watchdog) MUST_USE;
/* After the reactors are destroyed and the loop is closed. NULL is fine. */
void watchdog_destroy(struct watchdog *watchdog);

#endif
