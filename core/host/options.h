/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration's values to the plugin's own struct.
 *
 * The daemon has checked the values against the table that `belfry-handler --describe` printed, and has filled in the
 * defaults. Here they are only believed as far as memory is concerned: a value of another type is refused, and nothing
 * is written outside of the struct.
 */
#ifndef HOST_OPTIONS_H
#define HOST_OPTIONS_H

#include "host/plugin.h"
#include "host/template.h"

#include <jansson.h>

/* What is wrong with a row of the table, as what follows its name in a sentence; NULL if nothing is. */
const char *options_judge(const struct belfry_option *option, size_t conf_size);

/* "string", "secret", ...; NULL if there is no such type. */
const char *options_type_name(uint32_t type);

/*
 * A new struct, and all that it points to, for the life of the process. Expressions go to `templates`, which are not
 * yet compiled. PLUGIN_OK; PLUGIN_E_REFUSED with a sentence; -ENOMEM.
 */
int options_fill(const struct belfry_plugin *plugin, json_t *values, struct templates *templates, void **ret_conf,
				 struct buffer *message) MUST_USE;

#endif
