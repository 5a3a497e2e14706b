/* SPDX-License-Identifier: Apache-2.0 */
/* POST /ticket: a token becomes a ticket that may stand in a URL, once. */
#ifndef NET_TICKETS_H
#define NET_TICKETS_H

#include "net/connection.h"

extern const struct endpoint ticket_endpoint;

#endif
