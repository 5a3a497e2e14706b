/* SPDX-License-Identifier: Apache-2.0 */
/* GET /subscribers on the administrator's side: who is subscribed, to what, and how far behind. Each reactor is asked
 * for its own. */
#ifndef NET_ROLL_H
#define NET_ROLL_H

#include "net/connection.h"

extern const struct endpoint roll_endpoint;

#endif
