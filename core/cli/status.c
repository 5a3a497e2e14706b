/* SPDX-License-Identifier: Apache-2.0 */
/* belfry status: how the gateway is, at a glance. */
#include "cli/operator.h"
#include "cli/output.h"
#include "cli/printable.h"

#include <errno.h>

static void add_state(struct buffer *text, const json_t *status)
{
	long long uptime_s = operator_number(status, "uptime");
	const json_t *problem;
	size_t i;
	buffer_add_printf(text, "%s: belfry %s, up %lldh %lldm, since %s\n", operator_text(status, "state"),
					  operator_text(status, "version"), uptime_s / 3600, uptime_s % 3600 / 60,
					  operator_text(status, "started_at"));
	json_array_foreach(json_object_get(status, "problems"), i, problem)
	{
		buffer_add_text(text, "problem      ");
		printable_add(text, span_text(json_string_value(problem)));
		buffer_add_char(text, '\n');
	}
}

static void add_numbers(struct buffer *text, const json_t *status)
{
	const json_t *journal = json_object_get(status, "journal"), *queue = json_object_get(status, "queue");
	const json_t *subscribers = json_object_get(status, "subscribers");
	const json_t *connections = json_object_get(status, "connections");
	buffer_add_printf(text, "journal      %lld events up to %s, %lld bytes\n", operator_number(journal, "events"),
					  operator_text(journal, "head"), operator_number(journal, "bytes"));
	buffer_add_printf(text, "queue        %lld callbacks\n", operator_number(queue, "callbacks"));
	buffer_add_printf(text, "connections  %lld, of them %lld without a request yet\n",
					  operator_number(connections, "open"), operator_number(connections, "pending"));
	buffer_add_printf(text, "subscribers  %lld live, %lld behind (at most %lld events), %lld idle\n",
					  operator_number(subscribers, "live"), operator_number(subscribers, "behind"),
					  operator_number(subscribers, "lag"), operator_number(subscribers, "idle"));
	buffer_add_printf(text, "handlers     %lld", operator_number(status, "handlers"));
}

static int print(const struct invocation *invocation, json_t *status)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	if (invocation_is_json(invocation))
		return output_json_new(json_incref(status));
	add_state(&text, status);
	add_numbers(&text, status);
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

static int run(const struct invocation *invocation)
{
	json_t *status = NULL;
	int r = operator_ask(invocation, "/status", SPAN(""), false, &status);
	if (r != CLI_OK)
		return r;
	bool is_ok = strcmp(operator_text(status, "state"), "ok") == 0;
	r = print(invocation, status);
	json_decref(status);
	return r == CLI_OK && !is_ok ? CLI_E_NOT_SO : r;
}

static const struct command_option options[] = { OPERATOR_OPTIONS, { 0 } };

const struct command command_status = {
	.name = "status",
	.summary = "show how the gateway is",
	.operands = "",
	.description =
		"Says whether all is well, and if not, what is wrong: a journal that cannot be written, handlers that "
		"pause or whose processes end by themselves. The exit status is 1 then, and while it is stopping.\n\n"
		"Asks the gateway at its admin socket or address.",
	.examples = "belfry status\n"
				"belfry status --json",
	.options = options,
	.max_operands = 0,
	.run = run,
};
