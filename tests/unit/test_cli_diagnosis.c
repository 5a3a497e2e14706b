/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/diagnosis.h"

#include "unit.h"

#include <openssl/evp.h>

#define BODY "{\"example\": \"well-known\",\n \"url\": \"a/b\"}\n"

static const struct span secrets[] = { { "CRN_first_secret_0123456789", 27 }, { "CRN_second", 10 } };

static void sign(struct span secret, struct span body, uint8_t ret_digest[static DIGEST_BYTES])
{
	CLEANUP(hmac_key_destroy) struct hmac_key *key = NULL;
	CU_ASSERT_EQUAL_FATAL(hmac_key_create(secret, &key), 0);
	CU_ASSERT_EQUAL_FATAL(hmac_key_sign(key, body, ret_digest), 0);
}

static void add_signature(struct buffer *header, struct span secret, struct span body)
{
	uint8_t digest[DIGEST_BYTES];
	sign(secret, body, digest);
	base64_add(header, digest, sizeof digest);
}

static struct diagnosis diagnose(struct span header, struct span body)
{
	struct diagnosis diagnosis = { 0 };
	CU_ASSERT_EQUAL_FATAL(diagnosis_make(scheme_find(SPAN("cronofy")), secrets, 2, header, body, &diagnosis), 0);
	return diagnosis;
}

static void expect(const struct diagnosis_element *e, const char *form, size_t secret, const char *secret_variant,
				   const char *body_variant, const char *method)
{
	CU_ASSERT_STRING_EQUAL(e->form->name, form);
	CU_ASSERT_TRUE_FATAL(e->is_found);
	CU_ASSERT_EQUAL(e->secret, secret);
	CU_ASSERT_STRING_EQUAL(e->secret_variant->name, secret_variant);
	CU_ASSERT_STRING_EQUAL(e->body_variant->name, body_variant);
	CU_ASSERT_STRING_EQUAL(e->method->name, method);
}

static void test_right(void)
{
	CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
	buffer_add_text(&header, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=, ,");
	add_signature(&header, secrets[1], SPAN(BODY));
	struct diagnosis d = diagnose(buffer_span(&header), SPAN(BODY));
	CU_ASSERT_EQUAL(d.outcome, SIGNATURE_VALID);
	CU_ASSERT_EQUAL(d.n_elements, 2);
	CU_ASSERT_FALSE(d.elements[0].is_found);
	CU_ASSERT_FALSE(diagnosis_is_right(&d.elements[0]));
	CU_ASSERT_TRUE(diagnosis_is_right(&d.elements[1]));
	expect(&d.elements[1], "standard", 1, "as_is", "as_is", "hmac");
}

static void test_nothing_there(void)
{
	CU_ASSERT_EQUAL(diagnose(span_of(NULL, 0), SPAN(BODY)).outcome, SIGNATURE_E_MISSING);
	CU_ASSERT_EQUAL(diagnose(SPAN(""), SPAN(BODY)).outcome, SIGNATURE_E_MISSING);
	CU_ASSERT_EQUAL(diagnose(SPAN(" , ,"), SPAN(BODY)).n_elements, 0);
	struct diagnosis d = diagnose(SPAN("a,b,c,d,e,f,g,h,i,j"), SPAN(BODY));
	CU_ASSERT_EQUAL(d.outcome, SIGNATURE_E_TOO_MANY);
	CU_ASSERT_EQUAL(d.n_elements, SIGNATURE_MAX_ELEMENTS);
	CU_ASSERT_EQUAL(d.n_more, 2);
}

static void add_hex(struct buffer *text, const uint8_t digest[static DIGEST_BYTES])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		buffer_add_printf(text, "%02x", digest[i]);
}

/* A wrong way to write the right digest. */
static void test_forms(void)
{
	static const char *const names[] = { "unpadded",     "base64url", "hex",      "base64_of_hex",
										 "base64_twice", "quoted",    "prefixed", "truncated" };
	uint8_t digest[DIGEST_BYTES];
	struct span body = SPAN("{}\n");
	CLEANUP(buffer_finish)
	struct buffer standard = BUFFER_INIT, url = BUFFER_INIT, hex = BUFFER_INIT, header = BUFFER_INIT;
	sign(secrets[0], body, digest);
	base64_add(&standard, digest, sizeof digest);
	base64url_add(&url, digest, sizeof digest);
	add_hex(&hex, digest);
	buffer_add_printf(&header, "%.43s,%.43s,%.64s,", standard.data, url.data, hex.data);
	base64_add(&header, hex.data, hex.n);
	buffer_add_char(&header, ',');
	base64_add(&header, standard.data, standard.n);
	buffer_add_printf(&header, ",\"%.44s\",sha256=%.64s,%.20s", standard.data, hex.data, standard.data);
	struct diagnosis d = diagnose(buffer_span(&header), body);
	CU_ASSERT_EQUAL(d.outcome, SIGNATURE_E_MISMATCH);
	CU_ASSERT_EQUAL_FATAL(d.n_elements, ARRAY_LENGTH(names));
	CU_ASSERT_PTR_NOT_NULL_FATAL(strpbrk(url.data, "-_")); /* else this body does not tell the alphabets apart */
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		expect(&d.elements[i], names[i], 0, "as_is", "as_is", "hmac");
		CU_ASSERT_FALSE(diagnosis_is_right(&d.elements[i]));
	}
}

static void test_not_even_wrong(void)
{
	static const char *const others[] = { "x", "something-else", "====", "AAAA", "!", "\xff\xfe" };
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		struct diagnosis d = diagnose(span_text(others[i]), SPAN(BODY));
		CU_ASSERT_EQUAL(d.n_elements, 1);
		CU_ASSERT_STRING_EQUAL(d.elements[0].form->name, "other");
		CU_ASSERT_FALSE(d.elements[0].is_found);
	}
}

/* The right way to sign other bytes. */
static void test_bodies(void)
{
	static const struct {
		struct span is, was; /* what we have, what was signed */
		const char *name;
	} cases[] = {
		{ SPAN("{}\n"), SPAN("{}"), "without_newline" },
		{ SPAN("{}\r\n"), SPAN("{}"), "without_blanks" },
		{ SPAN("{}"), SPAN("{}\n"), "with_newline" },
		{ SPAN("{}"), SPAN("{}\r\n"), "with_crlf" },
		{ SPAN("{\n}"), SPAN("{\r\n}"), "lf_to_crlf" },
		{ SPAN("{\r\n}"), SPAN("{\n}"), "crlf_to_lf" },
		{ SPAN("\xef\xbb\xbf{}"), SPAN("{}"), "without_bom" },
		{ SPAN("{}"), SPAN("\xef\xbb\xbf{}"), "with_bom" },
		{ SPAN(BODY), SPAN("{\"example\":\"well-known\",\"url\":\"a/b\"}"), "json_compact" },
		{ SPAN(BODY), SPAN("{\"example\": \"well-known\", \"url\": \"a/b\"}"), "json_spaced" },
		{ SPAN("{\"b\":1,\"a\":2}"), SPAN("{\"a\":2,\"b\":1}"), "json_sorted" },
		{ SPAN(BODY), SPAN("{\"example\":\"well-known\",\"url\":\"a\\/b\"}"), "json_slashes" },
		{ SPAN("{\"a\":1}"), SPAN("{\n  \"a\": 1\n}"), "json_indented_2" },
		{ SPAN("{}"), SPAN(""), "empty" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
		add_signature(&header, secrets[1], cases[i].was);
		struct diagnosis d = diagnose(buffer_span(&header), cases[i].is);
		CU_ASSERT_EQUAL(d.outcome, SIGNATURE_E_MISMATCH);
		expect(&d.elements[0], "standard", 1, "as_is", cases[i].name, "hmac");
	}
}

static void test_secrets(void)
{
	static const struct {
		struct span was;
		const char *name;
	} cases[] = {
		{ SPAN("CRN_second\n"), "with_newline" },
		{ SPAN("CRN_second\r\n"), "with_crlf" },
		{ SPAN("second"), "without_prefix" },
		{ SPAN("\"CRN_second\""), "in_quotes" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
		add_signature(&header, cases[i].was, SPAN(BODY));
		struct diagnosis d = diagnose(buffer_span(&header), SPAN(BODY));
		expect(&d.elements[0], "standard", 1, cases[i].name, "as_is", "hmac");
	}
}

static void test_methods(void)
{
	CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	add_signature(&header, SPAN(BODY), secrets[0]);
	buffer_add_char(&header, ',');
	CU_ASSERT_EQUAL(digest_sha256(SPAN(BODY), digest), 0);
	base64_add(&header, digest, sizeof digest);
	buffer_add_char(&header, ',');
	CU_ASSERT_EQUAL(digest_sha256(SPAN("CRN_second" BODY), digest), 0);
	base64_add(&header, digest, sizeof digest);
	struct diagnosis d = diagnose(buffer_span(&header), SPAN(BODY));
	expect(&d.elements[0], "standard", 0, "as_is", "as_is", "hmac_swapped");
	expect(&d.elements[1], "standard", 0, "as_is", "as_is", "digest_alone");
	expect(&d.elements[2], "standard", 1, "as_is", "as_is", "digest_of_both");
}

/* Two mistakes at once are found too. */
static void test_both(void)
{
	CLEANUP(buffer_finish) struct buffer header = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	sign(SPAN("first_secret_0123456789"), SPAN("{}"), digest);
	add_hex(&header, digest);
	struct diagnosis d = diagnose(buffer_span(&header), SPAN("{}\n"));
	expect(&d.elements[0], "hex", 0, "without_prefix", "without_newline", "hmac");
}

static void test_odd_bodies(void)
{
	CU_ASSERT_EQUAL(diagnose(SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), SPAN("")).outcome,
					SIGNATURE_E_MISMATCH);
	CU_ASSERT_EQUAL(diagnose(SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), SPAN("\0\xff\n\r")).outcome,
					SIGNATURE_E_MISMATCH);
}

UNIT_MAIN({ "the right signature", test_right }, { "no header, no element, too many", test_nothing_there },
		  { "written in a wrong form", test_forms }, { "nothing that is a digest", test_not_even_wrong },
		  { "of other bytes", test_bodies }, { "by another spelling of the secret", test_secrets },
		  { "by another computation", test_methods }, { "two mistakes at once", test_both },
		  { "bodies that are no JSON", test_odd_bodies })
