/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of all handlers, `when` and templates, are put together while the configuration is read, and then checked
 * at once by `belfry-handler --check`, which knows jq.
 */
#ifndef CONFIG_EXPRESSIONS_H
#define CONFIG_EXPRESSIONS_H

#include "config/yaml.h"

struct expression {
	const char *kind;             /* "when" or "template" */
	const char *text;             /* the configuration's, or the plugin's */
	const char *key;              /* for complaints: the option that it is the value of */
	const struct yaml_node *node; /* and its place */
};

struct expressions {
	struct expression *items;
	size_t n;
	bool failed; /* out of memory */
};

void expressions_add(struct expressions *expressions, const struct expression *expression);
void expressions_finish(struct expressions *expressions);

/* Runs the program, unless there are none, and complains of those that are unsound. 0; -ENOMEM; another -errno if the
 * program cannot be run. */
int expressions_check(const struct expressions *expressions, const char *program,
					  struct complaints *complaints) MUST_USE;

#endif
