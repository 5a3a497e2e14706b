/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "wire/position.h"

#include <stdio.h>

static void test_accepts_and_writes_the_same(void)
{
	static const struct {
		const char *text, *epoch;
		uint64_t sequence;
	} positions[] = {
		{ "k3x9-42", "k3x9", 42 },
		{ "a-0", "a", 0 },
		{ "0-1", "0", 1 },
		{ "0123456789abcdef-9223372036854775807", "0123456789abcdef", INT64_MAX },
		{ "zzzzzzzzzzzzzzzz-10", "zzzzzzzzzzzzzzzz", 10 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(positions); i++) {
		struct position position;
		char text[POSITION_TEXT_SIZE];
		CU_ASSERT_TRUE_FATAL(position_parse(span_text(positions[i].text), &position));
		CU_ASSERT_STRING_EQUAL(position.epoch, positions[i].epoch);
		CU_ASSERT_EQUAL(position.sequence, positions[i].sequence);
		CU_ASSERT_EQUAL(position_format(&position, text), strlen(positions[i].text));
		CU_ASSERT_STRING_EQUAL(text, positions[i].text);
	}
}

static void test_refuses(void)
{
	static const struct span bad[] = {
		{ NULL, 0 },
		SPAN(""),
		SPAN("-"),
		SPAN("k3x9"),
		SPAN("k3x9-"),
		SPAN("-42"),
		SPAN("42"),
		SPAN("--42"),
		SPAN("k3x9--42"),
		SPAN("k3x9-+42"),
		SPAN("k3x9- 42"),
		SPAN(" k3x9-42"),
		SPAN("k3x9 -42"),
		SPAN("k3x9-42 "),
		SPAN("k3x9-42\n"),
		SPAN("k3x9-42\0"),
		SPAN("k3x9\0-42"),
		SPAN("k3x9-4\0002"),
		SPAN("k3x9-42-1"),
		SPAN("k-3x9-42"),
		SPAN("K3X9-42"),
		SPAN("k3_9-42"),
		SPAN("k3x\xc3\xa9-42"),
		SPAN("../..-42"),
		SPAN("k3x9-0x2a"),
		SPAN("k3x9-4e2"),
		SPAN("k3x9-4.2"),
		SPAN("k3x9-\xd9\xa4\xd9\xa2"), /* digits, but not ASCII's */
		SPAN("k3x9-042"),
		SPAN("k3x9-00"),
		SPAN("k3x9-9223372036854775808"),
		SPAN("k3x9-18446744073709551615"),
		SPAN("k3x9-18446744073709551616"),
		SPAN("k3x9-18446744073709551658"), /* 42 more than 2^64 */
		SPAN("k3x9-99999999999999999999999999999999999999999"),
		SPAN("0123456789abcdefg-42"),
		SPAN("earliest"),
		SPAN("latest"),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct position position = { "untouched", 7 };
		if (position_parse(bad[i], &position))
			fprintf(stderr, "accepted: %.*s\n", SPAN_PRINTF(bad[i]));
		CU_ASSERT_STRING_EQUAL(position.epoch, "untouched");
		CU_ASSERT_EQUAL(position.sequence, 7);
	}
}

UNIT_MAIN({ "reads and writes positions", test_accepts_and_writes_the_same },
		  { "refuses everything else, and writes nothing", test_refuses })
