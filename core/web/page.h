/* SPDX-License-Identifier: Apache-2.0 */
/* The page for subscribers, as part of the program: made from live.html by embed.cmake. */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

#include "base/span.h"

struct web_page {
	struct span html;
	/* SHA-256 of what its one <script> and its one <style> hold, base64: for Content-Security-Policy. */
	const char *script_sha256, *style_sha256;
};

extern const struct web_page web_live_page;

#endif
