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
/* Runs to the end. An outcome, or negative errno if it could not start; said in the log. */
int daemon_run(const struct config *config) MUST_USE;

#endif
