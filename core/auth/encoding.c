/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/encoding.h"

#include "wire/digest.h"

#include <errno.h>
#include <jose/b64.h>

int encoding_read_base64url(struct span text, struct buffer *bytes)
{
	if (text.n == 0)
		return ENCODING_OK;
	size_t n = jose_b64_dec_buf(NULL, text.n, NULL, 0);
	if (n == SIZE_MAX)
		return ENCODING_E_MALFORMED;
	if (!buffer_reserve(bytes, n))
		return -ENOMEM;
	n = jose_b64_dec_buf(text.data, text.n, bytes->data + bytes->n, n);
	if (n == SIZE_MAX)
		return ENCODING_E_MALFORMED;
	bytes->n += n;
	return ENCODING_OK;
}

int encoding_read_json(struct span text, json_t **ret_json)
{
	json_error_t error;
	if (text.n == 0)
		return ENCODING_E_MALFORMED;
	json_t *json = json_loadb(text.data, text.n, JSON_REJECT_DUPLICATES, &error);
	if (!json) /* without memory, jansson mostly fails without a word */
		return error.text[0] && json_error_code(&error) != json_error_out_of_memory ? ENCODING_E_MALFORMED : -ENOMEM;
	*ret_json = json;
	return ENCODING_OK;
}

static void wipe(json_t *json)
{
	const char *name;
	json_t *member;
	size_t i;
	union { /* jansson lends its texts as constants only */
		const char *constant;
		char *plain;
	} text = { json_string_value(json) };
	if (text.constant)
		secret_wipe(text.plain, json_string_length(json));
	json_object_foreach(json, name, member) wipe(member);
	json_array_foreach(json, i, member) wipe(member);
}

void encoding_wipe_json(json_t *json)
{
	wipe(json);
	json_decref(json);
}
