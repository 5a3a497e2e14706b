/* SPDX-License-Identifier: Apache-2.0 */
#include "net/reactor.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/connection.h"
#include "net/series.h"
#include "net/subscriber.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

/* After so long a time the loop looks whether somebody else waits, above all a callback; the clock is looked at after
 * so many writes. */
#define SLICE_NS NS_PER_MS
#define WRITES_A_STEP 16

/* --- the hub's wishes ------------------------------------------------------------------------------------------- */

/* A page of the journal on its way back from the reader's thread. */
struct page_note {
	struct note note; /* first */
	struct reactor *reactor;
	struct store_read read;
	struct hub_page page;
};

static void on_page_note(struct reactor *reactor, struct note *note)
{
	struct page_note *page = CONTAINER_OF(note, struct page_note, note);
	hub_page(reactor->hub, &page->page);
	reactor_sweep(reactor);
	batch_unref(page->page.batch);
	free(page);
}

static void on_page(struct store_read *read, const struct store_page *page)
{
	struct page_note *note = CONTAINER_OF(read, struct page_note, read);
	note->page = (struct hub_page){ .scanned = read->direction == STORE_NEWEST ? read->until : page->scanned,
									.oldest = page->oldest,
									.n_damaged = page->n_damaged,
									.damaged_first = page->damaged_first,
									.damaged_last = page->damaged_last,
									.error = page->error };
	if (!page->error && page->n)
		note->page.error = batch_create(store_epoch(note->reactor->gateway->store), page->events, page->sequences,
										page->n, &note->page.batch);
	reactor_post(note->reactor, &note->note);
}

/* The last of an event's live subscribers here has had its turn. Nobody sent an outcome, so there is nothing to
 * measure.
 */
static void on_finished(void *context, const struct event *event)
{
	struct reactor *reactor = context;
	if (event->kind == EVENT_CALLBACK)
		histogram_add(&reactor->counters.written, clock_monotonic_ns() - event->received_ns);
}

static int read_journal(void *context, const struct hub_read *read)
{
	struct reactor *reactor = context;
	struct page_note *note = calloc(1, sizeof *note);
	if (!note)
		return -ENOMEM;
	note->note.run = on_page_note;
	note->reactor = reactor;
	note->read = (struct store_read){
		.direction = read->newest ? STORE_NEWEST : STORE_FORWARD,
		.after = read->after,
		.until = read->until,
		.filters = read->filters,
		.n_filters = read->n_filters,
		.max_events = read->max_events,
		.max_bytes = read->max_bytes,
		.on_page = on_page,
	};
	int r = store_read(reactor->gateway->store, &note->read);
	if (r < 0)
		free(note);
	return r;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static void on_sweep(uv_idle_t *sweeper)
{
	struct reactor *reactor = sweeper->data;
	uint64_t end_ns = clock_monotonic_ns() + SLICE_NS;
	bool has_more;
	do
		has_more = hub_sweep(reactor->hub, WRITES_A_STEP);
	while (has_more && clock_monotonic_ns() < end_ns);
	if (!has_more)
		(void)uv_idle_stop(sweeper);
}

void reactor_sweep(struct reactor *reactor)
{
	(void)uv_idle_start(&reactor->sweeper, on_sweep);
}

/* Callbacks that came together become durable together. */
static void wake_store(struct reactor *reactor)
{
	if (reactor->has_appended)
		store_wake(reactor->gateway->store);
	reactor->has_appended = false;
}

static void on_before_waiting(uv_prepare_t *before_waiting)
{
	wake_store(before_waiting->data);
}

static void on_after_waiting(uv_check_t *after_waiting)
{
	struct reactor *reactor = after_waiting->data;
	wake_store(reactor);
	connection_bound_pending(reactor);
	reactor->turn++;
}

static void run_notes(struct reactor *reactor)
{
	struct inbox_item *item = inbox_take(&reactor->inbox);
	while (item) {
		struct note *note = CONTAINER_OF(item, struct note, item);
		item = item->next; /* the note may go */
		note->run(reactor, note);
	}
}

static void on_wake(uv_async_t *wake)
{
	run_notes(wake->data);
}

void reactor_post(struct reactor *reactor, struct note *note)
{
	inbox_put(&reactor->inbox, &note->item);
	(void)uv_async_send(&reactor->wake);
}

struct span reactor_date(struct reactor *reactor)
{
	int64_t now_s = clock_wall_ms() / MS_PER_S;
	if (now_s != reactor->date_s) {
		time_t now = (time_t)now_s;
		struct tm utc;
		(void)gmtime_r(&now, &utc);
		reactor->date_s = now_s;
		/* the C locale is never changed, so these are the English names that RFC 9110 5.6.7 wants */
		(void)strftime(reactor->date, sizeof reactor->date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
	}
	return span_text(reactor->date);
}

/* --- creating and destroying ---------------------------------------------------------------------------------- */

static int create_loop(struct reactor *reactor)
{
	if (uv_loop_init(&reactor->loop) < 0)
		return -ENOMEM;
	reactor->has_loop = true;
	reactor->wake.data = reactor->sweeper.data = reactor;
	reactor->before_waiting.data = reactor->after_waiting.data = reactor;
	if (uv_async_init(&reactor->loop, &reactor->wake, on_wake) < 0)
		return -ENOMEM;
	(void)uv_idle_init(&reactor->loop, &reactor->sweeper);
	(void)uv_prepare_init(&reactor->loop, &reactor->before_waiting);
	(void)uv_prepare_start(&reactor->before_waiting, on_before_waiting);
	(void)uv_check_init(&reactor->loop, &reactor->after_waiting);
	(void)uv_check_start(&reactor->after_waiting, on_after_waiting);
	return 0;
}

static void adopt_setup(struct reactor *reactor, struct setup *setup)
{
	setup_adopt(setup, &reactor->tallies);
	reactor->setup = setup;
	reactor->config = setup->generation->config;
}

int reactor_create(struct gateway *gateway, struct setup *setup, struct reactor **ret_reactor)
{
	struct reactor *reactor = calloc(1, sizeof *reactor);
	if (!reactor) {
		setup_unref(setup);
		return -ENOMEM;
	}
	reactor->gateway = gateway;
	adopt_setup(reactor, setup);
	inbox_init(&reactor->inbox);
	struct hub_options options = {
		.max_ring_bytes = reactor->config->limits.ring_bytes,
		.head = store_head(gateway->store),
		.context = reactor,
		.deliver = subscriber_deliver,
		.gap = subscriber_gap,
		.fail = subscriber_fail,
		.finished = on_finished,
		.read = read_journal,
	};
	int r = create_loop(reactor);
	if (r == 0)
		r = hub_create(&options, &reactor->hub);
	if (r == 0)
		r = series_create(&reactor->history);
	if (r == 0)
		r = transport_create(&reactor->loop, &reactor->transport);
	if (r < 0) {
		reactor_destroy(reactor);
		return r;
	}
	*ret_reactor = reactor;
	return 0;
}

/* --- another configuration ---------------------------------------------------------------------------------------- */

struct reactor_switch {
	struct note note; /* first */
	struct setup *setup;
	void (*done)(void *context);
	void *context;
};

int reactor_switch_create(struct setup *setup, void (*done)(void *context), void *context,
						  struct reactor_switch **ret_switch)
{
	struct reactor_switch *change = calloc(1, sizeof *change);
	if (!change) {
		setup_unref(setup);
		return -ENOMEM;
	}
	change->setup = setup;
	change->done = done;
	change->context = context;
	*ret_switch = change;
	return 0;
}

void reactor_switch_destroy(struct reactor_switch *change)
{
	if (change)
		setup_unref(change->setup);
	free(change);
}

static void on_switch_note(struct reactor *reactor, struct note *note)
{
	struct reactor_switch *change = CONTAINER_OF(note, struct reactor_switch, note);
	setup_unref(reactor->setup);
	adopt_setup(reactor, STEAL(change->setup));
	hub_set_max_ring_bytes(reactor->hub, reactor->config->limits.ring_bytes);
	change->done(change->context);
	reactor_switch_destroy(change);
}

void reactor_switch(struct reactor *reactor, struct reactor_switch *change)
{
	change->note.run = on_switch_note;
	reactor_post(reactor, &change->note);
}

/* --- its thread --------------------------------------------------------------------------------------------------- */

static void *run(void *argument)
{
	struct reactor *reactor = argument;
	(void)uv_run(&reactor->loop, UV_RUN_DEFAULT);
	return NULL;
}

int reactor_start(struct reactor *reactor)
{
	int r = pthread_create(&reactor->thread, NULL, run, reactor);
	if (r)
		return -r;
	reactor->has_thread = true;
	(void)pthread_setname_np(reactor->thread, "reactor");
	return 0;
}

/* Memory for a note that cannot be done without comes back as connections end. */
static struct note *insist_on_note(void)
{
	struct note *note;
	while (!(note = calloc(1, sizeof *note)))
		(void)usleep(1000);
	return note;
}

/* Those who reconnect come to the next process at about this rate, each at a moment of its own ... */
#define RECONNECTS_PER_S 1000
/* ... and a few of them within this time. */
#define LEAST_SPREAD_MS 200

static void on_drain_note(struct reactor *reactor, struct note *note)
{
	size_t n_all = reactor->n_subscribers * reactor->gateway->n_reactors; /* they are shared out in turn */
	uint64_t spread_ms = LEAST_SPREAD_MS + n_all * MS_PER_S / RECONNECTS_PER_S;
	free(note);
	for (struct connection *c = reactor->connections; c; c = c->next) {
		uint64_t moment;
		if (digest_random(&moment, sizeof moment) < 0)
			moment = clock_monotonic_ns(); /* a spread is all that matters */
		if (c->subscriber)
			subscriber_disconnect(c->subscriber, 1012, "restart", (int64_t)(moment % spread_ms));
		else
			connection_drain(c);
	}
}

void reactor_drain(struct reactor *reactor)
{
	struct note *note = insist_on_note();
	note->run = on_drain_note;
	reactor_post(reactor, note);
}

static void on_stop_note(struct reactor *reactor, struct note *note)
{
	free(note);
	uv_stop(&reactor->loop);
}

void reactor_stop(struct reactor *reactor)
{
	if (!reactor || !reactor->has_thread)
		return;
	struct note *note = insist_on_note();
	note->run = on_stop_note;
	reactor_post(reactor, note);
	(void)pthread_join(reactor->thread, NULL);
	reactor->has_thread = false;
}

/* The thread is gone: what it leaves behind is closed from here. */
static void close_loop(struct reactor *reactor)
{
	if (!reactor->has_loop)
		return;
	run_notes(reactor);
	if (reactor->wake.type)
		uv_close((uv_handle_t *)&reactor->wake, NULL);
	if (reactor->sweeper.type)
		uv_close((uv_handle_t *)&reactor->sweeper, NULL);
	if (reactor->before_waiting.type)
		uv_close((uv_handle_t *)&reactor->before_waiting, NULL);
	if (reactor->after_waiting.type)
		uv_close((uv_handle_t *)&reactor->after_waiting, NULL);
	transport_destroy(reactor->transport);
	(void)uv_run(&reactor->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&reactor->loop);
}

void reactor_destroy(struct reactor *reactor)
{
	if (!reactor)
		return;
	close_loop(reactor);
	hub_destroy(reactor->hub);
	history_destroy(reactor->history);
	setup_unref(reactor->setup);
	tallies_destroy(reactor->tallies);
	inbox_finish(&reactor->inbox);
	free(reactor);
}
