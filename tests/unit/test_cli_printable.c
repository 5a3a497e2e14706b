/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/printable.h"

#include "unit.h"

#include <jansson.h>

static void expect(struct span raw, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	printable_add(&text, raw);
	CU_ASSERT_TRUE(span_equal(buffer_span(&text), span_text(expected)));
}

static void test_stays(void)
{
	expect(SPAN("plain ~ text"), "plain ~ text");
	expect(SPAN("caf\xc3\xa9 \xe6\x9c\x83 \xf0\x9f\x94\x94"), "caf\xc3\xa9 \xe6\x9c\x83 \xf0\x9f\x94\x94");
	expect(SPAN("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb"), "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb");
	expect(SPAN(""), "");
}

static void test_is_escaped(void)
{
	expect(SPAN("\x1b[2J\x07"), "\\u{1b}[2J\\u{7}");
	expect(SPAN("a\0b"), "a\\u{0}b");
	expect(SPAN("a\r\nb\t"), "a\\u{d}\\u{a}b\\u{9}");
	expect(SPAN("\x7f"), "\\u{7f}");
	expect(SPAN("\xc2\x9b"
				"31m"),
		   "\\u{9b}31m"); /* CSI in one character */
	expect(SPAN("\xe2\x80\xaegnp"), "\\u{202e}gnp");
	expect(SPAN("\xe2\x81\xa6x\xe2\x81\xa9"), "\\u{2066}x\\u{2069}");
	expect(SPAN("\xe2\x80\xa8\xe2\x80\xa9"), "\\u{2028}\\u{2029}");
	expect(SPAN("\xef\xbb\xbf"), "\\u{feff}");
	expect(SPAN("\xf3\xa0\x81\x81"), "\\u{e0041}"); /* a tag */
}

static void test_no_utf8(void)
{
	expect(SPAN("\x9b"), "\\x9b");          /* a bare C1 byte */
	expect(SPAN("\xc3"), "\\xc3");          /* cut off */
	expect(SPAN("\xc0\x9b"), "\\xc0\\x9b"); /* overlong */
	expect(SPAN("\xed\xa0\x80x"), "\\xed\\xa0\\x80x");
	expect(SPAN("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
}

/* No byte sequence of up to three bytes lets a control byte through. */
static void test_every_byte(void)
{
	for (unsigned i = 0; i < 1u << 16; i++) {
		unsigned char raw[3] = { (unsigned char)i, (unsigned char)(i >> 8), 'x' };
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		printable_add(&text, span_of(raw, sizeof raw));
		bool is_safe = span_is_utf8(buffer_span(&text));
		for (size_t k = 0; k < text.n; k++)
			is_safe = is_safe && (unsigned char)text.data[k] >= ' ' && text.data[k] != 0x7f;
		if (!is_safe)
			CU_FAIL("a control byte, or no UTF-8");
	}
}

static void test_cut(void)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	printable_add_cut(&text, SPAN("\xc3\xa9\xc3\xa9\xc3\xa9"), 2);
	printable_add_cut(&text, SPAN("|ab"), 3);
	CU_ASSERT_TRUE(span_equal(buffer_span(&text), SPAN("\xc3\xa9\xc3\xa9...|ab")));
}

static void expect_line(struct span json, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	printable_add_json_line(&line, json);
	CU_ASSERT_TRUE(span_equal(buffer_span(&line), span_text(expected)));
}

static void test_json_line(void)
{
	expect_line(SPAN("{\n  \"a\" : [ 1.10,\r\n\t2e999 ],\n \"b c\": \"d  e\"}\n"),
				"{\"a\":[1.10,2e999],\"b c\":\"d  e\"}");
	expect_line(SPAN("\"\\\" , \\\\\" "), "\"\\\" , \\\\\"");
	expect_line(SPAN("{\"\xe2\x80\xae\":\"\x7f\xc2\x9b\"}"), "{\"\\u202e\":\"\\u007f\\u009b\"}");
	expect_line(SPAN("\"\xf3\xa0\x81\x81\""), "\"\\udb40\\udc41\"");
	expect_line(SPAN("\"caf\xc3\xa9\""), "\"caf\xc3\xa9\"");
	expect_line(SPAN("123456789012345678901234567890"), "123456789012345678901234567890");
}

static void test_json_keeps_its_meaning(void)
{
	static const char text[] = "{ \"k\" : [true, null, \"\\\\\\\"\xe2\x80\xae\\u202e\", {\"x\": -0.5}], \"\": \"\" }";
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	printable_add_json_line(&line, span_text(text));
	json_t *before = json_loads(text, JSON_ALLOW_NUL, NULL);
	json_t *after = json_loadb(line.data, line.n, JSON_ALLOW_NUL, NULL);
	CU_ASSERT_PTR_NOT_NULL(before);
	CU_ASSERT_TRUE(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

UNIT_MAIN({ "text that stays", test_stays }, { "hidden characters", test_is_escaped }, { "no UTF-8", test_no_utf8 },
		  { "every pair of bytes", test_every_byte }, { "cut between characters", test_cut },
		  { "JSON in one line", test_json_line }, { "JSON with the same meaning", test_json_keeps_its_meaning })
