/* SPDX-License-Identifier: Apache-2.0 */
/* How long something took, counted in buckets from 0.1 ms to 5 s. Belongs to one thread, but for its bounds. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

/* Upper bounds in nanoseconds, as Prometheus wants to read them: in seconds. */
#define HISTOGRAM_BOUNDS(X) \
	X(100000, "0.0001")     \
	X(250000, "0.00025")    \
	X(500000, "0.0005")     \
	X(1000000, "0.001")     \
	X(2500000, "0.0025")    \
	X(5000000, "0.005")     \
	X(10000000, "0.01")     \
	X(25000000, "0.025")    \
	X(50000000, "0.05")     \
	X(100000000, "0.1")     \
	X(250000000, "0.25")    \
	X(500000000, "0.5")     \
	X(1000000000, "1")      \
	X(2500000000, "2.5")    \
	X(5000000000, "5")

#define X(ns, seconds) +1
enum { HISTOGRAM_BUCKETS = 1 HISTOGRAM_BOUNDS(X) }; /* the last one has no bound */
#undef X

struct histogram {
	uint64_t n[HISTOGRAM_BUCKETS]; /* each value in one bucket: the first whose bound it does not exceed */
	uint64_t sum_ns;
};

/* "0.0001", ..., "5", "+Inf" */
const char *histogram_bound(unsigned bucket);
/* Which bucket counts it. */
unsigned histogram_bucket(uint64_t ns);
void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* What so many hundredths of the values do not exceed, in nanoseconds, as far as the buckets tell: within one, values
 * are taken as evenly spread. The largest bound for what is beyond it; 0 without values. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned hundredths);

#endif
