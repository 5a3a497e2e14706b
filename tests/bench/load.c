/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load: subscribers that check all they get, and senders that sign what they send, in one loop of one thread.
 * Knows belfry.v1; yardstick.c speaks as much of it as is needed here.
 *
 *     load port=PORT pid=PID secret=TEXT [subscribers=1000] [in_flight=1] [seconds=0.5] ...
 *
 * Says "ready" when all are connected and it has warmed up. Then each line of its standard input is a round, and has
 * one line of JSON as its answer: so two loads can take turns, and what else happens on the machine happens to both.
 *
 * A callback is over when it is answered and everybody whom it concerns has got it; then its sender sends the next one.
 * With rate=, callbacks are due at fixed moments instead, and latencies count from when they were due.
 */
#include "bench.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 32
#define MAX_CONNECTING 128
#define MAX_IN_FLIGHT 65536 /* a power of two */
#define PATIENCE_NS (30 * NS_PER_S)

static struct {
	double port, sender_port, pid, subscribers, in_flight, seconds, warm_up, rate, has_tls, has_own_filters, spins;
	const char *secret, *token, *path;
} options = { .in_flight = 1, .seconds = 0.5, .warm_up = 0.5, .path = "/callbacks/cronofy", .secret = "", .token = "" };

static const struct parameter parameters[] = {
	{ "port", NULL, &options.port },
	{ "sender_port", NULL, &options.sender_port },     /* where callbacks go, in clear text; unless written, the same */
	{ "pid", NULL, &options.pid },                     /* of the server: what it costs */
	{ "secret", &options.secret, NULL },               /* the client secret that signs */
	{ "token", &options.token, NULL },                 /* of the subscribers */
	{ "path", &options.path, NULL },                   /* where callbacks go */
	{ "subscribers", NULL, &options.subscribers },     /* how many */
	{ "own_filters", NULL, &options.has_own_filters }, /* 1: each has a filter of its own, a callback matches one */
	{ "tls", NULL, &options.has_tls },
	{ "in_flight", NULL, &options.in_flight }, /* callbacks on their way at the same time */
	{ "rate", NULL, &options.rate },           /* callbacks a second, instead of one after the other */
	{ "spin", NULL, &options.spins },          /* 1: never sleeps. Who sends to a sleeper pays for waking it up */
	{ "warm_up", NULL, &options.warm_up },     /* seconds, before the first round; half of it before each */
	{ "seconds", NULL, &options.seconds },     /* of each round */
	{ 0 },
};

enum peer_state { PEER_CONNECTING, PEER_SHAKING_HANDS, PEER_UPGRADING, PEER_SUBSCRIBING, PEER_READY };

struct peer {
	int fd;
	enum peer_state state;
	SSL *tls;
	uint64_t sequence; /* of the newest event that came */
	uint8_t *part;     /* an incomplete frame */
	size_t n_part;
};

struct sender {
	int fd;
	bool is_busy, is_answered;
	uint32_t number;
	size_t n_sent;
	struct request request;
	char answer[1024];
	size_t n_answer;
};

/* A callback on its way. */
struct flight {
	uint32_t number, n_missing;
	uint64_t due_ns;
};

static struct peer *peers;
static struct sender *senders;
static struct flight *flights;
static size_t n_peers, n_senders, n_started, n_ready;
static int epoll, sender_epoll; /* the second is watched by the first */
static SSL_CTX *tls_context;
static uint32_t next_number = 1;
static bool is_measuring;
static uint64_t n_deliveries, n_answers, n_refused, n_faults;
static struct samples answers, deliveries;
static uint8_t buffer[1 << 19];

static void watch(int by, int fd, size_t number, uint32_t events, int operation)
{
	struct epoll_event event = { .events = events, .data.u64 = number };
	if (epoll_ctl(by, operation, fd, &event) < 0)
		die("epoll_ctl");
}

static struct flight *flight_of(uint32_t number)
{
	struct flight *flight = &flights[number % MAX_IN_FLIGHT];
	return flight->number == number ? flight : NULL;
}

/* --- subscribers -------------------------------------------------------------------------------------------------- */

static void peer_send(struct peer *peer, const char *bytes, size_t n)
{
	ssize_t written = peer->tls ? SSL_write(peer->tls, bytes, (int)n) : send(peer->fd, bytes, n, MSG_NOSIGNAL);
	if (written != (ssize_t)n)
		die("a subscriber cannot send");
}

static void send_upgrade(struct peer *peer)
{
	char head[2048];
	int n = snprintf(head, sizeof head,
					 "GET /subscribe HTTP/1.1\r\nHost: 127.0.0.1:%.0f\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
					 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
					 "Sec-WebSocket-Protocol: belfry.v1\r\n%s%s%s\r\n",
					 options.port, *options.token ? "Authorization: Bearer " : "", options.token,
					 *options.token ? "\r\n" : "");
	peer_send(peer, head, (size_t)n);
	peer->state = PEER_UPGRADING;
}

/* Masked with zeros: a text frame of 126 to 65535 bytes. */
static void send_text(struct peer *peer, const char *text)
{
	char frame[1024] = "\x81";
	size_t n = strlen(text);
	frame[1] = (char)(0x80 | 126);
	frame[2] = (char)(n >> 8);
	frame[3] = (char)n;
	memcpy(frame + 8, text, n);
	peer_send(peer, frame, 8 + n);
}

static void send_subscribe(struct peer *peer)
{
	char text[512], filter[64] = "{\"interactions\":[\"conferencing_assigned\"]}";
	if (options.has_own_filters)
		(void)snprintf(filter, sizeof filter, "{\"event_ids\":[\"event-%zu\"]}", (size_t)(peer - peers));
	/* blanks, so that the frame's length takes two bytes */
	(void)snprintf(text, sizeof text, "{\"type\":\"subscribe\",\"id\":\"a\",\"filter\":%s}%64s%64s", filter, "", "");
	send_text(peer, text);
	peer->state = PEER_SUBSCRIBING;
}

/* {"type":"event","position":"EPOCH-SEQUENCE",... */
static uint64_t read_sequence(const char *text, size_t n)
{
	static const char start[] = "{\"type\":\"event\",\"position\":\"";
	if (n < sizeof start + 16 || memcmp(text, start, sizeof start - 1) != 0)
		return 0;
	const char *dash = memchr(text + sizeof start - 1, '-', 16);
	return dash ? strtoull(dash + 1, NULL, 10) : 0;
}

static void on_event(struct peer *peer, const char *text, size_t n, uint64_t now)
{
	static size_t hint;
	uint32_t number;
	uint64_t ns, sequence = read_sequence(text, n);
	bool is_next = options.has_own_filters ? sequence > peer->sequence : sequence == peer->sequence + 1;
	if (!sequence || (peer->sequence && !is_next) || !mark_read(text, n, &hint, &number, &ns)) {
		n_faults++;
		return;
	}
	peer->sequence = sequence;
	struct flight *flight = flight_of(number);
	if (!flight || flight->n_missing == 0) {
		n_faults++;
		return;
	}
	n_deliveries += is_measuring;
	if (--flight->n_missing == 0 && is_measuring)
		samples_add(&deliveries, now - flight->due_ns);
}

static void on_frame(struct peer *peer, uint8_t opcode, const char *text, size_t n, uint64_t now)
{
	if (opcode == 8)
		die("a subscriber was closed: %.*s", (int)n, text);
	if (peer->state == PEER_SUBSCRIBING && memmem(text, n, "\"subscribed\"", 12)) {
		peer->state = PEER_READY;
		n_ready++;
	} else if (memmem(text, n < 24 ? n : 24, "\"event\"", 7)) {
		on_event(peer, text, n, now);
	} else if (memmem(text, n < 24 ? n : 24, "\"error\"", 7) || memmem(text, n < 24 ? n : 24, "\"gap\"", 5)) {
		die("a subscriber was told: %.*s", (int)n, text);
	}
}

static size_t read_frames(struct peer *peer, const uint8_t *bytes, size_t n)
{
	size_t at = 0, header, length;
	uint64_t now = now_ns();
	while ((length = frame_length(bytes + at, n - at, &header))) {
		on_frame(peer, bytes[at] & 15, (const char *)bytes + at + header, length - header, now);
		at += length;
	}
	return at;
}

static size_t read_upgrade(struct peer *peer, size_t n)
{
	const uint8_t *end = memmem(buffer, n, "\r\n\r\n", 4);
	if (!end)
		return 0;
	if (memcmp(buffer, "HTTP/1.1 101", 12) != 0)
		die("a subscriber was refused: %.*s", (int)n, (const char *)buffer);
	send_subscribe(peer);
	return (size_t)(end - buffer) + 4;
}

/* False if there is no more for now. */
static bool peer_read(struct peer *peer)
{
	memcpy(buffer, peer->part, peer->n_part);
	size_t room = sizeof buffer - peer->n_part;
	ssize_t r = peer->tls ? SSL_read(peer->tls, buffer + peer->n_part, (int)room)
						  : recv(peer->fd, buffer + peer->n_part, room, 0);
	if (r < 0 && (peer->tls ? SSL_get_error(peer->tls, (int)r) == SSL_ERROR_WANT_READ : errno == EAGAIN))
		return false;
	if (r <= 0)
		die("a subscriber lost its connection");
	size_t n = peer->n_part + (size_t)r, n_used = 0;
	if (peer->state == PEER_UPGRADING)
		n_used = read_upgrade(peer, n);
	if (peer->state >= PEER_SUBSCRIBING)
		n_used += read_frames(peer, buffer + n_used, n - n_used);
	peer->n_part = n - n_used;
	if (peer->n_part == 0) {
		free(peer->part);
		peer->part = NULL;
		return peer->tls || (size_t)r == room;
	}
	peer->part = realloc(peer->part, peer->n_part);
	if (!peer->part)
		die("out of memory");
	memcpy(peer->part, buffer + n_used, peer->n_part);
	return peer->tls || (size_t)r == room;
}

static void shake_hands(struct peer *peer)
{
	if (!peer->tls) {
		peer->tls = SSL_new(tls_context);
		if (!peer->tls || !SSL_set_fd(peer->tls, peer->fd))
			die("no TLS");
	}
	peer->state = PEER_SHAKING_HANDS;
	int r = SSL_connect(peer->tls), reason = SSL_get_error(peer->tls, r);
	if (r == 1)
		send_upgrade(peer);
	else if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE)
		die("a subscriber has no TLS");
}

static void on_peer(size_t number)
{
	struct peer *peer = &peers[number];
	if (peer->state == PEER_CONNECTING)
		watch(epoll, peer->fd, number, EPOLLIN, EPOLL_CTL_MOD);
	if (peer->state < PEER_UPGRADING && options.has_tls > 0)
		shake_hands(peer);
	else if (peer->state == PEER_CONNECTING)
		send_upgrade(peer);
	if (peer->state < PEER_UPGRADING)
		return;
	while (peer_read(peer)) {
	}
}

static void start_peers(void)
{
	for (; n_started < n_peers && n_started - n_ready < MAX_CONNECTING; n_started++) {
		peers[n_started].fd = connect_to_loopback((uint16_t)options.port);
		watch(epoll, peers[n_started].fd, n_started, EPOLLOUT, EPOLL_CTL_ADD);
	}
}

/* --- senders ------------------------------------------------------------------------------------------------------ */

static void sender_flush(struct sender *sender)
{
	while (sender->is_busy && sender->n_sent < sender->request.n) {
		ssize_t n =
			send(sender->fd, sender->request.bytes + sender->n_sent, sender->request.n - sender->n_sent, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
			return;
		if (n < 0)
			die("a sender cannot send");
		sender->n_sent += (size_t)n;
	}
}

static void sender_start(struct sender *sender, uint64_t due_ns)
{
	uint32_t n_concerned = options.has_own_filters ? n_peers > 0 : (uint32_t)n_peers;
	sender->number = next_number++;
	sender->is_busy = true;
	sender->is_answered = false;
	sender->n_sent = 0;
	flights[sender->number % MAX_IN_FLIGHT] = (struct flight){ sender->number, n_concerned, due_ns };
	request_fill(&sender->request, sender->number, due_ns);
	sender_flush(sender);
}

/* An answer without a body, or with a short one that has come with it. */
static void sender_read(struct sender *sender)
{
	ssize_t n = recv(sender->fd, sender->answer + sender->n_answer, sizeof sender->answer - sender->n_answer, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("a sender lost its connection: %.*s", (int)sender->n_answer, sender->answer);
	sender->n_answer += (size_t)n;
	if (!memmem(sender->answer, sender->n_answer, "\r\n\r\n", 4))
		return;
	const struct flight *flight = flight_of(sender->number);
	if (memcmp(sender->answer, "HTTP/1.1 200", 12) != 0 && n_refused++ == 0)
		fprintf(stderr, "refused: %.*s\n", (int)sender->n_answer, sender->answer);
	sender->n_answer = 0;
	sender->is_answered = true;
	if (is_measuring && flight) {
		n_answers++;
		samples_add(&answers, now_ns() - flight->due_ns);
	}
}

static bool sender_is_free(struct sender *sender)
{
	const struct flight *flight = flight_of(sender->number);
	if (sender->is_busy && sender->is_answered && (options.rate > 0 || !flight || flight->n_missing == 0))
		sender->is_busy = false;
	return !sender->is_busy;
}

static void start_senders(void)
{
	for (size_t i = 0; i < n_senders; i++) {
		request_init(&senders[i].request, options.path, options.secret, "event-0");
		senders[i].fd = connect_to_loopback((uint16_t)(options.sender_port > 0 ? options.sender_port : options.port));
		watch(sender_epoll, senders[i].fd, i, EPOLLIN | EPOLLOUT | EPOLLET, EPOLL_CTL_ADD);
	}
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void on_sender(struct sender *sender, uint32_t events)
{
	if (events & EPOLLOUT)
		sender_flush(sender);
	if (events & ~(uint32_t)EPOLLOUT)
		sender_read(sender);
}

/* Senders first, each time: among thousands of subscribers an answer would be seen late. */
static void turn(uint64_t wait_ns)
{
	struct epoll_event events[MAX_EVENTS];
	struct timespec wait = { (time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S) };
	int n = epoll_wait(sender_epoll, events, MAX_EVENTS, 0);
	for (int i = 0; i < n; i++)
		on_sender(&senders[events[i].data.u64], events[i].events);
	if (n > 0 || options.spins > 0)
		wait = (struct timespec){ 0 };
	n = epoll_pwait2(epoll, events, MAX_EVENTS, &wait, NULL);
	for (int i = 0; i < n; i++)
		if (events[i].data.u64 < n_peers)
			on_peer(events[i].data.u64);
}

static bool is_anything_under_way(void)
{
	for (size_t i = 0; i < n_senders; i++)
		if (!sender_is_free(&senders[i]))
			return true;
	for (uint32_t i = 1; i <= MAX_IN_FLIGHT && i < next_number; i++) {
		const struct flight *flight = flight_of(next_number - i);
		if (flight && flight->n_missing)
			return true;
	}
	return false;
}

/* All senders have their turn: one that never says anything would be closed. */
static void send_what_is_due(uint64_t start_ns, uint64_t *n_sent, uint64_t *ret_wait_ns)
{
	static size_t last;
	uint64_t now = now_ns();
	*ret_wait_ns = NS_PER_S / 20;
	for (size_t n = 0, i = last; n < n_senders; n++) {
		i = (i + 1) % n_senders;
		uint64_t due = options.rate > 0 ? start_ns + (uint64_t)((double)*n_sent * 1e9 / options.rate) : now;
		if (due > now) {
			*ret_wait_ns = due - now;
			return;
		}
		if (!sender_is_free(&senders[i]))
			continue;
		sender_start(&senders[i], options.rate > 0 ? due : now_ns());
		last = i;
		++*n_sent;
	}
}

/* Sends for so many seconds, then waits until all is over. Seconds that it took. */
static double run(double seconds)
{
	uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), n_sent = 0, wait;
	while (now_ns() < end) {
		send_what_is_due(start, &n_sent, &wait);
		turn(wait);
	}
	for (end = now_ns() + PATIENCE_NS; is_anything_under_way(); turn(NS_PER_S / 100))
		if (now_ns() > end)
			die("something did not arrive");
	return (double)(now_ns() - start) / 1e9;
}

static void connect_all(void)
{
	for (uint64_t end = now_ns() + 4 * PATIENCE_NS; n_ready < n_peers; turn(NS_PER_S / 100)) {
		start_peers();
		if (now_ns() > end)
			die("%zu of %zu subscribers are ready", n_ready, n_peers);
	}
}

/* Also after the other load's round, which had the caches. */
static void warm_up(double seconds)
{
	is_measuring = false;
	if (seconds > 0)
		(void)run(seconds);
	n_answers = n_deliveries = answers.n = deliveries.n = 0;
	is_measuring = true;
}

static void measure(double memory_per_subscriber)
{
	warm_up(options.warm_up / 2);
	double cpu_before = cpu_seconds((int)options.pid);
	double seconds = run(options.seconds);
	double cpu = cpu_seconds((int)options.pid) - cpu_before;
	printf("{\"subscribers\":%zu,\"in_flight\":%zu,\"rate\":%g,\"body_bytes\":%zu,\"seconds\":%.3f,\"cpu_s\":%.6f,"
		   "\"callbacks\":%llu,\"deliveries\":%llu,\"memory_per_subscriber\":%.0f",
		   n_peers, n_senders, options.rate, n_senders ? senders[0].request.n - senders[0].request.n_head : 0, seconds,
		   cpu, (unsigned long long)n_answers, (unsigned long long)n_deliveries, memory_per_subscriber);
	samples_print("answer", &answers);
	samples_print("delivery", &deliveries);
	printf("}\n");
	(void)fflush(stdout);
}

static void measure_rounds(void)
{
	char line[8];
	uint64_t memory_before = memory_bytes((int)options.pid);
	connect_all();
	double memory = (double)memory_bytes((int)options.pid) - (double)memory_before;
	start_senders();
	warm_up(options.warm_up);
	puts("ready");
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin))
		measure(n_peers ? memory / (double)n_peers : 0);
	if (n_faults || n_refused)
		die("%llu faults, %llu refused", (unsigned long long)n_faults, (unsigned long long)n_refused);
}

int main(int argc, char **argv)
{
	read_parameters(argc ? argv + 1 : argv, parameters);
	if (options.port < 1 || options.pid < 1)
		die("usage: load port=PORT pid=PID [NAME=VALUE ...]");
	n_peers = (size_t)options.subscribers;
	n_senders = (size_t)options.in_flight;
	peers = must_alloc(n_peers + 1, sizeof *peers);
	senders = must_alloc(n_senders + 1, sizeof *senders);
	flights = must_alloc(MAX_IN_FLIGHT, sizeof *flights);
	tls_context = SSL_CTX_new(TLS_client_method());
	epoll = epoll_create1(EPOLL_CLOEXEC);
	sender_epoll = epoll_create1(EPOLL_CLOEXEC);
	watch(epoll, sender_epoll, n_peers, EPOLLIN, EPOLL_CTL_ADD);
	measure_rounds();
	return 0;
}
