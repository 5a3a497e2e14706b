/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Must fail. It proves that the others can: that inputs reach the target, that what does not hold ends the run, that
 * the fuzzer finds its way through branches, and that the sanitizer is on.
 */
#include "fuzz.h"

static bool is_word(struct span input, const char *word)
{
	size_t i = 0;
	while (i < input.n && word[i] && input.data[i] == word[i]) /* a branch a byte, for the fuzzer to climb */
		i++;
	return !word[i];
}

/* Built without the compiler's knowledge that it is out of bounds. */
static char byte_behind(struct span input)
{
	const char *volatile end = input.data + input.n;
	return *end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span input = span_of(data, n);
	FUZZ_ASSERT(!is_word(input, "bird"));
	if (is_word(input, "mine"))
		return byte_behind(input) == 'x' ? -1 : 0;
	return 0;
}
