/* SPDX-License-Identifier: Apache-2.0 */
/* `belfry`: the gateway's tool for the person at the terminal. See command.h for how it is put together. */
#include "base/log.h"
#include "cli/help.h"
#include "cli/invocation.h"
#include "cli/output.h"

#include <errno.h>

static int print_help(const struct command *command)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	if (command)
		help_add_command(&text, command);
	else
		help_add_overview(&text);
	return text.failed ? -ENOMEM : output_line(span_of(text.data, text.n - 1));
}

static int run(int argc, char *const *argv)
{
	CLEANUP(invocation_finish) struct invocation invocation = { 0 };
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	int r = invocation_parse(commands, argc, argv, &invocation, &message);
	if (r == CLI_E_USAGE)
		output_complain("%.*s", SPAN_PRINTF(buffer_span(&message)));
	if (r != CLI_OK)
		return r;
	if (invocation_has(&invocation, "help"))
		return print_help(invocation.command);
	if (invocation_has(&invocation, "version"))
		return output_line(SPAN("belfry " BELFRY_VERSION));
	if (invocation.command)
		return invocation.command->run(&invocation);
	output_complain("which command? \"belfry help\" lists them");
	return CLI_E_USAGE;
}

int main(int argc, char **argv)
{
	log_set_level(LOG_LEVEL_WARNING);
	int r = run(argc, argv);
	if (r >= 0)
		return r;
	if (r != -EPIPE) /* whoever read our output has enough of it */
		output_complain("%s", strerrordesc_np(-r));
	return CLI_E_IO;
}
