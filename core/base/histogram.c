/* SPDX-License-Identifier: Apache-2.0 */
#include "base/histogram.h"

static const struct {
	uint64_t ns;
	const char *seconds;
} bounds[HISTOGRAM_BUCKETS] = {
#define X(ns, seconds) { ns, seconds },
	HISTOGRAM_BOUNDS(X)
#undef X
		{ UINT64_MAX, "+Inf" },
};

const char *histogram_bound(unsigned bucket)
{
	return bounds[bucket].seconds;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	unsigned bucket = 0;
	while (ns > bounds[bucket].ns)
		bucket++;
	histogram->n[bucket]++;
	histogram->sum_ns += ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->n[i] += from->n[i];
	into->sum_ns += from->sum_ns;
}
