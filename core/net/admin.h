/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's side: which endpoint answers what there, and whom (net/admin.md). */
#ifndef NET_ADMIN_H
#define NET_ADMIN_H

#include "net/connection.h"

/* NULL if nothing is at the request's path; whoever may not have what is there gets an endpoint that says so. */
const struct endpoint *admin_find(const struct connection *connection, const struct http_request *request);

#endif
