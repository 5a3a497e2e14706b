/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a configuration, and where: one line each, in the order of the files. */
#ifndef CONFIG_COMPLAINT_H
#define CONFIG_COMPLAINT_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct complaint {
	bool is_warning; /* the configuration can be used all the same */
	char *text;      /* "belfry.yaml:12:5: unknown key \"secret\"; did you mean \"secrets\"?" */
};

struct complaints {
	struct complaint *items;
	size_t n;
	size_t n_errors;
	bool failed; /* out of memory: the list is not complete */
};

#define COMPLAINTS_INIT ((struct complaints){ 0 })

/* line and column count from 1; 0 leaves them out. */
void complaints_add(struct complaints *complaints, bool is_warning, const char *file, size_t line, size_t column,
					const char *format, ...) __attribute__((format(printf, 6, 7)));
void complaints_finish(struct complaints *complaints);
static inline void complaints_finish_cleanup(struct complaints *complaints)
{
	complaints_finish(complaints);
}

#endif
