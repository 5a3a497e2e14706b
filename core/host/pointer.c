/* SPDX-License-Identifier: Apache-2.0 */
#include "host/pointer.h"

#include "base/buffer.h"

/* A member by the name that the token stands for. */
static const json_t *find_member(const json_t *object, struct span token)
{
	CLEANUP(buffer_finish) struct buffer name = BUFFER_INIT;
	for (size_t i = 0; i < token.n; i++) {
		char c = token.data[i];
		if (c == '~') {
			if (++i == token.n || (token.data[i] != '0' && token.data[i] != '1'))
				return NULL;
			c = token.data[i] == '0' ? '~' : '/';
		}
		buffer_add_char(&name, c);
	}
	buffer_add_char(&name, '\0');
	return name.failed ? NULL : json_object_get(object, name.data);
}

static const json_t *find_element(const json_t *array, struct span token)
{
	uint64_t index;
	bool has_zero_in_front = token.n > 1 && token.data[0] == '0';
	return !has_zero_in_front && span_to_u64(token, SIZE_MAX, &index) ? json_array_get(array, index) : NULL;
}

const json_t *pointer_find(const json_t *root, struct span pointer)
{
	const json_t *value = root;
	struct span token;
	if (pointer.n == 0)
		return root;
	if (pointer.data[0] != '/')
		return NULL;
	pointer = span_skip(pointer, 1);
	while (value && span_next(&pointer, '/', &token))
		value = json_is_array(value) ? find_element(value, token) : find_member(value, token);
	return value;
}
