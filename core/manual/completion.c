/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the completion for shells: commands, their options, and what stands behind them. */
#include "cli/invocation.h"
#include "manual/part.h"
#include "wire/samples.h"

/* Completion has room for the first sentence, without its full stop. */
static struct span first_sentence(const char *help)
{
	struct span sentence = span_text(help);
	const char *stop = strstr(help, ". ");
	if (stop)
		sentence.n = (size_t)(stop - help);
	else if (sentence.n && help[sentence.n - 1] == '.')
		sentence.n--;
	return sentence;
}

/* Whether files complete it: an option's value, or an operand. */
static bool is_file(const char *placeholder)
{
	return strstr(placeholder, "FILE") && !strchr(placeholder, '=');
}

/* --- operands ----------------------------------------------------------------------------------------------------- */

/* Words that an operand can be: those that stand there as they are; else samples, commands. "[SAMPLE | -]" */
static void add_operand_words(struct buffer *text, const struct command *command)
{
	struct span operands = span_text(command->operands), word;
	size_t start = text->n;
	while (span_next(&operands, ' ', &word)) {
		while (word.n && strchr("[]", word.data[word.n - 1]))
			word.n--;
		if (word.n && word.data[0] >= 'a' && word.data[0] <= 'z') {
			buffer_add_text(text, text->n > start ? " " : "");
			buffer_add(text, word);
		}
	}
	if (text->n > start)
		return;
	for (const struct sample *sample = samples; strstr(command->operands, "SAMPLE") && sample->name; sample++)
		buffer_add_printf(text, "%s%s", text->n > start ? " " : "", sample->name);
	for (const struct command *const *c = commands; strstr(command->operands, "COMMAND") && *c; c++)
		buffer_add_printf(text, "%s%s", text->n > start ? " " : "", (*c)->name);
}

static void add_command_names(struct buffer *text)
{
	for (const struct command *const *command = commands; *command; command++)
		buffer_add_printf(text, "%s%s", command == commands ? "" : " ", (*command)->name);
}

/* --- bash --------------------------------------------------------------------------------------------------------- */

static void add_bash_options(struct buffer *text, const struct command_option *options)
{
	for (; options && options->name; options++)
		buffer_add_printf(text, " --%s", options->name);
}

/* send) options="--list ..." operands="conferencing_assigned ..." files=no ;; */
static void add_bash_command(struct buffer *text, const struct command *command)
{
	buffer_add_printf(text, "\t%s)\n\t\toptions+=\"", command->name);
	add_bash_options(text, command->options);
	buffer_add_text(text, "\"\n\t\toperands=\"");
	add_operand_words(text, command);
	buffer_add_printf(text, "\"\n\t\tfiles=%s\n\t\t;;\n", is_file(command->operands) ? "yes" : "");
}

static void add_bash_commands(struct buffer *text)
{
	buffer_add_text(text, "\toptions=\"");
	add_bash_options(text, global_options);
	buffer_add_text(text, "\"\n\tcase $command in\n\t'') operands=\"");
	add_command_names(text);
	buffer_add_text(text, "\" ;;\n");
	for (const struct command *const *command = commands; *command; command++)
		add_bash_command(text, *command);
	buffer_add_text(text, "\tesac\n");
}

static void add_bash_values_of(struct buffer *text, const char *command, const struct command_option *options)
{
	for (; options && options->name; options++)
		if (options->argument)
			buffer_add_printf(text, "\t%s:--%s) value=%s ;;\n", command, options->name,
							  is_file(options->argument) ? "file" : "other");
}

static void add_bash_values(struct buffer *text)
{
	add_bash_values_of(text, "*", global_options);
	for (const struct command *const *command = commands; *command; command++)
		add_bash_values_of(text, (*command)->name, (*command)->options);
}

/* --- zsh ---------------------------------------------------------------------------------------------------------- */

/* Within single quotes, and brackets or a list. */
static void add_zsh_help(struct buffer *text, const char *help)
{
	struct span sentence = first_sentence(help);
	for (size_t i = 0; i < sentence.n; i++) {
		if (strchr("[]:\\", sentence.data[i]))
			buffer_add_char(text, '\\');
		if (sentence.data[i] == '\'')
			buffer_add_text(text, "'\\'");
		buffer_add_char(text, sentence.data[i]);
	}
}

static void add_zsh_options(struct buffer *text, const struct command_option *options, const char *indent)
{
	for (; options && options->name; options++) {
		buffer_add_printf(text, "%s'%s--%s%s[", indent, options->is_list ? "*" : "", options->name,
						  options->argument ? "=" : "");
		add_zsh_help(text, options->help);
		buffer_add_char(text, ']');
		if (options->argument)
			buffer_add_printf(text, ":%s:%s", options->argument, is_file(options->argument) ? "_files" : "");
		buffer_add_text(text, "' \\\n");
	}
}

static void add_zsh_global(struct buffer *text)
{
	add_zsh_options(text, global_options, "\t\t");
}

static void add_zsh_list(struct buffer *text)
{
	for (const struct command *const *command = commands; *command; command++) {
		buffer_add_printf(text, "\t\t\t'%s:", (*command)->name);
		add_zsh_help(text, (*command)->summary);
		buffer_add_text(text, "'\n");
	}
}

static void add_zsh_commands(struct buffer *text)
{
	for (const struct command *const *command = commands; *command; command++) {
		CLEANUP(buffer_finish) struct buffer words = BUFFER_INIT;
		add_operand_words(&words, *command);
		buffer_add_printf(text, "\t\t%s)\n\t\t\t_arguments \\\n", (*command)->name);
		add_zsh_options(text, (*command)->options, "\t\t\t\t");
		add_zsh_options(text, global_options, "\t\t\t\t");
		if (words.n)
			buffer_add_printf(text, "\t\t\t\t':what:(%.*s)' \\\n", SPAN_PRINTF(buffer_span(&words)));
		buffer_add_printf(text, "\t\t\t\t'*:what:%s'\n\t\t\t;;\n", is_file((*command)->operands) ? "_files" : "");
		text->failed |= words.failed;
	}
}

/* --- fish --------------------------------------------------------------------------------------------------------- */

static void add_fish_help(struct buffer *text, const char *help)
{
	struct span sentence = first_sentence(help);
	buffer_add_text(text, " -d '");
	for (size_t i = 0; i < sentence.n; i++) {
		if (strchr("'\\", sentence.data[i]))
			buffer_add_char(text, '\\');
		buffer_add_char(text, sentence.data[i]);
	}
	buffer_add_text(text, "'\n");
}

/* command: NULL for every one */
static void begin_fish(struct buffer *text, const struct command *command)
{
	buffer_add_text(text, "complete -c belfry");
	if (command)
		buffer_add_printf(text, " -n '__fish_seen_subcommand_from %s'", command->name);
}

static void add_fish_options(struct buffer *text, const struct command *command, const struct command_option *options)
{
	for (; options && options->name; options++) {
		begin_fish(text, command);
		buffer_add_printf(text, " -l %s", options->name);
		if (options->argument)
			buffer_add_text(text, is_file(options->argument) ? " -r -F" : " -x");
		add_fish_help(text, options->help);
	}
}

static void add_fish_operands(struct buffer *text, const struct command *command)
{
	CLEANUP(buffer_finish) struct buffer words = BUFFER_INIT;
	add_operand_words(&words, command);
	if (words.n) {
		begin_fish(text, command);
		buffer_add_printf(text, " -a '%.*s'\n", SPAN_PRINTF(buffer_span(&words)));
	}
	if (is_file(command->operands)) {
		begin_fish(text, command);
		buffer_add_text(text, " -F\n");
	}
	text->failed |= words.failed;
}

static void add_fish(struct buffer *text)
{
	add_fish_options(text, NULL, global_options);
	for (const struct command *const *command = commands; *command; command++) {
		buffer_add_printf(text, "complete -c belfry -n __fish_use_subcommand -a %s", (*command)->name);
		add_fish_help(text, (*command)->summary);
		add_fish_options(text, *command, (*command)->options);
		add_fish_operands(text, *command);
	}
}

const struct part completion_parts[] = {
	{ "bash-commands", add_bash_commands },
	{ "bash-values", add_bash_values },
	{ "zsh-global-options", add_zsh_global },
	{ "zsh-list", add_zsh_list },
	{ "zsh-commands", add_zsh_commands },
	{ "fish", add_fish },
	{ 0 },
};
