/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terms: what an event can be found by, each as a number of 64 bits.
 *
 * An event has a term for each of its types of interaction, its event id, and each of its tags. A filter that asks for
 * one of these exactly needs only the events that have the term. Two texts may share a number: whoever finds an event
 * by a term still asks filter_matches(). Outcomes have terms of their own: whoever did not ask for them does not look
 * at them.
 *
 * The numbers are stored, so the function behind them never changes within a version of the schema.
 */
#ifndef STORE_TERMS_H
#define STORE_TERMS_H

#include "base/cleanup.h"
#include "wire/event.h"
#include "wire/filter.h"

/* An event with more interactions has one term that stands for any type instead. */
#define TERMS_MAX_INTERACTIONS 64
/* A question with more terms is answered by looking at every event. */
#define TERMS_MAX_WANTED 64

struct terms {
	uint64_t terms[TERMS_MAX_WANTED];
	size_t n;
	bool is_everything; /* the filters cannot be answered by terms */
};

/* Calls add for each term until it returns a negative errno, which is forwarded. */
int terms_of_event(const struct event *event, int (*add)(void *context, uint64_t term), void *context) MUST_USE;
/* What to look for so that no event is missed that any of the filters matches. */
void terms_of_filters(const struct filter *filters, size_t n_filters, struct terms *ret_terms);

#endif
