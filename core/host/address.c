/* SPDX-License-Identifier: Apache-2.0 */
#include "host/address.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct prefix {
	uint8_t bytes[16];
	unsigned bits;
};

/* IANA's special-purpose registries (RFC 6890 and later): all that is not globally reachable. */
static const struct prefix inner4[] = {
	{ { 0 }, 8 },             /* this network */
	{ { 10 }, 8 },            /* private */
	{ { 100, 64 }, 10 },      /* shared, RFC 6598 */
	{ { 127 }, 8 },           /* loopback */
	{ { 169, 254 }, 16 },     /* link-local, metadata of clouds */
	{ { 172, 16 }, 12 },      /* private */
	{ { 192, 0, 0 }, 24 },    /* protocol assignments */
	{ { 192, 0, 2 }, 24 },    /* documentation */
	{ { 192, 168 }, 16 },     /* private */
	{ { 198, 18 }, 15 },      /* benchmarks */
	{ { 198, 51, 100 }, 24 }, /* documentation */
	{ { 203, 0, 113 }, 24 },  /* documentation */
	{ { 224 }, 3 },           /* multicast, reserved, broadcast */
};

static const struct prefix inner6[] = {
	{ { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48 }, /* translation within a site, RFC 8215 */
	{ { 0x01 }, 64 },                         /* discard, RFC 6666 */
	{ { 0x20, 0x01, 0x00, 0x00 }, 23 },       /* protocol assignments, Teredo among them */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 },       /* documentation */
	{ { 0x3f, 0xff }, 20 },                   /* documentation */
	{ { 0xfc }, 7 },                          /* unique local */
	{ { 0xfe, 0x80 }, 10 },                   /* link-local */
	{ { 0xfe, 0xc0 }, 10 },                   /* site-local, as it was */
	{ { 0xff }, 8 },                          /* multicast */
};

/* IPv6 addresses with an IPv4 address in them, which is what counts. */
static const struct {
	struct prefix prefix;
	size_t at;
} embedding[] = {
	{ { { 0 }, 96 }, 12 },                                        /* :: and ::1, and compatible ones */
	{ { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 96 }, 12 }, /* mapped */
	{ { { 0, 0x64, 0xff, 0x9b }, 96 }, 12 },                      /* NAT64 */
	{ { { 0x20, 0x02 }, 16 }, 2 },                                /* 6to4 */
};

static bool has_prefix(const uint8_t *address, const struct prefix *prefix)
{
	size_t whole = prefix->bits / 8;
	unsigned rest = prefix->bits % 8;
	uint8_t mask = (uint8_t)(0xff00u >> rest);
	return memcmp(address, prefix->bytes, whole) == 0 &&
		   (rest == 0 || ((address[whole] ^ prefix->bytes[whole]) & mask) == 0);
}

static bool has_one_of(const uint8_t *address, const struct prefix *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_prefix(address, &prefixes[i]))
			return true;
	return false;
}

static bool is_inner6(const uint8_t *address)
{
	for (size_t i = 0; i < ARRAY_LENGTH(embedding); i++)
		if (has_prefix(address, &embedding[i].prefix))
			return has_one_of(address + embedding[i].at, inner4, ARRAY_LENGTH(inner4));
	return has_one_of(address, inner6, ARRAY_LENGTH(inner6));
}

bool address_is_inner(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		return has_one_of((const uint8_t *)&in.sin_addr, inner4, ARRAY_LENGTH(inner4));
	}
	if (address->sa_family == AF_INET6) {
		struct sockaddr_in6 in;
		memcpy(&in, address, sizeof in);
		return is_inner6(in.sin6_addr.s6_addr);
	}
	return true;
}

void address_format(const struct sockaddr *address, char ret_text[static ADDRESS_TEXT_SIZE])
{
	union {
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} any;
	(void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "an address that is not IP");
	if (address->sa_family == AF_INET) {
		memcpy(&any.in, address, sizeof any.in);
		(void)inet_ntop(AF_INET, &any.in.sin_addr, ret_text, ADDRESS_TEXT_SIZE);
	} else if (address->sa_family == AF_INET6) {
		memcpy(&any.in6, address, sizeof any.in6);
		(void)inet_ntop(AF_INET6, &any.in6.sin6_addr, ret_text, ADDRESS_TEXT_SIZE);
	}
}
