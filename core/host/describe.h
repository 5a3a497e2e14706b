/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin says about itself, as JSON for whoever reads the configuration. */
#ifndef HOST_DESCRIBE_H
#define HOST_DESCRIBE_H

#include "host/plugin.h"

void describe(const struct belfry_plugin *plugin, struct buffer *json);

#endif
