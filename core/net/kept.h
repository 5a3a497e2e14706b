/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /events on the administrator's side: what the journal keeps, newest first; malformed callbacks, notices and
 * outcomes included. With a position, one of them, and what became of it at each handler.
 */
#ifndef NET_KEPT_H
#define NET_KEPT_H

#include "net/connection.h"

extern const struct endpoint kept_endpoint;

#endif
