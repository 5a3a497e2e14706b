/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/token.h"
#include "token_vectors.h"
#include "unit.h"
#include "wire/digest.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

/* The vectors begin at 1700000000 and end at 4102444800 s. */
#define NOW_MS 1764000000000
#define LEEWAY_MS 30000
#define ISSUER "https://app.example.com"

#define GRANTS "\"belfry\":{\"subscribe\":[{}]}"
#define GOOD_CLAIMS "{\"exp\":1764000100," GRANTS "}"

static const struct token_options no_options = { .leeway_ms = LEEWAY_MS };

static struct token_keys *keys_from(const struct token_key_source *sources, size_t n,
									const struct token_options *options)
{
	struct token_keys *keys = NULL;
	CLEANUP(free) char *warnings = NULL;
	CLEANUP(free) char *message = NULL;
	int r = token_keys_create(sources, n, options, &keys, &warnings, &message);
	if (r != 0)
		fprintf(stderr, "refused: %s\n", message ? message : strerror(-r));
	CU_ASSERT_EQUAL_FATAL(r, 0);
	return keys;
}

static struct token_keys *keys_of(const char *text)
{
	struct token_key_source source = { .bytes = span_text(text), .where = "here" };
	return keys_from(&source, 1, &no_options);
}

/* What comes of a token with these keys; the grant is not looked at. */
static int verify_at(const struct token_keys *keys, struct span token, int64_t now_ms)
{
	CLEANUP(grant_unref) struct grant *grant = NULL;
	int outcome = token_verify(keys, token, now_ms, &grant);
	CU_ASSERT_EQUAL(outcome == TOKEN_OK, grant != NULL);
	return outcome;
}

static int verify(const char *key, const char *token)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(key);
	return verify_at(keys, span_text(token), NOW_MS);
}

/* A token of any header and payload, rightly signed with SECRET. */
static char *forge(struct span header, struct span payload)
{
	CLEANUP(hmac_key_destroy) struct hmac_key *hmac = NULL;
	CLEANUP(buffer_finish) struct buffer token = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	base64url_add(&token, header.data, header.n);
	buffer_add_char(&token, '.');
	base64url_add(&token, payload.data, payload.n);
	CU_ASSERT_EQUAL_FATAL(hmac_key_create(SPAN(SECRET), &hmac), 0);
	CU_ASSERT_EQUAL_FATAL(hmac_key_sign(hmac, buffer_span(&token), digest), 0);
	buffer_add_char(&token, '.');
	base64url_add(&token, digest, sizeof digest);
	return buffer_steal_text(&token);
}

static int verify_header(const char *header)
{
	CLEANUP(free) char *token = forge(span_text(header), SPAN(GOOD_CLAIMS));
	return verify(SECRET, token);
}

static int verify_claims_with(const char *claims, const struct token_options *options)
{
	struct token_key_source source = { .bytes = SPAN(SECRET), .where = "here" };
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_from(&source, 1, options);
	CLEANUP(free) char *token = forge(SPAN("{\"alg\":\"HS256\"}"), span_text(claims));
	return verify_at(keys, span_text(token), NOW_MS);
}

static int verify_claims(const char *claims)
{
	return verify_claims_with(claims, &no_options);
}

/* The public part of one key, and what somebody else's code signed with the private one. */
static const struct {
	const char *key, *token;
} good[] = {
	{ SECRET, TOKEN_HS256 },
	{ SECRET, TOKEN_HS384 },
	{ SECRET, TOKEN_HS512 },
	{ RSA_PUBLIC, TOKEN_RS256 },
	{ RSA_PUBLIC, TOKEN_RS384 },
	{ RSA_PUBLIC, TOKEN_RS512 },
	{ RSA_PUBLIC, TOKEN_PS256 },
	{ RSA_PUBLIC, TOKEN_PS384 },
	{ RSA_PUBLIC, TOKEN_PS512 },
	{ RSA_PUBLIC_PKCS1, TOKEN_RS256 },
	{ RSA_CERTIFICATE, TOKEN_RS256 },
	{ "Certificate:\n    Data:\n" RSA_CERTIFICATE, TOKEN_RS256 },
	{ EC_256_PUBLIC RSA_PUBLIC, TOKEN_RS256 },
	{ EC_256_PUBLIC RSA_PUBLIC, TOKEN_ES256 },
	{ EC_256_PUBLIC, TOKEN_ES256 },
	{ EC_384_PUBLIC, TOKEN_ES384 },
	{ EC_512_PUBLIC, TOKEN_ES512 },
	{ "{" RSA_JWK "}", TOKEN_PS256 },
	{ " \r\n{" EC_256_JWK "}", TOKEN_ES256 },
	{ "{" EC_384_JWK "}", TOKEN_ES384 },
	{ "{" EC_512_JWK "}", TOKEN_ES512 },
	{ "{\"keys\":[{" EC_256_JWK "},{" RSA_JWK "}]}", TOKEN_RS512 },
	{ "{" RSA_JWK ",\"use\":\"sig\",\"alg\":\"RS256\",\"key_ops\":[\"verify\"]}", TOKEN_RS256 },
};

static void test_accepts_what_others_signed(void)
{
	for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
		int outcome = verify(good[i].key, good[i].token);
		if (outcome != TOKEN_OK)
			fprintf(stderr, "good[%zu]: %s\n", i, token_outcome_name((enum token_outcome)outcome));
		CU_ASSERT_EQUAL(outcome, TOKEN_OK);
	}
}

/* The RFCs' examples are no subscribers': a right signature shows in what is missed next. */
static void test_accepts_the_rfcs_examples(void)
{
	static const struct {
		const char *jwk, *token;
		int64_t now_ms;
		int outcome;
	} examples[] = {
		{ "{" RFC7515_A1_JWK "}", RFC7515_A1, 1300819379000, TOKEN_E_GRANTS },
		{ "{" RFC7515_A2_JWK "}", RFC7515_A2, 1300819379000, TOKEN_E_GRANTS },
		{ "{" RFC7515_A3_JWK "}", RFC7515_A3, 1300819379000, TOKEN_E_GRANTS },
		{ "{" RFC7515_A3_JWK "}", RFC7515_A3, NOW_MS, TOKEN_E_EXPIRED },
		{ "{" RFC7520_4_1_JWK "}", RFC7520_4_1, NOW_MS, TOKEN_E_MALFORMED },
		{ "{" RFC7520_4_2_JWK "}", RFC7520_4_2, NOW_MS, TOKEN_E_MALFORMED },
		{ "{" RFC7520_4_3_JWK "}", RFC7520_4_3, NOW_MS, TOKEN_E_MALFORMED },
		{ "{" RFC7520_4_4_JWK "}", RFC7520_4_4, NOW_MS, TOKEN_E_MALFORMED },
		{ "{" RSA_JWK "}", RFC7515_A2, 1300819379000, TOKEN_E_SIGNATURE },
		{ "{" RSA_JWK "}", RFC7520_4_1, NOW_MS, TOKEN_E_SIGNATURE },
		{ "{" EC_512_JWK "}", RFC7520_4_3, NOW_MS, TOKEN_E_SIGNATURE },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(examples); i++) {
		CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(examples[i].jwk);
		CU_ASSERT_EQUAL(verify_at(keys, span_text(examples[i].token), examples[i].now_ms), examples[i].outcome);
	}
}

static bool allows_user(const struct grant *grant, struct span user)
{
	const char *reason = NULL;
	CLEANUP(filter_finish) struct filter filter;
	filter_init(&filter);
	CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("user"), user, &reason), FILTER_OK);
	return grant_allows(grant, &filter);
}

static void test_grants_what_the_token_says(void)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(RSA_PUBLIC);
	CLEANUP(grant_unref) struct grant *grant = NULL;
	CU_ASSERT_EQUAL_FATAL(token_verify(keys, SPAN(TOKEN_RS256), NOW_MS, &grant), TOKEN_OK);
	CU_ASSERT_STRING_EQUAL(grant->subject, "user-42");
	CU_ASSERT_EQUAL(grant->expires_ms, 4102444800000);
	CU_ASSERT_EQUAL(grant->n_filters, 1);
	CU_ASSERT_TRUE(grant->has_outcomes);
	CU_ASSERT_TRUE(allows_user(grant, SPAN("42")));
	CU_ASSERT_FALSE(allows_user(grant, SPAN("43")));
	CLEANUP(filter_finish) struct filter everything;
	filter_init(&everything);
	CU_ASSERT_FALSE(grant_allows(grant, &everything));
	CU_ASSERT_STRING_EQUAL(grant->key_id, RSA_THUMBPRINT);
}

static void test_outcomes_are_granted_apart(void)
{
	CLEANUP(grant_unref) struct grant *grant = NULL;
	CLEANUP(filter_finish) struct filter filter;
	filter_init(&filter);
	filter.has_outcomes = true;
	CU_ASSERT_EQUAL_FATAL(grant_create_anonymous(&grant), 0);
	CU_ASSERT_TRUE(grant_allows(grant, &filter));
	grant->has_outcomes = false;
	CU_ASSERT_FALSE(grant_allows(grant, &filter));
	filter.has_outcomes = false;
	CU_ASSERT_TRUE(grant_allows(grant, &filter));
}

static void test_anonymous_may_everything(void)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(RSA_PUBLIC);
	CLEANUP(grant_unref) struct grant *grant = NULL;
	CLEANUP(filter_finish) struct filter everything;
	filter_init(&everything);
	CU_ASSERT_EQUAL_FATAL(grant_create_anonymous(&grant), 0);
	CU_ASSERT_TRUE(grant_allows(grant, &everything));
	CU_ASSERT_TRUE(grant->has_outcomes);
	CU_ASSERT_EQUAL(grant->expires_ms, INT64_MAX);
	CU_ASSERT_FALSE(token_keys_has(keys, grant->key_id));
	grant_unref(grant_ref(grant));
}

static void test_knows_its_keys(void)
{
	struct token_key_source sources[] = {
		{ .bytes = SPAN(SECRET), .where = "a" },
		{ .bytes = SPAN(EC_256_PUBLIC EC_384_PUBLIC), .where = "b" },
		{ .bytes = SPAN("{" RFC7638_JWK "}"), .where = "c" },
		{ .bytes = SPAN("{" EC_512_JWK "}"), .where = "d" },
	};
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_from(sources, ARRAY_LENGTH(sources), &no_options);
	CU_ASSERT_TRUE(token_keys_has(keys, EC_256_THUMBPRINT));
	CU_ASSERT_TRUE(token_keys_has(keys, EC_384_THUMBPRINT));
	CU_ASSERT_TRUE(token_keys_has(keys, EC_512_THUMBPRINT));
	CU_ASSERT_TRUE(token_keys_has(keys, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
	CU_ASSERT_FALSE(token_keys_has(keys, RSA_THUMBPRINT));
	CU_ASSERT_FALSE(token_keys_has(keys, "2011-04-29"));
	CU_ASSERT_FALSE(token_keys_has(keys, ""));
}

/* A session must end when its key goes, and must not when the key only changes its clothes. */
static void test_a_removed_key_is_gone(void)
{
	CLEANUP(token_keys_unref) struct token_keys *before = keys_of(SECRET);
	CLEANUP(token_keys_unref)
	struct token_keys *other = keys_of("Another secret that is as long as it must be, or longer.");
	CLEANUP(token_keys_unref)
	struct token_keys *same =
		keys_of("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"x\",\"k\":"
				"\"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZywgYW5kIG5vYm9keSBpcyB0b2xkLg\"}]}");
	CLEANUP(grant_unref) struct grant *grant = NULL;
	CU_ASSERT_EQUAL_FATAL(token_verify(before, SPAN(TOKEN_HS256), NOW_MS, &grant), TOKEN_OK);
	CU_ASSERT_TRUE(token_keys_has(before, grant->key_id));
	CU_ASSERT_TRUE(token_keys_has(same, grant->key_id));
	CU_ASSERT_FALSE(token_keys_has(other, grant->key_id));
}

/* The key decides: whatever `alg` says, it must be one of the key's own. */
static void test_refuses_other_algorithms(void)
{
	CU_ASSERT_EQUAL(verify_header("{\"alg\":\"HS256\"}"), TOKEN_OK); /* so the rest fails for its own reason */
	static const char *const headers[] = {
		"{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",   "{\"alg\":\"nOnE\"}",    "{\"alg\":\"\"}",
		"{\"alg\":\"hs256\"}", "{\"alg\":\"HS256 \"}", "{\"alg\":\"RS256\"}",   "{\"alg\":\"ES256\"}",
		"{\"alg\":\"EdDSA\"}", "{\"alg\":\"dir\"}",    "{\"alg\":\"A128GCM\"}", "{\"alg\":\"HS1\"}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		CU_ASSERT_EQUAL(verify_header(headers[i]), TOKEN_E_ALGORITHM);
	/* without a signature, as `none` is meant; "eyJhbGciOiJub25lIn0" is {"alg":"none"} */
	CU_ASSERT_EQUAL(verify(SECRET, "eyJhbGciOiJub25lIn0.e30."), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify(RSA_PUBLIC, "eyJhbGciOiJub25lIn0.e30."), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify("{" RSA_JWK ",\"alg\":\"PS256\"}", TOKEN_RS256), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify("{" RSA_JWK ",\"alg\":\"RS256\"}", TOKEN_PS256), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify("{" RSA_JWK ",\"alg\":\"RS256\"}", TOKEN_RS512), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify(EC_256_PUBLIC, TOKEN_ES384), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify(EC_384_PUBLIC, TOKEN_ES256), TOKEN_E_ALGORITHM);
}

/* HS256 with a secret of 47 bytes is right; HS384 with it would be too short a key. */
static void test_short_secrets_have_fewer_algorithms(void)
{
	static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcde";
	CLEANUP(free) char *message = NULL;
	CLEANUP(free) char *token = NULL;
	CU_ASSERT_EQUAL_FATAL(token_sign(span_text(secret), NULL, NULL, SPAN(GOOD_CLAIMS), &token, &message), 0);
	CU_ASSERT_EQUAL(verify(secret, token), TOKEN_OK);
	CU_ASSERT_EQUAL(verify(secret, TOKEN_HS384), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify(secret, TOKEN_HS512), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(token_sign(span_text(secret), "HS384", NULL, SPAN(GOOD_CLAIMS), &token, &message), -EINVAL);
}

/* The public key, which everybody has, as an HMAC secret: the file as it is, and its DER. */
static void test_refuses_key_confusion(void)
{
	CLEANUP(hmac_key_destroy) struct hmac_key *hmac = NULL;
	CLEANUP(buffer_finish) struct buffer token = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	buffer_add_text(&token, "eyJhbGciOiJIUzI1NiJ9."); /* {"alg":"HS256"} */
	base64url_add(&token, GOOD_CLAIMS, strlen(GOOD_CLAIMS));
	CU_ASSERT_EQUAL_FATAL(hmac_key_create(SPAN(RSA_PUBLIC), &hmac), 0);
	CU_ASSERT_EQUAL_FATAL(hmac_key_sign(hmac, buffer_span(&token), digest), 0);
	buffer_add_char(&token, '.');
	base64url_add(&token, digest, sizeof digest);
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(RSA_PUBLIC);
	CU_ASSERT_EQUAL(verify_at(keys, buffer_span(&token), NOW_MS), TOKEN_E_ALGORITHM);
}

static void test_refuses_strange_headers(void)
{
	CU_ASSERT_EQUAL(verify_header("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"any\",\"jku\":\"http://x\"}"),
					TOKEN_OK);
	static const char *const headers[] = {
		"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
		"{\"alg\":\"HS256\",\"crit\":[]}",
		"{\"alg\":\"HS256\",\"crit\":null}",
		"{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}",
		"{\"alg\":\"HS256\",\"b64\":false}",
		"{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
		"{\"alg\":\"none\",\"alg\":\"HS256\"}",
		"{\"alg\":[\"HS256\"]}",
		"{\"alg\":null}",
		"{\"typ\":\"JWT\"}",
		"{\"alg\":\"HS256\",\"kid\":7}",
		"{\"alg\":\"HS256\",\"kid\":null}",
		"{\"alg\":\"HS256\\u0000\"}",
		"{\"alg\":\"HS256\"} ,",
		"{\"alg\":\"HS256\"",
		"[\"HS256\"]",
		"\"HS256\"",
		"null",
		"",
		"{\"alg\":\"HS256\",\"x\":\"\xff\"}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		CU_ASSERT_EQUAL(verify_header(headers[i]), TOKEN_E_MALFORMED);
}

static char *sign_with(const char *key, const char *key_id)
{
	char *token = NULL, *message = NULL;
	CU_ASSERT_EQUAL_FATAL(token_sign(span_text(key), NULL, key_id, SPAN(GOOD_CLAIMS), &token, &message), 0);
	return token;
}

static int verify_kid(const struct token_keys *keys, const char *private_key, const char *kid)
{
	CLEANUP(free) char *token = sign_with(private_key, kid);
	return verify_at(keys, span_text(token), NOW_MS);
}

static void test_a_kid_chooses_the_key(void)
{
	CLEANUP(token_keys_unref)
	struct token_keys *keys = keys_of("{\"keys\":[{" RSA_JWK ",\"kid\":\"r\"},{" EC_256_JWK
									  ",\"kid\":\"e\"},{" EC_384_JWK ",\"kid\":\"e\"}]}");
	CU_ASSERT_EQUAL(verify_kid(keys, RSA_PRIVATE, "r"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, EC_256_PRIVATE, "e"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, EC_384_PRIVATE, "e"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, RSA_PRIVATE, NULL), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, EC_256_PRIVATE, NULL), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, RSA_PRIVATE, "e"), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify_kid(keys, "{" RFC7515_A3_JWK_PRIVATE "}", "e"), TOKEN_E_SIGNATURE);
	static const char *const unknown[] = { "x", "", "R", "r ", "../../x", "../../../dev/null", "' OR 1=1 --", "r\n" };
	for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++)
		CU_ASSERT_EQUAL(verify_kid(keys, RSA_PRIVATE, unknown[i]), TOKEN_E_KEY);
}

static void test_a_strange_kid_falls_back_to_keys_without(void)
{
	struct token_key_source sources[] = {
		{ .bytes = SPAN("{" RSA_JWK ",\"kid\":\"r\"}"), .where = "a" },
		{ .bytes = SPAN(EC_256_PUBLIC), .where = "b" },
	};
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_from(sources, 2, &no_options);
	CU_ASSERT_EQUAL(verify_kid(keys, EC_256_PRIVATE, "anything"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, EC_256_PRIVATE, NULL), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, RSA_PRIVATE, "r"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_kid(keys, RSA_PRIVATE, "anything"), TOKEN_E_ALGORITHM); /* never the key of another kid */
	CU_ASSERT_EQUAL(verify_kid(keys, EC_256_PRIVATE, "r"), TOKEN_E_ALGORITHM);     /* never past the key of this kid */
}

static void test_no_keys_verify_nothing(void)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_from(NULL, 0, &no_options);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_RS256), NOW_MS), TOKEN_E_KEY);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN("eyJhbGciOiJub25lIn0.e30."), NOW_MS), TOKEN_E_ALGORITHM);
	CU_ASSERT_FALSE(token_keys_has(keys, RSA_THUMBPRINT));
}

/* SECRET's key is the `n`-th of its kind. */
static int verify_behind(size_t n)
{
	CLEANUP(buffer_finish) struct buffer set = BUFFER_INIT;
	buffer_add_text(&set, "{\"keys\":[");
	for (size_t i = 0; i < n; i++) {
		uint8_t secret[64] = { (uint8_t)i };
		buffer_add_text(&set, i ? ",{\"kty\":\"oct\",\"k\":\"" : "{\"kty\":\"oct\",\"k\":\"");
		if (i + 1 == n)
			base64url_add(&set, SECRET, strlen(SECRET));
		else
			base64url_add(&set, secret, sizeof secret);
		buffer_add_text(&set, "\"}");
	}
	buffer_add_text(&set, "]}");
	CLEANUP(free) char *text = buffer_steal_text(&set);
	return verify(text, TOKEN_HS256);
}

static void test_tries_are_bounded(void)
{
	CU_ASSERT_EQUAL(verify_behind(1), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_behind(TOKEN_MAX_TRIES), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_behind(TOKEN_MAX_TRIES + 1), TOKEN_E_SIGNATURE);
}

/* No byte of a token can be changed: in each place another character of the alphabet, a bad one, or none. */
static void test_refuses_any_change(void)
{
	static const struct {
		const char *key, *token;
	} victims[] = { { SECRET, TOKEN_HS256 }, { RSA_PUBLIC, TOKEN_RS256 }, { EC_256_PUBLIC, TOKEN_ES256 } };
	for (size_t v = 0; v < ARRAY_LENGTH(victims); v++) {
		CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(victims[v].key);
		CLEANUP(free) char *token = span_dup(span_text(victims[v].token));
		size_t n = strlen(token), n_accepted = 0;
		for (size_t i = 0; i < n; i++) {
			char right = token[i];
			token[i] = right == 'A' ? 'B' : 'A';
			n_accepted += verify_at(keys, span_of(token, n), NOW_MS) == TOKEN_OK;
			token[i] = '=';
			n_accepted += verify_at(keys, span_of(token, n), NOW_MS) == TOKEN_OK;
			token[i] = right;
			n_accepted += verify_at(keys, span_of(token, i), NOW_MS) == TOKEN_OK;
		}
		CU_ASSERT_EQUAL(n_accepted, 0);
		CU_ASSERT_EQUAL(verify_at(keys, span_of(token, n), NOW_MS), TOKEN_OK);
	}
}

/* The last character of 43 carries two bits that mean nothing, of 86 four: only one of its spellings is right. */
static void test_refuses_loose_bits(void)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(SECRET);
	CLEANUP(free) char *token = span_dup(SPAN(TOKEN_HS256));
	size_t n = strlen(token), n_accepted = 0;
	for (size_t i = 0; i < 64; i++) {
		token[n - 1] = alphabet[i];
		n_accepted += verify_at(keys, span_of(token, n), NOW_MS) == TOKEN_OK;
	}
	CU_ASSERT_EQUAL(n_accepted, 1);
}

static void test_refuses_other_shapes(void)
{
	static const char *const shapes[] = {
		"",
		".",
		"..",
		"...",
		"a",
		"a.b",
		"a.b.c",
		TOKEN_HS256 ".",
		TOKEN_HS256 ".e30",
		"." TOKEN_HS256,
		TOKEN_HS256 "=",
		TOKEN_HS256 "\n",
		" " TOKEN_HS256,
		"Bearer " TOKEN_HS256,
		"eyJhbGciOiJIUzI1NiJ9..",
		/* the JSON serializations of JWS */
		"{\"protected\":\"eyJhbGciOiJIUzI1NiJ9\",\"payload\":\"e30\",\"signature\":\"AAAA\"}",
		"{\"payload\":\"e30\",\"signatures\":[]}",
		/* five parts: JWE */
		"eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA",
		"eyJhbGciOiJIUzI1NiJ9.e30.AAAA.AAAA",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
		int outcome = verify(SECRET, shapes[i]);
		CU_ASSERT_TRUE(outcome == TOKEN_E_MALFORMED || (i == 14 && outcome == TOKEN_E_SIGNATURE));
	}
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(SECRET);
	CU_ASSERT_EQUAL(verify_at(keys, (struct span){ NULL, 0 }, NOW_MS), TOKEN_E_MALFORMED);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN("eyJhbGciOiJIUzI1NiJ9\0.e30.AAAA"), NOW_MS), TOKEN_E_MALFORMED);
}

static int verify_padded(size_t n_padding)
{
	CLEANUP(buffer_finish) struct buffer claims = BUFFER_INIT;
	buffer_add_text(&claims, "{\"exp\":1764000100," GRANTS ",\"x\":\"");
	for (size_t i = 0; i < n_padding; i++)
		buffer_add_char(&claims, 'x');
	buffer_add_text(&claims, "\"}");
	CLEANUP(free) char *text = buffer_steal_text(&claims);
	return verify_claims(text);
}

static void test_refuses_the_huge(void)
{
	CU_ASSERT_EQUAL(verify_padded(6000), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_padded(6200), TOKEN_E_MALFORMED);
	CU_ASSERT_EQUAL(verify_padded(1 << 20), TOKEN_E_MALFORMED);
	/* brackets as deep as fit */
	char deep[6001];
	memset(deep, '[', sizeof deep - 1);
	deep[sizeof deep - 1] = '\0';
	CU_ASSERT_EQUAL(verify_header(deep), TOKEN_E_MALFORMED);
	CU_ASSERT_EQUAL(verify_claims(deep), TOKEN_E_MALFORMED);
}

static int verify_signature(const char *key, const char *token, struct span signature)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	const char *dot = strrchr(token, '.');
	buffer_add(&text, span_of(token, (size_t)(dot - token) + 1));
	base64url_add(&text, signature.data, signature.n);
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(key);
	return verify_at(keys, buffer_span(&text), NOW_MS);
}

/* Of every length, of zeros ("psychic", CVE-2022-21449) and of ones. */
static void test_refuses_made_up_signatures(void)
{
	static const size_t lengths[] = {
		0, 1, 31, 32, 33, 47, 48, 63, 64, 65, 96, 128, 131, 132, 133, 255, 256, 257, 512
	};
	static const struct {
		const char *key, *token;
	} victims[] = {
		{ SECRET, TOKEN_HS256 },        { SECRET, TOKEN_HS512 },        { RSA_PUBLIC, TOKEN_RS256 },
		{ RSA_PUBLIC, TOKEN_PS512 },    { EC_256_PUBLIC, TOKEN_ES256 }, { EC_384_PUBLIC, TOKEN_ES384 },
		{ EC_512_PUBLIC, TOKEN_ES512 },
	};
	char zeros[512] = { 0 }, ones[512];
	memset(ones, 0xff, sizeof ones);
	for (size_t v = 0; v < ARRAY_LENGTH(victims); v++)
		for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
			struct span zero = span_of(zeros, lengths[i]), one = span_of(ones, lengths[i]);
			CU_ASSERT_EQUAL(verify_signature(victims[v].key, victims[v].token, zero), TOKEN_E_SIGNATURE);
			CU_ASSERT_EQUAL(verify_signature(victims[v].key, victims[v].token, one), TOKEN_E_SIGNATURE);
		}
}

/* r and s equal to the order of P-256, and the DER form of a signature where r || s belongs. */
static void test_refuses_strange_ecdsa(void)
{
	static const char order[] = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"
								"\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";
	char twice[64];
	memcpy(twice, order, 32);
	memcpy(twice + 32, order, 32);
	CU_ASSERT_EQUAL(verify_signature(EC_256_PUBLIC, TOKEN_ES256, span_of(twice, 64)), TOKEN_E_SIGNATURE);
	CU_ASSERT_EQUAL(verify_signature(EC_256_PUBLIC, TOKEN_ES256, SPAN("\x30\x06\x02\x01\x01\x02\x01\x01")),
					TOKEN_E_SIGNATURE);
}

/* OpenSSL keeps a thread's errors in a queue that TLS looks into; none of ours may stay there. */
static void test_leaves_no_errors_behind(void)
{
	char zeros[256] = { 0 };
	ERR_clear_error();
	CU_ASSERT_EQUAL(verify_signature(RSA_PUBLIC, TOKEN_RS256, span_of(zeros, 256)), TOKEN_E_SIGNATURE);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	CU_ASSERT_EQUAL(verify_signature(EC_256_PUBLIC, TOKEN_ES256, span_of(zeros, 64)), TOKEN_E_SIGNATURE);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	CU_ASSERT_EQUAL(verify(RSA_PUBLIC EC_256_PUBLIC, TOKEN_RS256), TOKEN_OK);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	ERR_raise(ERR_LIB_USER, 42); /* somebody else's stays */
	CU_ASSERT_EQUAL(verify_signature(RSA_PUBLIC, TOKEN_RS256, span_of(zeros, 256)), TOKEN_E_SIGNATURE);
	CU_ASSERT_EQUAL(ERR_GET_REASON(ERR_peek_last_error()), 42);
	ERR_clear_error();
}

static void test_refuses_dates(void)
{
	CU_ASSERT_EQUAL(verify_claims("{\"exp\":1764000001," GRANTS "}"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_claims("{\"exp\":1764000001.25," GRANTS "}"), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_claims("{\"exp\":1.764e9,\"nbf\":1.7e9," GRANTS "}"), TOKEN_OK);
	static const char *const malformed[] = {
		"{" GRANTS "}",
		"{\"exp\":\"1764000100\"," GRANTS "}",
		"{\"exp\":null," GRANTS "}",
		"{\"exp\":true," GRANTS "}",
		"{\"exp\":[1764000100]," GRANTS "}",
		"{\"exp\":-1," GRANTS "}",
		"{\"exp\":-1764000100.5," GRANTS "}",
		"{\"exp\":1e400," GRANTS "}",
		"{\"exp\":NaN," GRANTS "}",
		"{\"exp\":Infinity," GRANTS "}",
		"{\"exp\":1e300," GRANTS "}",
		"{\"exp\":253402300800," GRANTS "}",
		"{\"exp\":1764000100000," GRANTS "}", /* in milliseconds */
		"{\"exp\":9223372036854775807," GRANTS "}",
		"{\"exp\":9223372036854775808," GRANTS "}",
		"{\"exp\":1764000100,\"exp\":1764000200," GRANTS "}",
		"{\"exp\":1764000100,\"nbf\":\"1\"," GRANTS "}",
		"{\"exp\":1764000100,\"nbf\":-5," GRANTS "}",
		"{\"exp\":1764000100,\"nbf\":null," GRANTS "}",
		"{\"exp\":1764000100,\"sub\":42," GRANTS "}",
		"{\"exp\":1764000100,\"sub\":\"a\\u0000b\"," GRANTS "}",
		"{\"exp\":1764000100," GRANTS "} x",
		"[]",
		"\"exp\"",
		"",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++)
		CU_ASSERT_EQUAL(verify_claims(malformed[i]), TOKEN_E_MALFORMED);
}

/* The leeway to the millisecond, at both ends. */
static void test_time_has_edges(void)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_of(SECRET);
	int64_t begin_ms = 1700000000000, end_ms = 4102444800000;
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), begin_ms - LEEWAY_MS), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), begin_ms - LEEWAY_MS - 1), TOKEN_E_NOT_YET);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), 0), TOKEN_E_NOT_YET);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), end_ms + LEEWAY_MS - 1), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), end_ms + LEEWAY_MS), TOKEN_E_EXPIRED);
	CU_ASSERT_EQUAL(verify_claims("{\"exp\":0," GRANTS "}"), TOKEN_E_EXPIRED);
	CU_ASSERT_EQUAL(verify_claims("{\"exp\":1763999969," GRANTS "}"), TOKEN_E_EXPIRED);
	CU_ASSERT_EQUAL(verify_claims("{\"exp\":1763999971," GRANTS "}"), TOKEN_OK);
}

static void test_issuer_and_audience(void)
{
	struct token_options both = { .issuer = ISSUER, .audience = "belfry", .leeway_ms = LEEWAY_MS };
	struct token_options issuer = { .issuer = ISSUER }, audience = { .audience = "belfry" };
	CU_ASSERT_EQUAL(verify_claims_with(CLAIMS, &both), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_claims_with(GOOD_CLAIMS, &issuer), TOKEN_E_ISSUER);
	CU_ASSERT_EQUAL(verify_claims_with(GOOD_CLAIMS, &audience), TOKEN_E_AUDIENCE);
	static const char *const issuers[] = {
		"\"https://app.example.com/\"",  "\"HTTPS://app.example.com\"",     "\"\"", "null",
		"[\"https://app.example.com\"]", "\"https://app.example.com.evil\""
	};
	static const char *const audiences[] = {
		"\"belfry2\"", "\"Belfry\"", "\"\"", "null", "[]", "[\"a\",\"b\"]", "[[\"belfry\"]]", "{\"belfry\":\"belfry\"}",
		"[null]",      "true"
	};
	static const char *const right[] = { "\"belfry\"", "[\"belfry\"]", "[\"a\",\"belfry\",7]" };
	char claims[256];
	for (size_t i = 0; i < ARRAY_LENGTH(issuers); i++) {
		(void)snprintf(claims, sizeof claims, "{\"exp\":1764000100,\"iss\":%s," GRANTS "}", issuers[i]);
		CU_ASSERT_EQUAL(verify_claims_with(claims, &issuer), TOKEN_E_ISSUER);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(audiences); i++) {
		(void)snprintf(claims, sizeof claims, "{\"exp\":1764000100,\"aud\":%s," GRANTS "}", audiences[i]);
		CU_ASSERT_EQUAL(verify_claims_with(claims, &audience), TOKEN_E_AUDIENCE);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(right); i++) {
		(void)snprintf(claims, sizeof claims, "{\"exp\":1764000100,\"aud\":%s," GRANTS "}", right[i]);
		CU_ASSERT_EQUAL(verify_claims_with(claims, &audience), TOKEN_OK);
	}
}

static int verify_grants(const char *belfry)
{
	CLEANUP(buffer_finish) struct buffer claims = BUFFER_INIT;
	buffer_add_text(&claims, "{\"exp\":1764000100");
	buffer_add_text(&claims, belfry);
	buffer_add_text(&claims, "}");
	CLEANUP(free) char *text = buffer_steal_text(&claims);
	return verify_claims(text);
}

static void test_refuses_malformed_grants(void)
{
	CU_ASSERT_EQUAL(verify_grants(",\"belfry\":{\"subscribe\":[]}"), TOKEN_OK); /* may listen to nothing */
	CU_ASSERT_EQUAL(verify_grants(",\"belfry\":{\"subscribe\":[{}],\"outcomes\":false}"), TOKEN_OK);
	static const char *const malformed[] = {
		"",
		",\"belfry\":null",
		",\"belfry\":true",
		",\"belfry\":[{}]",
		",\"belfry\":\"*\"",
		",\"belfry\":{}",
		",\"Belfry\":{\"subscribe\":[{}]}",
		",\"belfry\":{\"outcomes\":true}",
		",\"belfry\":{\"subscribe\":{}}",
		",\"belfry\":{\"subscribe\":null}",
		",\"belfry\":{\"subscribe\":\"*\"}",
		",\"belfry\":{\"subscribe\":[null]}",
		",\"belfry\":{\"subscribe\":[\"*\"]}",
		",\"belfry\":{\"subscribe\":[[]]}",
		",\"belfry\":{\"subscribe\":[{},7]}",
		",\"belfry\":{\"subscribe\":[{\"tag\":{\"user\":\"42\"}}]}",
		",\"belfry\":{\"subscribe\":[{\"tags\":{\"user\":42}}]}",
		",\"belfry\":{\"subscribe\":[{\"tags\":{\"user\":[]}}]}",
		",\"belfry\":{\"subscribe\":[{\"interactions\":\"*_x\"}]}",
		",\"belfry\":{\"subscribe\":[{}],\"outcomes\":1}",
		",\"belfry\":{\"subscribe\":[{}],\"outcomes\":\"true\"}",
		",\"belfry\":{\"subscribe\":[{}],\"outcomes\":null}",
		",\"belfry\":{\"subscribe\":[{}],\"except\":[{}]}",
		",\"belfry\":{\"subscribe\":[{}],\"outcomes\":true,\"except\":[{}]}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++)
		CU_ASSERT_EQUAL(verify_grants(malformed[i]), TOKEN_E_GRANTS);
}

static int verify_n_filters(size_t n)
{
	CLEANUP(buffer_finish) struct buffer claims = BUFFER_INIT;
	buffer_add_text(&claims, ",\"belfry\":{\"subscribe\":[");
	for (size_t i = 0; i < n; i++)
		buffer_add_text(&claims, i ? ",{}" : "{}");
	buffer_add_text(&claims, "]}");
	CLEANUP(free) char *text = buffer_steal_text(&claims);
	return verify_grants(text);
}

static void test_filters_are_bounded(void)
{
	CU_ASSERT_EQUAL(verify_n_filters(TOKEN_MAX_FILTERS), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_n_filters(TOKEN_MAX_FILTERS + 1), TOKEN_E_GRANTS);
}

/* A claim is not looked at before the signature is known to be right. */
static void test_signature_comes_first(void)
{
	CLEANUP(free) char *token = forge(SPAN("{\"alg\":\"HS256\"}"), SPAN("no JSON at all"));
	CU_ASSERT_EQUAL(verify(SECRET, token), TOKEN_E_MALFORMED);
	token[strlen(token) - 2] ^= 1;
	CU_ASSERT_EQUAL(verify(SECRET, token), TOKEN_E_SIGNATURE);
}

/* The whole message that this source is refused with; `part` must be in it. */
static void refuse(struct token_key_source source, const char *part)
{
	struct token_keys *keys = NULL;
	char *warnings = NULL;
	CLEANUP(free) char *message = NULL;
	source.where = "belfry.yaml:31:9";
	int r = token_keys_create(&source, 1, &no_options, &keys, &warnings, &message);
	CU_ASSERT_EQUAL_FATAL(r, -EINVAL);
	CU_ASSERT_PTR_NULL(keys);
	CU_ASSERT_PTR_NULL(warnings);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	CU_ASSERT_PTR_EQUAL(strstr(message, "belfry.yaml:31:9: "), message);
	if (!strstr(message, part))
		fprintf(stderr, "\"%s\" has no \"%s\"\n", message, part);
	CU_ASSERT_PTR_NOT_NULL(strstr(message, part));
}

static void refuse_text(const char *text, const char *part)
{
	refuse((struct token_key_source){ .bytes = span_text(text) }, part);
}

static void test_refuses_bad_keys(void)
{
	static const struct {
		const char *text, *part;
	} bad[] = {
		{ "", "at least 32 bytes" },
		{ "a secret of thirty-one bytes...", "at least 32 bytes" },
		{ RSA_PRIVATE, "give the public key" },
		{ RSA_PRIVATE_PKCS1, "give the public key" },
		{ EC_256_PRIVATE, "give the public key" },
		{ EC_256_PRIVATE_SEC1, "give the public key" },
		{ "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" EC_256_PRIVATE_SEC1,
		  "give the public key" },
		{ RSA_PUBLIC EC_256_PRIVATE, "give the public key" },
		{ RSA_PRIVATE_ENCRYPTED, "encrypted" },
		{ RSA_1024_PUBLIC, "2048 bits" },
		{ ED25519_PUBLIC, "neither an RSA nor an EC key" },
		{ SECP256K1_PUBLIC, "P-256, P-384 or P-521" },
		{ "-----BEGIN PUBLIC KEY-----\n", "whole" },
		{ "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n", "does not hold" },
		{ "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n", "whole" },
		{ "-----BEGIN X509 CRL-----\nMFkw\n-----END X509 CRL-----\n", "neither a key nor a certificate" },
		{ "something with -----BEGIN in it that is no key", "whole" },
		{ "{", "no JSON" },
		{ "{\"keys\":[{" RSA_JWK "}],\"keys\":[]}", "stands twice" },
		{ "{" RSA_JWK "} and more", "no JSON" },
		{ "{}", "no \"kty\"" },
		{ "{\"keys\":{}}", "no \"kty\"" },
		{ "{\"keys\":[]}", "no key of this JWK set" },
		{ "{\"keys\":[7,null,\"x\"]}", "no key of this JWK set" },
		{ "{" ED25519_JWK "}", "none of RSA, EC and oct" },
		{ "{" SECP256K1_JWK "}", "P-256" },
		{ "{" RSA_1024_JWK "}", "2048 bits" },
		{ "{" RSA_JWK_PRIVATE "}", "give the public key" },
		{ "{" EC_256_JWK_PRIVATE "}", "give the public key" },
		{ "{" RSA_JWK ",\"p\":\"AQAB\"}", "give the public key" },
		{ "{" RSA_JWK ",\"use\":\"enc\"}", "\"use\"" },
		{ "{" RSA_JWK ",\"use\":7}", "\"use\"" },
		{ "{" RSA_JWK ",\"key_ops\":[\"encrypt\"]}", "\"verify\"" },
		{ "{" RSA_JWK ",\"key_ops\":\"verify\"}", "\"verify\"" },
		{ "{" RSA_JWK ",\"alg\":\"RSA-OAEP\"}", "\"alg\"" },
		{ "{" RSA_JWK ",\"alg\":\"ES256\"}", "\"alg\"" },
		{ "{" RSA_JWK ",\"alg\":\"none\"}", "\"alg\"" },
		{ "{" RSA_JWK ",\"alg\":7}", "\"alg\"" },
		{ "{" RSA_JWK ",\"kid\":7}", "\"kid\"" },
		{ "{" RSA_JWK ",\"kid\":\"\"}", "\"kid\"" },
		{ "{" EC_256_JWK ",\"alg\":\"ES384\"}", "\"alg\"" },
		{ "{\"kty\":\"RSA\"}", "incomplete" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "2048 bits" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}", "incomplete" },
		{ "{\"kty\":\"oct\"}", "at least 32 bytes" },
		{ "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}", "at least 32 bytes" },
		{ "{\"kty\":\"oct\",\"k\":\"####\"}", "base64url" },
		{ "{\"kty\":\"oct\",\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\",\"alg\":\"HS512\"}", "\"alg\"" },
		{ "{\"kty\":\"OCT\",\"k\":\"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg\"}", "none of RSA, EC and oct" },
		{ RSA_OPENSSH, "as PEM" },
		{ RSA_PUBLIC_BARE, "as PEM" },
		{ RSA_PUBLIC_LINES, "as PEM" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		refuse_text(bad[i].text, bad[i].part);
}

/* A key whose exponent is 1: everything is its own signature. */
static void test_refuses_unsound_numbers(void)
{
	CLEANUP(free) char *text = span_dup(SPAN("{" RSA_JWK "}"));
	char *exponent = strstr(text, "\"AQAB\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(exponent);
	memcpy(exponent, "\"AQ\"  ", 6);
	refuse_text(text, "no valid key");
	memcpy(exponent, "\"Ag\"  ", 6);
	refuse_text(text, "no valid key");
}

static void test_refuses_keys_in_other_clothes(void)
{
	char huge[TOKEN_MAX_SECRET_BYTES + 1] = { 'x' };
	unsigned char bytes[512] = { 0 };
	int n_decoded = EVP_DecodeBlock(bytes, (const unsigned char *)RSA_PUBLIC_BARE, (int)strlen(RSA_PUBLIC_BARE));
	CU_ASSERT_TRUE_FATAL(n_decoded > 2);
	size_t n = (size_t)n_decoded - RSA_PUBLIC_BARE_PADDING;
	refuse((struct token_key_source){ .bytes = span_of(bytes, n) }, "as PEM");
	refuse((struct token_key_source){ .bytes = span_of(huge, sizeof huge) }, "at most 1024 bytes");
	/* with something behind it, and short of a last byte that was taken for a line end */
	refuse((struct token_key_source){ .bytes = span_of(bytes, n + 1) }, "as PEM");
	CU_ASSERT_EQUAL(DER_THAT_ENDS_IN_10[sizeof DER_THAT_ENDS_IN_10 - 2], '\n');
	refuse((struct token_key_source){ .bytes = span_of(DER_THAT_ENDS_IN_10, sizeof DER_THAT_ENDS_IN_10 - 2) },
		   "as PEM");
	/* any other bytes are a secret */
	bytes[0] = 0;
	CLEANUP(token_keys_unref)
	struct token_keys *keys =
		keys_from(&(struct token_key_source){ .bytes = span_of(bytes, n), .where = "x" }, 1, &no_options);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), NOW_MS), TOKEN_E_SIGNATURE);
}

/* What was fetched from a URL is known to all: an error page must not become a secret. */
static void test_published_keys_are_no_secrets(void)
{
	struct token_key_source page = { .bytes = SPAN("<html><body>503 Service Unavailable</body></html>"),
									 .is_published = true };
	refuse(page, "neither a JWK set nor PEM");
	refuse((struct token_key_source){ .bytes = SPAN("{" RFC7520_4_4_JWK "}"), .is_published = true }, "no secret");
	struct token_key_source set = { .bytes = SPAN("{\"keys\":[{" RFC7520_4_4_JWK "},{" RSA_JWK "}]}"),
									.where = "x",
									.is_published = true };
	CLEANUP(token_keys_unref) struct token_keys *keys = keys_from(&set, 1, &no_options);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(RFC7520_4_4), NOW_MS), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_RS256), NOW_MS), TOKEN_OK);
}

static void test_skips_keys_with_a_warning(void)
{
	static const char set[] =
		"{\"keys\":[{" ED25519_JWK ",\"kid\":\"ed \\u001b[31m\"},{" RSA_JWK ",\"use\":\"enc\"},{" SECP256K1_JWK
		"},{" RSA_1024_JWK "},7,{" EC_256_JWK_PRIVATE "},{" EC_256_JWK "}]}";
	struct token_key_source source = { .bytes = span_text(set), .where = "keys.json" };
	CLEANUP(token_keys_unref) struct token_keys *keys = NULL;
	CLEANUP(free) char *warnings = NULL;
	char *message = NULL;
	CU_ASSERT_EQUAL_FATAL(token_keys_create(&source, 1, &no_options, &keys, &warnings, &message), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(warnings);
	CU_ASSERT_STRING_EQUAL(
		warnings,
		"keys.json: key 1 of the set (kid \"ed \\u001b[31m\") is skipped: its type is none of RSA, EC and oct\n"
		"keys.json: key 2 of the set is skipped: its \"use\" is not \"sig\"\n"
		"keys.json: key 3 of the set is skipped: it is incomplete, or of a curve other than P-256, P-384 and P-521\n"
		"keys.json: key 4 of the set is skipped: an RSA key needs at least 2048 bits\n"
		"keys.json: key 5 of the set is skipped: it has no \"kty\"\n"
		"keys.json: key 6 of the set is skipped: it is a private key; give the public key");
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_ES256), NOW_MS), TOKEN_OK);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_RS256), NOW_MS), TOKEN_E_ALGORITHM);
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_RS256_1024), NOW_MS), TOKEN_E_ALGORITHM);
}

static void test_keys_are_bounded(void)
{
	struct token_key_source sources[TOKEN_MAX_KEYS + 1];
	for (size_t i = 0; i < ARRAY_LENGTH(sources); i++)
		sources[i] = (struct token_key_source){ .bytes = SPAN(SECRET), .where = "x" };
	struct token_keys *keys = keys_from(sources, TOKEN_MAX_KEYS, &no_options);
	token_keys_unref(token_keys_ref(keys));
	CU_ASSERT_EQUAL(verify_at(keys, SPAN(TOKEN_HS256), NOW_MS), TOKEN_OK);
	token_keys_unref(keys);
	CLEANUP(free) char *message = NULL;
	char *warnings = NULL;
	keys = NULL;
	CU_ASSERT_EQUAL(token_keys_create(sources, TOKEN_MAX_KEYS + 1, &no_options, &keys, &warnings, &message), -EINVAL);
	CU_ASSERT_PTR_NULL(keys);
}

/* HS and RS have one right signature, so ours must be the same text as somebody else's. */
static void test_signs_as_others_do(void)
{
	static const struct {
		const char *key, *algorithm, *token;
	} same[] = {
		{ SECRET, NULL, TOKEN_HS256 },
		{ SECRET, "HS384", TOKEN_HS384 },
		{ SECRET, "HS512", TOKEN_HS512 },
		{ RSA_PRIVATE, NULL, TOKEN_RS256 },
		{ RSA_PRIVATE, "RS512", TOKEN_RS512 },
		{ RSA_PRIVATE_PKCS1, "RS384", TOKEN_RS384 },
		{ "{" RSA_JWK_PRIVATE "}", NULL, TOKEN_RS256 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(same); i++) {
		CLEANUP(free) char *token = NULL;
		char *message = NULL;
		int r = token_sign(span_text(same[i].key), same[i].algorithm, NULL, SPAN(CLAIMS), &token, &message);
		CU_ASSERT_EQUAL_FATAL(r, 0);
		CU_ASSERT_STRING_EQUAL(token, same[i].token);
	}
}

static void test_signs_with_every_key(void)
{
	static const struct {
		const char *private_key, *algorithm, *public_key;
	} pairs[] = {
		{ RSA_PRIVATE, "PS256", RSA_PUBLIC },
		{ RSA_PRIVATE, "PS512", "{" RSA_JWK "}" },
		{ "{" RSA_JWK_PRIVATE ",\"alg\":\"PS384\"}", NULL, "{" RSA_JWK ",\"alg\":\"PS384\"}" },
		{ EC_256_PRIVATE, NULL, EC_256_PUBLIC },
		{ EC_256_PRIVATE_SEC1, "ES256", EC_256_PUBLIC },
		{ EC_384_PRIVATE, NULL, "{" EC_384_JWK "}" },
		{ EC_512_PRIVATE, NULL, EC_512_PUBLIC },
		{ "{" EC_512_JWK_PRIVATE ",\"kid\":\"k\"}", "ES512", "{" EC_512_JWK ",\"kid\":\"k\"}" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
		CLEANUP(free) char *token = NULL;
		char *message = NULL;
		int r = token_sign(span_text(pairs[i].private_key), pairs[i].algorithm, NULL, SPAN(CLAIMS), &token, &message);
		CU_ASSERT_EQUAL_FATAL(r, 0);
		CU_ASSERT_EQUAL(verify(pairs[i].public_key, token), TOKEN_OK);
	}
}

static void test_refuses_to_sign(void)
{
	static const struct {
		const char *key, *algorithm, *kid, *claims, *part;
	} bad[] = {
		{ RSA_PUBLIC, NULL, NULL, CLAIMS, "needs the private key" },
		{ "{" RSA_JWK "}", NULL, NULL, CLAIMS, "needs the private key" },
		{ RSA_CERTIFICATE, NULL, NULL, CLAIMS, "needs the private key" },
		{ RSA_PRIVATE_ENCRYPTED, NULL, NULL, CLAIMS, "without a password" },
		{ RSA_PRIVATE_ENCRYPTED_PKCS1, NULL, NULL, CLAIMS, "without a password" },
		{ RSA_PUBLIC_BARE, NULL, NULL, CLAIMS, "form that is not read" },
		{ "-----BEGIN ", NULL, NULL, CLAIMS, "no PEM private key" },
		{ "{\"kty\":", NULL, NULL, CLAIMS, "no JSON" },
		{ "{" RSA_JWK_PRIVATE ",\"key_ops\":[\"verify\"]}", NULL, NULL, CLAIMS, "\"sign\"" },
		{ "too short", NULL, NULL, CLAIMS, "32 bytes" },
		{ SECRET, "none", NULL, CLAIMS, "algorithm" },
		{ SECRET, "RS256", NULL, CLAIMS, "algorithm" },
		{ SECRET, "", NULL, CLAIMS, "algorithm" },
		{ RSA_PRIVATE, "HS256", NULL, CLAIMS, "algorithm" },
		{ EC_256_PRIVATE, "ES384", NULL, CLAIMS, "algorithm" },
		{ SECRET, NULL, "\xff", CLAIMS, "UTF-8" },
		{ SECRET, NULL, NULL, "", "no JSON object" },
		{ SECRET, NULL, NULL, "[]", "no JSON object" },
		{ SECRET, NULL, NULL, "{\"exp\":1,\"exp\":2}", "stands twice" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		char *token = NULL;
		CLEANUP(free) char *message = NULL;
		int r =
			token_sign(span_text(bad[i].key), bad[i].algorithm, bad[i].kid, span_text(bad[i].claims), &token, &message);
		CU_ASSERT_EQUAL_FATAL(r, -EINVAL);
		CU_ASSERT_PTR_NULL(token);
		if (!strstr(message, bad[i].part))
			fprintf(stderr, "bad[%zu]: \"%s\" has no \"%s\"\n", i, message, bad[i].part);
		CU_ASSERT_PTR_NOT_NULL(strstr(message, bad[i].part));
	}
}

static void test_signs_nothing_too_long(void)
{
	CLEANUP(buffer_finish) struct buffer claims = BUFFER_INIT;
	CLEANUP(free) char *message = NULL;
	char *token = NULL;
	buffer_add_text(&claims, "{\"x\":\"");
	for (size_t i = 0; i < TOKEN_MAX_BYTES; i++)
		buffer_add_char(&claims, 'x');
	buffer_add_text(&claims, "\"}");
	CU_ASSERT_EQUAL(token_sign(SPAN(SECRET), NULL, NULL, buffer_span(&claims), &token, &message), -EINVAL);
}

/* Shared by threads; each key and each outcome is met by all of them at once. */
struct crowd {
	struct token_keys *keys;
	atomic_uint n_wrong;
};

static void *run_verifier(void *argument)
{
	struct crowd *crowd = argument;
	struct token_keys *keys = crowd->keys;
	static const struct {
		const char *token;
		int outcome;
	} cases[] = { { TOKEN_HS256, TOKEN_OK },     { TOKEN_RS256, TOKEN_OK },          { TOKEN_PS512, TOKEN_OK },
				  { TOKEN_ES256, TOKEN_OK },     { TOKEN_ES512, TOKEN_E_ALGORITHM }, { RFC7515_A3, TOKEN_E_SIGNATURE },
				  { "a.b.c", TOKEN_E_MALFORMED } };
	for (size_t i = 0; i < 50 * ARRAY_LENGTH(cases); i++) {
		CLEANUP(grant_unref) struct grant *grant = NULL;
		int outcome = token_verify(keys, span_text(cases[i % ARRAY_LENGTH(cases)].token), NOW_MS, &grant);
		if (outcome != cases[i % ARRAY_LENGTH(cases)].outcome || (grant && !token_keys_has(keys, grant->key_id)))
			atomic_fetch_add(&crowd->n_wrong, 1);
	}
	token_keys_unref(keys);
	return NULL;
}

static void test_threads_share_keys(void)
{
	struct token_key_source sources[] = {
		{ .bytes = SPAN(SECRET), .where = "a" },
		{ .bytes = SPAN(RSA_PUBLIC), .where = "b" },
		{ .bytes = SPAN("{" EC_256_JWK "}"), .where = "c" },
	};
	struct crowd crowd = { .keys = keys_from(sources, ARRAY_LENGTH(sources), &no_options) };
	pthread_t threads[4];
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
		(void)token_keys_ref(crowd.keys); /* the thread's; the last one to end frees the keys */
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, run_verifier, &crowd), 0);
	}
	token_keys_unref(crowd.keys);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
	CU_ASSERT_EQUAL(crowd.n_wrong, 0);
}

static void test_outcomes_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(token_outcome_name(TOKEN_OK), "ok");
	CU_ASSERT_STRING_EQUAL(token_outcome_name(TOKEN_E_NOT_YET), "not_yet");
	CU_ASSERT_STRING_EQUAL(token_outcome_name(TOKEN_E_GRANTS), "grants");
	CU_ASSERT_STRING_EQUAL(token_outcome_name((enum token_outcome)99), "?");
}

UNIT_MAIN({ "accepts what others signed", test_accepts_what_others_signed },
		  { "accepts the RFCs' examples", test_accepts_the_rfcs_examples },
		  { "grants what the token says", test_grants_what_the_token_says },
		  { "outcomes are granted apart", test_outcomes_are_granted_apart },
		  { "anonymous subscribers may everything", test_anonymous_may_everything },
		  { "knows its keys by their thumbprints", test_knows_its_keys },
		  { "a removed key is gone, a renamed one is not", test_a_removed_key_is_gone },
		  { "refuses algorithms that are not the key's", test_refuses_other_algorithms },
		  { "short secrets have fewer algorithms", test_short_secrets_have_fewer_algorithms },
		  { "refuses a public key used as a secret", test_refuses_key_confusion },
		  { "refuses strange headers", test_refuses_strange_headers },
		  { "a kid chooses the key", test_a_kid_chooses_the_key },
		  { "a strange kid falls back to keys without one", test_a_strange_kid_falls_back_to_keys_without },
		  { "no keys verify nothing", test_no_keys_verify_nothing }, { "tries are bounded", test_tries_are_bounded },
		  { "refuses any change", test_refuses_any_change }, { "refuses loose bits", test_refuses_loose_bits },
		  { "refuses other shapes", test_refuses_other_shapes },
		  { "refuses the huge and the deep", test_refuses_the_huge },
		  { "refuses made-up signatures", test_refuses_made_up_signatures },
		  { "refuses strange ECDSA signatures", test_refuses_strange_ecdsa },
		  { "leaves no OpenSSL errors behind", test_leaves_no_errors_behind },
		  { "refuses dates and claims of the wrong type", test_refuses_dates },
		  { "time has edges", test_time_has_edges }, { "checks issuer and audience", test_issuer_and_audience },
		  { "refuses malformed grants", test_refuses_malformed_grants },
		  { "filters are bounded", test_filters_are_bounded },
		  { "the signature comes before the claims", test_signature_comes_first },
		  { "refuses bad keys", test_refuses_bad_keys }, { "refuses unsound numbers", test_refuses_unsound_numbers },
		  { "refuses keys in other clothes", test_refuses_keys_in_other_clothes },
		  { "published keys are no secrets", test_published_keys_are_no_secrets },
		  { "skips keys with a warning", test_skips_keys_with_a_warning },
		  { "keys are bounded", test_keys_are_bounded }, { "signs as others do", test_signs_as_others_do },
		  { "signs with every key", test_signs_with_every_key }, { "refuses to sign", test_refuses_to_sign },
		  { "signs nothing too long", test_signs_nothing_too_long }, { "threads share keys", test_threads_share_keys },
		  { "outcomes have names", test_outcomes_have_names })
