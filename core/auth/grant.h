/* SPDX-License-Identifier: Apache-2.0 */
/* How a verified token becomes a grant; private to auth/. */
#ifndef AUTH_GRANT_H
#define AUTH_GRANT_H

#include "auth/token.h"

#include <jansson.h>

/* `belfry` is the claim of that name. TOKEN_OK, TOKEN_E_GRANTS or -ENOMEM. */
int grant_create(const json_t *belfry, const char *subject, const char *key_id, int64_t expires_ms,
				 struct grant **ret_grant) MUST_USE;

#endif
