/* SPDX-License-Identifier: Apache-2.0 */
#include "host/channel.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

/* Not exit(): the plugin's code has no say in it. */
__attribute__((noreturn)) static void end(const char *why)
{
	if (why)
		(void)dprintf(STDERR_FILENO, "belfry-handler: %s\n", why);
	_exit(EXIT_FAILURE);
}

void channel_init(struct channel *channel, int fd)
{
	channel->fd = fd;
	channel->unread = span_of(NULL, 0);
	packet_reader_init(&channel->orders, PACKET_DAEMON);
	packet_reader_init(&channel->replies, PACKET_DAEMON);
}

void channel_finish(struct channel *channel)
{
	packet_reader_finish(&channel->orders);
	packet_reader_finish(&channel->replies);
}

static void fill(struct channel *channel)
{
	ssize_t n;
	do
		n = recv(channel->fd, channel->bytes, sizeof channel->bytes, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		end(n < 0 ? strerrordesc_np(errno) : NULL);
	channel->unread = span_of(channel->bytes, (size_t)n);
}

static void receive(struct channel *channel, struct packet_reader *reader, struct packet *ret_packet)
{
	const char *reason = NULL;
	int r;
	while ((r = packet_read(reader, &channel->unread, ret_packet, &reason)) == PACKET_MORE)
		fill(channel);
	if (r != PACKET_WHOLE)
		end(r < 0 ? strerrordesc_np(-r) : reason);
}

void channel_receive_order(struct channel *channel, struct packet *ret_packet)
{
	receive(channel, &channel->orders, ret_packet);
	if (ret_packet->type == PACKET_REPLY)
		end("a reply to nothing");
}

void channel_receive_reply(struct channel *channel, struct packet *ret_packet)
{
	receive(channel, &channel->replies, ret_packet);
	if (ret_packet->type != PACKET_REPLY)
		end("an order where a reply was due");
}

void channel_send(struct channel *channel, struct span head, struct span payload)
{
	CLEANUP(buffer_finish) struct buffer packet = BUFFER_INIT;
	packet_add(&packet, head, payload);
	if (packet.failed)
		end("a packet that cannot be sent");
	struct span rest = buffer_span(&packet);
	while (rest.n) {
		ssize_t n = send(channel->fd, rest.data, rest.n, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			end(errno == EPIPE ? NULL : strerrordesc_np(errno));
		rest = span_skip(rest, n > 0 ? (size_t)n : 0);
	}
}
