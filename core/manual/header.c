/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A C header as text: a comment that stands for itself becomes paragraphs, the declarations behind it stand as they
 * are, with the comments inside them, and a ruled comment begins a section. What is between #if and #endif is for
 * compilers.
 */
#include "manual/part.h"
#include "manual/roff.h"

#define GUARD "BELFRY_PLUGIN_H"
#define RULE SPAN("/* ---")
/* Of code in a comment, behind " * ". */
#define CODE SPAN("    ")

struct reading {
	struct buffer *page;
	struct buffer code;       /* declarations that wait for their end */
	struct buffer paragraphs; /* of a comment, or code in it */
	unsigned depth;           /* of conditions */
	bool is_in_comment;
	bool is_code;     /* what `paragraphs` has */
	bool needs_pause; /* something other than a heading stands before */
};

static bool starts_with(struct span line, const char *prefix)
{
	return span_starts_with(line, span_text(prefix));
}

static bool is_blank(struct span line)
{
	return span_trim(line).n == 0;
}

static void end_code(struct reading *reading)
{
	if (reading->code.n) {
		roff_add_literal(reading->page, buffer_span(&reading->code));
		reading->needs_pause = true;
	}
	reading->code.n = 0;
}

static void end_paragraphs(struct reading *reading)
{
	struct span text = buffer_span(&reading->paragraphs);
	if (text.n == 0)
		return;
	if (!reading->is_code && reading->needs_pause)
		buffer_add_text(reading->page, ".Pp\n");
	(reading->is_code ? roff_add_literal : roff_add_text)(reading->page, text);
	reading->paragraphs.n = 0;
	reading->needs_pause = true;
}

/* "/" "* --- the host --- *" "/" */
static void add_heading(struct reading *reading, struct span line)
{
	end_code(reading);
	size_t start = reading->page->n + sizeof ".Ss " - 1;
	buffer_add_text(reading->page, ".Ss ");
	for (size_t i = RULE.n + 1; i < line.n && !starts_with(span_skip(line, i), " -"); i++)
		buffer_add_char(reading->page, line.data[i]);
	if (!reading->page->failed)
		reading->page->data[start] = (char)(reading->page->data[start] - 'a' + 'A');
	buffer_add_char(reading->page, '\n');
	reading->needs_pause = false;
}

/* A line of a comment, without what makes it one. */
static void add_comment_line(struct reading *reading, struct span line)
{
	bool is_code = span_starts_with(line, CODE);
	if (reading->paragraphs.n && (is_blank(line) ? !reading->is_code : is_code != reading->is_code))
		end_paragraphs(reading);
	if (is_blank(line) && reading->paragraphs.n == 0)
		return;
	if (reading->paragraphs.n == 0)
		reading->is_code = is_code;
	buffer_add(&reading->paragraphs, reading->is_code && is_code ? span_skip(line, CODE.n) : line);
	buffer_add_char(&reading->paragraphs, reading->is_code ? '\n' : ' ');
}

/* From behind its beginning, or from a line's on. */
static void take_comment(struct reading *reading, struct span line)
{
	const char *end = line.n ? memmem(line.data, line.n, "*/", 2) : NULL;
	if (end)
		line.n = (size_t)(end - line.data);
	if (starts_with(line, " * "))
		line = span_skip(line, 3);
	else if (starts_with(line, " *") || starts_with(line, " "))
		line = span_skip(line, line.n > 1 && line.data[1] == '*' ? 2 : 1);
	add_comment_line(reading, line);
	reading->is_in_comment = !end;
	if (end)
		end_paragraphs(reading);
}

/* True: the line is for compilers. */
static bool is_for_compilers(struct reading *reading, struct span line)
{
	if (starts_with(line, "#include") || memmem(line.data, line.n, GUARD, sizeof GUARD - 1))
		return true;
	if (starts_with(line, "#if")) {
		reading->depth++;
		return true;
	}
	if (!starts_with(line, "#endif"))
		return reading->depth > 0;
	reading->depth -= reading->depth > 0;
	return true;
}

static void take_line(struct reading *reading, struct span line)
{
	if (reading->is_in_comment) {
		take_comment(reading, line);
	} else if (line.n && is_for_compilers(reading, line)) {
		return;
	} else if (span_starts_with(line, RULE)) {
		add_heading(reading, line);
	} else if (starts_with(line, "/*")) {
		end_code(reading);
		take_comment(reading, span_skip(line, 2));
	} else if (reading->code.n || !is_blank(line)) {
		buffer_add(&reading->code, line);
		buffer_add_char(&reading->code, '\n');
	}
}

void header_add_page(struct buffer *page, struct span header)
{
	struct reading reading = { .page = page };
	struct span line;
	(void)span_next(&header, '\n', &line); /* the licence */
	while (span_next(&header, '\n', &line))
		take_line(&reading, line);
	end_code(&reading);
	page->failed |= reading.code.failed || reading.paragraphs.failed;
	buffer_finish(&reading.code);
	buffer_finish(&reading.paragraphs);
}
