/* SPDX-License-Identifier: Apache-2.0 */
/* JSON pointers (RFC 6901): "/event/summary", "/notification/interactions/0/type"; ~1 is a slash, ~0 a tilde. */
#ifndef HOST_POINTER_H
#define HOST_POINTER_H

#include "base/span.h"

#include <jansson.h>

/* NULL if there is nothing there, or the pointer is none. */
const json_t *pointer_find(const json_t *root, struct span pointer);

#endif
