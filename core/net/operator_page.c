/* SPDX-License-Identifier: Apache-2.0 */
#include "net/operator_page.h"

#include "web/files.h"

/* Nothing runs but the page's own scripts, whatever a callback brings. */
#define HEADERS                                                                                              \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                    \
	"require-trusted-types-for 'script'; trusted-types 'none'\r\nReferrer-Policy: no-referrer\r\n"           \
	"Cache-Control: no-cache\r\n"

static const struct web_file *find_file(struct span path)
{
	for (const struct web_file *file = web_operator_files; file->path; file++)
		if (span_equal(path, span_text(file->path)))
			return file;
	return NULL;
}

/* A browser asks each time whether it is still the same, as another version of the gateway brings another page. */
static bool is_known(const struct http_request *request, const struct web_file *file)
{
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	return http_list_has(http_field_list(request, "if-none-match", &joined), span_text(file->etag));
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	const struct web_file *file = find_file(request->path);
	struct answer answer = { .status = 304, .headers = HEADERS };
	buffer_add_printf(&exchange->headers, "ETag: %s\r\n", file->etag);
	if (!is_known(request, file)) {
		answer.status = 200;
		answer.content_type = file->content_type;
		answer.body = file->content;
	}
	connection_answer(exchange->connection, &answer);
}

static const struct endpoint endpoint = { .methods = "GET, HEAD",
										  .exchange_size = sizeof(struct exchange),
										  .begin = begin };

const struct endpoint *operator_page_find(const struct http_request *request)
{
	return find_file(request->path) ? &endpoint : NULL;
}
