/* SPDX-License-Identifier: Apache-2.0 */
#include "net/page.h"

#include "net/access.h"
#include "net/file.h"
#include "web/page.h"

/* Programs say that they take anything, and get the stream; browsers name text/html, and it comes first. */
static bool prefers_html(const struct http_request *request)
{
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	struct span accept = http_field_list(request, "accept", &joined);
	return http_accept_weight(accept, SPAN("text/html")) > http_accept_weight(accept, SPAN("text/event-stream"));
}

bool page_is_wanted(const struct config_subscribers *subscribers, const struct http_request *request)
{
	bool is_read = span_equal(request->method, SPAN("GET")) || span_equal(request->method, SPAN("HEAD"));
	return is_read && prefers_html(request) && access_has_own_pages(subscribers, request);
}

/* Nothing runs but the page's own script, whatever a callback brings. */
static void add_policy(struct buffer *headers)
{
	buffer_add_printf(headers,
					  "Content-Security-Policy: default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
					  "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
					  "require-trusted-types-for 'script'; trusted-types 'none'\r\n",
					  web_live_page.script_sha256, web_live_page.style_sha256);
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	if (!access_check_origin(exchange, request))
		return;
	add_policy(&exchange->headers);
	connection_answer(exchange->connection, &(struct answer){ .status = 200,
															  .content_type = "text/html; charset=utf-8",
															  .body = web_live_page.html,
															  .headers = "Referrer-Policy: no-referrer\r\n"
																		 "Cache-Control: no-store\r\n" });
}

const struct endpoint page_endpoint = { .methods = "GET, HEAD",
										.exchange_size = sizeof(struct exchange),
										.begin = begin };

/* --- belfry.js ---------------------------------------------------------------------------------------------------- */

static void begin_client(struct exchange *exchange, const struct http_request *request)
{
	if (access_check_origin(exchange, request))
		file_answer(exchange, request, &web_client_files[0], FILE_CACHE_CONTROL);
}

const struct endpoint client_endpoint = { .methods = "GET, HEAD",
										  .exchange_size = sizeof(struct exchange),
										  .begin = begin_client };
