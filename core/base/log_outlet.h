/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the log's lines go: to stderr, and once it is started by way of a thread of its own, so that whoever reads the
 * log (a pipe, the journal's socket) can never make anybody wait who serves others. What comes within some
 * milliseconds goes out in one write. If the reader is too slow for all of it, lines are left out, and counted in a
 * line in their place.
 */
#ifndef BASE_LOG_OUTLET_H
#define BASE_LOG_OUTLET_H

#include "base/cleanup.h"
#include "base/span.h"

/* Takes a whole line, end included. Any thread; never fails. */
void log_outlet_put(struct span line);
/* From now on by the thread. 0 or negative errno: then everything stays as it was. */
int log_outlet_start(void) MUST_USE;
/* Writes what waits, ends the thread; lines go out at once again. Not while others log. */
void log_outlet_stop(void);

#endif
