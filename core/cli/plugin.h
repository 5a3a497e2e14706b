/* SPDX-License-Identifier: Apache-2.0 */
/* What `belfry plugin` does, one function a word of it. Each as command.run. */
#ifndef CLI_PLUGIN_H
#define CLI_PLUGIN_H

#include "cli/invocation.h"

int plugin_new(const struct invocation *invocation) MUST_USE;
int plugin_describe(const struct invocation *invocation) MUST_USE;
int plugin_test(const struct invocation *invocation) MUST_USE;

/* belfry-handler: $BELFRY_HANDLER, else where it is installed. */
const char *plugin_program(void);
/* The file's absolute path, which the caller frees; NULL, told, if there is none. */
char *plugin_path(const char *file);

/* The files that plugin_new() writes, made from new/ by embed.cmake; the last one has no name. */
struct plugin_file {
	const char *name;
	struct span text; /* @NAME@ is the plugin's name */
};
extern const struct plugin_file plugin_files[];

#endif
