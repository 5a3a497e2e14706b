/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/diagnosis.h"

#include "cli/base64.h"
#include "wire/http.h"

#include <errno.h>
#include <jansson.h>

/* Fewer bytes of a digest than these match by accident. */
#define MIN_DIGEST_BYTES 6

/* ---- forms: what an element stands for ---- */

/* Reads the digest, or as much of it as there is; false if the text is not of this form. */
typedef bool (*form_reader)(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n);

static bool take_digest(const struct buffer *bytes, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	if (bytes->failed || bytes->n != DIGEST_BYTES)
		return false;
	memcpy(ret_digest, bytes->data, DIGEST_BYTES);
	*ret_n = DIGEST_BYTES;
	return true;
}

static bool read_alphabet(struct span text, enum base64_alphabet alphabet, size_t n_chars,
						  uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	return text.n == n_chars && base64_read(text, alphabet, &bytes) && take_digest(&bytes, ret_digest, ret_n);
}

static bool read_standard(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	CLEANUP(buffer_finish) struct buffer again = BUFFER_INIT;
	if (!read_alphabet(text, BASE64_STANDARD, DIGEST_BASE64_CHARS, ret_digest, ret_n))
		return false;
	base64_add(&again, ret_digest, DIGEST_BYTES); /* there is one way to write it */
	return span_equal(buffer_span(&again), text);
}

static bool read_unpadded(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	return read_alphabet(text, BASE64_STANDARD, DIGEST_BASE64_CHARS - 1, ret_digest, ret_n);
}

static bool read_base64url(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	return read_alphabet(text, BASE64_URL, DIGEST_BASE64_CHARS, ret_digest, ret_n) ||
		   read_alphabet(text, BASE64_URL, DIGEST_BASE64_CHARS - 1, ret_digest, ret_n);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	if (text.n != (size_t)DIGEST_BYTES * 2)
		return false;
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		int high = hex_value(text.data[2 * i]), low = hex_value(text.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret_digest[i] = (uint8_t)(high << 4 | low);
	}
	*ret_n = DIGEST_BYTES;
	return true;
}

/* The text is base64 of a text of another form. */
static bool read_inside(struct span text, form_reader inner, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	return base64_read(text, BASE64_STANDARD, &bytes) && bytes.n && inner(buffer_span(&bytes), ret_digest, ret_n);
}

static bool read_base64_of_hex(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	return read_inside(text, read_hex, ret_digest, ret_n);
}

static bool read_base64_twice(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	return read_inside(text, read_standard, ret_digest, ret_n);
}

static bool read_plain(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	return read_standard(text, ret_digest, ret_n) || read_hex(text, ret_digest, ret_n);
}

static bool read_quoted(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	bool is_quoted =
		text.n > 2 && (text.data[0] == '"' || text.data[0] == '\'') && text.data[text.n - 1] == text.data[0];
	return is_quoted && read_plain(span_of(text.data + 1, text.n - 2), ret_digest, ret_n);
}

static bool read_prefixed(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	static const char *const prefixes[] = {
		"sha256=", "sha256:", "v1=", "v1:", "hmac-sha256=", "cronofy-hmac-sha256:"
	};
	for (size_t i = 0; i < ARRAY_LENGTH(prefixes); i++) {
		size_t n = strlen(prefixes[i]);
		if (text.n > n && span_equal_ignoring_case(span_of(text.data, n), span_of(prefixes[i], n)))
			return read_plain(span_trim(span_skip(text, n)), ret_digest, ret_n);
	}
	return false;
}

static bool read_percent_encoded(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
	return memchr(text.data, '%', text.n) && http_percent_decode(text, &decoded) && decoded.n &&
		   read_plain(buffer_span(&decoded), ret_digest, ret_n);
}

/* "+" decoded as if it stood in a form: a blank. */
static bool read_blanks(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	CLEANUP(buffer_finish) struct buffer fixed = BUFFER_INIT;
	if (!memchr(text.data, ' ', text.n))
		return false;
	for (size_t i = 0; i < text.n; i++)
		buffer_add_char(&fixed, text.data[i] == ' ' ? '+' : text.data[i]);
	return !fixed.failed && read_plain(buffer_span(&fixed), ret_digest, ret_n);
}

static bool read_truncated(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	struct span whole = span_of(text.data, text.n / 4 * 4); /* whole groups */
	if (text.n >= DIGEST_BASE64_CHARS - 1 || !base64_read(whole, BASE64_STANDARD, &bytes) ||
		bytes.n < MIN_DIGEST_BYTES || bytes.n > DIGEST_BYTES)
		return false;
	memcpy(ret_digest, bytes.data, bytes.n);
	*ret_n = bytes.n;
	return true;
}

static bool read_other(struct span text, uint8_t ret_digest[static DIGEST_BYTES], size_t *ret_n)
{
	(void)text;
	(void)ret_digest;
	*ret_n = 0;
	return true;
}

/* The first that can read an element is its form; the last reads everything. */
static const struct {
	struct diagnosis_word word;
	form_reader read;
} forms[] = {
	{ { "standard", "base64 of 32 bytes, as it should be" }, read_standard },
	{ { "unpadded", "base64 of 32 bytes, but its padding is missing: one \"=\" at the end" }, read_unpadded },
	{ { "base64url", "in the URL-safe alphabet; \"-\" should be \"+\" and \"_\" should be \"/\", with padding" },
	  read_base64url },
	{ { "hex", "in hexadecimal; it should be base64 of the 32 bytes" }, read_hex },
	{ { "base64_of_hex", "base64 of a hexadecimal text; it should be base64 of the 32 bytes themselves" },
	  read_base64_of_hex },
	{ { "base64_twice", "base64 of base64; once is enough" }, read_base64_twice },
	{ { "quoted", "in quotes; they do not belong there" }, read_quoted },
	{ { "prefixed", "behind a prefix; it should stand alone, in base64" }, read_prefixed },
	{ { "percent_encoded", "percent-encoded; a header is not" }, read_percent_encoded },
	{ { "blanks", "with blanks where \"+\" was: somebody decoded it as a form" }, read_blanks },
	{ { "truncated", "base64, but cut off" }, read_truncated },
	{ { "other", "nothing that stands for 32 bytes" }, read_other },
};

static void read_element(struct span text, struct diagnosis_element *ret_element)
{
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	*ret_element = (struct diagnosis_element){ .text = text };
	if (base64_read(text, BASE64_STANDARD, &bytes))
		ret_element->n_decoded = bytes.n;
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++)
		if (forms[i].read(text, ret_element->digest, &ret_element->n_digest)) {
			ret_element->form = &forms[i].word;
			return;
		}
}

/* ---- variants: what may have been signed instead, and with what ---- */

/* Appends the variant; false if it does not apply. */
typedef bool (*variant_maker)(struct span original, struct buffer *variant);

struct variant_kind {
	struct diagnosis_word word;
	variant_maker make;
};

static bool make_as_is(struct span original, struct buffer *variant)
{
	buffer_add(variant, original);
	return true;
}

/* The bytes that stand in `set` are taken off the end, at most max of them. */
static bool make_stripped(struct span original, const char *set, size_t max, struct buffer *variant)
{
	size_t n = original.n;
	while (n && original.n - n < max && strchr(set, original.data[n - 1]) && original.data[n - 1] != '\0')
		n--;
	buffer_add(variant, span_of(original.data, n));
	return n < original.n;
}

static bool make_without_newline(struct span original, struct buffer *variant)
{
	return make_stripped(original, "\n", 1, variant);
}

static bool make_without_blanks(struct span original, struct buffer *variant)
{
	return make_stripped(original, " \t\r\n", SIZE_MAX, variant);
}

static bool make_with_newline(struct span original, struct buffer *variant)
{
	buffer_add(variant, original);
	buffer_add_char(variant, '\n');
	return true;
}

static bool make_with_crlf(struct span original, struct buffer *variant)
{
	buffer_add(variant, original);
	buffer_add_text(variant, "\r\n");
	return true;
}

static bool make_lf_to_crlf(struct span original, struct buffer *variant)
{
	char before = '\0';
	for (size_t i = 0; i < original.n; i++) {
		if (original.data[i] == '\n' && before != '\r')
			buffer_add_char(variant, '\r');
		before = original.data[i];
		buffer_add_char(variant, before);
	}
	return variant->n != original.n;
}

static bool make_crlf_to_lf(struct span original, struct buffer *variant)
{
	for (size_t i = 0; i < original.n; i++)
		if (original.data[i] != '\r' || i + 1 == original.n || original.data[i + 1] != '\n')
			buffer_add_char(variant, original.data[i]);
	return variant->n != original.n;
}

static bool make_without_bom(struct span original, struct buffer *variant)
{
	if (!span_starts_with(original, SPAN("\xef\xbb\xbf")))
		return false;
	buffer_add(variant, span_skip(original, 3));
	return true;
}

static bool make_with_bom(struct span original, struct buffer *variant)
{
	buffer_add_text(variant, "\xef\xbb\xbf");
	buffer_add(variant, original);
	return true;
}

static bool make_json(struct span original, size_t flags, struct buffer *variant)
{
	json_t *json = json_loadb(original.data ? original.data : "", original.n, JSON_ALLOW_NUL, NULL);
	char *text = json ? json_dumps(json, flags) : NULL;
	buffer_add_text(variant, text);
	free(text);
	json_decref(json);
	return variant->n && !span_equal(buffer_span(variant), original);
}

static bool make_json_compact(struct span original, struct buffer *variant)
{
	return make_json(original, JSON_COMPACT, variant);
}

static bool make_json_spaced(struct span original, struct buffer *variant)
{
	return make_json(original, 0, variant);
}

static bool make_json_spaced_ascii(struct span original, struct buffer *variant)
{
	return make_json(original, JSON_ENSURE_ASCII, variant);
}

static bool make_json_sorted(struct span original, struct buffer *variant)
{
	return make_json(original, JSON_COMPACT | JSON_SORT_KEYS, variant);
}

static bool make_json_slashes(struct span original, struct buffer *variant)
{
	return make_json(original, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ESCAPE_SLASH, variant);
}

static bool make_json_indented_2(struct span original, struct buffer *variant)
{
	return make_json(original, JSON_INDENT(2), variant);
}

static bool make_json_indented_4(struct span original, struct buffer *variant)
{
	return make_json(original, JSON_INDENT(4), variant);
}

static bool make_empty(struct span original, struct buffer *variant)
{
	(void)variant;
	return original.n > 0;
}

static bool make_without_prefix(struct span original, struct buffer *variant)
{
	if (!span_starts_with(original, SPAN("CRN_")))
		return false;
	buffer_add(variant, span_skip(original, 4));
	return true;
}

static bool make_with_prefix(struct span original, struct buffer *variant)
{
	buffer_add_text(variant, "CRN_");
	buffer_add(variant, original);
	return !span_starts_with(original, SPAN("CRN_"));
}

static bool make_in_quotes(struct span original, struct buffer *variant)
{
	buffer_add_char(variant, '"');
	buffer_add(variant, original);
	buffer_add_char(variant, '"');
	return true;
}

static bool make_decoded(struct span original, struct buffer *variant)
{
	return base64_read(original, BASE64_STANDARD, variant) && variant->n;
}

static const struct variant_kind body_kinds[] = {
	{ { "as_is", "the body" }, make_as_is },
	{ { "without_newline", "the body without its last newline" }, make_without_newline },
	{ { "without_blanks", "the body without the blanks at its end" }, make_without_blanks },
	{ { "with_newline", "the body with a newline at its end" }, make_with_newline },
	{ { "with_crlf", "the body with CR LF at its end" }, make_with_crlf },
	{ { "lf_to_crlf", "the body with every LF as CR LF" }, make_lf_to_crlf },
	{ { "crlf_to_lf", "the body with every CR LF as LF" }, make_crlf_to_lf },
	{ { "without_bom", "the body without its byte order mark" }, make_without_bom },
	{ { "with_bom", "the body with a byte order mark in front" }, make_with_bom },
	{ { "json_compact", "the same JSON written anew, without blanks" }, make_json_compact },
	{ { "json_spaced", "the same JSON written anew, with \", \" and \": \"" }, make_json_spaced },
	{ { "json_spaced_ascii", "the same JSON written anew, with \", \" and \": \", in ASCII" }, make_json_spaced_ascii },
	{ { "json_sorted", "the same JSON written anew, without blanks, its keys sorted" }, make_json_sorted },
	{ { "json_slashes", "the same JSON written anew, without blanks, in ASCII, with \"\\/\" for \"/\"" },
	  make_json_slashes },
	{ { "json_indented_2", "the same JSON written anew, indented by two" }, make_json_indented_2 },
	{ { "json_indented_4", "the same JSON written anew, indented by four" }, make_json_indented_4 },
	{ { "empty", "an empty body: somebody had read it before it was signed" }, make_empty },
};

static const struct variant_kind secret_kinds[] = {
	{ { "as_is", "" }, make_as_is },
	{ { "with_newline", " and a newline at its end" }, make_with_newline },
	{ { "with_crlf", " and CR LF at its end" }, make_with_crlf },
	{ { "without_blanks", " without the blanks at its end" }, make_without_blanks },
	{ { "without_prefix", " without its \"CRN_\", which belongs to it" }, make_without_prefix },
	{ { "with_prefix", " with \"CRN_\" in front" }, make_with_prefix },
	{ { "in_quotes", " in quotes" }, make_in_quotes },
	{ { "decoded", " decoded from base64; it should be taken as it is written" }, make_decoded },
};

/* ---- methods: what was computed ---- */

typedef int (*method)(struct span secret, struct span body, uint8_t ret_digest[static DIGEST_BYTES]);

static int hmac(struct span secret, struct span body, uint8_t ret_digest[static DIGEST_BYTES])
{
	CLEANUP(hmac_key_destroy) struct hmac_key *key = NULL;
	int r = hmac_key_create(secret.n ? secret : SPAN("\0"), &key); /* HMAC fills a short key with zeros */
	return r < 0 ? r : hmac_key_sign(key, body, ret_digest);
}

static int hmac_swapped(struct span secret, struct span body, uint8_t ret_digest[static DIGEST_BYTES])
{
	return hmac(body, secret, ret_digest);
}

static int digest_alone(struct span secret, struct span body, uint8_t ret_digest[static DIGEST_BYTES])
{
	(void)secret;
	return digest_sha256(body, ret_digest);
}

static int digest_of_both(struct span secret, struct span body, uint8_t ret_digest[static DIGEST_BYTES])
{
	CLEANUP(buffer_finish) struct buffer both = BUFFER_INIT;
	if (!buffer_reserve(&both, secret.n + body.n))
		return -ENOMEM;
	buffer_add(&both, secret);
	buffer_add(&both, body);
	int r = digest_sha256(buffer_span(&both), ret_digest);
	secret_wipe(both.data, secret.n);
	return r;
}

static const struct {
	struct diagnosis_word word;
	method compute;
} methods[] = {
	{ { "hmac", "" }, hmac },
	{ { "hmac_swapped", ", but with the body as the key and the secret as the message" }, hmac_swapped },
	{ { "digest_alone", ", but as a SHA-256 digest without any secret" }, digest_alone },
	{ { "digest_of_both", ", but as a SHA-256 digest of secret and body, not as an HMAC" }, digest_of_both },
};

/* ---- the search ---- */

/* One secret or body in all its variants. */
struct variants {
	struct buffer texts[ARRAY_LENGTH(body_kinds)];
	bool applies[ARRAY_LENGTH(body_kinds)];
};

static void variants_finish(struct variants *variants)
{
	for (size_t i = 0; i < ARRAY_LENGTH(variants->texts); i++) {
		secret_wipe(variants->texts[i].data, variants->texts[i].n);
		buffer_finish(&variants->texts[i]);
	}
}

static void variants_finish_cleanup(struct variants *variants)
{
	variants_finish(variants);
}

static int variants_make(struct variants *variants, const struct variant_kind *kinds, size_t n_kinds,
						 struct span original)
{
	for (size_t i = 0; i < n_kinds; i++) {
		variants->applies[i] = kinds[i].make(original, &variants->texts[i]);
		if (variants->texts[i].failed)
			return -ENOMEM;
	}
	return 0;
}

/* The elements that this digest explains, and that nothing simpler has. */
static void mark(struct diagnosis *diagnosis, const uint8_t digest[static DIGEST_BYTES],
				 const struct diagnosis_element *finding)
{
	for (size_t i = 0; i < diagnosis->n_elements; i++) {
		struct diagnosis_element *element = &diagnosis->elements[i];
		if (element->is_found || element->n_digest == 0 || memcmp(element->digest, digest, element->n_digest) != 0)
			continue;
		element->is_found = true;
		element->secret = finding->secret;
		element->secret_variant = finding->secret_variant;
		element->body_variant = finding->body_variant;
		element->method = finding->method;
	}
}

static bool is_all_found(const struct diagnosis *diagnosis)
{
	for (size_t i = 0; i < diagnosis->n_elements; i++)
		if (!diagnosis->elements[i].is_found && diagnosis->elements[i].n_digest)
			return false;
	return true;
}

/* Every method on one variant of a secret and one of the body. */
static int try_methods(struct diagnosis *diagnosis, struct diagnosis_element *finding, struct span secret,
					   struct span body)
{
	for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
		uint8_t digest[DIGEST_BYTES];
		int r = methods[i].compute(secret, body, digest);
		if (r < 0)
			return r;
		finding->method = &methods[i].word;
		mark(diagnosis, digest, finding);
	}
	return 0;
}

static int try_bodies(struct diagnosis *diagnosis, struct diagnosis_element *finding, struct span secret,
					  const struct variants *bodies)
{
	for (size_t i = 0; i < ARRAY_LENGTH(body_kinds) && !is_all_found(diagnosis); i++) {
		if (!bodies->applies[i])
			continue;
		finding->body_variant = &body_kinds[i].word;
		int r = try_methods(diagnosis, finding, secret, buffer_span(&bodies->texts[i]));
		if (r < 0)
			return r;
	}
	return 0;
}

/* This variant of every secret. */
static int try_secrets(struct diagnosis *diagnosis, size_t kind, const struct span *secrets, size_t n_secrets,
					   const struct variants *bodies)
{
	for (size_t i = 0; i < n_secrets; i++) {
		CLEANUP(variants_finish) struct variants variants = { 0 };
		struct diagnosis_element finding = { .secret = i, .secret_variant = &secret_kinds[kind].word };
		int r = variants_make(&variants, &secret_kinds[kind], 1, secrets[i]);
		if (r == 0 && variants.applies[0])
			r = try_bodies(diagnosis, &finding, buffer_span(&variants.texts[0]), bodies);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Right before wrong: secrets as they are come first, and bodies as they are before others. */
static int search(struct diagnosis *diagnosis, const struct span *secrets, size_t n_secrets, struct span body)
{
	CLEANUP(variants_finish) struct variants bodies = { 0 };
	int r = variants_make(&bodies, body_kinds, ARRAY_LENGTH(body_kinds), body);
	for (size_t kind = 0; r == 0 && kind < ARRAY_LENGTH(secret_kinds) && !is_all_found(diagnosis); kind++)
		r = try_secrets(diagnosis, kind, secrets, n_secrets, &bodies);
	return r;
}

static void split(struct span header, struct diagnosis *diagnosis)
{
	struct span text;
	while (span_next(&header, ',', &text)) {
		text = span_trim(text);
		if (text.n == 0)
			continue;
		if (diagnosis->n_elements == SIGNATURE_MAX_ELEMENTS)
			diagnosis->n_more++;
		else
			read_element(text, &diagnosis->elements[diagnosis->n_elements++]);
	}
}

int diagnosis_make(const struct scheme *scheme, const struct span *secrets, size_t n_secrets, struct span header,
				   struct span body, struct diagnosis *ret_diagnosis)
{
	CLEANUP(verifier_destroy) struct verifier *verifier = NULL;
	struct diagnosis diagnosis = { 0 };
	int r = verifier_create(scheme, secrets, n_secrets, &verifier);
	if (r < 0)
		return r;
	diagnosis.outcome = verifier_check(verifier, header, body, NULL);
	if (diagnosis.outcome < 0)
		return diagnosis.outcome;
	split(header, &diagnosis);
	r = search(&diagnosis, secrets, n_secrets, body);
	if (r == 0)
		*ret_diagnosis = diagnosis;
	return r;
}

bool diagnosis_is_right(const struct diagnosis_element *element)
{
	return element->is_found && element->form == &forms[0].word && element->secret_variant == &secret_kinds[0].word &&
		   element->body_variant == &body_kinds[0].word && element->method == &methods[0].word;
}
