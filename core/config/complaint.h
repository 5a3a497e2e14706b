/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong with a configuration, and where: one line each.
 *
 * The list keeps itself in order: by file, in the order in which complaints_expect_file() named them, then by line
 * and column; what belongs to no file comes last. It keeps at most COMPLAINTS_MAX lines, so that a hostile file
 * cannot make it grow; n_errors counts all.
 */
#ifndef CONFIG_COMPLAINT_H
#define CONFIG_COMPLAINT_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

#define COMPLAINTS_MAX 200

struct complaint {
	bool is_warning;           /* the configuration can be used all the same */
	char *text;                /* "belfry.yaml:12:5: unknown key \"secret\"; did you mean \"secrets\"?" */
	size_t file, line, column; /* for the order alone */
};

struct complaints {
	struct complaint *items;
	size_t n;
	size_t n_errors;
	size_t n_left_out; /* beyond COMPLAINTS_MAX: to be told to whoever reads the list */
	bool failed;       /* out of memory: the list is not complete */
	char **files;
	size_t n_files;
};

#define COMPLAINTS_INIT ((struct complaints){ 0 })

/* Complaints about this file come behind those about the files named before. */
void complaints_expect_file(struct complaints *complaints, const char *file);
/* line and column count from 1; 0 leaves them out, as NULL does for the file. */
void complaints_add(struct complaints *complaints, bool is_warning, const char *file, size_t line, size_t column,
					const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Frees everything; the list is empty and usable again. */
void complaints_finish(struct complaints *complaints);
static inline void complaints_finish_cleanup(struct complaints *complaints)
{
	complaints_finish(complaints);
}

#endif
