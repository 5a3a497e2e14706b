/* SPDX-License-Identifier: Apache-2.0 */
#include "host/expression.h"

#define MAX_DEPTH 100

/* What is open, outermost first: '(' '[' '{', and '"' within a string. */
struct scan {
	struct span text;
	size_t at;
	char open[MAX_DEPTH];
	size_t depth;
	const char *wrong;
};

static char innermost(const struct scan *scan)
{
	return scan->depth ? scan->open[scan->depth - 1] : '\0';
}

static void enter(struct scan *scan, char bracket)
{
	if (scan->depth == MAX_DEPTH)
		scan->wrong = "more than 100 brackets are open at once";
	else
		scan->open[scan->depth++] = bracket;
}

static void leave(struct scan *scan, char bracket)
{
	if (innermost(scan) != bracket)
		scan->wrong = "a bracket is closed that was not opened";
	else
		scan->depth--;
}

/* One character within a string: \( opens an expression, whose bracket closes into the string again. */
static void step_string(struct scan *scan, char c)
{
	if (c == '"') {
		scan->depth--;
	} else if (c == '\\' && scan->at < scan->text.n && scan->text.data[scan->at++] == '(') {
		enter(scan, '(');
	}
}

static void skip_comment(struct scan *scan)
{
	while (scan->at < scan->text.n && scan->text.data[scan->at] != '\n')
		scan->at++;
}

static void step_code(struct scan *scan, char c)
{
	switch (c) {
	case '(':
	case '[':
	case '{':
	case '"':
		enter(scan, c);
		break;
	case ')':
		leave(scan, '(');
		break;
	case ']':
		leave(scan, '[');
		break;
	case '}':
		leave(scan, '{');
		break;
	case '#':
		skip_comment(scan);
		break;
	case '\0':
		scan->wrong = "there is a NUL in it";
		break;
	default:
		break;
	}
}

static bool is_at_end(const struct scan *scan)
{
	return scan->depth == 0 && span_starts_with(span_skip(scan->text, scan->at), SPAN("}}"));
}

/* Up to the end of the text; with `has_end` to the first "}}" that closes nothing else. */
static const char *run(struct scan *scan, bool has_end)
{
	while (scan->at < scan->text.n && !scan->wrong && !(has_end && is_at_end(scan))) {
		char c = scan->text.data[scan->at++];
		if (innermost(scan) == '"' && c != '\0')
			step_string(scan, c);
		else
			step_code(scan, c);
	}
	if (scan->wrong)
		return scan->wrong;
	if (innermost(scan) == '"')
		return "a string does not end";
	if (scan->depth)
		return "a bracket is not closed";
	return NULL;
}

const char *expression_judge(struct span text)
{
	struct scan scan = { .text = text };
	return run(&scan, false);
}

const char *expression_find_end(struct span text, size_t *ret_n)
{
	struct scan scan = { .text = text };
	const char *wrong = run(&scan, true);
	if (wrong)
		return wrong;
	if (scan.at == text.n)
		return "}} is missing";
	*ret_n = scan.at;
	return NULL;
}
