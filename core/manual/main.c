/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input.h"
#include "manual/part.h"

#include <errno.h>
#include <stdio.h>

#define MAX_BYTES (1 << 20)

static const struct part *const tables[] = { page_parts, completion_parts, schema_parts };

static int complain(const char *path, const char *problem)
{
	(void)fprintf(stderr, "belfry-manual: %s: %s\n", path, problem);
	return EXIT_FAILURE;
}

static int write_file(const char *path, struct span text)
{
	FILE *file = fopen(path, "w");
	if (!file)
		return -errno;
	bool is_written = fwrite(text.data, 1, text.n, file) == text.n;
	return fclose(file) == 0 && is_written ? 0 : -EIO;
}

static const struct part *find_part(struct span name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(tables); i++)
		for (const struct part *part = tables[i]; part->name; part++)
			if (span_equal(name, span_text(part->name)))
				return part;
	return NULL;
}

/* "@NAME@" and nothing else: *ret_name is what stands between. */
static bool is_part(struct span line, struct span *ret_name)
{
	if (line.n < 3 || line.data[0] != '@' || line.data[line.n - 1] != '@')
		return false;
	*ret_name = span_of(line.data + 1, line.n - 2);
	return true;
}

/* False: there is no such part. */
static bool add_part(struct buffer *text, struct span name, struct span header)
{
	const struct part *part = find_part(name);
	if (part)
		part->add(text);
	else if (span_equal(name, SPAN("header")))
		header_add_page(text, header);
	else
		return false;
	return true;
}

static int fill(const char *path, struct span rest, struct span header, struct buffer *text)
{
	struct span line, name;
	while (span_next(&rest, '\n', &line)) {
		if (!is_part(line, &name)) {
			buffer_add(text, line);
			if (rest.data)
				buffer_add_char(text, '\n');
		} else if (!add_part(text, name, header)) {
			return complain(path, "there is no part of a name that it has");
		}
	}
	return text->failed ? complain(path, strerrordesc_np(ENOMEM)) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	CLEANUP(buffer_finish) struct buffer template = BUFFER_INIT, header = BUFFER_INIT, text = BUFFER_INIT;
	if (argc != 4)
		return complain("usage", "belfry-manual TEMPLATE HEADER RESULT");
	int r = input_read(argv[1], MAX_BYTES, &template);
	if (r < 0)
		return complain(argv[1], strerrordesc_np(-r));
	r = input_read(argv[2], MAX_BYTES, &header);
	if (r < 0)
		return complain(argv[2], strerrordesc_np(-r));
	if (fill(argv[1], buffer_span(&template), buffer_span(&header), &text) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	r = write_file(argv[3], buffer_span(&text));
	return r < 0 ? complain(argv[3], strerrordesc_np(-r)) : EXIT_SUCCESS;
}
