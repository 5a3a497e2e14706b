/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin's file. Whatever the bytes: either a sentence, or a symbol that lies within them; and nothing else is read.
 */
#include "fuzz.h"
#include "host/elf.h"

#define LEAST_BYTES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	CLEANUP(free) char *copy = fuzz_copy(span_of(data, n));
	struct span symbol;
	int r = elf_find_data(span_of(copy, n), "belfry_plugin", LEAST_BYTES, &symbol, &message);
	FUZZ_ASSERT(r == ELF_OK || (r == ELF_E_UNFIT && message.n > 0));
	if (r == ELF_OK)
		FUZZ_ASSERT(message.n == 0 && symbol.n >= LEAST_BYTES && symbol.data >= copy && symbol.n <= n &&
					symbol.data + symbol.n <= copy + n);
	return 0;
}
