/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/trace.h"

/* "00-" 32 hexadecimal digits "-" 16 of them "-" 2 of them */
enum { VERSION = 0, TRACE_ID = 3, PARENT_ID = 36, FLAGS = 53 };

/* In small letters, as the standard has it. */
static bool are_digits(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!text.data[i] || !strchr("0123456789abcdef", text.data[i]))
			return false;
	return true;
}

static bool is_id(struct span text)
{
	size_t n_zeros = 0;
	while (n_zeros < text.n && text.data[n_zeros] == '0')
		n_zeros++;
	return n_zeros < text.n && are_digits(text);
}

static bool has_form(struct span value)
{
	return value.data[TRACE_ID - 1] == '-' && value.data[PARENT_ID - 1] == '-' && value.data[FLAGS - 1] == '-' &&
		   are_digits(span_of(value.data + VERSION, 2)) && is_id(span_of(value.data + TRACE_ID, 32)) &&
		   is_id(span_of(value.data + PARENT_ID, 16)) && are_digits(span_of(value.data + FLAGS, 2));
}

/* Of the last digit of flags of a version that we do not know, one bit is known: whether it is sampled. */
static char known_flags(char digit)
{
	return strchr("13579bdf", digit) ? '1' : '0';
}

bool trace_read(struct span value, char ret_parent[static TRACE_PARENT_BYTES])
{
	if (value.n < TRACE_PARENT_BYTES || !has_form(value))
		return false;
	bool is_ours = span_starts_with(value, SPAN("00")), has_more = value.n > TRACE_PARENT_BYTES;
	if (span_starts_with(value, SPAN("ff")) || (has_more && (is_ours || value.data[TRACE_PARENT_BYTES] != '-')))
		return false;
	memcpy(ret_parent, value.data, TRACE_PARENT_BYTES);
	if (is_ours)
		return true;
	memcpy(ret_parent, "00", 2);
	ret_parent[FLAGS] = '0';
	ret_parent[FLAGS + 1] = known_flags(value.data[FLAGS + 1]);
	return true;
}
