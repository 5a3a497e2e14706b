/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event is a callback that was verified: what the journal keeps and subscribers get.
 * Immutable once made, in one piece of memory, and reference counted, so that it may go from
 * thread to thread without a copy or a lock.
 *
 * A malformed event is authentic (the signature was right) but unreadable: it is kept as a
 * dead letter with the reason, and never pushed. Nor is a notice, by which the gateway tells handlers of itself. An
 * outcome (wire/outcome.h) is pushed to those who ask for outcomes.
 */
#ifndef WIRE_EVENT_H
#define WIRE_EVENT_H

#include "base/buffer.h"
#include "wire/digest.h"
#include "wire/position.h"

#include <stdatomic.h>

enum event_kind {
	EVENT_CALLBACK,
	EVENT_MALFORMED,
	EVENT_NOTICE,  /* no callback: the gateway's own, for handlers */
	EVENT_OUTCOME, /* nor is this: what became of another event at a handler, for subscribers */
};

struct interaction {
	struct span type;
	struct span subtype; /* empty if there is none */
};

struct tag {
	struct span name, value;
};

struct event {
	enum event_kind kind;
	int64_t received_ms;     /* wall clock, when the last byte of the body was in */
	uint64_t received_ns;    /* the same moment, monotonic, set before it is shared; 0 for one read from the journal */
	struct span source;      /* the source's name in the configuration */
	struct span event_id;    /* the provider's; empty if there is none */
	struct span body;        /* byte for byte what was signed */
	struct span malformed;   /* the reason; empty unless kind is EVENT_MALFORMED */
	struct span traceparent; /* what the callback came with (wire/trace.h); empty if with none */
	uint8_t body_digest[DIGEST_BYTES];
	const struct interaction *interactions; /* at least one, unless malformed */
	size_t n_interactions;
	const struct tag *tags; /* sorted by name, then value; names are unique */
	size_t n_tags;
	atomic_uint references;
};

/* Copies the model (its references and body_digest are ignored), computes the digest, sorts
 * the tags. 0 or -ENOMEM. */
int event_create(const struct event *model, struct event **ret_event) MUST_USE;
struct event *event_ref(struct event *event);
void event_unref(struct event *event); /* NULL is fine */
CLEANUP_DEFINE(struct event, event_unref)

/* What the journal was told to erase: nothing is left of it but its place, its source and its time. */
#define EVENT_ERASED SPAN("erased")
static inline bool event_is_erased(const struct event *event)
{
	return event->kind == EVENT_MALFORMED && span_equal(event->malformed, EVENT_ERASED);
}

/* [{"type":"conferencing_failing","subtype":"profile_missing"}] */
void event_add_interactions(struct buffer *json, const struct event *event);
/* {"calendar_id":"cal_1","user":"42"} */
void event_add_tags(struct buffer *json, const struct event *event);

/* What kinds are called where the journal is shown or exported. */
extern const char *const event_kinds[EVENT_OUTCOME + 1];

/* What the journal keeps of an event: the two texts above stand for the two lists. */
struct event_record {
	enum event_kind kind;
	int64_t received_ms;
	struct span source, event_id, body, malformed, traceparent;
	struct span interactions, tags; /* JSON */
};
/* 0, -ENOMEM, or -EBADMSG if the JSON is not what the functions above write. */
int event_restore(const struct event_record *record, struct event **ret_event) MUST_USE;

/* The message that a subscriber gets, without framing:
 * {"type":"event","position":…,"received_at":…,"source":…,"interactions":…,"tags":…,"callback":BODY}, or that of an
 * outcome. Where there is a traceparent, it stands before the callback. */
void event_add_message(struct buffer *json, const struct event *event, const struct position *position);

#endif
