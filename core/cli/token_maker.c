/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/token_maker.h"

#include "base/clock.h"
#include "cli/output.h"

#include <errno.h>

/* NULL without memory. */
static char *make_claims(const struct token_wish *wish)
{
	int64_t now_s = clock_wall_ms() / MS_PER_S;
	json_t *filters = wish->filters ? json_incref(wish->filters) : json_pack("[{}]");
	json_t *grants = json_pack("{s:o}", "subscribe", filters);
	if (wish->has_outcomes)
		(void)json_object_set_new(grants, "outcomes", json_true());
	json_t *claims =
		json_pack("{s:s, s:I, s:I, s:o}", "sub", wish->subject ? wish->subject : "belfry", "iat", (json_int_t)now_s,
				  "exp", (json_int_t)(now_s + wish->lifetime_ms / MS_PER_S), "belfry", grants);
	if (wish->issuer)
		(void)json_object_set_new(claims, "iss", json_string(wish->issuer));
	if (wish->audience)
		(void)json_object_set_new(claims, "aud", json_string(wish->audience));
	char *text = claims ? json_dumps(claims, JSON_COMPACT) : NULL;
	json_decref(claims);
	return text;
}

/* 0, -EINVAL with *ret_message, -ENOMEM. */
static int sign(const struct token_wish *wish, struct span key, struct buffer *ret_token, char **ret_message)
{
	CLEANUP(free) char *claims = make_claims(wish);
	char *token = NULL;
	if (!claims)
		return -ENOMEM;
	int r = token_sign(key, wish->algorithm, wish->key_id, span_text(claims), &token, ret_message);
	if (r < 0)
		return r;
	size_t n = strlen(token);
	*ret_token = (struct buffer){ .data = token, .n = n, .cap = n + 1 };
	return 0;
}

int token_make(const struct token_wish *wish, struct span key, struct buffer *ret_token)
{
	CLEANUP(free) char *message = NULL;
	int r = sign(wish, key, ret_token, &message);
	if (r != -EINVAL)
		return r;
	output_complain("%s", message ? message : "the key cannot sign");
	return CLI_E_USAGE;
}

int token_make_from_config(const struct token_wish *wish, const struct config *config, struct buffer *ret_token,
						   const char **ret_where)
{
	struct token_wish complete = *wish;
	complete.issuer = config->subscribers.issuer;
	complete.audience = config->subscribers.audience;
	for (size_t i = 0; i < config->subscribers.n_keys; i++) {
		const struct config_token_key *key = &config->subscribers.keys[i];
		CLEANUP(free) char *message = NULL;
		int r = sign(&complete, span_of(key->bytes.data, key->bytes.n), ret_token, &message);
		if (r == 0)
			*ret_where = key->bytes.origin;
		if (r != -EINVAL)
			return r;
	}
	return CLI_E_NOT_SO;
}
