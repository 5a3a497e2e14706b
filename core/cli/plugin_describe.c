/* SPDX-License-Identifier: Apache-2.0 */
/* belfry plugin describe: what a plugin says about itself, for people, for a README, or as it comes. */
#include "cli/output.h"
#include "cli/plugin.h"
#include "cli/printable.h"
#include "config/program.h"
#include "config/value.h"
#include "wire/document.h"

#include <errno.h>

#define DEFAULT_PATIENCE_MS 30000

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* ---- a row ---- */

/* "list of string", "one of: red, green" */
static void add_type(struct buffer *text, const json_t *option)
{
	const json_t *names = json_object_get(option, "names"), *name;
	size_t i;
	buffer_add_text(text, json_is_true(json_object_get(option, "url")) ? "secret url" : text_of(option, "type"));
	if (*text_of(option, "entry"))
		buffer_add_printf(text, " of %s", text_of(option, "entry"));
	json_array_foreach(names, i, name)
	{
		buffer_add_text(text, i ? ", " : ": ");
		printable_add(text, document_text(name));
	}
}

static void add_bound(struct buffer *text, const char *type, int64_t value)
{
	const struct value_unit *units = strcmp(type, "duration") == 0 ? value_durations
									 : strcmp(type, "size") == 0   ? value_sizes
																   : value_plain;
	if (value < 0)
		buffer_add_i64(text, value);
	else
		value_add_number(text, units, (uint64_t)value);
}

/* "required", or the default; and the bounds. */
static void add_default(struct buffer *text, const json_t *option)
{
	if (json_is_true(json_object_get(option, "required")))
		buffer_add_text(text, "required");
	else if (json_object_get(option, "fallback")) {
		buffer_add_text(text, "default ");
		printable_add(text, document_text(json_object_get(option, "fallback")));
	}
	const json_t *least = json_object_get(option, "least"), *most = json_object_get(option, "most");
	if (!least || !most)
		return;
	buffer_add_text(text, text->n ? ", from " : "from ");
	add_bound(text, text_of(option, "type"), json_integer_value(least));
	buffer_add_text(text, " to ");
	add_bound(text, text_of(option, "type"), json_integer_value(most));
}

/* ---- for people ---- */

static void add_option(struct buffer *text, const json_t *option)
{
	CLEANUP(buffer_finish) struct buffer given = BUFFER_INIT;
	add_default(&given, option);
	buffer_add_printf(text, "  %s (", text_of(option, "name"));
	add_type(text, option);
	buffer_add_text(text, given.n ? "; " : "");
	buffer_add(text, buffer_span(&given));
	buffer_add_text(text, ")\n      ");
	printable_add(text, span_text(text_of(option, "help")));
	buffer_add_char(text, '\n');
	if (!json_object_get(option, "example"))
		return;
	buffer_add_printf(text, "      as in %s: ", text_of(option, "name"));
	printable_add(text, document_text(json_object_get(option, "example")));
	buffer_add_char(text, '\n');
}

static void add_description(struct buffer *text, const json_t *plugin)
{
	const json_t *options = json_object_get(plugin, "options"), *needs = json_object_get(plugin, "needs"), *item;
	size_t i;
	printable_add(text, span_text(text_of(plugin, "name")));
	buffer_add_char(text, ' ');
	printable_add(text, span_text(text_of(plugin, "version")));
	buffer_add_text(text, ": ");
	printable_add(text, span_text(text_of(plugin, "summary")));
	buffer_add_printf(text, "\nABI %s", text_of(plugin, "abi"));
	json_array_foreach(needs, i, item) buffer_add_printf(text, "%s%s", i ? ", " : "; needs: ", json_string_value(item));
	buffer_add_text(text, json_array_size(options) ? "\n\nOptions:\n" : "\n\nNo options.\n");
	json_array_foreach(options, i, item) add_option(text, item);
	text->n -= text->n > 0; /* the last line's end is output_line()'s */
}

/* ---- for a README ---- */

/* A cell: a pipe would end it. */
static void add_cell(struct buffer *text, struct span raw)
{
	CLEANUP(buffer_finish) struct buffer printable = BUFFER_INIT;
	printable_add(&printable, raw);
	for (size_t i = 0; i < printable.n; i++) {
		if (printable.data[i] == '|')
			buffer_add_char(text, '\\');
		buffer_add_char(text, printable.data[i]);
	}
	text->failed |= printable.failed;
}

static void add_markdown_row(struct buffer *text, const json_t *option)
{
	CLEANUP(buffer_finish) struct buffer type = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer given = BUFFER_INIT;
	add_type(&type, option);
	add_default(&given, option);
	buffer_add_printf(text, "\n| `%s` | ", text_of(option, "name"));
	add_cell(text, buffer_span(&type));
	buffer_add_text(text, " | ");
	add_cell(text, buffer_span(&given));
	buffer_add_text(text, given.n ? " | " : "| ");
	add_cell(text, span_text(text_of(option, "help")));
	buffer_add_text(text, " |");
}

static void add_markdown(struct buffer *text, const json_t *plugin)
{
	const json_t *options = json_object_get(plugin, "options"), *option;
	size_t i;
	buffer_add_text(text, "| option | type | | what it is |\n|---|---|---|---|");
	json_array_foreach(options, i, option) add_markdown_row(text, option);
}

/* ---- all of it ---- */

static int print(const struct invocation *invocation, struct span json)
{
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	json_error_t error;
	if (json.n == 0) {
		output_complain("%s: it ended the process while it was loaded", invocation->operands[1]);
		return CLI_E_CONFIG;
	}
	int r = document_read(json, &document, &error);
	if (r < 0)
		return r;
	if (r != DOCUMENT_OK || !json_is_object(document.root)) {
		output_complain("%s: what it says about itself cannot be read: it wrote to a descriptor that is not its own",
						invocation->operands[1]);
		return CLI_E_CONFIG;
	}
	if (invocation_is_json(invocation))
		return output_line(span_of(json.data, json.n - 1));
	if (invocation_has(invocation, "markdown"))
		add_markdown(&text, document.root);
	else
		add_description(&text, document.root);
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

int plugin_describe(const struct invocation *invocation)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	CLEANUP(free) char *path = plugin_path(invocation->operands[1]);
	CLEANUP(free) char *problem = NULL;
	int64_t patience_ms = DEFAULT_PATIENCE_MS;
	if (!path)
		return CLI_E_IO;
	int r = invocation_duration_ms(invocation, "timeout", &patience_ms);
	if (r != CLI_OK)
		return r;
	const char *const arguments[] = { plugin_program(), "--describe", path, NULL };
	r = program_run(arguments, span_of(NULL, 0), patience_ms, &json, &problem);
	if (r == PROGRAM_OK)
		return print(invocation, buffer_span(&json));
	if (r == PROGRAM_E_REFUSED)
		output_complain("%s", problem);
	else if (r == PROGRAM_E_FAILED)
		output_complain("%s: while it was loaded, its process %s", path, problem);
	else if (r != -ENOMEM)
		output_complain("%s: %s", arguments[0], strerrordesc_np(-r));
	return r == -ENOMEM ? r : r < 0 ? CLI_E_IO : CLI_E_CONFIG;
}
