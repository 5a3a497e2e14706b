/* SPDX-License-Identifier: Apache-2.0 */
#include "net/operator_page.h"

#include "net/file.h"

/* Nothing runs but the page's own scripts, whatever a callback brings. */
#define HEADERS                                                                                              \
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "                    \
	"require-trusted-types-for 'script'; trusted-types 'none'\r\nReferrer-Policy: no-referrer\r\n" FILE_CACHE_CONTROL

static const struct web_file *find_file(struct span path)
{
	for (const struct web_file *file = web_operator_files; file->path; file++)
		if (span_equal(path, span_text(file->path)))
			return file;
	return NULL;
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	file_answer(exchange, request, find_file(request->path), HEADERS);
}

static const struct endpoint endpoint = { .methods = "GET, HEAD",
										  .exchange_size = sizeof(struct exchange),
										  .begin = begin };

const struct endpoint *operator_page_find(const struct http_request *request)
{
	return find_file(request->path) ? &endpoint : NULL;
}
