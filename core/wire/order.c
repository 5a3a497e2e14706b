/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/order.h"

static void add_number(struct buffer *head, const char *key, int64_t number)
{
	buffer_add_printf(head, ",\"%s\":", key);
	buffer_add_i64(head, number);
}

void order_add_configuration(struct buffer *head, const struct order_configuration *configuration)
{
	buffer_add_text(head, "{\"type\":\"configure\"");
	buffer_add_json_member(head, "handler", configuration->handler);
	buffer_add_json_member(head, "plugin", configuration->plugin);
	buffer_add_text(head, ",\"options\":");
	buffer_add(head, configuration->options);
	if (configuration->when.data)
		buffer_add_json_member(head, "when", configuration->when);
	buffer_add_text(head, ",\"allow\":[");
	buffer_add_text(head, configuration->allows_exec ? "\"exec\"" : "");
	buffer_add_text(head, configuration->allows_exec && configuration->allows_inner ? "," : "");
	buffer_add_text(head, configuration->allows_inner ? "\"inner\"]" : "]");
	add_number(head, "memory_bytes", (int64_t)configuration->memory_bytes);
	add_number(head, "descriptors", (int64_t)configuration->descriptors);
	add_number(head, "processes", (int64_t)configuration->processes);
	buffer_add_char(head, '}');
}

void order_add_delivery(struct buffer *head, const struct order_delivery *delivery)
{
	const struct event *event = delivery->event;
	buffer_add_text(head, "{\"type\":\"deliver\"");
	buffer_add_json_member(head, "key", delivery->key);
	buffer_add_json_member(head, "position", delivery->position);
	buffer_add_json_member(head, "source", event->source);
	buffer_add_json_member(head, "event_id", event->event_id);
	buffer_add_json_member(head, "interaction", delivery->interaction.type);
	buffer_add_json_member(head, "subtype", delivery->interaction.subtype);
	add_number(head, "index", delivery->index);
	buffer_add_text(head, ",\"tags\":");
	event_add_tags(head, event);
	if (event->traceparent.n)
		buffer_add_json_member(head, "traceparent", event->traceparent);
	add_number(head, "received_ms", event->received_ms > 0 ? event->received_ms : 0);
	add_number(head, "attempt", delivery->attempt);
	add_number(head, "max_attempts", delivery->max_attempts);
	add_number(head, "deadline_ms", delivery->deadline_ms);
	buffer_add_char(head, '}');
}

void order_add_reply(struct buffer *head, int error, struct span text)
{
	buffer_add_printf(head, "{\"type\":\"reply\",\"error\":%d", error);
	if (text.n)
		buffer_add_json_member(head, "text", text);
	buffer_add_char(head, '}');
}
