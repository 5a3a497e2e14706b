/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket (RFC 6455), the server's side, without extensions: the handshake's accept value, frames out, frames in.
 *
 * Frames to subscribers are encoded once for all of them, so writing one is putting a header in front of bytes. Reading
 * is a state machine that takes slices of any size, unmasks in place and holds nothing but the message that is
 * being put together (bounded).
 */
#ifndef WIRE_WEBSOCKET_H
#define WIRE_WEBSOCKET_H

#include "base/buffer.h"
#include "wire/http.h"

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* Most bytes in front of a payload that the server sends. */
#define WEBSOCKET_MAX_HEADER_BYTES 10
/* Writes the header of an unmasked, final frame and returns its length. */
size_t websocket_put_header(uint8_t ret_header[static WEBSOCKET_MAX_HEADER_BYTES], enum websocket_opcode opcode,
							uint64_t payload_bytes);
void websocket_add_frame(struct buffer *b, enum websocket_opcode opcode, struct span payload);
/* Close frame with code and reason (at most 123 bytes of it, cut between characters). Codes that may not stand in a
 * frame, such as 1005, give one without payload. */
void websocket_add_close(struct buffer *b, uint16_t code, struct span reason);

/* Whether the request asks for an upgrade at all (then it is a handshake or an error, never a plain request): an
 * Upgrade field, or Connection with the token "upgrade". */
bool websocket_is_upgrade(const struct http_request *request);
/* Checks the handshake (RFC 6455 4.2.1): GET without body, HTTP/1.1, Upgrade exactly "websocket", Connection with the
 * token "upgrade", version 13, one key that decodes to 16 bytes. On HTTP_OK ret_accept is the Sec-WebSocket-Accept
 * value. A wrong version is status 426 (the caller adds Sec-WebSocket-Version: 13); 503 without memory. */
#define WEBSOCKET_ACCEPT_SIZE 29
enum http_outcome websocket_check_handshake(const struct http_request *request,
											char ret_accept[static WEBSOCKET_ACCEPT_SIZE],
											struct http_problem *ret_problem);

/* Reading. One for each connection, idle or not: so it is small, and holds memory only while a message is in pieces. */
struct websocket_reader {
	size_t max_message_bytes;
	struct buffer pieces; /* of the message so far; behind it those of a control frame in the middle of it */
	size_t n_message;     /* bytes of `pieces` that are the message's */
	uint64_t left;        /* payload bytes of the current frame that are still to come */
	uint8_t mask[4];      /* turned so that mask[0] is for the next payload byte */
	uint8_t state;        /* what the next byte is */
	uint8_t n_wanted;     /* bytes of the length or the mask that are still to come */
	uint8_t opcode;
	uint8_t utf8; /* state of the text so far, so that bad bytes are refused at once (RFC 6455 8.1) */
	bool is_final, is_in_message;
};

void websocket_reader_init(struct websocket_reader *reader, size_t max_message_bytes);
void websocket_reader_finish(struct websocket_reader *reader);

enum websocket_outcome {
	WEBSOCKET_MORE,    /* all bytes are used up */
	WEBSOCKET_MESSAGE, /* a whole text message, a ping, a pong or a close: in *ret_frame */
	WEBSOCKET_E_CLOSE, /* the peer broke the protocol: close with *ret_code and *ret_reason */
	WEBSOCKET_E_NO_MEMORY,
};

struct websocket_frame {
	enum websocket_opcode opcode; /* TEXT, PING, PONG, CLOSE */
	struct span payload;          /* unmasked, CLOSE: the reason; valid until the next call */
	uint16_t close_code;          /* CLOSE: as sent, 1005 if there was none */
};

/*
 * Consumes from *bytes (whose bytes are changed: unmasked in place). To be called until it says MORE: that gives memory
 * back. A message that lies in *bytes as a whole is not copied. Behind a close and behind an error all bytes are
 * dropped. Refused, with the code that RFC 6455 names: 1002 unmasked frame, reserved bits or opcodes, fragmented or
 * long control frame, stray continuation, a length not in its shortest form, close codes that may not be sent; 1003
 * binary; 1007 bad UTF-8; 1009 a message over the bound, at the claim.
 */
enum websocket_outcome websocket_read(struct websocket_reader *reader, struct span *bytes,
									  struct websocket_frame *ret_frame, uint16_t *ret_code, const char **ret_reason);

#endif
