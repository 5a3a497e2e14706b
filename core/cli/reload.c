/* SPDX-License-Identifier: Apache-2.0 */
/* belfry reload: has the gateway take its configuration as it is now, or says why not. */
#include "cli/operator.h"
#include "cli/output.h"

#include <errno.h>

/* As belfry check prints them. */
static void print_complaints(const json_t *answer)
{
	const json_t *complaint;
	size_t i;
	json_array_foreach(json_object_get(answer, "complaints"), i, complaint)
	{
		bool is_warning = json_is_true(json_object_get(complaint, "is_warning"));
		output_complain("%s%s", is_warning ? "warning: " : "", operator_text(complaint, "text"));
	}
}

static int print_changes(const json_t *answer, bool is_rehearsal)
{
	const json_t *changes = json_object_get(answer, "changes"), *change;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	size_t i, n = json_array_size(changes);
	buffer_add_printf(&text, "OK: %zu %s%s", n, n == 1 ? "change" : "changes", is_rehearsal ? " to come" : "");
	json_array_foreach(changes, i, change)
		buffer_add_printf(&text, "\n  %s: %s", operator_text(change, "option"), operator_text(change, "change"));
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

static int run(const struct invocation *invocation)
{
	bool is_rehearsal = invocation_has(invocation, "dry-run");
	json_t *answer = NULL;
	int r = operator_ask(invocation, "/reload", SPAN(""), !is_rehearsal, &answer);
	if (r == CLI_E_USAGE)
		output_complain(
			"without an admin listener: systemctl reload belfry, or kill -HUP; the log says what became of it");
	if (r != CLI_OK)
		return r;
	bool is_ok = json_is_true(json_object_get(answer, "ok"));
	int printed = CLI_OK;
	print_complaints(answer);
	if (invocation_is_json(invocation))
		printed = output_json_new(json_incref(answer));
	else if (is_ok)
		printed = print_changes(answer, is_rehearsal);
	json_decref(answer);
	return printed != CLI_OK ? printed : is_ok ? CLI_OK : CLI_E_CONFIG;
}

static const struct command_option options[] = {
	{ "dry-run", NULL, false, "Say what would change, and change nothing." },
	OPERATOR_OPTIONS,
	{ 0 },
};

const struct command command_reload = {
	.name = "reload",
	.summary = "have the gateway take its configuration as it is now",
	.operands = "",
	.description =
		"The gateway reads its files again, with all that they point to: secrets, keys, certificates, plugins. If "
		"anything is wrong, it prints every complaint as belfry check does, keeps what it had, and the exit status is "
		"78. Else everything is switched to the new configuration, and what has changed is printed. No connection is "
		"dropped, and what is under way ends by the old one. Handlers that have changed are started again when they "
		"have finished what they are at.\n\n"
		"Asks the gateway at its admin socket or address. Without one, systemctl reload or kill -HUP do the same, and "
		"the log "
		"says what became of it.",
	.examples = "belfry reload\n"
				"belfry reload --dry-run",
	.options = options,
	.max_operands = 0,
	.run = run,
};
