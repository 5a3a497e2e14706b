/* SPDX-License-Identifier: Apache-2.0 */
#include "config/effective.h"

#include "config/options.h"

static void add_options(struct buffer *json, const struct option *options, const void *object);

static void add_text(struct buffer *json, const struct option *option, const void *field)
{
	(void)option;
	schema_write_text(json, *(char *const *)field);
}

static void add_boolean(struct buffer *json, const struct option *option, const void *field)
{
	(void)option;
	buffer_add_text(json, *(const bool *)field ? "true" : "false");
}

/* With its unit, as it would be written. */
static void add_number(struct buffer *json, const struct option *option, const void *field)
{
	uint64_t value = *(const uint64_t *)field;
	bool is_plain = option->type->units == value_plain && !(option->word && value == 0);
	buffer_add_text(json, is_plain ? "" : "\"");
	if (option->word && value == 0)
		buffer_add_text(json, option->word);
	else
		value_add_number(json, option->type->units, value);
	buffer_add_text(json, is_plain ? "" : "\"");
}

static void add_choice(struct buffer *json, const struct option *option, const void *field)
{
	buffer_add_json(json, span_text(schema_names(option)[*(const unsigned *)field]));
}

/* Secrets, and whatever begins with one. */
static void add_secret(struct buffer *json, const struct option *option, const void *field)
{
	const struct secret *secret = field;
	(void)option;
	buffer_add_text(json, "{\"secret\":");
	buffer_add_json(json, span_text(secret->origin));
	buffer_add_char(json, '}');
}

static void add_group(struct buffer *json, const struct option *option, const void *field)
{
	add_options(json, option->options, field);
}

static void add_value(struct buffer *json, const struct option *option, const void *field);

static void add_entries(struct buffer *json, const struct option *option, const void *field)
{
	const struct option entry = schema_entry(option);
	bool is_named = option->type->form == OPTION_FORM_NAMED;
	buffer_add_char(json, is_named ? '{' : '[');
	for (size_t i = 0; i < schema_count(option, field); i++) {
		const void *object = schema_entry_at(option, field, i);
		buffer_add_text(json, i ? "," : "");
		if (is_named) {
			buffer_add_json(json, span_text(*(char *const *)object));
			buffer_add_char(json, ':');
		}
		add_value(json, &entry, schema_field(object, option->type->value_offset));
	}
	buffer_add_char(json, is_named ? '}' : ']');
}

static void add_value(struct buffer *json, const struct option *option, const void *field)
{
	static void (*const adders[])(struct buffer *, const struct option *, const void *) = {
		[OPTION_FORM_TEXT] = add_text,     [OPTION_FORM_BOOLEAN] = add_boolean, [OPTION_FORM_NUMBER] = add_number,
		[OPTION_FORM_CHOICE] = add_choice, [OPTION_FORM_SECRET] = add_secret,   [OPTION_FORM_GROUP] = add_group,
		[OPTION_FORM_LIST] = add_entries,  [OPTION_FORM_NAMED] = add_entries,
	};
	const struct option *row = option->type->row;
	if (option->type->write)
		option->type->write(json, field);
	else if (row)
		add_value(json, row, schema_field(field, row->offset));
	else
		adders[option->type->form](json, option, field);
}

static void add_options(struct buffer *json, const struct option *options, const void *object)
{
	size_t n = 0;
	buffer_add_char(json, '{');
	for (; options->key; options++) {
		if (options->type->form == OPTION_FORM_OTHERS)
			continue;
		buffer_add_text(json, n++ ? "," : "");
		buffer_add_json(json, span_text(options->key));
		buffer_add_char(json, ':');
		add_value(json, options, schema_field(object, options->offset));
	}
	buffer_add_char(json, '}');
}

void effective_add_json(struct buffer *json, const struct config *config)
{
	add_options(json, config_options, config);
}
