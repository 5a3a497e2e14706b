/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawnattr_setsigmask(attributes, &none);
	(void)posix_spawnattr_setsigdefault(attributes, &all);
	return posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
}

static int set_actions(posix_spawn_file_actions_t *actions, const int *fds, size_t n_fds)
{
	int r = 0;
	for (size_t i = 0; i < n_fds && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(actions, fds[i], (int)i);
	return r ? r : posix_spawn_file_actions_addclosefrom_np(actions, (int)n_fds);
}

static int spawn(const char *const *arguments, const int *fds, size_t n_fds, pid_t *ret_pid)
{
	static char *const environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int r = posix_spawn_file_actions_init(&actions);
	if (r)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r == 0) {
		r = set_attributes(&attributes);
		if (r == 0)
			r = set_actions(&actions, fds, n_fds);
		if (r == 0)
			r = posix_spawn(ret_pid, arguments[0], &actions, &attributes, (char *const *)(uintptr_t)arguments,
							environment);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Each is copied to its place, so none may be in the place of another; and a copy onto itself would stay CLOEXEC. */
int spawn_program(const char *const *arguments, const int *fds, size_t n_fds, pid_t *ret_pid)
{
	int lifted[SPAWN_MAX_FDS] = { 0 };
	size_t n = 0;
	int r = 0;
	if (n_fds > SPAWN_MAX_FDS)
		return -EINVAL;
	for (; n < n_fds && r == 0; n++) {
		lifted[n] = fcntl(fds[n], F_DUPFD_CLOEXEC, (int)n_fds);
		r = lifted[n] < 0 ? -errno : 0;
	}
	if (r == 0)
		r = spawn(arguments, lifted, n_fds, ret_pid);
	for (size_t i = 0; i < n; i++)
		if (lifted[i] >= 0)
			(void)close(lifted[i]);
	return r;
}
