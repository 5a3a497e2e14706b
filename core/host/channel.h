/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler's end of the socket to the daemon. Blocks. Without the daemon, and without understanding it, there is
 * nobody to work for: then the process ends here.
 */
#ifndef HOST_CHANNEL_H
#define HOST_CHANNEL_H

#include "wire/packet.h"

struct channel {
	int fd;
	struct packet_reader orders, replies; /* so that a delivery stays while what it asks for is answered */
	struct span unread;
	char bytes[65536];
};

void channel_init(struct channel *channel, int fd);
void channel_finish(struct channel *channel);
/* What the daemon wants; valid until the next order. */
void channel_receive_order(struct channel *channel, struct packet *ret_packet);
/* The answer to what was asked; valid until the next reply. */
void channel_receive_reply(struct channel *channel, struct packet *ret_packet);
void channel_send(struct channel *channel, struct span head, struct span payload);

#endif
