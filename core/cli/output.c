/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "cli/printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void output_complain(const char *format, ...)
{
	CLEANUP(free) char *message = NULL;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	va_list args;
	va_start(args, format);
	if (vasprintf(&message, format, args) < 0)
		message = NULL;
	va_end(args);
	buffer_add_text(&line, "belfry: ");
	printable_add(&line, span_text(message ? message : "not enough memory"));
	buffer_add_char(&line, '\n');
	if (!line.failed)
		(void)fwrite(line.data, 1, line.n, stderr);
}

int output_no_memory(void)
{
	(void)fputs("belfry: not enough memory\n", stderr);
	return -ENOMEM;
}

int output_line(struct span line)
{
	errno = 0;
	if (fwrite(line.data, 1, line.n, stdout) == line.n && putchar('\n') != EOF && fflush(stdout) == 0)
		return 0;
	return errno ? -errno : -EIO;
}

int output_json_new(json_t *value)
{
	CLEANUP(free)
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)) : NULL;
	json_decref(value);
	return text ? output_line(span_text(text)) : -ENOMEM;
}

bool output_is_coloured(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}
