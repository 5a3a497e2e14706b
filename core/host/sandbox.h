/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin's process may do, decided before any of its code is loaded, and for good.
 *
 * It may compute, have threads, and speak to the network by IP. It has no privileges and cannot get any, dies with
 * whoever started it, has bounds on memory, descriptors, processes and cores, cannot look into or signal other
 * processes, mount, load code into the kernel or reach a local socket (the daemon's, say), and, where the kernel has
 * Landlock, reads only itself, libraries, and what names and TLS need. It writes no file at all.
 *
 * With `allow: [exec]` it may start programs, of which nobody can know what they read: then files are not restricted,
 * nor local sockets, everything else is, for the programs as well; and none of them leaves the process group, so that
 * whoever kills that group has killed all.
 */
#ifndef HOST_SANDBOX_H
#define HOST_SANDBOX_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct sandbox {
	const char *plugin;    /* its path: it, and what lies beside it, can be read; NULL: there is none */
	bool can_exec;         /* may start programs */
	uint64_t memory_bytes; /* of data; 0: as it is */
	uint64_t descriptors;  /* most that are open at once; 0: as it is */
	uint64_t processes;    /* most of this user, threads included; 0: as it is */
};

/*
 * First of all: no new privileges, death with the parent, in a process group of its own, invisible to debuggers, no
 * environment, no core, and no descriptor but 0 to 2 and `keep` (-1: none). 0 or -errno.
 */
int sandbox_begin(int keep) MUST_USE;
/* The rest, when the limits are known; one thread so far. 0 or -errno with *ret_what, the step that failed. */
int sandbox_enter(const struct sandbox *sandbox, const char **ret_what) MUST_USE;

#endif
