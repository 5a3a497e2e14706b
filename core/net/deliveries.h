/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What operators ask about deliveries, and have done again, at the admin listener.
 *
 * GET /deliveries?handler=NAME&state=dead&position=POSITION&before=POSITION&limit=100, newest first; POST
 * /replay?position=POSITION or ?dead, with or without &handler=NAME. net/admin.md describes the answers.
 */
#ifndef NET_DELIVERIES_H
#define NET_DELIVERIES_H

#include "net/connection.h"
#include "store/deliveries.h"

/* The object that stands for one of them. */
void deliveries_add_row(struct buffer *json, const char *epoch, const struct delivery_row *row);

extern const struct endpoint deliveries_endpoint, replay_endpoint;

#endif
