/* SPDX-License-Identifier: Apache-2.0 */
/* What outline_read() says of a body, against jansson: what it calls plain is good, and reads the same. */
#ifndef FUZZ_OUTLINE_ORACLE_H
#define FUZZ_OUTLINE_ORACLE_H

#include "wire/callback.h"
#include "wire/document.h"
#include "wire/outline.h"

static inline bool is_same_text(struct span found, const json_t *value)
{
	return span_equal(found, document_text(value));
}

static inline bool has_same_interactions(const struct outline *outline, const json_t *list)
{
	size_t n = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i), *type = json_object_get(item, "type");
		if (json_string_length(type) == 0)
			continue;
		if (n == outline->n_interactions || !is_same_text(outline->interactions[n].type, type) ||
			!is_same_text(outline->interactions[n].subtype, json_object_get(item, "subtype")))
			return false;
		n++;
	}
	return n == outline->n_interactions;
}

/* jansson cannot hold every number: of a document that fails for that alone nothing more is known here. */
static inline bool outline_agrees(struct span body)
{
	struct outline outline;
	json_error_t error;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	if (!outline_read(body, CALLBACK_MAX_DEPTH, &outline))
		return true;
	int r = document_read(body, &document, &error);
	if (r != DOCUMENT_OK)
		return r < 0 || json_error_code(&error) == json_error_numeric_overflow;
	const json_t *notification = json_object_get(document.root, "notification");
	return json_is_object(document.root) &&
		   is_same_text(outline.notification_type, json_object_get(notification, "type")) &&
		   is_same_text(outline.event_id, json_object_get(json_object_get(document.root, "event"), "event_id")) &&
		   has_same_interactions(&outline, json_object_get(notification, "interactions"));
}

#endif
