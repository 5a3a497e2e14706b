/* SPDX-License-Identifier: Apache-2.0 */
/* belfry deliveries: what is owed to handlers, what was done, and what became dead, with the reason. */
#include "cli/operator.h"

static int print_all(const struct invocation *invocation, const json_t *answer)
{
	const json_t *delivery;
	size_t i;
	(void)invocation;
	json_array_foreach(json_object_get(answer, "deliveries"), i, delivery)
	{
		int r = operator_print_delivery(delivery);
		if (r != CLI_OK)
			return r;
	}
	operator_tell_older(answer);
	return CLI_OK;
}

static int run(const struct invocation *invocation)
{
	static const char *const names[] = { "handler", "state", "position", "before", "limit", NULL };
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	operator_add_options(&query, invocation, names);
	return operator_show(invocation, "/deliveries", &query, print_all);
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
