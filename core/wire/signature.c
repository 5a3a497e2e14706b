/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/signature.h"

#include "wire/digest.h"

#include <errno.h>

static const struct scheme schemes[] = {
	{ .name = "cronofy", .header = "cronofy-hmac-sha256", .encoding = SIGNATURE_BASE64 },
};

static const char *const names[] = { "cronofy", NULL };

const struct scheme *scheme_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
		if (span_equal(name, span_text(schemes[i].name)))
			return &schemes[i];
	return NULL;
}

const char *const *scheme_names(void)
{
	return names;
}

const char *signature_outcome_name(enum signature_outcome outcome)
{
	switch (outcome) {
	case SIGNATURE_VALID:
		return "valid";
	case SIGNATURE_E_MISSING:
		return "missing";
	case SIGNATURE_E_TOO_MANY:
		return "too_many";
	case SIGNATURE_E_MISMATCH:
		return "mismatch";
	}
	return "?";
}

struct verifier {
	const struct scheme *scheme;
	size_t n_keys;
	struct hmac_key *keys[SIGNATURE_MAX_SECRETS];
};

int verifier_create(const struct scheme *scheme, const struct span *secrets, size_t n_secrets,
					struct verifier **ret_verifier)
{
	if (n_secrets == 0 || n_secrets > SIGNATURE_MAX_SECRETS)
		return -EINVAL;
	CLEANUP(verifier_destroy) struct verifier *verifier = calloc(1, sizeof *verifier);
	if (!verifier)
		return -ENOMEM;
	verifier->scheme = scheme;
	for (size_t i = 0; i < n_secrets; i++) {
		if (secrets[i].n == 0)
			return -EINVAL;
		int r = hmac_key_create(secrets[i], &verifier->keys[i]);
		if (r < 0)
			return r;
		verifier->n_keys++;
	}
	*ret_verifier = STEAL(verifier);
	return 0;
}

void verifier_destroy(struct verifier *verifier)
{
	if (!verifier)
		return;
	for (size_t i = 0; i < verifier->n_keys; i++)
		hmac_key_destroy(verifier->keys[i]);
	free(verifier);
}

/* The elements of the header's list; empty ones are ignored (RFC 9110 5.6.1.2). */
static int split_elements(struct span header, struct span ret_elements[static SIGNATURE_MAX_ELEMENTS], size_t *ret_n)
{
	size_t n = 0;
	struct span rest = header, element;
	if (header.n > SIGNATURE_MAX_HEADER_BYTES)
		return SIGNATURE_E_TOO_MANY;
	while (span_next(&rest, ',', &element)) {
		element = span_trim(element);
		if (element.n == 0)
			continue;
		if (n == SIGNATURE_MAX_ELEMENTS)
			return SIGNATURE_E_TOO_MANY;
		ret_elements[n++] = element;
	}
	*ret_n = n;
	return n ? SIGNATURE_VALID : SIGNATURE_E_MISSING;
}

/* What one secret's signature of the body looks like in the header. */
static int expected_text(struct hmac_key *key, struct span body, struct buffer *text)
{
	uint8_t digest[DIGEST_BYTES];
	int r = hmac_key_sign(key, body, digest);
	if (r < 0)
		return r;
	base64_add(text, digest, sizeof digest);
	return text->failed ? -ENOMEM : 0;
}

int verifier_check(struct verifier *verifier, struct span header, struct span body, struct signature_match *ret_match)
{
	struct span elements[SIGNATURE_MAX_ELEMENTS];
	size_t n_elements = 0;
	int r = split_elements(header, elements, &n_elements);
	if (r != SIGNATURE_VALID)
		return r;
	struct signature_match match = { 0 };
	bool is_valid = false;
	CLEANUP(buffer_finish) struct buffer expected = BUFFER_INIT;
	for (size_t s = 0; s < verifier->n_keys; s++) {
		expected.n = 0;
		r = expected_text(verifier->keys[s], body, &expected);
		if (r < 0)
			return r;
		for (size_t e = 0; e < n_elements; e++) /* no early exit: the time must not tell which one */
			if (elements[e].n == expected.n && digest_equal(elements[e].data, expected.data, expected.n)) {
				is_valid = true;
				match = (struct signature_match){ .element = e, .secret = s };
			}
	}
	if (is_valid && ret_match)
		*ret_match = match;
	return is_valid ? SIGNATURE_VALID : SIGNATURE_E_MISMATCH;
}

int verifier_sign(struct verifier *verifier, struct span body, struct buffer *value)
{
	for (size_t s = 0; s < verifier->n_keys; s++) {
		if (s)
			buffer_add_char(value, ',');
		int r = expected_text(verifier->keys[s], body, value);
		if (r < 0)
			return r;
	}
	return value->failed ? -ENOMEM : 0;
}
