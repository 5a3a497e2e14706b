/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: what has been counted, as Prometheus reads it (text format 0.0.4). What is counted is in
 * net/counters.h. */
#ifndef NET_METRICS_H
#define NET_METRICS_H

#include "net/connection.h"

extern const struct endpoint metrics_endpoint;

#endif
