/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/digest.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>

/* Looking the algorithm up and making a context costs as much as hashing a kilobyte: once, and once for each thread. */
static pthread_once_t set_up_once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts;
static EVP_MD *sha256;

static void free_context(void *context)
{
	EVP_MD_CTX_free(context);
}

static void set_up(void)
{
	if (pthread_key_create(&contexts, free_context) == 0)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* This thread's; NULL without memory. */
static EVP_MD_CTX *context_of_thread(void)
{
	(void)pthread_once(&set_up_once, set_up);
	EVP_MD_CTX *context = sha256 ? pthread_getspecific(contexts) : NULL;
	if (context || !sha256)
		return context;
	context = EVP_MD_CTX_new();
	if (context && pthread_setspecific(contexts, context) != 0) {
		EVP_MD_CTX_free(context);
		return NULL;
	}
	return context;
}

int digest_sha256(struct span data, uint8_t ret_digest[static DIGEST_BYTES])
{
	EVP_MD_CTX *context = context_of_thread();
	bool is_done = context && EVP_DigestInit_ex2(context, sha256, NULL) &&
				   EVP_DigestUpdate(context, data.data, data.n) && EVP_DigestFinal_ex(context, ret_digest, NULL);
	return is_done ? 0 : -ENOMEM;
}

int digest_sha1(struct span data, uint8_t ret_digest[static 20])
{
	return EVP_Q_digest(NULL, "SHA1", NULL, data.data, data.n, ret_digest, NULL) ? 0 : -ENOMEM;
}

struct hmac_key {
	EVP_MAC_CTX *context;
};

int hmac_key_create(struct span key, struct hmac_key **ret_key)
{
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
							OSSL_PARAM_construct_end() };
	CLEANUP(hmac_key_destroy) struct hmac_key *made = calloc(1, sizeof *made);
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (made && mac)
		made->context = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (!made || !made->context || !EVP_MAC_init(made->context, (const unsigned char *)key.data, key.n, params))
		return -ENOMEM;
	*ret_key = STEAL(made);
	return 0;
}

void hmac_key_destroy(struct hmac_key *key)
{
	if (!key)
		return;
	EVP_MAC_CTX_free(key->context);
	free(key);
}

int hmac_key_sign(struct hmac_key *key, struct span data, uint8_t ret_digest[static DIGEST_BYTES])
{
	size_t n = 0;
	/* init without a key rewinds to the schedule computed at creation */
	if (!EVP_MAC_init(key->context, NULL, 0, NULL) ||
		!EVP_MAC_update(key->context, (const unsigned char *)data.data, data.n) ||
		!EVP_MAC_final(key->context, ret_digest, &n, DIGEST_BYTES) || n != DIGEST_BYTES)
		return -ENOMEM;
	return 0;
}

#define NONCE_BYTES 12
#define TAG_BYTES 16

/* One direction of AES-256-GCM: n bytes from `in` to `out`, the tag made or compared. */
static bool run_gcm(const uint8_t *key, const uint8_t *nonce, struct span context, struct span in, char *out,
					uint8_t *tag, bool is_sealing)
{
	int n = 0;
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	bool is = cipher && EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, is_sealing) == 1 &&
			  EVP_CipherUpdate(cipher, NULL, &n, (const uint8_t *)context.data, (int)context.n) == 1 &&
			  EVP_CipherUpdate(cipher, (uint8_t *)out, &n, (const uint8_t *)in.data, (int)in.n) == 1;
	if (is && !is_sealing)
		is = EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1;
	is = is && EVP_CipherFinal_ex(cipher, (uint8_t *)out + n, &n) == 1;
	if (is && is_sealing)
		is = EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
	EVP_CIPHER_CTX_free(cipher);
	return is;
}

int seal(const uint8_t key[static SEAL_KEY_BYTES], struct span context, struct span plain, struct buffer *sealed)
{
	uint8_t nonce[NONCE_BYTES], tag[TAG_BYTES];
	int r = digest_random(nonce, sizeof nonce);
	if (r < 0)
		return r;
	buffer_add(sealed, span_of(nonce, sizeof nonce));
	if (!buffer_reserve(sealed, plain.n + sizeof tag))
		return -ENOMEM;
	if (!run_gcm(key, nonce, context, plain, sealed->data + sealed->n, tag, true))
		return -ENOMEM;
	sealed->n += plain.n;
	buffer_add(sealed, span_of(tag, sizeof tag));
	return sealed->failed ? -ENOMEM : 0;
}

int unseal(const uint8_t key[static SEAL_KEY_BYTES], struct span context, struct span sealed, struct buffer *plain)
{
	uint8_t tag[TAG_BYTES];
	if (sealed.n < SEAL_OVERHEAD_BYTES)
		return -EBADMSG;
	size_t n = sealed.n - SEAL_OVERHEAD_BYTES;
	memcpy(tag, sealed.data + NONCE_BYTES + n, sizeof tag);
	if (!buffer_reserve(plain, n + 1)) /* some memory even for nothing */
		return -ENOMEM;
	if (!run_gcm(key, (const uint8_t *)sealed.data, context, span_of(sealed.data + NONCE_BYTES, n),
				 plain->data + plain->n, tag, false)) {
		secret_wipe(plain->data + plain->n, n);
		return -EBADMSG;
	}
	plain->n += n;
	return 0;
}

bool digest_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

int digest_random(void *ret_bytes, size_t n)
{
	return n <= INT32_MAX && RAND_bytes(ret_bytes, (int)n) == 1 ? 0 : -EIO;
}

void base64_add(struct buffer *b, const void *data, size_t n)
{
	size_t size = (n + 2) / 3 * 4 + 1; /* EVP_EncodeBlock writes a terminator */
	if (n > INT32_MAX / 2) {
		b->failed = true;
		return;
	}
	if (buffer_reserve(b, size))
		b->n += (size_t)EVP_EncodeBlock((unsigned char *)b->data + b->n, data, (int)n);
}

void base64url_add(struct buffer *b, const void *data, size_t n)
{
	size_t start = b->n;
	base64_add(b, data, n);
	for (size_t i = start; i < b->n; i++) {
		if (b->data[i] == '+')
			b->data[i] = '-';
		else if (b->data[i] == '/')
			b->data[i] = '_';
		else if (b->data[i] == '=') {
			b->n = i;
			return;
		}
	}
}

void secret_wipe(void *data, size_t n)
{
	if (data)
		OPENSSL_cleanse(data, n);
}
