/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span is bytes that somebody else owns: a pointer and a length, never a
 * terminator. Everything that comes from outside stays a span until the last
 * moment, so that a NUL inside it means nothing special.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const char *data; /* may be NULL only if n is 0 */
	size_t n;         /* bytes */
};

/* A string literal as a span: SPAN("chunked"). Not for pointers. */
#define SPAN(literal) ((struct span){ "" literal, sizeof(literal) - 1 })
/* For "%.*s" where the text is known to be harmless. */
#define SPAN_PRINTF(s) (int)(s).n, (s).data

static inline struct span span_of(const void *data, size_t n)
{
	return (struct span){ data, n };
}

static inline struct span span_text(const char *text)
{
	return (struct span){ text, text ? strlen(text) : 0 };
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.data, b.data, a.n) == 0);
}

static inline bool span_starts_with(struct span s, struct span prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.data, prefix.data, prefix.n) == 0);
}

static inline struct span span_skip(struct span s, size_t n)
{
	return (struct span){ s.data + n, s.n - n };
}

/* ASCII only; no locale. */
bool span_equal_ignoring_case(struct span a, struct span b);
/* Without leading and trailing blanks (space and tab, RFC 9110 5.6.3 OWS). */
struct span span_trim(struct span s);
/* Splits at the first `separator`: *ret_head is what stands before it, *rest what
 * stands behind. False once *rest is used up. An empty span yields one empty head. */
bool span_next(struct span *rest, char separator, struct span *ret_head);
/* Decimal digits only, no sign, no blanks, value <= max. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *ret_value);
/* The other way round: the digits stand at the end of the caller's bytes. */
#define SPAN_DECIMAL_BYTES 20
struct span span_decimal(uint64_t value, char digits[static SPAN_DECIMAL_BYTES]);
/* A terminated copy that the caller frees; NULL without memory. A NUL inside stays. */
char *span_dup(struct span s);
/* How many bytes from the start are printable ASCII that stands for itself between quotes: neither quote nor backslash.
 */
size_t span_literal_run(struct span s);
/* The length of the well-formed UTF-8 sequence (RFC 3629: no surrogates, no overlong forms) at the start, 1 to 4 bytes,
 * and its code point; 0 if there is none. */
size_t span_utf8_sequence(struct span s, uint32_t *ret_point);
/* True if all of it is well-formed UTF-8. */
bool span_is_utf8(struct span s);

#endif
