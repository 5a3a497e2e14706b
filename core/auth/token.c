/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifying a token, in this order: shape, header, keys, signature, and only then the claims; nothing that an
 * unauthenticated peer wrote is read further than it must be.
 *
 * jose is asked whether a signature is right, and nothing else. It would take `alg` from the token, let a JWK's `alg`
 * differ from it (libjose 11 compares them with '<'), and does not know `crit`; so by the time it is asked, the header
 * is known to name an algorithm of this very key, and to hold nothing that changes how the token is to be read.
 * What jose refuses for want of memory counts as a wrong signature: refused, which is the safe side.
 */
#include "auth/grant.h"
#include "auth/token_keys.h"

#include "base/clock.h"

#include <errno.h>
#include <jose/jws.h>
#include <openssl/err.h>

/* The end of the year 9999, in seconds. A date beyond it was not given in seconds. */
#define MAX_NUMERIC_DATE 253402300799

/* The three parts as they stand in the token, and what the first two say. */
struct jws {
	struct span header, payload, signature;
	struct buffer header_json, payload_json;
};

static void jws_finish(struct jws *jws)
{
	buffer_finish(&jws->header_json);
	buffer_finish(&jws->payload_json);
}

static inline void jws_finish_cleanup(struct jws *jws)
{
	jws_finish(jws);
}

const char *token_outcome_name(enum token_outcome outcome)
{
	static const char *const names[] = {
		[TOKEN_OK] = "ok",
		[TOKEN_E_MALFORMED] = "malformed",
		[TOKEN_E_ALGORITHM] = "algorithm",
		[TOKEN_E_KEY] = "key",
		[TOKEN_E_SIGNATURE] = "signature",
		[TOKEN_E_EXPIRED] = "expired",
		[TOKEN_E_NOT_YET] = "not_yet",
		[TOKEN_E_ISSUER] = "issuer",
		[TOKEN_E_AUDIENCE] = "audience",
		[TOKEN_E_GRANTS] = "grants",
	};
	return (size_t)outcome < ARRAY_LENGTH(names) ? names[outcome] : "?";
}

/* TOKEN_OK, TOKEN_E_MALFORMED or -ENOMEM, from an encoding_outcome. */
static int as_token_outcome(int r)
{
	return r == ENCODING_E_MALFORMED ? TOKEN_E_MALFORMED : r;
}

/* Exactly three parts, each base64url. */
static int split(struct span token, struct jws *jws)
{
	CLEANUP(buffer_finish) struct buffer signature = BUFFER_INIT;
	if (token.n > TOKEN_MAX_BYTES || !span_next(&token, '.', &jws->header) || !span_next(&token, '.', &jws->payload) ||
		!span_next(&token, '.', &jws->signature) || token.data)
		return TOKEN_E_MALFORMED;
	int r = encoding_read_base64url(jws->header, &jws->header_json);
	if (r == ENCODING_OK)
		r = encoding_read_base64url(jws->payload, &jws->payload_json);
	if (r == ENCODING_OK)
		r = encoding_read_base64url(jws->signature, &signature);
	return as_token_outcome(r);
}

static int read_object(const struct buffer *text, json_t **ret_object)
{
	CLEANUP(json_decref) json_t *json = NULL;
	int r = encoding_read_json(buffer_span(text), &json);
	if (r != ENCODING_OK)
		return as_token_outcome(r);
	if (!json_is_object(json))
		return TOKEN_E_MALFORMED;
	*ret_object = STEAL(json);
	return TOKEN_OK;
}

/* *ret_kid is NULL if the header has none. The texts belong to `header`. */
static int read_header(const json_t *header, unsigned *ret_algorithm, const char **ret_kid)
{
	const json_t *alg = json_object_get(header, "alg"), *kid = json_object_get(header, "kid");
	/* `b64` (RFC 7797) changes what is signed; without `crit` it would have no force, but nobody honest writes it */
	if (!json_is_string(alg) || (kid && !json_is_string(kid)) || json_object_get(header, "crit") ||
		json_object_get(header, "b64"))
		return TOKEN_E_MALFORMED;
	unsigned algorithm = key_algorithm(json_string_value(alg));
	if (!algorithm)
		return TOKEN_E_ALGORITHM;
	*ret_algorithm = algorithm;
	*ret_kid = json_string_value(kid);
	return TOKEN_OK;
}

static bool has_kid(const struct token_keys *keys, const char *kid)
{
	for (size_t i = 0; i < keys->n; i++)
		if (keys->keys[i].kid && strcmp(keys->keys[i].kid, kid) == 0)
			return true;
	return false;
}

static bool is_candidate(const struct key *key, const char *kid, bool is_kid_known)
{
	if (!kid)
		return true;
	if (is_kid_known)
		return key->kid && strcmp(key->kid, kid) == 0;
	return !key->kid;
}

/* TOKEN_OK, TOKEN_E_SIGNATURE or -ENOMEM. */
static int check_signature(const struct jws *jws, const struct key *key)
{
	CLEANUP(key_cfg_destroy) jose_cfg_t *cfg = key_cfg_create();
	CLEANUP(json_decref)
	json_t *json = json_pack("{s:s%, s:s%, s:s%}", "protected", jws->header.data, jws->header.n, "payload",
							 jws->payload.data, jws->payload.n, "signature", jws->signature.data, jws->signature.n);
	if (!cfg || !json)
		return -ENOMEM;
	ERR_set_mark(); /* a wrong signature leaves errors behind that the thread's next TLS call would take for its own */
	bool is_right = jose_jws_ver(cfg, json, NULL, key->jwk, true);
	ERR_pop_to_mark();
	return is_right ? TOKEN_OK : TOKEN_E_SIGNATURE;
}

static int find_signer(const struct token_keys *keys, const struct jws *jws, unsigned algorithm, const char *kid,
					   const struct key **ret_key)
{
	bool is_kid_known = kid && has_kid(keys, kid);
	size_t n_tries = 0;
	int outcome = TOKEN_E_KEY;
	for (size_t i = 0; i < keys->n && n_tries < TOKEN_MAX_TRIES; i++) {
		const struct key *key = &keys->keys[i];
		if (!is_candidate(key, kid, is_kid_known))
			continue;
		if (!(key->algorithms & algorithm)) {
			outcome = n_tries ? outcome : TOKEN_E_ALGORITHM;
			continue;
		}
		n_tries++;
		outcome = check_signature(jws, key);
		if (outcome == TOKEN_OK)
			*ret_key = key;
		if (outcome != TOKEN_E_SIGNATURE)
			break;
	}
	return outcome;
}

/* A NumericDate (RFC 7519 2), which may have a fraction. */
static bool read_date(const json_t *json, int64_t *ret_ms)
{
	double seconds = json_number_value(json);
	if (!json_is_number(json) || !(seconds >= 0 && seconds <= MAX_NUMERIC_DATE))
		return false;
	*ret_ms = json_is_integer(json) ? json_integer_value(json) * MS_PER_S : (int64_t)(seconds * MS_PER_S);
	return true;
}

static bool is_text(const json_t *json, const char *text)
{
	return json_is_string(json) && strcmp(json_string_value(json), text) == 0;
}

/* `aud` is one text or a list of them. */
static bool has_audience(const json_t *aud, const char *audience)
{
	size_t i;
	const json_t *member;
	json_array_foreach(aud, i, member)
	{
		if (is_text(member, audience))
			return true;
	}
	return is_text(aud, audience);
}

static int check_claims(const struct token_keys *keys, const json_t *claims, int64_t now_ms, int64_t *ret_expires_ms)
{
	const json_t *nbf = json_object_get(claims, "nbf"), *sub = json_object_get(claims, "sub");
	int64_t expires_ms, begins_ms = 0;
	if (!read_date(json_object_get(claims, "exp"), &expires_ms) || (nbf && !read_date(nbf, &begins_ms)) ||
		(sub && !json_is_string(sub)))
		return TOKEN_E_MALFORMED;
	if (now_ms >= expires_ms + keys->leeway_ms)
		return TOKEN_E_EXPIRED;
	if (now_ms < begins_ms - keys->leeway_ms)
		return TOKEN_E_NOT_YET;
	if (keys->issuer && !is_text(json_object_get(claims, "iss"), keys->issuer))
		return TOKEN_E_ISSUER;
	if (keys->audience && !has_audience(json_object_get(claims, "aud"), keys->audience))
		return TOKEN_E_AUDIENCE;
	*ret_expires_ms = expires_ms;
	return TOKEN_OK;
}

/* The claims of a token whose signature is right. */
static int grant_claims(const struct token_keys *keys, const struct key *key, const struct buffer *payload,
						int64_t now_ms, struct grant **ret_grant)
{
	CLEANUP(json_decref) json_t *claims = NULL;
	int64_t expires_ms = 0;
	int r = read_object(payload, &claims);
	if (r == TOKEN_OK)
		r = check_claims(keys, claims, now_ms, &expires_ms);
	if (r != TOKEN_OK)
		return r;
	const json_t *sub = json_object_get(claims, "sub");
	return grant_create(json_object_get(claims, "belfry"), sub ? json_string_value(sub) : "", key->id, expires_ms,
						ret_grant);
}

int token_verify(const struct token_keys *keys, struct span token, int64_t now_ms, struct grant **ret_grant)
{
	CLEANUP(jws_finish) struct jws jws = { 0 };
	CLEANUP(json_decref) json_t *header = NULL;
	unsigned algorithm = 0;
	const char *kid = NULL;
	const struct key *key = NULL;
	int r = split(token, &jws);
	if (r == TOKEN_OK)
		r = read_object(&jws.header_json, &header);
	if (r == TOKEN_OK)
		r = read_header(header, &algorithm, &kid);
	if (r == TOKEN_OK)
		r = find_signer(keys, &jws, algorithm, kid, &key);
	return r == TOKEN_OK ? grant_claims(keys, key, &jws.payload_json, now_ms, ret_grant) : r;
}
