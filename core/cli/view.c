/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view.h"

#include "cli/printable.h"

/* More of a summary is no help. */
#define MAX_CHARACTERS 80

#define DIM "\033[2m"
#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

/* Makes every number outside of strings a 0. The text is the gateway's, so it is JSON but for numbers beyond every
 * type. */
static void blank_numbers(char *text, size_t n)
{
	bool is_string = false, is_number = false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (c == '"')
			is_string = !is_string;
		else if (is_string && c == '\\')
			i++;
		if (is_string)
			continue;
		bool was_number = is_number;
		is_number = (c >= '0' && c <= '9') || c == '-' || (was_number && strchr(".eE+", c));
		if (is_number)
			text[i] = was_number ? ' ' : '0';
	}
}

json_t *view_load(struct span text)
{
	json_error_t error;
	json_t *json = json_loadb(text.data, text.n, JSON_ALLOW_NUL, &error);
	if (!json && json_error_code(&error) == json_error_numeric_overflow) {
		CLEANUP(free) char *copy = span_dup(text);
		if (!copy)
			return NULL;
		blank_numbers(copy, text.n);
		json = json_loadb(copy, text.n, JSON_ALLOW_NUL, NULL);
	}
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

static struct span text_of(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);
	return json_is_string(value) ? span_of(json_string_value(value), json_string_length(value)) : SPAN("");
}

/* One column, and the gap in front of it; nothing if the text is empty. */
static void add_column(struct buffer *line, const char *colour, struct span text)
{
	if (text.n == 0)
		return;
	if (line->n)
		buffer_add_text(line, "  ");
	if (colour)
		buffer_add_text(line, colour);
	printable_add_cut(line, text, MAX_CHARACTERS);
	if (colour)
		buffer_add_text(line, PLAIN);
}

static const char *colour_of(struct span type)
{
	static const struct {
		const char *suffix, *colour;
	} colours[] = {
		{ "_assigned", GREEN }, { "_failing", YELLOW }, { "_failed", YELLOW }, { "_disconnected", YELLOW }
	};
	for (size_t i = 0; i < ARRAY_LENGTH(colours); i++) {
		struct span suffix = span_text(colours[i].suffix);
		if (type.n >= suffix.n && span_equal(span_skip(type, type.n - suffix.n), suffix))
			return colours[i].colour;
	}
	return CYAN;
}

/* "conferencing_failing/profile_missing" */
static void add_interactions(struct buffer *line, const json_t *interactions, bool is_coloured)
{
	size_t i;
	const json_t *interaction;
	json_array_foreach(interactions, i, interaction)
	{
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		struct span type = text_of(interaction, "type"), subtype = text_of(interaction, "subtype");
		buffer_add(&text, type);
		if (subtype.n)
			buffer_add_char(&text, '/');
		buffer_add(&text, subtype);
		add_column(line, is_coloured ? colour_of(type) : NULL, buffer_span(&text));
	}
}

static void add_tags(struct buffer *line, const json_t *tags, bool is_coloured)
{
	const char *name;
	const json_t *value;
	/* jansson's iterator wants a mutable object, and changes nothing */
	for (void *i = json_object_iter((json_t *)(uintptr_t)tags); i;
		 i = json_object_iter_next((json_t *)(uintptr_t)tags, i)) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		name = json_object_iter_key(i);
		value = json_object_iter_value(i);
		buffer_add(&text, span_of(name, json_object_iter_key_len(i)));
		buffer_add_char(&text, '=');
		if (json_is_string(value))
			buffer_add(&text, span_of(json_string_value(value), json_string_length(value)));
		add_column(line, is_coloured ? DIM : NULL, buffer_span(&text));
	}
}

void view_add_event(struct buffer *line, const json_t *message, bool is_coloured)
{
	const char *dim = is_coloured ? DIM : NULL;
	const json_t *event = json_object_get(json_object_get(message, "callback"), "event");
	add_column(line, dim, text_of(message, "received_at"));
	add_column(line, dim, text_of(message, "position"));
	add_interactions(line, json_object_get(message, "interactions"), is_coloured);
	add_column(line, NULL, text_of(event, "event_id"));
	add_column(line, is_coloured ? BOLD : NULL, text_of(event, "summary"));
	add_tags(line, json_object_get(message, "tags"), is_coloured);
}

void view_add_outcome(struct buffer *line, const json_t *message, bool is_coloured)
{
	static const char *const keys[] = { "handler", "interaction", "state", "detail" };
	const char *dim = is_coloured ? DIM : NULL;
	add_column(line, dim, text_of(message, "at"));
	add_column(line, dim, text_of(message, "position"));
	add_column(line, dim, SPAN("outcome of"));
	add_column(line, dim, text_of(message, "event_position"));
	for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
		add_column(line, NULL, text_of(message, keys[i]));
	buffer_add_printf(line, "  attempt %lld", (long long)json_integer_value(json_object_get(message, "attempt")));
}
