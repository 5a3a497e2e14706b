/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted, once: everything that /metrics tells is a row of METRICS, and what a reactor counts is a row of
 * COUNTERS or of CALLBACK_RESULTS. net/metrics.c writes it down, net/metrics.md is the same for people (a test compares
 * them).
 *
 * Counters belong to one reactor and are plain numbers: who wants to know asks the reactor (net/survey.h). Labels have
 * values from these tables or from the configuration, never from a peer.
 */
#ifndef NET_COUNTERS_H
#define NET_COUNTERS_H

#include "base/histogram.h"

/* X(row, name, type, help) */
#define METRICS(X)                                                                                                   \
	X(BUILD, "belfry_build_info", "gauge", "1; the version is in the label")                                         \
	X(CALLBACKS, "belfry_callbacks_total", "counter", "callbacks by what became of them")                            \
	X(CALLBACK_BYTES, "belfry_callback_bytes_total", "counter", "bytes of bodies that were kept")                    \
	X(CALLBACKS_LATE, "belfry_callbacks_late_total", "counter",                                                      \
	  "callbacks that became durable after they had been answered 503; counted as unavailable")                      \
	X(DURABLE, "belfry_callback_durable_seconds", "histogram", "from a callback's last byte to its being on disk")   \
	X(ANSWERS, "belfry_http_answers_total", "counter", "answers to HTTP requests by status")                         \
	X(REQUESTS_BAD, "belfry_http_malformed_total", "counter",                                                        \
	  "requests that were no proper HTTP, whether they could be answered or not")                                    \
	X(ACCEPTED, "belfry_connections_accepted_total", "counter", "connections accepted")                              \
	X(REFUSED, "belfry_connections_refused_total", "counter", "connections over a limit, by limit")                  \
	X(HANDSHAKES, "belfry_tls_handshakes_failed_total", "counter", "connections that ended before TLS was set up")   \
	X(CERTIFICATE, "belfry_certificate_expires_timestamp_seconds", "gauge",                                          \
	  "when the first of the listeners' certificates expires, since 1970; +Inf without any")                         \
	X(RECEIVED, "belfry_received_bytes_total", "counter", "bytes received, without TLS")                             \
	X(CONNECTIONS, "belfry_connections", "gauge", "connections open now")                                            \
	X(PENDING, "belfry_connections_pending", "gauge", "of these, those that have not sent a whole request yet")      \
	X(CAME, "belfry_subscribers_total", "counter", "subscribers that came, by transport")                            \
	X(UNAUTHORIZED, "belfry_subscribers_refused_total", "counter", "tokens, tickets and pages refused, by reason")   \
	X(ADMIN_REFUSED, "belfry_admin_refused_total", "counter",                                                        \
	  "requests to the administrator's side refused, by reason")                                                     \
	X(STALLED, "belfry_subscribers_stalled_total", "counter", "subscribers closed because they took nothing")        \
	X(SUBSCRIBERS, "belfry_subscribers", "gauge",                                                                    \
	  "subscribers now: live, behind (catching up, or their sockets are full), or idle (without a subscription)")    \
	X(LAG, "belfry_subscriber_lag_events", "gauge", "events between the head and the subscriber furthest behind")    \
	X(DELIVERED, "belfry_events_delivered_total", "counter", "events given to subscribers, each counted for each")   \
	X(DELIVERED_BYTES, "belfry_events_delivered_bytes_total", "counter", "bytes of these, as WebSocket frames")      \
	X(WRITTEN, "belfry_event_written_seconds", "histogram",                                                          \
	  "from a callback's last byte to the moment its last live subscriber had its turn, once for each reactor")      \
	X(HEAD, "belfry_reactor_head", "gauge", "newest sequence that the reactor's subscribers can have")               \
	X(RING, "belfry_ring_bytes", "gauge", "recent events in memory, which the reactors share")                       \
	X(JOURNAL_WRITABLE, "belfry_journal_writable", "gauge", "1 if the last commit succeeded")                        \
	X(JOURNAL_HEAD, "belfry_journal_head", "gauge", "newest durable sequence")                                       \
	X(JOURNAL_OLDEST, "belfry_journal_oldest", "gauge", "oldest sequence that is kept; head + 1 if there is none")   \
	X(JOURNAL_BYTES, "belfry_journal_bytes", "gauge", "size of the journal without its log")                         \
	X(JOURNAL_FREE, "belfry_journal_free_bytes", "gauge", "of these, free for new events")                           \
	X(JOURNAL_DISK_FREE, "belfry_journal_disk_free_bytes", "gauge",                                                  \
	  "what the gateway's user may still write on the journal's file system")                                        \
	X(JOURNAL_COMMITS, "belfry_journal_commits_total", "counter", "transactions with callbacks, by outcome")         \
	X(JOURNAL_EVENTS, "belfry_journal_events_total", "counter", "events written")                                    \
	X(JOURNAL_DAMAGED, "belfry_journal_damaged_total", "counter", "times that a damaged event was met and left out") \
	X(JOURNAL_HELD, "belfry_journal_held", "gauge",                                                                  \
	  "1 while it is larger than journal.retention.size for what is owed to handlers")                               \
	X(DELIVERIES, "belfry_deliveries_total", "counter", "attempts at deliveries, by what became of the delivery")    \
	X(OWED, "belfry_deliveries_owed", "gauge", "deliveries that are neither done nor dead")                          \
	X(CLAIMED, "belfry_deliveries_claimed", "gauge",                                                                 \
	  "deliveries in the gateway's hands: being handled, about to be, or being written down")                        \
	X(DELIVERIES_DAMAGED, "belfry_deliveries_damaged_total", "counter",                                              \
	  "times that a damaged delivery was met, and taken as owed")                                                    \
	X(CRASHES, "belfry_handler_crashes_total", "counter",                                                            \
	  "processes that crashed, hung or talked nonsense while they handled something")                                \
	X(PROCESSES, "belfry_handler_processes", "gauge", "processes now")                                               \
	X(PAUSED, "belfry_handler_paused", "gauge", "1 while it pauses, for its far end seems to be down")               \
	X(FAILING, "belfry_handler_failing", "gauge",                                                                    \
	  "1 while its process ends by itself, again and again, and nothing gets done")                                  \
	X(QUEUE, "belfry_queue_callbacks", "gauge", "callbacks that wait for the journal")                               \
	X(QUEUE_BYTES, "belfry_queue_bytes", "gauge", "memory that they take, bounded by limits.queue")                  \
	X(CPU, "process_cpu_seconds_total", "counter", "user and system time")                                           \
	X(MEMORY, "process_resident_memory_bytes", "gauge", "resident memory")                                           \
	X(OPEN_FDS, "process_open_fds", "gauge", "open descriptors")                                                     \
	X(MAX_FDS, "process_max_fds", "gauge", "most descriptors that may be open")                                      \
	X(START, "process_start_time_seconds", "gauge", "when it started, since 1970")

enum metric {
#define X(row, name, type, help) METRIC_##row,
	METRICS(X)
#undef X
		N_METRICS,
};

/* X(field, row of METRICS, labels) */
#define COUNTERS(X)                                              \
	X(callbacks_late, CALLBACKS_LATE, "")                        \
	X(requests_bad, REQUESTS_BAD, "")                            \
	X(connections_accepted, ACCEPTED, "")                        \
	X(connections_pushed_out, REFUSED, "reason=\"pending\"")     \
	X(handshakes_failed, HANDSHAKES, "")                         \
	X(bytes_received, RECEIVED, "")                              \
	X(websockets_came, CAME, "transport=\"websocket\"")          \
	X(streams_came, CAME, "transport=\"stream\"")                \
	X(tokens_refused, UNAUTHORIZED, "reason=\"token\"")          \
	X(tickets_refused, UNAUTHORIZED, "reason=\"ticket\"")        \
	X(origins_refused, UNAUTHORIZED, "reason=\"origin\"")        \
	X(admin_hosts_refused, ADMIN_REFUSED, "reason=\"host\"")     \
	X(admin_origins_refused, ADMIN_REFUSED, "reason=\"origin\"") \
	X(admin_tokens_refused, ADMIN_REFUSED, "reason=\"token\"")   \
	X(admin_roles_refused, ADMIN_REFUSED, "reason=\"role\"")     \
	X(subscribers_stalled, STALLED, "")

/* X(row, name) */
#define CALLBACK_OUTCOMES(X)  \
	X(STORED, "stored")       \
	X(DUPLICATE, "duplicate") \
	X(MALFORMED, "malformed") \
	X(REFUSED, "refused")     \
	X(ABANDONED, "abandoned") \
	X(UNAVAILABLE, "unavailable")

enum callback_outcome {
#define X(row, name) CALLBACK_OUTCOME_##row,
	CALLBACK_OUTCOMES(X)
#undef X
		N_CALLBACK_OUTCOMES,
};

/* Their names. */
extern const char *const callback_outcomes[N_CALLBACK_OUTCOMES];

/* What becomes of a callback; each that got as far as its source's path has exactly one. X(name, row of
 * CALLBACK_OUTCOMES, reason) */
#define CALLBACK_RESULTS(X)                              \
	X(STORED, STORED, "")                                \
	X(DUPLICATE, DUPLICATE, "")                          \
	X(EMPTY, MALFORMED, "empty")                         \
	X(TOO_DEEP, MALFORMED, "too_deep")                   \
	X(NOT_JSON, MALFORMED, "not_json")                   \
	X(NOT_AN_OBJECT, MALFORMED, "not_an_object")         \
	X(DUPLICATE_KEY, MALFORMED, "duplicate_key")         \
	X(INVALID_UTF8, MALFORMED, "invalid_utf8")           \
	X(PREMATURE_END, MALFORMED, "premature_end")         \
	X(TRAILING_BYTES, MALFORMED, "trailing_bytes")       \
	X(NULL_IN_KEY, MALFORMED, "null_in_key")             \
	X(SIGNATURE_MISSING, REFUSED, "signature_missing")   \
	X(SIGNATURE_TOO_MANY, REFUSED, "signature_too_many") \
	X(SIGNATURE_MISMATCH, REFUSED, "signature_mismatch") \
	X(TAGS_MALFORMED, REFUSED, "tags_malformed")         \
	X(TAGS_UNSIGNED, REFUSED, "tags_unsigned")           \
	X(TAGS_SIGNATURE, REFUSED, "tags_signature")         \
	X(LENGTH_REQUIRED, REFUSED, "length_required")       \
	X(ENCODED, REFUSED, "content_encoding")              \
	X(TOO_LARGE, REFUSED, "too_large")                   \
	X(BODY_BAD, REFUSED, "body_malformed")               \
	X(BODY_TIMEOUT, REFUSED, "body_timeout")             \
	X(ABANDONED, ABANDONED, "peer_gone")                 \
	X(NO_MEMORY, UNAVAILABLE, "no_memory")               \
	X(QUEUE_FULL, UNAVAILABLE, "queue_full")             \
	X(STOPPING, UNAVAILABLE, "stopping")                 \
	X(NOT_WRITTEN, UNAVAILABLE, "journal_not_writable")  \
	X(TOO_SLOW, UNAVAILABLE, "journal_too_slow")

enum callback_result {
#define X(name, outcome, reason) CALLBACK_##name,
	CALLBACK_RESULTS(X)
#undef X
		N_CALLBACK_RESULTS,
	CALLBACK_UNDECIDED = N_CALLBACK_RESULTS,
};

enum callback_outcome callback_outcome(enum callback_result result);
const char *callback_outcome_name(enum callback_result result);
/* Empty where the outcome says it all. */
const char *callback_reason(enum callback_result result);

/* One source's, of one reactor. */
struct callback_counters {
	uint64_t n[N_CALLBACK_RESULTS];
	uint64_t n_bytes;
};

#define COUNTERS_FIRST_STATUS 100
#define COUNTERS_LAST_STATUS 505

struct counters {
#define X(field, row, labels) uint64_t field;
	COUNTERS(X)
#undef X
	uint64_t answers[COUNTERS_LAST_STATUS - COUNTERS_FIRST_STATUS + 1];
	struct histogram durable, written;
};

#endif
