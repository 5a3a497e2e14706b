/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void buffer_finish(struct buffer *b)
{
	free(b->data);
	*b = BUFFER_INIT;
}

bool buffer_reserve(struct buffer *b, size_t n)
{
	size_t need;
	if (b->failed)
		return false;
	if (__builtin_add_overflow(b->n, n, &need) || need > PTRDIFF_MAX) {
		b->failed = true;
		return false;
	}
	if (need <= b->cap)
		return true;
	size_t cap = b->cap ? b->cap + b->cap / 2 : 64;
	if (cap < need)
		cap = need;
	char *data = realloc(b->data, cap);
	if (!data) {
		b->failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void buffer_add(struct buffer *b, struct span s)
{
	if (s.n == 0 || !buffer_reserve(b, s.n))
		return;
	memcpy(b->data + b->n, s.data, s.n);
	b->n += s.n;
}

void buffer_add_text(struct buffer *b, const char *text)
{
	buffer_add(b, span_text(text));
}

void buffer_add_char(struct buffer *b, char c)
{
	buffer_add(b, span_of(&c, 1));
}

void buffer_add_u64(struct buffer *b, uint64_t value)
{
	char digits[SPAN_DECIMAL_BYTES];
	buffer_add(b, span_decimal(value, digits));
}

void buffer_add_i64(struct buffer *b, int64_t value)
{
	if (value < 0)
		buffer_add_char(b, '-');
	buffer_add_u64(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buffer_add_printf(struct buffer *b, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		b->failed = true;
	else if (buffer_reserve(b, (size_t)n + 1)) {
		(void)vsnprintf(b->data + b->n, (size_t)n + 1, format, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

static void add_escape(struct buffer *b, unsigned char c)
{
	switch (c) {
	case '"':
		buffer_add_text(b, "\\\"");
		break;
	case '\\':
		buffer_add_text(b, "\\\\");
		break;
	case '\n':
		buffer_add_text(b, "\\n");
		break;
	case '\r':
		buffer_add_text(b, "\\r");
		break;
	case '\t':
		buffer_add_text(b, "\\t");
		break;
	default:
		buffer_add_printf(b, "\\u%04x", c);
	}
}

void buffer_add_json(struct buffer *b, struct span text)
{
	buffer_add_char(b, '"');
	while (text.n) {
		size_t n = span_literal_run(text);
		buffer_add(b, span_of(text.data, n));
		text = span_skip(text, n);
		if (!text.n)
			break;
		uint32_t point;
		n = span_utf8_sequence(text, &point);
		if (n == 1)
			add_escape(b, (unsigned char)point);
		else if (n)
			buffer_add(b, span_of(text.data, n));
		else
			buffer_add_text(b, "\xef\xbf\xbd");
		text = span_skip(text, n ? n : 1);
	}
	buffer_add_char(b, '"');
}

void buffer_add_json_member(struct buffer *b, const char *key, struct span text)
{
	buffer_add_text(b, ",\"");
	buffer_add_text(b, key);
	buffer_add_text(b, "\":");
	buffer_add_json(b, text);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		   c == '_' || c == '~';
}

void buffer_add_percent_encoded(struct buffer *b, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (is_unreserved(text.data[i]))
			buffer_add_char(b, text.data[i]);
		else
			buffer_add_printf(b, "%%%02X", (unsigned char)text.data[i]);
	}
}

void buffer_consume(struct buffer *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->data, b->data + n, b->n - n);
	b->n -= n;
}

char *buffer_steal_text(struct buffer *b)
{
	if (!buffer_reserve(b, 1))
		return NULL;
	b->data[b->n] = '\0';
	char *text = b->data;
	*b = BUFFER_INIT;
	return text;
}
