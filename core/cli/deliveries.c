/* SPDX-License-Identifier: Apache-2.0 */
/* belfry deliveries: what is owed to handlers, what was done, and what became dead, with the reason. */
#include "cli/operator.h"
#include "cli/output.h"
#include "cli/printable.h"

#include <errno.h>

#define MAX_REASON_CHARACTERS 300

/* Two lines: what it is, and how the last attempt ended. */
static int print_delivery(const json_t *delivery)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	const json_t *last = json_object_get(delivery, "last");
	const char *subtype = operator_text(delivery, "subtype"), *due = operator_text(delivery, "due_at");
	buffer_add_printf(&line, "%s  %-7s  %s  ", operator_text(delivery, "position"), operator_text(delivery, "state"),
					  operator_text(delivery, "handler"));
	printable_add_cut(&line, span_text(operator_text(delivery, "interaction")), MAX_REASON_CHARACTERS);
	buffer_add_text(&line, *subtype ? "/" : "");
	printable_add_cut(&line, span_text(subtype), MAX_REASON_CHARACTERS);
	buffer_add_printf(&line, "  attempts %lld", operator_number(delivery, "attempts"));
	if (*due)
		buffer_add_printf(&line, "  due %s", due);
	if (last) {
		buffer_add_printf(&line, "\n    %s %s after %lld ms  ", operator_text(last, "started_at"),
						  operator_text(last, "outcome"), operator_number(last, "duration_ms"));
		printable_add_cut(&line, span_text(operator_text(last, "reason")), MAX_REASON_CHARACTERS);
	}
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static int print_all(const json_t *answer)
{
	const char *before = operator_text(answer, "before");
	json_t *delivery;
	size_t i;
	json_array_foreach(json_object_get(answer, "deliveries"), i, delivery)
	{
		int r = print_delivery(delivery);
		if (r != CLI_OK)
			return r;
	}
	if (*before)
		output_complain("there are older ones: --before %s", before);
	return CLI_OK;
}

static int run(const struct invocation *invocation)
{
	static const char *const names[] = { "handler", "state", "position", "before", "limit" };
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	json_t *answer = NULL;
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
		operator_add_option(&query, invocation, names[i]);
	if (query.failed)
		return -ENOMEM;
	int r = operator_ask(invocation, "/deliveries", buffer_span(&query), false, &answer);
	if (r != CLI_OK)
		return r;
	if (invocation_is_json(invocation))
		return output_json_new(answer);
	r = print_all(answer);
	json_decref(answer);
	return r;
}

static const struct command_option options[] = {
	{ "handler", "NAME", false, "Only those of this handler." },
	{ "state", "STATE", false, "Only those that are due, claimed, done or dead." },
	{ "position", "POSITION", false, "Only those of this event." },
	{ "before", "POSITION", false, "Only those of older events than this." },
	{ "limit", "N", false, "Not more than N (100): up to 1000, and those of one event are shown together." },
	OPERATOR_OPTIONS,
	{ 0 },
};

const struct command command_deliveries = {
	.name = "deliveries",
	.summary = "show what handlers are owed, and what became of it",
	.operands = "",
	.description =
		"A delivery is one interaction of one event for one handler. It is due until the handler has done it; it is "
		"dead when the handler rejected it, or was tried in vain as often and as long as its configuration says. "
		"Shows the newest first, each with how its last attempt ended.\n\n"
		"Asks the gateway at its admin socket or address.",
	.examples = "belfry deliveries --state dead\n"
				"belfry deliveries --handler team-slack --state due\n"
				"belfry deliveries --position k3x9t2ma-42",
	.options = options,
	.max_operands = 0,
	.run = run,
};
