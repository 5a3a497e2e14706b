/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sse.h"

#include <errno.h>

typedef int (*message_function)(void *context, const struct sse_message *message);

void sse_restart(struct sse *sse)
{
	sse->line.n = sse->data.n = sse->event.n = 0;
	sse->id.n = 0;
	buffer_add(&sse->id, buffer_span(&sse->last_id));
	sse->is_first_line = true;
	sse->follows_cr = false;
}

void sse_finish(struct sse *sse)
{
	struct buffer *buffers[] = { &sse->line, &sse->data, &sse->event, &sse->id, &sse->last_id };
	for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
		buffer_finish(buffers[i]);
}

static void set(struct buffer *b, struct span value)
{
	b->n = 0;
	buffer_add(b, value);
}

static void take_data(struct sse *sse, struct span value)
{
	buffer_add(&sse->data, value);
	buffer_add_char(&sse->data, '\n');
}

static void take_event(struct sse *sse, struct span value)
{
	set(&sse->event, value);
}

static void take_id(struct sse *sse, struct span value)
{
	if (value.n == 0 || !memchr(value.data, '\0', value.n))
		set(&sse->id, value);
}

static void take_retry(struct sse *sse, struct span value)
{
	uint64_t ms;
	if (span_to_u64(value, INT32_MAX, &ms))
		sse->retry_ms = (int64_t)ms;
}

static const struct {
	const char *name;
	void (*take)(struct sse *sse, struct span value);
} fields[] = {
	{ "data", take_data },
	{ "event", take_event },
	{ "id", take_id },
	{ "retry", take_retry },
};

/* A blank line: the message is complete, if there is one. */
static int dispatch(struct sse *sse, message_function on_message, void *context)
{
	int r = 0;
	set(&sse->last_id, buffer_span(&sse->id));
	if (sse->data.n) {
		struct sse_message message = { .id = buffer_span(&sse->last_id),
									   .event = sse->event.n ? buffer_span(&sse->event) : SPAN("message"),
									   .data = span_of(sse->data.data, sse->data.n - 1) };
		r = on_message(context, &message);
	}
	sse->data.n = sse->event.n = 0;
	return r;
}

/* A comment has an empty name, so no field takes it. */
static void take_field(struct sse *sse, struct span line)
{
	struct span name, value = line;
	if (!span_next(&value, ':', &name))
		return;
	if (value.n && value.data[0] == ' ')
		value = span_skip(value, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		if (span_equal(name, span_text(fields[i].name)))
			fields[i].take(sse, value);
}

static int end_line(struct sse *sse, message_function on_message, void *context)
{
	int r = 0;
	struct span line = buffer_span(&sse->line);
	if (sse->is_first_line && span_starts_with(line, SPAN("\xef\xbb\xbf")))
		line = span_skip(line, 3);
	sse->is_first_line = false;
	if (line.n == 0)
		r = dispatch(sse, on_message, context);
	else
		take_field(sse, line);
	sse->line.n = 0;
	return r;
}

static bool is_failed(const struct sse *sse)
{
	return sse->line.failed || sse->data.failed || sse->event.failed || sse->id.failed || sse->last_id.failed;
}

/* How many bytes stand before the end of the line, or all. */
static size_t line_run(struct span bytes)
{
	size_t n = 0;
	while (n < bytes.n && bytes.data[n] != '\n' && bytes.data[n] != '\r')
		n++;
	return n;
}

int sse_read(struct sse *sse, struct span bytes, message_function on_message, void *context)
{
	while (bytes.n) {
		if (sse->follows_cr && bytes.data[0] == '\n')
			bytes = span_skip(bytes, 1); /* the second half of CRLF */
		sse->follows_cr = false;
		size_t n = line_run(bytes);
		if (sse->line.n + sse->data.n + n > SSE_MAX_BYTES)
			return -EMSGSIZE;
		buffer_add(&sse->line, span_of(bytes.data, n));
		bytes = span_skip(bytes, n);
		if (bytes.n == 0)
			break;
		sse->follows_cr = bytes.data[0] == '\r';
		bytes = span_skip(bytes, 1);
		int r = end_line(sse, on_message, context);
		if (r)
			return r;
	}
	return is_failed(sse) ? -ENOMEM : 0;
}
