/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has been tried for one event, kept in the handler's state.
 *
 * A callback does not say which profile failed, nor which try it is about. The first is what was tried last; the second
 * is a tag, `retry`, in the callback URI that each try gives along. A try is written down before it is made, with the
 * delivery that makes it: whoever is killed in between makes the same one again, and no other.
 */
#ifndef RETRY_PROFILE_HISTORY_H
#define RETRY_PROFILE_HISTORY_H

#include "conf.h"

#include <jansson.h>

#define HISTORY_TAG "retry"

struct history {
	char key[80];
	json_t *tried;      /* profiles that the application or a handler asked for, in order */
	json_int_t n_tries; /* upserts that were begun */
	char *delivery;     /* who made the last one; NULL before the first */
	bool is_accepted;   /* the last one was */
};

/* What is known of the delivery's event: nothing, at first. The caller finishes it in any case. */
bool history_load(struct history *history, struct work *work);
bool history_save(struct history *history, struct work *work);
void history_finish(struct history *history);
/* The event has its conference, or will never have one. */
bool history_forget(struct work *work);

/* Whether the callback is about an earlier try than the last one. */
bool history_is_stale(const struct history *history, const struct work *work);
/* Whether this delivery has begun the last try already. */
bool history_is_ours(const struct history *history, const struct work *work);
bool history_has(const struct history *history, const char *profile);
/* The last profile that was tried; NULL if none is known. */
const char *history_last(const struct history *history);
/* Writes down that this delivery is about to try the profile, and which one has failed. */
bool history_begin(struct history *history, struct work *work, const char *profile);

#endif
