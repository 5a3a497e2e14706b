/* SPDX-License-Identifier: Apache-2.0 */
/* belfry handlers: each handler, and how it does. */
#include "cli/operator.h"
#include "cli/output.h"

#include <errno.h>

static int print_handler(const json_t *handler)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	const char *until = operator_text(handler, "paused_until");
	buffer_add_printf(
		&line, "%-20s  %-7s  owed %lld  done %lld  retried %lld  dead %lld  crashed %lld  p99 %.0f ms  %s %s",
		operator_text(handler, "name"), operator_text(handler, "state"), operator_number(handler, "owed"),
		operator_number(handler, "done"), operator_number(handler, "retried"), operator_number(handler, "dead"),
		operator_number(handler, "crashed"), json_real_value(json_object_get(handler, "p99_ms")),
		operator_text(handler, "plugin"), operator_text(handler, "version"));
	if (*until)
		buffer_add_printf(&line, "  until %s", until);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static int print_all(const struct invocation *invocation, const json_t *answer)
{
	const json_t *handler;
	int r = CLI_OK;
	size_t i;
	(void)invocation;
	json_array_foreach(json_object_get(answer, "handlers"), i, handler)
	{
		if (r == CLI_OK)
			r = print_handler(handler);
	}
	return r;
}

static int run(const struct invocation *invocation)
{
	return operator_show(invocation, "/handlers", &BUFFER_INIT, print_all);
}

static const struct command_option options[] = { OPERATOR_OPTIONS, { 0 } };

const struct command command_handlers = {
	.name = "handlers",
	.summary = "show each handler, and how it does",
	.operands = "",
	.description =
		"One line a handler: whether it is idle, working, paused (its far end seems to be down) or failing (its "
		"process "
		"ends by itself again and again); what it is owed now; and what became of its attempts since the gateway "
		"started. --json has more.\n\n"
		"Asks the gateway at its admin socket or address.",
	.examples = "belfry handlers\n"
				"belfry handlers --json",
	.options = options,
	.max_operands = 0,
	.run = run,
};
