/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one that accepts: owns the listening sockets, keeps the limits, hands connections to the reactors in turn.
 *
 * One acceptor means one place for limits, and a listener that can be closed or inherited without resetting
 * anybody. Out of descriptors it pauses instead of spinning.
 */
#ifndef NET_ACCEPTOR_H
#define NET_ACCEPTOR_H

#include "auth/certificate.h"
#include "config/contents.h"
#include "net/gateway.h"

#include <uv.h>

struct acceptor;

/* Connections over the limits that are still told so; beyond that they are just closed. */
#define ACCEPTOR_MAX_TOLD 256

/* Without listeners. On the loop of the calling thread, as all that follows. 0 or -ENOMEM. The reactors must be running
 * when it gets some. */
int acceptor_create(struct gateway *gateway, uv_loop_t *loop, struct acceptor **ret_acceptor) MUST_USE;

/*
 * The listeners of a configuration instead of those that there are, in two steps, so that the second one cannot fail.
 * The first opens what is new; a listener is the same one if its address is written in the same way, and both or
 * neither are the admin's. contents: with the certificates. 0; -EINVAL with *ret_message (the caller frees); -ENOMEM.
 */
struct acceptor_switch;
int acceptor_switch_create(struct acceptor *acceptor, const struct config *config, const struct contents *contents,
						   struct acceptor_switch **ret_switch, char **ret_message) MUST_USE;
void acceptor_switch_destroy(struct acceptor_switch *change);
CLEANUP_DEFINE(struct acceptor_switch, acceptor_switch_destroy)
/* Takes it over, and says in the log what has changed. Who waits at a listener that closes is taken in before. */
void acceptor_switch(struct acceptor *acceptor, struct acceptor_switch *change);
/* Closes the listeners, as above; connections stay. Needs turns of the loop to come to an end. NULL is fine. */
void acceptor_destroy(struct acceptor *acceptor);

#endif
