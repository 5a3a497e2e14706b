/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two encodings that tokens and keys are made of, read strictly; private to auth/.
 *
 * Each value has one spelling only: base64url without padding and without loose bits at the end (jose checks both),
 * JSON without duplicate keys and without anything behind it. So nobody else can read the same bytes differently.
 */
#ifndef AUTH_ENCODING_H
#define AUTH_ENCODING_H

#include "base/buffer.h"

#include <jansson.h>

enum encoding_outcome { ENCODING_OK, ENCODING_E_MALFORMED };

/* Appends the decoded bytes. ENCODING_OK, ENCODING_E_MALFORMED or -ENOMEM. */
int encoding_read_base64url(struct span text, struct buffer *bytes) MUST_USE;
/* One object or array. ENCODING_OK, ENCODING_E_MALFORMED or -ENOMEM. */
int encoding_read_json(struct span text, json_t **ret_json) MUST_USE;

CLEANUP_DEFINE(json_t, json_decref)

/* Frees JSON that may hold a secret, having wiped all texts in it, also those that others have a reference to. */
void encoding_wipe_json(json_t *json);
CLEANUP_DEFINE(json_t, encoding_wipe_json)

#endif
