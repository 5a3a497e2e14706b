/* SPDX-License-Identifier: Apache-2.0 */
/* belfry plugin new: a folder with a plugin, its Makefile, an event to try it with, and a page about it. */
#include "cli/output.h"
#include "cli/plugin.h"
#include "config/value.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PLACE "@NAME@"
#define SOURCE "plugin.c.in" /* becomes NAME.c */

static void add_filled(struct buffer *text, struct span form, const char *name)
{
	const char *place;
	while ((place = memmem(form.data, form.n, PLACE, strlen(PLACE)))) {
		size_t n = (size_t)(place - form.data);
		buffer_add(text, span_of(form.data, n));
		buffer_add_text(text, name);
		form = span_skip(form, n + strlen(PLACE));
	}
	buffer_add(text, form);
}

static int write_file(int folder, const char *name, struct span text)
{
	CLEANUP(close) int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	while (text.n) {
		ssize_t n = write(fd, text.data, text.n);
		if (n < 0 && errno != EINTR)
			return -errno;
		text = span_skip(text, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int write_filled(int folder, const struct plugin_file *file, const char *name)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer target = BUFFER_INIT;
	add_filled(&text, file->text, name);
	if (strcmp(file->name, SOURCE) == 0)
		buffer_add_printf(&target, "%s.c%c", name, '\0');
	else
		buffer_add_printf(&target, "%s%c", file->name, '\0');
	return text.failed || target.failed ? -ENOMEM : write_file(folder, target.data, buffer_span(&text));
}

static int write_all(const char *name)
{
	if (mkdir(name, 0755) < 0)
		return -errno;
	CLEANUP(close) int folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = folder < 0 ? -errno : 0;
	for (const struct plugin_file *file = plugin_files; r == 0 && file->name; file++)
		r = write_filled(folder, file, name);
	return r;
}

int plugin_new(const struct invocation *invocation)
{
	const char *name = invocation->operands[1];
	const char *wrong = value_check_name(span_text(name));
	if (wrong) {
		output_complain("\"%s\" %s", name, wrong);
		return CLI_E_USAGE;
	}
	int r = write_all(name);
	if (r < 0) {
		output_complain("%s: %s", name, strerrordesc_np(-r));
		return CLI_E_IO;
	}
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	buffer_add_printf(&line, "%s/%s.c is the plugin; \"make -C %s test\" builds it and tries it", name, name, name);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}
