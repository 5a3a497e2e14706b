/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events by the HTML standard: every expectation is a sentence of its section 9.2.6. */
#include "cli/sse.h"

#include "unit.h"

#include <errno.h>

/* Messages as text: "id|event|data;" each. */
static int note(void *context, const struct sse_message *message)
{
	struct buffer *notes = context;
	buffer_add(notes, message->id);
	buffer_add_char(notes, '|');
	buffer_add(notes, message->event);
	buffer_add_char(notes, '|');
	buffer_add(notes, message->data);
	buffer_add_char(notes, ';');
	return 0;
}

/* Feeds the stream in slices of this many bytes. */
static void expect_sliced(struct span stream, size_t slice, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer notes = BUFFER_INIT;
	CLEANUP(sse_finish) struct sse sse = SSE_INIT;
	while (stream.n) {
		size_t n = stream.n < slice ? stream.n : slice;
		CU_ASSERT_EQUAL(sse_read(&sse, span_of(stream.data, n), note, &notes), 0);
		stream = span_skip(stream, n);
	}
	CU_ASSERT_TRUE(span_equal(buffer_span(&notes), span_text(expected)));
}

static void expect(struct span stream, const char *expected)
{
	for (size_t slice = 1; slice <= stream.n; slice++)
		expect_sliced(stream, slice, expected);
}

static void test_messages(void)
{
	expect(SPAN("data: one\n\n"), "|message|one;");
	expect(SPAN("data: one\n\ndata:two\n\n"), "|message|one;|message|two;");
	expect(SPAN("data: a\ndata: b\ndata\ndata: c\n\n"), "|message|a\nb\n\nc;");
	expect(SPAN("event: add\ndata: 1\n\ndata: 2\n\n"), "|add|1;|message|2;");
	expect(SPAN("data:  two blanks\n\n"), "|message| two blanks;");
	expect(SPAN("data:\n\n"), "|message|;");
	expect(SPAN("data\n\ndata\ndata\n\ndata:"), "|message|;|message|\n;");
	expect(SPAN("data: a:b: c\n\n"), "|message|a:b: c;");
}

static void test_line_ends(void)
{
	expect(SPAN("data: 1\r\n\r\ndata: 2\r\n\r\n"), "|message|1;|message|2;");
	expect(SPAN("data: 1\r\rdata: 2\r\r"), "|message|1;|message|2;");
	expect(SPAN("data: 1\r\ndata: 2\rdata: 3\n\r\n"), "|message|1\n2\n3;");
	expect(SPAN("data: 1\n\r"), "|message|1;");
}

static void test_ids_stay(void)
{
	expect(SPAN("id: 1\ndata: a\n\ndata: b\n\n"), "1|message|a;1|message|b;");
	expect(SPAN("id: 1\ndata: a\n\nid\ndata: b\n\n"), "1|message|a;|message|b;");
	expect(SPAN("id: 1\n\ndata: b\n\n"), "1|message|b;");
	expect(SPAN("id: 1\ndata: a\n\nid: 2\0x\ndata: b\n\n"), "1|message|a;1|message|b;");
}

static void test_bom(void)
{
	expect(SPAN("\xef\xbb\xbf"
				"data: a\n\n"),
		   "|message|a;");
	expect(SPAN("\xef\xbb\xbf\ndata: a\n\n"), "|message|a;");
	expect(SPAN("data: x\n\n\xef\xbb\xbf"
				"data: a\n\n"),
		   "|message|x;"); /* only the first line */
}

static void test_nothing_comes_of_it(void)
{
	expect(SPAN(": a comment\n\n"), "");
	expect(SPAN(":\n:x: y\n\n"), "");
	expect(SPAN("event: add\n\n"), ""); /* no data */
	expect(SPAN("data: half"), "");
	expect(SPAN("data: half\n"), ""); /* the stream ended before the blank line */
	expect(SPAN("Data: a\nDATA: b\n data: c\n\n"), "");
	expect(SPAN("datax: a\n\n"), "");
	expect(SPAN("\n\n\r\r\r\n"), "");
	expect(SPAN("event: add\n\ndata: 1\n\n"), "|message|1;"); /* a type without data is forgotten */
}

static void test_retry(void)
{
	static const struct {
		struct span stream;
		int64_t ms;
	} cases[] = { { SPAN("retry: 1500\n"), 1500 }, { SPAN("retry: 15x\n"), -1 },
				  { SPAN("retry: -1\n"), -1 },     { SPAN("retry:\n"), -1 },
				  { SPAN("retry: 1.5\n"), -1 },    { SPAN("retry: 99999999999999999999\n"), -1 } };
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(sse_finish) struct sse sse = SSE_INIT;
		CU_ASSERT_EQUAL(sse_read(&sse, cases[i].stream, note, NULL), 0);
		CU_ASSERT_EQUAL(sse.retry_ms, cases[i].ms);
	}
}

static void test_restart(void)
{
	CLEANUP(buffer_finish) struct buffer notes = BUFFER_INIT;
	CLEANUP(sse_finish) struct sse sse = SSE_INIT;
	CU_ASSERT_EQUAL(sse_read(&sse, SPAN("id: 7\nretry: 9\ndata: a\n\nid: 8\ndata: lo"), note, &notes), 0);
	sse_restart(&sse);
	CU_ASSERT_EQUAL(sse_read(&sse, SPAN("st\n\ndata: b\n\n"), note, &notes), 0);
	CU_ASSERT_TRUE(span_equal(buffer_span(&notes), SPAN("7|message|a;7|message|b;"))); /* id 8 was never dispatched */
	CU_ASSERT_EQUAL(sse.retry_ms, 9);
}

static int stop(void *context, const struct sse_message *message)
{
	(void)message;
	return ++*(int *)context;
}

static void test_stops(void)
{
	int n = 0;
	CLEANUP(sse_finish) struct sse sse = SSE_INIT;
	CU_ASSERT_EQUAL(sse_read(&sse, SPAN("data: a\n\ndata: b\n\n"), stop, &n), 1);
	CU_ASSERT_EQUAL(n, 1);
}

static void test_too_long(void)
{
	static char bytes[1 << 20];
	CLEANUP(sse_finish) struct sse sse = SSE_INIT;
	memset(bytes, 'x', sizeof bytes);
	int r = 0;
	for (size_t n = 0; r == 0 && n <= SSE_MAX_BYTES; n += sizeof bytes)
		r = sse_read(&sse, span_of(bytes, sizeof bytes), note, NULL);
	CU_ASSERT_EQUAL(r, -EMSGSIZE);
}

UNIT_MAIN({ "messages", test_messages }, { "CR, LF and CRLF", test_line_ends }, { "the id stays", test_ids_stay },
		  { "a byte order mark is ignored, once", test_bom }, { "what is no message", test_nothing_comes_of_it },
		  { "retry is digits", test_retry }, { "a new stream forgets half a message", test_restart },
		  { "whoever listens may stop", test_stops }, { "a line without end", test_too_long })
