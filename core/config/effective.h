/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration as it is in force, defaults included. Of secrets it is said where they come from. */
#ifndef CONFIG_EFFECTIVE_H
#define CONFIG_EFFECTIVE_H

#include "base/buffer.h"
#include "config/config.h"

/* A JSON object, with the keys and values that the YAML would have. What plugins are configured with is left out: only
 * they know what of it is secret. */
void effective_add_json(struct buffer *json, const struct config *config);

#endif
