/* SPDX-License-Identifier: Apache-2.0 */
/* The admin listener: is it alive, is it ready, what has been counted; what is owed (deliveries.h). */
#ifndef NET_ADMIN_H
#define NET_ADMIN_H

#include "net/connection.h"

/* NULL if nothing is at the request's path. */
const struct endpoint *admin_find(const struct http_request *request);

#endif
