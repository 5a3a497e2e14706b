/* SPDX-License-Identifier: Apache-2.0 */
/* How many connections an address may have, and how fast its refusals are answered. */
#include "net/limits.h"

#include "base/clock.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#define FREE_REFUSALS 100
#define ALL_A_SECOND 200
#define ALL_FREE_REFUSALS (5 * ALL_A_SECOND)
#define START_NS (1000 * NS_PER_S)

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static union address address_of(const char *text)
{
	union address address = { .v4 = { .sin_family = AF_INET } };
	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1)
		return address;
	address.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
	CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
	return address;
}

static struct limits *make_limits(uint64_t max_connections, uint64_t max_per_address)
{
	struct limits *limits;
	CU_ASSERT_EQUAL_FATAL(limits_create(max_connections, max_per_address, &limits), 0);
	return limits;
}

static struct limits_entry *enter(struct limits *limits, const char *text, const char **ret_limit)
{
	union address address = address_of(text);
	struct limits_entry *entry = NULL;
	CU_ASSERT_EQUAL_FATAL(limits_enter(limits, &address.any, false, &entry, ret_limit), 0);
	return entry;
}

static void test_counts_by_address(void)
{
	static const char *const same[] = { "2001:db8:1:2::1", "2001:db8:1:2:ffff::1" };
	CLEANUP(limits_destroy) struct limits *limits = make_limits(4, 1);
	struct limits_entry *entries[5];
	const char *limit;
	entries[0] = enter(limits, "192.0.2.1", &limit);
	CU_ASSERT_PTR_NULL(limit);
	entries[1] = enter(limits, "::ffff:192.0.2.1", &limit);
	CU_ASSERT_PTR_EQUAL(entries[0], entries[1]);
	CU_ASSERT_PTR_NOT_NULL(limit);
	for (size_t i = 0; i < 2; i++) {
		entries[2 + i] = enter(limits, same[i], &limit);
		CU_ASSERT_EQUAL(limit != NULL, i == 1);
	}
	entries[4] = enter(limits, "192.0.2.2", &limit);
	CU_ASSERT_PTR_NOT_NULL_FATAL(limit); /* the fifth of four */
	CU_ASSERT_PTR_NOT_NULL(strstr(limit, "limits.connections)"));
	CU_ASSERT_EQUAL(limits_count(limits), 5);
	for (size_t i = 0; i < 5; i++)
		limits_leave(limits, entries[i]);
	CU_ASSERT_EQUAL(limits_count(limits), 0);
	limits_leave(limits, enter(limits, "192.0.2.1", &limit));
	CU_ASSERT_PTR_NULL(limit);
}

/* How many are answered without waiting from now on; the wait of the one behind them. */
static size_t count_free(struct limits *limits, const struct limits_entry *entry, uint64_t now_ns, int64_t *ret_wait_ms)
{
	size_t n = 0;
	while ((*ret_wait_ms = limits_refusal_wait_ms(limits, entry, now_ns)) == 0 && n < 100000)
		n++;
	return n;
}

static void test_refusals_of_one(void)
{
	CLEANUP(limits_destroy) struct limits *limits = make_limits(100, 100);
	const char *limit;
	int64_t wait_ms;
	struct limits_entry *guesser = enter(limits, "192.0.2.1", &limit), *other = enter(limits, "192.0.2.2", &limit);
	CU_ASSERT_EQUAL(count_free(limits, guesser, START_NS, &wait_ms), FREE_REFUSALS + 1); /* the last begins at once */
	for (int64_t s = 1; s <= LIMITS_MAX_WAIT_MS / MS_PER_S;
		 s++, wait_ms = limits_refusal_wait_ms(limits, guesser, START_NS))
		CU_ASSERT_EQUAL(wait_ms, s * MS_PER_S);
	for (size_t i = 0; i < 1000; i++)
		CU_ASSERT_TRUE(limits_refusal_wait_ms(limits, guesser, START_NS) < 0);
	CU_ASSERT_EQUAL(limits_refusal_wait_ms(limits, other, START_NS), 0);
	/* one a second, for ever */
	CU_ASSERT_EQUAL(limits_refusal_wait_ms(limits, guesser, START_NS + NS_PER_S), LIMITS_MAX_WAIT_MS);
	CU_ASSERT_TRUE(limits_refusal_wait_ms(limits, guesser, START_NS + NS_PER_S) < 0);
	limits_leave(limits, guesser); /* coming back on another connection changes nothing */
	guesser = enter(limits, "192.0.2.1", &limit);
	CU_ASSERT_TRUE(limits_refusal_wait_ms(limits, guesser, START_NS + NS_PER_S) < 0);
	CU_ASSERT_EQUAL(count_free(limits, guesser, START_NS + 1000 * NS_PER_S, &wait_ms), FREE_REFUSALS + 1);
	limits_leave(limits, guesser);
	limits_leave(limits, other);
}

static void test_refusals_of_all(void)
{
	enum { N_ADDRESSES = 200 };
	CLEANUP(limits_destroy) struct limits *limits = make_limits(1000, 1000);
	struct limits_entry *entries[N_ADDRESSES];
	size_t n_answered = 0;
	const char *limit;
	for (size_t i = 0; i < N_ADDRESSES; i++) {
		char text[INET_ADDRSTRLEN];
		(void)snprintf(text, sizeof text, "198.51.100.%zu", i);
		entries[i] = enter(limits, text, &limit);
	}
	for (size_t k = 0; k < FREE_REFUSALS; k++)
		for (size_t i = 0; i < N_ADDRESSES; i++)
			n_answered += limits_refusal_wait_ms(limits, entries[i], START_NS) >= 0;
	CU_ASSERT_EQUAL(n_answered, ALL_FREE_REFUSALS + LIMITS_MAX_WAIT_MS / MS_PER_S * ALL_A_SECOND + 1);
	for (size_t i = 0; i < N_ADDRESSES; i++)
		limits_leave(limits, entries[i]);
}

static void test_unix_sockets_are_trusted(void)
{
	CLEANUP(limits_destroy) struct limits *limits = make_limits(100, 1);
	const struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *limit;
	for (size_t i = 0; i < 2; i++) {
		struct limits_entry *entry;
		CU_ASSERT_EQUAL_FATAL(limits_enter(limits, (const struct sockaddr *)&address, false, &entry, &limit), 0);
		CU_ASSERT_PTR_NULL(entry);
		CU_ASSERT_PTR_NULL(limit);
	}
	for (size_t i = 0; i < 10 * FREE_REFUSALS; i++)
		CU_ASSERT_EQUAL(limits_refusal_wait_ms(limits, NULL, START_NS), 0);
}

UNIT_MAIN({ "counts by address", test_counts_by_address }, { "one address gets slow refusals", test_refusals_of_one },
		  { "all addresses together do, too", test_refusals_of_all },
		  { "a unix socket is trusted", test_unix_sockets_are_trusted })
