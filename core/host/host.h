/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin can ask for (struct belfry_host), during one delivery and between them. What it gets is lent: kept
 * until the call that it was given to returns, and given back as a whole.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "host/channel.h"
#include "host/outgoing.h"
#include "host/template.h"

#define HOST_MAX_LOG_BYTES 4000
#define HOST_MAX_REASON_BYTES 1000
#define HOST_MAX_KEY_BYTES 128
#define HOST_MAX_VALUE_BYTES 16384

struct loan;

struct host {
	struct belfry_host table; /* what the plugin sees */
	struct channel *channel;
	struct templates *templates;
	struct outgoing *outgoing;
	/* of the delivery that is being handled */
	bool is_delivering;
	struct span body;
	struct document document; /* the body, once it was asked for */
	enum { DOCUMENT_UNREAD, DOCUMENT_READ, DOCUMENT_UNREADABLE } document_state;
	struct buffer reason;
	int64_t retry_after_ms; /* -1: not said */
	uint64_t end_ns;
	struct loan *loans;
};

/* Borrows all three. */
void host_init(struct host *host, struct channel *channel, struct templates *templates, struct outgoing *outgoing);
/* From here to host_end(), everything may be called; before and behind it only log(). */
void host_begin(struct host *host, struct span body, int64_t deadline_ms);
void host_end(struct host *host);
/* The reason so far is replaced. */
void host_set_reason(struct host *host, struct span text);
/* Memory until host_end(); NULL if there is none. */
void *host_lend(struct host *host, size_t n);

#endif
