/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of a whole configuration, checked by who will run them. */
#ifndef HOST_CHECK_H
#define HOST_CHECK_H

#include "base/buffer.h"

#define CHECK_MAX_BYTES (16 * 1024 * 1024)

enum check_outcome {
	CHECK_OK,
	CHECK_E_MALFORMED, /* the request is not {"expressions":[{"id":0,"kind":"when"|"template","text":"..."},...]} */
};

/* Appends {"complaints":[{"id":0,"message":"..."},...]} and a newline. An outcome or -ENOMEM. */
int check(struct span request, struct buffer *answer) MUST_USE;

#endif
