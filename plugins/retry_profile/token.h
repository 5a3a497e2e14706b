/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens: from the application (`token_url`, asked with the callback's tags), or by refresh tokens of
 * `accounts`.
 *
 * A refresh gives a new refresh token, and the old one may work no more: what came last is kept in the handler's state.
 * Another worker may have been faster; then a refusal is no refusal, but the state has what it got. When an
 * administrator writes another refresh token into the configuration, what was kept for the old one is forgotten.
 */
#ifndef RETRY_PROFILE_TOKEN_H
#define RETRY_PROFILE_TOKEN_H

#include "conf.h"

/* A token for the delivery's account, for the caller to give to token_free(). `refused`: one that does not work (any
 * more); NULL at first. */
bool token_get(struct work *work, const char *api, const char *refused, char **ret_token);
/* Wipes. NULL is fine. */
void token_free(char *token);

#endif
