/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the provider is known to send, to try a gateway with. The first two bodies are those of the provider's
 * documentation, byte for byte. The other event_subscription bodies follow its rules; of the rest only type and
 * top-level keys are taken from the documentation, what stands inside is made up.
 */
#ifndef WIRE_SAMPLES_H
#define WIRE_SAMPLES_H

#include "base/buffer.h"

struct sample {
	const char *name;
	const char *summary;
	const char *body;
};

/* The last one has no name. */
extern const struct sample samples[];

/* NULL if there is none. */
const struct sample *sample_find(struct span name);

/*
 * Appends the body with another event id, so that it is no duplicate: the first "event_id" whose value is a string gets
 * this value. A body without one gets a member "belfry_sample" in front; one that is no object is left as it is. `id`
 * needs no escapes.
 */
void sample_renumber(struct span body, struct span id, struct buffer *renumbered);

#endif
