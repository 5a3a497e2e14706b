/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/token_keys.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>

/* One source being read. Where something is wrong with it, `message` says so. */
struct reader {
	const struct token_key_source *source;
	struct token_keys *keys;
	struct buffer warnings; /* one line each */
	struct buffer message;
};

static int complain(struct reader *reader, const char *reason)
{
	buffer_add_printf(&reader->message, "%s: %s", reader->source->where, reason);
	return reader->message.failed ? -ENOMEM : -EINVAL;
}

/* Takes the key over on success. */
static int add_key(struct reader *reader, struct key *key)
{
	struct token_keys *keys = reader->keys;
	if (keys->n == TOKEN_MAX_KEYS)
		return complain(reader, "too many keys; 256 may be live at once");
	keys->keys[keys->n++] = *key;
	*key = (struct key){ 0 };
	return 0;
}

static int read_secret(struct reader *reader)
{
	CLEANUP(key_finish) struct key key = { 0 };
	const char *reason = NULL;
	int r = key_from_secret(reader->source->bytes, &key, &reason);
	if (r == KEY_E_UNUSABLE)
		return complain(reader, reason);
	return r < 0 ? r : add_key(reader, &key);
}

static int read_pem_keys(struct reader *reader, BIO *pem)
{
	size_t n_before = reader->keys->n;
	for (;;) {
		CLEANUP(key_finish) struct key key = { 0 };
		const char *reason = NULL;
		int r = key_next_pem(pem, KEY_VERIFY, &key, &reason);
		if (r == KEY_END)
			break;
		if (r == KEY_OK)
			r = add_key(reader, &key);
		else if (r == KEY_E_UNUSABLE)
			r = complain(reader, reason);
		if (r < 0)
			return r;
	}
	return reader->keys->n > n_before ? 0 : complain(reader, "no PEM public key or certificate in it is whole");
}

static int read_pem(struct reader *reader)
{
	struct span bytes = reader->source->bytes;
	BIO *pem = BIO_new_mem_buf(bytes.data, (int)bytes.n);
	int r = pem ? read_pem_keys(reader, pem) : -ENOMEM;
	BIO_free(pem);
	return r;
}

/* KEY_OK, KEY_E_UNUSABLE and the reason, or a negative errno. */
static int read_jwk(struct reader *reader, const json_t *jwk, const char **ret_reason)
{
	CLEANUP(key_finish) struct key key = { 0 };
	int r = key_from_jwk(jwk, KEY_VERIFY, &key, ret_reason);
	if (r != KEY_OK)
		return r;
	if (reader->source->is_published && key_is_secret(&key)) {
		*ret_reason = "it is symmetric, and published, so it is no secret";
		return KEY_E_UNUSABLE;
	}
	return add_key(reader, &key);
}

static void warn_skipped(struct reader *reader, size_t i, const json_t *jwk, const char *reason)
{
	const json_t *kid = json_object_get(jwk, "kid");
	buffer_add_printf(&reader->warnings, "%s%s: key %zu of the set", reader->warnings.n ? "\n" : "",
					  reader->source->where, i + 1);
	if (json_is_string(kid)) {
		buffer_add_text(&reader->warnings, " (kid ");
		buffer_add_json(&reader->warnings, span_of(json_string_value(kid), json_string_length(kid)));
		buffer_add_text(&reader->warnings, ")");
	}
	buffer_add_printf(&reader->warnings, " is skipped: %s", reason);
}

static int read_set(struct reader *reader, const json_t *set)
{
	size_t n_before = reader->keys->n, i;
	const json_t *jwk;
	json_array_foreach(set, i, jwk)
	{
		const char *reason = NULL;
		int r = read_jwk(reader, jwk, &reason);
		if (r < 0)
			return r;
		if (r == KEY_E_UNUSABLE)
			warn_skipped(reader, i, jwk, reason);
	}
	if (reader->warnings.failed)
		return -ENOMEM;
	return reader->keys->n > n_before ? 0 : complain(reader, "no key of this JWK set can verify a token");
}

static int read_json(struct reader *reader)
{
	CLEANUP(encoding_wipe_json) json_t *json = NULL;
	const char *reason = NULL;
	int r = encoding_read_json(reader->source->bytes, &json);
	if (r == ENCODING_E_MALFORMED)
		return complain(reader, "it starts like a JWK, but is no JSON (or a key in it stands twice)");
	if (r < 0)
		return r;
	if (json_is_array(json_object_get(json, "keys")))
		return read_set(reader, json_object_get(json, "keys"));
	r = read_jwk(reader, json, &reason);
	return r == KEY_E_UNUSABLE ? complain(reader, reason) : r;
}

static int read_source(struct reader *reader)
{
	if (reader->source->bytes.n > TOKEN_MAX_SOURCE_BYTES)
		return complain(reader, "more than 1 MiB of keys");
	switch (key_look(reader->source->bytes)) {
	case KEY_FORM_PEM:
		return read_pem(reader);
	case KEY_FORM_JSON:
		return read_json(reader);
	case KEY_FORM_MISTAKEN:
		return complain(reader, "a key in DER, bare base64 or OpenSSH's form; give it as PEM (\"-----BEGIN ...\")");
	case KEY_FORM_SECRET:
		break;
	}
	return reader->source->is_published ? complain(reader, "it is neither a JWK set nor PEM") : read_secret(reader);
}

static int copy_options(struct token_keys *keys, const struct token_options *options)
{
	keys->leeway_ms = options->leeway_ms;
	if (options->issuer && !(keys->issuer = span_dup(span_text(options->issuer))))
		return -ENOMEM;
	if (options->audience && !(keys->audience = span_dup(span_text(options->audience))))
		return -ENOMEM;
	return 0;
}

static int read_sources(struct reader *reader, const struct token_key_source *sources, size_t n_sources)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n_sources; i++) {
		reader->source = &sources[i];
		r = read_source(reader);
	}
	return r;
}

/* Hands the text over; NULL if it is empty. */
static int hand_over(struct buffer *text, char **ret_text)
{
	char *copy = NULL;
	if (text->n && !(copy = buffer_steal_text(text)))
		return -ENOMEM;
	*ret_text = copy;
	return 0;
}

int token_keys_create(const struct token_key_source *sources, size_t n_sources, const struct token_options *options,
					  struct token_keys **ret_keys, char **ret_warnings, char **ret_message)
{
	CLEANUP(token_keys_unref) struct token_keys *keys = calloc(1, sizeof *keys);
	struct reader reader = { .keys = keys };
	if (!keys)
		return -ENOMEM;
	atomic_init(&keys->references, 1);
	int r = copy_options(keys, options);
	ERR_set_mark(); /* OpenSSL's errors stay here: whoever uses this thread's queue next must not meet them */
	if (r == 0)
		r = read_sources(&reader, sources, n_sources);
	ERR_pop_to_mark();
	if (r == -EINVAL && hand_over(&reader.message, ret_message) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = hand_over(&reader.warnings, ret_warnings);
	if (r == 0)
		*ret_keys = STEAL(keys);
	buffer_finish(&reader.warnings);
	buffer_finish(&reader.message);
	return r;
}

struct token_keys *token_keys_ref(struct token_keys *keys)
{
	atomic_fetch_add(&keys->references, 1);
	return keys;
}

void token_keys_unref(struct token_keys *keys)
{
	if (!keys || atomic_fetch_sub(&keys->references, 1) != 1)
		return;
	for (size_t i = 0; i < keys->n; i++)
		key_finish(&keys->keys[i]);
	free(keys->issuer);
	free(keys->audience);
	free(keys);
}

bool token_keys_has(const struct token_keys *keys, const char *key_id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->keys[i].id, key_id) == 0)
			return true;
	return false;
}
