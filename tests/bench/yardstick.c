/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The yardstick: the least that a gateway could do. One thread, one loop, no JSON, no tokens, no filters, no timers, no
 * limits, no mercy on slow readers; it believes what it reads and gives everybody everything. The bytes on the wire are
 * Belfry's: the same frames, as large.
 *
 *     yardstick mode=MODE secret=TEXT [journal=PATH] [certificate=PATH key=PATH]
 *
 *     send      answers, then one send() for each subscriber and callback
 *     coalesce  the same, but callbacks that came together go out in one send()
 *     sliced    the same, but after every 256 subscribers it looks whether a callback waits
 *     journal   no subscribers: one write and fdatasync() for all callbacks that came together, then the answers
 *
 * Every callback's signature is checked. Says "port N M", subscribers' and senders': the second one has no TLS. Serves
 * until its standard input ends.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 20000
#define MAX_BATCH 256
#define SLICE 256
#define IN_BYTES 8192

struct peer {
	int fd;
	bool is_subscriber;
	SSL *tls;
	size_t n;
	char *in; /* IN_BYTES, until it is a subscriber */
};

static struct {
	const char *mode, *secret, *journal, *certificate, *key;
} options = { .mode = "send", .secret = "" };

static const struct parameter parameters[] = {
	{ "mode", &options.mode, NULL },       { "secret", &options.secret, NULL },
	{ "journal", &options.journal, NULL }, { "certificate", &options.certificate, NULL },
	{ "key", &options.key, NULL },         { 0 },
};

struct batch {
	char bytes[MAX_BATCH * 4096];
	size_t n_bytes, ends[MAX_BATCH], n;
};

static struct peer peers[MAX_DESCRIPTORS];
static int subscribers[MAX_DESCRIPTORS], answered[MAX_BATCH];
static size_t n_subscribers, n_answered, position;
static struct batch batches[2], *filling = &batches[0], *leaving; /* leaving: on its way to subscribers */
static size_t next_subscriber;
static int epoll, listener, clear_listener, journal = -1;
static SSL_CTX *tls_context;

static const char answer_ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void peer_write(const struct peer *peer, const char *bytes, size_t n)
{
	ssize_t written = peer->tls ? SSL_write(peer->tls, bytes, (int)n) : send(peer->fd, bytes, n, MSG_NOSIGNAL);
	if (written != (ssize_t)n)
		die("a subscriber is too slow for the yardstick");
}

/* --- fan-out ------------------------------------------------------------------------------------------------------ */

static size_t put_header(char *frame, size_t n)
{
	frame[0] = (char)0x81;
	frame[1] = (char)(n < 126 ? n : 126);
	if (n < 126)
		return 2;
	frame[2] = (char)(n >> 8);
	frame[3] = (char)n;
	return 4;
}

/* The message as Belfry writes it. */
static void add_frame(struct batch *batch, const char *body, size_t n_body)
{
	char *frame = batch->bytes + batch->n_bytes, start[512];
	size_t n_start = (size_t)snprintf(
		start, sizeof start,
		"{\"type\":\"event\",\"position\":\"yardstik-%zu\",\"received_at\":\"2026-04-27T15:00:01.123Z\","
		"\"source\":\"cronofy\",\"interactions\":[{\"type\":\"conferencing_assigned\"}],\"tags\":{},\"callback\":",
		++position);
	size_t n_header = put_header(frame, n_start + n_body + 1);
	memcpy(frame + n_header, start, n_start);
	memcpy(frame + n_header + n_start, body, n_body);
	frame[n_header + n_start + n_body] = '}';
	batch->n_bytes += n_header + n_start + n_body + 1;
	batch->ends[batch->n++] = batch->n_bytes;
}

static void send_each(void)
{
	for (size_t i = 0, start = 0; i < filling->n; start = filling->ends[i++])
		for (size_t k = 0; k < n_subscribers; k++)
			peer_write(&peers[subscribers[k]], filling->bytes + start, filling->ends[i] - start);
	filling->n = filling->n_bytes = 0;
}

static void send_some(size_t max)
{
	if (!leaving && filling->n) {
		leaving = filling;
		filling = filling == &batches[0] ? &batches[1] : &batches[0];
		next_subscriber = 0;
	}
	for (; leaving && max > 0; max--) {
		if (next_subscriber >= n_subscribers) {
			leaving->n = leaving->n_bytes = 0;
			leaving = NULL;
			break;
		}
		peer_write(&peers[subscribers[next_subscriber++]], leaving->bytes, leaving->n_bytes);
	}
}

static bool fan_out(void)
{
	if (strcmp(options.mode, "send") == 0)
		send_each();
	else if (strcmp(options.mode, "sliced") == 0)
		send_some(SLICE);
	else
		while (filling->n || leaving)
			send_some(SIZE_MAX);
	return leaving || filling->n;
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

/* It grows, as a journal does that keeps what it was given: to write over the same blocks again would cost half. */
static void open_journal(void)
{
	journal = open(options.journal, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (journal < 0)
		die("%s", options.journal);
}

static void commit(void)
{
	if (n_answered == 0)
		return;
	if (write(journal, filling->bytes, filling->n_bytes) != (ssize_t)filling->n_bytes || fdatasync(journal) < 0)
		die("%s", options.journal);
	for (size_t i = 0; i < n_answered; i++)
		peer_write(&peers[answered[i]], answer_ok, sizeof answer_ok - 1);
	n_answered = filling->n = filling->n_bytes = 0;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void on_upgrade(struct peer *peer)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[128], accept[64], head[256];
	uint8_t digest[20];
	const char *key = strstr(peer->in, "Sec-WebSocket-Key: ");
	int n = snprintf(text, sizeof text, "%.24s%s", key ? key + 19 : "", guid);
	if (!EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL))
		die("no SHA-1");
	(void)EVP_EncodeBlock((uint8_t *)accept, digest, sizeof digest);
	n = snprintf(head, sizeof head,
				 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				 "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: belfry.v1\r\n\r\n",
				 accept);
	peer_write(peer, head, (size_t)n);
}

/* Its first frame is its subscribe. */
static void on_subscribe(struct peer *peer)
{
	static const char text[] = "{\"type\":\"subscribed\",\"id\":\"a\"}";
	char frame[64];
	size_t n = put_header(frame, sizeof text - 1);
	memcpy(frame + n, text, sizeof text - 1);
	peer_write(peer, frame, n + sizeof text - 1);
	free(peer->in);
	peer->in = NULL;
	peer->is_subscriber = true;
	subscribers[n_subscribers++] = peer->fd;
}

static void on_post(struct peer *peer, const char *body, size_t n)
{
	char signature[45];
	const char *given = strstr(peer->in, "SHA256: ");
	hmac_base64(body, n, signature);
	if (!given || CRYPTO_memcmp(given + 8, signature, 44) != 0)
		die("a signature is wrong");
	add_frame(filling, body, n);
	if (journal < 0)
		peer_write(peer, answer_ok, sizeof answer_ok - 1);
	else
		answered[n_answered++] = peer->fd;
	if (filling->n == MAX_BATCH || n_answered == MAX_BATCH)
		die("more callbacks at once than the yardstick takes");
}

/* What came is a head, a request, or a frame. */
static void on_input(struct peer *peer)
{
	char *end = strstr(peer->in, "\r\n\r\n");
	if ((uint8_t)peer->in[0] == 0x81) {
		on_subscribe(peer);
		return;
	}
	if (!end)
		return;
	if (peer->in[0] == 'G') {
		on_upgrade(peer);
	} else {
		const char *length = strstr(peer->in, "Content-Length: ");
		size_t n = length ? strtoul(length + 16, NULL, 10) : 0;
		if ((size_t)(peer->in + peer->n - (end + 4)) < n)
			return;
		on_post(peer, end + 4, n);
	}
	peer->n = 0;
}

static void forget(struct peer *peer)
{
	for (size_t i = 0; peer->is_subscriber && i < n_subscribers; i++)
		if (subscribers[i] == peer->fd)
			subscribers[i] = subscribers[--n_subscribers];
	SSL_free(peer->tls);
	free(peer->in);
	(void)close(peer->fd);
	*peer = (struct peer){ 0 };
}

static bool shake_hands(struct peer *peer)
{
	if (!peer->tls || SSL_is_init_finished(peer->tls))
		return true;
	(void)SSL_accept(peer->tls);
	return SSL_is_init_finished(peer->tls);
}

static void on_readable(struct peer *peer)
{
	char ignored[4096];
	if (!shake_hands(peer))
		return;
	char *to = peer->is_subscriber ? ignored : peer->in + peer->n;
	size_t room = peer->is_subscriber ? sizeof ignored : IN_BYTES - 1 - peer->n;
	ssize_t n = peer->tls ? SSL_read(peer->tls, to, (int)room) : recv(peer->fd, to, room, 0);
	if (n < 0 && (peer->tls ? SSL_get_error(peer->tls, (int)n) == SSL_ERROR_WANT_READ : errno == EAGAIN))
		return;
	if (n <= 0) {
		forget(peer);
		return;
	}
	if (peer->is_subscriber)
		return;
	peer->n += (size_t)n;
	peer->in[peer->n] = '\0';
	on_input(peer);
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void accept_all(int listening)
{
	int fd;
	while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
		if (fd >= MAX_DESCRIPTORS || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			die("too many connections");
		peers[fd] = (struct peer){ .fd = fd, .in = must_alloc(1, IN_BYTES) };
		if (!tls_context || listening == clear_listener)
			continue;
		peers[fd].tls = SSL_new(tls_context);
		if (!peers[fd].tls || !SSL_set_fd(peers[fd].tls, fd))
			die("no TLS");
		SSL_set_accept_state(peers[fd].tls);
	}
}

static void open_tls(void)
{
	tls_context = SSL_CTX_new(TLS_server_method());
	if (!tls_context || SSL_CTX_use_certificate_chain_file(tls_context, options.certificate) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls_context, options.key, SSL_FILETYPE_PEM) != 1)
		die("the certificate cannot be used");
	(void)SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
}

static void serve(void)
{
	bool has_more = false;
	for (;;) {
		struct epoll_event events[256];
		int n = epoll_wait(epoll, events, 256, has_more ? 0 : -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == STDIN_FILENO)
				return;
			if (events[i].data.fd == listener || events[i].data.fd == clear_listener)
				accept_all(events[i].data.fd);
			else
				on_readable(&peers[events[i].data.fd]);
		}
		if (journal >= 0)
			commit();
		else
			has_more = fan_out();
	}
}

int main(int argc, char **argv)
{
	uint16_t port, clear_port;
	read_parameters(argc ? argv + 1 : argv, parameters);
	hmac_init(options.secret);
	if (options.certificate)
		open_tls();
	if (strcmp(options.mode, "journal") == 0)
		open_journal();
	listener = listen_on_loopback(&port);
	clear_listener = listen_on_loopback(&clear_port);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	const int watched[] = { STDIN_FILENO, listener, clear_listener };
	for (size_t i = 0; i < 3; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.fd = watched[i] };
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, watched[i], &event) < 0)
			die("epoll_ctl");
	}
	printf("port %u %u\n", port, clear_port);
	(void)fflush(stdout);
	serve();
	return 0;
}
