/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One subscriber: belfry.v1 over a WebSocket or an event stream.
 *
 * subscriber.c is its life: coming, deadlines, writing, closing. session.c is what it says and what it is answered.
 * Both speak in messages; how a message becomes bytes (a frame, or lines of an event stream) is decided in one place,
 * subscriber_send().
 */
#ifndef NET_SUBSCRIBER_H
#define NET_SUBSCRIBER_H

#include "net/connection.h"
#include "wire/message.h"
#include "wire/websocket.h"

enum subscriber_kind { SUBSCRIBER_WEBSOCKET, SUBSCRIBER_STREAM, SUBSCRIBER_KINDS };

/* What may become due, in nanoseconds of the monotonic clock; 0: not. */
enum subscriber_due {
	DUE_AUTH,    /* no valid token yet */
	DUE_REFUSAL, /* of a token; until then nothing is read */
	DUE_EXPIRY,  /* the token, and the grace behind it */
	DUE_PING,
	DUE_STALLED, /* while bytes wait to go out */
	DUE_CLOSE,   /* the peer's answer to our close */
	N_DUES,
};

struct subscriber {
	enum subscriber_kind kind;
	bool is_closing;  /* our close is said; nothing else is */
	bool has_started; /* the first subscribe was there */
	bool awaits_pong;
	uint8_t n_mistakes; /* messages that were malformed */
	uint32_t allowance; /* frames that may come now, see max_messages_per_second */
	uint64_t allowance_at_ns;
	uint64_t session; /* its name: a random number */
	int64_t since_ms; /* wall clock */
	struct connection *connection;
	struct member member;
	struct websocket_reader reader;
	struct grant *grant; /* NULL before auth */
	struct message_filter *subscriptions;
	size_t n_subscriptions;
	struct message *from_url; /* what the URL asked for, until there is a grant */
	uint64_t due_ns[N_DUES];
};

/* Makes the exchange's connection a subscriber's; the head of the answer must have been sent. Takes the grant (may be
 * NULL) and the message (may be NULL) over. NULL without memory: then the connection is closed. */
struct subscriber *subscriber_create(struct exchange *exchange, enum subscriber_kind kind, struct grant *grant,
									 struct message *from_url);
/* NULL is fine. */
void subscriber_destroy(struct subscriber *subscriber);

void subscriber_on_bytes(struct subscriber *subscriber, struct span *bytes);
void subscriber_on_drained(struct subscriber *subscriber);
void subscriber_on_deadline(struct subscriber *subscriber);
/* hub_options::deliver, gap and fail. */
size_t subscriber_deliver(const struct interest_slot *slots, size_t n, const struct hub_frames *frames,
						  size_t *ret_n_taken);
void subscriber_gap(void *subscriber, uint64_t after, uint64_t resumed_at);
void subscriber_fail(void *subscriber);

/* Sends a message. For the event stream: type is the event's, and the position (may be empty) is where to resume. */
void subscriber_send(struct subscriber *subscriber, const char *type, struct span position, struct span json);
/* "0f1e2d3c4b5a6978" */
#define SUBSCRIBER_SESSION_SIZE 17
void subscriber_session(const struct subscriber *subscriber, char ret_text[static SUBSCRIBER_SESSION_SIZE]);
void subscriber_set_due(struct subscriber *subscriber, enum subscriber_due due, uint64_t ns);
/* Takes the grant over; its expiry becomes due. */
void subscriber_set_grant(struct subscriber *subscriber, struct grant *grant);
/* "k3x9t2ma-42" of this subscriber or of a given sequence. */
size_t subscriber_position(const struct subscriber *subscriber, uint64_t sequence,
						   char ret_text[static POSITION_TEXT_SIZE]);

/* The last message, with advice, then the close. Whether to reconnect follows from the code. after_ms: when (a random
 * moment within it would be the caller's work). reason: ASCII, at most 120 bytes. */
void subscriber_disconnect(struct subscriber *subscriber, uint16_t code, const char *reason, int64_t after_ms);

#endif
