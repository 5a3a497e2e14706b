/* SPDX-License-Identifier: Apache-2.0 */
#define OPENSSL_SUPPRESS_DEPRECATED /* for as_jwk(), see there */
#include "auth/key.h"

#include "auth/token.h"
#include "wire/digest.h"

#include <errno.h>
#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/openssl.h>

/* Larger ones cost more time than a token is worth. */
#define MAX_RSA_BITS 8192
#define MIN_RSA_BITS 2048

/* In the order of preference for signing. */
static const struct algorithm {
	const char *name, *kty, *crv; /* crv: NULL for any */
	size_t min_secret_bytes;      /* RFC 7518 3.2 */
} algorithms[] = {
	{ "HS256", "oct", NULL, 32 },  { "HS384", "oct", NULL, 48 },  { "HS512", "oct", NULL, 64 },
	{ "RS256", "RSA", NULL, 0 },   { "RS384", "RSA", NULL, 0 },   { "RS512", "RSA", NULL, 0 },
	{ "PS256", "RSA", NULL, 0 },   { "PS384", "RSA", NULL, 0 },   { "PS512", "RSA", NULL, 0 },
	{ "ES256", "EC", "P-256", 0 }, { "ES384", "EC", "P-384", 0 }, { "ES512", "EC", "P-521", 0 },
};

unsigned key_algorithm(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return 1u << i;
	return 0;
}

const char *key_natural_algorithm(unsigned set)
{
	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
		if (set & 1u << i)
			return algorithms[i].name;
	return NULL;
}

/* All that a key of this type and size may be used with. */
static unsigned algorithms_of(const json_t *jwk, size_t secret_bytes)
{
	unsigned set = 0;
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	const char *crv = json_string_value(json_object_get(jwk, "crv"));
	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++) {
		const struct algorithm *a = &algorithms[i];
		if (kty && strcmp(a->kty, kty) == 0 && (!a->crv || (crv && strcmp(a->crv, crv) == 0)) &&
			secret_bytes >= a->min_secret_bytes)
			set |= 1u << i;
	}
	return set;
}

static void say_nothing(void *misc, const char *file, int line, uint64_t error, const char *format, va_list arguments)
{
	(void)misc, (void)file, (void)line, (void)error, (void)format, (void)arguments;
}

jose_cfg_t *key_cfg_create(void)
{
	jose_cfg_t *cfg = jose_cfg();
	if (cfg)
		jose_cfg_set_err_func(cfg, say_nothing, NULL);
	return cfg;
}

void key_cfg_destroy(jose_cfg_t *cfg)
{
	if (cfg)
		jose_cfg_decref(cfg);
}

void key_finish(struct key *key)
{
	encoding_wipe_json(key->jwk);
	free(key->kid);
	*key = (struct key){ 0 };
}

bool key_is_secret(const struct key *key)
{
	return strcmp(json_string_value(json_object_get(key->jwk, "kty")), "oct") == 0;
}

static int refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return KEY_E_UNUSABLE;
}

static int write_id(const uint8_t digest[static DIGEST_BYTES], char id[static KEY_ID_CHARS + 1])
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	base64url_add(&text, digest, DIGEST_BYTES);
	if (text.failed || text.n != KEY_ID_CHARS)
		return -ENOMEM;
	memcpy(id, text.data, KEY_ID_CHARS);
	id[KEY_ID_CHARS] = '\0';
	return 0;
}

/* A digest of a secret under a label that no token can be mistaken for: no signing input contains a blank. */
static int identify_secret(struct span secret, char id[static KEY_ID_CHARS + 1])
{
	CLEANUP(hmac_key_destroy) struct hmac_key *hmac = NULL;
	uint8_t digest[DIGEST_BYTES];
	int r = hmac_key_create(secret, &hmac);
	if (r == 0)
		r = hmac_key_sign(hmac, SPAN("belfry key id"), digest);
	return r < 0 ? r : write_id(digest, id);
}

/* RFC 7638 */
static int identify_public(const json_t *jwk, char id[static KEY_ID_CHARS + 1])
{
	uint8_t digest[DIGEST_BYTES];
	CLEANUP(key_cfg_destroy) jose_cfg_t *cfg = key_cfg_create();
	if (!cfg || jose_jwk_thp_buf(cfg, jwk, "S256", digest, sizeof digest) != sizeof digest)
		return -ENOMEM;
	return write_id(digest, id);
}

int key_from_secret(struct span secret, struct key *ret_key, const char **ret_reason)
{
	CLEANUP(key_finish) struct key key = { 0 };
	if (secret.n < TOKEN_MIN_SECRET_BYTES)
		return refuse(ret_reason, "an HS secret needs at least 32 bytes (try: openssl rand -base64 48)");
	if (secret.n > TOKEN_MAX_SECRET_BYTES)
		return refuse(ret_reason, "an HS secret has at most 1024 bytes");
	key.jwk = json_pack("{s:s, s:o}", "kty", "oct", "k", jose_b64_enc(secret.data, secret.n));
	if (!key.jwk)
		return -ENOMEM;
	key.algorithms = algorithms_of(key.jwk, secret.n);
	int r = identify_secret(secret, key.id);
	if (r < 0)
		return r;
	*ret_key = key;
	key = (struct key){ 0 };
	return KEY_OK;
}

/* NULL if the numbers are sound. */
static const char *check_pkey(EVP_PKEY *pkey)
{
	int type = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
	if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC)
		return "it is neither an RSA nor an EC key";
	if (type == EVP_PKEY_RSA && bits < MIN_RSA_BITS)
		return "an RSA key needs at least 2048 bits";
	if (type == EVP_PKEY_RSA && bits > MAX_RSA_BITS)
		return "an RSA key has at most 8192 bits";
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
	bool is_sound = context && EVP_PKEY_public_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	return is_sound ? NULL : "its numbers are no valid key";
}

/* libjose 11 asks OpenSSL for the key's older form and, if it is an EC key, does not look whether it got one. Asked
 * before, it is there. NULL for a curve that jose does not know, and without memory. */
static json_t *as_jwk(jose_cfg_t *cfg, EVP_PKEY *pkey)
{
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC && !EVP_PKEY_get0_EC_KEY(pkey))
		return NULL;
	return jose_openssl_jwk_from_EVP_PKEY(cfg, pkey);
}

int key_from_pkey(EVP_PKEY *pkey, enum key_use use, struct key *ret_key, const char **ret_reason)
{
	CLEANUP(key_finish) struct key key = { 0 };
	CLEANUP(key_cfg_destroy) jose_cfg_t *cfg = key_cfg_create();
	const char *reason = check_pkey(pkey);
	if (!cfg)
		return -ENOMEM;
	if (reason)
		return refuse(ret_reason, reason);
	key.jwk = as_jwk(cfg, pkey);
	if (!key.jwk && EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA)
		return -ENOMEM;
	key.algorithms = algorithms_of(key.jwk, 0);
	if (!key.algorithms)
		return refuse(ret_reason, "its curve is not P-256, P-384 or P-521");
	if (use == KEY_SIGN && !json_object_get(key.jwk, "d"))
		return refuse(ret_reason, "it is a public key; signing needs the private key");
	int r = identify_public(key.jwk, key.id);
	if (r < 0)
		return r;
	*ret_key = key;
	key = (struct key){ 0 };
	return KEY_OK;
}

/* Whether a list of texts has this one; true if there is no list at all. */
static bool permits(const json_t *list, const char *operation)
{
	size_t i;
	const json_t *member;
	if (!list)
		return true;
	json_array_foreach(list, i, member)
	{
		if (json_is_string(member) && strcmp(json_string_value(member), operation) == 0)
			return true;
	}
	return false;
}

static bool has_private_part(const json_t *jwk)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth" };
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		if (json_object_get(jwk, names[i]))
			return true;
	return false;
}

/* What a JWK says about itself, RFC 7517 4. NULL if nothing speaks against using it so. */
static const char *check_jwk(const json_t *jwk, enum key_use use)
{
	const json_t *purpose = json_object_get(jwk, "use");
	const json_t *alg = json_object_get(jwk, "alg"), *kid = json_object_get(jwk, "kid");
	if (!json_is_string(json_object_get(jwk, "kty")))
		return "it has no \"kty\"";
	if ((alg && !json_is_string(alg)) || (kid && !json_string_length(kid)))
		return "its \"alg\" or \"kid\" is no text";
	if (purpose && (!json_is_string(purpose) || strcmp(json_string_value(purpose), "sig") != 0))
		return "its \"use\" is not \"sig\"";
	if (!permits(json_object_get(jwk, "key_ops"), use == KEY_SIGN ? "sign" : "verify"))
		return use == KEY_SIGN ? "its \"key_ops\" do not have \"sign\"" : "its \"key_ops\" do not have \"verify\"";
	if (use == KEY_VERIFY && has_private_part(jwk))
		return "it is a private key; give the public key";
	return NULL;
}

static int read_oct(const json_t *jwk, struct key *ret_key, const char **ret_reason)
{
	const json_t *k = json_object_get(jwk, "k");
	CLEANUP(buffer_finish) struct buffer secret = BUFFER_INIT;
	int r = encoding_read_base64url(span_of(json_string_value(k), json_string_length(k)), &secret);
	if (r == ENCODING_OK)
		r = key_from_secret(buffer_span(&secret), ret_key, ret_reason);
	else if (r == ENCODING_E_MALFORMED)
		r = refuse(ret_reason, "its \"k\" is not base64url");
	secret_wipe(secret.data, secret.n);
	return r;
}

static int read_numbers(const json_t *jwk, enum key_use use, struct key *ret_key, const char **ret_reason)
{
	CLEANUP(key_cfg_destroy) jose_cfg_t *cfg = key_cfg_create();
	if (!cfg)
		return -ENOMEM;
	EVP_PKEY *pkey = jose_openssl_jwk_to_EVP_PKEY(cfg, jwk);
	int r = pkey ? key_from_pkey(pkey, use, ret_key, ret_reason)
				 : refuse(ret_reason, "it is incomplete, or of a curve other than P-256, P-384 and P-521");
	EVP_PKEY_free(pkey);
	return r;
}

static int read_material(const json_t *jwk, enum key_use use, struct key *ret_key, const char **ret_reason)
{
	const char *kty = json_string_value(json_object_get(jwk, "kty"));
	if (strcmp(kty, "oct") == 0)
		return read_oct(jwk, ret_key, ret_reason);
	if (strcmp(kty, "RSA") == 0 || strcmp(kty, "EC") == 0)
		return read_numbers(jwk, use, ret_key, ret_reason);
	return refuse(ret_reason, "its type is none of RSA, EC and oct");
}

int key_from_jwk(const json_t *jwk, enum key_use use, struct key *ret_key, const char **ret_reason)
{
	CLEANUP(key_finish) struct key key = { 0 };
	const char *alg = json_string_value(json_object_get(jwk, "alg"));
	const char *kid = json_string_value(json_object_get(jwk, "kid"));
	const char *reason = check_jwk(jwk, use);
	if (reason)
		return refuse(ret_reason, reason);
	int r = read_material(jwk, use, &key, ret_reason);
	if (r != KEY_OK)
		return r;
	if (alg)
		key.algorithms &= key_algorithm(alg);
	if (!key.algorithms)
		return refuse(ret_reason, "its \"alg\" is none that a key of its type and size signs with");
	if (kid && !(key.kid = span_dup(span_text(kid))))
		return -ENOMEM;
	*ret_key = key;
	key = (struct key){ 0 };
	return KEY_OK;
}
