/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted, once: the field, the metric, its help. All threads add, relaxed. */
#ifndef NET_COUNTERS_H
#define NET_COUNTERS_H

#include "base/buffer.h"

#include <stdatomic.h>

#define COUNTERS(X)                                                                     \
	X(callbacks_stored, "callbacks answered 200 and kept")                              \
	X(callbacks_duplicate, "callbacks answered 200 and not pushed again")               \
	X(callbacks_malformed, "callbacks kept as dead letters: authentic, but unreadable") \
	X(callbacks_refused_signature, "callbacks answered 401 for their signature")        \
	X(callbacks_refused_tags, "callbacks answered 401 for the signature of their tags") \
	X(callbacks_unavailable, "callbacks answered 503")                                  \
	X(requests_bad, "requests that were no proper HTTP")                                \
	X(requests_timed_out, "requests that did not arrive in time")                       \
	X(connections_accepted, "connections accepted")                                     \
	X(connections_refused, "connections over a limit")                                  \
	X(subscribers_connected, "subscribers that came")                                   \
	X(subscribers_refused, "tokens, tickets and origins refused")                       \
	X(subscribers_stalled, "subscribers closed because nothing went out to them")       \
	X(frames_delivered, "events written to subscribers")

struct counters {
#define X(name, help) _Atomic uint64_t name;
	COUNTERS(X)
#undef X
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Prometheus text format, version 0.0.4. */
void counters_add_text(struct buffer *text, const struct counters *counters);

#endif
