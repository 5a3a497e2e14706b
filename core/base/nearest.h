/* SPDX-License-Identifier: Apache-2.0 */
/* The known name that somebody probably meant: begin with the word, try all names, look at `name`. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include "base/span.h"

struct nearest {
	struct span word;
	const char *name; /* NULL if none is near */
	size_t distance;
};

static inline struct nearest nearest_begin(struct span word)
{
	return (struct nearest){ .word = word };
}

void nearest_try(struct nearest *nearest, const char *name);

#endif
