/* SPDX-License-Identifier: Apache-2.0 */
/* belfry events: what the journal keeps, malformed callbacks included; or one event, and what became of it. */
#include "cli/operator.h"
#include "cli/output.h"
#include "cli/printable.h"

#include <errno.h>

#define MAX_SHOWN_CHARACTERS 300

static void add_interactions(struct buffer *line, const json_t *event)
{
	const json_t *interaction;
	size_t i;
	json_array_foreach(json_object_get(event, "interactions"), i, interaction)
	{
		buffer_add_text(line, i ? "," : "");
		operator_add_interaction(line, operator_text(interaction, "type"), operator_text(interaction, "subtype"));
	}
}

static int print_event(const json_t *event)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	json_t *tags = json_object_get(event, "tags"), *value;
	const char *malformed = operator_text(event, "malformed"), *event_id = operator_text(event, "event_id"), *name;
	buffer_add_printf(&line, "%s  %s  %-9s  %s  ", operator_text(event, "position"),
					  operator_text(event, "received_at"), operator_text(event, "kind"),
					  operator_text(event, "source"));
	add_interactions(&line, event);
	printable_add_cut(&line, span_text(malformed), MAX_SHOWN_CHARACTERS);
	buffer_add_text(&line, *event_id ? "  " : "");
	printable_add_cut(&line, span_text(event_id), MAX_SHOWN_CHARACTERS);
	json_object_foreach(tags, name, value)
	{
		buffer_add_printf(&line, "  %s=", name);
		printable_add_cut(&line, span_text(json_string_value(value)), MAX_SHOWN_CHARACTERS);
	}
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

/* What it says, and what became of it at each handler. */
static int print_whole(const json_t *answer)
{
	const json_t *event = json_array_get(json_object_get(answer, "events"), 0);
	const json_t *delivery;
	json_t *body = json_object_get(event, "callback");
	size_t i;
	int r = CLI_OK;
	if (body)
		r = output_json_new(json_incref(body));
	json_array_foreach(json_object_get(answer, "deliveries"), i, delivery)
	{
		if (r == CLI_OK)
			r = operator_print_delivery(delivery);
	}
	return r;
}

static int print_all(const struct invocation *invocation, const json_t *answer)
{
	const json_t *event;
	size_t i;
	json_array_foreach(json_object_get(answer, "events"), i, event)
	{
		int r = print_event(event);
		if (r != CLI_OK)
			return r;
	}
	operator_tell_older(answer);
	return invocation->n_operands ? print_whole(answer) : CLI_OK;
}

/* "name=value" of each --tag. */
static int add_tags(struct buffer *query, const struct invocation *invocation)
{
	for (size_t i = 0; i < invocation_count(invocation, "tag"); i++) {
		struct tag tag;
		int r = invocation_tag_at(invocation, "tag", i, &tag);
		if (r != CLI_OK)
			return r;
		buffer_add_text(query, "&tags.");
		buffer_add_percent_encoded(query, tag.name);
		buffer_add_char(query, '=');
		buffer_add_percent_encoded(query, tag.value);
	}
	return CLI_OK;
}

static int make_query(const struct invocation *invocation, struct buffer *query)
{
	static const struct {
		const char *option, *parameter;
	} filters[] = { { "interaction", "interactions" }, { "source", "sources" }, { "event-id", "event_ids" } };
	static const char *const names[] = { "kind", "before", "limit", NULL };
	operator_add_options(query, invocation, names);
	for (size_t i = 0; i < ARRAY_LENGTH(filters); i++)
		operator_add_option_as(query, invocation, filters[i].option, filters[i].parameter);
	if (invocation->n_operands) {
		buffer_add_text(query, "&position=");
		buffer_add_percent_encoded(query, span_text(invocation->operands[0]));
	}
	return add_tags(query, invocation);
}

static int run(const struct invocation *invocation)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	int r = make_query(invocation, &query);
	return r == CLI_OK ? operator_show(invocation, "/events", &query, print_all) : r;
}

static const struct command_option options[] = {
	{ "kind", "KIND", false, "Only callback, malformed, notice or outcome; several with commas between." },
	{ "interaction", "TYPE", false,
	  "Only those with this type of interaction; a star at its end stands for any rest." },
	{ "source", "NAME", false, "Only those of this source." },
	{ "event-id", "ID", false, "Only those of this event id." },
	{ "tag", "NAME=VALUE", true, "Only those with this tag. As often as needed." },
	{ "before", "POSITION", false, "Only older ones than this." },
	{ "limit", "N", false, "Not more than N (100): up to 1000." },
	OPERATOR_OPTIONS,
	{ 0 },
};

const struct command command_events = {
	.name = "events",
	.summary = "show what the journal keeps, and what became of it",
	.operands = "[POSITION]",
	.description =
		"Shows events, the newest first: callbacks, those that could not be read, and the gateway's own notices and "
		"outcomes. With a position, that event alone, with its body and what became of it at each handler. `belfry "
		"listen` shows them as they come.\n\n"
		"Asks the gateway at its admin socket or address.",
	.examples = "belfry events --limit 10\n"
				"belfry events --kind malformed\n"
				"belfry events --tag user=42 --interaction 'conferencing_*'\n"
				"belfry events k3x9t2ma-42",
	.options = options,
	.max_operands = 1,
	.run = run,
};
