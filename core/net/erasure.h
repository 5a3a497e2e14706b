/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Erasing from the journal of a gateway that runs: POST /journal/erase?event_ids=ID&tags.NAME=VALUE at the
 * administrator's side (net/admin.md).
 *
 * All events that match all that is given, and what was told of them. Answers with what was done: {"events":…,
 * "deliveries":…,"attempts":…,"in_hand":…,"log_is_read":…}. As long as one of the last two is not 0 or false, something
 * is left: the same is to be asked again a little later (store/erasure.h says why). The writer does it in steps between
 * two batches.
 */
#ifndef NET_ERASURE_H
#define NET_ERASURE_H

#include "net/connection.h"

extern const struct endpoint erasure_endpoint;

#endif
