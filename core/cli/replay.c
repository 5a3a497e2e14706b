/* SPDX-License-Identifier: Apache-2.0 */
/* belfry replay: what is dead, or was done, is owed to its handlers again. */
#include "cli/operator.h"
#include "cli/output.h"

#include <errno.h>

static int print(const struct invocation *invocation, json_t *answer)
{
	long long n = (long long)json_integer_value(json_object_get(answer, "replayed"));
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (invocation_is_json(invocation)) {
		int r = output_json_new(answer);
		return r == CLI_OK && n == 0 ? CLI_E_NOT_SO : r;
	}
	json_decref(answer);
	buffer_add_printf(&line, n == 1 ? "%lld delivery is owed again" : "%lld deliveries are owed again", n);
	if (line.failed)
		return -ENOMEM;
	int r = output_line(buffer_span(&line));
	return r == CLI_OK && n == 0 ? CLI_E_NOT_SO : r;
}

static int run(const struct invocation *invocation)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	json_t *answer = NULL;
	bool is_dead = invocation_has(invocation, "dead");
	if (is_dead == (invocation->n_operands == 1)) {
		output_complain("either a position or --dead says what to replay");
		return CLI_E_USAGE;
	}
	if (is_dead) {
		buffer_add_text(&query, "&dead");
	} else {
		buffer_add_text(&query, "&position=");
		buffer_add_percent_encoded(&query, span_text(invocation->operands[0]));
	}
	operator_add_option(&query, invocation, "handler");
	if (query.failed)
		return -ENOMEM;
	int r = operator_ask(invocation, "/replay", buffer_span(&query), true, &answer);
	return r == CLI_OK ? print(invocation, answer) : r;
}

static const struct command_option options[] = {
	{ "dead", NULL, false, "All that are dead." },
	{ "handler", "NAME", false, "Only those of this handler." },
	OPERATOR_OPTIONS,
	{ 0 },
};

const struct command command_replay = {
	.name = "replay",
	.summary = "have handlers do again what is dead, or was done",
	.operands = "[POSITION]",
	.description =
		"Deliveries that are dead, or those of one event whatever became of them, are owed again: with all their "
		"attempts and all their time before them, as if the callback had just come. What is still owed is not "
		"touched, and what was never owed is not either: handlers that were configured later get nothing of it.\n\n"
		"Asks the gateway at its admin socket or address. The exit status is 1 if there was nothing to replay.",
	.examples = "belfry replay --dead\n"
				"belfry replay --dead --handler team-slack\n"
				"belfry replay k3x9t2ma-42",
	.options = options,
	.max_operands = 1,
	.run = run,
};
