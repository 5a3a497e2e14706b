/* SPDX-License-Identifier: Apache-2.0 */
#include "config/generation.h"

#include "base/clock.h"

#include <errno.h>

int generation_create(struct config *config, const char *by, struct generation **ret_generation)
{
	struct generation *generation = calloc(1, sizeof *generation);
	if (!generation) {
		config_destroy(config);
		return -ENOMEM;
	}
	generation->config = config;
	generation->loaded_ms = clock_wall_ms();
	atomic_init(&generation->references, 1);
	generation->by = span_dup(span_text(by));
	if (!generation->by) {
		generation_unref(generation);
		return -ENOMEM;
	}
	*ret_generation = generation;
	return 0;
}

struct generation *generation_ref(struct generation *generation)
{
	(void)atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
	return generation;
}

void generation_unref(struct generation *generation)
{
	if (!generation || atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) > 1)
		return;
	config_destroy(generation->config);
	free(generation->by);
	free(generation);
}
