/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may subscribe: JSON Web Tokens that the application's own backend signed (RFC 7519).
 *
 * The key decides the algorithm, never the token: each key has the list of algorithms that it may be used with, and
 * `alg` of the token must be on it. So `none` and key confusion (an RSA public key used as HMAC secret) cannot happen.
 *
 *     { "sub": "user-42", "exp": 1764000000,
 *       "belfry": { "subscribe": [ { "tags": { "user": "42" } } ], "outcomes": true } }
 */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "wire/filter.h"

/* Longest token that is looked at, in bytes. */
#define TOKEN_MAX_BYTES 8192
/* Of an HS secret. HS384 and HS512 need 48 and 64. */
#define TOKEN_MIN_SECRET_BYTES 32
#define TOKEN_MAX_SECRET_BYTES 1024
/* Filters in one token. */
#define TOKEN_MAX_FILTERS 64
/* Keys that may be live at once; how many of them one token is tried with; bytes of one source of keys. */
#define TOKEN_MAX_KEYS 256
#define TOKEN_MAX_TRIES 16
#define TOKEN_MAX_SOURCE_BYTES (1024 * 1024)

/* What a token allows. Immutable and reference counted. */
struct grant {
	struct filter *filters; /* a subscription must be within one of them */
	size_t n_filters;
	bool has_outcomes;
	char *subject;      /* `sub`, "" if absent */
	int64_t expires_ms; /* `exp`, without leeway; INT64_MAX for anonymous subscribers */
	char *key_id;       /* of the key that signed, for token_keys_has(); "" for anonymous subscribers */
	atomic_uint references;
};

/* Everything, for ever: subscribers.anonymous. 0 or -ENOMEM. */
int grant_create_anonymous(struct grant **ret_grant) MUST_USE;
/* The same for an administrator, let in by what has this key id. */
int grant_create_administrator(const char *key_id, struct grant **ret_grant) MUST_USE;
struct grant *grant_ref(struct grant *grant);
void grant_unref(struct grant *grant);
CLEANUP_DEFINE(struct grant, grant_unref)
/* The filter, and outcomes if it has them. */
bool grant_allows(const struct grant *grant, const struct filter *filter);

/* The keys that are live at one time. Immutable and reference counted; any thread may verify with it. */
struct token_keys;

/*
 * What the bytes are is found out by looking: "-----BEGIN " anywhere is PEM (public keys and certificates, as many as
 * there are; each counts, so give a leaf certificate alone, not its chain), '{' first is a JWK or a JWK set, anything
 * else is an HS secret. Whoever knows a public key could sign with it if it were taken for a secret: so public keys in
 * other clothes (DER, OpenSSH, bare base64) are refused by name, and so are private keys.
 */
struct token_key_source {
	struct span bytes;
	const char *where; /* for messages: "belfry.yaml:31:9" */
	bool is_published; /* fetched from a URL: what is symmetric there is no secret and never taken for one */
};

/* What the daemon and the command line allow clocks to differ by. */
#define TOKEN_LEEWAY_MS 30000

struct token_options {
	const char *issuer, *audience; /* NULL: not checked */
	int64_t leeway_ms;             /* for exp and nbf, clocks differ */
};

/*
 * Reads all keys. A JWK set may hold keys that cannot verify a token (a type that nobody here knows, for encryption,
 * too short, private): they are skipped, with a line in *ret_warnings (NULL if there was nothing to say; the caller
 * frees). A source without any key that can is an error. 0; -EINVAL with *ret_message (the caller frees): what, where,
 * and what would be right; -ENOMEM. No sources at all give an empty set, which verifies nothing.
 */
int token_keys_create(const struct token_key_source *sources, size_t n_sources, const struct token_options *options,
					  struct token_keys **ret_keys, char **ret_warnings, char **ret_message) MUST_USE;
struct token_keys *token_keys_ref(struct token_keys *keys);
void token_keys_unref(struct token_keys *keys);
CLEANUP_DEFINE(struct token_keys, token_keys_unref)
/* Whether the key that signed a grant is still live. The id is made from the key itself, not from its `kid`: another
 * key under an old name is another key. */
bool token_keys_has(const struct token_keys *keys, const char *key_id);

enum token_outcome {
	TOKEN_OK,
	TOKEN_E_MALFORMED, /* not a JWT, too long, no `exp`, claims of the wrong type, `crit` */
	TOKEN_E_ALGORITHM, /* `none`, or one that the key may not be used with */
	TOKEN_E_KEY,       /* no such `kid`, no key at all */
	TOKEN_E_SIGNATURE,
	TOKEN_E_EXPIRED,
	TOKEN_E_NOT_YET,
	TOKEN_E_ISSUER,
	TOKEN_E_AUDIENCE,
	TOKEN_E_GRANTS, /* `belfry.subscribe` is missing or no list of filters, or unknown keys beside it */
};
/* "expired": for the log and metrics; the public only ever hears "token not valid". */
const char *token_outcome_name(enum token_outcome outcome);

/*
 * TOKEN_OK and *ret_grant, another enum token_outcome, or -ENOMEM. now_ms is the wall clock's. Any thread.
 *
 * Which keys are tried: with a `kid`, those that have this very kid; if no key has it, those that have none (PEM files
 * and secrets); never a key with another kid. Without a `kid`, all. Of these, the ones that may be used with the
 * token's `alg`, and no more than TOKEN_MAX_TRIES. Keys that the token itself carries or names (jwk, jku, x5c) are
 * never looked at.
 */
int token_verify(const struct token_keys *keys, struct span token, int64_t now_ms, struct grant **ret_grant) MUST_USE;

/*
 * Makes a token, for the command line and tests: `claims` is a JSON object, key an HS secret, a PEM private key or a
 * JWK with its private part; algorithm NULL picks the key's natural one, key_id NULL the JWK's `kid` if it has one. The
 * text is the caller's. 0, -EINVAL with *ret_message, -ENOMEM.
 */
int token_sign(struct span key, const char *algorithm, const char *key_id, struct span claims, char **ret_token,
			   char **ret_message) MUST_USE;

#endif
