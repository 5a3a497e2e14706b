/* SPDX-License-Identifier: Apache-2.0 */
/* Everything in wire/ that needs OpenSSL: digests, HMAC, sealing, base64, random, comparison. */
#ifndef WIRE_DIGEST_H
#define WIRE_DIGEST_H

#include "base/buffer.h"

#define DIGEST_BYTES 32 /* SHA-256 */
/* Base64 of a digest: 43 characters and one '='. */
#define DIGEST_BASE64_CHARS 44

/* SHA-256. 0, or -ENOMEM when OpenSSL fails. Any thread. */
int digest_sha256(struct span data, uint8_t ret_digest[static DIGEST_BYTES]) MUST_USE;
/* SHA-1, for the WebSocket handshake alone (RFC 6455 4.2.2). 0 or -ENOMEM. */
int digest_sha1(struct span data, uint8_t ret_digest[static 20]) MUST_USE;

/* HMAC-SHA256 with the key schedule computed once. Belongs to one thread at a time. */
struct hmac_key;
int hmac_key_create(struct span key, struct hmac_key **ret_key) MUST_USE;
void hmac_key_destroy(struct hmac_key *key);
CLEANUP_DEFINE(struct hmac_key, hmac_key_destroy)
/* 0, or -ENOMEM when OpenSSL fails: then the result is not to be compared with anything. */
int hmac_key_sign(struct hmac_key *key, struct span data, uint8_t ret_digest[static DIGEST_BYTES]) MUST_USE;

/* Encrypted and authenticated (AES-256-GCM, a random nonce in front, the tag behind), together with a context that is
 * not part of it and must be the same when it is opened. A key is good for 2^32 of them. */
#define SEAL_KEY_BYTES 32
#define SEAL_OVERHEAD_BYTES (12 + 16)
/* Appends. 0, -ENOMEM, or -EIO (no random numbers). */
int seal(const uint8_t key[static SEAL_KEY_BYTES], struct span context, struct span plain,
		 struct buffer *sealed) MUST_USE;
/* Appends. 0; -EBADMSG if it was not made with this key and context, or was changed; -ENOMEM. */
int unseal(const uint8_t key[static SEAL_KEY_BYTES], struct span context, struct span sealed,
		   struct buffer *plain) MUST_USE;

/* In time that depends on n alone. */
bool digest_equal(const void *a, const void *b, size_t n);
/* From the system's generator. 0 or -EIO. */
int digest_random(void *ret_bytes, size_t n) MUST_USE;

/* Standard alphabet with padding (RFC 4648 4), and the URL-safe one without (5). */
void base64_add(struct buffer *b, const void *data, size_t n);
void base64url_add(struct buffer *b, const void *data, size_t n);

/* Overwrites before memory is given back; never optimized away. */
void secret_wipe(void *data, size_t n);

#endif
