/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reactor: one thread, one loop, its share of the connections, a hub for those who subscribed.
 *
 * Other threads reach it by notes in its inbox, and by nothing else. A callback's way through it: connection.c reads
 * the request, ingest.c verifies it and hands it to the store; the commit comes back as a note, ingest.c answers, and
 * the hub brings the event to subscribers in slices, between which the loop looks after everybody else.
 */
#ifndef NET_REACTOR_H
#define NET_REACTOR_H

#include "base/history.h"
#include "base/inbox.h"
#include "hub/hub.h"
#include "net/gateway.h"
#include "net/setup.h"
#include "net/transport.h"

#include <uv.h>

/* A message to a reactor's thread; embedded in what it carries. */
struct note {
	/* On the reactor's thread; owns the note from then on. */
	void (*run)(struct reactor *reactor, struct note *note);
	struct inbox_item item;
};

struct connection;

struct reactor {
	struct gateway *gateway;
	struct transport *transport;
	struct hub *hub;
	struct setup *setup; /* the one in force here */
	const struct config
		*config; /* its configuration: for one turn of the loop, or as long as somebody holds the setup */
	struct tally *tallies;
	struct counters counters;
	struct history *history; /* of the last hours: series.h */
	size_t n_subscribers;
	uv_loop_t loop;
	uv_async_t wake;
	uv_idle_t sweeper; /* runs while the hub has more to deliver */
	bool has_appended; /* to the store, in this turn of the loop */
	uv_prepare_t before_waiting;
	uv_check_t after_waiting;
	uint64_t turn; /* of the loop; counts up */
	pthread_t thread;
	bool has_thread, has_loop;

	struct connection *connections;
	struct connection *pending; /* no whole request yet, oldest first */
	size_t n_pending;

	char date[40]; /* the Date field's line, made once a second */
	int64_t date_s;

	struct inbox inbox;
};

/* Takes the setup over, also when it fails. Not at the same time on two threads. 0 or -errno. */
int reactor_create(struct gateway *gateway, struct setup *setup, struct reactor **ret_reactor) MUST_USE;
/* Starts the thread. 0 or -errno. */
int reactor_start(struct reactor *reactor) MUST_USE;
/* Has the thread close all connections and end, and waits for it. */
void reactor_stop(struct reactor *reactor);
/* Has the reactor go by another setup from now on; what is under way ends by the one that it began with. The setup is
 * taken over. done(context) is called on the reactor's thread when it does. Any thread. */
struct reactor_switch;
int reactor_switch_create(struct setup *setup, void (*done)(void *context), void *context,
						  struct reactor_switch **ret_switch) MUST_USE;
void reactor_switch_destroy(struct reactor_switch *change);
void reactor_switch(struct reactor *reactor, struct reactor_switch *change);
/* Has every subscriber told to reconnect elsewhere, each at its own time, and other connections end as soon as they are
 * answered. Any thread. */
void reactor_drain(struct reactor *reactor);
/* After reactor_stop() and after the store is closed. NULL is fine. */
void reactor_destroy(struct reactor *reactor);

/* Any thread. */
void reactor_post(struct reactor *reactor, struct note *note);

/* Asks the hub to go on delivering in this and the next turns of the loop. */
void reactor_sweep(struct reactor *reactor);

/* "Date: Mon, 27 Apr 2026 15:00:01 GMT\r\n" */
struct span reactor_date(struct reactor *reactor);

#endif
