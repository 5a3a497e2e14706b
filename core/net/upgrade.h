/* SPDX-License-Identifier: Apache-2.0 */
/* GET with Upgrade: websocket, on the subscribers' path. */
#ifndef NET_UPGRADE_H
#define NET_UPGRADE_H

#include "net/connection.h"

extern const struct endpoint upgrade_endpoint;

#endif
