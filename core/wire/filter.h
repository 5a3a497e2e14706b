/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter says which events somebody wants, or may have.
 *
 *     {"interactions":["conferencing_*"],"subtypes":["profile_missing"],"sources":["cronofy"],
 *      "event_ids":["qTtZ"],"tags":{"user":["42"]}}
 *
 * All keys given must match, and a list matches if one of its members does. Where both
 * interactions and subtypes are given, one and the same interaction of the event must match
 * both. A member may be a string instead of a list of one; a star at the end of an
 * interaction's type stands for any rest. {} is everything.
 * tests/vectors/filters.json is the same in examples, for C and JavaScript.
 */
#ifndef WIRE_FILTER_H
#define WIRE_FILTER_H

#include "base/buffer.h"
#include "wire/event.h"

/* Members in one list, tag names in one filter. */
#define FILTER_MAX_MEMBERS 128

struct json_t; /* jansson */

enum filter_key { FILTER_INTERACTIONS, FILTER_SUBTYPES, FILTER_SOURCES, FILTER_EVENT_IDS, FILTER_KEYS };

/* An empty list means that the key was not given. Members are sorted and unique. */
struct filter_list {
	char **members;
	size_t n;
};

struct filter_tag {
	char *name;
	struct filter_list values; /* at least one */
};

struct filter {
	struct filter_list lists[FILTER_KEYS];
	struct filter_tag *tags; /* sorted by name */
	size_t n_tags;
	bool has_outcomes; /* what it matches, it matches the outcomes of, too; a subscriber's wish, no key of its JSON */
};

/* "interactions", "subtypes", ... */
const char *filter_key_name(enum filter_key key);

void filter_init(struct filter *filter); /* everything */
void filter_finish(struct filter *filter);
static inline void filter_finish_cleanup(struct filter *filter)
{
	filter_finish(filter);
}

/* A deep copy. 0 or -ENOMEM. */
int filter_copy(const struct filter *filter, struct filter *ret_filter) MUST_USE;

enum filter_outcome {
	FILTER_OK,
	FILTER_E_MALFORMED, /* *ret_reason says what is wrong, a static text */
};

/* From JSON. 0, FILTER_E_MALFORMED, or -ENOMEM. */
int filter_parse(const struct json_t *json, struct filter *ret_filter, const char **ret_reason) MUST_USE;
/* One more member. 0, FILTER_E_MALFORMED (empty, not UTF-8, too many, a star elsewhere), -ENOMEM. */
int filter_add(struct filter *filter, enum filter_key key, struct span member, const char **ret_reason) MUST_USE;
int filter_add_tag(struct filter *filter, struct span name, struct span value, const char **ret_reason) MUST_USE;

bool filter_matches(const struct filter *filter, const struct event *event);
/* Whether all events that `inner` matches are matched by `outer` as well; of outcomes it says nothing. */
bool filter_is_within(const struct filter *inner, const struct filter *outer);
/* The canonical JSON text: equal filters have equal texts. */
void filter_add_json(struct buffer *json, const struct filter *filter);

#endif
