/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The heads of the packets by which a handler's process is told what to do (packet.h): by the daemon, and by whoever
 * tries a plugin without one. Each function appends one head; without memory the buffer is marked as failed.
 */
#ifndef WIRE_ORDER_H
#define WIRE_ORDER_H

#include "base/buffer.h"
#include "wire/event.h"

struct order_configuration {
	struct span handler; /* its name */
	struct span plugin;  /* the file */
	struct span options; /* a JSON object, defaults filled in. With secrets: wipe the head */
	struct span when;    /* a jq condition; data NULL: none */
	bool allows_exec, allows_inner;
	uint64_t memory_bytes, descriptors, processes; /* 0: no bound */
};
void order_add_configuration(struct buffer *head, const struct order_configuration *configuration);

struct order_delivery {
	const struct event *event;
	struct interaction interaction;
	int64_t index; /* of the interaction in the event */
	struct span key, position;
	int64_t attempt, max_attempts; /* 1.. */
	int64_t deadline_ms;           /* from now on */
};
void order_add_delivery(struct buffer *head, const struct order_delivery *delivery);

/* To what the process has asked: 0 or a negative errno, with a sentence that may be empty. */
void order_add_reply(struct buffer *head, int error, struct span text);

#define ORDER_STOP SPAN("{\"type\":\"stop\"}")

#endif
