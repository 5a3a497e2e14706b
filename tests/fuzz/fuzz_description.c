/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a plugin's process prints as its description: its code may have printed it, too. It is refused in a sentence, or
 * becomes rows that a configuration can be read with; its defaults at least fit, so that a plugin without options that
 * must be said gives JSON.
 */
#include "config/description.h"
#include "described.h"

static struct span printed;

int __wrap_program_run(const char *const *arguments, struct span input, int64_t patience_ms, struct buffer *output,
					   char **ret_problem)
{
	(void)arguments, (void)input, (void)patience_ms, (void)ret_problem;
	buffer_add(output, printed);
	return PROGRAM_OK;
}

static void check_line(const char *text)
{
	FUZZ_ASSERT(text && *text && !strpbrk(text, "\n\r\x1b") && span_is_utf8(span_text(text)));
}

static bool check_rows(const struct description *description)
{
	bool has_required = false;
	for (size_t i = 0; i < description->n_options; i++) {
		const struct option *option = &description->options[i];
		check_line(option->key);
		check_line(option->help);
		FUZZ_ASSERT(option->type && option->type->read);
		FUZZ_ASSERT(option->fallback || option->example);
		has_required |= option->is_required;
	}
	FUZZ_ASSERT(!description->options[description->n_options].key);
	return has_required;
}

static void check_configured(const struct description *description, bool has_required)
{
	static const struct yaml_file file = { .name = "belfry.yaml" };
	const struct yaml_node place = { .kind = YAML_KIND_NOTHING, .file = &file, .line = 1, .column = 1 };
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(free) char *json = NULL;
	FUZZ_ASSERT(description_configure(description, NULL, &place, &complaints, &json) == 0);
	FUZZ_ASSERT((json != NULL) == (complaints.n_errors == 0));
	FUZZ_ASSERT(has_required == (complaints.n_errors > 0) || !json);
	for (size_t i = 0; i < complaints.n; i++)
		check_line(complaints.items[i].text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(description_destroy) struct description *description = NULL;
	printed = span_of(data, n);
	FUZZ_ASSERT(description_create("program", "/etc/passwd", &description) == 0);
	if (description->problem)
		check_line(description->problem);
	else
		check_configured(description, check_rows(description));
	return 0;
}
