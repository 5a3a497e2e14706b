/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin says about itself, from `belfry-handler --describe`: its options become rows of a schema, so that what
 * an administrator writes for a plugin is read, checked and complained of as the gateway's own options are.
 *
 * The program has loaded the plugin, whose code may have written what it likes to stdout: nothing here is believed that
 * was not looked at.
 */
#ifndef CONFIG_DESCRIPTION_H
#define CONFIG_DESCRIPTION_H

#include "config/config.h"
#include "config/schema.h"

/* Of one handler's options: with all else that its process is told, they fit into a packet. */
#define DESCRIPTION_MAX_JSON_BYTES (192 * 1024)

/* What the rows' offsets are counted in: row i reads into values[i]. */
union plugin_value {
	char *text;      /* strings, URLs, templates */
	int64_t number;  /* integers, durations, sizes */
	bool boolean;    /* ... */
	unsigned choice; /* enums: which of the names */
	struct secret secret;
	struct {
		void *entries; /* lists and maps */
		size_t n;
	} many;
};

struct description_text;

struct description {
	char *file;
	char *problem;          /* a sentence that says why the plugin cannot be used; NULL: all below is there */
	char *version;          /* its own */
	bool needs_exec;        /* to start programs */
	struct option *options; /* ended as all such tables are */
	size_t n_options;
	uint8_t digest[DIGEST_BYTES];   /* of the file */
	struct description_text *texts; /* what the rows point to */
};

/* Runs the program. 0 also when the plugin cannot be used; -ENOMEM; another -errno if the program cannot be run. */
int description_create(const char *program, const char *file, struct description **ret_description) MUST_USE;
void description_destroy(struct description *description);
CLEANUP_DEFINE(struct description, description_destroy)

/* Whether the row's value, or each entry of it, is a template. */
bool description_is_template(const struct option *option);

/*
 * What the plugin is configured with, as JSON: the options of the YAML (NULL: none) over the defaults. Complains of
 * what is wrong with them; `place` is where a missing one would have to be. *ret_json is the caller's, to be wiped
 * (secret_wipe) and freed; NULL if there were complaints. 0 or -ENOMEM.
 */
int description_configure(const struct description *description, const struct yaml_node *options,
						  const struct yaml_node *place, struct complaints *complaints, char **ret_json) MUST_USE;

#endif
