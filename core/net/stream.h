/* SPDX-License-Identifier: Apache-2.0 */
/* GET on the subscribers' path without an upgrade: the same messages as Server-Sent Events (HTML, 9.2). */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/connection.h"

extern const struct endpoint stream_endpoint;

#endif
