/* SPDX-License-Identifier: Apache-2.0 */
#include "net/subscriber.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/series.h"
#include "net/session.h"

#include <errno.h>
#include <stdio.h>

/* How long the peer may take to answer our close. */
#define CLOSE_TIMEOUT_MS 5000
/* A stream's events are encoded for each stream: no more of them at once than this, or the one that goes beyond it, so
 * that whoever does not read keeps little. */
#define STREAM_PIECE_BYTES 16384
/* A burst of frames may be this many seconds' worth. */
#define BURST_SECONDS 5

static const struct config_subscribers *settings(const struct subscriber *subscriber)
{
	return &subscriber->connection->reactor->config->subscribers;
}

static struct hub *hub_of(const struct subscriber *subscriber)
{
	return subscriber->connection->reactor->hub;
}

static uint64_t ns_from_now(int64_t ms)
{
	return clock_monotonic_ns() + (uint64_t)(ms > 0 ? ms : 0) * NS_PER_MS;
}

/* --- deadlines ---------------------------------------------------------------------------------------------------- */

static void arm(struct subscriber *subscriber)
{
	uint64_t next = UINT64_MAX, now = clock_monotonic_ns();
	for (size_t i = 0; i < N_DUES; i++)
		if (subscriber->due_ns[i] && subscriber->due_ns[i] < next)
			next = subscriber->due_ns[i];
	if (next != UINT64_MAX) /* rounded up, or the timer would come a moment early again and again */
		connection_set_deadline(subscriber->connection,
								next > now ? (int64_t)((next - now + NS_PER_MS - 1) / NS_PER_MS) : 0);
}

void subscriber_set_due(struct subscriber *subscriber, enum subscriber_due due, uint64_t ns)
{
	subscriber->due_ns[due] = ns;
	arm(subscriber);
}

static void on_auth_due(struct subscriber *subscriber)
{
	subscriber_disconnect(subscriber, 4500, "no valid token in time", 0);
}

static void on_expiry_due(struct subscriber *subscriber)
{
	subscriber_disconnect(subscriber, 4002, "token expired", 0);
}

static void on_stalled_due(struct subscriber *subscriber)
{
	if (connection_is_drained(subscriber->connection))
		return;
	if (subscriber->connection->has_progress) {
		subscriber->connection->has_progress = false;
		subscriber->due_ns[DUE_STALLED] = ns_from_now(settings(subscriber)->stalled_timeout_ms);
		return;
	}
	/* 4001; but it takes no byte, so it cannot be told */
	subscriber->connection->reactor->counters.subscribers_stalled++;
	log_info_limited("subscriber stalled", LOG_SPAN("peer", connection_peer(subscriber->connection)));
	link_reset(&subscriber->connection->link);
}

static void on_close_due(struct subscriber *subscriber)
{
	link_close(&subscriber->connection->link);
}

static void send_ping(struct subscriber *subscriber)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	char position[POSITION_TEXT_SIZE];
	size_t n = subscriber_position(subscriber, hub_position(hub_of(subscriber), &subscriber->member), position);
	if (subscriber->kind == SUBSCRIBER_WEBSOCKET) {
		static const uint8_t ping[] = { 0x80 | WEBSOCKET_PING, 0 };
		connection_send(subscriber->connection, span_of(ping, sizeof ping));
		subscriber->awaits_pong = true;
	}
	buffer_add_text(&json, "{\"type\":\"position\",\"position\":\"");
	buffer_add(&json, span_of(position, n));
	buffer_add_text(&json, "\"}");
	subscriber_send(subscriber, "position", span_of(position, n), buffer_span(&json));
}

static void on_ping_due(struct subscriber *subscriber)
{
	bool is_drained = connection_is_drained(subscriber->connection);
	if (is_drained && subscriber->awaits_pong) {
		subscriber_disconnect(subscriber, 4003, "no pong", 0);
		return;
	}
	subscriber->due_ns[DUE_PING] = ns_from_now(settings(subscriber)->ping_ms);
	/* whoever has bytes waiting hears nothing now, and is looked after by DUE_STALLED */
	if (is_drained && subscriber->grant)
		send_ping(subscriber);
}

void subscriber_on_deadline(struct subscriber *subscriber)
{
	static void (*const acts[N_DUES])(struct subscriber *) = {
		[DUE_AUTH] = on_auth_due, [DUE_REFUSAL] = session_refuse_now, [DUE_EXPIRY] = on_expiry_due,
		[DUE_PING] = on_ping_due, [DUE_STALLED] = on_stalled_due,     [DUE_CLOSE] = on_close_due,
	};
	uint64_t now = clock_monotonic_ns();
	for (size_t i = 0; i < N_DUES; i++) {
		if (!subscriber->due_ns[i] || subscriber->due_ns[i] > now)
			continue;
		subscriber->due_ns[i] = 0;
		acts[i](subscriber);
	}
	arm(subscriber);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* Bytes wait; not for ever. */
static void set_stalled_due(struct subscriber *subscriber)
{
	if (subscriber->due_ns[DUE_STALLED])
		return;
	subscriber->connection->has_progress = false;
	subscriber_set_due(subscriber, DUE_STALLED, ns_from_now(settings(subscriber)->stalled_timeout_ms));
}

/* After writing anything but what the hub delivers: no more frames until it is out. */
static void block_if_full(struct subscriber *subscriber)
{
	if (connection_is_drained(subscriber->connection))
		return;
	hub_block(hub_of(subscriber), &subscriber->member);
	set_stalled_due(subscriber);
}

void subscriber_on_drained(struct subscriber *subscriber)
{
	subscriber->due_ns[DUE_STALLED] = 0;
	hub_writable(hub_of(subscriber), &subscriber->member);
	reactor_sweep(subscriber->connection->reactor);
}

/* HTML, 9.2.6: every line of the data has its field name; a CR would end a line too, so it goes (in JSON it can only be
 * blank space between tokens). */
static void add_stream_event(struct buffer *out, const char *type, struct span position, struct span json)
{
	struct span line;
	if (position.n) {
		buffer_add_text(out, "id: ");
		buffer_add(out, position);
		buffer_add_char(out, '\n');
	}
	buffer_add_text(out, "event: ");
	buffer_add_text(out, type);
	while (span_next(&json, '\n', &line)) {
		struct span part;
		buffer_add_text(out, "\ndata: ");
		while (span_next(&line, '\r', &part))
			buffer_add(out, part);
	}
	buffer_add_text(out, "\n\n");
}

void subscriber_send(struct subscriber *subscriber, const char *type, struct span position, struct span json)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	if (subscriber->is_closing)
		return;
	if (subscriber->kind == SUBSCRIBER_WEBSOCKET)
		websocket_add_frame(&bytes, WEBSOCKET_TEXT, json);
	else
		add_stream_event(&bytes, type, position, json);
	if (bytes.failed) {
		link_close(&subscriber->connection->link);
		return;
	}
	connection_send(subscriber->connection, buffer_span(&bytes));
	block_if_full(subscriber);
}

static bool is_behind(const struct batch_entry *entry, const struct batch_entry *before)
{
	return entry->frame.data == before->frame.data + before->frame.n;
}

/* The socket stopped behind n_written bytes. The frame that it stopped in is held and counts as taken; frames that were
 * not begun are left to the cursor. With TLS a write that would block has begun all that it was given (SSL_write(3)).
 */
static size_t take_partial(struct subscriber *subscriber, const struct hub_frames *frames, size_t n_written)
{
	struct connection *connection = subscriber->connection;
	bool is_tls = connection->link.is_tls;
	size_t i = 0;
	for (; i < frames->n && n_written >= frames->entries[i]->frame.n; i++)
		n_written -= frames->entries[i]->frame.n;
	if (n_written == 0 && !is_tls) {
		link_want_writable(&connection->link);
		return i;
	}
	struct span rest = span_skip(frames->entries[i]->frame, n_written);
	for (i++; is_tls && i < frames->n && is_behind(frames->entries[i], frames->entries[i - 1]); i++) {
		if (rest.n >= LINK_MAX_TLS_WRITE)
			break;
		rest.n += frames->entries[i]->frame.n;
	}
	connection_hold(connection, frames->batches[i - 1], rest);
	return i;
}

/* Encodes one piece of what is left; returns how many events it holds. */
static size_t send_stream_piece(struct subscriber *subscriber, const struct hub_frames *frames, size_t from)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	size_t n_taken = 0;
	for (; from + n_taken < frames->n && bytes.n < STREAM_PIECE_BYTES; n_taken++) {
		const struct batch_entry *entry = frames->entries[from + n_taken];
		char position[POSITION_TEXT_SIZE];
		size_t n = subscriber_position(subscriber, entry->sequence, position);
		add_stream_event(&bytes, entry->event->kind == EVENT_OUTCOME ? "outcome" : "event", span_of(position, n),
						 entry->message);
	}
	if (bytes.failed)
		link_close(&subscriber->connection->link);
	else
		connection_send(subscriber->connection, buffer_span(&bytes));
	return n_taken;
}

static size_t deliver_stream(struct subscriber *subscriber, const struct hub_frames *frames)
{
	struct connection *connection = subscriber->connection;
	size_t n_taken = 0;
	while (n_taken < frames->n && !connection->link.is_closing && connection_is_drained(connection))
		n_taken += send_stream_piece(subscriber, frames, n_taken);
	return n_taken;
}

/* Bytes that the socket took, or negative errno. */
static ssize_t write_pieces(struct link *link, const struct hub_frames *frames)
{
	size_t n_written = 0;
	if (!link->is_tls)
		return link_write(link, frames->pieces, frames->n_pieces);
	for (int i = 0; i < frames->n_pieces; i++) {
		struct iovec piece = frames->pieces[i];
		while (piece.iov_len) {
			ssize_t n = link_write(link, &piece, 1);
			if (n <= 0)
				return n < 0 ? n : (ssize_t)n_written;
			n_written += (size_t)n;
			piece.iov_base = (char *)piece.iov_base + n;
			piece.iov_len -= (size_t)n;
		}
	}
	return (ssize_t)n_written;
}

static size_t deliver_frames(struct subscriber *subscriber, const struct hub_frames *frames, ssize_t n_written)
{
	if (n_written < 0) {
		link_close(&subscriber->connection->link);
		return 0;
	}
	return n_written == (ssize_t)frames->n_bytes ? frames->n : take_partial(subscriber, frames, (size_t)n_written);
}

/* Its socket has taken `n_written` bytes already, or failed, if there is a descriptor for it. False if it is full. */
static bool deliver_one(struct subscriber *subscriber, int fd, ssize_t n_written, const struct hub_frames *frames,
						size_t *ret_n_taken)
{
	struct connection *connection = subscriber->connection;
	*ret_n_taken = 0;
	if (connection->link.is_closing || !connection_is_drained(connection))
		return false;
	if (subscriber->kind == SUBSCRIBER_STREAM)
		*ret_n_taken = deliver_stream(subscriber, frames);
	else
		*ret_n_taken =
			deliver_frames(subscriber, frames, fd >= 0 ? n_written : write_pieces(&connection->link, frames));
	bool is_full = *ret_n_taken < frames->n || !connection_is_drained(connection);
	if (is_full)
		set_stalled_due(subscriber);
	return !is_full;
}

size_t subscriber_deliver(const struct interest_slot *slots, size_t n, const struct hub_frames *frames,
						  size_t *ret_n_taken)
{
	for (size_t i = 0; i < n; i++) {
		int fd = slots[i].fd;
		ssize_t n_written = fd >= 0 ? link_write_fd(fd, frames->pieces, frames->n_pieces) : 0;
		if (fd >= 0 && n_written == (ssize_t)frames->n_bytes)
			continue; /* the common case touches nothing else */
		struct subscriber *subscriber = CONTAINER_OF(slots[i].member, struct subscriber, member);
		if (!deliver_one(subscriber, fd, n_written, frames, ret_n_taken))
			return i;
	}
	return n;
}

size_t subscriber_position(const struct subscriber *subscriber, uint64_t sequence,
						   char ret_text[static POSITION_TEXT_SIZE])
{
	struct position position = { .sequence = sequence };
	const char *epoch = store_epoch(subscriber->connection->reactor->gateway->store);
	memcpy(position.epoch, epoch, strnlen(epoch, POSITION_MAX_EPOCH));
	return position_format(&position, ret_text);
}

void subscriber_session(const struct subscriber *subscriber, char ret_text[static SUBSCRIBER_SESSION_SIZE])
{
	(void)snprintf(ret_text, SUBSCRIBER_SESSION_SIZE, "%016llx", (unsigned long long)subscriber->session);
}

void subscriber_gap(void *owner, uint64_t after, uint64_t resumed_at)
{
	struct subscriber *subscriber = owner;
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	char text[POSITION_TEXT_SIZE];
	buffer_add_text(&json, "{\"type\":\"gap\",\"after\":\"");
	buffer_add(&json, span_of(text, subscriber_position(subscriber, after, text)));
	buffer_add_text(&json, "\",\"resumed_at\":\"");
	buffer_add(&json, span_of(text, subscriber_position(subscriber, resumed_at, text)));
	buffer_add_text(&json, "\"}");
	subscriber_send(subscriber, "gap", SPAN(""), buffer_span(&json));
}

void subscriber_fail(void *owner)
{
	subscriber_disconnect(owner, 1011, "the journal cannot be read now", 1000);
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

/* Only the peer's answer to our close, or ours to its, is left. */
static void begin_closing(struct subscriber *subscriber)
{
	subscriber->is_closing = true;
	memset(subscriber->due_ns, 0, sizeof subscriber->due_ns);
	subscriber_set_due(subscriber, DUE_CLOSE, ns_from_now(CLOSE_TIMEOUT_MS));
}

static bool may_reconnect(uint16_t code)
{
	return code == 1001 || (code >= 1011 && code <= 1013) || (code >= 4000 && code <= 4499);
}

void subscriber_disconnect(struct subscriber *subscriber, uint16_t code, const char *reason, int64_t after_ms)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	struct connection *connection = subscriber->connection;
	if (subscriber->is_closing)
		return;
	hub_leave(hub_of(subscriber), &subscriber->member);
	buffer_add_printf(&json, "{\"type\":\"disconnect\",\"code\":%u,\"reason\":", code);
	buffer_add_json(&json, span_text(reason));
	if (may_reconnect(code))
		buffer_add_printf(&json, ",\"reconnect\":true,\"after_ms\":%lld}", (long long)after_ms);
	else
		buffer_add_text(&json, ",\"reconnect\":false}");
	subscriber_send(subscriber, "disconnect", SPAN(""), buffer_span(&json));
	begin_closing(subscriber);
	if (subscriber->kind == SUBSCRIBER_STREAM) {
		connection_end(connection);
		return;
	}
	CLEANUP(buffer_finish) struct buffer frame = BUFFER_INIT;
	websocket_add_close(&frame, code, span_text(reason));
	connection_send(connection, buffer_span(&frame));
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* A token bucket over frames of every kind. */
static bool takes_frame(struct subscriber *subscriber)
{
	uint64_t per_second = settings(subscriber)->max_messages_per_second, now = clock_monotonic_ns();
	uint64_t max = per_second * BURST_SECONDS;
	uint64_t gained = (now - subscriber->allowance_at_ns) / NS_PER_MS * per_second / MS_PER_S;
	if (gained) {
		uint64_t allowance = subscriber->allowance + gained;
		subscriber->allowance = (uint32_t)(allowance < max ? allowance : max);
		subscriber->allowance_at_ns = now;
	}
	if (subscriber->allowance == 0)
		return false;
	subscriber->allowance--;
	return true;
}

static void on_close_frame(struct subscriber *subscriber, uint16_t code)
{
	CLEANUP(buffer_finish) struct buffer answer = BUFFER_INIT;
	if (!subscriber->is_closing) {
		hub_leave(hub_of(subscriber), &subscriber->member);
		begin_closing(subscriber);
		websocket_add_close(&answer, code == 1005 ? 1000 : code, SPAN(""));
		connection_send(subscriber->connection, buffer_span(&answer));
	}
	connection_end(subscriber->connection);
}

static void on_ping_frame(struct subscriber *subscriber, struct span payload)
{
	CLEANUP(buffer_finish) struct buffer answer = BUFFER_INIT;
	websocket_add_frame(&answer, WEBSOCKET_PONG, payload);
	connection_send(subscriber->connection, buffer_span(&answer));
	block_if_full(subscriber);
}

/* What still comes is thrown away unread. */
static void end_flood(struct subscriber *subscriber)
{
	subscriber_disconnect(subscriber, 1008, "too many messages (subscribers.max_messages_per_second)", 0);
	connection_end(subscriber->connection);
}

static void on_frame(struct subscriber *subscriber, const struct websocket_frame *frame)
{
	if (frame->opcode == WEBSOCKET_CLOSE)
		on_close_frame(subscriber, frame->close_code);
	else if (subscriber->is_closing || subscriber->due_ns[DUE_REFUSAL])
		return;
	else if (!takes_frame(subscriber))
		end_flood(subscriber);
	else if (frame->opcode == WEBSOCKET_PING)
		on_ping_frame(subscriber, frame->payload);
	else if (frame->opcode == WEBSOCKET_PONG)
		subscriber->awaits_pong = false;
	else
		session_on_message(subscriber, frame->payload);
}

/* One frame. False if all bytes are used up. */
static bool read_frame(struct subscriber *subscriber, struct span *bytes)
{
	struct websocket_frame frame;
	uint16_t code = 0;
	const char *reason = NULL;
	switch (websocket_read(&subscriber->reader, bytes, &frame, &code, &reason)) {
	case WEBSOCKET_MORE:
		return false;
	case WEBSOCKET_MESSAGE:
		on_frame(subscriber, &frame);
		return true;
	case WEBSOCKET_E_CLOSE:
		subscriber_disconnect(subscriber, code, reason, 0);
		connection_end(subscriber->connection); /* what follows cannot be understood */
		return true;
	case WEBSOCKET_E_NO_MEMORY:
		break;
	}
	link_close(&subscriber->connection->link);
	return true;
}

void subscriber_on_bytes(struct subscriber *subscriber, struct span *bytes)
{
	bool goes_on = subscriber->kind == SUBSCRIBER_WEBSOCKET;
	/* to the end, even without bytes: the reader frees what it put together only then */
	while (goes_on && subscriber->connection->phase == CONNECTION_SUBSCRIBED &&
		   !subscriber->connection->link.is_closing)
		goes_on = read_frame(subscriber, bytes);
	if (subscriber->kind == SUBSCRIBER_STREAM)
		*bytes = span_skip(*bytes, bytes->n); /* nobody has anything to say on a stream */
}

/* --- coming and going ------------------------------------------------------------------------------------------- */

void subscriber_set_grant(struct subscriber *subscriber, struct grant *grant)
{
	grant_unref(subscriber->grant);
	subscriber->grant = grant;
	subscriber->due_ns[DUE_AUTH] = 0;
	uint64_t expiry = 0;
	if (grant->expires_ms != INT64_MAX) /* the grace is one ping interval: time to renew it */
		expiry = ns_from_now(grant->expires_ms - clock_wall_ms() + settings(subscriber)->ping_ms);
	subscriber_set_due(subscriber, DUE_EXPIRY, expiry);
}

struct subscriber *subscriber_create(struct exchange *exchange, enum subscriber_kind kind, struct grant *grant,
									 struct message *from_url)
{
	struct connection *connection = exchange->connection;
	struct subscriber *subscriber = calloc(1, sizeof *subscriber);
	if (!subscriber) {
		grant_unref(grant);
		session_free_url(from_url);
		link_close(&connection->link);
		return NULL;
	}
	connection_subscribe(connection, subscriber);
	connection->reactor->n_subscribers++;
	series_note_subscribers(connection->reactor);
	subscriber->kind = kind;
	subscriber->connection = connection;
	subscriber->since_ms = clock_wall_ms();
	if (digest_random(&subscriber->session, sizeof subscriber->session) < 0)
		subscriber->session = clock_monotonic_ns(); /* a name is all that it is */
	subscriber->member.owner = subscriber;
	subscriber->member.fd = kind == SUBSCRIBER_WEBSOCKET && !connection->link.is_tls ? connection->link.fd : -1;
	websocket_reader_init(&subscriber->reader, settings(subscriber)->max_message_bytes);
	subscriber->allowance = (uint32_t)settings(subscriber)->max_messages_per_second * BURST_SECONDS;
	subscriber->allowance_at_ns = clock_monotonic_ns();
	subscriber->from_url = from_url;
	subscriber->due_ns[DUE_PING] = ns_from_now(settings(subscriber)->ping_ms);
	if (kind == SUBSCRIBER_WEBSOCKET)
		connection->reactor->counters.websockets_came++;
	else
		connection->reactor->counters.streams_came++;
	if (grant)
		subscriber_set_grant(subscriber, grant);
	else
		subscriber_set_due(subscriber, DUE_AUTH, ns_from_now(settings(subscriber)->auth_timeout_ms));
	return subscriber;
}

void subscriber_destroy(struct subscriber *subscriber)
{
	if (!subscriber)
		return;
	subscriber->connection->reactor->n_subscribers--;
	series_note_subscribers(subscriber->connection->reactor);
	hub_leave(hub_of(subscriber), &subscriber->member);
	websocket_reader_finish(&subscriber->reader);
	grant_unref(subscriber->grant);
	session_free_url(subscriber->from_url);
	for (size_t i = 0; i < subscriber->n_subscriptions; i++) {
		free(subscriber->subscriptions[i].id);
		filter_finish(&subscriber->subscriptions[i].filter);
	}
	free(subscriber->subscriptions);
	free(subscriber);
}
