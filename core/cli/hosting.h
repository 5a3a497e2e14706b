/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin, run once by belfry-handler as the daemon would run it: configured, given one delivery, stopped. What the
 * daemon would answer from its journal is answered from memory.
 */
#ifndef CLI_HOSTING_H
#define CLI_HOSTING_H

#include "base/buffer.h"
#include "wire/event.h"
#include "wire/packet.h"

struct hosting_plan {
	const char *program; /* belfry-handler */
	const char *plugin;  /* its path */
	struct span options; /* JSON; has secrets */
	const char *when;    /* NULL: always */
	bool can_exec, can_reach_inner;
	const struct event *event; /* its first interaction is delivered */
	int64_t timeout_ms;
	/* A line of the plugin's log. 0 or -errno. */
	int (*on_log)(void *context, enum packet_level level, struct span text);
	void *context;
};

enum hosting_end {
	HOSTING_DONE,
	HOSTING_SKIPPED, /* `when` did not hold */
	HOSTING_RETRY,
	HOSTING_REJECT,
	HOSTING_REFUSED, /* before there was a delivery */
	HOSTING_FAILED,  /* it crashed, took too long, ended its process or broke the protocol */
};

/* An end, with what is to be said about it in `reason`; or -errno. */
int hosting_run(const struct hosting_plan *plan, int64_t *ret_retry_after_ms, struct buffer *reason) MUST_USE;

#endif
