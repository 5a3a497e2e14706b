/* SPDX-License-Identifier: Apache-2.0 */
/* GET /configuration on the administrator's side: the configuration as it is in force, without secrets. */
#ifndef NET_CONFIGURATION_H
#define NET_CONFIGURATION_H

#include "net/connection.h"

extern const struct endpoint configuration_endpoint;

#endif
