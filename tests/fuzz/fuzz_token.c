/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte says what the rest is: 'c' claims, signed here with the right key; 'k' keys, of whatever form;
 * else a token.
 */
#include "auth/token.h"
#include "fuzz.h"

#include <errno.h>

#define NOW_MS 1764000000000
#define SECRET SPAN("a secret that signs tokens: 32 b")

static int create(struct span bytes, bool is_published, struct token_keys **ret_keys)
{
	static const struct token_options options = { .leeway_ms = TOKEN_LEEWAY_MS };
	struct token_key_source source = { .bytes = bytes, .where = "here", .is_published = is_published };
	CLEANUP(free) char *warnings = NULL;
	CLEANUP(free) char *message = NULL;
	int r = token_keys_create(&source, 1, &options, ret_keys, &warnings, &message);
	FUZZ_ASSERT(r == 0 || (r == -EINVAL && message && message[0]));
	FUZZ_ASSERT(!warnings || warnings[0]);
	return r;
}

static void check_grant(const struct grant *grant)
{
	FUZZ_ASSERT(grant->n_filters <= TOKEN_MAX_FILTERS && grant->subject && grant->key_id[0]);
	FUZZ_ASSERT(grant->expires_ms + TOKEN_LEEWAY_MS > NOW_MS);
	for (size_t i = 0; i < grant->n_filters; i++)
		FUZZ_ASSERT(grant_allows(grant, &grant->filters[i]));
}

static int verify(const struct token_keys *keys, struct span token)
{
	CLEANUP(grant_unref) struct grant *grant = NULL;
	int outcome = token_verify(keys, token, NOW_MS, &grant);
	FUZZ_ASSERT(outcome >= TOKEN_OK && outcome <= TOKEN_E_GRANTS && (outcome == TOKEN_OK) == (grant != NULL));
	if (grant) {
		check_grant(grant);
		FUZZ_ASSERT(token_keys_has(keys, grant->key_id));
	}
	return outcome;
}

/* Signed as they are: whatever is wrong, it is not the signature. */
static void check_claims(const struct token_keys *keys, struct span claims)
{
	CLEANUP(free) char *token = NULL;
	CLEANUP(free) char *message = NULL;
	int r = token_sign(SECRET, NULL, NULL, claims, &token, &message);
	FUZZ_ASSERT(r == 0 ? token != NULL : r == -EINVAL && message && message[0]);
	if (!token)
		return;
	int outcome = verify(keys, span_text(token));
	FUZZ_ASSERT(outcome != TOKEN_E_SIGNATURE && outcome != TOKEN_E_KEY && outcome != TOKEN_E_ALGORITHM);
}

static void check_keys(struct span bytes)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = NULL;
	CLEANUP(token_keys_unref) struct token_keys *published = NULL;
	CLEANUP(free) char *token = NULL;
	CLEANUP(free) char *message = NULL;
	FUZZ_ASSERT(token_sign(SECRET, NULL, NULL, SPAN("{\"exp\":1764000100,\"belfry\":{\"subscribe\":[{}]}}"), &token,
						   &message) == 0);
	if (create(bytes, false, &keys) == 0)
		(void)verify(keys, span_text(token));
	if (create(bytes, true, &published) == 0) /* what everybody knows signs nothing */
		FUZZ_ASSERT(verify(published, span_text(token)) != TOKEN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct token_keys *keys;
	struct span input = span_of(data, n), rest = n ? span_skip(input, 1) : input;
	if (!keys)
		FUZZ_ASSERT(create(SECRET, false, &keys) == 0);
	if (n && data[0] == 'c')
		check_claims(keys, rest);
	else if (n && data[0] == 'k')
		check_keys(rest);
	else
		(void)verify(keys, input);
	return 0;
}
