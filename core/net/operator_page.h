/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's page, on the admin listener: what stands in web/operator, for whoever reaches that listener. There is
 * no secret in it: all that it shows comes from the admin API, which asks who wants to know.
 */
#ifndef NET_OPERATOR_PAGE_H
#define NET_OPERATOR_PAGE_H

#include "net/connection.h"

/* NULL: none of its files has this path. */
const struct endpoint *operator_page_find(const struct http_request *request);

#endif
