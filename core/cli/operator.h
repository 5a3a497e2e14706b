/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the gateway at its admin listener. */
#ifndef CLI_OPERATOR_H
#define CLI_OPERATOR_H

#include "cli/invocation.h"

#include <jansson.h>

/* Appends "&name=value" of an option, if it was given. */
void operator_add_option(struct buffer *query, const struct invocation *invocation, const char *name);
/* What the gateway answers to GET or POST of path?query. CLI_OK and *ret_answer, an object (json_decref); an enum
 * cli_exit, told; -ENOMEM. */
int operator_ask(const struct invocation *invocation, const char *path, struct span query, bool is_post,
				 json_t **ret_answer) MUST_USE;

#endif
