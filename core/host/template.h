/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions and templates: what an administrator writes in jq.
 *
 *     when: .event.summary | test("Board")
 *     text: "{{ .event.summary }} is ready: {{ .event.conferencing.join_url }}"
 *
 * The input is the callback's body; $interaction, $subtype, $tags and $attempt say more; time(x) makes seconds since
 * 1970 of each form of time that a provider sends. All expressions of a handler are one jq program, as each program
 * costs the compilation of all that jq brings along (measured: 400 expressions in 35 ms, each alone 16 ms and more).
 * What is read here are only the brackets and strings of an expression, so that a template's end is found and no
 * expression can reach into the next one.
 *
 * An expression in a template must give one value that is not null: a message in which something is missing is worse
 * than none. Whoever means it writes {{ .event.summary // "" }}.
 */
#ifndef HOST_TEMPLATE_H
#define HOST_TEMPLATE_H

#include "base/buffer.h"

#include <belfry/plugin.h>

enum template_outcome {
	TEMPLATE_OK,
	TEMPLATE_E_SYNTAX, /* `message` says where and why */
	TEMPLATE_E_FAILED, /* an expression failed with this input: `message` says which and why */
};

/* All templates of a handler, and its condition. Belongs to one thread. */
struct templates;
int templates_create(struct templates **ret_templates) MUST_USE;
void templates_destroy(struct templates *templates);
CLEANUP_DEFINE(struct templates, templates_destroy)

/* Both before templates_compile(). The template belongs to `templates`. TEMPLATE_OK, TEMPLATE_E_SYNTAX, -ENOMEM. */
int templates_add(struct templates *templates, struct span text, const struct belfry_template **ret_template,
				  struct buffer *message) MUST_USE;
int templates_set_condition(struct templates *templates, struct span text, struct buffer *message) MUST_USE;
/* Makes one program of all. TEMPLATE_OK, TEMPLATE_E_SYNTAX, -ENOMEM. */
int templates_compile(struct templates *templates, struct buffer *message) MUST_USE;

/* What expressions see. */
struct template_input {
	struct span body; /* JSON, else every expression fails */
	struct span interaction, subtype;
	const struct belfry_tag *tags;
	size_t n_tags;
	int64_t attempt;
};

/* For the calls that follow. */
void templates_begin(struct templates *templates, const struct template_input *input);
/* Whether the condition holds: neither null nor false, and there is a value; also if there is no condition.
 * TEMPLATE_OK, TEMPLATE_E_FAILED, -ENOMEM. */
int templates_decide(struct templates *templates, bool *ret_holds, struct buffer *message) MUST_USE;
/* Appends the text. As templates_decide(). */
int templates_render(struct templates *templates, const struct belfry_template *template, struct buffer *text,
					 struct buffer *message) MUST_USE;

/* Whether all expressions of a condition or template could be compiled: for those who only check. */
enum template_kind { TEMPLATE_CONDITION, TEMPLATE_TEXT };
struct template_check {
	enum template_kind kind;
	struct span text;
	char *complaint; /* NULL if nothing is wrong; the caller's to free */
};
/* Fills in the complaints. Any number of checks. 0 or -ENOMEM. */
int template_check_all(struct template_check *checks, size_t n) MUST_USE;

#endif
