/* SPDX-License-Identifier: Apache-2.0 */
/* What everything stands on: spans, buffers, times as text, and a log that nobody can forge lines in. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/history.h"
#include "base/log.h"
#include "base/nearest.h"

#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define NOTHING ((struct span){ NULL, 0 })

static bool is_text(struct span s, const char *text)
{
	return span_equal(s, span_text(text));
}

/* ---- spans ---- */

static void test_span_compares(void)
{
	CU_ASSERT_TRUE(span_equal(SPAN("a\0b"), SPAN("a\0b")));
	CU_ASSERT_TRUE(span_equal(SPAN(""), NOTHING));
	CU_ASSERT_FALSE(span_equal(SPAN("a\0b"), SPAN("a\0c")));
	CU_ASSERT_FALSE(span_equal(SPAN("a"), SPAN("ab")));
	CU_ASSERT_TRUE(span_starts_with(SPAN("abc"), SPAN("ab")));
	CU_ASSERT_TRUE(span_starts_with(SPAN("abc"), NOTHING));
	CU_ASSERT_FALSE(span_starts_with(SPAN("ab"), SPAN("abc")));
	CU_ASSERT_FALSE(span_starts_with(SPAN("abc"), SPAN("b")));
	CU_ASSERT_TRUE(span_equal_ignoring_case(SPAN("Content-LENGTH"), SPAN("content-length")));
	CU_ASSERT_FALSE(span_equal_ignoring_case(SPAN("content-length"), SPAN("content-lengt")));
}

/* Only letters have a case: not the characters that differ in the same bit, not what Latin-1 would fold. */
static void test_span_case_is_ascii(void)
{
	static const struct span different[][2] = {
		{ SPAN("@"), SPAN("`") },       { SPAN("["), SPAN("{") },
		{ SPAN("^"), SPAN("~") },       { SPAN("\r"), SPAN("-") },
		{ SPAN("\0"), SPAN(" ") },      { SPAN("\x0a"), SPAN("*") },
		{ SPAN("\xc4"), SPAN("\xe4") }, { SPAN("K"), SPAN("\xe2\x84\xaa") },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(different); i++)
		CU_ASSERT_FALSE(span_equal_ignoring_case(different[i][0], different[i][1]));
}

static void test_span_trim(void)
{
	CU_ASSERT_TRUE(is_text(span_trim(SPAN(" \t a b\t ")), "a b"));
	CU_ASSERT_TRUE(is_text(span_trim(SPAN("a")), "a"));
	CU_ASSERT_TRUE(is_text(span_trim(SPAN(" \t")), ""));
	CU_ASSERT_TRUE(is_text(span_trim(NOTHING), ""));
	CU_ASSERT_TRUE(is_text(span_trim(SPAN("\na\r")), "\na\r"));
	CU_ASSERT_TRUE(is_text(span_trim(SPAN("\xa0 a")), "\xa0 a"));
}

static void test_span_next(void)
{
	struct span rest = SPAN(",a,,b"), head;
	static const char *const heads[] = { "", "a", "", "b" };
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
		CU_ASSERT_TRUE_FATAL(span_next(&rest, ',', &head));
		CU_ASSERT_TRUE(is_text(head, heads[i]));
	}
	CU_ASSERT_FALSE(span_next(&rest, ',', &head));
	CU_ASSERT_FALSE(span_next(&rest, ',', &head));
	CU_ASSERT_TRUE(is_text(head, "b"));
	rest = SPAN("");
	CU_ASSERT_TRUE(span_next(&rest, ',', &head));
	CU_ASSERT_TRUE(is_text(head, ""));
	CU_ASSERT_FALSE(span_next(&rest, ',', &head));
	rest = SPAN("a,");
	CU_ASSERT_TRUE(span_next(&rest, ',', &head) && span_next(&rest, ',', &head) && is_text(head, ""));
	CU_ASSERT_FALSE(span_next(&rest, ',', &head));
}

static void test_span_numbers(void)
{
	uint64_t value = 1;
	CU_ASSERT_TRUE(span_to_u64(SPAN("0"), 0, &value) && value == 0);
	CU_ASSERT_TRUE(span_to_u64(SPAN("0042"), 42, &value) && value == 42);
	CU_ASSERT_TRUE(span_to_u64(SPAN("18446744073709551615"), UINT64_MAX, &value) && value == UINT64_MAX);
}

static void test_span_numbers_refuse(void)
{
	static const struct span texts[] = {
		SPAN(""),
		SPAN(" 1"),
		SPAN("1 "),
		SPAN("+1"),
		SPAN("-1"),
		SPAN("0x1"),
		SPAN("1a"),
		SPAN("1,1"),
		SPAN("1.0"),
		SPAN("1\0"),
		SPAN("/"),
		SPAN(":"),
		SPAN("43"),
		SPAN("1\n"),
		SPAN("\xb2"),
		SPAN("18446744073709551616"),
		SPAN("99999999999999999999999999999999999999"),
		{ NULL, 0 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		uint64_t value = 7;
		CU_ASSERT_FALSE(span_to_u64(texts[i], 42, &value));
		CU_ASSERT_EQUAL(value, 7);
	}
	uint64_t value = 7;
	CU_ASSERT_FALSE(span_to_u64(SPAN("18446744073709551616"), UINT64_MAX, &value));
	CU_ASSERT_FALSE(span_to_u64(SPAN("18446744073709551620"), UINT64_MAX, &value));
	CU_ASSERT_FALSE(span_to_u64(SPAN("184467440737095516150"), UINT64_MAX, &value));
}

static void test_span_dup(void)
{
	CLEANUP(free) char *copy = span_dup(SPAN("a\0b"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_EQUAL(memcmp(copy, "a\0b", 4), 0);
	CLEANUP(free) char *empty = span_dup(NOTHING);
	CU_ASSERT_STRING_EQUAL(empty, "");
}

/* Encodes by the book (RFC 3629 3), so that the reader is tested against something else than itself. */
static size_t encode(uint32_t point, size_t n, char bytes[static 4])
{
	static const uint8_t marks[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n; i-- > 1; point >>= 6)
		bytes[i] = (char)(0x80 | (point & 0x3f));
	bytes[0] = (char)(marks[n] | point);
	return n;
}

static size_t shortest(uint32_t point)
{
	return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/* Every code point in every length that can hold it. */
static void test_span_utf8_all(void)
{
	static const uint32_t ends[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
	size_t n_wrong = 0;
	for (size_t n = 1; n <= 4; n++)
		for (uint32_t point = 0; point < ends[n]; point++) {
			char bytes[4];
			bool is_good = n == shortest(point) && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
			uint32_t found = UINT32_MAX;
			struct span text = span_of(bytes, encode(point, n, bytes));
			if (span_is_utf8(text) != is_good || span_utf8_sequence(text, &found) != (is_good ? n : 0) ||
				(is_good && found != point))
				n_wrong++;
		}
	CU_ASSERT_EQUAL(n_wrong, 0);
}

static void test_span_utf8(void)
{
	CU_ASSERT_TRUE(span_is_utf8(NOTHING));
	CU_ASSERT_TRUE(span_is_utf8(SPAN("a\0\x7f \xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x94 z")));
	static const struct span texts[] = {
		SPAN("\x80"),
		SPAN("\xbf"),
		SPAN("a\xc3"),
		SPAN("\xc3(a"),
		SPAN("\xe2\x82"),
		SPAN("\xe2\x82z"),
		SPAN("\xf0\x9f\x94"),
		SPAN("\xf0\x9f\x94z"),
		SPAN("\xc3\xa4\xa4"),
		SPAN("\xfe"),
		SPAN("\xff"),
		SPAN("\xf8\x88\x80\x80\x80"),
		SPAN("\xfc\x84\x80\x80\x80\x80"),
		SPAN("\xed\xa0\x80\xed\xb0\x80"),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		CU_ASSERT_FALSE(span_is_utf8(texts[i]));
}

/* Each byte at each place of two words, in front of each other: what is found in one must not hide in a borrow of
 * another. */
static void test_span_literal_run(void)
{
	char bytes[16];
	size_t n_wrong = 0;
	for (size_t at = 0; at < sizeof bytes; at++)
		for (unsigned pair = 0; pair < 0x10000; pair++) {
			memset(bytes, 'a', sizeof bytes);
			bytes[at] = (char)(pair >> 8);
			bytes[(at + 1) % sizeof bytes] = (char)pair;
			size_t expected = 0;
			while (expected < sizeof bytes && isprint((unsigned char)bytes[expected]) && bytes[expected] != '"' &&
				   bytes[expected] != '\\')
				expected++;
			for (size_t n = 0; n <= sizeof bytes; n++)
				n_wrong += span_literal_run(span_of(bytes, n)) != (n < expected ? n : expected);
		}
	CU_ASSERT_EQUAL(n_wrong, 0);
}

/* ---- buffers ---- */

static void test_buffer_adds(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	buffer_add_text(&b, "a");
	buffer_add_text(&b, NULL);
	buffer_add(&b, NOTHING);
	buffer_add(&b, SPAN("\0b"));
	buffer_add_char(&b, ' ');
	buffer_add_u64(&b, 0);
	buffer_add_char(&b, ' ');
	buffer_add_u64(&b, UINT64_MAX);
	buffer_add_char(&b, ' ');
	buffer_add_i64(&b, INT64_MIN);
	buffer_add_printf(&b, " %s %04x", "text", 0xabu);
	CU_ASSERT_FALSE(b.failed);
	CU_ASSERT_TRUE(span_equal(buffer_span(&b), SPAN("a\0b 0 18446744073709551615 -9223372036854775808 text 00ab")));
}

static void test_buffer_grows(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	for (unsigned i = 0; i < 100000; i++)
		buffer_add_char(&b, (char)('a' + i % 26));
	CU_ASSERT_EQUAL_FATAL(b.n, 100000);
	CU_ASSERT_TRUE(b.cap < 200000);
	for (unsigned i = 0; i < 100000; i++)
		if (b.data[i] != (char)('a' + i % 26))
			CU_FAIL("lost a byte");
	buffer_finish(&b);
	CU_ASSERT_TRUE(b.data == NULL && b.n == 0 && b.cap == 0);
	buffer_add_text(&b, "usable again");
	CU_ASSERT_TRUE(is_text(buffer_span(&b), "usable again"));
}

/* What cannot be had marks the buffer, at once, and leaves what is in it. */
static void test_buffer_fails(void)
{
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 3 * 2, (size_t)PTRDIFF_MAX + 1 };
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
		CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
		CU_ASSERT_FALSE(buffer_reserve(&b, sizes[i]));
		CU_ASSERT_TRUE(b.failed);
		buffer_finish(&b);
		buffer_add_text(&b, "kept");
		CU_ASSERT_FALSE(buffer_reserve(&b, sizes[i]));
		CU_ASSERT_TRUE(b.failed);
		buffer_add_text(&b, " not added");
		buffer_add_printf(&b, "%d", 1);
		CU_ASSERT_FALSE(buffer_reserve(&b, 0));
		CU_ASSERT_PTR_NULL(buffer_steal_text(&b));
		CU_ASSERT_TRUE(is_text(buffer_span(&b), "kept"));
	}
}

static void test_buffer_consumes(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	buffer_consume(&b, 0);
	buffer_consume(&b, 5);
	buffer_add_text(&b, "abcdef");
	buffer_consume(&b, 0);
	CU_ASSERT_TRUE(is_text(buffer_span(&b), "abcdef"));
	buffer_consume(&b, 2);
	CU_ASSERT_TRUE(is_text(buffer_span(&b), "cdef"));
	buffer_consume(&b, 9);
	CU_ASSERT_EQUAL(b.n, 0);
	buffer_add_text(&b, "xyz");
	CU_ASSERT_TRUE(is_text(buffer_span(&b), "xyz"));
	buffer_consume(&b, 3);
	CU_ASSERT_EQUAL(b.n, 0);
}

static void test_buffer_steals(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	CLEANUP(free) char *empty = buffer_steal_text(&b);
	CU_ASSERT_STRING_EQUAL(empty, "");
	buffer_add_text(&b, "mine");
	CLEANUP(free) char *text = buffer_steal_text(&b);
	CU_ASSERT_STRING_EQUAL(text, "mine");
	CU_ASSERT_TRUE(b.data == NULL && b.n == 0);
}

static void test_buffer_json(void)
{
	static const struct {
		struct span text;
		const char *json;
	} cases[] = {
		{ { NULL, 0 }, "\"\"" },
		{ SPAN("plain / <text>"), "\"plain / <text>\"" },
		{ SPAN("\"\\\n\r\t"), "\"\\\"\\\\\\n\\r\\t\"" },
		{ SPAN("a\0b\x01\x1f\x7f"), "\"a\\u0000b\\u0001\\u001f\\u007f\"" },
		{ SPAN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x94."), "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x94.\"" },
		{ SPAN("\xff"), "\"\xef\xbf\xbd\"" },
		{ SPAN("a\xc3"), "\"a\xef\xbf\xbd\"" },
		{ SPAN("\xc3\""), "\"\xef\xbf\xbd\\\"\"" },
		{ SPAN("\xe2\x82z"), "\"\xef\xbf\xbd\xef\xbf\xbdz\"" },
		{ SPAN("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ SPAN("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
		buffer_add_json(&b, cases[i].text);
		CU_ASSERT_TRUE(is_text(buffer_span(&b), cases[i].json));
	}
}

static void test_buffer_percent(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	buffer_add_percent_encoded(&b, SPAN("aZ09-._~ /?&=+%\0\xff"));
	CU_ASSERT_TRUE(is_text(buffer_span(&b), "aZ09-._~%20%2F%3F%26%3D%2B%25%00%FF"));
}

/* ---- clock ---- */

static void test_clock_formats(void)
{
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1777302001123, "2026-04-27T15:00:01.123Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59.000Z" },
		{ -62167219200000, "0000-01-01T00:00:00.000Z" },
		{ -62167219200001, "0000-01-01T00:00:00.000Z" },
		{ INT64_MIN, "0000-01-01T00:00:00.000Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
		{ 253402300800000, "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char text[CLOCK_TEXT_SIZE];
		clock_format(cases[i].wall_ms, text);
		CU_ASSERT_STRING_EQUAL(text, cases[i].text);
	}
}

static void test_clock_runs(void)
{
	uint64_t before = clock_monotonic_ns();
	CU_ASSERT_TRUE(clock_monotonic_ns() >= before);
	CU_ASSERT_TRUE(clock_wall_ms() > 1600000000000);
}

/* ---- histogram ---- */

static void test_histogram_buckets(void)
{
	struct histogram h = { 0 };
	static const struct {
		uint64_t ns;
		unsigned bucket;
	} cases[] = {
		{ 0, 0 },
		{ 100000, 0 },
		{ 100001, 1 },
		{ 250000, 1 },
		{ 1000000, 3 },
		{ 1000001, 4 },
		{ 5000000000, 14 },
		{ 5000000001, HISTOGRAM_BUCKETS - 1 },
		{ UINT64_MAX, HISTOGRAM_BUCKETS - 1 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		uint64_t before = h.n[cases[i].bucket];
		histogram_add(&h, cases[i].ns);
		CU_ASSERT_EQUAL(h.n[cases[i].bucket], before + 1);
	}
	CU_ASSERT_STRING_EQUAL(histogram_bound(0), "0.0001");
	CU_ASSERT_STRING_EQUAL(histogram_bound(14), "5");
	CU_ASSERT_STRING_EQUAL(histogram_bound(HISTOGRAM_BUCKETS - 1), "+Inf");
}

/* Each bound is written as the number that it is. */
static void test_histogram_bounds(void)
{
#define X(ns, seconds) CU_ASSERT_EQUAL((uint64_t)(strtod(seconds, NULL) * 1e9 + 0.5), (uint64_t)ns);
	HISTOGRAM_BOUNDS(X)
#undef X
}

static void test_histogram_merges(void)
{
	struct histogram one = { 0 }, two = { 0 };
	histogram_add(&one, 1);
	histogram_add(&one, 300000);
	histogram_add(&two, 2);
	histogram_merge(&one, &two);
	CU_ASSERT_EQUAL(one.n[0], 2);
	CU_ASSERT_EQUAL(one.n[2], 1);
	CU_ASSERT_EQUAL(one.sum_ns, 300003);
}

/* ---- log ---- */

/* What is written to stderr between begin and end. */
struct capture {
	int memory, stderr_before;
	char text[4096];
};

static void capture_begin(struct capture *capture)
{
	capture->memory = memfd_create("log", MFD_CLOEXEC);
	capture->stderr_before = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	CU_ASSERT_FATAL(capture->memory >= 0 && capture->stderr_before >= 0);
	CU_ASSERT_FATAL(dup2(capture->memory, STDERR_FILENO) == STDERR_FILENO);
}

/* The lines without the time in front of them, which is checked here. */
static const char *capture_end(struct capture *capture)
{
	(void)dup2(capture->stderr_before, STDERR_FILENO);
	(void)close(capture->stderr_before);
	ssize_t n = pread(capture->memory, capture->text, sizeof capture->text - 1, 0);
	(void)close(capture->memory);
	CU_ASSERT_FATAL(n >= 0);
	capture->text[n] = '\0';
	const size_t n_time = CLOCK_TEXT_SIZE - 1;
	if ((size_t)n <= n_time || capture->text[0] == '<' || capture->text[0] == '{')
		return capture->text;
	CU_ASSERT_TRUE(capture->text[10] == 'T' && capture->text[n_time - 1] == 'Z' && capture->text[n_time] == ' ');
	return capture->text + n_time + 1;
}

/* The line that a warning with these fields gives. */
#define CHECK_LINE(line, ...)                                                     \
	do {                                                                          \
		struct capture capture_;                                                  \
		capture_begin(&capture_);                                                 \
		log_warning("said", ##__VA_ARGS__);                                       \
		CU_ASSERT_STRING_EQUAL(capture_end(&capture_), "warning said" line "\n"); \
	} while (0)

static void test_log_lines(void)
{
	CHECK_LINE("");
	CHECK_LINE(" n=-5 m=9223372036854775807", LOG_NUMBER("n", -5), LOG_NUMBER("m", INT64_MAX));
	CHECK_LINE(" path=/hook/cronofy?x", LOG_TEXT("path", "/hook/cronofy?x"));
	CHECK_LINE(" error=\"No space left on device\"", LOG_ERRNO(-ENOSPC));
	CHECK_LINE(" error=\"No space left on device\"", LOG_ERRNO(ENOSPC));
	CHECK_LINE(" error=\"\"", LOG_ERRNO(123456));
	CHECK_LINE(" a=\"\" b=\"\"", LOG_TEXT("a", ""), LOG_TEXT("b", NULL));
	CHECK_LINE(" a=\"b c\"", LOG_TEXT("a", "b c"));
	CHECK_LINE(" a=\"b=c\"", LOG_TEXT("a", "b=c"));
}

static void test_log_cannot_be_forged(void)
{
	CHECK_LINE(" a=\"x\\x0a2026-01-01T00:00:00.000Z error stolen\"",
			   LOG_TEXT("a", "x\n2026-01-01T00:00:00.000Z error stolen"));
	CHECK_LINE(" a=\"\\\" b=\\\"c\"", LOG_TEXT("a", "\" b=\"c"));
	CHECK_LINE(" a=\"\\\\\"", LOG_TEXT("a", "\\"));
	CHECK_LINE(" a=\"\\\\x0a\"", LOG_TEXT("a", "\\x0a"));
	CHECK_LINE(" a=\"\\x00\\x0d\\x1b[2J\\x7f\"", LOG_SPAN("a", SPAN("\0\r\x1b[2J\x7f")));
	CHECK_LINE(" a=\"\\xe2\\x80\\xae\\xff\"", LOG_TEXT("a", "\xe2\x80\xae\xff"));
}

static void test_log_cuts(void)
{
	char text[300];
	memset(text, 'a', sizeof text);
	struct capture capture;
	capture_begin(&capture);
	log_warning("said", LOG_SPAN("just", span_of(text, 256)), LOG_SPAN("more", span_of(text, 257)));
	const char *line = capture_end(&capture);
	CU_ASSERT_EQUAL(strlen(line), strlen("warning said just= more=...\n") + 512);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "aaa more=aaa"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "aaa...\n"));
}

/* What such a warning is in JSON, without the time. */
#define CHECK_JSON(rest, ...)                                                                                \
	do {                                                                                                     \
		const char *line_ =                                                                                  \
			json_line(LOG_FIELDS_(__VA_ARGS__), sizeof LOG_FIELDS_(__VA_ARGS__) / sizeof(struct log_field)); \
		CU_ASSERT_STRING_EQUAL(line_, "\"level\":\"warning\",\"message\":\"said\"" rest "}\n");              \
	} while (0)

static const char *json_line(const struct log_field *fields, size_t n_fields)
{
	static struct capture capture;
	static const char start[] = "{\"time\":\"2026-04-27T15:00:01.123Z\",";
	log_set_json(true);
	capture_begin(&capture);
	log_write(LOG_LEVEL_WARNING, NULL, "said", fields, n_fields);
	(void)capture_end(&capture);
	log_set_json(false);
	CU_ASSERT_FATAL(strlen(capture.text) > sizeof start);
	CU_ASSERT_EQUAL(strncmp(capture.text, start, 9), 0);
	CU_ASSERT_TRUE(capture.text[19] == 'T' && capture.text[32] == 'Z' && capture.text[33] == '"');
	return capture.text + sizeof start - 1;
}

static void test_log_json(void)
{
	CHECK_JSON("");
	CHECK_JSON(",\"n\":-9223372036854775808,\"m\":0", LOG_NUMBER("n", INT64_MIN), LOG_NUMBER("m", 0));
	CHECK_JSON(",\"error\":\"No space left on device\",\"a\":\"\",\"b\":\"\"", LOG_ERRNO(-ENOSPC), LOG_TEXT("a", ""),
			   LOG_TEXT("b", NULL));
	CHECK_JSON(",\"a\":\"x = y\"", LOG_TEXT("a", "x = y"));
}

static void test_log_json_cannot_be_forged(void)
{
	CHECK_JSON(",\"a\":\"\\\"},{\\\\\"", LOG_TEXT("a", "\"},{\\"));
	CHECK_JSON(",\"a\":\"\\u0000\\u000a\\u001b[2J\\u007f\"", LOG_SPAN("a", SPAN("\0\n\x1b[2J\x7f")));
	/* nothing but ASCII: no line separator, no bidi mark; a pair of surrogates beyond the first plane */
	CHECK_JSON(",\"a\":\"\\u00e9\\u2028\\u202e\\ud83d\\ude00\\udbff\\udfff\"",
			   LOG_TEXT("a", "\xc3\xa9\xe2\x80\xa8\xe2\x80\xae\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"));
	/* stray, cut short, overlong, a surrogate, beyond the last: each byte for itself */
	CHECK_JSON(",\"a\":\"\\ufffdx\\ufffd\\ufffd\"", LOG_TEXT("a", "\x80x\xe2\x80"));
	CHECK_JSON(",\"a\":\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"", LOG_TEXT("a", "\xc0\xaf\xed\xa0\x80"));
	CHECK_JSON(",\"a\":\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"", LOG_TEXT("a", "\xf4\x90\x80\x80\xff"));
}

static void test_log_json_cuts(void)
{
	char text[300];
	memset(text, 'a', sizeof text);
	const struct log_field fields[] = { { 0 }, LOG_SPAN("a", span_of(text, 256)), LOG_SPAN("b", span_of(text, 257)) };
	const char *line = json_line(fields, 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "aaa\",\"b\":\"aaa"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "aaa...\"}\n"));
	CU_ASSERT_EQUAL(strlen(line),
					strlen("\"level\":\"warning\",\"message\":\"said\",\"a\":\"\",\"b\":\"...\"}\n") + 512);
	memcpy(text + 253, "\xf0\x9f\x98\x80", 4); /* a character across the border is left out as a whole */
	line = json_line((const struct log_field[]){ { 0 }, LOG_SPAN("a", span_of(text, 300)) }, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "aaa...\"}\n"));
	memcpy(text + 252,
		   "\xf0\x9f\x98\x80"
		   "a",
		   5);
	line = json_line((const struct log_field[]){ { 0 }, LOG_SPAN("a", span_of(text, 300)) }, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "aaa\\ud83d\\ude00...\"}\n"));
	memset(text, 0x80, sizeof text); /* nothing but what goes on */
	line = json_line((const struct log_field[]){ { 0 }, LOG_SPAN("a", span_of(text, 300)) }, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\ufffd...\"}\n"));
}

/* A line is never longer than what a pipe takes in one piece: a field that does not fit is left out, the next may. */
static void test_log_lines_are_bounded(void)
{
	char worst[300];
	memset(worst, 0x01, sizeof worst);
	struct span s = span_of(worst, sizeof worst);
	const struct log_field fields[] = { { 0 },
										LOG_SPAN("a", s),
										LOG_SPAN("b", s),
										LOG_SPAN("c", s),
										LOG_SPAN("d", s),
										LOG_SPAN("e", s),
										LOG_NUMBER("n", 7) };
	const char *line = json_line(fields, ARRAY_LENGTH(fields));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\u0001...\",\"n\":7}\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, ",\"b\":"));
	CU_ASSERT_PTR_NULL(strstr(line, ",\"c\":"));
	struct capture capture;
	capture_begin(&capture);
	log_write(LOG_LEVEL_WARNING, NULL, "said", fields, ARRAY_LENGTH(fields));
	line = capture_end(&capture);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\x01\"... n=7\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, " c="));
	CU_ASSERT_PTR_NULL(strstr(line, " d="));
}

static void test_log_levels(void)
{
	struct capture capture;
	capture_begin(&capture);
	log_debug("left out");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("left out");
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "");
	capture_begin(&capture);
	log_error("said");
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "error said\n");
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_systemd(true);
	capture_begin(&capture);
	log_error("one");
	log_warning("two");
	log_info("three");
	log_debug("four");
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "<3>one\n<4>two\n<6>three\n<7>four\n");
	log_set_json(true);
	capture_begin(&capture);
	log_warning("two", LOG_NUMBER("n", 2));
	CU_ASSERT_EQUAL(strncmp(capture_end(&capture), "<4>{\"time\":\"20", 14), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(capture.text, "Z\",\"level\":\"warning\",\"message\":\"two\",\"n\":2}\n"));
	log_set_json(false);
	log_set_systemd(false);
	CU_ASSERT_TRUE(log_has_level(LOG_LEVEL_DEBUG));
	log_set_level(LOG_LEVEL_INFO);
	CU_ASSERT_TRUE(log_has_level(LOG_LEVEL_INFO) && !log_has_level(LOG_LEVEL_DEBUG));
}

static void test_log_limits(void)
{
	struct capture capture;
	struct log_limit limit = { 0 }, rare = { .quiet_s = 60 };
	const struct log_field fields[] = { { 0 } };
	capture_begin(&capture);
	for (size_t i = 0; i < 5; i++)
		log_write(LOG_LEVEL_WARNING, &limit, "said", fields, 1);
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "warning said\n");
	CU_ASSERT_TRUE(limit.next_ns > clock_monotonic_ns() + 5 * NS_PER_S);
	limit.next_ns = 0; /* ten seconds later */
	capture_begin(&capture);
	log_write(LOG_LEVEL_WARNING, &limit, "said", fields, 1);
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "warning said suppressed=4\n");
	limit.next_ns = 0;
	capture_begin(&capture);
	log_write(LOG_LEVEL_WARNING, &limit, "said", fields, 1);
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "warning said\n");
	capture_begin(&capture);
	log_write(LOG_LEVEL_WARNING, &rare, "rarely", fields, 1);
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "warning rarely\n");
	CU_ASSERT_TRUE(rare.next_ns > clock_monotonic_ns() + 50 * NS_PER_S);
	capture_begin(&capture);
	for (size_t i = 0; i < 3; i++)
		log_warning_limited("each place has its own", LOG_NUMBER("n", i));
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "warning each place has its own n=0\n");
}

static void test_log_keeps_errno(void)
{
	struct capture capture;
	capture_begin(&capture);
	(void)close(STDERR_FILENO);
	errno = EXDEV;
	log_warning("to nobody");
	CU_ASSERT_EQUAL(errno, EXDEV);
	CU_ASSERT_STRING_EQUAL(capture_end(&capture), "");
}

/* --- nearest names --- */

static const char *nearest_of(const char *word, const char *const *names, size_t n)
{
	struct nearest nearest = nearest_begin(span_text(word));
	for (size_t i = 0; i < n; i++)
		nearest_try(&nearest, names[i]);
	return nearest.name;
}

static void test_nearest(void)
{
	static const char *const names[] = { "send", "listen", "listener" };
	CU_ASSERT_STRING_EQUAL(nearest_of("lisen", names, 3), "listen");
	CU_ASSERT_STRING_EQUAL(nearest_of("listne", names, 3), "listen"); /* one swap, not two changes */
	CU_ASSERT_STRING_EQUAL(nearest_of("listener", names, 3), "listener");
	CU_ASSERT_PTR_NULL(nearest_of("dance", names, 3));
	CU_ASSERT_PTR_NULL(nearest_of("", names, 3));
	CU_ASSERT_PTR_NULL(nearest_of("aa", (const char *const[]){ "bb" }, 1));
}

static void test_history(void)
{
	const uint64_t slot_ns = HISTORY_SLOT_S * NS_PER_S, start = 7 * HISTORY_SLOTS;
	CLEANUP(history_destroy) struct history *history = NULL;
	CU_ASSERT_EQUAL_FATAL(history_create(2, &history), 0);
	history_row(history, start * slot_ns)[1] = 5;
	history_row(history, start * slot_ns + slot_ns - 1)[1] += 2; /* the last moment of the same slot */
	history_row(history, (start + 3) * slot_ns)[0] = 1;
	uint64_t sums[4] = { 0 };
	history_add_up(history, start, 2, 2, sums);
	CU_ASSERT_TRUE(sums[0] == 0 && sums[1] == 7 && sums[2] == 1 && sums[3] == 0);
	CU_ASSERT_PTR_NULL(history_find(history, start + 1));
	CU_ASSERT_PTR_NULL(history_find(history, start + HISTORY_SLOTS));
	CU_ASSERT_EQUAL(history_row(history, (start + HISTORY_SLOTS) * slot_ns)[1],
					0); /* the same place, six hours later */
	CU_ASSERT_PTR_NULL(history_find(history, start));
}

static void test_histogram_quantiles(void)
{
	struct histogram histogram = { 0 };
	CU_ASSERT_EQUAL(histogram_quantile(&histogram, 99), 0);
	for (int i = 0; i < 100; i++)
		histogram_add(&histogram, 300000); /* in the bucket from 0.25 to 0.5 ms */
	CU_ASSERT_EQUAL(histogram_quantile(&histogram, 50), 375000);
	CU_ASSERT_EQUAL(histogram_quantile(&histogram, 100), 500000);
	for (int i = 0; i < 2; i++)
		histogram_add(&histogram, UINT64_MAX / 4); /* beyond the last bound */
	CU_ASSERT_EQUAL(histogram_quantile(&histogram, 99), 5000000000);
	CU_ASSERT_TRUE(histogram_quantile(&histogram, 98) <= 500000);
}

UNIT_MAIN({ "spans are compared by their bytes", test_span_compares },
		  { "only ASCII letters have a case", test_span_case_is_ascii },
		  { "blanks around are trimmed, others not", test_span_trim },
		  { "lists are split, empty members included", test_span_next }, { "numbers up to 64 bits", test_span_numbers },
		  { "numbers: refuses what is more than digits, or too much", test_span_numbers_refuse },
		  { "a copy keeps its NUL", test_span_dup }, { "UTF-8: every code point in every length", test_span_utf8_all },
		  { "UTF-8: refuses what is cut or stray", test_span_utf8 },
		  { "bytes that stand for themselves", test_span_literal_run },
		  { "a buffer takes text and numbers", test_buffer_adds },
		  { "a buffer grows by steps and starts anew", test_buffer_grows },
		  { "a buffer without memory says so and keeps what it has", test_buffer_fails },
		  { "a buffer is consumed from the front", test_buffer_consumes },
		  { "a buffer gives its text away", test_buffer_steals },
		  { "whatever goes in, JSON comes out", test_buffer_json },
		  { "percent-encoding leaves only the unreserved", test_buffer_percent },
		  { "the nearest name is near", test_nearest },
		  { "times are RFC 3339, also the first and the last", test_clock_formats }, { "clocks run", test_clock_runs },
		  { "a histogram's value goes into the first bucket that it does not exceed", test_histogram_buckets },
		  { "a histogram's bounds are what they say", test_histogram_bounds },
		  { "histograms are added up", test_histogram_merges },
		  { "a histogram's quantiles are within its buckets", test_histogram_quantiles },
		  { "a history forgets what is too long ago", test_history }, { "a log line is key=value", test_log_lines },
		  { "values cannot forge lines, fields or colours", test_log_cannot_be_forged },
		  { "long values are cut", test_log_cuts }, { "a log line is a JSON object", test_log_json },
		  { "JSON: values cannot forge anything, and are ASCII", test_log_json_cannot_be_forged },
		  { "JSON: long values are cut between characters", test_log_json_cuts },
		  { "a line has a bound", test_log_lines_are_bounded }, { "levels and systemd's priorities", test_log_levels },
		  { "limited lines say how many were left out", test_log_limits },
		  { "logging leaves errno alone", test_log_keeps_errno })
