/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/batch.h"

#include "wire/websocket.h"

#include <errno.h>

/* What the header of a frame of 126 to 65535 bytes takes: nearly every event. */
#define USUAL_HEADER_BYTES 4
/* What a frame has besides the body, mostly. */
#define USUAL_MORE_BYTES 320

/* Appends one frame. The payload's length is known only behind it, so it is moved if its header is not of the usual
 * length. */
static size_t add_frame(struct buffer *bytes, const struct event *event, const struct position *position)
{
	uint8_t header[WEBSOCKET_MAX_HEADER_BYTES];
	size_t start = bytes->n, payload = start + USUAL_HEADER_BYTES;
	buffer_add_text(bytes, "    ");
	event_add_message(bytes, event, position);
	if (!buffer_reserve(bytes, WEBSOCKET_MAX_HEADER_BYTES))
		return 0;
	size_t n_payload = bytes->n - payload;
	size_t n_header = websocket_put_header(header, WEBSOCKET_TEXT, n_payload);
	if (n_header != USUAL_HEADER_BYTES)
		memmove(bytes->data + start + n_header, bytes->data + payload, n_payload);
	memcpy(bytes->data + start, header, n_header);
	bytes->n = start + n_header + n_payload;
	return n_header;
}

/* Mostly all of it, so that the memory need not grow, and move, again and again. */
static size_t estimate_bytes(const struct batch *batch)
{
	size_t n = 0;
	for (size_t i = 0; i < batch->n; i++)
		n += batch->entries[i].event->body.n + USUAL_MORE_BYTES;
	return n;
}

static int encode(struct batch *batch, const char *epoch)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	struct position position = { 0 };
	memcpy(position.epoch, epoch, strnlen(epoch, POSITION_MAX_EPOCH));
	(void)buffer_reserve(&bytes, estimate_bytes(batch));
	for (size_t i = 0; i < batch->n; i++) {
		struct batch_entry *entry = &batch->entries[i];
		size_t start = bytes.n;
		position.sequence = entry->sequence;
		size_t n_header = add_frame(&bytes, entry->event, &position);
		/* the memory may still move: for now the spans are offsets from NULL */
		entry->frame.n = bytes.n - start;
		entry->message.n = entry->frame.n - n_header;
	}
	if (bytes.failed)
		return -ENOMEM;
	char *at = bytes.data;
	for (size_t i = 0; i < batch->n; i++) {
		struct batch_entry *entry = &batch->entries[i];
		entry->frame.data = at;
		at += entry->frame.n;
		entry->message.data = at - entry->message.n;
	}
	batch->n_bytes = bytes.n;
	batch->bytes = STEAL(bytes.data);
	return 0;
}

int batch_create(const char *epoch, struct event *const *events, const uint64_t *sequences, size_t n,
				 struct batch **ret_batch)
{
	CLEANUP(batch_unref) struct batch *batch = calloc(1, sizeof *batch + n * sizeof batch->entries[0]);
	if (!batch)
		return -ENOMEM;
	batch->references = 1;
	for (size_t i = 0; i < n; i++)
		batch->entries[batch->n++] = (struct batch_entry){ .event = event_ref(events[i]), .sequence = sequences[i] };
	int r = encode(batch, epoch);
	if (r < 0)
		return r;
	*ret_batch = STEAL(batch);
	return 0;
}

struct batch *batch_ref(struct batch *batch)
{
	atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
	return batch;
}

void batch_unref(struct batch *batch)
{
	if (!batch || atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < batch->n; i++)
		event_unref(batch->entries[i].event);
	free(batch->bytes);
	free(batch);
}
