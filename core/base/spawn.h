/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program that gets nothing of ours: no environment, no descriptor but those that it is given, no signal that
 * is blocked or ignored. It has a session of its own, so that kill(-pid) reaches whatever it starts.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include "base/cleanup.h"

#include <sys/types.h>

#define SPAWN_MAX_FDS 8

/* arguments[0] is the program's path; ended by NULL. fds[i] becomes its descriptor i, for i below n_fds (at most
 * SPAWN_MAX_FDS); they stay the caller's. 0 or -errno. Any thread. */
int spawn_program(const char *const *arguments, const int *fds, size_t n_fds, pid_t *ret_pid) MUST_USE;

#endif
