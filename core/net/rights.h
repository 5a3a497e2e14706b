/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what at the administrator's side (net/admin.md).
 *
 * At admin.socket: whoever may open it, everything. At admin.address: whoever shows one of admin.tokens, what its role
 * allows; without tokens whoever can connect, which is this machine alone. There, pages of elsewhere are kept out, too:
 * Host must be no name that a stranger can make lead here, and an Origin must be the listener's own.
 */
#ifndef NET_RIGHTS_H
#define NET_RIGHTS_H

#include "net/connection.h"

struct identity {
	enum config_role role;
	const char *name;                       /* of the token; or how it came, where nobody is asked */
	const struct config_admin_token *token; /* NULL: nobody is asked */
};

/* Whose request it is. False if it shows no token, or none that is good. */
bool rights_identify(const struct connection *connection, const struct http_request *request,
					 struct identity *ret_identity);

/* The id of the key that an identity has shown, for rights_has_key(). The caller's; NULL without memory. */
char *rights_key_id(const struct identity *identity);
/* Whether whoever was let in by it on this connection would be let in now. */
bool rights_has_key(const struct connection *connection, const char *key_id);

enum rights {
	RIGHTS_NONE,    /* whoever comes, from wherever and by whatever name */
	RIGHTS_ANYBODY, /* whoever comes from here, or from nowhere */
	RIGHTS_ROLE,    /* viewers may read, operators everything */
};
/* NULL, or the endpoint that answers why the request may not have what needs these rights. */
const struct endpoint *rights_refusal(const struct connection *connection, const struct http_request *request,
									  enum rights rights);

/* The line in the log for what an operator has done: who it was, and what. */
void rights_log(const struct exchange *exchange, const struct http_request *request);

#endif
