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
#include <utlist.h>

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
	char *address; /* as it is written in the configuration */
	unsigned serves;
	struct certificate *certificate; /* a reference; NULL: clear text */
	bool is_wanted;                  /* by the configuration that is being switched to */
	struct listener *prev, *next;    /* acceptor::listeners */
};

struct acceptor {
	struct gateway *gateway;
	uv_loop_t *loop;
	uv_timer_t pause;
	struct listener *listeners;
	size_t n_open; /* handles that are not closed yet */
	size_t next_reactor;
	int64_t stalled_timeout_ms; /* of the configuration */
};

/* A socket on its way to its reactor. */
struct socket_note {
	struct note note; /* first */
	struct arrival arrival;
};

static void on_socket_note(struct reactor *reactor, struct note *note)
{
	struct socket_note *accepted = CONTAINER_OF(note, struct socket_note, note);
	connection_adopt(reactor, &accepted->arrival);
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
	bool is_admin = listener->serves & SERVES_ADMIN;
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
	set_socket_options(fd, address->sa_family, acceptor->stalled_timeout_ms);
	*note =
		(struct socket_note){ .note.run = on_socket_note,
							  .arrival = { .fd = fd,
										   .serves = listener->serves,
										   .certificate =
											   listener->certificate ? certificate_ref(listener->certificate) : NULL,
										   .limit = limit,
										   .address = entry } };
	reactor_post(gateway->reactors[acceptor->next_reactor], &note->note);
	acceptor->next_reactor = (acceptor->next_reactor + 1) % gateway->n_reactors;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void set_accepting(struct acceptor *acceptor, bool is_accepting)
{
	struct listener *listener;
	DL_FOREACH(acceptor->listeners, listener)
	{
		if (is_accepting)
			(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
		else
			(void)uv_poll_stop(&listener->poll);
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

/* False if nobody waits. */
static bool accept_one(struct listener *listener)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof address;
	int fd = accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		hand_over(listener, fd, (const struct sockaddr *)&address);
		return true;
	}
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		on_accept_error(listener->acceptor, errno);
	return false;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN && accept_one(listener); i++) {
	}
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static const char *describe_services(unsigned serves)
{
	static const char *const services[] = { [SERVES_SOURCES] = "sources",
											[SERVES_SUBSCRIBERS] = "subscribers",
											[SERVES_SOURCES | SERVES_SUBSCRIBERS] = "sources,subscribers",
											[SERVES_ADMIN] = "admin",
											[SERVES_ADMIN | SERVES_TRUSTED] = "admin" };
	return services[serves];
}

static void log_listener(const struct listener *listener, const char *what)
{
	char text[ADDRESS_TEXT_SIZE];
	address_describe(listener->fd, text);
	log_info(what, LOG_TEXT("address", text), LOG_TEXT("tls", listener->certificate ? "yes" : "no"),
			 LOG_TEXT("serves", describe_services(listener->serves)));
}

static void listener_destroy(struct listener *listener)
{
	if (!listener)
		return;
	if (listener->fd >= 0)
		(void)close(listener->fd);
	certificate_unref(listener->certificate);
	free(listener->address);
	free(listener);
}

static int open_listener(struct acceptor *acceptor, const struct config_address *address,
						 struct listener **ret_listener, char **ret_message)
{
	struct listener *listener = calloc(1, sizeof *listener);
	if (!listener)
		return -ENOMEM;
	listener->acceptor = acceptor;
	listener->poll.data = listener;
	listener->fd = -1;
	listener->address = span_dup(span_text(address->text));
	int r = listener->address ? address_listen(address, &listener->fd, ret_message) : -ENOMEM;
	if (r == 0)
		r = uv_poll_init(acceptor->loop, &listener->poll, listener->fd);
	if (r < 0) {
		listener_destroy(listener);
		return r;
	}
	acceptor->n_open++;
	*ret_listener = listener;
	return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	struct acceptor *acceptor = listener->acceptor;
	listener_destroy(listener);
	if (--acceptor->n_open == 0)
		free(acceptor);
}

/* --- another configuration ---------------------------------------------------------------------------------------- */

/* A listener that there is, or a new one, and what becomes of it. */
struct place {
	struct listener *listener;
	bool is_new;
	unsigned serves;
	struct certificate *certificate; /* a reference, or NULL */
};

struct acceptor_switch {
	int64_t stalled_timeout_ms;
	struct place *places;
	size_t n;
};

void acceptor_switch_destroy(struct acceptor_switch *change)
{
	if (!change)
		return;
	for (size_t i = 0; i < change->n; i++) {
		certificate_unref(change->places[i].certificate);
		if (change->places[i].is_new)
			uv_close((uv_handle_t *)&change->places[i].listener->poll, on_listener_closed);
	}
	free(change->places);
	free(change);
}

/* Each of those that there are is used once: several may be written in the same way (port 0). What was for
 * administrators alone never becomes public, nor the other way round. */
static struct listener *find_listener(const struct acceptor *acceptor, const struct acceptor_switch *change,
									  const char *address, unsigned serves)
{
	struct listener *listener;
	DL_FOREACH(acceptor->listeners, listener)
	{
		bool is_used = false;
		for (size_t i = 0; i < change->n; i++)
			is_used |= change->places[i].listener == listener;
		const unsigned admin = SERVES_ADMIN | SERVES_TRUSTED;
		bool is_for_same = (listener->serves & admin) == (serves & admin);
		if (!is_used && is_for_same && strcmp(listener->address, address) == 0)
			return listener;
	}
	return NULL;
}

static int add_place(struct acceptor *acceptor, struct acceptor_switch *change, const struct config_address *address,
					 unsigned serves, struct certificate *certificate, char **ret_message)
{
	struct place place = { .listener = find_listener(acceptor, change, address->text, serves), .serves = serves };
	int r = 0;
	if (!place.listener) {
		place.is_new = true;
		r = open_listener(acceptor, address, &place.listener, ret_message);
	}
	if (r < 0)
		return r;
	place.certificate = certificate ? certificate_ref(certificate) : NULL;
	change->places[change->n++] = place;
	return 0;
}

/* What systemd passes is seen only now: without tokens this machine alone may reach it, as everywhere else. */
static int judge_admin(const struct config_admin *admin, const struct place *place, char **ret_message)
{
	if (admin->n_tokens || address_is_from_here(place->listener->fd))
		return 0;
	*ret_message = span_dup(SPAN("others than this machine can reach admin.address, where anybody could do everything; "
								 "write admin.tokens, or have systemd listen on 127.0.0.1"));
	return -EINVAL;
}

static int add_admin(struct acceptor *acceptor, struct acceptor_switch *change, const struct config_admin *admin,
					 struct certificate *certificate, char **ret_message)
{
	int r = 0;
	if (admin->has_listener)
		r = add_place(acceptor, change, &admin->listener.address, SERVES_ADMIN, certificate, ret_message);
	if (r == 0 && admin->has_listener)
		r = judge_admin(admin, &change->places[change->n - 1], ret_message);
	if (r == 0 && admin->has_socket)
		r = add_place(acceptor, change, &admin->socket, SERVES_ADMIN | SERVES_TRUSTED, NULL, ret_message);
	return r;
}

int acceptor_switch_create(struct acceptor *acceptor, const struct config *config, const struct contents *contents,
						   struct acceptor_switch **ret_switch, char **ret_message)
{
	CLEANUP(acceptor_switch_destroy) struct acceptor_switch *change = calloc(1, sizeof *change);
	if (!change)
		return -ENOMEM;
	change->stalled_timeout_ms = config->subscribers.stalled_timeout_ms;
	change->places = calloc(config->n_listeners + 2, sizeof *change->places);
	if (!change->places)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_listeners; i++) {
		const struct config_listener *listener = &config->listeners[i];
		unsigned serves =
			(listener->serves_sources ? SERVES_SOURCES : 0u) | (listener->serves_subscribers ? SERVES_SUBSCRIBERS : 0u);
		int r = add_place(acceptor, change, &listener->address, serves, contents->certificates[i], ret_message);
		if (r < 0)
			return r;
	}
	int r = add_admin(acceptor, change, &config->admin, contents->admin_certificate, ret_message);
	if (r == 0)
		*ret_switch = STEAL(change);
	return r;
}

/* Whoever has connected and was not accepted yet would be reset. */
static void close_listener(struct listener *listener)
{
	while (accept_one(listener)) {
	}
	DL_DELETE(listener->acceptor->listeners, listener);
	uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
	(void)close(listener->fd); /* at once, so that whoever asked for it finds it closed */
	listener->fd = -1;
}

static void take_place(struct acceptor *acceptor, struct place *place)
{
	struct listener *listener = place->listener;
	struct certificate *old = listener->certificate;
	listener->serves = place->serves;
	listener->certificate = STEAL(place->certificate);
	listener->is_wanted = true;
	certificate_unref(old);
	if (!place->is_new)
		return;
	place->is_new = false; /* it is the acceptor's */
	DL_APPEND(acceptor->listeners, listener);
	(void)uv_poll_start(&listener->poll, UV_READABLE, on_readable);
	log_listener(listener, "listening");
}

void acceptor_switch(struct acceptor *acceptor, struct acceptor_switch *change)
{
	struct listener *listener, *next;
	acceptor->stalled_timeout_ms = change->stalled_timeout_ms;
	for (size_t i = 0; i < change->n; i++)
		take_place(acceptor, &change->places[i]);
	DL_FOREACH_SAFE(acceptor->listeners, listener, next)
	{
		if (!listener->is_wanted) {
			log_listener(listener, "listening no more");
			close_listener(listener);
		} else {
			listener->is_wanted = false;
		}
	}
	acceptor_switch_destroy(change);
}

/* --- creating and destroying -------------------------------------------------------------------------------------- */

int acceptor_create(struct gateway *gateway, uv_loop_t *loop, struct acceptor **ret_acceptor)
{
	struct acceptor *acceptor = calloc(1, sizeof *acceptor);
	if (!acceptor)
		return -ENOMEM;
	acceptor->gateway = gateway;
	acceptor->loop = loop;
	(void)uv_timer_init(loop, &acceptor->pause);
	acceptor->pause.data = acceptor;
	acceptor->n_open = 1;
	*ret_acceptor = acceptor;
	return 0;
}

static void on_pause_closed(uv_handle_t *handle)
{
	struct acceptor *acceptor = handle->data;
	if (--acceptor->n_open == 0)
		free(acceptor);
}

void acceptor_destroy(struct acceptor *acceptor)
{
	struct listener *listener, *next;
	if (!acceptor)
		return;
	DL_FOREACH_SAFE(acceptor->listeners, listener, next)
	{
		close_listener(listener);
	}
	uv_close((uv_handle_t *)&acceptor->pause, on_pause_closed);
}
