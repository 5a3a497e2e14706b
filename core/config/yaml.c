/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events become our tree. Events rather than libyaml's documents: a document has already resolved the
 * aliases and forgotten which tags were written, and it is built as a whole before anybody can see how deep it nests
 * (libyaml's time grows with the square of that). The reader here stops at the first bracket too many.
 *
 * The text is checked for encoding and control characters before libyaml sees it, so that such complaints have a line
 * and a column. What libyaml says is put into words for people who write configuration, not parsers.
 */
#include "config/yaml.h"

#include "wire/digest.h"

#include <errno.h>
#include <yaml.h>

struct yaml_reader {
	yaml_parser_t parser;
	const struct yaml_file *file;
	struct complaints *complaints;
	struct span text;
	size_t seen_characters, seen_bytes; /* a place in the text, moved on by byte_at() */
};

static void complain_at(struct yaml_reader *reader, size_t line, size_t column, const char *message)
{
	complaints_add(reader->complaints, false, reader->file->name, line, column, "%s", message);
}

static void complain_at_mark(struct yaml_reader *reader, yaml_mark_t mark, const char *message)
{
	complain_at(reader, mark.line + 1, mark.column + 1, message);
}

/* --- the text before libyaml sees it --- */

/* Bytes of the well-formed character at the start; 0 if there is none. */
static size_t character_bytes(struct span rest)
{
	unsigned char lead = (unsigned char)rest.data[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	return n <= rest.n && span_is_utf8(span_of(rest.data, n)) ? n : 0;
}

/* Control characters, and what only some programs take for the end of a line or show not at all. */
static bool is_forbidden(struct span character)
{
	static const struct span unseen[] = { SPAN("\xe2\x80\xa8"), SPAN("\xe2\x80\xa9"), SPAN("\xef\xbb\xbf"),
										  SPAN("\xef\xbf\xbe"), SPAN("\xef\xbf\xbf") };
	unsigned char first = (unsigned char)character.data[0];
	if (character.n == 1)
		return (first < 0x20 && !strchr("\t\n\r", first)) || first == 0x7f || first == 0;
	if (character.n == 2)
		return first == 0xc2 && (unsigned char)character.data[1] < 0xa0;
	for (size_t i = 0; i < ARRAY_LENGTH(unseen); i++)
		if (span_equal(character, unseen[i]))
			return true;
	return false;
}

/* Whether a line ends with the character before the rest: LF, CR LF or CR. */
static bool ends_line(char character, struct span rest)
{
	return character == '\n' || (character == '\r' && !(rest.n && rest.data[0] == '\n'));
}

static int check_characters(struct yaml_reader *reader)
{
	size_t line = 1, column = 1;
	for (struct span rest = reader->text; rest.n;) {
		size_t n = character_bytes(rest);
		if (!n) {
			complain_at(reader, line, column, "this is not UTF-8; save the file as UTF-8");
			return YAML_E_INVALID;
		}
		if (is_forbidden(span_of(rest.data, n))) {
			complain_at(reader, line, column, "a control character; take it out");
			return YAML_E_INVALID;
		}
		char first = rest.data[0];
		rest = span_skip(rest, n);
		column++;
		if (ends_line(first, rest)) {
			line++;
			column = 1;
		}
	}
	return YAML_OK;
}

static int check_text(struct yaml_reader *reader)
{
	if (reader->text.n > YAML_MAX_BYTES) {
		complain_at(reader, 0, 0, "larger than 1 MiB");
		return YAML_E_INVALID;
	}
	if (span_starts_with(reader->text, SPAN("\xfe\xff")) || span_starts_with(reader->text, SPAN("\xff\xfe"))) {
		complain_at(reader, 1, 1, "this is UTF-16; save the file as UTF-8");
		return YAML_E_INVALID;
	}
	if (span_starts_with(reader->text, SPAN("\xef\xbb\xbf")))
		reader->text = span_skip(reader->text, 3);
	return check_characters(reader);
}

/* libyaml counts characters. The byte that stands at a mark, NUL at the end. Cheap while marks go forward. */
static char byte_at(struct yaml_reader *reader, yaml_mark_t mark)
{
	if (mark.index < reader->seen_characters)
		reader->seen_characters = reader->seen_bytes = 0;
	while (reader->seen_characters < mark.index && reader->seen_bytes < reader->text.n) {
		reader->seen_bytes += character_bytes(span_skip(reader->text, reader->seen_bytes));
		reader->seen_characters++;
	}
	return reader->seen_bytes < reader->text.n ? reader->text.data[reader->seen_bytes] : '\0';
}

/* --- libyaml's errors --- */

static const struct {
	const char *theirs, *ours;
} problems[] = {
	{ "mapping values are not allowed in this context",
	  "a colon makes no sense here; put text with a colon into quotes, and give each key a line of its own" },
	{ "did not find expected key", "this does not fit the lines above; check the indentation and the quotes" },
	{ "did not find expected '-' indicator",
	  "this does not fit the list above; check the indentation, or write \"- \"" },
	{ "could not find expected ':'", "a key without a colon; write key: value" },
	{ "did not find expected ',' or ']'", "the list is not closed; write ] or put a comma before the next entry" },
	{ "did not find expected ',' or '}'", "the map is not closed; write } or put a comma before the next key" },
	{ "did not find expected node content",
	  "a value is missing here; put text that begins with a bracket into quotes" },
	{ "block sequence entries are not allowed in this context", "a list cannot begin here; give it a line of its own" },
	{ "block mapping keys are not allowed in this context", "a map cannot begin here; give it a line of its own" },
	{ "found unexpected end of stream", "the quotes are not closed" },
	{ "found unexpected document indicator", "the quotes are not closed" },
	{ "found unknown escape character", "no such escape; write \\\\ for a backslash, or use single quotes" },
	{ "found undefined tag handle", "tags (!) are not supported; take it out" },
	{ "found a tab character that violates indentation", "a tab indents this line; use spaces" },
	{ "found a tab character where an indentation space is expected", "a tab indents this line; use spaces" },
};

static const char *problem_text(struct yaml_reader *reader)
{
	const char *problem = reader->parser.problem ? reader->parser.problem : "not YAML";
	if (strcmp(problem, "found character that cannot start any token") == 0)
		return byte_at(reader, reader->parser.problem_mark) == '\t'
				   ? "a tab indents this line; use spaces"
				   : "a value cannot begin with this character; put it into quotes";
	for (size_t i = 0; i < ARRAY_LENGTH(problems); i++)
		if (strcmp(problem, problems[i].theirs) == 0)
			return problems[i].ours;
	return problem;
}

static int refuse_syntax(struct yaml_reader *reader)
{
	if (reader->parser.error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	const char *text = problem_text(reader);
	yaml_mark_t begun = reader->parser.context_mark, found = reader->parser.problem_mark;
	bool is_open = strstr(text, " not closed") && begun.line != found.line;
	if (is_open) /* where it began is the place to look at */
		complaints_add(reader->complaints, false, reader->file->name, begun.line + 1, begun.column + 1,
					   "%s (found out in line %zu)", text, found.line + 1);
	else
		complain_at_mark(reader, found, text);
	return YAML_E_INVALID;
}

/* --- events to nodes --- */

static void event_finish_cleanup(yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		secret_wipe(event->data.scalar.value, event->data.scalar.length);
	yaml_event_delete(event);
}

static int next_event(struct yaml_reader *reader, yaml_event_t *ret_event)
{
	return yaml_parser_parse(&reader->parser, ret_event) ? YAML_OK : refuse_syntax(reader);
}

static struct yaml_node *node_create(struct yaml_reader *reader, yaml_mark_t mark, enum yaml_kind kind)
{
	struct yaml_node *node = calloc(1, sizeof *node);
	if (!node)
		return NULL;
	node->kind = kind;
	node->file = reader->file;
	node->line = mark.line + 1;
	node->column = mark.column + 1;
	return node;
}

/* Complains about an anchor or a tag; the node can be read all the same. */
static void check_properties(struct yaml_reader *reader, yaml_mark_t mark, bool has_anchor, bool has_tag)
{
	if (has_anchor)
		complain_at_mark(reader, mark, "anchors (&) are not supported; take it out");
	else if (has_tag)
		complain_at_mark(reader, mark, "tags (!) are not supported; take it out");
}

static bool is_null(struct span text)
{
	static const char *const spellings[] = { "", "~", "null", "Null", "NULL" };
	for (size_t i = 0; i < ARRAY_LENGTH(spellings); i++)
		if (span_equal(text, span_text(spellings[i])))
			return true;
	return false;
}

/* Escapes in quotes can still make control characters. */
static bool has_forbidden(struct span text)
{
	for (size_t n; text.n; text = span_skip(text, n)) {
		n = character_bytes(text);
		if (!n || text.data[0] == '\r' || is_forbidden(span_of(text.data, n)))
			return true;
	}
	return false;
}

static int read_scalar(struct yaml_reader *reader, const yaml_event_t *event, struct yaml_node **ret_node)
{
	struct span text = span_of(event->data.scalar.value, event->data.scalar.length);
	bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	bool has_tag = event->data.scalar.tag || byte_at(reader, event->start_mark) == '!'; /* libyaml forgets a lone "!" */
	check_properties(reader, event->start_mark, event->data.scalar.anchor, has_tag);
	CLEANUP(yaml_node_destroy) struct yaml_node *node = node_create(reader, event->start_mark, YAML_KIND_TEXT);
	if (!node)
		return -ENOMEM;
	node->is_quoted = !is_plain;
	if (is_plain && is_null(text)) {
		node->kind = YAML_KIND_NOTHING;
	} else if (has_forbidden(text)) {
		complain_at_mark(reader, event->start_mark, "an escape in this text makes a control character; take it out");
		node->kind = YAML_KIND_BROKEN;
	} else {
		node->text = span_dup(text);
		if (!node->text)
			return -ENOMEM;
	}
	*ret_node = STEAL(node);
	return YAML_OK;
}

static int read_alias(struct yaml_reader *reader, const yaml_event_t *event, struct yaml_node **ret_node)
{
	complain_at_mark(reader, event->start_mark, "aliases (*) are not supported; write it out");
	*ret_node = node_create(reader, event->start_mark, YAML_KIND_BROKEN);
	return *ret_node ? YAML_OK : -ENOMEM;
}

/* Takes the key and the value also when it fails. */
static int add_entry(struct yaml_node *node, struct yaml_node *key, struct yaml_node *value)
{
	void *grown = node->entries;
	if ((node->n_entries & (node->n_entries - 1)) == 0) /* powers of two */
		grown = reallocarray(grown, node->n_entries ? node->n_entries * 2 : 1, sizeof *node->entries);
	if (!grown) {
		yaml_node_destroy(key);
		yaml_node_destroy(value);
		return -ENOMEM;
	}
	node->entries = grown;
	node->entries[node->n_entries++] = (struct yaml_entry){ key, value };
	return 0;
}

static int read_node(struct yaml_reader *reader, const yaml_event_t *event, size_t depth, struct yaml_node **ret_node);

/* Says what is wrong with a key; NULL if nothing is. */
static const char *key_problem(const struct yaml_node *key)
{
	if (key->kind == YAML_KIND_NOTHING)
		return "a key is missing before the colon";
	if (key->kind != YAML_KIND_TEXT)
		return "a key must be plain text";
	if (!key->is_quoted && strcmp(key->text, "<<") == 0)
		return "merge keys (<<) are not supported; write the keys out";
	return NULL;
}

static void complain_twice(struct complaints *complaints, const struct yaml_node *key, const struct yaml_node *first)
{
	yaml_complain(complaints, false, key, "this key is in %s:%zu:%zu already; keep one of them", first->file->name,
				  first->line, first->column);
}

/* Moves key and value into the map, or complains and frees them. */
static int take_pair(struct yaml_reader *reader, struct yaml_node *map, struct yaml_node *key, struct yaml_node *value)
{
	const char *problem = key_problem(key);
	if (!problem)
		return add_entry(map, key, value);
	if (key->kind != YAML_KIND_BROKEN)
		yaml_complain(reader->complaints, false, key, "%s", problem);
	yaml_node_destroy(key);
	yaml_node_destroy(value);
	return YAML_OK;
}

/* By text, then by place. */
static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *first = (*(struct yaml_entry *const *)a)->key,
						   *second = (*(struct yaml_entry *const *)b)->key;
	int order = strcmp(first->text, second->text);
	if (order == 0)
		order = (first->line > second->line) - (first->line < second->line);
	if (order == 0)
		order = (first->column > second->column) - (first->column < second->column);
	return order;
}

static void drop_marked(struct yaml_node *map)
{
	size_t n = 0;
	for (size_t i = 0; i < map->n_entries; i++)
		if (map->entries[i].key)
			map->entries[n++] = map->entries[i];
	map->n_entries = n;
}

/* Keeps the first of equal keys. Sorting, as comparing all with all would take seconds in a hostile file. */
static int drop_duplicates(struct yaml_reader *reader, struct yaml_node *map)
{
	if (map->n_entries < 2)
		return YAML_OK;
	CLEANUP(free) struct yaml_entry **sorted = calloc(map->n_entries, sizeof(struct yaml_entry *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < map->n_entries; i++)
		sorted[i] = &map->entries[i];
	qsort(sorted, map->n_entries, sizeof *sorted, compare_keys);
	const struct yaml_node *first = sorted[0]->key;
	for (size_t i = 1; i < map->n_entries; i++) {
		if (strcmp(first->text, sorted[i]->key->text) != 0) {
			first = sorted[i]->key;
			continue;
		}
		complain_twice(reader->complaints, sorted[i]->key, first);
		yaml_node_destroy(STEAL(sorted[i]->key));
		yaml_node_destroy(STEAL(sorted[i]->value));
	}
	drop_marked(map);
	return YAML_OK;
}

/* The rest of an entry whose first event is here: a list's entry, or a map's key and value. */
static int read_entry(struct yaml_reader *reader, const yaml_event_t *event, size_t depth, struct yaml_node *parent)
{
	CLEANUP(yaml_node_destroy) struct yaml_node *first = NULL;
	CLEANUP(yaml_node_destroy) struct yaml_node *value = NULL;
	int error = read_node(reader, event, depth, &first);
	if (error)
		return error;
	if (parent->kind == YAML_KIND_LIST)
		return add_entry(parent, NULL, STEAL(first));
	CLEANUP(event_finish) yaml_event_t next = { 0 };
	error = next_event(reader, &next);
	if (!error)
		error = read_node(reader, &next, depth, &value);
	return error ? error : take_pair(reader, parent, STEAL(first), STEAL(value));
}

static int read_collection(struct yaml_reader *reader, size_t depth, struct yaml_node *node)
{
	for (size_t n = 0;; n++) {
		CLEANUP(event_finish) yaml_event_t event = { 0 };
		int error = next_event(reader, &event);
		if (error)
			return error;
		if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT)
			return YAML_OK;
		if (n == YAML_MAX_ENTRIES) {
			complain_at_mark(reader, event.start_mark, "more than 4096 entries in one map or list");
			return YAML_E_INVALID;
		}
		error = read_entry(reader, &event, depth + 1, node);
		if (error)
			return error;
	}
}

static int open_collection(struct yaml_reader *reader, const yaml_event_t *event, size_t depth,
						   struct yaml_node **ret_node)
{
	bool is_map = event->type == YAML_MAPPING_START_EVENT;
	if (depth > YAML_MAX_DEPTH) {
		complain_at_mark(reader, event->start_mark, "nested deeper than 16 levels");
		return YAML_E_INVALID;
	}
	if (is_map)
		check_properties(reader, event->start_mark, event->data.mapping_start.anchor, event->data.mapping_start.tag);
	else
		check_properties(reader, event->start_mark, event->data.sequence_start.anchor, event->data.sequence_start.tag);
	CLEANUP(yaml_node_destroy)
	struct yaml_node *node = node_create(reader, event->start_mark, is_map ? YAML_KIND_MAP : YAML_KIND_LIST);
	int error = node ? read_collection(reader, depth, node) : -ENOMEM;
	if (!error && is_map)
		error = drop_duplicates(reader, node);
	if (!error)
		*ret_node = STEAL(node);
	return error;
}

/* The node that this event begins. Recursion is bounded by YAML_MAX_DEPTH. */
static int read_node(struct yaml_reader *reader, const yaml_event_t *event, size_t depth, struct yaml_node **ret_node)
{
	if (event->type == YAML_ALIAS_EVENT)
		return read_alias(reader, event, ret_node);
	if (event->type == YAML_SCALAR_EVENT)
		return read_scalar(reader, event, ret_node);
	return open_collection(reader, event, depth, ret_node);
}

/* --- the stream: one document at most --- */

static int read_stream(struct yaml_reader *reader, struct yaml_node **ret_root)
{
	CLEANUP(yaml_node_destroy) struct yaml_node *root = NULL;
	for (;;) {
		CLEANUP(event_finish) yaml_event_t event = { 0 };
		int error = next_event(reader, &event);
		if (error)
			return error;
		if (event.type == YAML_STREAM_END_EVENT)
			break;
		if (event.type == YAML_DOCUMENT_START_EVENT && root) {
			complain_at_mark(reader, event.start_mark, "a second document begins here; write one document in a file");
			return YAML_E_INVALID;
		}
		if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT ||
			event.type == YAML_DOCUMENT_END_EVENT)
			continue;
		error = read_node(reader, &event, 1, &root);
		if (error)
			return error;
	}
	if (!root)
		root = node_create(reader, (yaml_mark_t){ 0 }, YAML_KIND_NOTHING);
	*ret_root = STEAL(root);
	return *ret_root ? YAML_OK : -ENOMEM;
}

/* libyaml frees its copies of the text without wiping them. */
static void finish_parser(yaml_parser_t *parser)
{
	for (yaml_token_t *token = parser->tokens.head; token && token < parser->tokens.tail; token++)
		if (token->type == YAML_SCALAR_TOKEN)
			secret_wipe(token->data.scalar.value, token->data.scalar.length);
	secret_wipe(parser->raw_buffer.start, (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
	secret_wipe(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
	yaml_parser_delete(parser);
}

int yaml_read(const struct yaml_file *file, struct span text, struct complaints *complaints,
			  struct yaml_node **ret_root)
{
	struct yaml_reader reader = { .file = file, .complaints = complaints, .text = text };
	int error = check_text(&reader);
	if (error)
		return error;
	if (!yaml_parser_initialize(&reader.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(reader.text.n ? reader.text.data : ""),
								 reader.text.n);
	error = read_stream(&reader, ret_root);
	finish_parser(&reader.parser);
	return error;
}

/* --- trees --- */

void yaml_node_destroy(struct yaml_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->n_entries; i++) {
		yaml_node_destroy(node->entries[i].key);
		yaml_node_destroy(node->entries[i].value);
	}
	free(node->entries);
	if (node->text)
		secret_wipe(node->text, strlen(node->text));
	free(node->text);
	free(node);
}

static struct yaml_entry *find_entry(const struct yaml_node *map, const char *key)
{
	for (size_t i = 0; map && map->kind == YAML_KIND_MAP && i < map->n_entries; i++)
		if (strcmp(map->entries[i].key->text, key) == 0)
			return &map->entries[i];
	return NULL;
}

const struct yaml_entry *yaml_find(const struct yaml_node *map, const char *key)
{
	return find_entry(map, key);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	const struct yaml_entry *entry = yaml_find(map, key);
	return entry ? entry->value : NULL;
}

/* Moves the entry, or merges or refuses it. */
static int merge_entry(struct yaml_node *into, struct yaml_entry *entry, struct complaints *complaints)
{
	struct yaml_entry *present = find_entry(into, entry->key->text);
	if (!present)
		return add_entry(into, STEAL(entry->key), STEAL(entry->value));
	if (present->value->kind == YAML_KIND_MAP && entry->value->kind == YAML_KIND_MAP)
		return yaml_merge(present->value, entry->value, complaints);
	complain_twice(complaints, entry->key, present->key);
	return 0;
}

int yaml_merge(struct yaml_node *into, struct yaml_node *from, struct complaints *complaints)
{
	for (size_t i = 0; i < from->n_entries; i++) {
		int error = merge_entry(into, &from->entries[i], complaints);
		if (error)
			return error;
	}
	return 0;
}
