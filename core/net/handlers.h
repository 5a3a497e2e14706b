/* SPDX-License-Identifier: Apache-2.0 */
/* GET /handlers on the administrator's side: each handler, and how it does. */
#ifndef NET_HANDLERS_H
#define NET_HANDLERS_H

#include "net/connection.h"

extern const struct endpoint handlers_endpoint;

#endif
