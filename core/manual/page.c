/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of manual pages: the version, commands and their options, options of the configuration. */
#include "cli/help.h"
#include "cli/invocation.h"
#include "config/options.h"
#include "manual/part.h"
#include "manual/roff.h"

static void add_version(struct buffer *page)
{
	buffer_add_text(page, ".Os Belfry " BELFRY_VERSION "\n");
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static void add_options(struct buffer *page, const struct command_option *options)
{
	if (!options || !options->name)
		return;
	buffer_add_text(page, ".Bl -tag -width Ds\n");
	for (; options->name; options++) {
		buffer_add_printf(page, ".It Fl Fl %s", options->name);
		if (options->argument) {
			buffer_add_text(page, " Ar");
			roff_add_word(page, span_text(options->argument));
		}
		buffer_add_char(page, '\n');
		roff_add_text(page, span_text(options->help));
	}
	buffer_add_text(page, ".El\n");
}

static void add_global_options(struct buffer *page)
{
	add_options(page, global_options);
}

static bool is_placeholder(struct span word)
{
	return word.n && word.data[0] >= 'A' && word.data[0] <= 'Z';
}

/* "describe FILE | test FILE [EVENT]": what is in capitals stands for something. */
static void add_operands(struct buffer *page, struct span operands)
{
	struct span word;
	while (span_next(&operands, ' ', &word)) {
		bool begins = word.n && word.data[0] == '[', ends = word.n && word.data[word.n - 1] == ']';
		struct span inner = span_of(word.data + begins, word.n - begins - ends);
		if (begins)
			buffer_add_text(page, " Oo");
		if (span_equal(inner, SPAN("|")))
			buffer_add_text(page, " |");
		else if (inner.n) {
			buffer_add_text(page, is_placeholder(inner) ? " Ar" : " Cm");
			roff_add_word(page, inner);
		}
		if (ends)
			buffer_add_text(page, " Oc");
	}
}

static void add_command(struct buffer *page, const struct command *command)
{
	buffer_add_printf(page, ".Ss %s\n.Nm Cm %s", command->name, command->name);
	if (command->options && command->options->name)
		buffer_add_text(page, " Oo Ar OPTION ... Oc");
	add_operands(page, span_text(command->operands));
	buffer_add_text(page, "\n.Pp\n");
	roff_add_text(page, span_text(command->description));
	add_options(page, command->options);
	buffer_add_text(page, ".Pp\nExamples:\n");
	roff_add_literal(page, span_text(command->examples));
}

static void add_commands(struct buffer *page)
{
	for (const struct command *const *command = commands; *command; command++)
		add_command(page, *command);
}

static void add_command_list(struct buffer *page)
{
	buffer_add_text(page, ".Bl -tag -width callback-uri -compact\n");
	for (const struct command *const *command = commands; *command; command++) {
		buffer_add_printf(page, ".It Cm %s\n", (*command)->name);
		roff_add_text(page, span_text((*command)->summary));
	}
	buffer_add_text(page, ".El\n");
}

static void add_exit_statuses(struct buffer *page)
{
	buffer_add_text(page, ".Bl -tag -width 78x -compact\n");
	for (const struct exit_status *status = exit_statuses; status->meaning; status++) {
		buffer_add_printf(page, ".It %d\n", status->code);
		roff_add_text(page, span_text(status->meaning));
	}
	buffer_add_text(page, ".El\n");
}

/* --- the configuration -------------------------------------------------------------------------------------------- */

static void add_rows(struct buffer *page, const struct option *rows, struct span above);

/* "Where to listen." from "where to listen" */
static void add_help(struct buffer *text, const char *help)
{
	size_t start = text->n;
	buffer_add_text(text, help);
	if (text->n > start && text->data[start] >= 'a' && text->data[start] <= 'z')
		text->data[start] = (char)(text->data[start] - 'a' + 'A');
	buffer_add_char(text, '.');
}

static void add_row_text(struct buffer *page, const struct option *option)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	add_help(&text, option->help);
	if (option->type->form != OPTION_FORM_GROUP) {
		buffer_add_text(&text, " Value: ");
		schema_add_kind(&text, option);
		buffer_add_char(&text, '.');
		if (option->fallback)
			buffer_add_printf(&text, " Default: %s.", option->fallback);
	}
	if (option->is_required)
		buffer_add_text(&text, " Required.");
	roff_add_text(page, buffer_span(&text));
	page->failed |= text.failed;
}

/* What stands below a row: its own options, or those of an entry, which has a name or a place in a list. */
static void add_below(struct buffer *page, const struct option *option, struct span path)
{
	CLEANUP(buffer_finish) struct buffer entry_path = BUFFER_INIT;
	struct option entry = *option;
	buffer_add(&entry_path, path);
	while (entry.entry || entry.type->row) {
		if (entry.entry)
			buffer_add_text(&entry_path, entry.type->form == OPTION_FORM_NAMED ? ".NAME" : "[]");
		entry = entry.entry ? schema_entry(&entry) : *entry.type->row;
	}
	if (entry.options)
		add_rows(page, entry.options, buffer_span(&entry_path));
}

static void add_row(struct buffer *page, const struct option *option, struct span above)
{
	CLEANUP(buffer_finish) struct buffer path = BUFFER_INIT;
	buffer_add(&path, above);
	if (above.n)
		buffer_add_char(&path, '.');
	buffer_add_text(&path, option->key);
	buffer_add_text(page, ".It Cm");
	roff_add_word(page, buffer_span(&path));
	buffer_add_char(page, '\n');
	add_row_text(page, option);
	add_below(page, option, buffer_span(&path));
}

static void add_rows(struct buffer *page, const struct option *rows, struct span above)
{
	for (; rows->key; rows++)
		add_row(page, rows, above);
}

static void add_configuration(struct buffer *page)
{
	for (const struct option *option = config_options; option->key; option++) {
		buffer_add_printf(page, ".Ss %s\n.Bl -tag -width Ds\n", option->key);
		add_row(page, option, SPAN(""));
		buffer_add_text(page, ".El\n");
	}
}

const struct part page_parts[] = {
	{ "version", add_version },
	{ "command-list", add_command_list },
	{ "commands", add_commands },
	{ "global-options", add_global_options },
	{ "exit-statuses", add_exit_statuses },
	{ "configuration", add_configuration },
	{ 0 },
};
