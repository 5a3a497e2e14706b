/* SPDX-License-Identifier: Apache-2.0 */
#include "host/describe.h"

#include "host/options.h"

static void add_key(struct buffer *json, const char *key)
{
	buffer_add_printf(json, "%s\"%s\":", json->data[json->n - 1] == '{' ? "" : ",", key);
}

static void add_text(struct buffer *json, const char *key, const char *text)
{
	if (!text)
		return;
	add_key(json, key);
	buffer_add_json(json, span_text(text));
}

static void add_number(struct buffer *json, const char *key, int64_t number)
{
	add_key(json, key);
	buffer_add_i64(json, number);
}

static void add_true(struct buffer *json, const char *key, bool is_true)
{
	if (!is_true)
		return;
	add_key(json, key);
	buffer_add_text(json, "true");
}

static void add_names(struct buffer *json, const char *const *names)
{
	if (!names)
		return;
	add_key(json, "names");
	for (size_t i = 0; names[i]; i++) {
		buffer_add_char(json, i ? ',' : '[');
		buffer_add_json(json, span_text(names[i]));
	}
	buffer_add_char(json, ']');
}

static void add_option(struct buffer *json, const struct belfry_option *option)
{
	buffer_add_char(json, '{');
	add_text(json, "name", option->name);
	add_text(json, "type", options_type_name(option->type));
	add_text(json, "entry", options_type_name(option->entry));
	add_text(json, "fallback", option->fallback);
	add_text(json, "example", option->example);
	add_names(json, option->names);
	if (option->least != 0 || option->most != 0) {
		add_number(json, "least", option->least);
		add_number(json, "most", option->most);
	}
	add_true(json, "required", option->is_required);
	add_true(json, "url", option->is_url);
	add_text(json, "help", option->help);
	buffer_add_char(json, '}');
}

void describe(const struct belfry_plugin *plugin, struct buffer *json)
{
	buffer_add_printf(json, "{\"abi\":\"%u.%u\"", plugin->abi_major, plugin->abi_minor);
	add_text(json, "name", plugin->name);
	add_text(json, "version", plugin->version);
	add_text(json, "summary", plugin->summary);
	buffer_add_printf(json, ",\"needs\":[%s],\"options\":[", plugin->needs & BELFRY_NEED_EXEC ? "\"exec\"" : "");
	size_t n = plugin_count_options(plugin);
	for (size_t i = 0; i < n && !json->failed; i++) {
		struct belfry_option option = plugin_option(plugin, i);
		buffer_add_text(json, i ? "," : "");
		add_option(json, &option);
	}
	buffer_add_text(json, "]}\n");
}
