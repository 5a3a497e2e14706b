/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature of a callback: what the provider documents, what its SDKs test (tests/vectors/signatures.json), and
 * everything that only looks like a signature.
 *
 * The linker puts functions of this file in front of OpenSSL's, so that what they are asked for can be counted, and so
 * that they can fail.
 */
#include "wire/signature.h"

#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>

#define SECRET SPAN("CRN_NggYusqPGLxwjw5FHOJYOqSrTPNXy8WQf14OID")
#define OTHER_SECRET SPAN("CRN_nGlYDFXwfSXgB9rvGNBJyfE454GGPtWIbNuPwr")
#define BODY SPAN("{\"example\":\"well-known\"}")
/* Of BODY, with each of the two. */
#define VALUE "5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK0="
#define OTHER_VALUE "BmQmWVuZ70ILWjr1CAt5oC7YOolgnku4WZtlrKfx/6k="
/* 44 characters of base64 that nobody's secret gives. */
#define STRANGER "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* --- what OpenSSL is asked for, and how it fails --- */

static struct {
	size_t n_hmacs, n_comparisons;
	enum { NOTHING, INIT, UPDATE, FINAL, LENGTH } fault;
	size_t n_before; /* HMACs that succeed before the fault */
} openssl;

static bool has_fault(int fault)
{
	return (int)openssl.fault == fault && openssl.n_hmacs >= openssl.n_before;
}

int __real_EVP_MAC_init(EVP_MAC_CTX *context, const unsigned char *key, size_t n, const OSSL_PARAM params[]);
int __real_EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t n);
int __real_EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *digest, size_t *ret_n, size_t size);
int __real_CRYPTO_memcmp(const void *a, const void *b, size_t n);
int __wrap_EVP_MAC_init(EVP_MAC_CTX *context, const unsigned char *key, size_t n, const OSSL_PARAM params[]);
int __wrap_EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t n);
int __wrap_EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *digest, size_t *ret_n, size_t size);
int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t n);

int __wrap_EVP_MAC_init(EVP_MAC_CTX *context, const unsigned char *key, size_t n, const OSSL_PARAM params[])
{
	return has_fault(INIT) ? 0 : __real_EVP_MAC_init(context, key, n, params);
}

int __wrap_EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t n)
{
	return has_fault(UPDATE) ? 0 : __real_EVP_MAC_update(context, data, n);
}

/* The right digest is written in any case: whoever does not look at the result would take it. */
int __wrap_EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *digest, size_t *ret_n, size_t size)
{
	bool fails = has_fault(FINAL), is_short = has_fault(LENGTH);
	int r = __real_EVP_MAC_final(context, digest, ret_n, size);
	openssl.n_hmacs++;
	if (is_short)
		*ret_n -= 1;
	return fails ? 0 : r;
}

int __wrap_CRYPTO_memcmp(const void *a, const void *b, size_t n)
{
	openssl.n_comparisons++;
	return __real_CRYPTO_memcmp(a, b, n);
}

/* --- checks --- */

static struct verifier *create(const struct span *secrets, size_t n_secrets)
{
	struct verifier *verifier = NULL;
	CU_ASSERT_EQUAL_FATAL(verifier_create(scheme_find(SPAN("cronofy")), secrets, n_secrets, &verifier), 0);
	return verifier;
}

/* The outcome for one secret. */
static int check(struct span secret, struct span header, struct span body)
{
	CLEANUP(verifier_destroy) struct verifier *verifier = create(&secret, 1);
	return verifier_check(verifier, header, body, NULL);
}

static int check_header(const char *header)
{
	return check(SECRET, span_text(header), BODY);
}

static struct span text_of(const json_t *vector, const char *key)
{
	const json_t *value = json_object_get(vector, key);
	return span_of(json_string_value(value), json_string_length(value));
}

static void test_vectors(void)
{
	json_error_t error;
	json_t *file = json_load_file(TEST_VECTORS "/signatures.json", 0, &error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	const json_t *vectors = json_object_get(file, "vectors");
	CU_ASSERT_FATAL(json_array_size(vectors) >= 20);
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *vector = json_array_get(vectors, i);
		int outcome = check(text_of(vector, "secret"), text_of(vector, "header"), text_of(vector, "body"));
		bool is_right = (outcome == SIGNATURE_VALID) == json_is_true(json_object_get(vector, "valid"));
		if (!is_right)
			fprintf(stderr, "%s: %s\n", text_of(vector, "name").data, signature_outcome_name(outcome));
		CU_ASSERT_TRUE(is_right);
	}
	json_decref(file);
}

static void test_accepts_lists(void)
{
	static const char *const headers[] = {
		VALUE,
		" " VALUE "\t",
		STRANGER "," VALUE,
		VALUE "," STRANGER,
		STRANGER " ,\t" VALUE " , " OTHER_VALUE,
		",," VALUE ",,",
		"nonsense," VALUE,
		VALUE "," VALUE,
		STRANGER "," STRANGER "," STRANGER "," STRANGER "," STRANGER "," STRANGER "," STRANGER "," VALUE,
	};
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		CU_ASSERT_EQUAL(check_header(headers[i]), SIGNATURE_VALID);
}

static void test_says_which_pair_matched(void)
{
	struct span secrets[] = { SPAN("a secret that signs nothing"), OTHER_SECRET, SECRET };
	CLEANUP(verifier_destroy) struct verifier *verifier = create(secrets, ARRAY_LENGTH(secrets));
	struct signature_match match = { 99, 99 };
	CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(STRANGER ",," VALUE), BODY, &match), SIGNATURE_VALID);
	CU_ASSERT_EQUAL(match.element, 1); /* empty elements do not count */
	CU_ASSERT_EQUAL(match.secret, 2);
	CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(OTHER_VALUE "," STRANGER), BODY, &match), SIGNATURE_VALID);
	CU_ASSERT_EQUAL(match.element, 0);
	CU_ASSERT_EQUAL(match.secret, 1);
}

static void test_leaves_match_alone_on_refusal(void)
{
	struct span secrets[] = { SECRET, OTHER_SECRET };
	CLEANUP(verifier_destroy) struct verifier *verifier = create(secrets, ARRAY_LENGTH(secrets));
	struct signature_match match = { 7, 7 };
	CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(STRANGER), BODY, &match), SIGNATURE_E_MISMATCH);
	CU_ASSERT_EQUAL(match.element, 7);
	CU_ASSERT_EQUAL(match.secret, 7);
}

static void test_refuses_what_is_missing(void)
{
	static const char *const headers[] = { NULL, "", " ", "\t \t", ",", ",,,,,,,,,,,,,,", " , ,\t," };
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		CU_ASSERT_EQUAL(check_header(headers[i]), SIGNATURE_E_MISSING);
}

static void test_refuses_other_writings_of_the_right_digest(void)
{
	static const char *const headers[] = {
		"5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK0",    /* no padding */
		"5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK0==",  /* too much of it */
		"5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK1=",   /* other trailing bits, same bytes to a lax decoder */
		"5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK",     /* cut */
		"5dxentqi5ysxodeztvv06srwj3pulizikryv20qxek0=",   /* lower case */
		"\"" VALUE "\"",                                  /* quoted */
		"sha256=" VALUE,                                  /* other providers' prefix */
		"5DxentQi5YSXODEzTVv06sRw J3pULIz1KrYv20qxEK0=",  /* a blank inside */
		VALUE ";" STRANGER,                               /* no list */
		VALUE " " STRANGER,                               /* neither */
		"5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK0=\n", /* a line end is no blank */
		"e43c5e9ed422e584973831334d5bf4eac470277a542c8cf52ab62fdb4ab110ad", /* hex */
	};
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		CU_ASSERT_EQUAL(check_header(headers[i]), SIGNATURE_E_MISMATCH);
}

static void test_refuses_the_url_safe_alphabet(void)
{
	CU_ASSERT_EQUAL(check(OTHER_SECRET, SPAN(OTHER_VALUE), BODY), SIGNATURE_VALID);
	CU_ASSERT_EQUAL(check(OTHER_SECRET, SPAN("BmQmWVuZ70ILWjr1CAt5oC7YOolgnku4WZtlrKfx_6k="), BODY),
					SIGNATURE_E_MISMATCH);
}

static void test_refuses_nul_bytes(void)
{
	CU_ASSERT_EQUAL(check(SECRET, SPAN(VALUE "\0"), BODY), SIGNATURE_E_MISMATCH);
	CU_ASSERT_EQUAL(check(SECRET, SPAN("\0" VALUE), BODY), SIGNATURE_E_MISMATCH);
	CU_ASSERT_EQUAL(check(SECRET, SPAN(VALUE), SPAN("{\"example\":\"well-known\"}\0")), SIGNATURE_E_MISMATCH);
}

static void test_refuses_every_changed_byte_of_the_value(void)
{
	char value[] = VALUE;
	CLEANUP(verifier_destroy) struct verifier *verifier = create(&SECRET, 1);
	for (size_t i = 0; i < sizeof value - 1; i++) {
		value[i] ^= 1;
		CU_ASSERT_EQUAL(verifier_check(verifier, span_text(value), BODY, NULL), SIGNATURE_E_MISMATCH);
		value[i] ^= 1;
	}
	CU_ASSERT_EQUAL(verifier_check(verifier, span_text(value), BODY, NULL), SIGNATURE_VALID);
}

static void test_refuses_every_changed_byte_of_the_body(void)
{
	char body[] = "{\"example\":\"well-known\"}";
	CLEANUP(verifier_destroy) struct verifier *verifier = create(&SECRET, 1);
	for (size_t i = 0; i < sizeof body - 1; i++) {
		body[i] ^= 0x20;
		CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(VALUE), span_text(body), NULL), SIGNATURE_E_MISMATCH);
		body[i] ^= 0x20;
	}
}

static void test_refuses_rewritten_bodies(void)
{
	static const char *const bodies[] = {
		"",
		"{\"example\": \"well-known\"}",
		"{\"example\":\"well-known\"}\n",
		"\xef\xbb\xbf{\"example\":\"well-known\"}",
		"{\"example\":\"well\\u002dknown\"}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++)
		CU_ASSERT_EQUAL(check(SECRET, SPAN(VALUE), span_text(bodies[i])), SIGNATURE_E_MISMATCH);
}

static void test_refuses_another_form_of_the_secret(void)
{
	static const char *const secrets[] = {
		"NggYusqPGLxwjw5FHOJYOqSrTPNXy8WQf14OID",       /* without its prefix */
		"CRN_NggYusqPGLxwjw5FHOJYOqSrTPNXy8WQf14OID\n", /* with a line end */
		"CRN_NggYusqPGLxwjw5FHOJYOqSrTPNXy8WQf14OI",
		"crn_nggyusqpglxwjw5fhojyoqsrtpnxy8wqf14oid",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++)
		CU_ASSERT_EQUAL(check(span_text(secrets[i]), SPAN(VALUE), BODY), SIGNATURE_E_MISMATCH);
}

static void test_bounds_the_number_of_elements(void)
{
	CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
	buffer_add_text(&header, VALUE);
	for (int i = 1; i < SIGNATURE_MAX_ELEMENTS; i++)
		buffer_add_text(&header, ",x");
	CU_ASSERT_EQUAL(check(SECRET, buffer_span(&header), BODY), SIGNATURE_VALID);
	buffer_add_text(&header, ", ,"); /* empty ones do not count */
	CU_ASSERT_EQUAL(check(SECRET, buffer_span(&header), BODY), SIGNATURE_VALID);
	buffer_add_text(&header, "x");
	CU_ASSERT_EQUAL(check(SECRET, buffer_span(&header), BODY), SIGNATURE_E_TOO_MANY);
}

static void test_bounds_the_length_of_the_header(void)
{
	CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
	buffer_add_text(&header, VALUE);
	while (header.n < SIGNATURE_MAX_HEADER_BYTES)
		buffer_add_char(&header, ',');
	CU_ASSERT_EQUAL(check(SECRET, buffer_span(&header), BODY), SIGNATURE_VALID);
	buffer_add_char(&header, ',');
	CU_ASSERT_EQUAL(check(SECRET, buffer_span(&header), BODY), SIGNATURE_E_TOO_MANY);
}

/* Eight elements, the right one in this place (of eight: in none). */
static void add_elements(struct buffer *header, size_t place)
{
	for (size_t i = 0; i < SIGNATURE_MAX_ELEMENTS; i++) {
		buffer_add_text(header, i ? "," : "");
		buffer_add_text(header, i == place ? OTHER_VALUE : STRANGER);
	}
}

/* So the time tells neither which element was right nor which secret. */
static void test_compares_every_pair_whichever_matches(void)
{
	struct span secrets[SIGNATURE_MAX_SECRETS];
	for (size_t s = 0; s <= SIGNATURE_MAX_SECRETS; s++) {
		for (size_t i = 0; i < SIGNATURE_MAX_SECRETS; i++)
			secrets[i] = i == s ? OTHER_SECRET : SECRET;
		CLEANUP(verifier_destroy) struct verifier *verifier = create(secrets, SIGNATURE_MAX_SECRETS);
		for (size_t e = 0; e <= SIGNATURE_MAX_ELEMENTS; e++) {
			CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
			add_elements(&header, e);
			openssl.n_hmacs = openssl.n_comparisons = 0;
			bool is_valid = verifier_check(verifier, buffer_span(&header), BODY, NULL) == SIGNATURE_VALID;
			CU_ASSERT_EQUAL(is_valid, s < SIGNATURE_MAX_SECRETS && e < SIGNATURE_MAX_ELEMENTS);
			CU_ASSERT_EQUAL(openssl.n_hmacs, SIGNATURE_MAX_SECRETS);
			CU_ASSERT_EQUAL(openssl.n_comparisons, SIGNATURE_MAX_SECRETS * SIGNATURE_MAX_ELEMENTS);
		}
	}
}

static void test_computes_nothing_for_headers_over_the_bounds(void)
{
	CLEANUP(buffer_finish) struct buffer many = BUFFER_INIT, long_one = BUFFER_INIT;
	CLEANUP(verifier_destroy) struct verifier *verifier = create(&SECRET, 1);
	add_elements(&many, 0);
	buffer_add_text(&many, "," STRANGER);
	while (long_one.n <= SIGNATURE_MAX_HEADER_BYTES)
		buffer_add_char(&long_one, 'x');
	const struct span headers[] = { buffer_span(&many), buffer_span(&long_one), SPAN(""), SPAN(",,"), { NULL, 0 } };
	openssl.n_hmacs = openssl.n_comparisons = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
		CU_ASSERT_NOT_EQUAL(verifier_check(verifier, headers[i], BODY, NULL), SIGNATURE_VALID);
	CU_ASSERT_EQUAL(openssl.n_hmacs, 0);
	CU_ASSERT_EQUAL(openssl.n_comparisons, 0);
}

/* Neither valid nor a mismatch: nothing is known, whichever secret it was. */
static void test_tells_when_openssl_fails(void)
{
	struct span secrets[] = { SECRET, OTHER_SECRET, SECRET };
	CLEANUP(verifier_destroy) struct verifier *verifier = create(secrets, ARRAY_LENGTH(secrets));
	for (int fault = INIT; fault <= LENGTH; fault++)
		for (size_t n = 0; n < ARRAY_LENGTH(secrets); n++) {
			CLEANUP(buffer_finish) struct buffer value = BUFFER_INIT;
			openssl.fault = fault;
			openssl.n_before = n;
			openssl.n_hmacs = 0;
			CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(VALUE "," STRANGER), BODY, NULL), -ENOMEM);
			openssl.n_hmacs = 0;
			CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(STRANGER), BODY, NULL), -ENOMEM);
			openssl.n_hmacs = 0;
			CU_ASSERT_EQUAL(verifier_sign(verifier, BODY, &value), -ENOMEM);
			openssl.fault = NOTHING;
		}
	CU_ASSERT_EQUAL(verifier_check(verifier, SPAN(VALUE), BODY, NULL), SIGNATURE_VALID);
}

static void test_tells_when_a_key_cannot_be_made(void)
{
	struct verifier *verifier = NULL;
	openssl.fault = INIT;
	openssl.n_before = 0;
	CU_ASSERT_EQUAL(verifier_create(scheme_find(SPAN("cronofy")), &SECRET, 1, &verifier), -ENOMEM);
	openssl.fault = NOTHING;
	CU_ASSERT_PTR_NULL(verifier);
}

static int create_outcome(const struct span *secrets, size_t n_secrets)
{
	struct verifier *verifier = NULL;
	int r = verifier_create(scheme_find(SPAN("cronofy")), secrets, n_secrets, &verifier);
	CU_ASSERT_EQUAL(verifier == NULL, r != 0);
	verifier_destroy(verifier);
	return r;
}

static void test_refuses_unusable_secrets(void)
{
	struct span secrets[SIGNATURE_MAX_SECRETS + 1];
	for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++)
		secrets[i] = SECRET;
	CU_ASSERT_EQUAL(create_outcome(secrets, 0), -EINVAL);
	CU_ASSERT_EQUAL(create_outcome(secrets, SIGNATURE_MAX_SECRETS), 0);
	CU_ASSERT_EQUAL(create_outcome(secrets, SIGNATURE_MAX_SECRETS + 1), -EINVAL);
	secrets[1] = SPAN(""); /* everybody knows it */
	CU_ASSERT_EQUAL(create_outcome(secrets, 2), -EINVAL);
}

static void test_knows_its_schemes(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(scheme_find(SPAN("cronofy")));
	CU_ASSERT_STRING_EQUAL(scheme_find(SPAN("cronofy"))->header, "cronofy-hmac-sha256");
	CU_ASSERT_PTR_NULL(scheme_find(SPAN("Cronofy")));
	CU_ASSERT_PTR_NULL(scheme_find(SPAN("cronof")));
	CU_ASSERT_PTR_NULL(scheme_find(SPAN("")));
	for (const char *const *name = scheme_names(); *name; name++)
		CU_ASSERT_PTR_NOT_NULL(scheme_find(span_text(*name)));
}

static void test_signs_what_it_accepts(void)
{
	struct span secrets[] = { SECRET, OTHER_SECRET };
	CLEANUP(verifier_destroy) struct verifier *verifier = create(secrets, 2);
	CLEANUP(buffer_finish) struct buffer value = BUFFER_INIT;
	CU_ASSERT_EQUAL(verifier_sign(verifier, BODY, &value), 0);
	CU_ASSERT_TRUE(span_equal(buffer_span(&value), SPAN(VALUE "," OTHER_VALUE)));
	CU_ASSERT_EQUAL(verifier_check(verifier, buffer_span(&value), BODY, NULL), SIGNATURE_VALID);
}

static void test_signs_empty_and_binary_bodies(void)
{
	static const char binary[] = "\0\xff\r\n\0";
	CLEANUP(verifier_destroy) struct verifier *verifier = create(&SECRET, 1);
	CLEANUP(buffer_finish) struct buffer empty = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	CU_ASSERT_EQUAL(verifier_sign(verifier, SPAN(""), &empty), 0);
	CU_ASSERT_EQUAL(verifier_sign(verifier, span_of(binary, sizeof binary), &bytes), 0);
	CU_ASSERT_EQUAL(verifier_check(verifier, buffer_span(&empty), span_of(NULL, 0), NULL), SIGNATURE_VALID);
	CU_ASSERT_EQUAL(verifier_check(verifier, buffer_span(&bytes), span_of(binary, sizeof binary), NULL),
					SIGNATURE_VALID);
	CU_ASSERT_EQUAL(verifier_check(verifier, buffer_span(&empty), span_of(binary, sizeof binary), NULL),
					SIGNATURE_E_MISMATCH);
}

UNIT_MAIN({ "the provider's and its SDKs' vectors", test_vectors },
		  { "accepts lists with ours in any place", test_accepts_lists },
		  { "says which pair matched", test_says_which_pair_matched },
		  { "leaves the match alone on refusal", test_leaves_match_alone_on_refusal },
		  { "refuses what is missing", test_refuses_what_is_missing },
		  { "refuses other writings of the right digest", test_refuses_other_writings_of_the_right_digest },
		  { "refuses the URL-safe alphabet", test_refuses_the_url_safe_alphabet },
		  { "refuses NUL bytes", test_refuses_nul_bytes },
		  { "refuses every changed byte of the value", test_refuses_every_changed_byte_of_the_value },
		  { "refuses every changed byte of the body", test_refuses_every_changed_byte_of_the_body },
		  { "refuses rewritten bodies", test_refuses_rewritten_bodies },
		  { "refuses another form of the secret", test_refuses_another_form_of_the_secret },
		  { "bounds the number of elements", test_bounds_the_number_of_elements },
		  { "bounds the length of the header", test_bounds_the_length_of_the_header },
		  { "compares every pair, whichever matches", test_compares_every_pair_whichever_matches },
		  { "computes nothing for headers over the bounds", test_computes_nothing_for_headers_over_the_bounds },
		  { "tells when OpenSSL fails", test_tells_when_openssl_fails },
		  { "tells when a key cannot be made", test_tells_when_a_key_cannot_be_made },
		  { "refuses unusable secrets", test_refuses_unusable_secrets },
		  { "knows its schemes", test_knows_its_schemes }, { "signs what it accepts", test_signs_what_it_accepts },
		  { "signs empty and binary bodies", test_signs_empty_and_binary_bodies })
