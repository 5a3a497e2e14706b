/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as JSON Schema (draft 2020-12), for editors: what they can know without reading other files. A
 * range of durations or sizes is in the description, as no schema can compare them.
 */
#include "config/options.h"
#include "manual/part.h"

static void add_value(struct buffer *json, const struct option *option);

static void add_text_member(struct buffer *json, const char *key, const char *text)
{
	if (text)
		buffer_add_json_member(json, key, span_text(text));
}

static void add_bounds(struct buffer *json, const struct option *option, const char *least, const char *most)
{
	if (option->least)
		buffer_add_printf(json, ",\"%s\":%ju", least, (uintmax_t)option->least);
	if (option->most && option->most != INT64_MAX)
		buffer_add_printf(json, ",\"%s\":%ju", most, (uintmax_t)option->most);
}

/* A map whose options are all commented out is nothing to YAML. */
static void add_properties(struct buffer *json, const struct option *rows)
{
	buffer_add_text(json, "\"type\":[\"object\",\"null\"],\"additionalProperties\":false,\"properties\":{");
	for (const struct option *row = rows; row->key; row++) {
		buffer_add_text(json, row == rows ? "\n" : ",\n");
		buffer_add_json(json, span_text(row->key));
		buffer_add_char(json, ':');
		add_value(json, row);
	}
	buffer_add_char(json, '}');
}

static void add_required(struct buffer *json, const struct option *rows)
{
	bool is_first = true;
	for (; rows->key; rows++) {
		if (!rows->is_required)
			continue;
		buffer_add_text(json, is_first ? ",\"required\":[" : ",");
		buffer_add_json(json, span_text(rows->key));
		is_first = false;
	}
	if (!is_first)
		buffer_add_char(json, ']');
}

static void add_group(struct buffer *json, const struct option *option)
{
	add_properties(json, option->options);
	add_required(json, option->options);
}

static void add_entries(struct buffer *json, const struct option *option)
{
	struct option entry = schema_entry(option);
	bool is_list = option->type->form == OPTION_FORM_LIST;
	buffer_add_text(json, is_list ? "\"type\":\"array\"" : "\"type\":\"object\"");
	add_bounds(json, option, is_list ? "minItems" : "minProperties", is_list ? "maxItems" : "maxProperties");
	if (option->type->pattern) {
		buffer_add_text(json, ",\"propertyNames\":{\"type\":\"string\"");
		add_text_member(json, "pattern", option->type->pattern);
		buffer_add_char(json, '}');
	}
	buffer_add_text(json, is_list ? ",\"items\":" : ",\"additionalProperties\":");
	add_value(json, &entry);
}

/* A unit stands behind a number, or nothing does: then it is one for JSON, too. */
static void add_number(struct buffer *json, const struct option *option)
{
	const struct value_unit *units = option->type->units;
	if (units == value_plain) {
		buffer_add_text(json, "\"type\":\"integer\"");
		add_bounds(json, option, "minimum", "maximum");
		return;
	}
	buffer_add_text(json, "\"type\":\"string\",\"pattern\":\"^(0|[1-9][0-9]*)(");
	for (const struct value_unit *unit = units; unit->suffix; unit++)
		buffer_add_printf(json, "%s%s", unit == units ? "" : "|", unit->suffix);
	buffer_add_text(json, ")$\"");
}

/* "0" may stand there without quotes. */
static void add_word_or_number(struct buffer *json, const struct option *option)
{
	bool is_digit = strcmp(option->word, "0") == 0;
	buffer_add_text(json, is_digit ? "\"anyOf\":[{\"const\":0},{\"const\":" : "\"anyOf\":[{\"const\":");
	buffer_add_json(json, span_text(option->word));
	buffer_add_text(json, "},{");
	add_number(json, option);
	buffer_add_text(json, "}]");
}

static void add_choice(struct buffer *json, const struct option *option)
{
	const char *const *names = schema_names(option);
	buffer_add_text(json, "\"enum\":[");
	for (size_t i = 0; names[i]; i++) {
		if (i)
			buffer_add_char(json, ',');
		buffer_add_json(json, span_text(names[i]));
	}
	buffer_add_char(json, ']');
}

static void add_text(struct buffer *json, const struct option *option)
{
	buffer_add_text(json, "\"type\":\"string\",\"minLength\":1");
	add_text_member(json, "pattern", option->type->pattern);
}

static void add_secret(struct buffer *json)
{
	buffer_add_text(json, "\"anyOf\":[{\"type\":\"string\",\"minLength\":1},{\"type\":\"object\","
						  "\"additionalProperties\":false,\"minProperties\":1,\"maxProperties\":1,\"properties\":{"
						  "\"file\":{\"type\":\"string\",\"pattern\":\"^/\"},\"env\":{\"type\":\"string\"},"
						  "\"credential\":{\"type\":\"string\"}}}]");
}

static void add_form(struct buffer *json, const struct option *option)
{
	switch (option->type->form) {
	case OPTION_FORM_TEXT:
		add_text(json, option);
		break;
	case OPTION_FORM_BOOLEAN:
		buffer_add_text(json, "\"type\":\"boolean\"");
		break;
	case OPTION_FORM_NUMBER:
		(option->word ? add_word_or_number : add_number)(json, option);
		break;
	case OPTION_FORM_CHOICE:
		add_choice(json, option);
		break;
	case OPTION_FORM_SECRET:
		add_secret(json);
		break;
	case OPTION_FORM_GROUP:
		add_group(json, option);
		break;
	case OPTION_FORM_LIST:
	case OPTION_FORM_NAMED:
		add_entries(json, option);
		break;
	case OPTION_FORM_OTHERS:
		buffer_add_text(json, "\"type\":[\"object\",\"null\"]");
		break;
	}
}

static void add_description(struct buffer *json, const struct option *option)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	buffer_add_text(&text, option->help);
	if (option->type->units) {
		buffer_add_text(&text, " (");
		schema_add_kind(&text, option);
		buffer_add_char(&text, ')');
	}
	buffer_add_json_member(json, "description", buffer_span(&text));
}

static void add_default(struct buffer *json, const struct option *option)
{
	bool is_bare = option->type->form == OPTION_FORM_BOOLEAN || option->type->units == value_plain;
	if (!option->fallback)
		return;
	if (is_bare && (!option->word || strcmp(option->fallback, option->word) != 0))
		buffer_add_printf(json, ",\"default\":%s", option->fallback);
	else
		add_text_member(json, "default", option->fallback);
}

static void add_inside(struct buffer *json, const struct option *option)
{
	const struct option *row = option->type->row;
	if (!row) {
		add_form(json, option);
	} else if (option->type->is_text_too) {
		buffer_add_text(json, "\"anyOf\":[{\"type\":\"string\",\"minLength\":1},{");
		add_inside(json, row);
		buffer_add_text(json, "}]");
	} else {
		add_inside(json, row);
	}
}

static void add_value(struct buffer *json, const struct option *option)
{
	buffer_add_char(json, '{');
	add_inside(json, option);
	if (option->help)
		add_description(json, option);
	add_default(json, option);
	buffer_add_char(json, '}');
}

/* All but what is required: a file may be one of several, which make a configuration together. */
static void add_schema(struct buffer *json)
{
	add_properties(json, config_options);
	buffer_add_char(json, '\n');
}

const struct part schema_parts[] = { { "schema", add_schema }, { 0 } };
