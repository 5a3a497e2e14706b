/* SPDX-License-Identifier: Apache-2.0 */
/* What single pieces of text mean: numbers, addresses, paths, URLs; and which files may hold secrets. */
#include "base/buffer.h"
#include "config/address.h"
#include "config/complaint.h"
#include "config/file.h"
#include "config/value.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

static void expect_number(const char *text, const struct value_unit *units, int outcome, uint64_t expected)
{
	uint64_t value = 0;
	int got = value_read_number(span_text(text), units, &value);
	if (got != outcome || value != expected)
		printf("\n  \"%s\": outcome %d, value %ju", text, got, (uintmax_t)value);
	CU_ASSERT_EQUAL(got, outcome);
	CU_ASSERT_EQUAL(value, expected);
}

static void test_numbers(void)
{
	expect_number("0", value_plain, VALUE_OK, 0);
	expect_number("20000", value_plain, VALUE_OK, 20000);
	expect_number("9223372036854775807", value_plain, VALUE_OK, INT64_MAX);
	static const struct {
		const char *text;
		uint64_t ms;
	} durations[] = { { "250ms", 250 },  { "90s", 90000 },    { "10m", 600000 },
					  { "2h", 7200000 }, { "7d", 604800000 }, { "0s", 0 } };
	for (size_t i = 0; i < ARRAY_LENGTH(durations); i++)
		expect_number(durations[i].text, value_durations, VALUE_OK, durations[i].ms);
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = { { "1B", 1 },
				  { "64KB", 64000 },
				  { "256KiB", 262144 },
				  { "1MB", 1000000 },
				  { "1MiB", 1048576 },
				  { "2GB", 2000000000 },
				  { "4GiB", 4294967296 },
				  { "1TB", 1000000000000 },
				  { "1TiB", 1099511627776 } };
	for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++)
		expect_number(sizes[i].text, value_sizes, VALUE_OK, sizes[i].bytes);
}

static void test_no_numbers(void)
{
	static const char *const not_whole[] = { "",      " ",     "-1",    "+1",  "0x10", "0o17", "017", "08",
											 "00",    "1_000", "1,000", "1e3", "1.0",  " 8",   "8 ",  "8\n",
											 "eight", "no",    "١",     "4k",  "0b1",  "1:30" };
	for (size_t i = 0; i < ARRAY_LENGTH(not_whole); i++)
		expect_number(not_whole[i], value_plain, VALUE_E_FORM, 0);
	expect_number("9223372036854775808", value_plain, VALUE_E_RANGE, 0);
	expect_number("18446744073709551617", value_plain, VALUE_E_RANGE, 0);
	expect_number("99999999999999999999999999999999999999999", value_plain, VALUE_E_RANGE, 0);
	static const char *const not_durations[] = { "s",   "1 s",  "1S", "1h30m", "1.5h", "-1s",
												 "01s", "1min", "1w", "s1",    "1ms " };
	for (size_t i = 0; i < ARRAY_LENGTH(not_durations); i++)
		expect_number(not_durations[i], value_durations, VALUE_E_FORM, 0);
	expect_number("10", value_durations, VALUE_E_UNIT, 0);
	expect_number("0", value_durations, VALUE_E_UNIT, 0);
	expect_number("106751991168d", value_durations, VALUE_E_RANGE, 0);
	static const char *const not_sizes[] = { "1k", "1K",     "1kb",   "1kB",  "1KIB",  "1M",
											 "1G", "1.5GiB", "1 MiB", "0x1B", "1Bytes" };
	for (size_t i = 0; i < ARRAY_LENGTH(not_sizes); i++)
		expect_number(not_sizes[i], value_sizes, VALUE_E_FORM, 0);
	expect_number("4096", value_sizes, VALUE_E_UNIT, 0);
	expect_number("8388608TiB", value_sizes, VALUE_E_RANGE, 0);
}

static void expect_written(const struct value_unit *units, uint64_t value, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	value_add_number(&b, units, value);
	CLEANUP(free) char *text = buffer_steal_text(&b);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_numbers_written(void)
{
	expect_written(value_plain, 20000, "20000");
	expect_written(value_durations, 90000, "90s");
	expect_written(value_durations, 86400000, "1d");
	expect_written(value_durations, 4500, "4500ms");
	expect_written(value_durations, 0, "0");
	expect_written(value_sizes, 4194304, "4MiB");
	expect_written(value_sizes, 64000, "64KB");
	expect_written(value_sizes, 1001, "1001B");
}

static void expect_checks(const char *(*check)(struct span text), const char *const *texts, size_t n, bool is_fine)
{
	for (size_t i = 0; i < n; i++) {
		const char *problem = check(span_text(texts[i]));
		if (!problem != is_fine)
			printf("\n  \"%s\": %s", texts[i], problem ? problem : "taken");
		CU_ASSERT_EQUAL(!problem, is_fine);
	}
}
#define EXPECT_TAKEN(check, ...)                                                                                     \
	expect_checks(check, (const char *const[]){ __VA_ARGS__ }, ARRAY_LENGTH(((const char *const[]){ __VA_ARGS__ })), \
				  true)
#define EXPECT_REFUSED(check, ...)                                                                                   \
	expect_checks(check, (const char *const[]){ __VA_ARGS__ }, ARRAY_LENGTH(((const char *const[]){ __VA_ARGS__ })), \
				  false)

#define TEXT_10 "0123456789"
#define TEXT_60 TEXT_10 TEXT_10 TEXT_10 TEXT_10 TEXT_10 TEXT_10
#define TEXT_260 TEXT_60 TEXT_60 TEXT_60 TEXT_60 TEXT_10 TEXT_10

static void test_names_and_paths(void)
{
	EXPECT_TAKEN(value_check_name, "cronofy", "a", "a-b_9", "9", TEXT_60 "abcd");
	EXPECT_REFUSED(value_check_name, "", "Cronofy", "a b", "a.b", "a/b", "\xc3\xa4", TEXT_60 "abcde");
	EXPECT_TAKEN(value_check_path, "/", "/a b", "/etc/belfry/../x");
	EXPECT_REFUSED(value_check_path, "", "a", "./a", "~/a", "/a\nb");
	EXPECT_TAKEN(value_check_request_path, "/", "/a", "/callbacks/cronofy", "/a-b._~/9/", "/...");
	EXPECT_REFUSED(value_check_request_path, "", "a", "//", "/a//b", "//a", "/a/./b", "/a/..", "/.", "/..", "/a b",
				   "/a?b", "/a%41", "/a#b", "/\xc3\xa4", "/a:b", "/a@b", "/" TEXT_260);
}

static void test_urls(void)
{
	EXPECT_TAKEN(value_check_url, "https://a.example", "http://localhost:8080/x?y=1", "https://[::1]:8443/",
				 "https://1.2.3.4");
	EXPECT_REFUSED(value_check_url, "", "https://", "https:///x", "a.example", "//a.example", "ftp://a.example",
				   "HTTPS://a.example", "https:/a", "https://a b", "https://user@a.example", "https://u:p@a.example/",
				   "https://a.example/#x", "https://a.example:0", "https://a.example:65536",
				   "https://a.example:", "https://a.example:x", "https://a.example:080", "https://[::1", "https://::1",
				   "https://a!b", "https://\xc3\xa4.example", "javascript://x", "https://" TEXT_260);
	EXPECT_TAKEN(value_check_public_url, "https://a.example", "https://a.example/prefix", "http://127.0.0.1:8080");
	EXPECT_REFUSED(value_check_public_url, "https://a.example/", "https://a.example/x/", "https://a.example?x=1");
}

static void test_origins(void)
{
	EXPECT_TAKEN(value_check_origin, "https://app.example.com", "http://localhost:3000", "https://[::1]:8443",
				 "capacitor://localhost", "https://app.example.com:8443", "http://a:443", "https://a:80");
	EXPECT_REFUSED(value_check_origin, "*", "null", "https://*.example.com", "https://app.example.com/",
				   "https://app.example.com/x", "https://app.example.com?", "app.example.com",
				   "https://App.example.com", "HTTPS://app.example.com", "https://app.example.com:443",
				   "http://app.example.com:80", "https://u@app.example.com", "https://a.example https://b.example", "");
}

static void test_hosts(void)
{
	EXPECT_TAKEN(value_check_host, "gateway.example.com", "localhost", "127.0.0.1", "[::1]");
	EXPECT_REFUSED(value_check_host, "", "gateway.example.com:443", "https://gateway.example.com", "*.example.com",
				   "::1", "[::1", "a b", "a/");
}

static void expect_address(const char *text, enum config_address_kind kind, const char *what, uint16_t port,
						   bool is_local)
{
	struct config_address address = { 0 };
	const char *problem = NULL;
	CU_ASSERT_EQUAL_FATAL(address_read(span_text(text), &address, &problem), 0);
	CU_ASSERT_EQUAL(address.kind, kind);
	CU_ASSERT_STRING_EQUAL(address.text, text);
	CU_ASSERT_EQUAL(address.port, port);
	const char *got = kind == CONFIG_ADDRESS_IP     ? address.host
					  : kind == CONFIG_ADDRESS_UNIX ? address.path
													: address.name;
	CU_ASSERT_STRING_EQUAL(got, what);
	CU_ASSERT_EQUAL(address_is_local(&address), is_local);
	address_finish(&address);
}

static void test_addresses(void)
{
	expect_address("0.0.0.0:8443", CONFIG_ADDRESS_IP, "0.0.0.0", 8443, false);
	expect_address("[::]:8443", CONFIG_ADDRESS_IP, "::", 8443, false);
	expect_address("127.0.0.1:0", CONFIG_ADDRESS_IP, "127.0.0.1", 0, true);
	expect_address("127.9.9.9:65535", CONFIG_ADDRESS_IP, "127.9.9.9", 65535, true);
	expect_address("[::1]:1", CONFIG_ADDRESS_IP, "::1", 1, true);
	expect_address("[::ffff:127.0.0.1]:1", CONFIG_ADDRESS_IP, "::ffff:127.0.0.1", 1, true);
	expect_address("[::ffff:10.0.0.1]:1", CONFIG_ADDRESS_IP, "::ffff:10.0.0.1", 1, false);
	expect_address("128.0.0.1:1", CONFIG_ADDRESS_IP, "128.0.0.1", 1, false);
	expect_address("unix:/run/x.sock", CONFIG_ADDRESS_UNIX, "/run/x.sock", 0, true);
	expect_address("systemd:", CONFIG_ADDRESS_SYSTEMD, "", 0, false);
	expect_address("systemd:public.socket", CONFIG_ADDRESS_SYSTEMD, "public.socket", 0, false);
}

static void test_no_addresses(void)
{
	static const char *const bad[][2] = {
		{ "", "has no port" },
		{ "127.0.0.1", "has no port" },
		{ "8443", "has no port" },
		{ ":8443", "has no address before the port" },
		{ "127.0.0.1:", "has no port from 0 to 65535" },
		{ "127.0.0.1:65536", "has no port from 0 to 65535" },
		{ "127.0.0.1:-1", "has no port from 0 to 65535" },
		{ "127.0.0.1:080", "has no port from 0 to 65535" },
		{ "127.0.0.1:http", "has no port from 0 to 65535" },
		{ "[::1]", "has an IPv6 address that needs brackets, or no port" },
		{ "::1:8080", "has an IPv6 address that needs brackets, or no port" },
		{ "localhost:8080", "has a host name, or something else that is not a numeric address" },
		{ "*:8080", "has a host name, or something else that is not a numeric address" },
		{ "127.1:8080", "has a host name, or something else that is not a numeric address" },
		{ "127.0.0.01:8080", "has a host name, or something else that is not a numeric address" },
		{ "[127.0.0.1]:8080", "has a host name, or something else that is not a numeric address" },
		{ "[]:8080", "has a host name, or something else that is not a numeric address" },
		{ "[:8080", "has a host name, or something else that is not a numeric address" },
		{ "[fe80::1%lo]:8080", "has a host name, or something else that is not a numeric address" },
		{ "http://127.0.0.1:80", "has an IPv6 address that needs brackets, or no port" },
		{ "unix:", "is not an absolute path" },
		{ "unix:run/x.sock", "is not an absolute path" },
		{ "unix:/" TEXT_60 TEXT_60, "has a path that is too long for a socket" },
		{ "systemd:a:b", "has no valid FileDescriptorName= behind systemd:" },
		{ "systemd:a b", "has no valid FileDescriptorName= behind systemd:" },
		{ "systemd:" TEXT_60 TEXT_60, "has no valid FileDescriptorName= behind systemd:" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		struct config_address address = { 0 };
		const char *problem = NULL;
		CU_ASSERT_EQUAL_FATAL(address_read(span_text(bad[i][0]), &address, &problem), -EINVAL);
		if (strcmp(problem, bad[i][1]) != 0)
			printf("\n  \"%s\": %s", bad[i][0], problem);
		CU_ASSERT_STRING_EQUAL(problem, bad[i][1]);
		CU_ASSERT_PTR_NULL(address.text);
	}
}

static void expect_exposure(mode_t mode, uid_t uid, gid_t gid, const char *expected)
{
	struct stat status = { .st_mode = S_IFREG | mode, .st_uid = uid, .st_gid = gid };
	char reason[FILE_EXPOSURE_BYTES] = "";
	CU_ASSERT_EQUAL(file_exposure(&status, false, reason), expected[0] != '\0');
	CU_ASSERT_STRING_EQUAL(reason, expected);
	CU_ASSERT_EQUAL(file_exposure(&status, true, reason), expected[0] && !strstr(expected, "group"));
}

static void test_exposure(void)
{
	uid_t me = geteuid(), other = me + 4711;
	gid_t us = getegid(), others = us + 4711;
	expect_exposure(0600, me, us, "");
	expect_exposure(0400, 0, others, "");
	expect_exposure(0700, me, others, "");
	expect_exposure(0640, me, us, "");
	expect_exposure(0640, 0, us, "");
	expect_exposure(0440, 0, us, "");
	/* root looks on behalf of the service and cannot know its group */
	expect_exposure(0640, me, others, me == 0 ? "" : "is open to its group (mode 0640)");
	expect_exposure(0660, me, us, "is open to its group (mode 0660)");
	expect_exposure(0620, me, us, "is open to its group (mode 0620)");
	expect_exposure(0604, me, us, "is open to everybody (mode 0604)");
	expect_exposure(0644, 0, us, "is open to everybody (mode 0644)");
	expect_exposure(0602, me, us, "is open to everybody (mode 0602)");
	expect_exposure(0601, me, us, "is open to everybody (mode 0601)");
	char foreign[FILE_EXPOSURE_BYTES];
	(void)snprintf(foreign, sizeof foreign, "belongs to another user (uid %u)", (unsigned)other);
	expect_exposure(0600, other, us, foreign);
}

static void test_complaints_in_order(void)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	static const char *const expected[] = {
		"z.yaml: as a whole",  "z.yaml:2:9: x", "z.yaml:10:1: first",
		"z.yaml:10:1: second", "a.yaml:1:1: y", "of no file",
	};
	complaints_expect_file(&complaints, "z.yaml");
	complaints_expect_file(&complaints, "a.yaml");
	complaints_add(&complaints, true, NULL, 0, 0, "of no %s", "file");
	complaints_add(&complaints, false, "a.yaml", 1, 1, "y");
	complaints_add(&complaints, false, "z.yaml", 10, 1, "first");
	complaints_add(&complaints, false, "z.yaml", 10, 1, "second");
	complaints_add(&complaints, true, "z.yaml", 2, 9, "x");
	complaints_add(&complaints, false, "z.yaml", 0, 0, "as a whole");
	CU_ASSERT_EQUAL_FATAL(complaints.n, ARRAY_LENGTH(expected));
	for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
		CU_ASSERT_STRING_EQUAL(complaints.items[i].text, expected[i]);
	CU_ASSERT_EQUAL(complaints.n_errors, 4);
	CU_ASSERT_FALSE(complaints.failed);
}

static void test_complaints_bounded(void)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	complaints_expect_file(&complaints, "a.yaml");
	for (size_t line = 1000; line > 0; line--)
		complaints_add(&complaints, false, "a.yaml", line, 1, "x");
	CU_ASSERT_EQUAL(complaints.n, COMPLAINTS_MAX);
	CU_ASSERT_EQUAL(complaints.n_errors, 1000);
	CU_ASSERT_EQUAL(complaints.n_left_out, 1000 - COMPLAINTS_MAX);
	CU_ASSERT_STRING_EQUAL(complaints.items[0].text, "a.yaml:1:1: x");
}

UNIT_MAIN({ "numbers and units are read", test_numbers }, { "what is no plain number is refused", test_no_numbers },
		  { "numbers are written with the largest unit", test_numbers_written },
		  { "names and paths", test_names_and_paths }, { "URLs", test_urls }, { "origins", test_origins },
		  { "hosts", test_hosts }, { "addresses are read", test_addresses },
		  { "what is no address is refused", test_no_addresses }, { "which files may hold a secret", test_exposure },
		  { "complaints stand in the order of files and lines", test_complaints_in_order },
		  { "complaints are bounded", test_complaints_bounded })
