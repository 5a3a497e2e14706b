/* SPDX-License-Identifier: Apache-2.0 */
/* The value of a traceparent field. What is accepted is of the one form, and accepted again as it is; a byte that is no
 * small hexadecimal digit, anywhere in it, makes it none. */
#include "fuzz.h"
#include "wire/trace.h"

static bool is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static void check_form(const char *parent)
{
	static const char form[] = "00-dddddddddddddddddddddddddddddddd-dddddddddddddddd-dd";
	for (size_t i = 0; i < TRACE_PARENT_BYTES; i++)
		FUZZ_ASSERT(form[i] == 'd' ? is_digit(parent[i]) : parent[i] == form[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char parent[TRACE_PARENT_BYTES], again[TRACE_PARENT_BYTES];
	char *copy = fuzz_copy(span_of(data, n));
	bool is_read = trace_read(span_of(copy, n), parent);
	free(copy);
	if (!is_read)
		return 0;
	FUZZ_ASSERT(n >= TRACE_PARENT_BYTES && memcmp(data, "ff", 2) != 0);
	check_form(parent);
	FUZZ_ASSERT(memcmp(parent + 3, data + 3, 32 + 1 + 16) == 0);
	FUZZ_ASSERT(trace_read(span_of(parent, sizeof parent), again) && memcmp(parent, again, sizeof parent) == 0);
	for (size_t i = 0; i < sizeof again; i++) {
		char changed[TRACE_PARENT_BYTES], none[TRACE_PARENT_BYTES];
		memcpy(changed, parent, sizeof changed);
		changed[i] = 'G';
		FUZZ_ASSERT(!trace_read(span_of(changed, sizeof changed), none));
	}
	return 0;
}
