/* SPDX-License-Identifier: Apache-2.0 */
/* GET on the subscribers' path without an upgrade: the same messages as Server-Sent Events (HTML, 9.2). */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "net/connection.h"
#include "wire/message.h"

/* Makes the exchange's connection a stream of what the message, and Last-Event-ID, ask for, within the grant; or it is
 * answered why not. Takes both over. */
void stream_start(struct exchange *exchange, const struct http_request *request, struct grant *grant,
				  struct message *message);

extern const struct endpoint stream_endpoint;

#endif
