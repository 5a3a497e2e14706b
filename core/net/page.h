/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET on the subscribers' path by a browser that was pointed there: a page on which events appear live.
 *
 * It knows what the protocol's documentation says and nothing else, and it subscribes like any other page. So whoever
 * may not subscribe sees nothing, and where the gateway's own pages may not (subscribers.origins names others only),
 * it is not there.
 */
#ifndef NET_PAGE_H
#define NET_PAGE_H

#include "net/connection.h"

/* The request would rather have a page than an event stream, and a page from here could subscribe. */
bool page_is_wanted(const struct config_subscribers *subscribers, const struct http_request *request);

extern const struct endpoint page_endpoint;

/* GET /belfry.js: the client for everybody else's pages, if their origin may subscribe. */
extern const struct endpoint client_endpoint;

#endif
