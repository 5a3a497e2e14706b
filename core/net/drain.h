/* SPDX-License-Identifier: Apache-2.0 */
/* POST /drain on the administrator's side: the gateway stops, as by SIGTERM. */
#ifndef NET_DRAIN_H
#define NET_DRAIN_H

#include "net/connection.h"

extern const struct endpoint drain_endpoint;

#endif
