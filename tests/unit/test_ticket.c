/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/ticket.h"
#include "base/clock.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>

#define LIFETIME_NS (TICKET_LIFETIME_MS * (uint64_t)NS_PER_MS)

struct fixture {
	struct ticket_office *office;
	struct grant *grant;
};

static struct fixture set_up(void)
{
	struct fixture f = { 0 };
	CU_ASSERT_EQUAL_FATAL(ticket_office_create(&f.office), 0);
	CU_ASSERT_EQUAL_FATAL(grant_create_anonymous(&f.grant), 0);
	return f;
}

/* The grant must have no references left but ours: the office gave back all that it took. */
static void tear_down(struct fixture *f)
{
	ticket_office_destroy(f->office);
	CU_ASSERT_EQUAL(f->grant->references, 1);
	grant_unref(f->grant);
}

static bool redeem(struct fixture *f, struct span ticket, uint64_t now_ns)
{
	struct grant *grant = ticket_redeem(f->office, ticket, now_ns);
	CU_ASSERT_TRUE(!grant || grant == f->grant);
	grant_unref(grant);
	return grant != NULL;
}

static void test_works_once(void)
{
	struct fixture f = set_up();
	char ticket[TICKET_CHARS + 1];
	CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 5, ticket), 0);
	CU_ASSERT_EQUAL(strlen(ticket), TICKET_CHARS);
	CU_ASSERT_EQUAL(f.grant->references, 2);
	CU_ASSERT_TRUE(redeem(&f, span_text(ticket), 6));
	CU_ASSERT_EQUAL(f.grant->references, 1);
	CU_ASSERT_FALSE(redeem(&f, span_text(ticket), 6));
	CU_ASSERT_FALSE(redeem(&f, span_text(ticket), 7));
	tear_down(&f);
}

static void test_is_url_safe_and_never_the_same(void)
{
	struct fixture f = set_up();
	char tickets[100][TICKET_CHARS + 1];
	for (size_t i = 0; i < ARRAY_LENGTH(tickets); i++) {
		CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 0, tickets[i]), 0);
		CU_ASSERT_EQUAL(strspn(tickets[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
						TICKET_CHARS);
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(tickets[i], tickets[k]);
	}
	/* in any order */
	for (size_t i = ARRAY_LENGTH(tickets); i-- > 0;)
		CU_ASSERT_TRUE(redeem(&f, span_text(tickets[i]), 1));
	tear_down(&f);
}

static void test_expires(void)
{
	struct fixture f = set_up();
	char early[TICKET_CHARS + 1], late[TICKET_CHARS + 1];
	CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 1000, early), 0);
	CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 1000, late), 0);
	CU_ASSERT_TRUE(redeem(&f, span_text(early), 1000 + LIFETIME_NS - 1));
	CU_ASSERT_FALSE(redeem(&f, span_text(late), 1000 + LIFETIME_NS));
	CU_ASSERT_FALSE(redeem(&f, span_text(late), 1000)); /* a ticket that came too late is spent as well */
	tear_down(&f);
}

static void test_refuses_what_is_no_ticket(void)
{
	struct fixture f = set_up();
	char ticket[TICKET_CHARS + 1];
	CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 0, ticket), 0);
	CU_ASSERT_FALSE(redeem(&f, (struct span){ NULL, 0 }, 1));
	CU_ASSERT_FALSE(redeem(&f, SPAN(""), 1));
	CU_ASSERT_FALSE(redeem(&f, SPAN("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 1));
	CU_ASSERT_FALSE(redeem(&f, span_of(ticket, TICKET_CHARS + 1), 1)); /* with its terminator */
	for (size_t n = 0; n < TICKET_CHARS; n++)
		CU_ASSERT_FALSE(redeem(&f, span_of(ticket, n), 1));
	for (size_t i = 0; i < TICKET_CHARS; i++) {
		char right = ticket[i];
		ticket[i] = right == 'A' ? 'B' : 'A';
		CU_ASSERT_FALSE(redeem(&f, span_text(ticket), 1));
		ticket[i] = (char)0xff;
		CU_ASSERT_FALSE(redeem(&f, span_text(ticket), 1));
		ticket[i] = right;
	}
	CU_ASSERT_TRUE(redeem(&f, span_text(ticket), 1)); /* none of that spent it */
	tear_down(&f);
}

static void test_each_office_has_its_own(void)
{
	struct fixture f = set_up(), other = set_up();
	char ticket[TICKET_CHARS + 1];
	CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 0, ticket), 0);
	CU_ASSERT_FALSE(redeem(&other, span_text(ticket), 1));
	CU_ASSERT_TRUE(redeem(&f, span_text(ticket), 1));
	tear_down(&f);
	tear_down(&other);
}

static void test_is_bounded_and_sweeps(void)
{
	struct fixture f = set_up();
	char ticket[TICKET_CHARS + 1] = "untouched", first[TICKET_CHARS + 1], last[TICKET_CHARS + 1];
	CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 0, first), 0);
	for (size_t i = 1; i < TICKET_MAX_WAITING; i++)
		CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 1, last), 0);
	CU_ASSERT_EQUAL(ticket_issue(f.office, f.grant, 2, ticket), -ENOBUFS);
	CU_ASSERT_STRING_EQUAL(ticket, "untouched");
	CU_ASSERT_EQUAL(f.grant->references, TICKET_MAX_WAITING + 1);
	CU_ASSERT_TRUE(redeem(&f, span_text(last), 2)); /* makes room for one */
	CU_ASSERT_EQUAL(ticket_issue(f.office, f.grant, 2, ticket), 0);
	CU_ASSERT_EQUAL(ticket_issue(f.office, f.grant, LIFETIME_NS - 1, ticket), -ENOBUFS);
	CU_ASSERT_EQUAL(ticket_issue(f.office, f.grant, LIFETIME_NS, ticket), 0); /* the first one is over */
	/* and all of them, a few a call */
	for (size_t i = 0; i < TICKET_MAX_WAITING / 8; i++)
		CU_ASSERT_FALSE(redeem(&f, span_text(first), LIFETIME_NS + 2));
	CU_ASSERT_EQUAL(f.grant->references, 2);
	CU_ASSERT_TRUE(redeem(&f, span_text(ticket), LIFETIME_NS + 2));
	tear_down(&f);
}

/* Two threads go for the same tickets at once; each must be had by exactly one. */
#define N_RACES 2000

struct race {
	struct ticket_office *office;
	char tickets[N_RACES][TICKET_CHARS + 1];
	atomic_uint n_won[N_RACES];
	pthread_barrier_t start;
};

static void *run_redeemer(void *argument)
{
	struct race *race = argument;
	(void)pthread_barrier_wait(&race->start);
	for (size_t i = 0; i < N_RACES; i++) {
		struct grant *grant = ticket_redeem(race->office, span_text(race->tickets[i]), 1);
		if (grant)
			atomic_fetch_add(&race->n_won[i], 1);
		grant_unref(grant);
	}
	return NULL;
}

/* Keeps the table growing, shrinking and sweeping meanwhile. */
static void *run_issuer(void *argument)
{
	struct race *race = argument;
	CLEANUP(grant_unref) struct grant *grant = NULL;
	char ticket[TICKET_CHARS + 1];
	if (grant_create_anonymous(&grant) < 0)
		return NULL;
	(void)pthread_barrier_wait(&race->start);
	for (size_t i = 0; i < N_RACES; i++)
		if (ticket_issue(race->office, grant, 1, ticket) == 0 && i % 2)
			grant_unref(ticket_redeem(race->office, span_text(ticket), 1));
	return NULL;
}

static void test_threads_race(void)
{
	struct fixture f = set_up();
	struct race *race = calloc(1, sizeof *race);
	pthread_t threads[3];
	CU_ASSERT_PTR_NOT_NULL_FATAL(race);
	race->office = f.office;
	CU_ASSERT_EQUAL_FATAL(pthread_barrier_init(&race->start, NULL, 3), 0);
	for (size_t i = 0; i < N_RACES; i++)
		CU_ASSERT_EQUAL_FATAL(ticket_issue(f.office, f.grant, 0, race->tickets[i]), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[0], NULL, run_redeemer, race), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[1], NULL, run_redeemer, race), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[2], NULL, run_issuer, race), 0);
	for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
		CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < N_RACES; i++)
		CU_ASSERT_EQUAL(race->n_won[i], 1);
	(void)pthread_barrier_destroy(&race->start);
	free(race);
	tear_down(&f);
}

UNIT_MAIN({ "works once", test_works_once }, { "is URL-safe and never the same", test_is_url_safe_and_never_the_same },
		  { "expires", test_expires }, { "refuses what is no ticket", test_refuses_what_is_no_ticket },
		  { "each office has its own", test_each_office_has_its_own },
		  { "is bounded, and sweeps what is over", test_is_bounded_and_sweeps },
		  { "threads race for a ticket", test_threads_race })
