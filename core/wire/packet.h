/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon and a handler's process say to each other, over a socketpair.
 *
 *     4 bytes   length of the head, big endian
 *     4 bytes   length of the payload
 *     head      a JSON object: {"type":"deliver","key":"...", ...}
 *     payload   bytes as they are: a callback's body, a value of the handler's state
 *
 * Whoever runs a plugin's code may say anything, so reading is strict: a type that the other side does not say, a key
 * that the type does not have or lacks, a value of another type, a text with a NUL, a number below zero, a payload
 * where none belongs or beyond the bound is refused, and the stream is over. packet.c has the table of types and keys;
 * what passed it can be used without further questions.
 */
#ifndef WIRE_PACKET_H
#define WIRE_PACKET_H

#include "base/buffer.h"
#include "wire/document.h"

#define PACKET_MAX_HEAD_BYTES (256 * 1024)
/* Payloads, by who reads them. */
#define PACKET_MAX_TO_HANDLER_BYTES (16 * 1024 * 1024)
#define PACKET_MAX_TO_DAEMON_BYTES (1024 * 1024)

enum packet_type {
	/* the daemon says */
	PACKET_CONFIGURE, /* first, and once */
	PACKET_DELIVER,
	PACKET_REPLY, /* to the one open ASK */
	PACKET_STOP,
	/* the handler says */
	PACKET_READY, /* or REFUSED, to CONFIGURE */
	PACKET_REFUSED,
	PACKET_OUTCOME, /* to DELIVER */
	PACKET_LOG,     /* at any time */
	PACKET_ASK,     /* within a delivery */
};

enum packet_side { PACKET_DAEMON, PACKET_HANDLER };

/* Values of "outcome", "level" and "what", as packet_word() gives them. */
enum packet_outcome { PACKET_DONE, PACKET_RETRY, PACKET_REJECT };
enum packet_level { PACKET_ERROR, PACKET_WARNING, PACKET_INFO, PACKET_DEBUG };
enum packet_question {
	PACKET_GET_STATE,
	PACKET_SET_STATE,
	PACKET_DELETE_STATE,
	PACKET_LATEST,
	PACKET_CALLBACK_URI,
};

/* Valid until the next call of packet_read() or packet_reader_finish(). */
struct packet {
	enum packet_type type;
	const json_t *head;
	struct span payload; /* a NUL stands behind it */
};

/* The value of a key. Asking for one that the type does not have, or as another type, is a bug, and asserted. */
/* Terminated; data is NULL if an optional key is absent. */
struct span packet_text(const struct packet *packet, const char *key);
int64_t packet_number(const struct packet *packet, const char *key, int64_t if_absent);
bool packet_flag(const struct packet *packet, const char *key); /* false if absent */
int packet_word(const struct packet *packet, const char *key);
json_t *packet_value(const struct packet *packet, const char *key); /* NULL if absent */

/* Reading. One for each process. */
struct packet_reader {
	enum packet_side from; /* who is listened to */
	struct buffer pieces;  /* of the packet that is being put together, or was given last */
	struct document head;
	bool is_given; /* a whole one was returned, and goes with the next call */
	bool is_over;  /* the peer broke the protocol */
};

void packet_reader_init(struct packet_reader *reader, enum packet_side from);
/* Wipes: there are secrets in a configuration. */
void packet_reader_finish(struct packet_reader *reader);
static inline void packet_reader_finish_cleanup(struct packet_reader *reader)
{
	packet_reader_finish(reader);
}

enum packet_result {
	PACKET_WHOLE,       /* in *ret_packet */
	PACKET_MORE,        /* all bytes are used up */
	PACKET_E_MALFORMED, /* *ret_reason says what is wrong; so will every later call */
};

/* Consumes from *bytes; to be called until it does not say WHOLE. One of the results, or -ENOMEM: the stream is then
 * over as well. */
int packet_read(struct packet_reader *reader, struct span *bytes, struct packet *ret_packet,
				const char **ret_reason) MUST_USE;

/* Appends a packet. The head is a JSON object by the table. A head or payload that is too large marks the buffer as
 * failed. */
void packet_add(struct buffer *b, struct span head, struct span payload);

#endif
