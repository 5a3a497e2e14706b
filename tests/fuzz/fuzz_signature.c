/* SPDX-License-Identifier: Apache-2.0 */
/* A header's value up to the first line feed, and the body behind it. Valid is what holds a signature that we would
 * have made, and nothing else. */
#include "fuzz.h"
#include "wire/signature.h"

#define N_SECRETS 2

static struct verifier *create(void)
{
	static const struct span secrets[N_SECRETS] = { { "CRN_fuzz", 8 }, { "another", 7 } };
	struct verifier *verifier = NULL;
	FUZZ_ASSERT(verifier_create(scheme_find(SPAN("cronofy")), secrets, N_SECRETS, &verifier) == 0);
	return verifier;
}

/* The elements that count. */
static size_t split(struct span header, struct span *elements, size_t max)
{
	size_t n = 0;
	struct span element;
	while (span_next(&header, ',', &element)) {
		element = span_trim(element);
		if (element.n && n++ < max)
			elements[n - 1] = element;
	}
	return n;
}

static bool is_good(struct span element, const struct span *good)
{
	return span_equal(element, good[0]) || span_equal(element, good[1]);
}

static int expected_outcome(struct span header, const struct span *good, struct span *elements)
{
	if (header.n > SIGNATURE_MAX_HEADER_BYTES)
		return SIGNATURE_E_TOO_MANY;
	size_t n = split(header, elements, SIGNATURE_MAX_ELEMENTS);
	if (n == 0)
		return SIGNATURE_E_MISSING;
	if (n > SIGNATURE_MAX_ELEMENTS)
		return SIGNATURE_E_TOO_MANY;
	for (size_t i = 0; i < n; i++)
		if (is_good(elements[i], good))
			return SIGNATURE_VALID;
	return SIGNATURE_E_MISMATCH;
}

static int check(struct verifier *verifier, struct span header, struct span body)
{
	struct span elements[SIGNATURE_MAX_ELEMENTS] = { 0 }, good[N_SECRETS];
	struct signature_match match = { 99, 99 };
	CLEANUP(buffer_finish) struct buffer signatures = BUFFER_INIT;
	FUZZ_ASSERT(verifier_sign(verifier, body, &signatures) == 0);
	FUZZ_ASSERT(split(buffer_span(&signatures), good, N_SECRETS) == N_SECRETS);
	int outcome = verifier_check(verifier, header, body, &match);
	FUZZ_ASSERT(outcome == expected_outcome(header, good, elements));
	if (outcome == SIGNATURE_VALID)
		FUZZ_ASSERT(match.element < SIGNATURE_MAX_ELEMENTS && match.secret < N_SECRETS &&
					span_equal(elements[match.element], good[match.secret]));
	else
		FUZZ_ASSERT(match.element == 99 && match.secret == 99);
	return outcome;
}

/* The same header with a right signature behind it: whatever stands in front cannot make it wrong, but too long. */
static void check_signed(struct verifier *verifier, struct span header, struct span body)
{
	CLEANUP(buffer_finish) struct buffer value = BUFFER_INIT;
	buffer_add(&value, header);
	buffer_add_char(&value, ',');
	FUZZ_ASSERT(verifier_sign(verifier, body, &value) == 0);
	int outcome = check(verifier, buffer_span(&value), body);
	FUZZ_ASSERT(outcome == SIGNATURE_VALID || outcome == SIGNATURE_E_TOO_MANY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(verifier_destroy) struct verifier *verifier = create();
	struct span header = span_of(data, 0), body = span_of(data, n);
	if (n)
		(void)span_next(&body, '\n', &header);
	(void)check(verifier, header, body);
	check_signed(verifier, header, body);
	return 0;
}
