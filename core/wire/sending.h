/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an administrator wants sent to the gateway itself, as the provider would:
 *
 *     {"source":"cronofy","sample":"conferencing_assigned","tags":{"user":"42"}}
 *     {"source":"cronofy","body":"{…}"}
 *
 * Strict, as messages are.
 */
#ifndef WIRE_SENDING_H
#define WIRE_SENDING_H

#include "wire/document.h"
#include "wire/event.h"

#define SENDING_MAX_TAGS 32

struct sending {
	struct span source; /* empty: the only one there is */
	struct span sample; /* a name; empty if there is a body */
	struct span body;
	struct tag tags[SENDING_MAX_TAGS];
	size_t n_tags;
	struct document document; /* which they are in */
};

enum sending_outcome { SENDING_OK, SENDING_E_MALFORMED };

/* SENDING_OK; SENDING_E_MALFORMED with *ret_reason, a static text; -ENOMEM. Whatever comes back, sending_finish(). */
int sending_parse(struct span text, struct sending *ret_sending, const char **ret_reason) MUST_USE;
void sending_finish(struct sending *sending);
static inline void sending_finish_cleanup(struct sending *sending)
{
	sending_finish(sending);
}

#endif
