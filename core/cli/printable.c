/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

static const struct {
	uint32_t first, last;
} hidden[] = {
	{ 0x0000, 0x001f },   /* C0 */
	{ 0x007f, 0x009f },   /* DEL, C1 */
	{ 0x00ad, 0x00ad },   /* soft hyphen */
	{ 0x061c, 0x061c },   /* Arabic letter mark */
	{ 0x180e, 0x180e },   /* Mongolian vowel separator */
	{ 0x200b, 0x200b },   /* zero width space; its joiners stay, scripts and emoji need them */
	{ 0x200e, 0x200f },   /* direction marks */
	{ 0x2028, 0x202e },   /* line and paragraph separators, embeddings, overrides */
	{ 0x2060, 0x206f },   /* invisible operators, isolates */
	{ 0xfeff, 0xfeff },   /* byte order mark */
	{ 0xfff9, 0xfffb },   /* annotations */
	{ 0xe0000, 0xe0fff }, /* tags */
};

static bool is_hidden(uint32_t character)
{
	for (size_t i = 0; i < ARRAY_LENGTH(hidden); i++)
		if (character >= hidden[i].first && character <= hidden[i].last)
			return true;
	return false;
}

/* The bytes of the first character; 0 if they are no UTF-8. */
static size_t decode(struct span s, uint32_t *ret_character)
{
	size_t n = 1;
	while (n <= 4 && n <= s.n && !span_is_utf8(span_of(s.data, n)))
		n++;
	if (n > 4 || n > s.n)
		return 0;
	uint32_t character = (unsigned char)s.data[0] & (n == 1 ? 0x7fu : 0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++)
		character = character << 6 | ((unsigned char)s.data[i] & 0x3fu);
	*ret_character = character;
	return n;
}

/* Appends the first character of *raw in a form that can be seen, and takes it off. */
static void add_character(struct buffer *text, struct span *raw)
{
	uint32_t character = 0;
	size_t n = decode(*raw, &character);
	if (n == 0) {
		buffer_add_printf(text, "\\x%02x", (unsigned char)raw->data[0]);
		n = 1;
	} else if (is_hidden(character)) {
		buffer_add_printf(text, "\\u{%x}", (unsigned)character);
	} else {
		buffer_add(text, span_of(raw->data, n));
	}
	*raw = span_skip(*raw, n);
}

void printable_add(struct buffer *text, struct span raw)
{
	while (raw.n)
		add_character(text, &raw);
}

void printable_add_cut(struct buffer *text, struct span raw, size_t max_characters)
{
	for (size_t i = 0; raw.n && i < max_characters; i++)
		add_character(text, &raw);
	if (raw.n)
		buffer_add_text(text, "...");
}

static void add_json_escape(struct buffer *line, uint32_t character)
{
	if (character > 0xffff) {
		character -= 0x10000;
		buffer_add_printf(line, "\\u%04x", (unsigned)(0xd800 + (character >> 10)));
		character = 0xdc00 + (character & 0x3ff);
	}
	buffer_add_printf(line, "\\u%04x", (unsigned)character);
}

/* One character inside a string of the JSON text; true if it closes the string. */
static bool add_json_character(struct buffer *line, struct span *json)
{
	uint32_t character = 0;
	size_t n = decode(*json, &character);
	bool is_end = character == '"' && n == 1;
	if (n == 0) {
		add_json_escape(line, 0xfffd);
		n = 1;
	} else if (character == '\\' && json->n > 1) { /* an escape: the next character means nothing by itself */
		n = 2;
		buffer_add(line, span_of(json->data, n));
	} else if (is_hidden(character)) {
		add_json_escape(line, character);
	} else {
		buffer_add(line, span_of(json->data, n));
	}
	*json = span_skip(*json, n);
	return is_end;
}

void printable_add_json_line(struct buffer *line, struct span json)
{
	bool is_string = false;
	while (json.n) {
		if (is_string) {
			is_string = !add_json_character(line, &json);
			continue;
		}
		char c = json.data[0];
		is_string = c == '"';
		if (c > ' ' && c < 0x7f)
			buffer_add_char(line, c);
		json = span_skip(json, 1);
	}
}
