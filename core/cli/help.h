/* SPDX-License-Identifier: Apache-2.0 */
/* Help, printed from the tables of the commands. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "base/buffer.h"
#include "cli/command.h"

struct exit_status {
	int code;
	const char *meaning;
};

/* What an enum cli_exit says. The last one has no meaning. */
extern const struct exit_status exit_statuses[];

/* What `belfry` is, its commands and its exit statuses. */
void help_add_overview(struct buffer *text);
void help_add_command(struct buffer *text, const struct command *command);

#endif
