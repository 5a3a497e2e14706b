/* SPDX-License-Identifier: Apache-2.0 */
/* GET /watch on the administrator's side: the stream that subscribers have, of everything. */
#ifndef NET_WATCH_H
#define NET_WATCH_H

#include "net/connection.h"

extern const struct endpoint watch_endpoint;

#endif
