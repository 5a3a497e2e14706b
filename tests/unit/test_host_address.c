/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are inner ones, from both sides of each border. */
#include "host/address.h"

#include "base/cleanup.h"

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool is_inner(const char *text)
{
	struct sockaddr_storage storage = { 0 };
	struct sockaddr_in *in = (void *)&storage;
	struct sockaddr_in6 *in6 = (void *)&storage;
	char again[ADDRESS_TEXT_SIZE];
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
	} else {
		CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
		in6->sin6_family = AF_INET6;
	}
	address_format((const struct sockaddr *)&storage, again);
	CU_ASSERT_STRING_EQUAL(again, text);
	return address_is_inner((const struct sockaddr *)&storage);
}

static void test_inner(void)
{
	static const char *const addresses[] = {
		"0.0.0.0",     "0.255.255.255",    "10.0.0.0",        "10.255.255.255",  "100.64.0.0",      "100.127.255.255",
		"127.0.0.1",   "127.255.255.255",  "169.254.169.254", "172.16.0.0",      "172.31.255.255",  "192.0.0.1",
		"192.168.0.0", "198.18.0.1",       "198.19.255.255",  "224.0.0.1",       "255.255.255.255", "::",
		"::1",         "::ffff:127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::7f00:1", "64:ff9b:1::1",    "100::1",
		"2001::1",     "2001:db8::1",      "2002:7f00:1::1",  "2002:a00:1::",    "fc00::1",         "fdff::1",
		"fe80::1",     "febf::1",          "fec0::1",         "ff02::1",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
		CU_ASSERT_TRUE(is_inner(addresses[i]));
		if (!is_inner(addresses[i]))
			(void)fprintf(stderr, "%s\n", addresses[i]);
	}
}

static void test_outer(void)
{
	static const char *const addresses[] = {
		"1.0.0.0",         "9.255.255.255",        "11.0.0.0",         "100.63.255.255",
		"100.128.0.0",     "126.255.255.255",      "128.0.0.0",        "169.253.255.255",
		"169.255.0.0",     "172.15.255.255",       "172.32.0.0",       "192.0.1.1",
		"192.167.255.255", "192.169.0.0",          "198.17.255.255",   "198.20.0.0",
		"223.255.255.255", "::ffff:8.8.8.8",       "64:ff9b::808:808", "2002:808:808::1",
		"2001:200::1",     "2001:4860:4860::8888", "2a00:1450::1",     "fb00::1",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(addresses); i++) {
		CU_ASSERT_FALSE(is_inner(addresses[i]));
		if (is_inner(addresses[i]))
			(void)fprintf(stderr, "%s\n", addresses[i]);
	}
}

static void test_other_families(void)
{
	struct sockaddr local = { .sa_family = AF_UNIX };
	char text[ADDRESS_TEXT_SIZE];
	CU_ASSERT_TRUE(address_is_inner(&local));
	address_format(&local, text);
	CU_ASSERT_STRING_EQUAL(text, "an address that is not IP");
}

UNIT_MAIN({ "inner", test_inner }, { "outer", test_outer }, { "other families", test_other_families })
