/* SPDX-License-Identifier: Apache-2.0 */
#include "config/complaint.h"

#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

/* Reports whether there is room for one more element behind the n that are there. */
static bool grow(struct complaints *complaints, void **array, size_t n, size_t element_bytes)
{
	void *grown = reallocarray(*array, n + 1, element_bytes);
	if (!grown) {
		complaints->failed = true;
		return false;
	}
	*array = grown;
	return true;
}

static size_t file_rank(const struct complaints *complaints, const char *file)
{
	for (size_t i = 0; file && i < complaints->n_files; i++)
		if (strcmp(complaints->files[i], file) == 0)
			return i;
	return SIZE_MAX;
}

void complaints_expect_file(struct complaints *complaints, const char *file)
{
	void *files = complaints->files;
	if (file_rank(complaints, file) != SIZE_MAX || !grow(complaints, &files, complaints->n_files, sizeof(char *)))
		return;
	complaints->files = files;
	char *name = span_dup(span_text(file));
	if (name)
		complaints->files[complaints->n_files++] = name;
	else
		complaints->failed = true;
}

static bool stands_before(const struct complaint *a, const struct complaint *b)
{
	if (a->file != b->file)
		return a->file < b->file;
	if (a->line != b->line)
		return a->line < b->line;
	return a->column < b->column;
}

/* Behind all that stand at the same place: what was said first stays first. */
static void insert(struct complaints *complaints, struct complaint complaint)
{
	size_t at = complaints->n;
	while (at > 0 && stands_before(&complaint, &complaints->items[at - 1]))
		at--;
	if (complaints->n == COMPLAINTS_MAX) {
		complaints->n_left_out++;
		free(at == COMPLAINTS_MAX ? complaint.text : complaints->items[--complaints->n].text);
		if (at == COMPLAINTS_MAX)
			return;
	}
	memmove(&complaints->items[at + 1], &complaints->items[at], (complaints->n - at) * sizeof complaint);
	complaints->items[at] = complaint;
	complaints->n++;
}

/* "belfry.yaml:12:5: message"; NULL without memory. */
static char *compose(const char *file, size_t line, size_t column, const char *message)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	if (file && line)
		buffer_add_printf(&text, "%s:%zu:%zu: ", file, line, column);
	else if (file)
		buffer_add_printf(&text, "%s: ", file);
	buffer_add_text(&text, message);
	return buffer_steal_text(&text);
}

void complaints_add(struct complaints *complaints, bool is_warning, const char *file, size_t line, size_t column,
					const char *format, ...)
{
	char *message = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0)
		message = NULL;
	va_end(arguments);
	struct complaint complaint = { .is_warning = is_warning,
								   .text = message ? compose(file, line, column, message) : NULL,
								   .file = file_rank(complaints, file),
								   .line = line,
								   .column = column };
	free(message);
	if (!is_warning)
		complaints->n_errors++;
	void *items = complaints->items;
	if (!complaint.text || !grow(complaints, &items, complaints->n, sizeof complaint)) {
		complaints->failed = true;
		free(complaint.text);
		return;
	}
	complaints->items = items;
	insert(complaints, complaint);
}

void complaints_finish(struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->n; i++)
		free(complaints->items[i].text);
	free(complaints->items);
	for (size_t i = 0; i < complaints->n_files; i++)
		free(complaints->files[i]);
	free(complaints->files);
	*complaints = COMPLAINTS_INIT;
}
