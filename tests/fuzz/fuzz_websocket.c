/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handshake, maybe, and frames. Whatever the bytes: slices and the whole give the same, text is UTF-8 and within the
 * bound, nothing comes out behind the end, and no memory is held while nothing is in progress.
 */
#include "fuzz.h"
#include "wire/websocket.h"

#define MAX_MESSAGE_BYTES 300

static void check_frame(const struct websocket_frame *frame)
{
	if (frame->opcode == WEBSOCKET_TEXT) {
		FUZZ_ASSERT(frame->payload.n <= MAX_MESSAGE_BYTES && span_is_utf8(frame->payload));
		return;
	}
	FUZZ_ASSERT(frame->payload.n <= 125);
	FUZZ_ASSERT(frame->opcode == WEBSOCKET_PING || frame->opcode == WEBSOCKET_PONG || frame->opcode == WEBSOCKET_CLOSE);
	FUZZ_ASSERT(frame->opcode != WEBSOCKET_CLOSE || (span_is_utf8(frame->payload) && frame->close_code >= 1000));
}

/* Adds what comes out of the slice to the transcript; is_over says whether the end was seen, and is told of it. */
static void read_slice(struct websocket_reader *reader, struct span bytes, struct buffer *transcript, bool *is_over)
{
	struct websocket_frame frame;
	enum websocket_outcome outcome;
	uint16_t code = 0;
	const char *reason = NULL;
	while ((outcome = websocket_read(reader, &bytes, &frame, &code, &reason)) == WEBSOCKET_MESSAGE) {
		FUZZ_ASSERT(!*is_over);
		check_frame(&frame);
		*is_over = frame.opcode == WEBSOCKET_CLOSE;
		buffer_add_printf(transcript, "%d %u %zu ", (int)frame.opcode, frame.close_code, frame.payload.n);
		buffer_add(transcript, frame.payload);
	}
	FUZZ_ASSERT(outcome == WEBSOCKET_MORE || outcome == WEBSOCKET_E_CLOSE);
	if (outcome == WEBSOCKET_MORE) {
		FUZZ_ASSERT(bytes.n == 0);
		return;
	}
	FUZZ_ASSERT(!*is_over && (code == 1002 || code == 1003 || code == 1007 || code == 1009) && reason);
	*is_over = true;
	buffer_add_printf(transcript, "%u %s", code, reason);
}

static void read_sliced(struct span session, size_t max_slice, struct buffer *transcript)
{
	struct websocket_reader reader;
	bool is_over = false;
	uint32_t seed = 1;
	websocket_reader_init(&reader, MAX_MESSAGE_BYTES);
	for (size_t at = 0, n; at < session.n; at += n) {
		n = fuzz_next_size(&seed, max_slice);
		n = n < session.n - at ? n : session.n - at;
		CLEANUP(free) char *copy = fuzz_copy(span_of(session.data + at, n));
		read_slice(&reader, span_of(copy, n), transcript, &is_over);
		FUZZ_ASSERT(reader.pieces.n <= MAX_MESSAGE_BYTES + 125);
		FUZZ_ASSERT(!is_over || !reader.pieces.data);
	}
	if (is_over)
		read_slice(&reader, span_of(NULL, 0), transcript, &is_over);
	websocket_reader_finish(&reader);
}

static void check_frames(struct span session)
{
	static const size_t slices[] = { 1, 5, 64 };
	CLEANUP(buffer_finish) struct buffer whole = BUFFER_INIT;
	read_sliced(session, SIZE_MAX / 2, &whole);
	for (size_t i = 0; i < ARRAY_LENGTH(slices); i++) {
		CLEANUP(buffer_finish) struct buffer transcript = BUFFER_INIT;
		read_sliced(session, slices[i], &transcript);
		FUZZ_ASSERT(span_equal(buffer_span(&whole), buffer_span(&transcript)));
	}
}

static void check_handshake(const struct http_request *request)
{
	char accept[WEBSOCKET_ACCEPT_SIZE];
	struct http_problem problem = { 0 };
	if (websocket_check_handshake(request, accept, &problem) == HTTP_OK) {
		FUZZ_ASSERT(websocket_is_upgrade(request) && strlen(accept) == WEBSOCKET_ACCEPT_SIZE - 1);
		FUZZ_ASSERT(request->body == HTTP_BODY_NONE && request->minor == 1 && span_equal(request->method, SPAN("GET")));
	} else {
		FUZZ_ASSERT(problem.reason && (problem.status == 400 || problem.status == 426));
	}
}

/* The rest of the close frame's way: what we write, a client must be able to read. */
static void check_close(struct span reason)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	websocket_add_close(&b, 1008, reason);
	FUZZ_ASSERT(b.n >= 4 && b.n <= 127 && b.data[1] == (char)(b.n - 2));
	FUZZ_ASSERT(!span_is_utf8(reason) || span_is_utf8(span_skip(buffer_span(&b), 4)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct http_request request;
	struct span input = span_of(data, n);
	struct http_problem problem;
	if (http_parse(input, &request, &problem) == HTTP_OK) {
		check_handshake(&request);
		input = span_skip(input, request.n_head);
	}
	check_frames(input);
	check_close(input);
	return 0;
}
