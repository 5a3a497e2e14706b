/* SPDX-License-Identifier: Apache-2.0 */
#include "config/difference.h"

#include "config/options.h"

struct finder {
	struct schema_comparer comparer; /* first */
	struct differences *differences;
};

void differences_add(struct differences *differences, char *option, enum schema_change change, bool needs_restart)
{
	struct difference *items = reallocarray(differences->items, differences->n + 1, sizeof *items);
	if (!items || !option) {
		differences->failed = true;
		free(option);
	}
	if (items)
		differences->items = items;
	if (items && option)
		items[differences->n++] = (struct difference){ option, change, needs_restart };
}

static void on_found(struct schema_comparer *comparer, enum schema_change change, bool needs_restart)
{
	struct finder *finder = CONTAINER_OF(comparer, struct finder, comparer);
	differences_add(finder->differences, span_dup(buffer_span(&comparer->path)), change, needs_restart);
}

/* What the tables do not know of a handler: its plugin's options, and whether the plugin is another one by now. */
static void compare_handler(const struct config_handler *before, const struct config_handler *after,
							struct differences *differences)
{
	bool has_other_options = !span_equal(span_text(before->options), span_text(after->options));
	bool is_rewritten = span_equal(span_text(before->file), span_text(after->file)) &&
						memcmp(before->file_digest, after->file_digest, DIGEST_BYTES) != 0;
	CLEANUP(buffer_finish) struct buffer option = BUFFER_INIT;
	buffer_add_printf(&option, "handlers.%s.%s", before->name, has_other_options ? "options" : "plugin");
	if (has_other_options || is_rewritten)
		differences_add(differences, buffer_steal_text(&option), SCHEMA_CHANGED, false);
}

void differences_find(const struct config *before, const struct config *after, struct differences *ret_differences)
{
	struct finder finder = { .comparer.found = on_found, .differences = ret_differences };
	*ret_differences = DIFFERENCES_INIT;
	schema_compare(config_options, before, after, &finder.comparer);
	ret_differences->failed |= finder.comparer.path.failed;
	buffer_finish(&finder.comparer.path);
	for (size_t i = 0; i < before->n_handlers; i++) {
		const struct config_handler *handler = config_handler_by_name(after, span_text(before->handlers[i].name));
		if (handler)
			compare_handler(&before->handlers[i], handler, ret_differences);
	}
}

const char *difference_word(enum schema_change change)
{
	static const char *const words[] = {
		[SCHEMA_CHANGED] = "changed", [SCHEMA_ADDED] = "added", [SCHEMA_REMOVED] = "removed"
	};
	return words[change];
}

void differences_finish(struct differences *differences)
{
	for (size_t i = 0; i < differences->n; i++)
		free(differences->items[i].option);
	free(differences->items);
	*differences = DIFFERENCES_INIT;
}
