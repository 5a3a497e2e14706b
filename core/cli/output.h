/* SPDX-License-Identifier: Apache-2.0 */
/* Where results and complaints go: results to stdout, everything else to stderr, one line each. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/buffer.h"

#include <jansson.h>

/* "belfry: ..." and a newline on stderr. Whatever the arguments bring along, it stays one harmless line. */
void output_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "belfry: not enough memory", and -ENOMEM for the caller to hand on. */
int output_no_memory(void) MUST_USE;

/* A line on stdout, at once. 0 or -errno. */
int output_line(struct span line) MUST_USE;
/* The value as one line of JSON on stdout; takes the reference. NULL means that building it failed: -ENOMEM. */
int output_json_new(json_t *value) MUST_USE;

/* Colours: only for a terminal, and not against NO_COLOR. */
bool output_is_coloured(void);

#endif
