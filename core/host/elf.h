/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a shared object says about itself, read from its bytes, so that nothing of it has to run: the dynamic loader
 * calls constructors before anybody can look at the ABI, and it dies of files that are cut short.
 */
#ifndef HOST_ELF_H
#define HOST_ELF_H

#include "base/buffer.h"

enum elf_outcome {
	ELF_OK,
	ELF_E_UNFIT, /* `message` says what it is, and what would be right */
};

/*
 * Whether the bytes are a whole shared object for this machine that has the data symbol of that name: then *ret_symbol
 * are its first bytes, as the file has them (before relocation), at least `least`. Spans point into the bytes.
 */
int elf_find_data(struct span file, const char *name, size_t least, struct span *ret_symbol,
				  struct buffer *message) MUST_USE;

#endif
