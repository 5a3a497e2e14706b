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

unsigned histogram_bucket(uint64_t ns)
{
	unsigned bucket = 0;
	while (ns > bounds[bucket].ns)
		bucket++;
	return bucket;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
	histogram->n[histogram_bucket(ns)]++;
	histogram->sum_ns += ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->n[i] += from->n[i];
	into->sum_ns += from->sum_ns;
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned hundredths)
{
	uint64_t n = 0, below = 0, from_ns = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += histogram->n[i];
	double rank = (double)n * hundredths / 100;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
		uint64_t here = histogram->n[i];
		if (here && (double)(below + here) >= rank)
			return from_ns + (uint64_t)((double)(bounds[i].ns - from_ns) * (rank - (double)below) / (double)here);
		below += here;
		from_ns = bounds[i].ns;
	}
	return n ? from_ns : 0;
}
