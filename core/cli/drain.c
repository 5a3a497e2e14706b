/* SPDX-License-Identifier: Apache-2.0 */
/* belfry drain: has the gateway stop in good order. */
#include "cli/operator.h"
#include "cli/output.h"

static int run(const struct invocation *invocation)
{
	json_t *answer = NULL;
	int r = operator_ask(invocation, "/drain", SPAN(""), true, &answer);
	if (r == CLI_OK && invocation_is_json(invocation))
		return output_json_new(answer);
	json_decref(answer);
	return r == CLI_OK ? output_line(SPAN("the gateway is stopping")) : r;
}

static const struct command_option options[] = { OPERATOR_OPTIONS, { 0 } };

const struct command command_drain = {
	.name = "drain",
	.summary = "have the gateway stop in good order",
	.operands = "",
	.description = "As SIGTERM does: readiness goes first, callbacks under way are finished, every subscriber is told "
				   "when to come "
				   "back, handlers finish what they are at, and the process ends. Does not wait for that. Where "
				   "systemd looks after "
				   "it, systemctl stop is better.\n\n"
				   "Asks the gateway at its admin socket or address.",
	.examples = "belfry drain",
	.options = options,
	.max_operands = 0,
	.run = run,
};
