/* SPDX-License-Identifier: Apache-2.0 */
/* What is different between two configurations, by the paths of options; never what a secret is or was. */
#ifndef CONFIG_DIFFERENCE_H
#define CONFIG_DIFFERENCE_H

#include "config/config.h"
#include "config/schema.h"

struct difference {
	char *option; /* "sources.cronofy.secrets" */
	enum schema_change change;
	bool needs_restart; /* it cannot be changed in a gateway that runs */
};

struct differences {
	struct difference *items; /* in the order of the tables */
	size_t n;
	bool failed; /* out of memory: the list is not complete */
};

#define DIFFERENCES_INIT ((struct differences){ 0 })

/* By the tables, and, of handlers, by their plugins' files. */
void differences_find(const struct config *before, const struct config *after, struct differences *ret_differences);
/* One more. Takes the text; NULL: there was no memory for it. */
void differences_add(struct differences *differences, char *option, enum schema_change change, bool needs_restart);
/* "changed", "added", "removed" */
const char *difference_word(enum schema_change change);
void differences_finish(struct differences *differences);
static inline void differences_finish_cleanup(struct differences *differences)
{
	differences_finish(differences);
}

#endif
