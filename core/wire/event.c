/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/event.h"

#include "base/clock.h"
#include "wire/document.h"
#include "wire/outcome.h"

#include <errno.h>

const char *const event_kinds[] = { [EVENT_CALLBACK] = "callback",
									[EVENT_MALFORMED] = "malformed",
									[EVENT_NOTICE] = "notice",
									[EVENT_OUTCOME] = "outcome" };

/* Copies spans one after the other into the memory behind the struct. */
struct packer {
	char *at;
};

static struct span pack(struct packer *packer, struct span s)
{
	char *start = packer->at;
	if (s.n)
		memcpy(start, s.data, s.n);
	packer->at += s.n;
	return span_of(start, s.n);
}

static size_t text_bytes(const struct event *model)
{
	size_t n = model->source.n + model->event_id.n + model->body.n + model->malformed.n + model->traceparent.n;
	for (size_t i = 0; i < model->n_interactions; i++)
		n += model->interactions[i].type.n + model->interactions[i].subtype.n;
	for (size_t i = 0; i < model->n_tags; i++)
		n += model->tags[i].name.n + model->tags[i].value.n;
	return n;
}

static int compare_spans(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n ? memcmp(a.data, b.data, n) : 0;
	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int compare_tags(const void *a, const void *b)
{
	const struct tag *left = a, *right = b;
	int order = compare_spans(left->name, right->name);
	return order ? order : compare_spans(left->value, right->value);
}

int event_create(const struct event *model, struct event **ret_event)
{
	size_t interactions_bytes = model->n_interactions * sizeof(struct interaction);
	size_t tags_bytes = model->n_tags * sizeof(struct tag);
	struct event *event = malloc(sizeof *event + interactions_bytes + tags_bytes + text_bytes(model));
	if (!event)
		return -ENOMEM;
	struct interaction *interactions = (struct interaction *)(event + 1);
	struct tag *tags = (struct tag *)(interactions + model->n_interactions);
	struct packer packer = { (char *)(tags + model->n_tags) };
	for (size_t i = 0; i < model->n_interactions; i++)
		interactions[i] = (struct interaction){ pack(&packer, model->interactions[i].type),
												pack(&packer, model->interactions[i].subtype) };
	for (size_t i = 0; i < model->n_tags; i++)
		tags[i] = (struct tag){ pack(&packer, model->tags[i].name), pack(&packer, model->tags[i].value) };
	if (model->n_tags > 1)
		qsort(tags, model->n_tags, sizeof *tags, compare_tags);
	*event = (struct event){
		.kind = model->kind,
		.received_ms = model->received_ms,
		.source = pack(&packer, model->source),
		.event_id = pack(&packer, model->event_id),
		.body = pack(&packer, model->body),
		.malformed = pack(&packer, model->malformed),
		.traceparent = pack(&packer, model->traceparent),
		.interactions = interactions,
		.n_interactions = model->n_interactions,
		.tags = tags,
		.n_tags = model->n_tags,
		.references = 1,
	};
	int r = digest_sha256(event->body, event->body_digest);
	if (r < 0) {
		free(event);
		return r;
	}
	*ret_event = event;
	return 0;
}

struct event *event_ref(struct event *event)
{
	atomic_fetch_add_explicit(&event->references, 1, memory_order_relaxed);
	return event;
}

void event_unref(struct event *event)
{
	if (event && atomic_fetch_sub_explicit(&event->references, 1, memory_order_acq_rel) == 1)
		free(event);
}

void event_add_interactions(struct buffer *json, const struct event *event)
{
	buffer_add_char(json, '[');
	for (size_t i = 0; i < event->n_interactions; i++) {
		buffer_add_text(json, i ? ",{\"type\":" : "{\"type\":");
		buffer_add_json(json, event->interactions[i].type);
		if (event->interactions[i].subtype.n) {
			buffer_add_text(json, ",\"subtype\":");
			buffer_add_json(json, event->interactions[i].subtype);
		}
		buffer_add_char(json, '}');
	}
	buffer_add_char(json, ']');
}

void event_add_tags(struct buffer *json, const struct event *event)
{
	buffer_add_char(json, '{');
	for (size_t i = 0; i < event->n_tags; i++) {
		if (i)
			buffer_add_char(json, ',');
		buffer_add_json(json, event->tags[i].name);
		buffer_add_char(json, ':');
		buffer_add_json(json, event->tags[i].value);
	}
	buffer_add_char(json, '}');
}

void event_add_message(struct buffer *json, const struct event *event, const struct position *position)
{
	char text[POSITION_TEXT_SIZE], received[CLOCK_TEXT_SIZE];
	if (event->kind == EVENT_OUTCOME) {
		outcome_add_message(json, event, position);
		return;
	}
	size_t n = position_format(position, text);
	clock_format(event->received_ms, received);
	/* most of the message in one piece of memory */
	(void)buffer_reserve(json, event->body.n + 256);
	buffer_add(json, SPAN("{\"type\":\"event\",\"position\":\""));
	buffer_add(json, span_of(text, n));
	buffer_add(json, SPAN("\",\"received_at\":\""));
	buffer_add(json, span_of(received, CLOCK_TEXT_SIZE - 1));
	buffer_add(json, SPAN("\",\"source\":"));
	buffer_add_json(json, event->source);
	buffer_add(json, SPAN(",\"interactions\":"));
	event_add_interactions(json, event);
	buffer_add(json, SPAN(",\"tags\":"));
	event_add_tags(json, event);
	if (event->traceparent.n)
		buffer_add_json_member(json, "traceparent", event->traceparent);
	buffer_add(json, SPAN(",\"callback\":"));
	buffer_add(json, event->body);
	buffer_add_char(json, '}');
}

static bool read_interactions(const json_t *json, struct interaction *interactions)
{
	for (size_t i = 0; i < json_array_size(json); i++) {
		const json_t *item = json_array_get(json, i), *subtype = json_object_get(item, "subtype");
		interactions[i] = (struct interaction){ document_text(json_object_get(item, "type")), document_text(subtype) };
		if (!interactions[i].type.n || (subtype && !interactions[i].subtype.n))
			return false;
	}
	return json_is_array(json);
}

static bool read_tags(json_t *json, struct tag *tags)
{
	size_t i = 0;
	const char *name;
	json_t *value;
	json_object_foreach(json, name, value)
	{
		tags[i] = (struct tag){ span_text(name), document_text(value) };
		if (!tags[i++].value.data)
			return false;
	}
	return json_is_object(json);
}

static int restore(const struct event_record *record, json_t *interactions_json, json_t *tags_json,
				   struct event **ret_event)
{
	size_t n_interactions = json_array_size(interactions_json), n_tags = json_object_size(tags_json);
	CLEANUP(free) struct interaction *interactions = calloc(n_interactions + 1, sizeof *interactions);
	CLEANUP(free) struct tag *tags = calloc(n_tags + 1, sizeof *tags);
	if (!interactions || !tags)
		return -ENOMEM;
	if (!read_interactions(interactions_json, interactions) || !read_tags(tags_json, tags))
		return -EBADMSG;
	if (record->kind != EVENT_MALFORMED && n_interactions == 0)
		return -EBADMSG;
	struct event model = {
		.kind = record->kind,
		.received_ms = record->received_ms,
		.source = record->source,
		.event_id = record->event_id,
		.body = record->body,
		.malformed = record->malformed,
		.traceparent = record->traceparent,
		.interactions = interactions,
		.n_interactions = n_interactions,
		.tags = tags,
		.n_tags = n_tags,
	};
	return event_create(&model, ret_event);
}

int event_restore(const struct event_record *record, struct event **ret_event)
{
	json_error_t error;
	CLEANUP(document_finish) struct document interactions = DOCUMENT_INIT, tags = DOCUMENT_INIT;
	int r = document_read(record->interactions, &interactions, &error);
	if (r == DOCUMENT_OK)
		r = document_read(record->tags, &tags, &error);
	if (r == DOCUMENT_E_MALFORMED)
		return -EBADMSG;
	return r < 0 ? r : restore(record, interactions.root, tags.root, ret_event);
}
