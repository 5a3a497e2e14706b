/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who signed these bytes? A scheme says, as data, what is signed, in which header and in
 * which encoding; the verifier tries every live secret against every element of that header.
 *
 * Cronofy: `Cronofy-HMAC-SHA256: base64(hmac_sha256(raw body, client secret))`, and with several
 * active client secrets a comma-separated list in no promised order
 * (docs.cronofy.com/developers/push-notifications/authentication). Several header lines are one
 * list (RFC 9110 5.3): the caller joins them with commas.
 */
#ifndef WIRE_SIGNATURE_H
#define WIRE_SIGNATURE_H

#include "base/buffer.h"

/* Bounds on what a stranger can make us compute (an HMAC for each secret, a comparison for each pair). */
#define SIGNATURE_MAX_ELEMENTS 8
#define SIGNATURE_MAX_HEADER_BYTES 1024
#define SIGNATURE_MAX_SECRETS 8

enum signature_encoding { SIGNATURE_BASE64 };

struct scheme {
	const char *name;   /* as written in the configuration */
	const char *header; /* the field that carries the signatures */
	enum signature_encoding encoding;
};

/* NULL if nobody knows the name. The result is static. */
const struct scheme *scheme_find(struct span name);
/* The known names, terminated by NULL; for messages. */
const char *const *scheme_names(void);

enum signature_outcome {
	SIGNATURE_VALID,
	SIGNATURE_E_MISSING,  /* no header, or nothing but commas and blanks */
	SIGNATURE_E_TOO_MANY, /* more elements or bytes than the bounds */
	SIGNATURE_E_MISMATCH, /* no element matches any secret */
};
/* "missing", "mismatch", ...: for logs and counters. */
const char *signature_outcome_name(enum signature_outcome outcome);

/* The secrets of one source, ready for use by one thread. */
struct verifier;
/* Copies what it needs. 1..SIGNATURE_MAX_SECRETS secrets, none empty: else -EINVAL; or -ENOMEM. */
int verifier_create(const struct scheme *scheme, const struct span *secrets, size_t n_secrets,
					struct verifier **ret_verifier) MUST_USE;
void verifier_destroy(struct verifier *verifier);
CLEANUP_DEFINE(struct verifier, verifier_destroy)

/* Which pair matched, counted from 0. */
struct signature_match {
	size_t element, secret;
};

/*
 * Checks the raw bytes of a body. header.data is NULL when the request has no such field.
 * Returns an enum signature_outcome, or -ENOMEM when OpenSSL failed: then nothing is known and the
 * caller answers 503. Takes the same time whichever pair matches. ret_match may be NULL.
 */
int verifier_check(struct verifier *verifier, struct span header, struct span body,
				   struct signature_match *ret_match) MUST_USE;

/* Appends the header's value for the body: one element for each secret. 0 or -ENOMEM. */
int verifier_sign(struct verifier *verifier, struct span body, struct buffer *value) MUST_USE;

#endif
