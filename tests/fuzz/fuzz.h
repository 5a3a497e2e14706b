/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target reads any bytes and checks what must hold for all of them. With clang, libFuzzer makes the bytes up;
 * in the ordinary build replay.c reads them from the corpus, so that what was once found stays found.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/buffer.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Stays on in every build. */
#define FUZZ_ASSERT(condition)                                                                   \
	do {                                                                                         \
		if (!(condition)) {                                                                      \
			(void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                             \
		}                                                                                        \
	} while (0)

/* A copy in memory of exactly its size: a sanitizer sees the first byte too many. */
static inline char *fuzz_copy(struct span bytes)
{
	char *copy = malloc(bytes.n ? bytes.n : 1);
	FUZZ_ASSERT(copy);
	if (bytes.n)
		memcpy(copy, bytes.data, bytes.n);
	return copy;
}

/* Sizes for slices, the same in every run: xorshift. */
static inline size_t fuzz_next_size(uint32_t *seed, size_t max)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return 1 + *seed % max;
}

#endif
