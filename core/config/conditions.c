/* SPDX-License-Identifier: Apache-2.0 */
#include "config/conditions.h"

#include "base/buffer.h"

#include <errno.h>

/* Any result that is neither null nor false; with a line end, as a comment may be last. */
static void add_when(struct buffer *jq, const char *when)
{
	buffer_add_printf(jq, "([%s\n]|any)", when);
}

/* Whether the delivery is one of the target's: by type and subtype, as routes.h has it. */
static void add_match(struct buffer *jq, const char *pattern, const struct config_target *target)
{
	struct span text = span_text(pattern);
	bool is_prefix = text.data[text.n - 1] == '*';
	text.n -= is_prefix;
	buffer_add_text(jq, is_prefix ? "($interaction|startswith(" : "($interaction==");
	buffer_add_json(jq, text);
	buffer_add_text(jq, is_prefix ? "))" : ")");
	if (is_prefix && !span_starts_with(text, SPAN("belfry_")))
		buffer_add_text(jq, " and ($interaction|startswith(\"belfry_\")|not)");
	for (size_t i = 0; i < target->n_subtypes; i++) {
		buffer_add_text(jq, i ? " or $subtype==" : " and ($subtype==");
		buffer_add_json(jq, span_text(target->subtypes[i]));
	}
	buffer_add_text(jq, target->n_subtypes ? ")" : "");
}

static void add_target(struct buffer *jq, const char *pattern, const struct config_target *target)
{
	buffer_add_text(jq, jq->n ? " or (" : "(");
	add_match(jq, pattern, target);
	if (target->when) {
		buffer_add_text(jq, " and ");
		add_when(jq, target->when);
	}
	buffer_add_char(jq, ')');
}

/* The conditions of all targets that name one handler. */
struct conditions {
	struct buffer any;  /* one of the targets matches, and its `when` is true */
	const char *common; /* the `when` of all of them; NULL if they have none ... */
	bool differ;        /* ... or not the same */
	size_t n;
};

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void count_target(struct conditions *conditions, const char *pattern, const struct config_target *target)
{
	conditions->differ |= conditions->n > 0 && !is_same(conditions->common, target->when);
	conditions->common = target->when;
	conditions->n++;
	add_target(&conditions->any, pattern, target);
}

/* Routes have found out that a target matches; which one, must be known only where their `when` differ. One alone stays
 * as it was written: when it fails, its text is what people are told. */
static int make_condition(struct config_handler *handler, struct conditions *conditions)
{
	CLEANUP(buffer_finish) struct buffer jq = BUFFER_INIT;
	const char *common = conditions->differ ? NULL : conditions->common;
	if (handler->when && (conditions->differ || common)) {
		add_when(&jq, handler->when);
		buffer_add_text(&jq, " and ");
	} else if (handler->when || common) {
		buffer_add_text(&jq, handler->when ? handler->when : common);
	}
	if (conditions->differ)
		buffer_add_printf(&jq, "(%.*s)", SPAN_PRINTF(buffer_span(&conditions->any)));
	else if (handler->when && common)
		add_when(&jq, common);
	if (jq.failed || conditions->any.failed)
		return -ENOMEM;
	handler->condition = jq.n ? buffer_steal_text(&jq) : NULL;
	return jq.n == 0 || handler->condition ? 0 : -ENOMEM;
}

int conditions_make(struct config *config)
{
	CLEANUP(free) struct conditions *all = calloc(config->n_handlers + 1, sizeof *all);
	int r = all ? 0 : -ENOMEM;
	for (size_t i = 0; all && i < config->n_interactions; i++)
		for (size_t k = 0; k < config->interactions[i].n_targets; k++)
			count_target(&all[config->interactions[i].targets[k].handler], config->interactions[i].pattern,
						 &config->interactions[i].targets[k]);
	for (size_t i = 0; all && i < config->n_handlers; i++) {
		if (r == 0)
			r = make_condition(&config->handlers[i], &all[i]);
		buffer_finish(&all[i].any);
	}
	return r;
}
