/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames are read byte by byte up to the payload, each byte by the function of the state that it meets, and judged at
 * once: so slices do not matter, and a claim of 2^40 bytes is refused before the mask that follows it. Payload goes by
 * the run: unmasked in place, checked, and kept only if the message is not complete with it.
 */
#include "wire/websocket.h"

#include "wire/digest.h"

#define MAX_CONTROL_BYTES 125
#define MAX_REASON_BYTES (MAX_CONTROL_BYTES - 2)
#define NO_CLOSE_CODE 1005
#define MASK_BYTES 4

/* ---- frames out ---- */

size_t websocket_put_header(uint8_t ret_header[static WEBSOCKET_MAX_HEADER_BYTES], enum websocket_opcode opcode,
							uint64_t payload_bytes)
{
	size_t n_length = payload_bytes <= 125 ? 0 : payload_bytes <= 0xffff ? 2 : 8;
	ret_header[0] = (uint8_t)(0x80 | opcode);
	ret_header[1] = n_length == 0 ? (uint8_t)payload_bytes : n_length == 2 ? 126 : 127;
	for (size_t i = 0; i < n_length; i++)
		ret_header[2 + i] = (uint8_t)(payload_bytes >> 8 * (n_length - 1 - i));
	return 2 + n_length;
}

void websocket_add_frame(struct buffer *b, enum websocket_opcode opcode, struct span payload)
{
	uint8_t header[WEBSOCKET_MAX_HEADER_BYTES];
	buffer_add(b, span_of(header, websocket_put_header(header, opcode, payload.n)));
	buffer_add(b, payload);
}

/* May stand in a close frame: RFC 6455 7.4 and the registry that it founded. */
static bool is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

void websocket_add_close(struct buffer *b, uint16_t code, struct span reason)
{
	if (!is_close_code(code)) {
		websocket_add_frame(b, WEBSOCKET_CLOSE, span_of(NULL, 0));
		return;
	}
	if (reason.n > MAX_REASON_BYTES) {
		reason.n = MAX_REASON_BYTES;
		while (reason.n && ((uint8_t)reason.data[reason.n] & 0xc0) == 0x80)
			reason.n--;
	}
	char payload[MAX_CONTROL_BYTES] = { (char)(code >> 8), (char)(code & 0xff) };
	if (reason.n)
		memcpy(payload + 2, reason.data, reason.n);
	websocket_add_frame(b, WEBSOCKET_CLOSE, span_of(payload, 2 + reason.n));
}

/* ---- the handshake ---- */

static bool connection_has_upgrade(const struct http_request *request)
{
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	return http_list_has(http_field_list(request, "Connection", &joined), SPAN("upgrade"));
}

bool websocket_is_upgrade(const struct http_request *request)
{
	return http_field_count(request, "Upgrade") > 0 || connection_has_upgrade(request);
}

static bool stands_once(const struct http_request *request, const char *name, struct span value)
{
	return http_field_count(request, name) == 1 && span_equal_ignoring_case(http_field(request, name), value);
}

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* 16 bytes in base64: 22 characters, of which the last has four bits that must be zero, and "==". */
static bool is_key(struct span key)
{
	if (key.n != 24 || !span_equal(span_skip(key, 22), SPAN("==")))
		return false;
	for (size_t i = 0; i < 22; i++)
		if (!is_base64(key.data[i]))
			return false;
	return memchr("AQgw", key.data[21], 4);
}

/* What is wrong with the handshake; status 0 if nothing is. */
static struct http_problem check_handshake(const struct http_request *request)
{
	if (!stands_once(request, "Upgrade", SPAN("websocket")))
		return (struct http_problem){ 400, "Upgrade is not websocket" };
	if (!span_equal(request->method, SPAN("GET")) || request->minor != 1)
		return (struct http_problem){ 400, "an upgrade needs GET and HTTP/1.1" };
	if (request->body != HTTP_BODY_NONE)
		return (struct http_problem){ 400, "an upgrade has no body" };
	if (!connection_has_upgrade(request))
		return (struct http_problem){ 400, "Connection is not upgrade" };
	if (!stands_once(request, "Sec-WebSocket-Version", SPAN("13")))
		return (struct http_problem){ 426, "Sec-WebSocket-Version is not 13" };
	if (http_field_count(request, "Sec-WebSocket-Key") != 1 || !is_key(http_field(request, "Sec-WebSocket-Key")))
		return (struct http_problem){ 400, "Sec-WebSocket-Key is malformed" };
	return (struct http_problem){ 0 };
}

static bool make_accept(struct span key, char ret_accept[static WEBSOCKET_ACCEPT_SIZE])
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	uint8_t digest[20];
	buffer_add(&text, key);
	buffer_add_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455 1.3 */
	if (text.failed || digest_sha1(buffer_span(&text), digest) < 0)
		return false;
	buffer_finish(&text);
	base64_add(&text, digest, sizeof digest);
	if (text.n != WEBSOCKET_ACCEPT_SIZE - 1)
		return false;
	memcpy(ret_accept, text.data, text.n);
	ret_accept[text.n] = '\0';
	return true;
}

enum http_outcome websocket_check_handshake(const struct http_request *request,
											char ret_accept[static WEBSOCKET_ACCEPT_SIZE],
											struct http_problem *ret_problem)
{
	struct http_problem problem = check_handshake(request);
	if (problem.status == 0 && !make_accept(http_field(request, "Sec-WebSocket-Key"), ret_accept))
		problem = (struct http_problem){ 503, "out of memory" };
	if (problem.status == 0)
		return HTTP_OK;
	*ret_problem = problem;
	return HTTP_E_BAD;
}

/* ---- UTF-8, a slice at a time ---- */

/* What the next byte may be. Behind some first bytes the second one has a narrower range: that keeps out overlong
 * forms, surrogates and what lies beyond U+10FFFF. */
enum {
	UTF8_START,
	UTF8_1_MORE,
	UTF8_2_MORE,
	UTF8_3_MORE,
	UTF8_AFTER_E0,
	UTF8_AFTER_ED,
	UTF8_AFTER_F0,
	UTF8_AFTER_F4,
	UTF8_BAD
};

static uint8_t utf8_open(uint8_t c)
{
	if (c < 0x80)
		return UTF8_START;
	if (c < 0xc2 || c > 0xf4)
		return UTF8_BAD;
	if (c < 0xe0)
		return UTF8_1_MORE;
	if (c < 0xf0)
		return c == 0xe0 ? UTF8_AFTER_E0 : c == 0xed ? UTF8_AFTER_ED : UTF8_2_MORE;
	return c == 0xf0 ? UTF8_AFTER_F0 : c == 0xf4 ? UTF8_AFTER_F4 : UTF8_3_MORE;
}

static uint8_t utf8_step(uint8_t state, uint8_t c)
{
	static const struct {
		uint8_t least, most, next;
	} ranges[] = {
		[UTF8_1_MORE] = { 0x80, 0xbf, UTF8_START },    [UTF8_2_MORE] = { 0x80, 0xbf, UTF8_1_MORE },
		[UTF8_3_MORE] = { 0x80, 0xbf, UTF8_2_MORE },   [UTF8_AFTER_E0] = { 0xa0, 0xbf, UTF8_1_MORE },
		[UTF8_AFTER_ED] = { 0x80, 0x9f, UTF8_1_MORE }, [UTF8_AFTER_F0] = { 0x90, 0xbf, UTF8_2_MORE },
		[UTF8_AFTER_F4] = { 0x80, 0x8f, UTF8_2_MORE },
	};
	if (state == UTF8_START)
		return utf8_open(c);
	return c >= ranges[state].least && c <= ranges[state].most ? ranges[state].next : UTF8_BAD;
}

static bool utf8_check(uint8_t *state, struct span text)
{
	const uint64_t high_bits = 0x8080808080808080;
	size_t i = 0;
	while (i < text.n) {
		uint64_t word;
		if (*state == UTF8_START && text.n - i >= sizeof word) {
			memcpy(&word, text.data + i, sizeof word);
			if (!(word & high_bits)) {
				i += sizeof word;
				continue;
			}
		}
		*state = utf8_step(*state, (uint8_t)text.data[i++]);
		if (*state == UTF8_BAD)
			return false;
	}
	return true;
}

/* ---- frames in ---- */

/* What a step says: go on, there is a frame to return, or why the connection ends. */
enum verdict {
	GO_ON,
	RETURN_FRAME,
	NO_MEMORY,
	RESERVED_BITS,
	RESERVED_OPCODE,
	BINARY,
	FRAGMENTED_CONTROL,
	LONG_CONTROL,
	STRAY_CONTINUATION,
	UNFINISHED_MESSAGE,
	UNMASKED,
	LONG_FORM,
	TOO_BIG,
	NOT_UTF8,
	CLOSE_PAYLOAD,
	CLOSE_CODE,
};

static const struct {
	uint16_t code;
	const char *reason;
} refusals[] = {
	[RESERVED_BITS] = { 1002, "reserved bits are set" },
	[RESERVED_OPCODE] = { 1002, "opcode is reserved" },
	[BINARY] = { 1003, "only text is understood" },
	[FRAGMENTED_CONTROL] = { 1002, "control frame is fragmented" },
	[LONG_CONTROL] = { 1002, "control frame is too long" },
	[STRAY_CONTINUATION] = { 1002, "continuation of nothing" },
	[UNFINISHED_MESSAGE] = { 1002, "message inside of a message" },
	[UNMASKED] = { 1002, "frame is not masked" },
	[LONG_FORM] = { 1002, "length is not in its shortest form" },
	[TOO_BIG] = { 1009, "message is too big" },
	[NOT_UTF8] = { 1007, "text is not UTF-8" },
	[CLOSE_PAYLOAD] = { 1002, "close frame is malformed" },
	[CLOSE_CODE] = { 1002, "close code is not valid" },
};

/* What the next byte is. */
enum { AT_OPCODE, AT_LENGTH, AT_LENGTH_16, AT_LENGTH_64, AT_MASK, AT_PAYLOAD, AT_END };

void websocket_reader_init(struct websocket_reader *reader, size_t max_message_bytes)
{
	*reader = (struct websocket_reader){ .max_message_bytes = max_message_bytes };
}

void websocket_reader_finish(struct websocket_reader *reader)
{
	buffer_finish(&reader->pieces);
}

static bool is_control(unsigned opcode)
{
	return opcode & 8;
}

static enum verdict check_opcode(const struct websocket_reader *reader, unsigned opcode, bool is_final)
{
	switch (opcode) {
	case WEBSOCKET_CONTINUATION:
		return reader->is_in_message ? GO_ON : STRAY_CONTINUATION;
	case WEBSOCKET_TEXT:
		return reader->is_in_message ? UNFINISHED_MESSAGE : GO_ON;
	case WEBSOCKET_BINARY:
		return BINARY;
	case WEBSOCKET_CLOSE:
	case WEBSOCKET_PING:
	case WEBSOCKET_PONG:
		return is_final ? GO_ON : FRAGMENTED_CONTROL;
	default:
		return RESERVED_OPCODE;
	}
}

static enum verdict at_opcode(struct websocket_reader *reader, uint8_t c)
{
	if (c & 0x70)
		return RESERVED_BITS;
	reader->opcode = c & 0x0f;
	reader->is_final = c & 0x80;
	reader->state = AT_LENGTH;
	return check_opcode(reader, reader->opcode, reader->is_final);
}

/* Once the length is known. */
static enum verdict check_claim(struct websocket_reader *reader)
{
	if (!is_control(reader->opcode) && reader->left > reader->max_message_bytes - reader->n_message)
		return TOO_BIG;
	reader->state = AT_MASK;
	reader->n_wanted = MASK_BYTES;
	return GO_ON;
}

static enum verdict at_length(struct websocket_reader *reader, uint8_t c)
{
	uint8_t length = c & 0x7f;
	if (!(c & 0x80))
		return UNMASKED;
	if (is_control(reader->opcode) && length > MAX_CONTROL_BYTES)
		return LONG_CONTROL;
	reader->left = 0;
	reader->state = length == 126 ? AT_LENGTH_16 : AT_LENGTH_64;
	reader->n_wanted = length == 126 ? 2 : 8;
	if (length >= 126)
		return GO_ON;
	reader->left = length;
	return check_claim(reader);
}

static enum verdict more_length(struct websocket_reader *reader, uint8_t c, uint64_t least)
{
	reader->left = reader->left << 8 | c;
	if (--reader->n_wanted)
		return GO_ON;
	return reader->left < least ? LONG_FORM : check_claim(reader);
}

static enum verdict at_length_16(struct websocket_reader *reader, uint8_t c)
{
	return more_length(reader, c, 126);
}

static enum verdict at_length_64(struct websocket_reader *reader, uint8_t c)
{
	if (reader->n_wanted == 8 && c & 0x80) /* RFC 6455 5.2: the most significant bit is 0 */
		return LONG_FORM;
	return more_length(reader, c, 0x10000);
}

static enum verdict at_mask(struct websocket_reader *reader, uint8_t c)
{
	reader->mask[MASK_BYTES - reader->n_wanted] = c;
	if (--reader->n_wanted == 0)
		reader->state = AT_PAYLOAD;
	return GO_ON;
}

static enum verdict (*const header_states[])(struct websocket_reader *reader, uint8_t c) = {
	[AT_OPCODE] = at_opcode,       [AT_LENGTH] = at_length, [AT_LENGTH_16] = at_length_16,
	[AT_LENGTH_64] = at_length_64, [AT_MASK] = at_mask,
};

static void unmask(char *data, size_t n, uint8_t mask[static MASK_BYTES])
{
	uint8_t turned[MASK_BYTES];
	uint32_t word, word_mask;
	size_t i = 0;
	memcpy(&word_mask, mask, sizeof word_mask);
	for (; n - i >= sizeof word; i += sizeof word) {
		memcpy(&word, data + i, sizeof word);
		word ^= word_mask;
		memcpy(data + i, &word, sizeof word);
	}
	for (size_t k = 0; k < MASK_BYTES; k++)
		turned[k] = mask[(n + k) % MASK_BYTES];
	for (; i < n; i++)
		data[i] = (char)((uint8_t)data[i] ^ mask[i % MASK_BYTES]);
	memcpy(mask, turned, sizeof turned);
}

/* Takes the payload that is at hand, unmasked. */
static struct span take_payload(struct websocket_reader *reader, struct span *bytes)
{
	struct span piece = span_of(bytes->data, reader->left < bytes->n ? (size_t)reader->left : bytes->n);
	/* a span promises not to write, but the caller of websocket_read() agreed to it */
	unmask((char *)(uintptr_t)piece.data, piece.n, reader->mask);
	*bytes = span_skip(*bytes, piece.n);
	reader->left -= piece.n;
	return piece;
}

/* Where in `pieces` the unit begins that the current frame belongs to: a message, or a control frame. */
static size_t unit_start(const struct websocket_reader *reader)
{
	return is_control(reader->opcode) ? reader->n_message : 0;
}

/* Keeps the piece, unless it makes its unit whole alone. *ret_unit is set if the unit is whole. */
static enum verdict join(struct websocket_reader *reader, struct span piece, struct span *ret_unit)
{
	size_t start = unit_start(reader);
	bool is_whole = reader->is_final && reader->left == 0;
	if (is_whole && reader->pieces.n == start) {
		*ret_unit = piece;
		return RETURN_FRAME;
	}
	buffer_add(&reader->pieces, piece);
	if (reader->pieces.failed)
		return NO_MEMORY;
	if (!is_control(reader->opcode))
		reader->n_message = reader->pieces.n;
	if (!is_whole)
		return GO_ON;
	*ret_unit = span_skip(buffer_span(&reader->pieces), start);
	return RETURN_FRAME;
}

static enum verdict end_text(struct websocket_reader *reader, struct span text, struct websocket_frame *ret_frame)
{
	if (reader->utf8 != UTF8_START)
		return NOT_UTF8;
	reader->is_in_message = false;
	reader->n_message = 0;
	*ret_frame = (struct websocket_frame){ WEBSOCKET_TEXT, text, 0 };
	return RETURN_FRAME;
}

static enum verdict end_close(struct websocket_reader *reader, struct span payload, struct websocket_frame *ret_frame)
{
	reader->state = AT_END;
	if (payload.n == 0) {
		*ret_frame = (struct websocket_frame){ WEBSOCKET_CLOSE, payload, NO_CLOSE_CODE };
		return RETURN_FRAME;
	}
	if (payload.n == 1)
		return CLOSE_PAYLOAD;
	unsigned code = (unsigned)(uint8_t)payload.data[0] << 8 | (uint8_t)payload.data[1];
	struct span reason = span_skip(payload, 2);
	if (!is_close_code(code))
		return CLOSE_CODE;
	if (!span_is_utf8(reason))
		return NOT_UTF8;
	*ret_frame = (struct websocket_frame){ WEBSOCKET_CLOSE, reason, (uint16_t)code };
	return RETURN_FRAME;
}

static enum verdict end_unit(struct websocket_reader *reader, struct span unit, struct websocket_frame *ret_frame)
{
	if (!is_control(reader->opcode))
		return end_text(reader, unit, ret_frame);
	if (reader->opcode == WEBSOCKET_CLOSE)
		return end_close(reader, unit, ret_frame);
	*ret_frame = (struct websocket_frame){ reader->opcode, unit, 0 };
	return RETURN_FRAME;
}

static enum verdict read_payload(struct websocket_reader *reader, struct span *bytes, struct websocket_frame *ret_frame)
{
	struct span piece = take_payload(reader, bytes), unit;
	if (!is_control(reader->opcode) && !utf8_check(&reader->utf8, piece))
		return NOT_UTF8;
	enum verdict verdict = join(reader, piece, &unit);
	if (verdict == NO_MEMORY || reader->left)
		return verdict;
	reader->state = AT_OPCODE;
	if (verdict == RETURN_FRAME)
		return end_unit(reader, unit, ret_frame);
	reader->is_in_message = true; /* the frame is over, its message is not */
	return GO_ON;
}

static enum verdict read_header(struct websocket_reader *reader, struct span *bytes)
{
	uint8_t c = (uint8_t)bytes->data[0];
	*bytes = span_skip(*bytes, 1);
	return header_states[reader->state](reader, c);
}

/* Gives up what the last call returned, and the memory if nothing is in progress. */
static void forget_returned(struct websocket_reader *reader)
{
	if (reader->state == AT_END)
		reader->n_message = 0;
	if (reader->state == AT_OPCODE || reader->state == AT_END)
		reader->pieces.n = reader->n_message;
	if (reader->pieces.n == 0)
		buffer_finish(&reader->pieces);
}

/* A payload of no bytes needs none to go on. */
static bool can_go_on(const struct websocket_reader *reader, const struct span *bytes)
{
	return reader->state != AT_END && (bytes->n || (reader->state == AT_PAYLOAD && reader->left == 0));
}

enum websocket_outcome websocket_read(struct websocket_reader *reader, struct span *bytes,
									  struct websocket_frame *ret_frame, uint16_t *ret_code, const char **ret_reason)
{
	enum verdict verdict = GO_ON;
	forget_returned(reader);
	while (verdict == GO_ON && can_go_on(reader, bytes))
		verdict = reader->state == AT_PAYLOAD ? read_payload(reader, bytes, ret_frame) : read_header(reader, bytes);
	if (verdict == RETURN_FRAME)
		return WEBSOCKET_MESSAGE;
	if (verdict == GO_ON) {
		*bytes = span_of(bytes->data, 0); /* left over only behind the end */
		return WEBSOCKET_MORE;
	}
	reader->state = AT_END;
	forget_returned(reader);
	if (verdict == NO_MEMORY)
		return WEBSOCKET_E_NO_MEMORY;
	*ret_code = refusals[verdict].code;
	*ret_reason = refusals[verdict].reason;
	return WEBSOCKET_E_CLOSE;
}
