/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoint answers a request. Paths match exactly, byte for byte. */
#ifndef NET_ROUTER_H
#define NET_ROUTER_H

#include "net/connection.h"

/* Never NULL: what nobody serves has an endpoint that says so. *ret_source is set for callbacks. */
const struct endpoint *router_find(const struct connection *connection, const struct http_request *request,
								   struct source **ret_source);

#endif
