/* SPDX-License-Identifier: Apache-2.0 */
/* POST /send on the administrator's side: a callback as the provider would send it, signed with the source's own
 * secret, and taken in as every other. */
#ifndef NET_SEND_H
#define NET_SEND_H

#include "net/connection.h"

extern const struct endpoint send_endpoint;

#endif
