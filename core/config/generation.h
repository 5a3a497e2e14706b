/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration that is, or was, in force.
 *
 * It never changes. A reload puts another one in its place, one thread after the other; whoever has begun something by
 * this one finishes by it, and holds a reference until then. The last one wipes its secrets.
 */
#ifndef CONFIG_GENERATION_H
#define CONFIG_GENERATION_H

#include "config/config.h"

#include <stdatomic.h>

struct generation {
	struct config *config;
	int64_t loaded_ms; /* wall clock */
	char *by;          /* who asked for it */
	atomic_uint references;
};

/* Takes the configuration over, also when it fails. 0 or -ENOMEM. */
int generation_create(struct config *config, const char *by, struct generation **ret_generation) MUST_USE;
/* Any thread. */
struct generation *generation_ref(struct generation *generation);
/* Any thread. NULL is fine. */
void generation_unref(struct generation *generation);
CLEANUP_DEFINE(struct generation, generation_unref)

#endif
