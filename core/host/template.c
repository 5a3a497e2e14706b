/* SPDX-License-Identifier: Apache-2.0 */
#include "host/template.h"

#include "host/expression.h"

#include <errno.h>
#include <jq.h>

/* So many expressions are one program where only mistakes are looked for: jq's parser has a bound of its own. */
#define MAX_BATCH 256
#define MAX_SHOWN_BYTES 200

/* What each program begins with; behind it come the expressions. The input is [index, type, subtype, tags, attempt,
 * body]. */
static const char prelude[] =
	"def time(x): (x | if type == \"object\" then .time else . end) as $belfry_time"
	" | ($belfry_time | strings | capture(\"^(?<day>[0-9]{4}-[0-9]{2}-[0-9]{2})([T ]"
	"(?<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})([.][0-9]+)?(?<zone>Z|[+-][0-9]{2}:[0-9]{2}))?$\"))"
	" // error(\"time() of \\($belfry_time | tojson), which is neither a date nor a timestamp with its offset\")"
	" | (\"\\(.day)T\\(.clock // \"00:00:00\")Z\" | fromdateiso8601)"
	" - (.zone // \"Z\" | if . == \"Z\" then 0 else ((.[1:3] | tonumber) * 3600 + (.[4:6] | tonumber) * 60)"
	" * (if .[0:1] == \"-\" then -1 else 1 end) end);"
	" .[0] as $belfry | .[1] as $interaction | .[2] as $subtype | .[3] as $tags | .[4] as $attempt | .[5] | ";

struct expression {
	char *code;
	char *shown; /* as the administrator would recognize it */
};

/* Literal text, or an expression. */
struct part {
	struct span literal;
	size_t expression; /* if literal.data is NULL */
};

struct belfry_template {
	struct belfry_template *next;
	char *text; /* what the literals point into */
	struct part *parts;
	size_t n_parts;
};

struct templates {
	struct belfry_template *templates;
	struct expression *expressions;
	size_t n_expressions;
	bool has_condition;
	size_t condition; /* index of the expression */
	jq_state *program;
	jv input; /* with 0 as the index */
	bool has_body;
};

/* ---- making ---- */

static void template_destroy(struct belfry_template *template)
{
	if (!template)
		return;
	free(template->text);
	free(template->parts);
	free(template);
}
CLEANUP_DEFINE(struct belfry_template, template_destroy)

int templates_create(struct templates **ret_templates)
{
	struct templates *templates = calloc(1, sizeof *templates);
	if (!templates)
		return -ENOMEM;
	templates->input = jv_invalid();
	*ret_templates = templates;
	return 0;
}

void templates_destroy(struct templates *templates)
{
	if (!templates)
		return;
	while (templates->templates) {
		struct belfry_template *template = templates->templates;
		templates->templates = template->next;
		template_destroy(template);
	}
	for (size_t i = 0; i < templates->n_expressions; i++) {
		free(templates->expressions[i].code);
		free(templates->expressions[i].shown);
	}
	free(templates->expressions);
	jv_free(templates->input);
	if (templates->program)
		jq_teardown(&templates->program);
	free(templates);
}

/* "{{ .a }}", shortened if need be. */
static char *show(struct span code, bool is_condition)
{
	struct buffer shown = BUFFER_INIT;
	struct span text = span_trim(code);
	size_t n = text.n < MAX_SHOWN_BYTES ? text.n : MAX_SHOWN_BYTES;
	while (n < text.n && ((unsigned char)text.data[n] & 0xc0) == 0x80)
		n--;
	buffer_add_text(&shown, is_condition ? "" : "{{ ");
	buffer_add(&shown, span_of(text.data, n));
	buffer_add_text(&shown, n < text.n ? "..." : "");
	buffer_add_text(&shown, is_condition ? "" : " }}");
	return buffer_steal_text(&shown);
}

static int add_expression(struct templates *templates, struct span code, bool is_condition, size_t *ret_index)
{
	size_t n = templates->n_expressions;
	struct expression *expressions = realloc(templates->expressions, (n + 1) * sizeof *expressions);
	if (!expressions)
		return -ENOMEM;
	templates->expressions = expressions;
	expressions[n] = (struct expression){ .code = span_dup(code), .shown = show(code, is_condition) };
	templates->n_expressions++;
	*ret_index = n;
	return expressions[n].code && expressions[n].shown ? TEMPLATE_OK : -ENOMEM;
}

static int add_part(struct belfry_template *template, struct part part)
{
	struct part *parts = realloc(template->parts, (template->n_parts + 1) * sizeof *parts);
	if (!parts)
		return -ENOMEM;
	template->parts = parts;
	parts[template->n_parts++] = part;
	return TEMPLATE_OK;
}

static int refuse(struct buffer *message, struct span where, const char *why)
{
	CLEANUP(free) char *shown = show(where, true);
	if (!shown)
		return -ENOMEM;
	buffer_add_printf(message, "%s in \"%s\"", why, shown);
	return message->failed ? -ENOMEM : TEMPLATE_E_SYNTAX;
}

/* Up to the next "{{", and the expression behind it. */
static int split_next(struct templates *templates, struct belfry_template *template, struct span *rest,
					  struct buffer *message)
{
	const char *open = memmem(rest->data, rest->n, "{{", 2);
	struct part part = { .literal = span_of(rest->data, open ? (size_t)(open - rest->data) : rest->n) };
	int r = part.literal.n ? add_part(template, part) : TEMPLATE_OK;
	*rest = span_skip(*rest, part.literal.n);
	if (r != TEMPLATE_OK || !open)
		return r;
	struct span code = span_skip(*rest, 2);
	size_t n;
	const char *wrong = expression_find_end(code, &n);
	if (!wrong && span_trim(span_of(code.data, n)).n == 0)
		wrong = "there is no expression between {{ and }}";
	if (wrong)
		return refuse(message, *rest, wrong);
	part = (struct part){ .literal = span_of(NULL, 0) };
	r = add_expression(templates, span_of(code.data, n), false, &part.expression);
	*rest = span_skip(code, n + 2);
	return r == TEMPLATE_OK ? add_part(template, part) : r;
}

int templates_add(struct templates *templates, struct span text, const struct belfry_template **ret_template,
				  struct buffer *message)
{
	CLEANUP(template_destroy) struct belfry_template *template = calloc(1, sizeof *template);
	if (!template)
		return -ENOMEM;
	template->text = span_dup(text);
	if (!template->text)
		return -ENOMEM;
	struct span rest = span_of(template->text, text.n);
	while (rest.n) {
		int r = split_next(templates, template, &rest, message);
		if (r != TEMPLATE_OK)
			return r;
	}
	template->next = templates->templates;
	*ret_template = templates->templates = template;
	template = NULL;
	return TEMPLATE_OK;
}

int templates_set_condition(struct templates *templates, struct span text, struct buffer *message)
{
	const char *wrong = span_trim(text).n ? expression_judge(text) : "there is no expression";
	if (wrong)
		return refuse(message, text, wrong);
	templates->has_condition = true;
	return add_expression(templates, text, true, &templates->condition);
}

/* ---- compiling ---- */

/* jq's first complaint, without what is about shells: "syntax error, unexpected ')'". */
static void on_complaint(void *context, jv complaint)
{
	struct buffer *message = context;
	if (message->n == 0 && jv_get_kind(complaint) == JV_KIND_STRING) {
		struct span text = span_text(jv_string_value(complaint)), line;
		if (span_starts_with(text, SPAN("jq: error: ")))
			text = span_skip(text, 11);
		(void)span_next(&text, '\n', &line);
		const char *end = memmem(line.data, line.n, " (Unix shell", 12);
		if (!end)
			end = memmem(line.data, line.n, " at <top-level>", 15);
		buffer_add(message, span_of(line.data, end ? (size_t)(end - line.data) : line.n));
	}
	jv_free(complaint);
}

static int compile(const char *code, jq_state **ret_program, struct buffer *message)
{
	jq_state *program = jq_init();
	if (!program)
		return -ENOMEM;
	jq_set_error_cb(program, on_complaint, message);
	jq_set_attr(program, jv_string("JQ_LIBRARY_PATH"), jv_array()); /* no modules */
	if (jq_compile(program, code)) {
		jq_set_error_cb(program, NULL, NULL);
		*ret_program = program;
		return TEMPLATE_OK;
	}
	jq_teardown(&program);
	return message->failed ? -ENOMEM : TEMPLATE_E_SYNTAX;
}

static int compile_several(const struct expression *expressions, size_t n, jq_state **ret_program,
						   struct buffer *message)
{
	CLEANUP(buffer_finish) struct buffer code = BUFFER_INIT;
	buffer_add_text(&code, prelude);
	for (size_t i = 0; i < n; i++) /* a comment ends with its line */
		buffer_add_printf(&code, "%s $belfry == %zu then (%s\n)", i ? " elif" : " if", i, expressions[i].code);
	buffer_add_text(&code, " else empty end");
	buffer_add_char(&code, '\0');
	return code.failed ? -ENOMEM : compile(code.data, ret_program, message);
}

/* By itself, so that the complaint is about it; TEMPLATE_OK if there is none. */
static int compile_one(const struct expression *expression, struct buffer *message)
{
	CLEANUP(buffer_finish) struct buffer code = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	jq_state *program = NULL;
	buffer_add_printf(&code, "%s%s\n%c", prelude, expression->code, '\0');
	int r = code.failed ? -ENOMEM : compile(code.data, &program, &why);
	if (program)
		jq_teardown(&program);
	if (r == TEMPLATE_E_SYNTAX)
		buffer_add_printf(message, "%.*s in \"%s\"", SPAN_PRINTF(buffer_span(&why)), expression->shown);
	return message->failed ? -ENOMEM : r;
}

int templates_compile(struct templates *templates, struct buffer *message)
{
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	if (templates->n_expressions == 0)
		return TEMPLATE_OK;
	int r = compile_several(templates->expressions, templates->n_expressions, &templates->program, &why);
	if (r != TEMPLATE_E_SYNTAX)
		return r;
	for (size_t i = 0; i < templates->n_expressions; i++)
		if ((r = compile_one(&templates->expressions[i], message)) != TEMPLATE_OK)
			return r;
	buffer_add(message, buffer_span(&why));
	return message->failed ? -ENOMEM : TEMPLATE_E_SYNTAX;
}

/* ---- running ---- */

static jv text_value(struct span text)
{
	return jv_string_sized(text.n ? text.data : "", (int)text.n);
}

void templates_begin(struct templates *templates, const struct template_input *input)
{
	if (templates->n_expressions == 0)
		return;
	jv tags = jv_object();
	for (size_t i = 0; i < input->n_tags; i++)
		tags = jv_object_set(tags, jv_string(input->tags[i].name), jv_string(input->tags[i].value));
	jv body = input->body.n && input->body.n <= INT32_MAX ? jv_parse_sized(input->body.data, (int)input->body.n)
														  : jv_invalid();
	templates->has_body = jv_is_valid(body);
	if (!templates->has_body) {
		jv_free(body);
		body = jv_null();
	}
	jv all = JV_ARRAY(jv_number(0), text_value(input->interaction), text_value(input->subtype), tags,
					  jv_number((double)input->attempt), body);
	jv_free(templates->input);
	templates->input = all;
}

static int fail(const struct expression *expression, struct buffer *message, const char *why)
{
	buffer_add_printf(message, "%s %s", expression->shown, why);
	return message->failed ? -ENOMEM : TEMPLATE_E_FAILED;
}

/* What jq_next() gave, and was no value, is an error if it has a message. Takes it. */
static int judge_end(struct templates *templates, const struct expression *expression, jv end, struct buffer *message)
{
	if (jq_halted(templates->program)) {
		jv_free(end);
		return fail(expression, message, "stops the program: halt has no place here");
	}
	if (!jv_invalid_has_msg(jv_copy(end))) {
		jv_free(end);
		return TEMPLATE_OK;
	}
	jv why = jv_invalid_get_msg(end);
	if (jv_get_kind(why) != JV_KIND_STRING)
		why = jv_dump_string(why, 0);
	buffer_add_printf(message, "%s fails: %s", expression->shown, jv_string_value(why));
	jv_free(why);
	return message->failed ? -ENOMEM : TEMPLATE_E_FAILED;
}

/* The first value of the expression, which the caller frees, also if it is invalid: then there was none. */
static int evaluate(struct templates *templates, size_t index, jv *ret_value, struct buffer *message)
{
	const struct expression *expression = &templates->expressions[index];
	if (!templates->has_body)
		return fail(expression, message, "needs JSON, and the body is none");
	jq_start(templates->program, jv_array_set(jv_copy(templates->input), 0, jv_number((double)index)), 0);
	jv value = jq_next(templates->program);
	if (jv_is_valid(value)) {
		*ret_value = value;
		return TEMPLATE_OK;
	}
	int r = judge_end(templates, expression, value, message);
	if (r == TEMPLATE_OK)
		*ret_value = jv_invalid();
	return r;
}

int templates_decide(struct templates *templates, bool *ret_holds, struct buffer *message)
{
	jv value;
	if (!templates->has_condition) {
		*ret_holds = true;
		return TEMPLATE_OK;
	}
	int r = evaluate(templates, templates->condition, &value, message);
	if (r != TEMPLATE_OK)
		return r;
	jv_kind kind = jv_get_kind(value);
	*ret_holds = kind != JV_KIND_INVALID && kind != JV_KIND_NULL && kind != JV_KIND_FALSE;
	jv_free(value);
	return TEMPLATE_OK;
}

/* Strings as they are, the rest as JSON. Takes the value. */
static void add_value(struct buffer *text, jv value)
{
	if (jv_get_kind(value) != JV_KIND_STRING)
		value = jv_dump_string(value, 0);
	buffer_add(text, span_of(jv_string_value(value), (size_t)jv_string_length_bytes(jv_copy(value))));
	jv_free(value);
}

/* A second value is one too many. */
static int judge_rest(struct templates *templates, const struct expression *expression, struct buffer *message)
{
	jv more = jq_next(templates->program);
	if (!jv_is_valid(more))
		return judge_end(templates, expression, more, message);
	jv_free(more);
	return fail(expression, message, "gives more than one value: put it into [ ] and join them");
}

static int render_expression(struct templates *templates, size_t index, struct buffer *text, struct buffer *message)
{
	const struct expression *expression = &templates->expressions[index];
	jv value;
	int r = evaluate(templates, index, &value, message);
	if (r != TEMPLATE_OK)
		return r;
	if (!jv_is_valid(value) || jv_get_kind(value) == JV_KIND_NULL) {
		r = fail(expression, message,
				 jv_is_valid(value) ? "is null: if it may be missing, say what else, as in {{ .a // \"\" }}"
									: "gives no value: if it may be missing, say what else, as in {{ .a // \"\" }}");
		jv_free(value);
		return r;
	}
	add_value(text, value);
	return text->failed ? -ENOMEM : judge_rest(templates, expression, message);
}

int templates_render(struct templates *templates, const struct belfry_template *template, struct buffer *text,
					 struct buffer *message)
{
	for (size_t i = 0; i < template->n_parts; i++) {
		const struct part *part = &template->parts[i];
		int r = TEMPLATE_OK;
		if (part->literal.data)
			buffer_add(text, part->literal);
		else
			r = render_expression(templates, part->expression, text, message);
		if (r != TEMPLATE_OK)
			return r;
	}
	return text->failed ? -ENOMEM : TEMPLATE_OK;
}

/* ---- only checking ---- */

/* The expressions of all checks, and whose each is. */
struct sifting {
	struct template_check *checks;
	struct templates *all;
	size_t *owners;
};

static int add_check(struct templates *all, struct template_check *check)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	const struct belfry_template *template;
	int r = check->kind == TEMPLATE_CONDITION ? templates_set_condition(all, check->text, &message)
											  : templates_add(all, check->text, &template, &message);
	if (r != TEMPLATE_E_SYNTAX)
		return r;
	check->complaint = buffer_steal_text(&message);
	return check->complaint ? TEMPLATE_OK : -ENOMEM;
}

static int complain(struct sifting *sifting, size_t index, struct buffer *message)
{
	char **complaint = &sifting->checks[sifting->owners[index]].complaint;
	if (!*complaint)
		*complaint = buffer_steal_text(message);
	return *complaint ? TEMPLATE_OK : -ENOMEM;
}

/* One program is enough where nothing is wrong; where something is, halves are looked at. */
static int sift(struct sifting *sifting, size_t first, size_t n)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	jq_state *program = NULL;
	if (n == 0)
		return TEMPLATE_OK;
	if (n == 1) {
		int r = compile_one(&sifting->all->expressions[first], &message);
		return r == TEMPLATE_E_SYNTAX ? complain(sifting, first, &message) : r;
	}
	int r =
		n > MAX_BATCH ? TEMPLATE_E_SYNTAX : compile_several(sifting->all->expressions + first, n, &program, &message);
	if (program)
		jq_teardown(&program);
	if (r == TEMPLATE_E_SYNTAX)
		r = sift(sifting, first, n / 2);
	else
		return r;
	return r == TEMPLATE_OK ? sift(sifting, first + n / 2, n - n / 2) : r;
}

int template_check_all(struct template_check *checks, size_t n)
{
	CLEANUP(templates_destroy) struct templates *all = NULL;
	CLEANUP(free) size_t *owners = NULL;
	int r = templates_create(&all);
	for (size_t i = 0; i < n && r == 0; i++) {
		size_t before = all->n_expressions;
		r = add_check(all, &checks[i]);
		size_t *grown = r == 0 ? realloc(owners, (all->n_expressions + 1) * sizeof *owners) : NULL;
		if (!grown)
			return -ENOMEM;
		owners = grown;
		for (size_t k = before; k < all->n_expressions; k++)
			owners[k] = i;
	}
	struct sifting sifting = { checks, all, owners };
	return r == 0 ? sift(&sifting, 0, all->n_expressions) : r;
}
