/* SPDX-License-Identifier: Apache-2.0 */
#include "host/check.h"

#include "host/template.h"
#include "wire/document.h"

#include <errno.h>

static bool read_expression(const json_t *json, struct template_check *ret_check)
{
	struct span kind = document_text(json_object_get(json, "kind"));
	bool is_condition = span_equal(kind, SPAN("when"));
	*ret_check = (struct template_check){
		.kind = is_condition ? TEMPLATE_CONDITION : TEMPLATE_TEXT,
		.text = document_text(json_object_get(json, "text")),
	};
	return ret_check->text.data && json_is_integer(json_object_get(json, "id")) &&
		   (is_condition || span_equal(kind, SPAN("template")));
}

static void add_complaints(const json_t *list, const struct template_check *checks, size_t n, struct buffer *answer)
{
	bool is_first = true;
	buffer_add_text(answer, "{\"complaints\":[");
	for (size_t i = 0; i < n; i++) {
		if (!checks[i].complaint)
			continue;
		buffer_add_text(answer, is_first ? "{\"id\":" : ",{\"id\":");
		buffer_add_i64(answer, json_integer_value(json_object_get(json_array_get(list, i), "id")));
		buffer_add_text(answer, ",\"message\":");
		buffer_add_json(answer, span_text(checks[i].complaint));
		buffer_add_char(answer, '}');
		is_first = false;
	}
	buffer_add_text(answer, "]}\n");
}

static int check_list(const json_t *list, struct template_check *checks, size_t n, struct buffer *answer)
{
	for (size_t i = 0; i < n; i++)
		if (!read_expression(json_array_get(list, i), &checks[i]))
			return CHECK_E_MALFORMED;
	int r = template_check_all(checks, n);
	if (r < 0)
		return r;
	add_complaints(list, checks, n, answer);
	return answer->failed ? -ENOMEM : CHECK_OK;
}

int check(struct span request, struct buffer *answer)
{
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	json_error_t error;
	int r = document_read(request, &document, &error);
	if (r != DOCUMENT_OK)
		return r < 0 ? r : CHECK_E_MALFORMED;
	const json_t *list = json_object_get(document.root, "expressions");
	size_t n = json_array_size(list);
	CLEANUP(free) struct template_check *checks = calloc(n + 1, sizeof *checks);
	if (!checks)
		return -ENOMEM;
	r = json_is_array(list) ? check_list(list, checks, n, answer) : CHECK_E_MALFORMED;
	for (size_t i = 0; i < n; i++)
		free(checks[i].complaint);
	return r;
}
