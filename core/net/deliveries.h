/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators ask about deliveries, and have done again, at the admin listener.
 *
 * GET /deliveries?handler=NAME&state=dead&position=POSITION&before=POSITION&limit=100, newest first; POST
 * /replay?position=POSITION or ?dead, with or without &handler=NAME. net/metrics.md describes the answers. Neither is
 * for pages: a request that has an Origin, or a Host that is a name, is refused.
 */
#ifndef NET_DELIVERIES_H
#define NET_DELIVERIES_H

#include "net/connection.h"

extern const struct endpoint deliveries_endpoint, replay_endpoint;

#endif
