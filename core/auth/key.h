/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One key that verifies or signs tokens; private to auth/.
 *
 * Whatever form a key came in, it ends as a JWK with nothing but its own numbers: `kid`, `alg`, `use` and `key_ops`
 * were read by us and are gone, so jose has nothing left to interpret. Which algorithms it may be used with follows
 * from its type and size, narrowed by the JWK's `alg`.
 */
#ifndef AUTH_KEY_H
#define AUTH_KEY_H

#include "auth/encoding.h"

#include <jose/cfg.h>
#include <openssl/evp.h>

/* base64url of a SHA-256 digest */
#define KEY_ID_CHARS 43

struct key {
	json_t *jwk; /* never changed; encoding_wipe_json */
	char *kid;   /* NULL if it has none */
	char id[KEY_ID_CHARS + 1];
	unsigned algorithms; /* a set of key_algorithm() */
};

void key_finish(struct key *key);
static inline void key_finish_cleanup(struct key *key)
{
	key_finish(key);
}

/* Whether verifying and signing take the same bytes (HS). */
bool key_is_secret(const struct key *key);

enum key_use { KEY_VERIFY, KEY_SIGN };

enum key_outcome {
	KEY_OK,
	KEY_E_UNUSABLE, /* *ret_reason says why, a static text to stand behind a colon */
	KEY_END,        /* key_next_pem: no more blocks */
};

/* The set with this one algorithm; 0 if there is none of that name. */
unsigned key_algorithm(const char *name);
/* The first algorithm of a set that is not empty: what a key signs with if nobody says. */
const char *key_natural_algorithm(unsigned algorithms);

/* Each: KEY_OK, KEY_E_UNUSABLE or -ENOMEM. */
int key_from_secret(struct span secret, struct key *ret_key, const char **ret_reason) MUST_USE;
int key_from_pkey(EVP_PKEY *pkey, enum key_use use, struct key *ret_key, const char **ret_reason) MUST_USE;
int key_from_jwk(const json_t *jwk, enum key_use use, struct key *ret_key, const char **ret_reason) MUST_USE;

/* The next key in a PEM text: KEY_OK, KEY_E_UNUSABLE, KEY_END or -ENOMEM. */
int key_next_pem(BIO *pem, enum key_use use, struct key *ret_key, const char **ret_reason) MUST_USE;

enum key_form { KEY_FORM_SECRET, KEY_FORM_PEM, KEY_FORM_JSON, KEY_FORM_MISTAKEN };
/* By looking; KEY_FORM_MISTAKEN is a public key in a form that we do not read (see token.h). */
enum key_form key_look(struct span bytes);

/* jose's context. By default jose writes to stderr what it dislikes, which a peer could make it do; this one is
 * silent. Its reference count is not atomic: one per call. NULL without memory. */
jose_cfg_t *key_cfg_create(void);
/* NULL is fine, which jose's own jose_cfg_auto() would not survive. */
void key_cfg_destroy(jose_cfg_t *cfg);
CLEANUP_DEFINE(jose_cfg_t, key_cfg_destroy)

#endif
