/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One condition for each handler, in jq, that its process can evaluate: of its own `when` and those of the interactions
 * that name it. These may differ, and then it must say itself which of them a delivery is for: by $interaction and
 * $subtype, as routes.h has it.
 */
#ifndef CONFIG_CONDITIONS_H
#define CONFIG_CONDITIONS_H

#include "config/config.h"

/* Sets the condition of each handler; the targets' handlers are set. 0 or -ENOMEM. */
int conditions_make(struct config *config) MUST_USE;

#endif
