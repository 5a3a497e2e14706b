/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers' tokens and the keys for them, as the configuration has them. */
#ifndef CLI_TOKEN_MAKER_H
#define CLI_TOKEN_MAKER_H

#include "auth/token.h"
#include "cli/secrets.h"
#include "config/config.h"

#include <jansson.h>

struct token_wish {
	const char *subject; /* NULL: "belfry" */
	int64_t lifetime_ms;
	json_t *filters; /* borrowed; NULL: everything */
	bool has_outcomes;
	const char *issuer, *audience;  /* NULL: left out */
	const char *algorithm, *key_id; /* NULL: whatever is natural for the key */
};

/* A token signed with this key; the caller wipes and frees it. CLI_OK; CLI_E_USAGE, told; -ENOMEM. */
int token_make(const struct token_wish *wish, struct span key, struct buffer *ret_token) MUST_USE;
/* The same with the first configured key that can sign; *ret_where says which one that was (borrowed). Issuer and
 * audience are those of the configuration. CLI_OK; CLI_E_NOT_SO, not told, if no key can sign; -ENOMEM. */
int token_make_from_config(const struct token_wish *wish, const struct config *config, struct buffer *ret_token,
						   const char **ret_where) MUST_USE;

#endif
