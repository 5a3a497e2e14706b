/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream from a handler's process, and the same from the daemon. Whatever the bytes: slices and the whole give the
 * same, nothing comes out behind the end, what comes out keeps its bounds, and can be written and read again.
 */
#include "fuzz.h"
#include "wire/packet.h"

static void check_again(enum packet_side from, const struct packet *packet)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	CLEANUP(free) char *head = json_dumps(packet->head, JSON_COMPACT);
	FUZZ_ASSERT(head);
	packet_add(&b, span_text(head), packet->payload);
	FUZZ_ASSERT(!b.failed);
	struct packet_reader reader;
	struct packet again;
	const char *reason;
	struct span bytes = buffer_span(&b);
	packet_reader_init(&reader, from);
	FUZZ_ASSERT(packet_read(&reader, &bytes, &again, &reason) == PACKET_WHOLE && bytes.n == 0);
	FUZZ_ASSERT(again.type == packet->type && json_equal(again.head, packet->head));
	FUZZ_ASSERT(span_equal(again.payload, packet->payload));
	packet_reader_finish(&reader);
}

static void read_slice(struct packet_reader *reader, struct span bytes, struct buffer *transcript, bool *is_over)
{
	struct packet packet;
	const char *reason = NULL;
	int r;
	while ((r = packet_read(reader, &bytes, &packet, &reason)) == PACKET_WHOLE) {
		FUZZ_ASSERT(!*is_over && (packet.type >= PACKET_READY) == (reader->from == PACKET_HANDLER));
		check_again(reader->from, &packet);
		buffer_add_printf(transcript, "%d %zu ", (int)packet.type, packet.payload.n);
		buffer_add(transcript, packet.payload);
	}
	FUZZ_ASSERT(bytes.n == 0 && (r == PACKET_MORE || (r == PACKET_E_MALFORMED && reason)));
	if (r == PACKET_E_MALFORMED && !*is_over)
		buffer_add_text(transcript, reason);
	*is_over = r == PACKET_E_MALFORMED;
	FUZZ_ASSERT(!*is_over || !reader->pieces.data);
}

static void read_sliced(enum packet_side from, struct span stream, size_t max_slice, struct buffer *transcript)
{
	struct packet_reader reader;
	bool is_over = false;
	uint32_t seed = 1;
	packet_reader_init(&reader, from);
	for (size_t at = 0, n; at < stream.n; at += n) {
		n = fuzz_next_size(&seed, max_slice);
		n = n < stream.n - at ? n : stream.n - at;
		CLEANUP(free) char *copy = fuzz_copy(span_of(stream.data + at, n));
		read_slice(&reader, span_of(copy, n), transcript, &is_over);
	}
	packet_reader_finish(&reader);
}

static void check_stream(enum packet_side from, struct span stream)
{
	CLEANUP(buffer_finish) struct buffer whole = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer sliced = BUFFER_INIT;
	read_sliced(from, stream, SIZE_MAX / 2, &whole);
	read_sliced(from, stream, 5, &sliced);
	FUZZ_ASSERT(span_equal(buffer_span(&whole), buffer_span(&sliced)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_stream(PACKET_DAEMON, span_of(data, n));
	check_stream(PACKET_HANDLER, span_of(data, n));
	return 0;
}
