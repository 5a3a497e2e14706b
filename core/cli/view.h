/* SPDX-License-Identifier: Apache-2.0 */
/* How a message of the gateway looks on a terminal: one line, whatever is in it. */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include "base/buffer.h"

#include <jansson.h>

/* The message; NULL if it is no JSON object. Numbers that nothing can hold are read as 0. */
json_t *view_load(struct span text);

/* "2026-04-27T15:00:01.123Z  k3x9-42  conferencing_assigned  qTtZ  Board meeting  user=42" */
void view_add_event(struct buffer *line, const json_t *message, bool is_coloured);
/* "2026-04-27T15:00:01.123Z  k3x9-57  outcome of k3x9-42  retry  conferencing_failing  done  attempt 1" */
void view_add_outcome(struct buffer *line, const json_t *message, bool is_coloured);

#endif
