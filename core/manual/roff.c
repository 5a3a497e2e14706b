/* SPDX-License-Identifier: Apache-2.0 */
#include "manual/roff.h"

#define WIDTH 78
#define TAB_WIDTH 4

/* What the language would take for something else, or a typesetter for another character. */
static const char *escape(char c)
{
	switch (c) {
	case '\\':
		return "\\e";
	case '-':
		return "\\-";
	case '\'':
		return "\\(aq";
	case '`':
		return "\\(ga";
	case '^':
		return "\\(ha";
	case '~':
		return "\\(ti";
	default:
		return NULL;
	}
}

static void add_escaped(struct buffer *page, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		const char *escaped = escape(text.data[i]);
		if (escaped)
			buffer_add_text(page, escaped);
		else
			buffer_add_char(page, text.data[i]);
	}
}

/* A full stop in front would make the line a macro's. */
static void begin_line(struct buffer *page, struct span text)
{
	if (text.n && text.data[0] == '.')
		buffer_add_text(page, "\\&");
}

static bool ends_sentence(struct span word)
{
	while (word.n && strchr(")\"'", word.data[word.n - 1]))
		word.n--;
	return word.n && strchr(".?!", word.data[word.n - 1]);
}

static size_t escaped_bytes(struct span word)
{
	size_t n = 0;
	for (size_t i = 0; i < word.n; i++) {
		const char *escaped = escape(word.data[i]);
		n += escaped ? strlen(escaped) : 1;
	}
	return n;
}

/* "create()," is the name of a function, and what stands behind it. */
static bool is_function(struct span word, struct span *ret_name, struct span *ret_rest)
{
	const char *parentheses = memmem(word.data, word.n, "()", 2);
	if (!parentheses || parentheses == word.data)
		return false;
	*ret_name = span_of(word.data, (size_t)(parentheses - word.data));
	*ret_rest = span_skip(word, ret_name->n + 2);
	return true;
}

static void add_function(struct buffer *page, struct span name, struct span rest)
{
	buffer_add_text(page, ".Fn ");
	buffer_add(page, name);
	if (rest.n)
		buffer_add_text(page, strchr(".,;:", rest.data[0]) ? " " : " Ns ");
	add_escaped(page, rest);
}

/* Appends to the line that is `column` long, or begins another. Returns how long it is then; 0: a new one has to begin.
 */
static size_t add_word(struct buffer *page, struct span word, size_t column)
{
	struct span name, rest;
	size_t n = escaped_bytes(word);
	bool is_macro = is_function(word, &name, &rest);
	if (column + 1 + n > WIDTH || is_macro)
		column = 0;
	if (page->n && page->data[page->n - 1] != '\n')
		buffer_add_char(page, column ? ' ' : '\n');
	if (is_macro) {
		add_function(page, name, rest);
		return 0;
	}
	if (column == 0)
		begin_line(page, word);
	add_escaped(page, word);
	return ends_sentence(word) ? 0 : column + n + 1;
}

static void add_paragraph(struct buffer *page, struct span text)
{
	struct span word;
	size_t column = 0;
	while (span_next(&text, ' ', &word))
		if (word.n)
			column = add_word(page, word, column);
	buffer_add_char(page, '\n');
}

void roff_add_text(struct buffer *page, struct span text)
{
	struct span line;
	bool is_first = true;
	while (span_next(&text, '\n', &line)) {
		if (line.n == 0)
			continue;
		if (!is_first)
			buffer_add_text(page, ".Pp\n");
		add_paragraph(page, line);
		is_first = false;
	}
}

static void add_literal_line(struct buffer *page, struct span line)
{
	begin_line(page, line);
	for (size_t i = 0, column = 0; i < line.n; i++, column++) {
		if (line.data[i] != '\t') {
			add_escaped(page, span_of(line.data + i, 1));
			continue;
		}
		do
			buffer_add_char(page, ' ');
		while (++column % TAB_WIDTH);
		column--;
	}
	buffer_add_char(page, '\n');
}

void roff_add_literal(struct buffer *page, struct span lines)
{
	struct span line;
	while (lines.n && lines.data[lines.n - 1] == '\n')
		lines.n--;
	buffer_add_text(page, ".Bd -literal -offset indent\n");
	while (span_next(&lines, '\n', &line))
		add_literal_line(page, line);
	buffer_add_text(page, ".Ed\n");
}

void roff_add_word(struct buffer *page, struct span word)
{
	buffer_add_text(page, " \\&");
	add_escaped(page, word);
}
