/* SPDX-License-Identifier: Apache-2.0 */
#include "config/expressions.h"

#include "config/program.h"
#include "wire/document.h"

#include <errno.h>
#include <jansson.h>

#define MAX_MESSAGE_BYTES 500

void expressions_add(struct expressions *expressions, const struct expression *expression)
{
	void *items = expressions->items;
	if ((expressions->n & (expressions->n - 1)) == 0) /* powers of two */
		items = reallocarray(items, expressions->n ? expressions->n * 2 : 1, sizeof *expression);
	expressions->failed |= !items;
	if (!items)
		return;
	expressions->items = items;
	expressions->items[expressions->n++] = *expression;
}

void expressions_finish(struct expressions *expressions)
{
	free(expressions->items);
	*expressions = (struct expressions){ 0 };
}

static void write_question(struct buffer *json, const struct expressions *expressions)
{
	buffer_add_text(json, "{\"expressions\":[");
	for (size_t i = 0; i < expressions->n; i++) {
		const struct expression *expression = &expressions->items[i];
		buffer_add_printf(json, "%s{\"id\":%zu,\"kind\":\"%s\",\"text\":", i ? "," : "", i, expression->kind);
		buffer_add_json(json, span_text(expression->text));
		buffer_add_char(json, '}');
	}
	buffer_add_text(json, "]}");
}

static void complain(const struct expression *expression, struct span message, struct complaints *complaints)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (message.n > MAX_MESSAGE_BYTES)
		message.n = MAX_MESSAGE_BYTES;
	program_add_line(&line, message);
	CLEANUP(free) char *text = buffer_steal_text(&line);
	if (text)
		yaml_complain(complaints, false, expression->node, "%s: %s", expression->key, text);
	else
		complaints->failed = true;
}

/* False if this is no answer. */
static bool read_answer(const struct expressions *expressions, const json_t *answer, struct complaints *complaints)
{
	const json_t *list = json_object_get(answer, "complaints");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		json_int_t id = json_integer_value(json_object_get(one, "id"));
		struct span message = document_text(json_object_get(one, "message"));
		if (id < 0 || (size_t)id >= expressions->n || !message.data)
			return false;
		complain(&expressions->items[id], message, complaints);
	}
	return json_is_array(list);
}

static void complain_of_program(const struct expressions *expressions, const char *program,
								struct complaints *complaints, const char *problem)
{
	const struct expression *first = &expressions->items[0];
	yaml_complain(complaints, false, first->node, "%s: expressions cannot be checked: %s %s", first->key, program,
				  problem);
}

int expressions_check(const struct expressions *expressions, const char *program, struct complaints *complaints)
{
	const char *const arguments[] = { program, "--check", NULL };
	CLEANUP(buffer_finish) struct buffer question = BUFFER_INIT, output = BUFFER_INIT;
	CLEANUP(document_finish) struct document answer = DOCUMENT_INIT;
	CLEANUP(free) char *problem = NULL;
	json_error_t error;
	if (expressions->n == 0)
		return 0;
	write_question(&question, expressions);
	if (question.failed)
		return -ENOMEM;
	int r = program_run(arguments, buffer_span(&question), PROGRAM_PATIENCE_MS, &output, &problem);
	if (r == PROGRAM_E_REFUSED || r == PROGRAM_E_FAILED)
		complain_of_program(expressions, program, complaints, problem);
	if (r != PROGRAM_OK)
		return r < 0 ? r : 0;
	r = document_read(buffer_span(&output), &answer, &error);
	if (r < 0)
		return r;
	if (r == DOCUMENT_E_MALFORMED || !read_answer(expressions, answer.root, complaints))
		complain_of_program(expressions, program, complaints, "gave no answer");
	return 0;
}
