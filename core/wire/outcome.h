/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outcome says what became of one interaction of an event at one handler, after an attempt. It is an event of its
 * own, with a position of its own, and has the source, the event id and the tags of the event that it is about, and
 * that one interaction: so the filters that want the event want its outcomes, if they want outcomes at all.
 *
 * Its body is the gateway's: {"event":SEQUENCE,"handler":…,"state":…,"attempt":…,"detail":…}. The sequence becomes a
 * position only in the message, as the epoch that belongs to it is the journal's, whenever that is read.
 */
#ifndef WIRE_OUTCOME_H
#define WIRE_OUTCOME_H

#include "wire/event.h"

struct outcome {
	uint64_t sequence;  /* of the event */
	size_t interaction; /* its index in the event */
	int64_t at_ms;      /* wall clock */
	struct span handler;
	struct span state;  /* "done", "retry", "dead" */
	int64_t attempt;    /* 1.. */
	struct span detail; /* in words; may be empty */
};

/* 0 or -ENOMEM. */
int outcome_create(const struct event *event, const struct outcome *outcome, struct event **ret_event) MUST_USE;

/* {"type":"outcome","position":…,"event_position":…,"at":…,"source":…,"event_id":…,"interaction":…,"subtype":…,"tags":…,
 * "handler":…,"state":…,"attempt":…,"detail":…}; without a subtype where there is none. */
void outcome_add_message(struct buffer *json, const struct event *event, const struct position *position);

#endif
