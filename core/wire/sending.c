/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sending.h"

#include <errno.h>

static int refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return SENDING_E_MALFORMED;
}

static int read_tags(json_t *tags, struct sending *sending, const char **ret_reason)
{
	const char *name;
	json_t *value;
	if (!json_is_object(tags) || json_object_size(tags) > SENDING_MAX_TAGS)
		return refuse(ret_reason, "\"tags\" is an object with at most 32 members");
	json_object_foreach(tags, name, value)
	{
		if (!json_is_string(value))
			return refuse(ret_reason, "a tag's value is a string");
		sending->tags[sending->n_tags++] = (struct tag){ span_text(name), document_text(value) };
	}
	return SENDING_OK;
}

static int read_member(struct sending *sending, const char *key, json_t *value, const char **ret_reason)
{
	const struct {
		const char *key;
		struct span *text;
	} texts[] = { { "source", &sending->source }, { "sample", &sending->sample }, { "body", &sending->body } };
	if (strcmp(key, "tags") == 0)
		return read_tags(value, sending, ret_reason);
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (strcmp(key, texts[i].key) == 0) {
			*texts[i].text = document_text(value);
			return json_string_length(value) ? SENDING_OK
											 : refuse(ret_reason, "\"source\", \"sample\" and \"body\" are text");
		}
	return refuse(ret_reason, "known are \"source\", \"sample\", \"body\" and \"tags\"");
}

int sending_parse(struct span text, struct sending *ret_sending, const char **ret_reason)
{
	json_error_t error;
	const char *key;
	json_t *value;
	*ret_sending = (struct sending){ .document = DOCUMENT_INIT };
	int r = document_read(text, &ret_sending->document, &error);
	if (r == DOCUMENT_E_MALFORMED || (r == 0 && !json_is_object(ret_sending->document.root)))
		return refuse(ret_reason, "a JSON object is expected");
	json_object_foreach(ret_sending->document.root, key, value)
	{
		if (r == 0)
			r = read_member(ret_sending, key, value, ret_reason);
	}
	if (r == 0 && !ret_sending->sample.n == !ret_sending->body.n)
		return refuse(ret_reason, "either \"sample\" or \"body\" says what to send");
	return r;
}

void sending_finish(struct sending *sending)
{
	document_finish(&sending->document);
}
