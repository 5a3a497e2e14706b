/* SPDX-License-Identifier: Apache-2.0 */
#include "net/acceptor.h"

#include "base/log.h"
#include "net/address.h"
#include "net/connection.h"
#include "net/limits.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* Connections taken before the loop looks at other listeners. */
#define ACCEPTS_A_TURN 64
/* How long accepting pauses when there are no descriptors. */
#define PAUSE_MS 200
/* What a slow reader may keep in the kernel: the journal is the buffer, not this. */
#define SEND_BUFFER_BYTES 65536
/* A peer that acknowledges nothing for so long is gone. One that takes nothing (its window is closed) is gone for the
 * kernel as well, but it is a subscriber's right to sleep for a while. */
#define USER_TIMEOUT_MS 60000

struct listener {
	uv_poll_t poll;
	struct acceptor *acceptor;
	int fd;
	size_t index; /* in the configuration; SIZE_MAX for the admin's */
};

struct acceptor {
	struct gateway *gateway;
	uv_timer_t pause;
	struct listener *listeners;
	size_t n_listeners;
	size_t n_open; /* handles that are not closed yet */
	size_t next_reactor;
};

/* A socket on its way to its reactor. */
struct socket_note {
	struct note note; /* first */
	int fd;
	size_t listener;
	const char *limit;
	struct limits_entry *address;
};

static void on_socket_note(struct reactor *reactor, struct note *note)
{
	struct socket_note *accepted = CONTAINER_OF(note, struct socket_note, note);
	connection_adopt(reactor, accepted->fd, accepted->listener, accepted->limit, accepted->address);
	free(accepted);
}

static void set_socket_options(int fd, sa_family_t family, int64_t stalled_timeout_ms)
{
	const int on = 1, send_buffer = SEND_BUFFER_BYTES;
	const unsigned timeout_ms = (unsigned)(stalled_timeout_ms > USER_TIMEOUT_MS ? stalled_timeout_ms : USER_TIMEOUT_MS);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
	if (family != AF_INET && family != AF_INET6)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

static void hand_over(struct listener *listener, int fd, const struct sockaddr *address)
{
	struct acceptor *acceptor = listener->acceptor;
	struct gateway *gateway = acceptor->gateway;
	struct limits_entry *entry = NULL;
	const char *limit = NULL;
	/* who asks how it is gets an answer also when there are too many others */
	bool is_admin = listener->index >= gateway->config->n_listeners;
	struct socket_note *note = malloc(sizeof *note);
	if (!note || limits_enter(gateway->limits, address, is_admin, &entry, &limit) < 0) {
		free(note);
		(void)close(fd);
		return;
	}
	if (limit)
		log_warning_limited("connections refused", LOG_TEXT("reason", limit));
	if (limit && limits_excess(gateway->limits) > ACCEPTOR_MAX_TOLD) {
		limits_leave(gateway->limits, entry);
		free(note);
		(void)close(fd);
		return;
	}
	set_socket_options(fd, address->sa_family, gateway->config->subscribers.stalled_timeout_ms);
	*note = (struct socket_note){ { .run = on_socket_note }, fd, listener->index, limit, entry };
	reactor_post(gateway->reactors[acceptor->next_reactor], &note->note);
	acceptor->next_reactor = (acceptor->next_reactor + 1) % gateway->n_reactors;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void set_accepting(struct acceptor *acceptor, bool is_accepting)
{
	for (size_t i = 0; i < acceptor->n_listeners; i++) {
		if (is_accepting)
			(void)uv_poll_start(&acceptor->listeners[i].poll, UV_READABLE, on_readable);
		else
			(void)uv_poll_stop(&acceptor->listeners[i].poll);
	}
}

static void on_pause_over(uv_timer_t *pause)
{
	set_accepting(pause->data, true);
}

/* Errors of one connection that is gone already are nothing; running out of something is, and goes on for a while. */
static void on_accept_error(struct acceptor *acceptor, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return;
	log_error_limited("accepting pauses: no descriptors or memory left", LOG_ERRNO(error));
	set_accepting(acceptor, false);
	(void)uv_timer_start(&acceptor->pause, on_pause_over, PAUSE_MS, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t size = sizeof address;
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			hand_over(listener, fd, (const struct sockaddr *)&address);
			continue;
		}
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			on_accept_error(listener->acceptor, errno);
		return;
	}
}

static const char *serves(const struct config_listener *listener)
{
	if (!listener)
		return "admin";
	if (listener->serves_sources && listener->serves_subscribers)
		return "sources,subscribers";
	return listener->serves_sources ? "sources" : "subscribers";
}

static int open_listener(struct acceptor *acceptor, uv_loop_t *loop, const struct config_address *address, size_t index,
						 char **ret_message)
{
	struct listener *listener = &acceptor->listeners[acceptor->n_listeners];
	const struct config *config = acceptor->gateway->config;
	const struct config_listener *settings = index < config->n_listeners ? &config->listeners[index] : NULL;
	char text[ADDRESS_TEXT_SIZE];
	int r = address_listen(address, &listener->fd, ret_message);
	if (r < 0)
		return r;
	listener->acceptor = acceptor;
	listener->index = index;
	listener->poll.data = listener;
	if (uv_poll_init(loop, &listener->poll, listener->fd) < 0) {
		(void)close(listener->fd);
		return -ENOMEM;
	}
	acceptor->n_listeners++;
	acceptor->n_open++;
	(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	address_describe(listener->fd, text);
	log_info("listening", LOG_TEXT("address", text), LOG_TEXT("tls", settings && settings->has_tls ? "yes" : "no"),
			 LOG_TEXT("serves", serves(settings)));
	return 0;
}

static int open_listeners(struct acceptor *acceptor, uv_loop_t *loop, char **ret_message)
{
	const struct config *config = acceptor->gateway->config;
	for (size_t i = 0; i < config->n_listeners; i++) {
		int r = open_listener(acceptor, loop, &config->listeners[i].address, i, ret_message);
		if (r < 0)
			return r;
	}
	return config->has_admin ? open_listener(acceptor, loop, &config->admin, SIZE_MAX, ret_message) : 0;
}

int acceptor_create(struct gateway *gateway, uv_loop_t *loop, struct acceptor **ret_acceptor, char **ret_message)
{
	struct acceptor *acceptor = calloc(1, sizeof *acceptor);
	if (!acceptor)
		return -ENOMEM;
	acceptor->gateway = gateway;
	(void)uv_timer_init(loop, &acceptor->pause);
	acceptor->pause.data = acceptor;
	acceptor->n_open = 1;
	acceptor->listeners = calloc(gateway->config->n_listeners + 1, sizeof *acceptor->listeners);
	int r = acceptor->listeners ? open_listeners(acceptor, loop, ret_message) : -ENOMEM;
	if (r < 0) {
		acceptor_destroy(acceptor);
		return r;
	}
	*ret_acceptor = acceptor;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct acceptor *acceptor = handle->type == UV_TIMER ? handle->data : ((struct listener *)handle->data)->acceptor;
	if (handle->type == UV_POLL)
		(void)close(((struct listener *)handle->data)->fd);
	if (--acceptor->n_open > 0)
		return;
	free(acceptor->listeners);
	free(acceptor);
}

void acceptor_destroy(struct acceptor *acceptor)
{
	if (!acceptor)
		return;
	for (size_t i = 0; i < acceptor->n_listeners; i++)
		uv_close((uv_handle_t *)&acceptor->listeners[i].poll, on_handle_closed);
	uv_close((uv_handle_t *)&acceptor->pause, on_handle_closed);
}
