/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process of belfry-handler: started with a socket and two pipes, listened to, and reaped.
 *
 * It gets nothing of ours: no environment, no descriptor but its own four, a session of its own. Whatever ends it, its
 * whole process group goes with it: the group is killed before the process is reaped, so that its number cannot mean
 * anybody else. What it prints is read a line at a time, and no more than a bounded amount in a second.
 *
 * Belongs to the thread of its loop.
 */
#ifndef HANDLERS_PROCESS_H
#define HANDLERS_PROCESS_H

#include "base/cleanup.h"
#include "wire/packet.h"

#include <uv.h>

struct process;

/* on_end comes once and last; everything else before it. */
struct process_calls {
	void (*on_packet)(void *owner, const struct packet *packet);
	/* What it printed, without the end of the line. */
	void (*on_line)(void *owner, struct span line);
	/* `how` is "SIGSEGV", "exit status 3", or what process_kill() was told. The process frees itself. */
	void (*on_end)(void *owner, const char *how);
};

/* 0 or -errno. */
int process_start(uv_loop_t *loop, const char *program, const struct process_calls *calls, void *owner,
				  struct process **ret_process) MUST_USE;
/* A packet for it: what its socket does not take waits. */
void process_send(struct process *process, struct span head, struct span payload);
/* Ends it and its group at once. why: a literal, for on_end, which comes later. */
void process_kill(struct process *process, const char *why);

#endif
