/* SPDX-License-Identifier: Apache-2.0 */
#include "host/options.h"

#include "wire/document.h"

#include <errno.h>

#define MAX_NAME_BYTES 64 /* of a pair in a map */

static const struct {
	const char *name;
	size_t size, alignment; /* of the field in the plugin's struct */
} types[] = {
	[BELFRY_STRING] = { "string", sizeof(char *), _Alignof(char *) },
	[BELFRY_SECRET] = { "secret", sizeof(char *), _Alignof(char *) },
	[BELFRY_INTEGER] = { "integer", sizeof(int64_t), _Alignof(int64_t) },
	[BELFRY_BOOLEAN] = { "boolean", sizeof(bool), _Alignof(bool) },
	[BELFRY_DURATION] = { "duration", sizeof(int64_t), _Alignof(int64_t) },
	[BELFRY_SIZE] = { "size", sizeof(int64_t), _Alignof(int64_t) },
	[BELFRY_URL] = { "url", sizeof(char *), _Alignof(char *) },
	[BELFRY_ENUM] = { "enum", sizeof(int64_t), _Alignof(int64_t) },
	[BELFRY_LIST] = { "list", sizeof(struct belfry_list), _Alignof(struct belfry_list) },
	[BELFRY_MAP] = { "map", sizeof(struct belfry_map), _Alignof(struct belfry_map) },
	[BELFRY_TEMPLATE] = { "template", sizeof(void *), _Alignof(void *) },
};

const char *options_type_name(uint32_t type)
{
	return type < ARRAY_LENGTH(types) ? types[type].name : NULL;
}

static bool has_entries(uint32_t type)
{
	return type == BELFRY_LIST || type == BELFRY_MAP;
}

static bool is_entry(uint32_t entry)
{
	return entry == BELFRY_STRING || entry == BELFRY_SECRET || entry == BELFRY_URL || entry == BELFRY_TEMPLATE;
}

const char *options_judge(const struct belfry_option *option, size_t conf_size)
{
	if (!options_type_name(option->type))
		return "has a type that this Belfry does not know";
	if (option->offset > conf_size || types[option->type].size > conf_size - option->offset)
		return "lies outside of its struct: .conf_size is less than that";
	if (option->offset % types[option->type].alignment)
		return "lies where no field of its type can be";
	if (has_entries(option->type) ? !is_entry(option->entry) : option->entry != 0)
		return "has an .entry that it cannot have: lists and maps have strings, secrets, urls or templates";
	if (option->type == BELFRY_ENUM ? !option->names || !option->names[0] : option->names != NULL)
		return "must have .names if it is an enum, and only then";
	if (option->fallback && (option->is_required || option->type == BELFRY_SECRET || has_entries(option->type)))
		return "has a .fallback, which secrets, lists, maps and what is required cannot have";
	if (option->least > option->most)
		return "has a .least above its .most";
	if (!option->help)
		return "has no .help, which is one line";
	return NULL;
}

/* ---- filling ---- */

struct filling {
	struct templates *templates;
	struct buffer *message;
	const struct belfry_option *option;
};

static int refuse(struct filling *filling, const char *wanted)
{
	buffer_add_printf(filling->message, "option \"%s\": %s", filling->option->name, wanted);
	return filling->message->failed ? -ENOMEM : PLUGIN_E_REFUSED;
}

static int copy_text(struct filling *filling, const json_t *value, const char **ret_text)
{
	struct span text = document_text(value);
	if (!text.data || memchr(text.data, '\0', text.n))
		return refuse(filling, "wants text without NUL");
	*ret_text = span_dup(text);
	return *ret_text ? PLUGIN_OK : -ENOMEM;
}

static int make_template(struct filling *filling, const json_t *value, const struct belfry_template **ret_template)
{
	struct span text = document_text(value);
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	if (!text.data)
		return refuse(filling, "wants text");
	int r = templates_add(filling->templates, text, ret_template, &why);
	if (r != TEMPLATE_E_SYNTAX)
		return r;
	buffer_add_char(&why, '\0');
	return why.failed ? -ENOMEM : refuse(filling, why.data);
}

static int fill_entry(struct filling *filling, const json_t *value, union belfry_entry *ret_entry)
{
	return filling->option->entry == BELFRY_TEMPLATE ? make_template(filling, value, &ret_entry->template_)
													 : copy_text(filling, value, &ret_entry->text);
}

static int fill_list(struct filling *filling, json_t *values, struct belfry_list *ret_list)
{
	if (!json_is_array(values))
		return refuse(filling, "wants a list");
	size_t n = json_array_size(values);
	union belfry_entry *entries = calloc(n + 1, sizeof *entries);
	if (!entries)
		return -ENOMEM;
	*ret_list = (struct belfry_list){ n, entries };
	for (size_t i = 0; i < n; i++) {
		int r = fill_entry(filling, json_array_get(values, i), &entries[i]);
		if (r != PLUGIN_OK)
			return r;
	}
	return PLUGIN_OK;
}

static int fill_pair(struct filling *filling, const char *name, const json_t *value, struct belfry_pair *ret_pair)
{
	size_t n = strlen(name);
	if (n < 1 || n > MAX_NAME_BYTES)
		return refuse(filling, "wants names of 1 to 64 bytes");
	ret_pair->name = strdup(name);
	return ret_pair->name ? fill_entry(filling, value, &ret_pair->value) : -ENOMEM;
}

static int fill_map(struct filling *filling, json_t *values, struct belfry_map *ret_map)
{
	if (!json_is_object(values))
		return refuse(filling, "wants a map");
	struct belfry_pair *pairs = calloc(json_object_size(values) + 1, sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	*ret_map = (struct belfry_map){ 0, pairs };
	const char *name;
	json_t *value;
	json_object_foreach(values, name, value)
	{
		int r = fill_pair(filling, name, value, &pairs[ret_map->n++]);
		if (r != PLUGIN_OK)
			return r;
	}
	return PLUGIN_OK;
}

static int fill_enum(struct filling *filling, const json_t *value, int64_t *ret_index)
{
	for (int64_t i = 0; filling->option->names[i]; i++)
		if (span_equal(span_text(filling->option->names[i]), document_text(value))) {
			*ret_index = i;
			return PLUGIN_OK;
		}
	return refuse(filling, "wants one of its words");
}

static int fill_number(struct filling *filling, const json_t *value, int64_t *ret_number)
{
	if (!json_is_integer(value))
		return refuse(filling, "wants a whole number");
	*ret_number = json_integer_value(value);
	return PLUGIN_OK;
}

static int fill_boolean(struct filling *filling, const json_t *value, bool *ret_boolean)
{
	if (!json_is_boolean(value))
		return refuse(filling, "wants true or false");
	*ret_boolean = json_is_true(value);
	return PLUGIN_OK;
}

/* The field has the size and the alignment that `types` gives it: options_judge() has seen to that. */
static int fill_field(struct filling *filling, json_t *value, void *field)
{
	switch ((enum belfry_option_type)filling->option->type) {
	case BELFRY_STRING:
	case BELFRY_SECRET:
	case BELFRY_URL:
		return copy_text(filling, value, field);
	case BELFRY_INTEGER:
	case BELFRY_DURATION:
	case BELFRY_SIZE:
		return fill_number(filling, value, field);
	case BELFRY_BOOLEAN:
		return fill_boolean(filling, value, field);
	case BELFRY_ENUM:
		return fill_enum(filling, value, field);
	case BELFRY_LIST:
		return fill_list(filling, value, field);
	case BELFRY_MAP:
		return fill_map(filling, value, field);
	case BELFRY_TEMPLATE:
		return make_template(filling, value, field);
	}
	return refuse(filling, "has a type that this Belfry does not know");
}

static int refuse_strangers(struct filling *filling, size_t n_known, json_t *values)
{
	if (n_known == json_object_size(values))
		return PLUGIN_OK;
	buffer_add_text(filling->message, "there is an option that the plugin does not have: describe it again");
	return filling->message->failed ? -ENOMEM : PLUGIN_E_REFUSED;
}

int options_fill(const struct belfry_plugin *plugin, json_t *values, struct templates *templates, void **ret_conf,
				 struct buffer *message)
{
	struct filling filling = { .templates = templates, .message = message };
	size_t n = plugin_count_options(plugin), n_known = 0;
	char *conf = calloc(1, plugin->conf_size + 1);
	if (!conf)
		return -ENOMEM;
	*ret_conf = conf;
	for (size_t i = 0; i < n; i++) {
		struct belfry_option option = plugin_option(plugin, i);
		json_t *value = json_object_get(values, option.name);
		filling.option = &option;
		if (!value && option.is_required)
			return refuse(&filling, "is required");
		if (!value)
			continue;
		n_known++;
		int r = fill_field(&filling, value, conf + option.offset);
		if (r != PLUGIN_OK)
			return r;
	}
	return refuse_strangers(&filling, n_known, values);
}
