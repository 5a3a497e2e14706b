/* SPDX-License-Identifier: Apache-2.0 */
/* belfry plugin: for whoever writes a plugin, and for whoever wants to know what one can do. No gateway is needed. */
#include "cli/plugin.h"

#include "cli/command.h"
#include "cli/output.h"

#include <errno.h>

const char *plugin_program(void)
{
	const char *program = getenv("BELFRY_HANDLER");
	return program && *program ? program : BELFRY_HANDLER_PROGRAM;
}

char *plugin_path(const char *file)
{
	char *path = realpath(file, NULL);
	if (!path)
		output_complain("%s: %s", file, strerrordesc_np(errno));
	return path;
}

static const struct {
	const char *name;
	size_t n_operands; /* with the word itself; one more may be left out */
	size_t n_optional;
	int (*run)(const struct invocation *invocation);
	const char *usage;
} words[] = {
	{ "new", 2, 0, plugin_new, "belfry plugin new NAME" },
	{ "describe", 2, 0, plugin_describe, "belfry plugin describe FILE" },
	{ "test", 2, 1, plugin_test, "belfry plugin test FILE [EVENT]" },
};

static int run(const struct invocation *invocation)
{
	const char *word = invocation->n_operands ? invocation->operands[0] : "";
	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		if (strcmp(word, words[i].name) != 0)
			continue;
		if (invocation->n_operands >= words[i].n_operands &&
			invocation->n_operands <= words[i].n_operands + words[i].n_optional)
			return words[i].run(invocation);
		output_complain("usage: %s", words[i].usage);
		return CLI_E_USAGE;
	}
	output_complain("plugin what? new, describe or test; \"belfry help plugin\" says more");
	return CLI_E_USAGE;
}

static const struct command_option options[] = {
	{ "markdown", NULL, false, "describe: the options as a table for a README." },
	{ "option", "NAME=YAML", true, "test: an option of the plugin, its value as in the configuration." },
	{ "secret", "NAME=FILE", true, "test: an option whose value is in the file." },
	{ "when", "JQ", false, "test: the condition; what does not meet it is not handled." },
	{ "allow", "WORD", true, "test: exec, to start programs; inner, to reach inner addresses." },
	{ "tag", "NAME=VALUE", true, "test: a tag of the callback." },
	{ "timeout", "DURATION", false, "describe, test: how long it may take before it is killed; default 30s." },
	{ 0 },
};

const struct command command_plugin = {
	.name = "plugin",
	.summary = "write, describe or try a plugin",
	.operands = "new NAME | describe FILE | test FILE [EVENT]",
	.description =
		"\"new\" writes a folder with a plugin that builds with nothing but Belfry's header. \"describe\" prints what "
		"Belfry reads from a plugin: its ABI, its options, what it needs. \"test\" runs it once, confined as the "
		"gateway "
		"would, with an event: a file with a callback's body, or a sample's name (\"belfry help send\" lists them); "
		"without one, conferencing_assigned. What the plugin keeps as state is forgotten afterwards.\n\n"
		"The exit status of \"test\" is 0 if the event was handled, 75 if the plugin wants to try again later, 1 if it "
		"rejects the event, crashes or takes too long, and 78 if it is refused, or its options are.",
	.examples = "belfry plugin new demo\n"
				"belfry plugin describe /usr/lib/belfry/plugins/slack.so\n"
				"belfry plugin test ./demo.so --option prefix=Ready event.json\n"
				"belfry plugin test ./demo.so --secret token=./token conferencing_failing",
	.options = options,
	.max_operands = 3,
	.run = run,
};
