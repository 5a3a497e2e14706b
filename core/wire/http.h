/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 requests, read strictly (RFC 9112), from bytes to spans, without allocation.
 *
 * A gateway that reads a request otherwise than the proxy in front of it can be made to see requests that nobody
 * sent. So whatever could be read in two ways is refused: obs-fold, a blank before the colon, Content-Length that is
 * not plain digits or stands twice, Content-Length together with Transfer-Encoding, bare CR, bare LF, control
 * characters.
 */
#ifndef WIRE_HTTP_H
#define WIRE_HTTP_H

#include "base/buffer.h"

#define HTTP_MAX_HEAD_BYTES 16384
#define HTTP_MAX_FIELDS 128

struct http_field {
	struct span name, value; /* the value without blanks around it */
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

/* Spans point into the bytes that were parsed. */
struct http_request {
	struct span method; /* any token; case matters */
	struct span path;   /* starts with '/', up to '?', as sent: no decoding, no normalizing */
	struct span query;  /* behind '?'; data is NULL if there is none */
	unsigned minor;     /* HTTP/1.minor, 0 or 1 */
	struct http_field fields[HTTP_MAX_FIELDS];
	size_t n_fields;
	enum http_body body;
	uint64_t content_length; /* HTTP_BODY_LENGTH only */
	bool keep_alive;         /* what the client wants (RFC 9112 9.3) */
	bool expects_continue;   /* Expect: 100-continue, and there is a body to continue with */
	size_t n_head;           /* bytes of the head, blank line included */
};

/* The answer that a bad request gets; the connection is closed behind it. */
struct http_problem {
	int status;         /* 400, 413, 414, 417, 431, 501, 505; 0: close without an answer (no HTTP at all) */
	const char *reason; /* static text: what is wrong */
};

enum http_outcome {
	HTTP_OK,
	HTTP_E_INCOMPLETE, /* no blank line yet; more bytes may make it whole */
	HTTP_E_BAD,        /* *ret_problem says why */
};

/* Parses the head at the start of `bytes` (not more than HTTP_MAX_HEAD_BYTES of it; one empty line in front of it is
 * skipped and counted). A head that is too long, or wrong already, is bad before it is complete, and for the same
 * reason. Fields of ret_request hold on HTTP_OK only. */
enum http_outcome http_parse(struct span bytes, struct http_request *ret_request, struct http_problem *ret_problem);

/* The field's value; data is NULL if it is absent. Names are compared without case. If it stands more than once, the
 * first: ask http_field_count() where that matters. */
struct span http_field(const struct http_request *request, const char *name);
size_t http_field_count(const struct http_request *request, const char *name);
/* All values of the field as one list, joined by ", " (RFC 9110 5.3); appended to `joined` only if there are several.
 * data is NULL if the field is absent, or if joined->failed. */
struct span http_field_list(const struct http_request *request, const char *name, struct buffer *joined);
/* Whether the comma-separated list has this token, in any case. */
bool http_list_has(struct span list, struct span token);

/* How much an Accept field wants a media type (RFC 9110 12.5.1), in thousandths: what the closest range says that
 * covers it, 0 if none does. */
unsigned http_accept_weight(struct span accept, struct span type);

/*
 * Chunked bodies (RFC 9112 7.1), decoded as the bytes arrive, whatever their slices. Chunk extensions and
 * trailers are read, bounded and ignored.
 */
struct http_chunks {
	uint64_t left;   /* bytes of the current chunk still to come */
	uint32_t n_line; /* bytes of the current size line, or of the trailer section */
	uint8_t n_digits;
	uint8_t state;
};
#define HTTP_CHUNKS_INIT ((struct http_chunks){ 0 })

enum http_chunks_outcome { HTTP_CHUNKS_MORE, HTTP_CHUNKS_DONE, HTTP_CHUNKS_E_BAD };
/* Consumes from *bytes and points *ret_data at the next run of body bytes inside it (maybe empty). MORE: call again
 * with what is left in *bytes or, if that is empty, with more. DONE: *bytes is what stands behind the body. */
enum http_chunks_outcome http_chunks_read(struct http_chunks *chunks, struct span *bytes, struct span *ret_data);

/* "Not Found"; "Unknown" for a status that we never send. */
const char *http_status_text(int status);

/* Query strings: takes the next "name=value" or "name" off *query, passing over empty ones. Decodes nothing. False at
 * the end. */
bool http_query_next(struct span *query, struct span *ret_name, struct span *ret_value);
/* Appends the text with %XX decoded ('+' stays '+', RFC 3986). False, and nothing appended, for a bad escape. */
bool http_percent_decode(struct span text, struct buffer *decoded);

#endif
