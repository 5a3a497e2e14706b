/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a verified callback to an event.
 *
 * The sender is authentic, so nothing it says is refused: what can be read is read, unknown keys, types and subtypes
 * pass (the provider asks for that), and a body that is no readable JSON object becomes a malformed event that says
 * why. The body itself is kept as it came; only type, subtype and event id are taken out of it.
 *
 * The interactions are `notification.interactions`; without any the one type is `notification.type`, and "unknown"
 * without that (Real-Time Scheduling and Enterprise Connect send no `notification` at all).
 */
#ifndef WIRE_CALLBACK_H
#define WIRE_CALLBACK_H

#include "wire/event.h"

/* Deepest nesting of objects and arrays that is read. */
#define CALLBACK_MAX_DEPTH 32

/* What is known of a callback besides its body. */
struct callback_origin {
	struct span source;
	int64_t received_ms;
	const struct tag *tags;
	size_t n_tags;
	struct span traceparent; /* empty: none */
};

/* An event of kind EVENT_CALLBACK or EVENT_MALFORMED. 0 or -ENOMEM. Any thread. */
int callback_to_event(const struct callback_origin *origin, struct span body, struct event **ret_event) MUST_USE;

#endif
