/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace context (https://www.w3.org/TR/trace-context/): `traceparent` says which request of whom a callback belongs to.
 * It is passed on, never changed: the gateway reports no spans of its own.
 */
#ifndef WIRE_TRACE_H
#define WIRE_TRACE_H

#include "base/span.h"

#define TRACE_PARENT_BYTES 55

/*
 * The value of the one field `traceparent`. False if it is malformed: then there is none. *ret_parent, without a
 * terminator, is of version 00; of a higher version that is all one may know.
 */
bool trace_read(struct span value, char ret_parent[static TRACE_PARENT_BYTES]);

#endif
