/* SPDX-License-Identifier: Apache-2.0 */
/* Making tokens, for the command line and tests; the daemon never signs one. */
#include "auth/key.h"
#include "auth/token.h"
#include "wire/digest.h"

#include <errno.h>
#include <jose/b64.h>
#include <jose/jws.h>
#include <openssl/bio.h>
#include <openssl/err.h>

static int complain(char **ret_message, const char *text)
{
	char *copy = span_dup(span_text(text));
	if (!copy)
		return -ENOMEM;
	*ret_message = copy;
	return -EINVAL;
}

static int read_pem(struct span bytes, struct key *ret_key, const char **ret_reason)
{
	BIO *pem = BIO_new_mem_buf(bytes.data, (int)bytes.n);
	if (!pem)
		return -ENOMEM;
	int r = key_next_pem(pem, KEY_SIGN, ret_key, ret_reason);
	BIO_free(pem);
	if (r == KEY_END) {
		*ret_reason = "no PEM private key in it is whole";
		return KEY_E_UNUSABLE;
	}
	return r;
}

static int read_jwk(struct span bytes, struct key *ret_key, const char **ret_reason)
{
	CLEANUP(encoding_wipe_json) json_t *jwk = NULL;
	int r = encoding_read_json(bytes, &jwk);
	if (r == ENCODING_E_MALFORMED) {
		*ret_reason = "it starts like a JWK, but is no JSON (or a key in it stands twice)";
		return KEY_E_UNUSABLE;
	}
	return r < 0 ? r : key_from_jwk(jwk, KEY_SIGN, ret_key, ret_reason);
}

/* KEY_OK, KEY_E_UNUSABLE or -ENOMEM. */
static int read_key(struct span bytes, struct key *ret_key, const char **ret_reason)
{
	*ret_reason = "a key in a form that is not read; give an HS secret, a PEM private key or a JWK";
	if (bytes.n > TOKEN_MAX_SOURCE_BYTES)
		return KEY_E_UNUSABLE;
	switch (key_look(bytes)) {
	case KEY_FORM_PEM:
		return read_pem(bytes, ret_key, ret_reason);
	case KEY_FORM_JSON:
		return read_jwk(bytes, ret_key, ret_reason);
	case KEY_FORM_SECRET:
		return key_from_secret(bytes, ret_key, ret_reason);
	case KEY_FORM_MISTAKEN:
		break;
	}
	return KEY_E_UNUSABLE;
}

/* The protected header; `kid` may be NULL. */
static json_t *make_header(const char *algorithm, const char *kid)
{
	return json_pack("{s:s, s:s, s:s*}", "typ", "JWT", "alg", algorithm, "kid", kid);
}

/* Puts "protected" and "signature" into *jws, which has the payload. */
static int sign(json_t *jws, const struct key *key, const char *algorithm, const char *kid)
{
	CLEANUP(key_cfg_destroy) jose_cfg_t *cfg = key_cfg_create();
	CLEANUP(json_decref) json_t *template = json_pack("{s:o}", "protected", make_header(algorithm, kid));
	if (!cfg || !template || !jose_jws_sig(cfg, jws, template, key->jwk))
		return -ENOMEM;
	return 0;
}

static void add_member(struct buffer *token, const json_t *jws, const char *name)
{
	const json_t *member = json_object_get(jws, name);
	buffer_add(token, span_of(json_string_value(member), json_string_length(member)));
}

static int make_token(const struct key *key, const char *algorithm, const char *kid, const json_t *claims,
					  struct buffer *token)
{
	CLEANUP(free) char *text = json_dumps(claims, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	CLEANUP(json_decref) json_t *jws = json_pack("{s:o}", "payload", jose_b64_enc(text, strlen(text)));
	if (!jws)
		return -ENOMEM;
	int r = sign(jws, key, algorithm, kid);
	if (r < 0)
		return r;
	add_member(token, jws, "protected");
	buffer_add_char(token, '.');
	add_member(token, jws, "payload");
	buffer_add_char(token, '.');
	add_member(token, jws, "signature");
	return token->failed ? -ENOMEM : 0;
}

/* NULL if this may be signed. */
static const char *check_request(const struct key *key, const char *algorithm, const char *kid, const json_t *claims)
{
	if (!json_is_object(claims))
		return "the claims are no JSON object (or one of them stands twice)";
	if (algorithm && !(key->algorithms & key_algorithm(algorithm)))
		return "the key may not be used with this algorithm";
	if (kid && !span_is_utf8(span_text(kid)))
		return "the key's id is no UTF-8";
	return NULL;
}

static int sign_with(const struct key *key, const char *algorithm, const char *key_id, struct span claims,
					 char **ret_token, char **ret_message)
{
	CLEANUP(json_decref) json_t *json = NULL;
	CLEANUP(buffer_finish) struct buffer token = BUFFER_INIT;
	const char *kid = key_id ? key_id : key->kid;
	int r = encoding_read_json(claims, &json);
	if (r < 0)
		return r;
	const char *reason = check_request(key, algorithm, kid, json);
	if (reason)
		return complain(ret_message, reason);
	r = make_token(key, algorithm ? algorithm : key_natural_algorithm(key->algorithms), kid, json, &token);
	if (r < 0)
		return r;
	if (token.n > TOKEN_MAX_BYTES)
		return complain(ret_message, "the token would be longer than 8192 bytes, which no gateway looks at");
	char *text = buffer_steal_text(&token);
	if (!text)
		return -ENOMEM;
	*ret_token = text;
	return 0;
}

int token_sign(struct span key, const char *algorithm, const char *key_id, struct span claims, char **ret_token,
			   char **ret_message)
{
	CLEANUP(key_finish) struct key read = { 0 };
	const char *reason = NULL;
	ERR_set_mark();
	int r = read_key(key, &read, &reason);
	if (r == KEY_OK)
		r = sign_with(&read, algorithm, key_id, claims, ret_token, ret_message);
	else if (r == KEY_E_UNUSABLE)
		r = complain(ret_message, reason);
	ERR_pop_to_mark();
	return r;
}
