/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: builds everything from a configuration in the right order, runs until a signal, drains, and takes it
 * apart in the reverse order.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "config/config.h"

enum daemon_outcome {
	DAEMON_STOPPED,  /* in good order */
	DAEMON_E_CONFIG, /* what the configuration names is no use: a certificate, a key */
};
/* Runs to the end, with the configuration that was read from `path`, which it takes over. An outcome, or negative errno
 * if it could not start; said in the log. SIGHUP is to be blocked: it is heard from here on. */
int daemon_run(const char *path, struct config *config) MUST_USE;
/* What the configuration says of the log. */
void daemon_set_log(const struct config *config);

#endif
