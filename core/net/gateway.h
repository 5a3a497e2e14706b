/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all reactors share: read-only, or atomic, or guarded inside.
 *
 * The locks of the daemon, all of them short: the store's queues and its count of what is owed, the ticket office, the
 * inboxes of the reactors and of the supervisor, its table of handlers and their history, the connection limits, the
 * log's waiting lines, the fetcher of keys, who asks for a reload, and the keys below.
 */
#ifndef NET_GATEWAY_H
#define NET_GATEWAY_H

#include "auth/ticket.h"
#include "auth/token.h"
#include "config/generation.h"
#include "handlers/supervisor.h"
#include "net/counters.h"
#include "store/store.h"

#include <pthread.h>

struct reactor;
struct limits;
struct reload_request;

struct gateway {
	/* See reload.h. Any thread. */
	void (*ask_reload)(struct gateway *gateway, struct reload_request *request);
	struct store *store;
	_Atomic(struct supervisor *) supervisor; /* NULL until there are handlers */
	struct ticket_office *tickets;
	struct limits *limits;
	struct reactor **reactors;
	size_t n_reactors;
	int64_t started_ms;                 /* wall clock */
	_Atomic int64_t answer_timeout_ms;  /* of the configuration, for those who have none at hand */
	_Atomic int64_t certificate_end_ms; /* when the first of the listeners' expires; INT64_MAX: there are none */
	atomic_bool is_asked_to_stop;       /* by an administrator's request */
	atomic_bool is_stopping;            /* it is not ready any more */
	atomic_bool is_draining;            /* each connection ends with its answer */
	atomic_bool has_fetched_keys;       /* from jwks_url, at least once */

	pthread_mutex_t keys_lock;
	struct token_keys *keys; /* {keys_lock}: swapped when a key set was fetched again */
};

/* A reference to the keys that are live now. Any thread. */
struct token_keys *gateway_keys(struct gateway *gateway);
/* Takes the reference over, and has every reactor close the sessions of keys that are gone. */
void gateway_set_keys(struct gateway *gateway, struct token_keys *keys);

/* The thread of the journal that has been at one thing for so long that it hangs; NULL if none has. Any thread. */
const char *gateway_hanging_thread(struct gateway *gateway);

/* Something was erased: no reactor keeps in memory what is not in the journal any more. Any thread. */
void gateway_forget(struct gateway *gateway);

/* store_options::on_commit, on the writer's thread: encodes the frames, tells every reactor. context: the gateway. */
void gateway_on_commit(void *gateway, struct commit *commit);

#endif
