/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator says, and one delivery on its way to an outcome. */
#ifndef RETRY_PROFILE_CONF_H
#define RETRY_PROFILE_CONF_H

#include <belfry/plugin.h>

/* Of profiles: more would not end before the meeting. */
#define MAX_PROFILES 16

struct conf {
	int64_t data_center;
	const char *api_url;
	struct belfry_list profiles;
	const char *profile_tag;
	const char *calendar_id, *calendar_tag;
	const char *token_url, *token_secret;
	struct belfry_map accounts;
	const char *account_tag;
	const char *client_id, *client_secret;
	int64_t patience;
};

/*
 * Functions that may end the work say so by false; then the outcome stands here, and the host has been given the
 * reason.
 */
struct work {
	const struct conf *conf;
	const struct belfry_host *host;
	const struct belfry_delivery *delivery;
	int outcome;
};

/* Ends the work; false, for the caller to hand on. */
bool work_end(struct work *work, int outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool work_end_without_memory(struct work *work);
/* The value of the callback's tag, or NULL. */
const char *work_tag(const struct work *work, const char *name);

#endif
