/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/outcome.h"

#include "base/clock.h"

#include <errno.h>

/* What the body begins with; the sequence follows, then a comma. */
#define BODY_BEGINNING SPAN("{\"event\":")

int outcome_create(const struct event *event, const struct outcome *outcome, struct event **ret_event)
{
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	buffer_add(&body, BODY_BEGINNING);
	buffer_add_u64(&body, outcome->sequence);
	buffer_add_json_member(&body, "handler", outcome->handler);
	buffer_add_json_member(&body, "state", outcome->state);
	buffer_add_printf(&body, ",\"attempt\":%lld", (long long)outcome->attempt);
	buffer_add_json_member(&body, "detail", outcome->detail);
	buffer_add_char(&body, '}');
	if (body.failed)
		return -ENOMEM;
	return event_create(&(struct event){ .kind = EVENT_OUTCOME,
										 .received_ms = outcome->at_ms,
										 .source = event->source,
										 .event_id = event->event_id,
										 .body = buffer_span(&body),
										 .interactions = &event->interactions[outcome->interaction],
										 .n_interactions = 1,
										 .tags = event->tags,
										 .n_tags = event->n_tags },
						ret_event);
}

/* Takes the sequence off the body; what is left begins with the handler's key. */
static uint64_t take_sequence(struct span *body)
{
	uint64_t sequence = 0;
	struct span number;
	*body = span_skip(*body, BODY_BEGINNING.n);
	(void)span_next(body, ',', &number);
	(void)span_to_u64(number, UINT64_MAX, &sequence);
	return sequence;
}

void outcome_add_message(struct buffer *json, const struct event *event, const struct position *position)
{
	const struct interaction *interaction = &event->interactions[0];
	struct span rest = event->body;
	uint64_t of_event = take_sequence(&rest);
	char at[CLOCK_TEXT_SIZE];
	clock_format(event->received_ms, at);
	buffer_add_text(json, "{\"type\":\"outcome\",");
	position_add_json(json, "position", position->epoch, position->sequence);
	buffer_add_char(json, ',');
	position_add_json(json, "event_position", position->epoch, of_event);
	buffer_add_printf(json, ",\"at\":\"%s\"", at);
	buffer_add_json_member(json, "source", event->source);
	buffer_add_json_member(json, "event_id", event->event_id);
	buffer_add_json_member(json, "interaction", interaction->type);
	if (interaction->subtype.n)
		buffer_add_json_member(json, "subtype", interaction->subtype);
	buffer_add_text(json, ",\"tags\":");
	event_add_tags(json, event);
	buffer_add_char(json, ',');
	buffer_add(json, rest);
}
