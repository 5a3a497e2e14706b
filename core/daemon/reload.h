/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload: another configuration for a gateway that runs, whole or not at all.
 *
 * Everything is built before anything is touched: a thread of its own reads the files, has plugins described, makes
 * keys, certificates and verifiers; the main thread opens the new listeners. If any of it fails, it is thrown away, and
 * whoever asked is told why. Then nothing can fail any more: each reactor, the supervisor and the acceptor are given
 * what was made for them, by a note, and who asked is answered when all of them go by it. What is under way ends by the
 * configuration that it began with (config/generation.h); no connection is dropped.
 *
 * One at a time. Whoever asks while one is under way is served by the next, which begins to read the files only after
 * that: so the last one wins, and a hundred that ask at once cost two.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "daemon/server.h"
#include "net/reload.h"

/* 0 or -errno. */
int reload_create(struct server *server, struct reload **ret_reload) MUST_USE;
/* SIGHUP: complaints go to the log. */
void reload_on_signal(struct reload *reload);
/* The gateway stops: nobody is served any more, and what has not been switched to never will be. */
void reload_stop(struct reload *reload);
/* Waits for the loader, and answers who still waits: while the reactors run. NULL is fine. */
void reload_finish(struct reload *reload);
/* When no other thread runs any more. Needs turns of the loop to come to an end. NULL is fine. */
void reload_destroy(struct reload *reload);

#endif
