/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin's file, from path to something that can be called.
 *
 * A file that others can change is not run; one that is built for something else is told so before any of its code runs
 * (elf.h); and what it says about itself is looked at before it is believed, as a mistake there would show up much
 * later and elsewhere. Each refusal is one sentence that begins with the path and says what would be right.
 */
#ifndef HOST_PLUGIN_H
#define HOST_PLUGIN_H

#include "base/buffer.h"

#include <belfry/plugin.h>

#define PLUGIN_MAX_OPTIONS 256
#define PLUGIN_MAX_CONF_BYTES 65536

enum plugin_outcome {
	PLUGIN_OK,
	PLUGIN_E_REFUSED, /* `message` says why */
};

/* Judges the file without running anything in it. PLUGIN_OK, PLUGIN_E_REFUSED or -ENOMEM. */
int plugin_judge(const char *path, struct buffer *message) MUST_USE;

/* Loads a file that was judged: its constructors run. *ret_plugin has zeroes where an older plugin says nothing; it,
 * and what it points to, stays for the life of the process. As plugin_judge(). */
int plugin_load(const char *path, struct belfry_plugin *ret_plugin, struct buffer *message) MUST_USE;

/* One row of the table of options; option_size is the plugin's. */
struct belfry_option plugin_option(const struct belfry_plugin *plugin, size_t index);
/* Rows, the last one, that has no name, not counted. */
size_t plugin_count_options(const struct belfry_plugin *plugin);

#endif
