/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ticket stands for a token where a header cannot be set and a token must not be written, in a URL. It works once,
 * for 30 s. It is 256 random bits, nothing else: what it grants stays here, so a leaked URL says nothing. Looked up by
 * digest, so the time of a look-up tells nothing about the tickets that exist.
 */
#ifndef AUTH_TICKET_H
#define AUTH_TICKET_H

#include "auth/token.h"

#define TICKET_LIFETIME_MS 30000
/* base64url of 32 bytes */
#define TICKET_CHARS 43
/* Tickets waiting to be used. */
#define TICKET_MAX_WAITING 65536

/* Shared by all reactors; guarded by one mutex inside (never held across anything slow). */
struct ticket_office;
int ticket_office_create(struct ticket_office **ret_office) MUST_USE;
void ticket_office_destroy(struct ticket_office *office);
CLEANUP_DEFINE(struct ticket_office, ticket_office_destroy)

/* Takes a reference to the grant. 0; -ENOBUFS when too many wait; -ENOMEM; -EIO. now_ns: monotonic. */
int ticket_issue(struct ticket_office *office, struct grant *grant, uint64_t now_ns,
				 char ret_ticket[static TICKET_CHARS + 1]) MUST_USE;
/* The grant, now the caller's reference, and the ticket is spent; NULL if there is no such ticket (any more). */
struct grant *ticket_redeem(struct ticket_office *office, struct span ticket, uint64_t now_ns);

#endif
