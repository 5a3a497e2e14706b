/* SPDX-License-Identifier: Apache-2.0 */
/* GET /healthz: does every thread do its work, or must it be restarted; GET /readyz: would a callback that came now be
 * kept, and a subscriber let in. */
#ifndef NET_HEALTH_H
#define NET_HEALTH_H

#include "net/connection.h"

extern const struct endpoint healthz_endpoint, readyz_endpoint;

/* Appends why it is not ready, as a sentence; nothing if it is. */
void health_add_problem(struct gateway *gateway, const struct config *config, struct buffer *text);

#endif
