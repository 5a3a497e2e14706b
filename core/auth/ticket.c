/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from the ticket's digest to its grant. All tickets live equally long and uthash keeps the order of
 * insertion, so the oldest stand first: whoever comes sweeps a few that are over, and never more than a few, so that
 * nobody waits long for the mutex.
 */
#include "auth/ticket.h"

#include "base/clock.h"
#include "wire/digest.h"

#include <errno.h>
#include <pthread.h>

/* Without memory uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->is_left_out = true)
#include <uthash.h>

/* More than one a call, so that the expired ones cannot pile up. */
#define MAX_SWEPT 16

struct ticket {
	uint8_t digest[DIGEST_BYTES]; /* SHA-256 of the ticket's text */
	uint64_t expires_ns;
	struct grant *grant;
	bool is_left_out; /* of the table, for want of memory */
	UT_hash_handle hh;
};

struct ticket_office {
	pthread_mutex_t lock;
	struct ticket *tickets; /* {lock} by digest; the oldest first */
};

static void ticket_destroy(struct ticket *ticket)
{
	if (!ticket)
		return;
	grant_unref(ticket->grant);
	free(ticket);
}
CLEANUP_DEFINE(struct ticket, ticket_destroy)

int ticket_office_create(struct ticket_office **ret_office)
{
	struct ticket_office *office = calloc(1, sizeof *office);
	if (!office)
		return -ENOMEM;
	int r = pthread_mutex_init(&office->lock, NULL);
	if (r != 0) {
		free(office);
		return -r;
	}
	*ret_office = office;
	return 0;
}

void ticket_office_destroy(struct ticket_office *office)
{
	struct ticket *ticket, *next;
	if (!office)
		return;
	HASH_ITER(hh, office->tickets, ticket, next)
	{
		HASH_DEL(office->tickets, ticket);
		ticket_destroy(ticket);
	}
	(void)pthread_mutex_destroy(&office->lock);
	free(office);
}

/* {lock} */
static void sweep(struct ticket_office *office, uint64_t now_ns)
{
	for (size_t i = 0; i < MAX_SWEPT && office->tickets && office->tickets->expires_ns <= now_ns; i++) {
		struct ticket *oldest = office->tickets;
		HASH_DEL(office->tickets, oldest);
		ticket_destroy(oldest);
	}
}

/* {lock} Takes the ticket over on success. */
static int add(struct ticket_office *office, struct ticket *ticket)
{
	if (HASH_COUNT(office->tickets) >= TICKET_MAX_WAITING)
		return -ENOBUFS;
	HASH_ADD(hh, office->tickets, digest, sizeof ticket->digest, ticket);
	return ticket->is_left_out ? -ENOMEM : 0;
}

/* {lock} The ticket with this digest, out of the table; NULL if there is none. */
static struct ticket *take(struct ticket_office *office, const uint8_t digest[static DIGEST_BYTES])
{
	struct ticket *found;
	HASH_FIND(hh, office->tickets, digest, DIGEST_BYTES, found);
	if (found)
		HASH_DEL(office->tickets, found);
	return found;
}

/* A new ticket's text, with a terminator. */
static int make_text(char text[static TICKET_CHARS + 1])
{
	uint8_t bits[32];
	CLEANUP(buffer_finish) struct buffer encoded = BUFFER_INIT;
	int r = digest_random(bits, sizeof bits);
	if (r < 0)
		return r;
	base64url_add(&encoded, bits, sizeof bits);
	secret_wipe(bits, sizeof bits);
	if (encoded.failed || encoded.n != TICKET_CHARS)
		return -ENOMEM;
	memcpy(text, encoded.data, TICKET_CHARS);
	text[TICKET_CHARS] = '\0';
	secret_wipe(encoded.data, encoded.n);
	return 0;
}

int ticket_issue(struct ticket_office *office, struct grant *grant, uint64_t now_ns,
				 char ret_ticket[static TICKET_CHARS + 1])
{
	char text[TICKET_CHARS + 1];
	CLEANUP(ticket_destroy) struct ticket *ticket = calloc(1, sizeof *ticket);
	if (!ticket)
		return -ENOMEM;
	ticket->grant = grant_ref(grant);
	ticket->expires_ns = now_ns + TICKET_LIFETIME_MS * (uint64_t)NS_PER_MS;
	int r = make_text(text);
	if (r == 0)
		r = digest_sha256(span_of(text, TICKET_CHARS), ticket->digest);
	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&office->lock);
	sweep(office, now_ns);
	r = add(office, ticket);
	(void)pthread_mutex_unlock(&office->lock);
	if (r < 0)
		return r;
	ticket = NULL;
	memcpy(ret_ticket, text, sizeof text);
	return 0;
}

struct grant *ticket_redeem(struct ticket_office *office, struct span ticket, uint64_t now_ns)
{
	uint8_t digest[DIGEST_BYTES];
	if (ticket.n != TICKET_CHARS || digest_sha256(ticket, digest) < 0)
		return NULL;
	(void)pthread_mutex_lock(&office->lock);
	CLEANUP(ticket_destroy) struct ticket *found = take(office, digest);
	sweep(office, now_ns);
	(void)pthread_mutex_unlock(&office->lock);
	return found && now_ns < found->expires_ns ? STEAL(found->grant) : NULL;
}
