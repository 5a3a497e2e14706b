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
/* Close frame with code and reason (at most 123 bytes of it). */
void websocket_add_close(struct buffer *b, uint16_t code, struct span reason);

/* Whether the request asks for an upgrade at all (then it is a handshake or an error, never a plain request). */
bool websocket_is_upgrade(const struct http_request *request);
/* Checks the handshake (RFC 6455 4.2.1): GET, HTTP/1.1, Upgrade exactly "websocket", Connection with the token
 * "upgrade", version 13, one key that decodes to 16 bytes. On HTTP_OK ret_accept is the Sec-WebSocket-Accept value.
 * A wrong version is status 426 (the caller adds Sec-WebSocket-Version: 13). */
#define WEBSOCKET_ACCEPT_SIZE 29
enum http_outcome websocket_check_handshake(const struct http_request *request,
                                            char ret_accept[static WEBSOCKET_ACCEPT_SIZE],
                                            struct http_problem *ret_problem);

/* Reading. One for each connection; 0-initialized apart from the bound. */
struct websocket_reader {
	size_t max_message_bytes;
	struct buffer message; /* of the fragments so far; empty while nothing is in progress */
	uint64_t left;         /* payload bytes of the current frame that are still to come */
	uint8_t header[14], n_header, n_header_wanted;
	uint8_t control[125], n_control;
	uint8_t mask[4];
	uint8_t mask_offset;
	uint8_t opcode, message_opcode;
	bool is_final, is_in_message, has_header;
	uint32_t utf8_state;   /* of the text checked so far, so that bad bytes are refused at once (RFC 6455 8.1) */
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
	struct span payload;          /* unmasked; valid until the next call */
	uint16_t close_code;          /* CLOSE: as sent, 1005 if there was none */
};

/*
 * Consumes from *bytes (whose bytes are changed: unmasked in place). Refused, with the code that RFC 6455 names:
 * 1002 unmasked frame, reserved bits or opcodes, fragmented or long control frame, stray continuation, a length not in its
 * shortest form, close codes that may not be sent; 1003 binary; 1007 bad UTF-8; 1009 a message over the bound, at the claim.
 */
enum websocket_outcome websocket_read(struct websocket_reader *reader, struct span *bytes,
                                      struct websocket_frame *ret_frame, uint16_t *ret_code, const char **ret_reason);

#endif
