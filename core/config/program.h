/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program to its end and takes what it prints. It has nothing of ours: no environment, no descriptor but three,
 * a session of its own (base/spawn.h), which is killed as a whole in the end. What it prints and how long it takes are
 * bounded.
 */
#ifndef CONFIG_PROGRAM_H
#define CONFIG_PROGRAM_H

#include "base/buffer.h"

#define PROGRAM_MAX_OUTPUT_BYTES (1u << 20)
/* Enough for whatever loads a plugin or compiles expressions, on a slow machine. */
#define PROGRAM_PATIENCE_MS 10000

enum program_outcome {
	PROGRAM_OK,        /* it ended with exit status 0 */
	PROGRAM_E_REFUSED, /* with another: *ret_problem is the first line that it wrote to stderr */
	PROGRAM_E_FAILED,  /* in another way: *ret_problem says how ("was ended by SIGSEGV") */
};

/* arguments[0] is the program's path; ended by NULL. `input` is what it reads from stdin. It may take patience_ms, not
 * counting what this process itself is stopped for. Appends what it wrote to
 * stdout to *output. An outcome, with *ret_problem the caller's to free; -errno if it cannot be started. Any thread. */
int program_run(const char *const *arguments, struct span input, int64_t patience_ms, struct buffer *output,
				char **ret_problem) MUST_USE;

/* This process is about to end: whatever runs is killed, and so is what would be run from now on. Any thread. */
void program_stop_all(void);

/* Appends what a program has said: no byte of it ends a line or moves a cursor. */
void program_add_line(struct buffer *b, struct span text);

#endif
