/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outline of a callback: the few texts that the gateway needs of a body, found in one pass over its bytes, without
 * building a document of it. That is most of what a callback costs otherwise.
 *
 * It reads what providers send, and knows what it does not read: escapes in keys or in a text that is needed, half an
 * emoji, a key twice, or too many of anything make it give up, and the body is read by jansson (wire/document.h),
 * which has the last word. So it may only ever say "plain" of what jansson would read as the same; fuzz_callback.c and
 * test_outline.c compare the two.
 */
#ifndef WIRE_OUTLINE_H
#define WIRE_OUTLINE_H

#include "wire/event.h"

#define OUTLINE_MAX_INTERACTIONS 16

struct outline {
	struct span notification_type; /* empty if there is none; so are the others */
	struct span event_id;
	struct interaction interactions[OUTLINE_MAX_INTERACTIONS]; /* with a type */
	size_t n_interactions;
};

/*
 * True if the body is plain: a JSON object (RFC 8259) in well-formed UTF-8, nested at most max_depth (up to 64) deep,
 * no key twice in an object. The spans point into it. False says nothing about it. Any thread.
 */
bool outline_read(struct span body, size_t max_depth, struct outline *ret_outline) MUST_USE;

#endif
