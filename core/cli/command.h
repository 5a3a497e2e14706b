/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command of `belfry` is one file that ends in one constant: its name, its options, its help, and the function that
 * runs it. Nothing else of the file is visible. commands.c lists them, help.c prints them, invocation.c reads the
 * words of a command line against their tables.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* What the exit status says; `belfry help` prints the same. */
enum cli_exit {
	CLI_OK = 0,
	CLI_E_NOT_SO = 1,  /* what was asked about is not so: a signature that fails, a callback that was refused */
	CLI_E_USAGE = 2,   /* the command line makes no sense */
	CLI_E_IO = 3,      /* the gateway could not be reached, a file could not be read or written */
	CLI_E_LATER = 75,  /* a plugin wants to try again later (EX_TEMPFAIL) */
	CLI_E_CONFIG = 78, /* the configuration is not valid (EX_CONFIG) */
};

/* The last row of a table has no name. */
struct command_option {
	const char *name;     /* without the dashes */
	const char *argument; /* what help calls its value; NULL for a switch */
	bool is_list;         /* may stand more than once */
	const char *help;
};

struct invocation;

struct command {
	const char *name;
	const char *summary;     /* a line in the list of commands */
	const char *operands;    /* "[SAMPLE]"; "" if it takes none */
	const char *description; /* paragraphs, separated by blank lines; filled to the width by help */
	const char *examples;    /* lines, printed as they are */
	const struct command_option *options;
	size_t max_operands;
	/* An enum cli_exit, after having told stderr why it is not CLI_OK; or -errno, which main() tells. */
	int (*run)(const struct invocation *invocation);
};

/* All of them, in the order of help; the last is NULL. */
extern const struct command *const commands[];

extern const struct command command_callback_uri, command_check, command_deliveries, command_drain, command_events,
	command_explain, command_handlers, command_help, command_journal, command_listen, command_plugin, command_reload,
	command_replay, command_send, command_status, command_subscribers, command_token, command_upsert;

#endif
