/* SPDX-License-Identifier: Apache-2.0 */
/* GET /events: pages of the journal for those who poll, with the same filters, grants and objects as everywhere. */
#ifndef NET_EVENTS_H
#define NET_EVENTS_H

#include "net/connection.h"

extern const struct endpoint events_endpoint;

#endif
