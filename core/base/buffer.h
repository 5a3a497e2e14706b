/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer for building text: messages, answers, log lines.
 *
 * Appending never reports failure; the first one that finds no memory marks the buffer
 * as failed, later ones do nothing, and whoever uses the result asks once:
 *
 *     CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
 *     buffer_add_text(&b, "{\"type\":");
 *     buffer_add_json(&b, type);
 *     if (b.failed)
 *         return -ENOMEM;
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/cleanup.h"
#include "base/span.h"

struct buffer {
	char *data;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated */
	bool failed;
};

#define BUFFER_INIT ((struct buffer){ 0 })

/* Frees the bytes; the buffer is empty and usable again. */
void buffer_finish(struct buffer *b);
static inline void buffer_finish_cleanup(struct buffer *b)
{
	buffer_finish(b);
}
/* Room for n more bytes. False without memory (and marks the buffer). */
bool buffer_reserve(struct buffer *b, size_t n);
void buffer_add(struct buffer *b, struct span s);
void buffer_add_text(struct buffer *b, const char *text);
void buffer_add_char(struct buffer *b, char c);
void buffer_add_u64(struct buffer *b, uint64_t value);
void buffer_add_i64(struct buffer *b, int64_t value);
void buffer_add_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text as a JSON string, quotes included (RFC 8259). Bytes that are no UTF-8 become
 * U+FFFD, so the result is always valid JSON. */
void buffer_add_json(struct buffer *b, struct span text);
/* ,"KEY": with the text behind it: a member of an object that has one already. The key needs no escapes. */
void buffer_add_json_member(struct buffer *b, const char *key, struct span text);
/* Percent-encodes all but RFC 3986's unreserved characters. */
void buffer_add_percent_encoded(struct buffer *b, struct span text);
/* Drops the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);

static inline struct span buffer_span(const struct buffer *b)
{
	return span_of(b->data, b->n);
}

/* The bytes with a terminator, now the caller's to free; NULL if the buffer failed. */
char *buffer_steal_text(struct buffer *b);

#endif
