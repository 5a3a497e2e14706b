/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of every option of the gateway's own configuration; they describe struct config. */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "config/schema.h"

extern const struct option config_options[];

#endif
