/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why does a signature match, or why not?
 *
 * Each element of the header is read in every form that people give it by mistake (hexadecimal, another alphabet, cut
 * off), and compared with what each secret makes of the body; then with what slightly different secrets and bodies
 * would make (a newline more or less, JSON written anew, no CRN_), and with computations that are easily confused with
 * HMAC. The first pair that matches tells what went wrong. Whether the gateway accepts it is decided by
 * wire/signature.h alone.
 */
#ifndef CLI_DIAGNOSIS_H
#define CLI_DIAGNOSIS_H

#include "wire/digest.h"
#include "wire/signature.h"

/* A name for machines and the end of a sentence for people. */
struct diagnosis_word {
	const char *name;
	const char *words;
};

struct diagnosis_element {
	struct span text;                  /* in the header */
	const struct diagnosis_word *form; /* "standard": as it should be; "hex", "truncated", ... */
	size_t n_decoded;                  /* bytes that it stands for as base64; 0 if it is none */
	uint8_t digest[DIGEST_BYTES];      /* what it stands for, as far as that can be read */
	size_t n_digest;                   /* bytes of it: 32, fewer if it is cut off, 0 if it is nothing */
	bool is_found;                     /* then the rest holds */
	size_t secret;                     /* counted from 0 */
	const struct diagnosis_word *secret_variant, *body_variant, *method; /* "as_is" and "hmac" where nothing is wrong */
};

struct diagnosis {
	int outcome; /* enum signature_outcome: what the gateway would say */
	struct diagnosis_element elements[SIGNATURE_MAX_ELEMENTS];
	size_t n_elements;
	size_t n_more; /* elements beyond the bound: not looked at */
};

/* header.data may be NULL: there was none. Spans of the result point into the header. 0 or -ENOMEM. */
int diagnosis_make(const struct scheme *scheme, const struct span *secrets, size_t n_secrets, struct span header,
				   struct span body, struct diagnosis *ret_diagnosis) MUST_USE;

/* Whether the element is just what one of the secrets makes of the body. */
bool diagnosis_is_right(const struct diagnosis_element *element);

#endif
