/* SPDX-License-Identifier: Apache-2.0 */
/* What daemon and handler say to each other: each type, in slices of any size; and every way to break the protocol. */
#include "wire/packet.h"

#include "unit.h"

#include <stdio.h>

#define DELIVER                                                                                             \
	"{\"type\":\"deliver\",\"key\":\"k\",\"position\":\"e-1\",\"source\":\"cronofy\",\"event_id\":\"\","    \
	"\"interaction\":\"change\",\"subtype\":\"\",\"index\":0,\"tags\":{\"user\":\"42\"},\"received_ms\":1," \
	"\"attempt\":2,"                                                                                        \
	"\"max_attempts\":8,\"deadline_ms\":30000}"
#define CONFIGURE "{\"type\":\"configure\",\"handler\":\"h\",\"plugin\":\"/p.so\",\"options\":{}"

static void add(struct buffer *b, const char *head, const char *payload)
{
	packet_add(b, span_text(head), span_text(payload));
	CU_ASSERT_FALSE_FATAL(b->failed);
}

/* Reads all of it in slices of n bytes; "TYPE PAYLOAD;" for each packet, and the reason in the end. */
static void transcribe(enum packet_side from, struct span stream, size_t n, struct buffer *text)
{
	CLEANUP(packet_reader_finish) struct packet_reader reader;
	struct packet packet;
	const char *reason = NULL;
	int r = PACKET_MORE;
	packet_reader_init(&reader, from);
	while (stream.n && r == PACKET_MORE) {
		struct span slice = span_of(stream.data, n < stream.n ? n : stream.n);
		stream = span_skip(stream, slice.n);
		while ((r = packet_read(&reader, &slice, &packet, &reason)) == PACKET_WHOLE)
			buffer_add_printf(text, "%d %.*s;", (int)packet.type, SPAN_PRINTF(packet.payload));
		CU_ASSERT_EQUAL(slice.n, 0);
	}
	if (r == PACKET_E_MALFORMED)
		buffer_add_text(text, reason);
}

static void expect(enum packet_side from, struct span stream, const char *wanted)
{
	static const size_t slices[] = { 1, 3, 7, 64, SIZE_MAX };
	for (size_t i = 0; i < ARRAY_LENGTH(slices); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		transcribe(from, stream, slices[i], &text);
		CU_ASSERT_TRUE(span_equal(buffer_span(&text), span_text(wanted)));
		if (!span_equal(buffer_span(&text), span_text(wanted)))
			(void)fprintf(stderr, "%.*s, not %s\n", SPAN_PRINTF(buffer_span(&text)), wanted);
	}
}

static void expect_head(enum packet_side from, const char *head, const char *payload, const char *wanted)
{
	CLEANUP(buffer_finish) struct buffer stream = BUFFER_INIT;
	add(&stream, head, payload);
	expect(from, buffer_span(&stream), wanted);
}

static void test_every_type(void)
{
	CLEANUP(buffer_finish) struct buffer daemon = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer handler = BUFFER_INIT;
	add(&daemon,
		CONFIGURE ",\"when\":\".a\",\"allow\":[\"exec\"],\"memory_bytes\":1,\"descriptors\":2,\"processes\":3}", "");
	add(&daemon, DELIVER, "{\"a\":1}");
	add(&daemon, "{\"type\":\"reply\",\"error\":-2,\"text\":\"none\"}", "");
	add(&daemon, "{\"type\":\"reply\",\"error\":0}", "value");
	add(&daemon, "{\"type\":\"stop\"}", "");
	expect(PACKET_DAEMON, buffer_span(&daemon), "0 ;1 {\"a\":1};2 ;2 value;3 ;");
	add(&handler, "{\"type\":\"ready\"}", "");
	add(&handler, "{\"type\":\"refused\",\"message\":\"no\"}", "");
	add(&handler, "{\"type\":\"outcome\",\"outcome\":\"retry\",\"reason\":\"503\",\"retry_after_ms\":7}", "");
	add(&handler, "{\"type\":\"outcome\",\"outcome\":\"done\",\"skipped\":true}", "");
	add(&handler, "{\"type\":\"log\",\"level\":\"info\",\"text\":\"hello\"}", "");
	add(&handler, "{\"type\":\"ask\",\"what\":\"set_state\",\"name\":\"k\"}", "v");
	add(&handler, "{\"type\":\"ask\",\"what\":\"callback_uri\",\"tags\":{}}", "");
	expect(PACKET_HANDLER, buffer_span(&handler), "4 ;5 ;6 ;6 ;7 ;8 v;8 ;");
}

static void test_values(void)
{
	CLEANUP(buffer_finish) struct buffer stream = BUFFER_INIT;
	CLEANUP(packet_reader_finish) struct packet_reader reader;
	struct packet packet;
	const char *reason;
	packet_reader_init(&reader, PACKET_HANDLER);
	add(&stream, "{\"type\":\"outcome\",\"outcome\":\"reject\",\"skipped\":false}", "");
	add(&stream, "{\"type\":\"log\",\"level\":\"debug\",\"text\":\"\xc3\xa9\"}", "");
	struct span bytes = buffer_span(&stream);
	CU_ASSERT_EQUAL_FATAL(packet_read(&reader, &bytes, &packet, &reason), PACKET_WHOLE);
	CU_ASSERT_EQUAL(packet_word(&packet, "outcome"), PACKET_REJECT);
	CU_ASSERT_PTR_NULL(packet_text(&packet, "reason").data);
	CU_ASSERT_EQUAL(packet_number(&packet, "retry_after_ms", -1), -1);
	CU_ASSERT_FALSE(packet_flag(&packet, "skipped"));
	CU_ASSERT_EQUAL_FATAL(packet_read(&reader, &bytes, &packet, &reason), PACKET_WHOLE);
	CU_ASSERT_EQUAL(packet_word(&packet, "level"), PACKET_DEBUG);
	CU_ASSERT_STRING_EQUAL(packet_text(&packet, "text").data, "\xc3\xa9");
	CU_ASSERT_EQUAL(packet_read(&reader, &bytes, &packet, &reason), PACKET_MORE);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
}

static void test_refuses_heads(void)
{
	expect_head(PACKET_HANDLER, "", "", "the head is no JSON");
	expect_head(PACKET_HANDLER, "{\"type\":\"ready\"", "", "the head is no JSON");
	expect_head(PACKET_HANDLER, "{\"type\":\"ready\",\"type\":\"ready\"}", "", "the head is no JSON");
	expect_head(PACKET_HANDLER, "\"ready\"", "", "the head is no object");
	expect_head(PACKET_HANDLER, "{}", "", "there is no such type");
	expect_head(PACKET_HANDLER, "{\"type\":\"later\"}", "", "there is no such type");
	expect_head(PACKET_HANDLER, "{\"type\":\"ready\",\"more\":1}", "", "there is a key that this type does not have");
	expect_head(PACKET_HANDLER, "{\"type\":\"refused\"}", "", "a key is missing");
	expect_head(PACKET_HANDLER, "{\"type\":\"ready\"}", "x", "this type has no payload");
}

static void test_each_side_says_its_own(void)
{
	expect_head(PACKET_HANDLER, "{\"type\":\"stop\"}", "", "there is no such type");
	expect_head(PACKET_HANDLER, "{\"type\":\"reply\",\"error\":0}", "", "there is no such type");
	expect_head(PACKET_DAEMON, "{\"type\":\"ready\"}", "", "there is no such type");
}

static void test_refuses_values(void)
{
	static const char *const heads[] = {
		"{\"type\":\"refused\",\"message\":7}",
		"{\"type\":\"refused\",\"message\":\"a\\u0000b\"}",
		"{\"type\":\"outcome\",\"outcome\":\"maybe\"}",
		"{\"type\":\"outcome\",\"outcome\":\"DONE\"}",
		"{\"type\":\"outcome\",\"outcome\":\"done\",\"retry_after_ms\":-1}",
		"{\"type\":\"outcome\",\"outcome\":\"done\",\"retry_after_ms\":1.5}",
		"{\"type\":\"outcome\",\"outcome\":\"done\",\"skipped\":1}",
		"{\"type\":\"log\",\"level\":null,\"text\":\"\"}",
		"{\"type\":\"ask\",\"what\":\"callback_uri\",\"tags\":[]}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++)
		expect_head(PACKET_HANDLER, heads[i], "", "a value is none that its key can have");
	expect_head(PACKET_DAEMON, "{\"type\":\"reply\",\"error\":1}", "", "a value is none that its key can have");
	expect_head(PACKET_DAEMON, "{\"type\":\"reply\",\"error\":-10000}", "", "a value is none that its key can have");
	expect_head(PACKET_DAEMON, CONFIGURE ",\"allow\":{}}", "", "a value is none that its key can have");
}

/* Told by the claim, before any of it has come. */
static void test_bounds(void)
{
	expect(PACKET_HANDLER, SPAN("\x00\x04\x00\x01\x00\x00\x00\x00"), "the head is too large");
	expect(PACKET_HANDLER, SPAN("\xff\xff\xff\xff\xff\xff\xff\xff"), "the head is too large");
	expect(PACKET_HANDLER, SPAN("\x00\x00\x00\x02\x00\x10\x00\x01"), "the payload is too large");
	expect(PACKET_HANDLER, SPAN("\x00\x04\x00\x00\x00\x10\x00\x00"), "");
	expect(PACKET_DAEMON, SPAN("\x00\x00\x00\x02\x01\x00\x00\x01"), "the payload is too large");
	expect(PACKET_DAEMON, SPAN("\x00\x00\x00\x02\x01\x00\x00\x00"), "");
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	CLEANUP(free) char *much = calloc(1, PACKET_MAX_TO_HANDLER_BYTES + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(much);
	packet_add(&b, span_of(much, PACKET_MAX_HEAD_BYTES + 1), span_of(NULL, 0));
	CU_ASSERT_TRUE(b.failed);
	buffer_finish(&b);
	packet_add(&b, SPAN("{}"), span_of(much, PACKET_MAX_TO_HANDLER_BYTES + 1));
	CU_ASSERT_TRUE(b.failed);
}

static void test_broken_stays_broken(void)
{
	CLEANUP(packet_reader_finish) struct packet_reader reader;
	struct packet packet;
	const char *reason = NULL;
	struct span bytes = SPAN("\xff\xff\xff\xff\xff\xff\xff\xff");
	packet_reader_init(&reader, PACKET_HANDLER);
	CU_ASSERT_EQUAL(packet_read(&reader, &bytes, &packet, &reason), PACKET_E_MALFORMED);
	CLEANUP(buffer_finish) struct buffer good = BUFFER_INIT;
	add(&good, "{\"type\":\"ready\"}", "");
	bytes = buffer_span(&good);
	CU_ASSERT_EQUAL(packet_read(&reader, &bytes, &packet, &reason), PACKET_E_MALFORMED);
	CU_ASSERT_STRING_EQUAL(reason, "it broke the protocol before");
	CU_ASSERT_EQUAL(bytes.n, 0);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
}

UNIT_MAIN({ "every type, in any slices", test_every_type }, { "values", test_values },
		  { "refuses heads", test_refuses_heads }, { "each side says its own", test_each_side_says_its_own },
		  { "refuses values", test_refuses_values }, { "bounds, at the claim", test_bounds },
		  { "what is broken stays broken", test_broken_stays_broken })
