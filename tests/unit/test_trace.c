/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "unit.h"
#include "wire/trace.h"

#define IDS "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
#define ZEROS "00000000000000000000000000000000"

static bool is_read_as(const char *value, const char *wanted)
{
	char parent[TRACE_PARENT_BYTES];
	return trace_read(span_text(value), parent) && span_equal(span_of(parent, sizeof parent), span_text(wanted));
}

static bool is_read(struct span value)
{
	char parent[TRACE_PARENT_BYTES];
	return trace_read(value, parent);
}

static void test_accepts(void)
{
	CU_ASSERT_TRUE(is_read_as("00-" IDS "01", "00-" IDS "01"));
	CU_ASSERT_TRUE(is_read_as("00-" IDS "00", "00-" IDS "00"));
	CU_ASSERT_TRUE(is_read_as("00-" IDS "ff", "00-" IDS "ff"));
	CU_ASSERT_TRUE(is_read(SPAN("00-00000000000000000000000000000001-0000000000000001-00")));
}

/* Whatever it says more, of a version that is not known the first four fields hold, and one flag. */
static void test_accepts_later_versions(void)
{
	CU_ASSERT_TRUE(is_read_as("01-" IDS "01", "00-" IDS "01"));
	CU_ASSERT_TRUE(is_read_as("cc-" IDS "09-what-the-future-will-be", "00-" IDS "01"));
	CU_ASSERT_TRUE(is_read_as("fe-" IDS "fe-", "00-" IDS "00"));
}

static void test_refuses(void)
{
	static const char *const bad[] = {
		"",
		"00",
		"00-" IDS "0",
		"00-" IDS "01-",
		"00-" IDS "01-more",
		"00-" IDS "01 ",
		" 00-" IDS "01",
		"ff-" IDS "01",
		"ff-" IDS "01-more",
		"01-" IDS "01more",
		"0-" IDS "001",
		"0G-" IDS "01",
		"00-" IDS "0g",
		"00-" IDS "0A",
		"00_" IDS "01",
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00F067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
		"00-" ZEROS "-00f067aa0ba902b7-01",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
		"00-" IDS "01,00-" IDS "01",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		CU_ASSERT_FALSE(is_read(span_text(bad[i])));
	CU_ASSERT_FALSE(is_read(span_of(NULL, 0)));
	CU_ASSERT_FALSE(is_read(SPAN("00-" IDS "0\0")));
}

UNIT_MAIN({ "accepts", test_accepts }, { "accepts later versions", test_accepts_later_versions },
		  { "refuses", test_refuses })
