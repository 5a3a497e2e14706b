/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON from outside, read by jansson (2.14) into memory that is given back as a whole.
 *
 * jansson goes on when an allocation fails: the byte that its token buffer had no room for is missing, or, if that was
 * the closing quote, it reads and writes past the end; and what it reports is a syntax error, or nothing. So while a
 * document is read, a failed allocation never comes back to jansson: reading ends there, and -ENOMEM means just that.
 *
 * Strict: no key twice in an object, well-formed UTF-8, nothing behind the end. NUL may stand in a string, written
 * \u0000, but not in a key. The root may be any value.
 */
#ifndef WIRE_DOCUMENT_H
#define WIRE_DOCUMENT_H

#include "base/cleanup.h"
#include "base/span.h"

#include <jansson.h>

struct document {
	json_t *root; /* for reading only: never changed, never given to json_incref() or json_decref() */
	struct document_chunk *chunks;
};
#define DOCUMENT_INIT ((struct document){ 0 })

enum document_outcome {
	DOCUMENT_OK,
	DOCUMENT_E_MALFORMED, /* *ret_error says why */
};

/* DOCUMENT_OK, DOCUMENT_E_MALFORMED or -ENOMEM. The text is not needed any more. Any thread. */
int document_read(struct span text, struct document *ret_document, json_error_t *ret_error) MUST_USE;
/* Wipes (there may be a token in it) and frees. */
void document_finish(struct document *document);
static inline void document_finish_cleanup(struct document *document)
{
	document_finish(document);
}

/* The bytes of a string; data is NULL if it is none. They live as long as the document. */
static inline struct span document_text(const json_t *value)
{
	return span_of(json_string_value(value), json_string_length(value));
}

#endif
