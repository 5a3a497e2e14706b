/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: builds everything from a configuration in the right order, runs until a signal, drains, and takes it
 * apart in the reverse order.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "config/config.h"

/* Runs to the end. 0 after an orderly stop; negative errno if it could not start (said in the log). */
int daemon_run(const struct config *config) MUST_USE;

#endif
