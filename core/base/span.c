/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

#include <endian.h>
#include <stdlib.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool span_equal_ignoring_case(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.data[i] != b.data[i] && lower(a.data[i]) != lower(b.data[i])) /* mostly, the case is the same, too */
			return false;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
	while (s.n && is_blank(s.data[0]))
		s = span_skip(s, 1);
	while (s.n && is_blank(s.data[s.n - 1]))
		s.n--;
	return s;
}

bool span_next(struct span *rest, char separator, struct span *ret_head)
{
	if (!rest->data)
		return false;
	const char *found = memchr(rest->data, separator, rest->n);
	if (!found) {
		*ret_head = *rest;
		*rest = (struct span){ NULL, 0 };
		return true;
	}
	size_t n = (size_t)(found - rest->data);
	*ret_head = span_of(rest->data, n);
	*rest = span_skip(*rest, n + 1);
	return true;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *ret_value)
{
	if (s.n == 0)
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.data[i] - '0';
		if (digit > 9 || __builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

struct span span_decimal(uint64_t value, char digits[static SPAN_DECIMAL_BYTES])
{
	size_t first = SPAN_DECIMAL_BYTES;
	do {
		digits[--first] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return span_of(digits + first, SPAN_DECIMAL_BYTES - first);
}

char *span_dup(struct span s)
{
	char *copy = malloc(s.n + 1);
	if (!copy)
		return NULL;
	if (s.n)
		memcpy(copy, s.data, s.n);
	copy[s.n] = '\0';
	return copy;
}

static bool is_literal(char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Eight bytes at a time. Of `found`, the lowest bit counts: those above it may be borrows. */
size_t span_literal_run(struct span s)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	size_t n = 0;
	uint64_t word;
	for (; s.n - n >= sizeof word; n += sizeof word) {
		memcpy(&word, s.data + n, sizeof word);
		word = le64toh(word);
		uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\', del = word ^ ones * 0x7f;
		uint64_t found = (quote - ones) | (backslash - ones) | (del - ones) | (word - ones * ' ') | word;
		if (found & tops)
			return n + (size_t)__builtin_ctzll(found & tops) / 8;
	}
	while (n < s.n && is_literal(s.data[n]))
		n++;
	return n;
}

/* --- UTF-8 -------------------------------------------------------------------------------------------------------- */

/* The length of the sequence that `lead` opens, and the least code point that may be written with so many bytes; 0 for
 * a byte that opens none. */
static size_t sequence_length(unsigned char lead, uint32_t *ret_least)
{
	if (lead < 0x80) {
		*ret_least = 0;
		return 1;
	}
	if ((lead & 0xe0) == 0xc0) {
		*ret_least = 0x80;
		return 2;
	}
	if ((lead & 0xf0) == 0xe0) {
		*ret_least = 0x800;
		return 3;
	}
	if ((lead & 0xf8) == 0xf0) {
		*ret_least = 0x10000;
		return 4;
	}
	return 0;
}

size_t span_utf8_sequence(struct span s, uint32_t *ret_point)
{
	uint32_t least;
	size_t length = s.n ? sequence_length((unsigned char)s.data[0], &least) : 0;
	if (length == 0 || length > s.n)
		return 0;
	uint32_t point = (unsigned char)s.data[0] & (length == 1 ? 0x7fu : 0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		unsigned char next = (unsigned char)s.data[i];
		if ((next & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (next & 0x3fu);
	}
	if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	*ret_point = point;
	return length;
}

/* Whether the next eight bytes are all ASCII. */
static bool is_ascii_word(struct span s)
{
	uint64_t word;
	if (s.n < sizeof word)
		return false;
	memcpy(&word, s.data, sizeof word);
	return (word & 0x8080808080808080u) == 0;
}

bool span_is_utf8(struct span s)
{
	uint32_t point;
	while (s.n) {
		size_t n = is_ascii_word(s) ? 8 : span_utf8_sequence(s, &point);
		if (n == 0)
			return false;
		s = span_skip(s, n);
	}
	return true;
}
