/* SPDX-License-Identifier: Apache-2.0 */
/* Asking for another configuration at the admin listener: GET /reload says what would change, POST does it. */
#ifndef NET_RELOAD_H
#define NET_RELOAD_H

#include "net/connection.h"

/* The asker's memory until on_done has been called. */
struct reload_request {
	bool is_rehearsal; /* nothing is to change */
	const char *by;    /* who asks, for the log */
	/* On the main thread, once: with the status and the JSON to answer. */
	void (*on_done)(struct reload_request *request, int status, struct span json);
	struct reload_request *next; /* of whoever has it */
};

extern const struct endpoint reload_endpoint;

#endif
