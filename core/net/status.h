/* SPDX-License-Identifier: Apache-2.0 */
/* GET /status on the administrator's side: how the gateway is, at a glance. Every reactor is asked. */
#ifndef NET_STATUS_H
#define NET_STATUS_H

#include "net/connection.h"

extern const struct endpoint status_endpoint;

#endif
