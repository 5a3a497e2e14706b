/* SPDX-License-Identifier: Apache-2.0 */
#include "net/counters.h"

static void add_counter(struct buffer *text, const char *name, const char *help, uint64_t value)
{
	buffer_add_printf(text, "# HELP belfry_%s_total %s\n# TYPE belfry_%s_total counter\nbelfry_%s_total ", name, help,
					  name, name);
	buffer_add_u64(text, value);
	buffer_add_char(text, '\n');
}

void counters_add_text(struct buffer *text, const struct counters *counters)
{
#define X(name, help) add_counter(text, #name, help, atomic_load_explicit(&counters->name, memory_order_relaxed));
	COUNTERS(X)
#undef X
}
