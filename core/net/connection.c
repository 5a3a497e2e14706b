/* SPDX-License-Identifier: Apache-2.0 */
#include "net/connection.h"

#include "base/log.h"
#include "net/limits.h"
#include "net/router.h"
#include "net/series.h"
#include "net/subscriber.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>
#include <utlist.h>

#define LINGER_MS 2000
/* When the gateway stops: for whoever has connected, and not said what for. */
#define LAST_REQUEST_MS 1000
/* An IPv6 address in brackets, with its port. */
#define PEER_SIZE (INET6_ADDRSTRLEN + 8)
/* Answers to a subscriber's messages that may wait for it to read them. */
#define MAX_UNREAD_BYTES 65536
/* What is held of a batch keeps all of it in memory: less than such a share is copied instead. */
#define HOLD_SHARE 8

static const struct config_limits *limits_of(const struct connection *connection)
{
	return &connection->reactor->config->limits;
}

/* --- the peer, for the log -------------------------------------------------------------------------------------- */

static void describe_peer(int fd, char ret_text[static PEER_SIZE])
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un path;
	} address = { 0 };
	char ip[INET6_ADDRSTRLEN] = "?";
	socklen_t size = sizeof address;
	uint16_t port = 0;
	if (getpeername(fd, &address.any, &size) < 0) {
		(void)snprintf(ret_text, PEER_SIZE, "gone");
		return;
	}
	if (address.any.sa_family == AF_UNIX) {
		(void)snprintf(ret_text, PEER_SIZE, "unix");
		return;
	}
	if (address.any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &address.v6.sin6_addr, ip, sizeof ip);
		port = ntohs(address.v6.sin6_port);
	} else if (address.any.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &address.v4.sin_addr, ip, sizeof ip);
		port = ntohs(address.v4.sin_port);
	}
	(void)snprintf(ret_text, PEER_SIZE, strchr(ip, ':') ? "[%s]:%u" : "%s:%u", ip, port);
}

struct span connection_peer(struct connection *connection)
{
	char text[PEER_SIZE];
	if (!connection->peer) {
		describe_peer(connection->link.fd, text);
		connection->peer = span_dup(span_text(text));
	}
	return connection->peer ? span_text(connection->peer) : SPAN("?");
}

/* --- phases and deadlines --------------------------------------------------------------------------------------- */

static void on_deadline(uv_timer_t *timer);

static void start_timer(struct connection *connection)
{
	uint64_t now_ms = uv_now(&connection->reactor->loop);
	uint64_t wait_ms = connection->deadline_ms > now_ms ? connection->deadline_ms - now_ms : 0;
	connection->timer_ms = connection->deadline_ms;
	(void)uv_timer_start(&connection->timer, on_deadline, wait_ms, 0);
}

/* Deadlines come and go several times in a request, and hardly one is ever reached. So a timer that comes too early for
 * a later one is left as it is: it looks again then. */
void connection_set_deadline(struct connection *connection, int64_t ms)
{
	connection->deadline_ms = uv_now(&connection->reactor->loop) + (ms > 0 ? (uint64_t)ms : 0);
	if (!connection->timer_ms || connection->timer_ms > connection->deadline_ms)
		start_timer(connection);
}

static void set_pending(struct connection *connection, bool is_pending)
{
	struct reactor *reactor = connection->reactor;
	if (connection->is_pending == is_pending)
		return;
	connection->is_pending = is_pending;
	if (is_pending) {
		DL_APPEND2(reactor->pending, connection, pending_prev, pending_next);
		reactor->n_pending++;
	} else {
		DL_DELETE2(reactor->pending, connection, pending_prev, pending_next);
		reactor->n_pending--;
	}
}

/* Who holds a place without ever asking for anything makes room for the next: the oldest goes first, because an honest
 * client's request is here within moments. Whoever came in this turn of the loop may well have asked: nobody has looked
 * yet. (After a restart, thousands may have waited in the listening socket.) */
void connection_bound_pending(struct reactor *reactor)
{
	uint64_t max = reactor->config->limits.max_pending / reactor->gateway->n_reactors + 1;
	while (reactor->n_pending > max && reactor->pending->turn != reactor->turn) {
		struct connection *oldest = reactor->pending;
		reactor->counters.connections_pushed_out++;
		log_warning_limited("connections that send no request are closed early", LOG_TEXT("limit", "pending"));
		set_pending(oldest, false);
		link_close(&oldest->link);
	}
}

static void drop_exchange(struct connection *connection)
{
	struct exchange *exchange = STEAL(connection->exchange);
	if (!exchange)
		return;
	exchange->connection = NULL;
	if (!exchange->is_held)
		exchange_free(exchange);
}

void exchange_free(struct exchange *exchange)
{
	if (exchange->endpoint->release)
		exchange->endpoint->release(exchange);
	buffer_finish(&exchange->body);
	buffer_finish(&exchange->headers);
	setup_unref(exchange->setup);
	free(exchange);
}

static void linger(struct connection *connection)
{
	connection->phase = CONNECTION_LINGERING;
	buffer_finish(&connection->in);
	link_finish(&connection->link);
	if (connection->is_paused) {
		connection->is_paused = false;
		link_pause(&connection->link, false);
	}
	connection_set_deadline(connection, LINGER_MS);
}

void connection_end(struct connection *connection)
{
	if (connection_is_drained(connection))
		linger(connection);
	else
		connection->ends_when_drained = true;
}

/* Between two requests: the next one's head may wait already. */
static void next_request(struct connection *connection)
{
	connection->phase = CONNECTION_HEAD;
	connection_set_deadline(connection, connection->in.n ? limits_of(connection)->header_timeout_ms
														 : limits_of(connection)->idle_timeout_ms);
}

/* Refuses a request of which the endpoint has not seen the end. */
static void refuse_request(struct connection *connection, int status, const char *code, const char *message,
						   const char *headers)
{
	struct exchange *exchange = connection->exchange;
	if (exchange && exchange->endpoint->refused)
		exchange->endpoint->refused(exchange, status);
	connection_refuse(connection, status, code, message, headers);
}

static void send_answer(struct connection *connection);

static void on_deadline(uv_timer_t *timer)
{
	struct connection *connection = timer->data;
	struct exchange *exchange = connection->exchange;
	connection->timer_ms = 0;
	if (connection->deadline_ms > uv_now(&connection->reactor->loop)) {
		start_timer(connection);
		return;
	}
	bool is_reading = connection->phase == CONNECTION_BODY ||
					  (connection->phase == CONNECTION_HEAD && connection->in.n > 0 && connection->out.n == 0);
	if (connection->phase == CONNECTION_SUBSCRIBED) {
		subscriber_on_deadline(connection->subscriber);
	} else if (connection->phase == CONNECTION_HELD_BACK) {
		send_answer(connection);
	} else if (connection->phase == CONNECTION_ANSWERING && exchange && exchange->endpoint->expire) {
		exchange->endpoint->expire(exchange);
	} else if (is_reading) {
		refuse_request(connection, 408, "timeout", "the request did not arrive in time", NULL);
	} else if (connection_is_drained(connection)) {
		link_close(&connection->link);
	} else {
		link_reset(&connection->link);
	}
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void on_drained(struct connection *connection);
static void bound_input(struct connection *connection);

/* Writes bytes that wait. False if some are left (then `writable` goes on) or the peer is gone. */
static bool write_waiting(struct connection *connection, struct span bytes, size_t *ret_written)
{
	*ret_written = 0;
	while (*ret_written < bytes.n) {
		union {
			const char *constant;
			char *plain; /* iovec has no const; nobody writes through it */
		} from = { bytes.data + *ret_written };
		struct iovec piece = { from.plain, bytes.n - *ret_written };
		ssize_t n = link_write(&connection->link, &piece, 1);
		if (n < 0) {
			link_close(&connection->link);
			return false;
		}
		if (n == 0) {
			link_want_writable(&connection->link);
			return false;
		}
		connection->has_progress = true;
		*ret_written += (size_t)n;
	}
	return true;
}

static bool flush(struct connection *connection)
{
	size_t n;
	bool is_done = write_waiting(connection, connection->rest, &n);
	connection->rest = span_skip(connection->rest, n);
	if (!is_done)
		return false;
	batch_unref(STEAL(connection->rest_batch));
	is_done = write_waiting(connection, buffer_span(&connection->out), &n);
	buffer_consume(&connection->out, n);
	if (is_done)
		buffer_finish(&connection->out);
	return is_done;
}

void connection_hold(struct connection *connection, struct batch *batch, struct span rest)
{
	if (rest.n < batch->n_bytes / HOLD_SHARE) {
		buffer_add(&connection->out, rest);
		if (connection->out.failed)
			link_close(&connection->link);
	} else {
		connection->rest = rest;
		connection->rest_batch = batch_ref(batch);
	}
	link_want_writable(&connection->link);
}

void connection_send(struct connection *connection, struct span bytes)
{
	buffer_add(&connection->out, bytes);
	if (connection->out.failed)
		link_close(&connection->link);
	else
		(void)flush(connection);
}

static void on_writable(struct link *link)
{
	struct connection *connection = CONTAINER_OF(link, struct connection, link);
	if (flush(connection))
		on_drained(connection);
	if (connection->phase == CONNECTION_SUBSCRIBED)
		bound_input(connection);
}

static void read_requests(struct connection *connection);

static void on_drained(struct connection *connection)
{
	if (connection->ends_when_drained) {
		linger(connection);
	} else if (connection->phase == CONNECTION_SUBSCRIBED) {
		subscriber_on_drained(connection->subscriber);
	} else if (connection->phase == CONNECTION_HEAD) {
		next_request(connection);
		read_requests(connection);
	}
}

/* --- answering ---------------------------------------------------------------------------------------------------- */

void connection_add_status(struct connection *connection, struct buffer *head, int status)
{
	if (status >= COUNTERS_FIRST_STATUS && status <= COUNTERS_LAST_STATUS)
		connection->reactor->counters.answers[status - COUNTERS_FIRST_STATUS]++;
	series_count_answer(connection->reactor, status);
	buffer_add_text(head, "HTTP/1.1 ");
	buffer_add_u64(head, (uint64_t)status);
	buffer_add_char(head, ' ');
	buffer_add_text(head, http_status_text(status));
	buffer_add_text(head, "\r\n");
	buffer_add(head, reactor_date(connection->reactor));
}

static void add_answer(struct connection *connection, const struct answer *answer, bool closes)
{
	struct buffer *out = &connection->out;
	struct exchange *exchange = connection->exchange;
	(void)buffer_reserve(out, 256 + answer->body.n); /* most answers in one piece of memory */
	connection_add_status(connection, out, answer->status);
	if (answer->status != 204 && answer->status != 304) { /* which have no body, whatever it would be */
		buffer_add_text(out, "Content-Length: ");
		buffer_add_u64(out, answer->body.n);
		buffer_add_text(out, "\r\n");
	}
	if (answer->content_type) {
		buffer_add_text(out, "Content-Type: ");
		buffer_add_text(out, answer->content_type);
		buffer_add_text(out, "\r\nX-Content-Type-Options: nosniff\r\n");
	}
	if (answer->headers)
		buffer_add_text(out, answer->headers);
	if (exchange)
		buffer_add(out, buffer_span(&exchange->headers));
	buffer_add_text(out, closes ? "Connection: close\r\n\r\n" : "\r\n");
	if (!exchange || !exchange->is_head)
		buffer_add(out, answer->body);
}

/* The answer is in `out`. */
static void send_answer(struct connection *connection)
{
	connection->phase = CONNECTION_HEAD;
	connection_set_deadline(connection, limits_of(connection)->write_timeout_ms);
	if (flush(connection))
		on_drained(connection);
}

void connection_answer(struct connection *connection, const struct answer *answer)
{
	/* a body that was not read would be taken for the next request */
	bool has_unread_body = connection->phase == CONNECTION_BODY || connection->phase == CONNECTION_HEAD;
	bool closes = answer->closes || answer->wait_ms > 0 || has_unread_body || !connection->exchange ||
				  !connection->exchange->keep_alive ||
				  atomic_load_explicit(&connection->reactor->gateway->is_draining, memory_order_relaxed);
	if (answer->wait_ms < 0) {
		drop_exchange(connection);
		link_close(&connection->link);
		return;
	}
	add_answer(connection, answer, closes);
	drop_exchange(connection);
	connection->ends_when_drained = closes;
	if (connection->out.failed) {
		link_close(&connection->link);
	} else if (answer->wait_ms) {
		connection->phase = CONNECTION_HELD_BACK;
		connection_set_deadline(connection, answer->wait_ms);
	} else {
		send_answer(connection);
	}
}

void connection_refuse_late(struct connection *connection, int64_t wait_ms, int status, const char *code,
							const char *message, const char *headers)
{
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	buffer_add_text(&body, "{\"error\":");
	buffer_add_json(&body, span_text(code));
	buffer_add_text(&body, ",\"message\":");
	buffer_add_json(&body, span_text(message));
	buffer_add_text(&body, "}\n");
	connection_answer(connection, &(struct answer){ .status = status,
													.content_type = "application/json",
													.body = buffer_span(&body),
													.headers = headers,
													.wait_ms = wait_ms });
}

void connection_refuse(struct connection *connection, int status, const char *code, const char *message,
					   const char *headers)
{
	connection_refuse_late(connection, 0, status, code, message, headers);
}

void exchange_answer_json_status(struct exchange *exchange, int status, const struct buffer *json, int error,
								 const char *sorry)
{
	exchange->is_held = false;
	if (!exchange->connection)
		exchange_free(exchange);
	else if (error || json->failed)
		connection_refuse(exchange->connection, 503, "unavailable", sorry, "Retry-After: 5\r\n");
	else
		connection_answer(exchange->connection, &(struct answer){ .status = status,
																  .content_type = "application/json",
																  .body = buffer_span(json),
																  .headers = "Cache-Control: no-store\r\n" });
}

void exchange_answer_json(struct exchange *exchange, const struct buffer *json, int error, const char *sorry)
{
	exchange_answer_json_status(exchange, 200, json, error, sorry);
}

void connection_subscribe(struct connection *connection, struct subscriber *subscriber)
{
	drop_exchange(connection);
	connection->subscriber = subscriber;
	connection->phase = CONNECTION_SUBSCRIBED;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void refuse_bad_request(struct connection *connection, const struct http_problem *problem)
{
	connection->reactor->counters.requests_bad++;
	log_info_limited("request refused", LOG_NUMBER("status", problem->status), LOG_TEXT("reason", problem->reason),
					 LOG_SPAN("peer", connection_peer(connection)));
	if (problem->status == 0)
		link_close(&connection->link);
	else
		refuse_request(connection, problem->status, "bad_request", problem->reason, NULL);
}

static void refuse_too_large(struct connection *connection)
{
	refuse_request(connection, 413, "too_large", "the body is larger than max_body", NULL);
}

static struct exchange *make_exchange(struct connection *connection, const struct endpoint *endpoint,
									  struct setup *setup, struct source *source, bool keep_alive)
{
	struct exchange *exchange = calloc(1, endpoint->exchange_size);
	if (exchange)
		*exchange = (struct exchange){
			.endpoint = endpoint,
			.connection = connection,
			.reactor = connection->reactor,
			.setup = setup_ref(setup),
			.source = source,
			.keep_alive = keep_alive,
		};
	return exchange;
}

struct exchange *connection_redirect(struct connection *connection, const struct endpoint *endpoint,
									 struct source *source)
{
	const struct exchange *old = connection->exchange;
	struct exchange *exchange = make_exchange(connection, endpoint, old->setup, source, old->keep_alive);
	if (!exchange)
		return NULL;
	drop_exchange(connection);
	connection->exchange = exchange;
	return exchange;
}

/* The endpoint has had its look at the head and not answered: now the body. */
static void begin_body(struct connection *connection, bool expects_continue)
{
	struct exchange *exchange = connection->exchange;
	if (exchange->content_length > exchange->max_body) {
		refuse_too_large(connection);
		return;
	}
	connection_set_deadline(connection, limits_of(connection)->body_timeout_ms);
	if (expects_continue)
		connection_send(connection, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
}

static struct exchange *make_routed_exchange(struct connection *connection, const struct http_request *request)
{
	struct source *source = NULL;
	const struct endpoint *endpoint = router_find(connection, request, &source);
	struct exchange *exchange =
		make_exchange(connection, endpoint, connection->reactor->setup, source, request->keep_alive);
	if (exchange) {
		exchange->is_head = span_equal(request->method, SPAN("HEAD"));
		exchange->body_kind = request->body;
		exchange->content_length = request->body == HTTP_BODY_LENGTH ? request->content_length : 0;
	}
	return exchange;
}

/* Starts an exchange, or answers at once. */
static void begin_exchange(struct connection *connection, const struct http_request *request)
{
	set_pending(connection, false);
	struct exchange *exchange = make_routed_exchange(connection, request);
	if (!exchange) {
		link_close(&connection->link);
		return;
	}
	connection->exchange = exchange;
	bool has_body = exchange->content_length || request->body == HTTP_BODY_CHUNKED;
	connection->phase = has_body ? CONNECTION_BODY : CONNECTION_ANSWERING;
	if (exchange->endpoint->begin)
		exchange->endpoint->begin(exchange, request);
	if (connection->exchange != exchange)
		return; /* answered already */
	if (has_body)
		begin_body(connection, request->expects_continue);
	else if (exchange->endpoint->finish)
		exchange->endpoint->finish(exchange, span_of("", 0));
}

static void finish_body(struct connection *connection, struct span body)
{
	connection->phase = CONNECTION_ANSWERING;
	connection->exchange->endpoint->finish(connection->exchange, body);
}

/* Adds to the body that is being put together. False if the connection has been answered or closed. */
static bool add_body(struct connection *connection, struct span data)
{
	struct exchange *exchange = connection->exchange;
	if (data.n > exchange->max_body - exchange->body.n) {
		refuse_too_large(connection);
		return false;
	}
	buffer_add(&exchange->body, data);
	if (exchange->body.failed)
		refuse_request(connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
	return connection->exchange == exchange;
}

static void read_sized_body(struct connection *connection, struct span *bytes)
{
	struct exchange *exchange = connection->exchange;
	uint64_t left = exchange->content_length - exchange->body.n;
	struct span data = span_of(bytes->data, bytes->n < left ? bytes->n : (size_t)left);
	*bytes = span_skip(*bytes, data.n);
	if (exchange->body.n == 0 && data.n == left)
		finish_body(connection, data); /* all at once: no copy */
	else if (add_body(connection, data) && exchange->body.n == exchange->content_length)
		finish_body(connection, buffer_span(&exchange->body));
}

/* A chunk's claim is enough to refuse it. */
static bool is_chunk_too_large(const struct exchange *exchange)
{
	return exchange->chunks.left > exchange->max_body - exchange->body.n;
}

static void read_chunked_body(struct connection *connection, struct span *bytes)
{
	struct exchange *exchange = connection->exchange;
	struct span data;
	enum http_chunks_outcome outcome = HTTP_CHUNKS_MORE;
	while (outcome == HTTP_CHUNKS_MORE && bytes->n) {
		outcome = http_chunks_read(&exchange->chunks, bytes, &data);
		if (outcome != HTTP_CHUNKS_E_BAD && !add_body(connection, data))
			return;
		if (outcome == HTTP_CHUNKS_MORE && is_chunk_too_large(exchange)) {
			refuse_too_large(connection);
			return;
		}
	}
	if (outcome == HTTP_CHUNKS_E_BAD)
		refuse_bad_request(connection, &(struct http_problem){ 400, "the chunked body is malformed" });
	else if (outcome == HTTP_CHUNKS_DONE)
		finish_body(connection, buffer_span(&exchange->body));
}

/* One step; false if it needs more bytes. */
static bool read_head(struct connection *connection, struct span *bytes)
{
	struct http_request request;
	struct http_problem problem;
	switch (http_parse(*bytes, &request, &problem)) {
	case HTTP_E_INCOMPLETE:
		return false;
	case HTTP_E_BAD:
		refuse_bad_request(connection, &problem);
		return false;
	case HTTP_OK:
		*bytes = span_skip(*bytes, request.n_head);
		begin_exchange(connection, &request);
	}
	return true;
}

/* Takes what can be taken now; what is left stays in *bytes. */
static void consume(struct connection *connection, struct span *bytes)
{
	bool goes_on = true;
	while (goes_on && bytes->n && !connection->link.is_closing) {
		switch (connection->phase) {
		case CONNECTION_HEAD:
			/* the answer before it goes out first, so that a peer cannot have us collect answers */
			goes_on = connection->out.n == 0 && read_head(connection, bytes);
			break;
		case CONNECTION_BODY:
			if (connection->exchange->body_kind == HTTP_BODY_CHUNKED)
				read_chunked_body(connection, bytes);
			else
				read_sized_body(connection, bytes);
			break;
		case CONNECTION_SUBSCRIBED:
			subscriber_on_bytes(connection->subscriber, bytes);
			break;
		case CONNECTION_LINGERING:
			*bytes = span_skip(*bytes, bytes->n);
			break;
		case CONNECTION_ANSWERING:
		case CONNECTION_HELD_BACK:
			goes_on = false;
			break;
		}
	}
}

/* Whoever sends more than one head's worth while we answer waits with the rest. So does a subscriber who lets answers
 * pile up. */
static void bound_input(struct connection *connection)
{
	bool is_subscribed = connection->phase == CONNECTION_SUBSCRIBED;
	bool is_answered = connection->phase != CONNECTION_ANSWERING && connection->out.n == 0;
	bool is_paused =
		is_subscribed ? connection->out.n >= MAX_UNREAD_BYTES : connection->in.n >= HTTP_MAX_HEAD_BYTES && !is_answered;
	if (is_paused != connection->is_paused && !connection->link.is_closing) {
		connection->is_paused = is_paused;
		link_pause(&connection->link, is_paused);
	}
}

/* Goes on with the bytes that have been waiting. */
static void read_requests(struct connection *connection)
{
	struct buffer waiting = connection->in;
	struct span bytes = buffer_span(&waiting);
	if (!waiting.n)
		return;
	connection->in = BUFFER_INIT;
	consume(connection, &bytes);
	if (!connection->link.is_closing && bytes.n) {
		buffer_consume(&waiting, waiting.n - bytes.n);
		connection->in = waiting;
	} else {
		buffer_finish(&waiting);
	}
	bound_input(connection);
}

/* Whether bytes from `from` on may end a head: an empty line, in whatever form. A head that comes in little pieces is
 * not worth another look before that, or each piece would cost as much as all before it. */
static bool may_end_head(struct span in, size_t from)
{
	for (size_t i = from > 2 ? from - 2 : 0; i + 1 < in.n; i++) {
		if (in.data[i] != '\n')
			continue;
		if (in.data[i + 1] == '\n' || (in.data[i + 1] == '\r' && i + 2 < in.n && in.data[i + 2] == '\n'))
			return true;
	}
	return in.n >= HTTP_MAX_HEAD_BYTES;
}

static void on_received(struct link *link, char *data, size_t n)
{
	struct connection *connection = CONTAINER_OF(link, struct connection, link);
	struct span bytes = span_of(data, n);
	size_t n_waiting = connection->in.n;
	connection->reactor->counters.bytes_received += n;
	bool is_reading_head = connection->phase == CONNECTION_HEAD && connection->out.n == 0;
	if (is_reading_head && !n_waiting && !connection->is_pending)
		connection_set_deadline(connection, limits_of(connection)->header_timeout_ms);
	if (!n_waiting)
		consume(connection, &bytes);
	if (connection->phase == CONNECTION_SUBSCRIBED)
		bound_input(connection);
	if (connection->link.is_closing || !bytes.n)
		return;
	buffer_add(&connection->in, bytes);
	if (connection->in.failed)
		link_close(&connection->link);
	else if (n_waiting && is_reading_head && may_end_head(buffer_span(&connection->in), n_waiting))
		read_requests(connection);
	else
		bound_input(connection);
}

/* --- coming and going ------------------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_closed(struct link *link)
{
	struct connection *connection = CONTAINER_OF(link, struct connection, link);
	connection->reactor->counters.handshakes_failed += connection->link.is_in_handshake;
	set_pending(connection, false);
	DL_DELETE(connection->reactor->connections, connection);
	drop_exchange(connection);
	subscriber_destroy(connection->subscriber);
	connection->subscriber = NULL;
	limits_leave(connection->reactor->gateway->limits, connection->address);
	buffer_finish(&connection->in);
	buffer_finish(&connection->out);
	free(connection->peer);
	batch_unref(connection->rest_batch);
	uv_close((uv_handle_t *)&connection->timer, on_timer_closed); /* frees */
}

static const struct link_ops link_ops = { on_received, on_writable, on_closed };

static void turn_away(struct reactor *reactor, const struct arrival *arrival)
{
	(void)close(arrival->fd);
	certificate_unref(arrival->certificate);
	limits_leave(reactor->gateway->limits, arrival->address);
}

void connection_adopt(struct reactor *reactor, const struct arrival *arrival)
{
	struct connection *connection = calloc(1, sizeof *connection);
	if (!connection) {
		turn_away(reactor, arrival);
		return;
	}
	connection->reactor = reactor;
	connection->serves = arrival->serves;
	connection->limit = arrival->limit;
	connection->address = arrival->address;
	connection->turn = reactor->turn;
	(void)uv_timer_init(&reactor->loop, &connection->timer);
	connection->timer.data = connection;
	DL_APPEND(reactor->connections, connection);
	if (transport_adopt(reactor->transport, arrival->fd, arrival->certificate, &link_ops, &connection->link) < 0) {
		on_closed(&connection->link);
		return;
	}
	reactor->counters.connections_accepted++;
	set_pending(connection, true);
	connection_set_deadline(connection, limits_of(connection)->header_timeout_ms);
}

/* A request may have come that nobody has read yet. */
static bool has_unread_bytes(const struct connection *connection)
{
	char byte;
	return recv(connection->link.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void connection_drain(struct connection *connection)
{
	if (connection->phase != CONNECTION_HEAD || connection->in.n || !connection_is_drained(connection))
		return; /* its answer will be the last */
	if (connection->is_pending || has_unread_bytes(connection))
		connection_set_deadline(connection, LAST_REQUEST_MS);
	else
		link_close(&connection->link);
}
