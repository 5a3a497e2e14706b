/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one that accepts: owns the listening sockets, keeps the limits, hands connections to the reactors in turn.
 *
 * One acceptor means one place for limits, and a listener that can be closed or inherited without resetting
 * anybody. Out of descriptors it pauses instead of spinning.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "net/gateway.h"

#include <uv.h>

struct acceptor;

/* Connections over the limits that are still told so; beyond that they are just closed. */
#define ACCEPTOR_MAX_TOLD 256

/* Opens all listeners of the configuration and says so in the log. On the loop of the calling thread. 0; -EINVAL with
 * *ret_message (the caller frees); -ENOMEM. The reactors must be running. */
int acceptor_create(struct gateway *gateway, uv_loop_t *loop, struct acceptor **ret_acceptor,
					char **ret_message) MUST_USE;
/* Closes the listeners; connections stay. Needs turns of the loop to come to an end. NULL is fine. */
void acceptor_destroy(struct acceptor *acceptor);

#endif
