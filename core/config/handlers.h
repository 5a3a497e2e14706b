/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes whole handlers of what options.c has read: finds their plugins, asks these what their options are, reads the
 * options, checks expressions, and ties interactions to handlers.
 *
 * Each plugin file is described once, whatever the number of handlers, and all expressions are checked by one process.
 */
#ifndef CONFIG_HANDLERS_H
#define CONFIG_HANDLERS_H

#include "config/config.h"
#include "config/yaml.h"

/* config was read from root. What is wrong is complained of; if nothing is, the fields that config.h says are made here
 * are set; without plugins, those that need none. 0 or -ENOMEM. */
int handlers_complete(struct config *config, const struct yaml_node *root, bool asks_plugins,
					  struct complaints *complaints) MUST_USE;
/* Releases, and wipes, what handlers_complete() has made. */
void handlers_finish(struct config *config);

#endif
