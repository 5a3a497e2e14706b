/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests, one at a time, over a connection that is kept: a thin coat over libcurl, the only one who includes it.
 * HTTP/1.1, certificates checked, no redirects. Waiting ends at a deadline or when a descriptor becomes readable, so a
 * signal never has to wait for the network.
 */
#ifndef CLI_HTTP_CLIENT_H
#define CLI_HTTP_CLIENT_H

#include "cli/target.h"

/* What of an answer's body is kept if nobody else takes it. */
#define HTTP_CLIENT_MAX_BODY_BYTES (1u << 20)

struct http_client;
/* Borrows the target. 0 or -ENOMEM. */
int http_client_create(const struct target *target, struct http_client **ret_client) MUST_USE;
void http_client_destroy(struct http_client *client);
CLEANUP_DEFINE(struct http_client, http_client_destroy)
/* Why the last call got no answer, in words. */
const char *http_client_error(const struct http_client *client);

struct http_call {
	const char *url;           /* the target's, and maybe a query */
	const char *const *fields; /* "Name: value" */
	size_t n_fields;
	bool is_post;
	struct span body;
	bool is_chunked; /* in small pieces, its length unsaid */
	/* Takes the body of a 200 as it arrives; anything but 0 ends the call, which returns it. NULL: it is kept in the
	 * answer. */
	int (*on_body)(void *context, struct span bytes);
	void *context;
	int stop_fd;             /* readable: stop; -1 for none */
	uint64_t deadline_ns;    /* monotonic; 0 for none */
	int64_t idle_timeout_ms; /* without a byte; 0 for none */
};

struct http_answer {
	int status;             /* 0: there was none */
	bool is_event_stream;   /* its content type says so */
	int64_t retry_after_ms; /* -1: it did not say */
	uint64_t elapsed_ns;
	struct buffer body;
};
void http_answer_finish(struct http_answer *answer);
static inline void http_answer_finish_cleanup(struct http_answer *answer)
{
	http_answer_finish(answer);
}

/*
 * 0 when the whole answer has come; what on_body said; -EINTR for stop_fd; -ETIME at the deadline; -ETIMEDOUT when
 * idle; -EHOSTUNREACH when there was no answer, or half of one (http_client_error() says why); -ENOMEM. ret_answer is
 * to be finished in every case.
 */
int http_client_run(struct http_client *client, const struct http_call *call, struct http_answer *ret_answer) MUST_USE;

#endif
