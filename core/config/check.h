/* SPDX-License-Identifier: Apache-2.0 */
/* What no single option can know: things that exclude each other, things twice, files that must be there. */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/config.h"
#include "config/yaml.h"

/* config was read from root, with defaults filled in; what could not be read is NULL or zero, and passed over. */
void check_config(const struct config *config, const struct yaml_node *root, struct complaints *complaints);

#endif
