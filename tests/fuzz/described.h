/* SPDX-License-Identifier: Apache-2.0 */
/* belfry-handler for targets that read configurations: nothing is run, whatever program they name. */
#ifndef FUZZ_DESCRIBED_H
#define FUZZ_DESCRIBED_H

#include "config/program.h"
#include "fuzz.h"

/* Linked for program_run() (LINKER:--wrap). */
int __wrap_program_run(const char *const *arguments, struct span input, int64_t patience_ms, struct buffer *output,
					   char **ret_problem);

#endif
