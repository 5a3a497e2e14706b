/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets: {file: /path}, {env: NAME}, {credential: NAME}, or the literal text. No complaint ever contains their bytes,
 * nor what stands where a path or a name was expected: somebody may have put the secret itself there.
 */
#ifndef CONFIG_SECRET_H
#define CONFIG_SECRET_H

#include "config/config.h"
#include "config/schema.h"

#define SECRET_MAX_BYTES 65536

/* struct secret */
extern const struct option_type option_secret;
/* struct config_token_key */
extern const struct option_type option_token_key;

#endif
