/* SPDX-License-Identifier: Apache-2.0 */
#include "config/description.h"

#include "config/file.h"
#include "config/program.h"
#include "config/secret.h"
#include "wire/document.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

#define MAX_FILE_BYTES (256 << 20)
#define MAX_OPTIONS 256
#define MAX_ENTRIES YAML_MAX_ENTRIES

/* A copy of a text, or a list of pointers to such, that lives as long as the description. */
struct description_text {
	struct description_text *next;
	char *bytes;
	const char **names;
};

/* --- types that the gateway's own tables do not need --- */

static void read_text(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					  void *field)
{
	option_lines.read(reader, option, node, field);
}

static void release_text(const struct option *option, void *field)
{
	option_lines.release(option, field);
}

static const struct option_type option_template = {
	.what = "text with {{ jq }} in it", .read = read_text, .release = release_text, .check = value_check_lines
};

/* A number that may be below zero. The bounds are int64_t. */
static bool read_signed(struct span text, int64_t *ret_value)
{
	bool is_negative = text.n && text.data[0] == '-';
	uint64_t value = 0;
	if (value_read_number(is_negative ? span_skip(text, 1) : text, value_plain, &value) != VALUE_OK)
		return false;
	*ret_value = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}

static void read_integer(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						 void *field)
{
	int64_t value = 0, least = (int64_t)option->least, most = (int64_t)option->most;
	char problem[64] = "is not a whole number";
	if (node->kind != YAML_KIND_TEXT) {
		schema_refuse_kind(reader, option, node);
		return;
	}
	bool is_number = read_signed(span_text(node->text), &value);
	if (is_number && value >= least && value <= most) {
		*(int64_t *)field = value;
		return;
	}
	if (is_number)
		(void)snprintf(problem, sizeof problem, "is %s than %" PRId64, value < least ? "less" : "more",
					   value < least ? least : most);
	schema_refuse_text(reader, option, node, problem);
}

static const struct option_type option_signed = { .what = "a whole number", .read = read_integer };

/* A plugin gets its secrets as texts. False if it was none; then it was complained of. */
static bool read_secret_text(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
							 struct secret *secret)
{
	option_secret.read(reader, option, node, secret);
	struct span text = span_of(secret->data, secret->n);
	bool is_text = !text.n || (span_is_utf8(text) && !memchr(text.data, '\0', text.n));
	if (!is_text)
		schema_complain(reader, false, option, node, "the secret is no text: it has a NUL in it, or is not UTF-8");
	return text.n && is_text;
}

static void read_secret(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	(void)read_secret_text(reader, option, node, field);
}

static void read_secret_url(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
							void *field)
{
	struct secret *secret = field;
	if (!read_secret_text(reader, option, node, secret))
		return;
	const char *problem = value_check_url(span_of(secret->data, secret->n));
	if (problem)
		schema_complain(reader, false, option, node, "the secret is to be a URL, but it %s", problem);
}

static void release_secret(const struct option *option, void *field)
{
	option_secret.release(option, field);
}

static const struct option_type option_secret_text = { .what = "a secret",
													   .read = read_secret,
													   .release = release_secret };
static const struct option_type option_secret_url = { .what = "a secret that is a URL",
													  .read = read_secret_url,
													  .release = release_secret };

/* --- values to JSON --- */

static void add_text(struct buffer *json, const struct option *option, const void *value)
{
	(void)option;
	buffer_add_json(json, span_text(*(char *const *)value));
}

static void add_secret(struct buffer *json, const struct option *option, const void *value)
{
	const struct secret *secret = value;
	(void)option;
	buffer_add_json(json, span_of(secret->data, secret->n));
}

static void add_number(struct buffer *json, const struct option *option, const void *value)
{
	(void)option;
	buffer_add_i64(json, *(const int64_t *)value);
}

static void add_boolean(struct buffer *json, const struct option *option, const void *value)
{
	(void)option;
	buffer_add_text(json, *(const bool *)value ? "true" : "false");
}

static void add_choice(struct buffer *json, const struct option *option, const void *value)
{
	buffer_add_json(json, span_text(option->names[*(const unsigned *)value]));
}

static void add_list(struct buffer *json, const struct option *option, const void *value);
static void add_map(struct buffer *json, const struct option *option, const void *value);

/* The types that a plugin's options may have. */
static const struct kind {
	const char *word; /* in the description */
	const struct option_type *type;
	size_t bytes; /* of a value in a list or map; 0: there are none there */
	void (*add)(struct buffer *json, const struct option *option, const void *value);
	const char *example;
	bool has_default; /* may have one */
} kinds[] = {
	{ "string", &option_lines, sizeof(char *), add_text, "text", true },
	{ "url", &option_url, sizeof(char *), add_text, "https://example.com", true },
	{ "template", &option_template, sizeof(char *), add_text, "\"{{ .event.summary }}\"", true },
	{ "secret", &option_secret_text, sizeof(struct secret), add_secret, "{file: /etc/belfry/secrets/name}", false },
	{ "secret", &option_secret_url, sizeof(struct secret), add_secret, "{file: /etc/belfry/secrets/name}", false },
	{ "integer", &option_signed, 0, add_number, NULL, true },
	{ "duration", &option_duration, 0, add_number, "30s", true },
	{ "size", &option_size, 0, add_number, "1MiB", true },
	{ "boolean", &option_boolean, 0, add_boolean, "true", true },
	{ "enum", &option_choice, 0, add_choice, NULL, true },
	{ "list", &option_list, 0, add_list, NULL, false },
	{ "map", &option_map, 0, add_map, NULL, false },
};

static const struct kind *kind_of(const struct option_type *type)
{
	size_t i = 0;
	while (kinds[i].type != type)
		i++;
	return &kinds[i];
}

static const struct kind *find_kind(const char *word)
{
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++)
		if (word && strcmp(kinds[i].word, word) == 0)
			return &kinds[i];
	return NULL;
}

static const char *entry_at(const struct option *option, const union plugin_value *value, size_t i)
{
	return (const char *)value->many.entries + i * option->entry_bytes;
}

static void add_list(struct buffer *json, const struct option *option, const void *value)
{
	const union plugin_value *list = value;
	for (size_t i = 0; i < list->many.n; i++) {
		buffer_add_char(json, i ? ',' : '[');
		kind_of(option->entry)->add(json, option, entry_at(option, list, i));
	}
	buffer_add_text(json, list->many.n ? "]" : "[]");
}

static void add_map(struct buffer *json, const struct option *option, const void *value)
{
	const union plugin_value *map = value;
	for (size_t i = 0; i < map->many.n; i++) {
		const char *entry = entry_at(option, map, i);
		buffer_add_char(json, i ? ',' : '{');
		add_text(json, option, entry);
		buffer_add_char(json, ':');
		kind_of(option->entry)->add(json, option, entry + option_map.value_offset);
	}
	buffer_add_text(json, map->many.n ? "}" : "{}");
}

/* What has no value and no default is not there: the plugin gets NULL. */
static bool is_absent(const struct option *option, const union plugin_value *value)
{
	bool is_pointer = kind_of(option->type)->bytes > 0;
	return is_pointer && !value->text; /* the bytes of a secret stand at the same place */
}
static_assert(offsetof(struct secret, data) == 0 && offsetof(union plugin_value, text) == 0, "is_absent() looks there");

static void add_values(struct buffer *json, const struct description *description, const union plugin_value *values)
{
	size_t n = 0;
	buffer_add_char(json, '{');
	for (size_t i = 0; i < description->n_options; i++) {
		const struct option *option = &description->options[i];
		if (is_absent(option, &values[i]))
			continue;
		buffer_add_text(json, n++ ? "," : "");
		buffer_add_json(json, span_text(option->key));
		buffer_add_char(json, ':');
		kind_of(option->type)->add(json, option, &values[i]);
	}
	buffer_add_char(json, '}');
}

/* In one piece of memory from the start: nothing that had to grow leaves a secret behind. */
static int write_values(const struct description *description, const union plugin_value *values,
						const struct yaml_node *place, struct complaints *complaints, char **ret_json)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	(void)buffer_reserve(&json, DESCRIPTION_MAX_JSON_BYTES + 1);
	add_values(&json, description, values);
	bool is_too_large = json.n > DESCRIPTION_MAX_JSON_BYTES;
	char *text = json.failed || is_too_large ? NULL : span_dup(buffer_span(&json));
	secret_wipe(json.data, json.n);
	if (is_too_large)
		yaml_complain(complaints, false, place, "options: together they have more than %d KiB",
					  DESCRIPTION_MAX_JSON_BYTES / 1024);
	*ret_json = text;
	return json.failed || (!text && !is_too_large) ? -ENOMEM : 0;
}

int description_configure(const struct description *description, const struct yaml_node *options,
						  const struct yaml_node *place, struct complaints *complaints, char **ret_json)
{
	struct yaml_node nothing = {
		.kind = YAML_KIND_MAP, .file = place->file, .line = place->line, .column = place->column
	};
	CLEANUP(free) union plugin_value *values = calloc(description->n_options + 1, sizeof *values);
	if (!values)
		return -ENOMEM;
	size_t n_before = complaints->n_errors;
	bool is_map = options && options->kind == YAML_KIND_MAP;
	char *json = NULL;
	int r = schema_read(description->options, is_map ? options : &nothing, complaints, values);
	if (r == 0 && complaints->n_errors == n_before)
		r = write_values(description, values, options ? options : place, complaints, &json);
	schema_release(description->options, values);
	if (r == 0)
		*ret_json = json;
	return r;
}

bool description_is_template(const struct option *option)
{
	return option->type == &option_template || option->entry == &option_template;
}

/* --- reading what the program printed --- */

/* What it is read for, and why it cannot be used. */
struct describing {
	struct description *description;
	struct buffer problem;
	bool failed; /* out of memory */
};

static void refuse(struct describing *describing, const char *name, const char *problem)
{
	if (describing->problem.n)
		return;
	buffer_add_text(&describing->problem, "describes ");
	if (name)
		buffer_add_printf(&describing->problem, "the option \"%.64s\"", name);
	else
		buffer_add_text(&describing->problem, "itself");
	buffer_add_printf(&describing->problem, " in a way that is not understood: %s", problem);
}

static struct description_text *add_keepsake(struct describing *describing)
{
	struct description_text *text = calloc(1, sizeof *text);
	if (!text) {
		describing->failed = true;
		return NULL;
	}
	text->next = describing->description->texts;
	describing->description->texts = text;
	return text;
}

/* A text that will stand in complaints: it ends no line and moves no cursor. NULL if there is none, or an empty one. */
static const char *take_text(struct describing *describing, const json_t *row, const char *key)
{
	CLEANUP(buffer_finish) struct buffer printable = BUFFER_INIT;
	struct span text = document_text(json_object_get(row, key));
	struct description_text *keepsake = text.n ? add_keepsake(describing) : NULL;
	if (!keepsake)
		return NULL;
	program_add_line(&printable, text);
	keepsake->bytes = buffer_steal_text(&printable);
	describing->failed |= !keepsake->bytes;
	return keepsake->bytes;
}

/* A default may have several lines: it is used, not shown. */
static const char *take_fallback(struct describing *describing, const json_t *row)
{
	struct span text = document_text(json_object_get(row, "fallback"));
	struct description_text *keepsake = text.data ? add_keepsake(describing) : NULL;
	if (!keepsake)
		return NULL;
	keepsake->bytes = span_dup(text);
	describing->failed |= !keepsake->bytes;
	return keepsake->bytes;
}

static bool is_key(const char *key)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t n = key ? strlen(key) : 0;
	return n >= 1 && n <= 64 && strspn(key, alphabet) == n;
}

static const char *take_word(struct describing *describing, const char *key, struct span word)
{
	struct description_text *keepsake = add_keepsake(describing);
	if (!word.data || value_check_key(word))
		refuse(describing, key, "one of its words is none");
	if (!keepsake)
		return NULL;
	keepsake->bytes = span_dup(word);
	describing->failed |= !keepsake->bytes;
	return keepsake->bytes;
}

static const char *const *take_names(struct describing *describing, const char *key, const json_t *names)
{
	size_t n = json_array_size(names);
	struct description_text *keepsake = add_keepsake(describing);
	if (n == 0 || !keepsake) {
		refuse(describing, key, "it has no words to choose from");
		return NULL;
	}
	keepsake->names = calloc(n + 1, sizeof(char *));
	if (!keepsake->names) {
		describing->failed = true;
		return NULL;
	}
	for (size_t i = 0; i < n; i++)
		keepsake->names[i] = take_word(describing, key, document_text(json_array_get(names, i)));
	return keepsake->names;
}

/* Numbers from least to most; both 0: whatever the type can hold. */
static void take_bounds(struct describing *describing, const json_t *row, const struct kind *kind,
						struct option *option)
{
	json_int_t least = json_integer_value(json_object_get(row, "least"));
	json_int_t most = json_integer_value(json_object_get(row, "most"));
	bool is_bound = least || most, is_many = kind->type == &option_list || kind->type == &option_map;
	bool is_signed = kind->type == &option_signed;
	if (least > most)
		refuse(describing, option->key, "its least is more than its most");
	if (!is_bound)
		least = is_signed ? INT64_MIN : 0;
	else if (!is_signed && least < 0)
		least = 0;
	option->least = (uint64_t)least;
	option->most = is_bound ? (uint64_t)most : is_many ? MAX_ENTRIES : INT64_MAX;
}

static void take_entry(struct describing *describing, const json_t *row, const struct kind *kind, struct option *option,
					   size_t index)
{
	const struct kind *entry = find_kind(json_string_value(json_object_get(row, "entry")));
	if (!entry || !entry->bytes) {
		refuse(describing, option->key, "its entries have no type that they can have");
		return;
	}
	option->entry = entry->type;
	option->entry_bytes = kind->type->value_offset + entry->bytes;
	option->count_offset = index * sizeof(union plugin_value) + offsetof(union plugin_value, many.n);
	if (!option->example)
		option->example = entry->example;
}

static const char *example_of(const struct kind *kind, const struct option *option)
{
	if (option->names)
		return option->names[0];
	return kind->example ? kind->example : "1";
}

static void take_row(struct describing *describing, const json_t *row, size_t index, struct option *option)
{
	const char *key = take_text(describing, row, "name");
	const struct kind *kind = find_kind(json_string_value(json_object_get(row, "type")));
	if (!is_key(key) || !kind) {
		refuse(describing, is_key(key) ? key : NULL, "an option has no name, or a type that is not known");
		return;
	}
	*option = (struct option){ .key = key,
							   .type = kind->type,
							   .offset = index * sizeof(union plugin_value),
							   .fallback = take_fallback(describing, row),
							   .example = take_text(describing, row, "example"),
							   .help = take_text(describing, row, "help"),
							   .is_required = json_is_true(json_object_get(row, "required")) };
	if (kind->type == &option_secret_text && json_is_true(json_object_get(row, "url")))
		option->type = &option_secret_url;
	if (option->fallback && (option->is_required || !kind->has_default))
		refuse(describing, key, "it has a default, which it cannot have");
	take_bounds(describing, row, kind, option);
	if (kind->type == &option_list || kind->type == &option_map)
		take_entry(describing, row, kind, option, index);
	if (kind->type == &option_choice)
		option->names = take_names(describing, key, json_object_get(row, "names"));
	if (!option->help)
		option->help = "the plugin says no more";
	if (!option->example) /* a default may have several lines, and is none where it is wrong */
		option->example = option->fallback ? take_text(describing, row, "fallback") : example_of(kind, option);
}

/* A default that is none would be complained of in each configuration, where nobody can mend it. */
static void check_fallback(struct describing *describing, const struct option *option)
{
	const struct option table[] = { *option, { .key = NULL } };
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(free) union plugin_value *values = calloc(describing->description->n_options + 1, sizeof *values);
	if (!values || schema_read(table, NULL, &complaints, values) < 0)
		describing->failed = true;
	else if (complaints.n_errors)
		refuse(describing, option->key, "its default is none");
	if (values)
		schema_release(table, values);
}

static void take_rows(struct describing *describing, const json_t *rows)
{
	struct description *description = describing->description;
	size_t n = json_array_size(rows);
	if (n > MAX_OPTIONS) {
		refuse(describing, NULL, "it has too many options");
		return;
	}
	description->options = calloc(n + 1, sizeof *description->options);
	if (!description->options) {
		describing->failed = true;
		return;
	}
	for (size_t i = 0; i < n && !describing->problem.n && !describing->failed; i++) {
		take_row(describing, json_array_get(rows, i), i, &description->options[i]);
		description->n_options = i + 1;
	}
	for (size_t i = 0; i < description->n_options && !describing->problem.n && !describing->failed; i++)
		if (description->options[i].fallback)
			check_fallback(describing, &description->options[i]);
}

static void take(struct describing *describing, const json_t *root)
{
	struct description *description = describing->description;
	const json_t *needs = json_object_get(root, "needs");
	description->version = span_dup(span_text(take_text(describing, root, "version")));
	describing->failed |= !description->version;
	for (size_t i = 0; i < json_array_size(needs); i++)
		description->needs_exec |= span_equal(document_text(json_array_get(needs, i)), SPAN("exec"));
	if (!json_is_array(json_object_get(root, "options")))
		refuse(describing, NULL, "there are no options");
	else
		take_rows(describing, json_object_get(root, "options"));
}

/* --- running it --- */

static int read_output(struct description *description, struct span output, char **ret_problem)
{
	json_error_t error;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	struct describing describing = { .description = description };
	int r = document_read(output, &document, &error);
	if (r == DOCUMENT_E_MALFORMED)
		refuse(&describing, NULL, "it is not JSON");
	else if (r == 0)
		take(&describing, document.root);
	char *problem = describing.problem.n ? buffer_steal_text(&describing.problem) : NULL;
	bool failed = r < 0 || describing.failed || (describing.problem.n && !problem);
	buffer_finish(&describing.problem);
	*ret_problem = problem;
	return failed ? -ENOMEM : 0;
}

static int digest_file(const char *path, uint8_t ret_digest[static DIGEST_BYTES])
{
	CLEANUP(file_finish) struct file file = FILE_INIT;
	struct stat status;
	int r = file_look(path, &status);
	if (r == FILE_OK && status.st_size > MAX_FILE_BYTES)
		r = FILE_E_TOO_LARGE;
	if (r == FILE_OK) /* as much memory as it needs */
		r = file_read(path, (size_t)status.st_size, &file);
	return r == FILE_OK ? digest_sha256(span_of(file.data, file.n), ret_digest) : r;
}

/* "FILE WHAT", without which nobody knows who did that. */
static int set_problem(struct description *description, const char *what)
{
	free(description->problem);
	if (asprintf(&description->problem, "%s %s", description->file, what) < 0)
		description->problem = NULL;
	return description->problem ? 0 : -ENOMEM;
}

static int understand(struct description *description, struct span output)
{
	char *problem = NULL;
	int r = read_output(description, output, &problem);
	if (r == 0 && problem)
		r = set_problem(description, problem);
	free(problem);
	return r;
}

static int describe(const char *program, struct description *description)
{
	const char *const arguments[] = { program, "--describe", description->file, NULL };
	CLEANUP(buffer_finish) struct buffer output = BUFFER_INIT;
	CLEANUP(free) char *problem = NULL;
	int r = program_run(arguments, SPAN(""), PROGRAM_PATIENCE_MS, &output, &problem);
	if (r == PROGRAM_E_REFUSED)
		description->problem = STEAL(problem);
	if (r == PROGRAM_E_FAILED)
		return set_problem(description, problem);
	if (r != PROGRAM_OK)
		return r < 0 ? r : 0;
	r = digest_file(description->file, description->digest);
	if (r == 0)
		return understand(description, buffer_span(&output));
	return r == -ENOMEM ? r : set_problem(description, file_error_text(r)); /* it could be loaded a moment ago */
}

int description_create(const char *program, const char *file, struct description **ret_description)
{
	CLEANUP(description_destroy) struct description *description = calloc(1, sizeof *description);
	if (!description)
		return -ENOMEM;
	description->file = span_dup(span_text(file));
	int r = description->file ? describe(program, description) : -ENOMEM;
	if (r == 0)
		*ret_description = STEAL(description);
	return r;
}

static void free_texts(struct description_text *text)
{
	while (text) {
		struct description_text *next = text->next;
		free(text->bytes);
		free(text->names);
		free(text);
		text = next;
	}
}

void description_destroy(struct description *description)
{
	if (!description)
		return;
	free_texts(description->texts);
	free(description->options);
	free(description->version);
	free(description->problem);
	free(description->file);
	free(description);
}
