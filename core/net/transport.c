/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transport.h"

#include "base/buffer.h"
#include "base/log.h"

#include <errno.h>
#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <utlist.h>

#if !defined(LWS_WITH_TLS) || defined(LWS_WITH_GNUTLS) || defined(LWS_WITH_MBEDTLS) || defined(USE_WOLFSSL)
#error "libwebsockets must be built with OpenSSL; version 5 is built with GnuTLS unless told LWS_WITH_HTTP3=OFF"
#endif

#define READ_BYTES 16384
#define HANDSHAKE_SECONDS 5
/* Keep user and group as they are; the fields' type differs between versions of libwebsockets. */
#define NO_ID ((__typeof__(((struct lws_context_creation_info *)NULL)->gid))-1)

/* TLS 1.2 with forward secrecy and authenticated encryption only; 1.3 has nothing else. */
static const char tls12_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct transport {
	uv_loop_t *loop;
	struct lws_context *context;
	SSL_CTX
	*no_client; /* stands in for the client context that libwebsockets would fill with the system's certificates */
	struct lws_vhost *clear, *tls;
	int link_index;        /* of a link in its SSL */
	struct link *adopting; /* its handshake may begin before libwebsockets gives us the object */
	struct link *closing;
	uv_prepare_t reaper; /* closes links before the loop waits again */
	uv_timer_t *timer;   /* libwebsockets' own; NULL if it has none */
	size_t n_links;
};

static struct link *link_of(struct lws *wsi)
{
	return lws_get_opaque_user_data(wsi);
}

/* --- what libwebsockets calls --------------------------------------------------------------------------------- */

static int on_received(struct lws *wsi, void *user, void *data, size_t n)
{
	(void)user;
	struct link *link = link_of(wsi);
	if (link->is_in_handshake) { /* libwebsockets timed it; from here on time is measured above */
		link->is_in_handshake = false;
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	}
	if (!link->is_closing)
		link->ops->received(link, data, n);
	return link->is_closing ? -1 : 0;
}

static int on_writable(struct lws *wsi, void *user, void *data, size_t n)
{
	(void)user;
	struct link *link = link_of(wsi);
	(void)data;
	(void)n;
	if (!link->is_closing)
		link->ops->writable(link);
	return link->is_closing ? -1 : 0;
}

static int on_closed(struct lws *wsi, void *user, void *data, size_t n)
{
	(void)user;
	struct link *link = link_of(wsi);
	(void)data;
	(void)n;
	if (!link)
		return 0; /* never adopted to the end */
	lws_set_opaque_user_data(wsi, NULL);
	if (link->is_closing)
		DL_DELETE(link->transport->closing, link);
	link->is_closing = true;
	link->wsi = NULL;
	link->transport->n_links--;
	certificate_unref(STEAL(link->certificate));
	link->ops->closed(link);
	return 0;
}

/* Each handshake has the certificate of the listener that the connection came to, so that one context does for all of
 * them, and a certificate can be another one at any time (SSL_CTX_set_cert_cb(3)). */
static int on_certificate(SSL *tls, void *context)
{
	const struct transport *transport = context;
	const struct link *link = transport->adopting ? transport->adopting : SSL_get_ex_data(tls, transport->link_index);
	const struct certificate *certificate = link->certificate;
	SSL_certs_clear(tls);
	return SSL_use_cert_and_key(tls, certificate->own, certificate->key, certificate->issuers, 1);
}

static int on_tls_context(struct lws *wsi, void *user, void *data, size_t n)
{
	SSL_CTX *tls = user;
	(void)data;
	(void)n;
	SSL_CTX_set_cert_cb(tls, on_certificate, lws_context_user(lws_get_context(wsi)));
	if (!SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION))
		return 1;
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(tls,
					 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	return 0;
}

static const struct {
	enum lws_callback_reasons reason;
	int (*act)(struct lws *wsi, void *user, void *data, size_t n);
} reasons[] = {
	{ LWS_CALLBACK_RAW_RX, on_received },
	{ LWS_CALLBACK_RAW_WRITEABLE, on_writable },
	{ LWS_CALLBACK_RAW_CLOSE, on_closed },
	{ LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS, on_tls_context },
};

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *data, size_t n)
{
	for (size_t i = 0; i < ARRAY_LENGTH(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].act(wsi, user, data, n);
	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "belfry", .callback = callback, .rx_buffer_size = READ_BYTES },
	{ 0 },
};

/* Its lines are for its developers; an administrator is told what matters by us. */
static void emit_log(int level, const char *line)
{
	struct span text = span_text(line);
	while (text.n && text.data[text.n - 1] == '\n')
		text.n--;
	if (level & LLL_ERR)
		log_warning_limited("libwebsockets", LOG_SPAN("says", text));
	else
		log_debug("libwebsockets", LOG_SPAN("says", text));
}

/* --- libwebsockets' timer -------------------------------------------------------------------------------------- */

/* It has timeouts of handshakes, and every 30 s it looks whether the process that started us has died, which nobody
 * wants to know. Without links it would wake us up for that alone. */

struct newcomers {
	size_t n_known; /* handles that were there before */
	uv_timer_t *timer;
};

static void count_handle(uv_handle_t *handle, void *n)
{
	(void)handle;
	++*(size_t *)n;
}

static bool is_netlink(const uv_handle_t *handle)
{
	struct sockaddr address;
	socklen_t n = sizeof address;
	uv_os_fd_t fd;
	return uv_fileno(handle, &fd) == 0 && getsockname(fd, &address, &n) == 0 && address.sa_family == AF_NETLINK;
}

/* uv_walk() goes in the order in which they came. From 4.3 on libwebsockets listens to the kernel's routing table, and
 * closes connections that it finds no route for (lib/core-net/route.c): also those that came after the route was back,
 * and those that TCP would have carried over a moment without one. So it is not told. */
static void look_at_newcomer(uv_handle_t *handle, void *context)
{
	struct newcomers *newcomers = context;
	if (newcomers->n_known)
		newcomers->n_known--;
	else if (handle->type == UV_TIMER)
		newcomers->timer = (uv_timer_t *)handle;
	else if (handle->type == UV_POLL && is_netlink(handle))
		(void)uv_poll_stop((uv_poll_t *)handle);
}

/* In the next turn of the loop, where it finds out itself when the one after that is due. */
static void wind_up(struct transport *transport)
{
	if (!transport->timer)
		return;
	uv_timer_set_repeat(transport->timer, 1);
	(void)uv_timer_again(transport->timer);
}

/* --- creating and destroying ---------------------------------------------------------------------------------- */

static void reap(uv_prepare_t *reaper)
{
	struct transport *transport = reaper->data;
	while (transport->closing)
		lws_set_timeout(transport->closing->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC); /* on_closed() unlinks */
	if (transport->n_links == 0 && transport->timer)
		(void)uv_timer_stop(transport->timer);
}

static struct lws_vhost *create_vhost(struct transport *transport, bool has_tls)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.vhost_name = has_tls ? "tls" : "clear",
		.gid = NO_ID,
		.uid = NO_ID,
		.timeout_secs = HANDSHAKE_SECONDS,
	};
	if (has_tls) {
		info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
		info.ssl_cipher_list = tls12_ciphers;
		info.alpn = "http/1.1";
		info.provided_client_ssl_ctx = transport->no_client;
	}
	return lws_create_vhost(transport->context, &info);
}

int transport_create(uv_loop_t *loop, struct transport **ret_transport)
{
	CLEANUP(transport_destroy) struct transport *transport = calloc(1, sizeof *transport);
	if (!transport)
		return -ENOMEM;
	transport->loop = loop;
	transport->no_client = SSL_CTX_new(TLS_client_method());
	transport->link_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	(void)uv_prepare_init(loop, &transport->reaper);
	transport->reaper.data = transport;
	(void)uv_prepare_start(&transport->reaper, reap);
	lws_set_log_level(LLL_ERR | LLL_WARN, emit_log);
	void *loops[] = { loop };
	struct newcomers newcomers = { 0 };
	uv_walk(loop, count_handle, &newcomers.n_known);
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.gid = NO_ID,
		.uid = NO_ID,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.foreign_loops = loops,
		.pt_serv_buf_size = READ_BYTES,
		.pcontext = &transport->context,
		.user = transport,
	};
	transport->context = lws_create_context(&info);
	if (!transport->context || !transport->no_client || transport->link_index < 0)
		return -ENOMEM;
	uv_walk(loop, look_at_newcomer, &newcomers);
	transport->timer = newcomers.timer;
	transport->clear = create_vhost(transport, false);
	transport->tls = create_vhost(transport, true);
	if (!transport->clear || !transport->tls)
		return -ENOMEM;
	*ret_transport = STEAL(transport);
	return 0;
}

void transport_destroy(struct transport *transport)
{
	if (!transport)
		return;
	transport->timer = NULL;
	/* closing a watcher takes turns of the loop, and the context goes only after the last one */
	if (transport->context)
		lws_context_destroy(transport->context);
	uv_close((uv_handle_t *)&transport->reaper, NULL);
	(void)uv_run(transport->loop, UV_RUN_DEFAULT);
	if (transport->context)
		lws_context_destroy(transport->context);
	SSL_CTX_free(transport->no_client);
	free(transport);
}

/* --- links ----------------------------------------------------------------------------------------------------- */

int transport_adopt(struct transport *transport, int fd, struct certificate *certificate, const struct link_ops *ops,
					struct link *link)
{
	bool is_tls = certificate;
	lws_sock_file_fd_type descriptor = { .sockfd = fd };
	*link = (struct link){ .ops = ops,
						   .transport = transport,
						   .fd = fd,
						   .certificate = certificate,
						   .is_tls = is_tls,
						   .is_in_handshake = is_tls };
	transport->adopting = link;
	struct lws *wsi = lws_adopt_descriptor_vhost(is_tls ? transport->tls : transport->clear,
												 is_tls ? LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL : LWS_ADOPT_SOCKET,
												 descriptor, protocols[0].name, NULL);
	transport->adopting = NULL;
	if (wsi && is_tls && !SSL_set_ex_data(lws_get_ssl(wsi), transport->link_index, link)) {
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
		wsi = NULL;
	}
	if (!wsi) {
		certificate_unref(STEAL(link->certificate));
		return -ECONNABORTED; /* libwebsockets has closed the socket */
	}
	lws_set_opaque_user_data(wsi, link);
	link->wsi = wsi;
	if (transport->n_links++ == 0)
		wind_up(transport);
	return 0;
}

/* As send(), which is a cancellation point: for that glibc does two atomic operations, a thousand times for an event
 * that a thousand subscribers get. */
static ssize_t send_piece(int fd, const struct iovec *piece)
{
	return syscall(SYS_sendto, fd, piece->iov_base, piece->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
}

ssize_t link_write_fd(int fd, const struct iovec *pieces, int n_pieces)
{
	union {
		const struct iovec *constant;
		struct iovec *plain;
	} iov = { pieces };
	const struct msghdr message = { .msg_iov = iov.plain, .msg_iovlen = (size_t)n_pieces };
	ssize_t n = n_pieces == 1 ? send_piece(fd, pieces) : sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

/* NULL before the handshake is done. Kept, so that a fan-out need not look into libwebsockets' object for it. */
static SSL *tls_of(struct link *link)
{
	SSL *tls = link->tls ? link->tls : lws_get_ssl(link->wsi);
	if (!link->tls && tls && SSL_is_init_finished(tls))
		link->tls = tls;
	return link->tls;
}

static ssize_t write_tls(SSL *tls, struct iovec piece)
{
	size_t n = piece.iov_len < LINK_MAX_TLS_WRITE ? piece.iov_len : LINK_MAX_TLS_WRITE;
	if (!tls)
		return 0;
	int written = SSL_write(tls, piece.iov_base, (int)n);
	if (written > 0)
		return written;
	int reason = SSL_get_error(tls, written);
	return reason == SSL_ERROR_WANT_WRITE || reason == SSL_ERROR_WANT_READ ? 0 : -EPIPE;
}

ssize_t link_write(struct link *link, const struct iovec *pieces, int n_pieces)
{
	if (link->is_closing || link->is_finished)
		return -EPIPE;
	return link->is_tls ? write_tls(tls_of(link), pieces[0]) : link_write_fd(link->fd, pieces, n_pieces);
}

void link_want_writable(struct link *link)
{
	if (!link->is_closing)
		lws_callback_on_writable(link->wsi);
}

void link_pause(struct link *link, bool is_paused)
{
	if (!link->is_closing)
		(void)lws_rx_flow_control(link->wsi, !is_paused);
}

void link_finish(struct link *link)
{
	if (link->is_closing || link->is_finished)
		return;
	link->is_finished = true;
	SSL *tls = link->is_tls ? tls_of(link) : NULL;
	if (tls)
		(void)SSL_shutdown(tls);
	(void)shutdown(link->fd, SHUT_WR);
}

void link_close(struct link *link)
{
	if (link->is_closing || !link->wsi)
		return;
	link->is_closing = true;
	DL_APPEND(link->transport->closing, link);
}

void link_reset(struct link *link)
{
	const struct linger none = { .l_onoff = 1 };
	if (!link->is_closing && link->wsi)
		(void)setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	link_close(link);
}
