/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A callback's way in: raw bytes, verified callback, event, position, 200.
 *
 * 200 is said only after the journal has it on disk. Until then anything may fail and the answer is 503: the provider
 * sends again, and the journal knows what it has.
 */
#ifndef NET_INGEST_H
#define NET_INGEST_H

#include "net/connection.h"

extern const struct endpoint ingest_endpoint;

/* A request whose head is this text goes on as a callback of the source, with this body; its answer says what became of
 * it, and where: {"outcome":"stored","position":…}. */
void ingest_take(struct connection *connection, struct source *source, struct span head, struct span body);

/* What became of an append of this reactor's: answers, and frees it. */
struct ingest_result {
	struct append *append;
	enum commit_status status;
	uint64_t sequence;
	int error;
};
/* durable_ns: when the commit ended, monotonic. */
void ingest_settle(struct reactor *reactor, const struct ingest_result *result, uint64_t durable_ns);

#endif
