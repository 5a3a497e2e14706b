/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/help.h"

#include "base/nearest.h"
#include "cli/invocation.h"
#include "cli/output.h"

#include <errno.h>

#define WIDTH 80
#define OPTION_INDENT 26

static void add_blanks(struct buffer *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buffer_add_char(text, ' ');
}

/* Fills words to the width; the first line is already `column` long. A newline in the text stays one. */
static void add_filled(struct buffer *text, size_t indent, size_t column, const char *words)
{
	bool is_line_start = true;
	while (*words) {
		size_t n = strcspn(words, " \n");
		if (!is_line_start && column + 1 + n > WIDTH) {
			buffer_add_char(text, '\n');
			add_blanks(text, indent);
			column = indent;
			is_line_start = true;
		}
		if (!is_line_start)
			buffer_add_char(text, ' ');
		column += n + !is_line_start;
		is_line_start = false;
		buffer_add(text, span_of(words, n));
		words += n;
		if (*words == '\n') {
			buffer_add_char(text, '\n');
			if (words[1] != '\n')
				add_blanks(text, indent);
			column = indent;
			is_line_start = true;
		}
		words += *words != '\0';
	}
	buffer_add_char(text, '\n');
}

static void add_options(struct buffer *text, const char *title, const struct command_option *options)
{
	if (!options || !options->name)
		return;
	buffer_add_printf(text, "\n%s\n", title);
	for (; options->name; options++) {
		size_t start = text->n;
		buffer_add_printf(text, "  --%s%s%s", options->name, options->argument ? " " : "",
						  options->argument ? options->argument : "");
		if (text->n - start > OPTION_INDENT - 2) {
			buffer_add_char(text, '\n');
			start = text->n;
		}
		add_blanks(text, OPTION_INDENT - (text->n - start));
		add_filled(text, OPTION_INDENT, OPTION_INDENT, options->help);
	}
}

/* Lines, each indented by two. */
static void add_lines(struct buffer *text, const char *title, const char *lines)
{
	buffer_add_printf(text, "\n%s\n", title);
	struct span rest = span_text(lines), line;
	while (span_next(&rest, '\n', &line)) {
		if (line.n)
			add_blanks(text, 2);
		buffer_add(text, line);
		buffer_add_char(text, '\n');
	}
}

const struct exit_status exit_statuses[] = {
	{ CLI_OK, "it is so: valid, sent and accepted, done" },
	{ CLI_E_NOT_SO, "it is not so: a signature fails, the gateway refused" },
	{ CLI_E_USAGE, "the command line makes no sense" },
	{ CLI_E_IO, "the gateway could not be reached, or a file not be read or written" },
	{ CLI_E_LATER, "a plugin wants to try again later" },
	{ CLI_E_CONFIG, "the configuration is not valid, or a plugin is refused" },
	{ 0 },
};

static void add_exit_statuses(struct buffer *text)
{
	buffer_add_text(text, "\nExit status:\n");
	for (const struct exit_status *status = exit_statuses; status->meaning; status++)
		buffer_add_printf(text, "  %-4d%s\n", status->code, status->meaning);
}

void help_add_overview(struct buffer *text)
{
	buffer_add_text(text, "Usage: belfry [--config FILE] [--json] COMMAND [OPTION]...\n\n");
	add_filled(text, 0, 0,
			   "Belfry receives a provider's callbacks, keeps them, and tells everybody who listens. This is its tool "
			   "for the person at the terminal: to check a configuration, to send what a provider would send, to "
			   "listen as a browser would, and to find out why a signature fails.");
	buffer_add_text(text, "\nCommands:\n");
	for (const struct command *const *c = commands; *c; c++)
		buffer_add_printf(text, "  %-14s%s\n", (*c)->name, (*c)->summary);
	add_options(text, "Options of every command:", global_options);
	add_exit_statuses(text);
	add_lines(text, "Begin with:",
			  "belfry check\n"
			  "belfry listen                     (in one terminal)\n"
			  "belfry send conferencing_assigned (in another)\n"
			  "belfry help send");
}

void help_add_command(struct buffer *text, const struct command *command)
{
	buffer_add_printf(text, "Usage: belfry %s%s%s%s\n\n", command->name,
					  command->options && command->options->name ? " [OPTION]..." : "", *command->operands ? " " : "",
					  command->operands);
	add_filled(text, 0, 0, command->description);
	add_options(text, "Options:", command->options);
	add_options(text, "Options of every command:", global_options);
	add_lines(text, "Examples:", command->examples);
	add_exit_statuses(text);
}

static const struct command *find_command(const char *name)
{
	struct nearest nearest = nearest_begin(span_text(name));
	for (const struct command *const *c = commands; *c; c++) {
		if (strcmp((*c)->name, name) == 0)
			return *c;
		nearest_try(&nearest, (*c)->name);
	}
	if (nearest.name)
		output_complain("no command \"%s\"; did you mean \"%s\"?", name, nearest.name);
	else
		output_complain("no command \"%s\"; \"belfry help\" lists them", name);
	return NULL;
}

static json_t *options_json(const struct command_option *options)
{
	json_t *list = json_array();
	for (; options && options->name; options++)
		(void)json_array_append_new(list,
									json_pack("{s:s, s:s?, s:b, s:s}", "name", options->name, "argument",
											  options->argument, "is_list", options->is_list, "help", options->help));
	return list;
}

/* The whole help as data: for completion scripts and the manual. */
static json_t *help_json(const struct command *only)
{
	json_t *list = json_array();
	for (const struct command *const *c = commands; *c; c++)
		if (!only || *c == only)
			(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "name", (*c)->name, "summary",
														(*c)->summary, "operands", (*c)->operands, "description",
														(*c)->description, "examples", (*c)->examples, "options",
														options_json((*c)->options)));
	return json_pack("{s:s, s:o, s:o}", "version", BELFRY_VERSION, "commands", list, "options",
					 options_json(global_options));
}

static int run(const struct invocation *invocation)
{
	const struct command *command = NULL;
	if (invocation->n_operands && !(command = find_command(invocation->operands[0])))
		return CLI_E_USAGE;
	if (invocation_is_json(invocation))
		return output_json_new(help_json(command));
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	if (command)
		help_add_command(&text, command);
	else
		help_add_overview(&text);
	if (text.failed)
		return -ENOMEM;
	return output_line(span_of(text.data, text.n - 1));
}

const struct command command_help = {
	.name = "help",
	.summary = "print this, or what there is to know about one command",
	.operands = "[COMMAND]",
	.description = "Prints the list of commands, or all about one of them. With --json, the same as data.",
	.examples = "belfry help\n"
				"belfry help send\n"
				"belfry send --help",
	.max_operands = 1,
	.run = run,
};
