/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void *field_at(void *object, size_t offset)
{
	return (char *)object + offset;
}

/* --- complaints --- */

void schema_complain(struct schema_reader *reader, bool is_warning, const struct option *option,
					 const struct yaml_node *node, const char *format, ...)
{
	CLEANUP(free) char *message = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		message = NULL;
	va_end(arguments);
	if (message)
		yaml_complain(reader->complaints, is_warning, node, "%s: %s", option->key, message);
	else
		reader->failed = true;
}

/* The message is a whole one, "KEY: " included. */
static void complain_and_finish(struct schema_reader *reader, const struct yaml_node *node, struct buffer *message)
{
	CLEANUP(free) char *text = buffer_steal_text(message);
	if (text)
		yaml_complain(reader->complaints, false, node, "%s", text);
	else
		reader->failed = true;
}

static void add_names(struct buffer *b, const char *const *names, const char *last_separator)
{
	for (size_t i = 0; names[i]; i++) {
		if (i)
			buffer_add_text(b, names[i + 1] ? ", " : last_separator);
		buffer_add_text(b, names[i]);
	}
}

static void add_entry_range(struct buffer *b, const struct option *option)
{
	if (option->least > 1 || (option->least && option->most > 1))
		buffer_add_printf(b, " of %ju to %ju entries", (uintmax_t)option->least, (uintmax_t)option->most);
	else if (option->most)
		buffer_add_printf(b, " of at most %ju entries", (uintmax_t)option->most);
}

static void add_number_range(struct buffer *b, const struct option *option)
{
	if (option->most == INT64_MAX && !option->least)
		return;
	buffer_add_text(b, " from ");
	value_add_number(b, option->type->units, option->least);
	buffer_add_text(b, option->most == INT64_MAX ? " on" : " to ");
	if (option->most != INT64_MAX)
		value_add_number(b, option->type->units, option->most);
}

static const char *example_of(const struct option *option)
{
	return option->example ? option->example : option->fallback;
}

static void add_example(struct buffer *b, const struct option *option)
{
	buffer_add_text(b, option->type->before ? option->type->before : "");
	buffer_add_text(b, example_of(option));
	buffer_add_text(b, option->type->after ? option->type->after : "");
}

const char *const *schema_names(const struct option *option)
{
	return option->names || !option->type->names ? option->names : option->type->names();
}

void schema_add_kind(struct buffer *b, const struct option *option)
{
	const char *const *names = schema_names(option);
	if (option->word)
		buffer_add_printf(b, "%s or ", option->word);
	buffer_add_text(b, option->type->what);
	if (names)
		add_names(b, names, " or ");
	if (option->type->units)
		add_number_range(b, option);
	if (option->entry)
		add_entry_range(b, option);
}

/* "; write a duration from 5s to 5m, for example 25s" */
static void add_wish(struct buffer *b, const struct option *option)
{
	buffer_add_text(b, "; write ");
	schema_add_kind(b, option);
	if (example_of(option) && !schema_names(option) && option->type != &option_boolean) {
		buffer_add_text(b, ", for example ");
		add_example(b, option);
	}
}

void schema_refuse_kind(struct schema_reader *reader, const struct option *option, const struct yaml_node *node)
{
	static const char *const found[] = { [YAML_KIND_NOTHING] = "nothing",
										 [YAML_KIND_TEXT] = "plain text",
										 [YAML_KIND_LIST] = "a list",
										 [YAML_KIND_MAP] = "a map" };
	struct buffer message = BUFFER_INIT;
	if (node->kind == YAML_KIND_BROKEN)
		return;
	buffer_add_printf(&message, "%s: found %s", option->key, found[node->kind]);
	add_wish(&message, option);
	complain_and_finish(reader, node, &message);
}

/* Long text is cut; a URL with a user in it has a password there, too. */
static void add_quoted(struct buffer *b, const char *text)
{
	struct span shown = span_text(text);
	if (strstr(text, "://") && strchr(text, '@'))
		shown = SPAN("...");
	if (shown.n > 80)
		shown.n = 80;
	buffer_add_json(b, shown);
}

void schema_refuse_text(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						const char *problem)
{
	struct buffer message = BUFFER_INIT;
	buffer_add_printf(&message, "%s: ", option->key);
	add_quoted(&message, node->text);
	buffer_add_printf(&message, " %s", problem);
	add_wish(&message, option);
	complain_and_finish(reader, node, &message);
}

char *schema_copy(struct schema_reader *reader, const char *text)
{
	char *copy = span_dup(span_text(text));
	if (!copy)
		reader->failed = true;
	return copy;
}

/* --- scalars --- */

static bool expect_kind(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						enum yaml_kind kind)
{
	if (node->kind != kind)
		schema_refuse_kind(reader, option, node);
	return node->kind == kind;
}

static void read_text(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					  void *field)
{
	if (!expect_kind(reader, option, node, YAML_KIND_TEXT))
		return;
	const char *problem = option->type->check(span_text(node->text));
	if (problem)
		schema_refuse_text(reader, option, node, problem);
	else
		*(char **)field = schema_copy(reader, node->text);
}

static void release_text(const struct option *option, void *field)
{
	(void)option;
	free(*(char **)field);
	*(char **)field = NULL;
}

static void read_boolean(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						 void *field)
{
	if (!expect_kind(reader, option, node, YAML_KIND_TEXT))
		return;
	bool is_true = strcmp(node->text, "true") == 0;
	if (is_true || strcmp(node->text, "false") == 0)
		*(bool *)field = is_true;
	else
		schema_refuse_text(reader, option, node, "is neither");
}

static void refuse_number(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						  int outcome)
{
	char problem[64];
	(void)snprintf(problem, sizeof problem, "is not %s", option->type->what);
	if (outcome == VALUE_E_UNIT)
		schema_complain(reader, false, option, node, "\"%.20s\" has no unit; write a unit: %s", node->text,
						example_of(option));
	else
		schema_refuse_text(reader, option, node, outcome == VALUE_E_RANGE ? "is out of range" : problem);
}

static void read_number(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	if (!expect_kind(reader, option, node, YAML_KIND_TEXT))
		return;
	uint64_t value = 0;
	int outcome = VALUE_OK;
	if (!option->word || strcmp(node->text, option->word) != 0) {
		outcome = value_read_number(span_text(node->text), option->type->units, &value);
		if (outcome == VALUE_OK && (value < option->least || value > option->most))
			outcome = VALUE_E_RANGE;
	}
	if (outcome)
		refuse_number(reader, option, node, outcome);
	else
		*(uint64_t *)field = value; /* below 2^63: the same for int64_t */
}

static void read_choice(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	if (!expect_kind(reader, option, node, YAML_KIND_TEXT))
		return;
	for (unsigned i = 0; option->names[i]; i++)
		if (strcmp(option->names[i], node->text) == 0) {
			*(unsigned *)field = i;
			return;
		}
	schema_refuse_text(reader, option, node, "is not known");
}

/* --- groups --- */

static void refuse_key(struct schema_reader *reader, const struct option *options, const struct yaml_node *key)
{
	struct buffer message = BUFFER_INIT;
	struct nearest nearest = nearest_begin(span_text(key->text));
	for (const struct option *option = options; option->key; option++)
		nearest_try(&nearest, option->key);
	buffer_add_text(&message, "unknown key ");
	add_quoted(&message, key->text);
	if (nearest.name)
		buffer_add_printf(&message, "; did you mean \"%s\"?", nearest.name);
	for (const struct option *option = options; !nearest.name && option->key; option++)
		buffer_add_printf(&message, "%s%s", option == options ? "; known here: " : ", ", option->key);
	complain_and_finish(reader, key, &message);
}

static void read_default(struct schema_reader *reader, const struct option *option, void *field)
{
	static const struct yaml_file nowhere = { .name = "default" };
	CLEANUP(free) char *text = schema_copy(reader, option->fallback);
	struct yaml_node node = { .kind = YAML_KIND_TEXT, .file = &nowhere, .text = text };
	if (text)
		option->type->read(reader, option, &node, field);
}

static void read_options(struct schema_reader *reader, const struct option *options, const struct yaml_node *map,
						 void *object);

static void refuse_absence(struct schema_reader *reader, const struct option *option, const struct yaml_node *map)
{
	struct buffer message = BUFFER_INIT;
	buffer_add_printf(&message, "\"%s\" is missing (%s); write for example %s: ", option->key, option->help,
					  option->key);
	add_example(&message, option);
	complain_and_finish(reader, map, &message);
}

static void read_absent(struct schema_reader *reader, const struct option *option, const struct yaml_node *map,
						void *object)
{
	void *field = field_at(object, option->offset);
	if (option->is_required && map)
		refuse_absence(reader, option, map);
	else if (option->fallback)
		read_default(reader, option, field);
	else if (option->type == &option_group)
		read_options(reader, option->options, NULL, field);
}

/* map may be NULL: then nothing is there, and nothing is missing. */
static void read_options(struct schema_reader *reader, const struct option *options, const struct yaml_node *map,
						 void *object)
{
	for (const struct option *option = options; option->key; option++) {
		const struct yaml_node *node = yaml_get(map, option->key);
		if (!node)
			read_absent(reader, option, map, object);
		else if (node->kind != YAML_KIND_BROKEN)
			option->type->read(reader, option, node, field_at(object, option->offset));
	}
	for (size_t i = 0; map && i < map->n_entries; i++) {
		const struct option *option = options;
		while (option->key && strcmp(option->key, map->entries[i].key->text) != 0)
			option++;
		if (!option->key)
			refuse_key(reader, options, map->entries[i].key);
	}
}

/* A group whose options are all commented out is nothing to YAML, and an empty map to us. */
static void read_group(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					   void *field)
{
	if (node->kind == YAML_KIND_NOTHING || expect_kind(reader, option, node, YAML_KIND_MAP))
		read_options(reader, option->options, node, field);
}

static void release_group(const struct option *option, void *field)
{
	schema_release(option->options, field);
}

/* --- lists and maps of named things --- */

/* From the pointer's field to the count's: both stand in the same object. */
static size_t *count_of(const struct option *option, void *field)
{
	return (size_t *)(void *)((char *)field - option->offset + option->count_offset);
}

/* The field is a pointer to some struct, which is not the same as a void * to the compiler. */
static void *load_pointer(const void *field)
{
	void *pointer;
	memcpy(&pointer, field, sizeof pointer);
	return pointer;
}

static void store_pointer(void *field, void *pointer)
{
	memcpy(field, &pointer, sizeof pointer);
}

/* The i-th entry of the list or map in the field. */
static void *entry_of(const struct option *option, const void *field, size_t i)
{
	return field_at(load_pointer(field), i * option->entry_bytes);
}

struct option schema_entry(const struct option *option)
{
	return (struct option){ .key = option->key,
							.type = option->entry,
							.example = option->type->before ? option->example : NULL,
							.names = option->names,
							.options = option->options };
}

size_t schema_count(const struct option *option, const void *field)
{
	return *(const size_t *)schema_field((const char *)field - option->offset, option->count_offset);
}

const void *schema_entry_at(const struct option *option, const void *field, size_t i)
{
	return entry_of(option, field, i);
}

/* Room for one zeroed entry for each of the node's; false if there cannot be, or need not be. */
static bool make_entries(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						 void *field)
{
	struct buffer message = BUFFER_INIT;
	if (node->n_entries < option->least || node->n_entries > option->most) {
		buffer_add_printf(&message, "%s: found %zu entries", option->key, node->n_entries);
		add_wish(&message, option);
		complain_and_finish(reader, node, &message);
		return false;
	}
	if (node->n_entries == 0)
		return false;
	void *entries = calloc(node->n_entries, option->entry_bytes);
	if (!entries) {
		reader->failed = true;
		return false;
	}
	store_pointer(field, entries);
	*count_of(option, field) = node->n_entries;
	return true;
}

static void read_list(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					  void *field)
{
	if (!expect_kind(reader, option, node, YAML_KIND_LIST) || !make_entries(reader, option, node, field))
		return;
	struct option entry = schema_entry(option);
	for (size_t i = 0; i < node->n_entries; i++)
		if (node->entries[i].value->kind != YAML_KIND_BROKEN)
			entry.type->read(reader, &entry, node->entries[i].value, entry_of(option, field, i));
}

static void read_name(struct schema_reader *reader, const struct option *option, const struct yaml_node *key,
					  char **ret_name)
{
	const char *problem = option->type->check(span_text(key->text));
	if (!problem) {
		*ret_name = schema_copy(reader, key->text);
		return;
	}
	struct buffer message = BUFFER_INIT;
	buffer_add_printf(&message, "%s: the name ", option->key);
	add_quoted(&message, key->text);
	buffer_add_printf(&message, " %s", problem);
	complain_and_finish(reader, key, &message);
}

static void read_named(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					   void *field)
{
	if (!expect_kind(reader, option, node, YAML_KIND_MAP) || !make_entries(reader, option, node, field))
		return;
	struct option entry = schema_entry(option);
	for (size_t i = 0; i < node->n_entries; i++) {
		void *object = entry_of(option, field, i);
		read_name(reader, option, node->entries[i].key, object);
		entry.key = node->entries[i].key->text;
		if (node->entries[i].value->kind != YAML_KIND_BROKEN)
			entry.type->read(reader, &entry, node->entries[i].value, field_at(object, option->type->value_offset));
	}
}

static void release_list(const struct option *option, void *field)
{
	struct option entry = schema_entry(option);
	size_t *n = count_of(option, field);
	for (size_t i = 0; i < *n && entry.type->release; i++)
		entry.type->release(&entry, field_at(entry_of(option, field, i), option->type->value_offset));
	free(load_pointer(field));
	store_pointer(field, NULL);
	*n = 0;
}

static void release_named(const struct option *option, void *field)
{
	for (size_t i = 0; i < schema_count(option, field); i++)
		free(*(char **)entry_of(option, field, i));
	release_list(option, field);
}

/* --- comparing --- */

static void compare_text(struct schema_comparer *comparer, const struct option *option, const void *before,
						 const void *after)
{
	const char *old = *(char *const *)before, *new = *(char *const *)after;
	if (old && new)
		schema_found(comparer, option, strcmp(old, new) == 0);
	else if (old || new)
		comparer->found(comparer, new ? SCHEMA_ADDED : SCHEMA_REMOVED, option->needs_restart);
}

static void compare_boolean(struct schema_comparer *comparer, const struct option *option, const void *before,
							const void *after)
{
	schema_found(comparer, option, *(const bool *)before == *(const bool *)after);
}

static void compare_number(struct schema_comparer *comparer, const struct option *option, const void *before,
						   const void *after)
{
	schema_found(comparer, option, *(const uint64_t *)before == *(const uint64_t *)after);
}

static void compare_choice(struct schema_comparer *comparer, const struct option *option, const void *before,
						   const void *after)
{
	schema_found(comparer, option, *(const unsigned *)before == *(const unsigned *)after);
}

static void compare_group(struct schema_comparer *comparer, const struct option *option, const void *before,
						  const void *after)
{
	schema_compare(option->options, before, after, comparer);
}

/* A comparer that only wants to know whether. */
struct doubt {
	struct schema_comparer comparer; /* first */
	bool is_different;
};

static void on_doubt(struct schema_comparer *comparer, enum schema_change change, bool needs_restart)
{
	(void)change;
	(void)needs_restart;
	CONTAINER_OF(comparer, struct doubt, comparer)->is_different = true;
}

static void compare_list(struct schema_comparer *comparer, const struct option *option, const void *before,
						 const void *after)
{
	struct doubt doubt = { .comparer.found = on_doubt };
	struct option entry = schema_entry(option);
	size_t n = schema_count(option, before);
	doubt.is_different = n != schema_count(option, after);
	for (size_t i = 0; i < n && !doubt.is_different; i++)
		entry.type->compare(&doubt.comparer, &entry, schema_entry_at(option, before, i),
							schema_entry_at(option, after, i));
	comparer->path.failed |= doubt.comparer.path.failed;
	buffer_finish(&doubt.comparer.path);
	schema_found(comparer, option, !doubt.is_different);
}

/* Returns the length that leave() goes back to. */
static size_t enter(struct schema_comparer *comparer, const char *key)
{
	size_t n = comparer->path.n;
	if (n)
		buffer_add_char(&comparer->path, '.');
	buffer_add_text(&comparer->path, key);
	return n;
}

static void leave(struct schema_comparer *comparer, size_t n)
{
	if (!comparer->path.failed)
		comparer->path.n = n;
}

static const void *find_named(const struct option *option, const void *field, const char *name)
{
	for (size_t i = 0; i < schema_count(option, field); i++) {
		const void *entry = schema_entry_at(option, field, i);
		if (strcmp(*(char *const *)entry, name) == 0)
			return entry;
	}
	return NULL;
}

/* Those that are gone, those that are new, and what is different in those that stay; by name. */
static void compare_named(struct schema_comparer *comparer, const struct option *option, const void *before,
						  const void *after)
{
	struct option entry = schema_entry(option);
	size_t offset = option->type->value_offset;
	for (size_t i = 0; i < schema_count(option, before); i++) {
		const void *old = schema_entry_at(option, before, i), *new = find_named(option, after, *(char *const *)old);
		size_t n = enter(comparer, *(char *const *)old);
		if (new)
			entry.type->compare(comparer, &entry, schema_field(old, offset), schema_field(new, offset));
		else
			comparer->found(comparer, SCHEMA_REMOVED, option->needs_restart);
		leave(comparer, n);
	}
	for (size_t i = 0; i < schema_count(option, after); i++) {
		const char *name = *(char *const *)schema_entry_at(option, after, i);
		size_t n = enter(comparer, name);
		if (!find_named(option, before, name))
			comparer->found(comparer, SCHEMA_ADDED, option->needs_restart);
		leave(comparer, n);
	}
}

void schema_compare(const struct option *options, const void *before, const void *after,
					struct schema_comparer *comparer)
{
	for (const struct option *option = options; option->key; option++) {
		if (!option->type->compare)
			continue;
		size_t n = enter(comparer, option->key);
		option->type->compare(comparer, option, schema_field(before, option->offset),
							  schema_field(after, option->offset));
		leave(comparer, n);
	}
}

/* --- writing --- */

void schema_write_text(struct buffer *json, const char *text)
{
	if (text)
		buffer_add_json(json, span_text(text));
	else
		buffer_add_text(json, "null");
}

/* --- the types --- */

#define TEXT_TYPE(name, ...)                                                                             \
	{                                                                                                    \
		.what = (name), .read = read_text, .release = release_text, .compare = compare_text, __VA_ARGS__ \
	}

const struct option_type option_text = TEXT_TYPE("one line of text", .check = value_check_text);
const struct option_type option_lines = TEXT_TYPE("text", .check = value_check_lines);
const struct option_type option_path = TEXT_TYPE("an absolute path", .check = value_check_path, .pattern = "^/");
const struct option_type option_request_path =
	TEXT_TYPE("the path of a URL", .check = value_check_request_path, .pattern = "^/");
const struct option_type option_url = TEXT_TYPE("a URL", .check = value_check_url, .pattern = "^https?://");
const struct option_type option_public_url =
	TEXT_TYPE("a URL", .check = value_check_public_url, .pattern = "^https?://");
const struct option_type option_origin = TEXT_TYPE("scheme://host or scheme://host:port", .check = value_check_origin,
												   .pattern = "^[a-z][a-z0-9+.-]*://[^/]+$");
const struct option_type option_host =
	TEXT_TYPE("a host name or an address, without a port", .check = value_check_host);
const struct option_type option_boolean = {
	.form = OPTION_FORM_BOOLEAN, .what = "true or false", .read = read_boolean, .compare = compare_boolean
};
const struct option_type option_integer = { .form = OPTION_FORM_NUMBER,
											.what = "a whole number",
											.read = read_number,
											.compare = compare_number,
											.units = value_plain };
const struct option_type option_duration = { .form = OPTION_FORM_NUMBER,
											 .what = "a duration",
											 .read = read_number,
											 .compare = compare_number,
											 .units = value_durations };
const struct option_type option_size = {
	.form = OPTION_FORM_NUMBER, .what = "a size", .read = read_number, .compare = compare_number, .units = value_sizes
};
const struct option_type option_choice = {
	.form = OPTION_FORM_CHOICE, .what = "", .read = read_choice, .compare = compare_choice
};
const struct option_type option_group = { .form = OPTION_FORM_GROUP,
										  .what = "a map of options",
										  .read = read_group,
										  .compare = compare_group,
										  .release = release_group };
const struct option_type option_list = { .form = OPTION_FORM_LIST,
										 .what = "a list",
										 .read = read_list,
										 .compare = compare_list,
										 .release = release_list,
										 .before = "[",
										 .after = "]" };
const struct option_type option_named = { .form = OPTION_FORM_NAMED,
										  .what = "a map of names",
										  .read = read_named,
										  .compare = compare_named,
										  .release = release_named,
										  .check = value_check_name,
										  .pattern = "^[a-z0-9_-]{1,64}$" };
const struct option_type option_map = { .form = OPTION_FORM_NAMED,
										.what = "a map of names",
										.read = read_named,
										.release = release_named,
										.compare = compare_named,
										.check = value_check_key,
										.before = "{name: ",
										.after = "}",
										.value_offset = sizeof(char *) };

int schema_read(const struct option *options, const struct yaml_node *map, struct complaints *complaints,
				void *ret_object)
{
	struct schema_reader reader = { .complaints = complaints };
	read_options(&reader, options, map, ret_object);
	return reader.failed || complaints->failed ? -ENOMEM : 0;
}

void schema_release(const struct option *options, void *object)
{
	for (; options->key; options++)
		if (options->type->release)
			options->type->release(options, field_at(object, options->offset));
}
