/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests that a plugin sends, by libcurl, and the guard that all of them pass.
 *
 * A URL may come from an event, so from strangers. Therefore: http and https only; each address is looked at in the
 * moment in which it is connected to, whatever name, notation or redirect led there, and an inner one is refused unless
 * the administrator allows them; no redirect to another host, nor from https to http, nor one that would turn a POST
 * into a GET; TLS is verified; heads and answers are bounded; no proxy, no cookies, no files.
 */
#ifndef HOST_OUTGOING_H
#define HOST_OUTGOING_H

#include "base/buffer.h"

#include <belfry/plugin.h>

#define OUTGOING_MAX_BODY_BYTES (1024 * 1024)
#define OUTGOING_MAX_HEADERS 128
#define OUTGOING_MAX_HEAD_BYTES 65536
#define OUTGOING_MAX_REDIRECTS 5
/* The longest Retry-After that is passed on. */
#define OUTGOING_MAX_RETRY_AFTER_MS (24 * 60 * 60 * INT64_C(1000))

struct outgoing;
/* 0 or -ENOMEM. */
int outgoing_create(bool can_reach_inner, struct outgoing **ret_outgoing) MUST_USE;
void outgoing_destroy(struct outgoing *outgoing);
CLEANUP_DEFINE(struct outgoing, outgoing_destroy)

/*
 * Sends, and waits for the answer, which is valid until the next call. 0, or a negative errno as <belfry/plugin.h>
 * says, with the reason in words. Both structs are whole.
 */
int outgoing_send(struct outgoing *outgoing, const struct belfry_request *request, int64_t timeout_ms,
				  struct belfry_response *ret_response, struct buffer *reason) MUST_USE;

/* Retry-After's value: seconds, or a date; -1 if it is neither. now_s: seconds since 1970. */
int64_t outgoing_read_retry_after(struct span value, int64_t now_s);

#endif
