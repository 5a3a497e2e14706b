/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-Sent Events, read as the HTML standard says (section 9.2.6): lines end in CR, LF or CRLF, a BOM at the start
 * is ignored, data lines are joined by LF, and the id stays until another one comes. Bytes may arrive in any slices.
 */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include "base/buffer.h"

/* One message, line ends included, may have this many bytes. */
#define SSE_MAX_BYTES (16u << 20)

struct sse_message {
	struct span id;    /* the last event id: of this message or an earlier one; empty if there was none */
	struct span event; /* its type, "message" if it names none */
	struct span data;
};

struct sse {
	struct buffer line, data, event;
	struct buffer id;      /* what an id field said; last_id once the message is complete */
	struct buffer last_id; /* survives reconnecting */
	int64_t retry_ms;      /* what the server wants between two connections; -1 if it did not say */
	bool is_first_line, follows_cr;
};
#define SSE_INIT ((struct sse){ .retry_ms = -1, .is_first_line = true })

/* The stream begins anew, after a reconnect: half a message is dropped, the id and retry stay. */
void sse_restart(struct sse *sse);
void sse_finish(struct sse *sse);
static inline void sse_finish_cleanup(struct sse *sse)
{
	sse_finish(sse);
}

/* Calls on_message for every message that these bytes complete. If that returns anything but 0, the rest of the bytes
 * is dropped and the value returned. 0; -EMSGSIZE beyond SSE_MAX_BYTES; -ENOMEM. */
int sse_read(struct sse *sse, struct span bytes, int (*on_message)(void *context, const struct sse_message *message),
			 void *context) MUST_USE;

#endif
