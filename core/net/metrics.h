/* SPDX-License-Identifier: Apache-2.0 */
/* What has been counted, as Prometheus reads it (text format 0.0.4). What is counted is in net/counters.h. */
#ifndef NET_METRICS_H
#define NET_METRICS_H

#include "net/survey.h"

/* reports: of all reactors, for the sources of this configuration. */
void metrics_add_text(struct buffer *text, struct gateway *gateway, const struct config *config,
					  const struct report *reports);

#endif
