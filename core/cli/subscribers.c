/* SPDX-License-Identifier: Apache-2.0 */
/* belfry subscribers: who is subscribed, to what, and how far behind. */
#include "cli/operator.h"
#include "cli/output.h"
#include "cli/printable.h"

#include <errno.h>

#define MAX_SHOWN_CHARACTERS 300

static int print_subscriber(const json_t *subscriber)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	CLEANUP(free) char *filters = json_dumps(json_object_get(subscriber, "filters"), JSON_COMPACT | JSON_ENCODE_ANY);
	buffer_add_printf(&line, "%s  %-9s  %-6s  %s  lag %lld  ", operator_text(subscriber, "session"),
					  operator_text(subscriber, "transport"), operator_text(subscriber, "state"),
					  operator_text(subscriber, "peer"), operator_number(subscriber, "lag"));
	printable_add_cut(&line, span_text(operator_text(subscriber, "subject")), MAX_SHOWN_CHARACTERS);
	buffer_add_text(&line, "  ");
	printable_add_cut(&line, span_text(filters), MAX_SHOWN_CHARACTERS);
	return line.failed || !filters ? -ENOMEM : output_line(buffer_span(&line));
}

static int print_all(const struct invocation *invocation, const json_t *answer)
{
	const json_t *list = json_object_get(answer, "subscribers"), *subscriber;
	long long n_matching = operator_number(answer, "matching");
	size_t i;
	(void)invocation;
	json_array_foreach(list, i, subscriber)
	{
		int r = print_subscriber(subscriber);
		if (r != CLI_OK)
			return r;
	}
	if (n_matching > (long long)json_array_size(list))
		output_complain("there are %lld of them: --limit shows more", n_matching);
	return CLI_OK;
}

static int run(const struct invocation *invocation)
{
	static const char *const names[] = { "transport", "state", "lag", "limit", NULL };
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	operator_add_options(&query, invocation, names);
	return operator_show(invocation, "/subscribers", &query, print_all);
}

static const struct command_option options[] = {
	{ "transport", "NAME", false, "Only those by websocket, or by stream." },
	{ "state", "STATE", false, "Only those that are live, behind or idle." },
	{ "lag", "N", false, "Only those that are at least N events behind." },
	{ "limit", "N", false, "Not more than N (100): up to 1000." },
	OPERATOR_OPTIONS,
	{ 0 },
};

const struct command command_subscribers = {
	.name = "subscribers",
	.summary = "show who is subscribed, to what, and how far behind",
	.operands = "",
	.description =
		"One line a subscriber: its session, as it was told when it came; how it is connected, from where, and "
		"how many events it is behind; the subject of its token, and its filters.\n\n"
		"Asks the gateway at its admin socket or address.",
	.examples = "belfry subscribers\n"
				"belfry subscribers --state behind --lag 1000",
	.options = options,
	.max_operands = 0,
	.run = run,
};
