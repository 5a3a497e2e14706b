/* SPDX-License-Identifier: Apache-2.0 */
#include "net/file.h"

static bool is_known(const struct http_request *request, const struct web_file *file)
{
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	return http_list_has(http_field_list(request, "if-none-match", &joined), span_text(file->etag));
}

void file_answer(struct exchange *exchange, const struct http_request *request, const struct web_file *file,
				 const char *headers)
{
	struct answer answer = { .status = 304, .headers = headers };
	buffer_add_printf(&exchange->headers, "ETag: %s\r\n", file->etag);
	if (!is_known(request, file)) {
		answer.status = 200;
		answer.content_type = file->content_type;
		answer.body = file->content;
	}
	connection_answer(exchange->connection, &answer);
}
