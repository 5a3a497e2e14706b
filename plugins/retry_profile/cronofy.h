/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cronofy's API, as far as a retry needs it. Requests carry an access token; one that is refused is renewed, and the
 * request made once more. What a status means for the delivery is decided here, in one table.
 */
#ifndef RETRY_PROFILE_CRONOFY_H
#define RETRY_PROFILE_CRONOFY_H

#include "conf.h"

#include <jansson.h>

struct cronofy {
	struct work *work;
	const char *api;    /* origin, without a slash at its end */
	char *access_token; /* secret */
	char *calendar_id;  /* what is known of it; NULL: to be found */
	bool is_token_renewed;
};

/* Takes the API's address and the calendar from tags and options. */
bool cronofy_begin(struct cronofy *cronofy, struct work *work);
void cronofy_finish(struct cronofy *cronofy);

/* The delivery's event as it is now, read from the account's calendars around `start_s` (seconds since 1970); the
 * caller releases it. Ends the work if it is not there, or in more than one calendar. */
bool cronofy_find_event(struct cronofy *cronofy, int64_t start_s, json_t **ret_event);

/* Creates or updates the event. *ret_is_refused: 422 for its conferencing, so that another profile may do. */
bool cronofy_upsert(struct cronofy *cronofy, const json_t *event, bool *ret_is_refused);

#endif
