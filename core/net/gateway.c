/* SPDX-License-Identifier: Apache-2.0 */
#include "net/gateway.h"

#include "base/clock.h"
#include "base/log.h"
#include "hub/batch.h"
#include "net/connection.h"
#include "net/ingest.h"
#include "net/reactor.h"
#include "net/session.h"

#include <errno.h>

/* --- commits ------------------------------------------------------------------------------------------------------ */

/* What one reactor is told of a commit: its own appends, and what is new for its subscribers. */
struct commit_note {
	struct note note;    /* first */
	struct batch *batch; /* a reference; NULL if nothing is to be pushed */
	uint64_t head;
	uint64_t durable_ns; /* when the commit ended, monotonic */
	bool is_incomplete;  /* there was no memory for the batch */
	size_t n_results;
	struct ingest_result results[];
};

static void on_commit_note(struct reactor *reactor, struct note *note)
{
	struct commit_note *commit = CONTAINER_OF(note, struct commit_note, note);
	/* the provider's answers first: it waits, subscribers only wish */
	for (size_t i = 0; i < commit->n_results; i++)
		ingest_settle(reactor, &commit->results[i], commit->durable_ns);
	if (commit->is_incomplete)
		hub_miss(reactor->hub, commit->head);
	else
		hub_publish(reactor->hub, commit->batch, commit->head);
	reactor_sweep(reactor);
	batch_unref(commit->batch);
	free(commit);
}

/* NULL for what came with a settlement. */
static struct reactor *reactor_of(const struct commit_item *item)
{
	const struct exchange *exchange = item->append->owner;
	return exchange ? exchange->reactor : NULL;
}

static bool is_pushed(const struct commit_item *item)
{
	return item->status == COMMIT_STORED && (STORE_PUSHED_KINDS & 1 << item->event->kind);
}

/* The frames of what is new, encoded once for all reactors. */
static int make_batch(const struct gateway *gateway, const struct commit *commit, struct batch **ret_batch)
{
	size_t n = 0;
	CLEANUP(free) struct event **events = calloc(commit->n, sizeof(struct event *));
	CLEANUP(free) uint64_t *sequences = calloc(commit->n, sizeof *sequences);
	if (!events || !sequences)
		return -ENOMEM;
	for (size_t i = 0; i < commit->n; i++) {
		const struct commit_item *item = &commit->items[i];
		if (!is_pushed(item))
			continue;
		events[n] = item->event;
		sequences[n++] = item->sequence;
	}
	return n ? batch_create(store_epoch(gateway->store), events, sequences, n, ret_batch) : 0;
}

static struct commit_note *make_note(const struct commit *commit, const struct reactor *reactor, uint64_t now_ns)
{
	struct commit_note *note = malloc(sizeof *note + commit->n * sizeof note->results[0]);
	if (!note)
		return NULL;
	*note = (struct commit_note){ .note.run = on_commit_note, .head = commit->head, .durable_ns = now_ns };
	for (size_t i = 0; i < commit->n; i++) {
		const struct commit_item *item = &commit->items[i];
		if (reactor_of(item) == reactor)
			note->results[note->n_results++] =
				(struct ingest_result){ item->append, item->status, item->sequence, item->error };
	}
	return note;
}

/* Has the handlers get what they are owed. */
static void tell_supervisor(const struct gateway *gateway, const struct commit *commit)
{
	bool is_owed = false;
	for (size_t i = 0; i < commit->n; i++) {
		const struct commit_item *item = &commit->items[i];
		for (size_t k = 0; item->status == COMMIT_STORED && k < item->append->n_owed; k++) {
			supervisor_note_owed(gateway->supervisor, item->append->owed[k].handler);
			is_owed = true;
		}
	}
	if (is_owed)
		supervisor_wake(gateway->supervisor);
}

/* All notes are made before the first is posted: whoever gets one may answer, and free, its appends at once. What is
 * durable and cannot be told for want of memory is better found by a restart than never. */
void gateway_on_commit(void *context, struct commit *commit)
{
	struct gateway *gateway = context;
	struct batch *batch = NULL;
	uint64_t now_ns = clock_monotonic_ns();
	int r = make_batch(gateway, commit, &batch);
	CLEANUP(free) struct commit_note **notes = calloc(gateway->n_reactors, sizeof(struct commit_note *));
	for (size_t i = 0; i < gateway->n_reactors; i++) {
		if (!notes || !(notes[i] = make_note(commit, gateway->reactors[i], now_ns)))
			abort();
		notes[i]->batch = batch ? batch_ref(batch) : NULL;
		notes[i]->is_incomplete = r < 0;
	}
	tell_supervisor(gateway, commit);
	for (size_t i = 0; i < gateway->n_reactors; i++)
		reactor_post(gateway->reactors[i], &notes[i]->note);
	batch_unref(batch);
}

/* --- what was erased ---------------------------------------------------------------------------------------------- */

static void on_forget_note(struct reactor *reactor, struct note *note)
{
	hub_miss(reactor->hub, hub_head(reactor->hub));
	reactor_sweep(reactor);
	free(note);
}

void gateway_forget(struct gateway *gateway)
{
	for (size_t i = 0; i < gateway->n_reactors; i++) {
		struct note *note = calloc(1, sizeof *note);
		if (!note)
			abort(); /* what somebody wants gone for good must not be pushed any more */
		note->run = on_forget_note;
		reactor_post(gateway->reactors[i], note);
	}
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

struct token_keys *gateway_keys(struct gateway *gateway)
{
	(void)pthread_mutex_lock(&gateway->keys_lock);
	struct token_keys *keys = token_keys_ref(gateway->keys);
	(void)pthread_mutex_unlock(&gateway->keys_lock);
	return keys;
}

static void on_keys_note(struct reactor *reactor, struct note *note)
{
	struct token_keys *keys = gateway_keys(reactor->gateway);
	for (struct connection *c = reactor->connections; c; c = c->next)
		if (c->subscriber && !c->link.is_closing)
			session_check_key(c->subscriber, keys);
	token_keys_unref(keys);
	free(note);
}

void gateway_set_keys(struct gateway *gateway, struct token_keys *keys)
{
	(void)pthread_mutex_lock(&gateway->keys_lock);
	struct token_keys *old = gateway->keys;
	gateway->keys = keys;
	(void)pthread_mutex_unlock(&gateway->keys_lock);
	token_keys_unref(old);
	for (size_t i = 0; i < gateway->n_reactors; i++) {
		struct note *note = calloc(1, sizeof *note);
		if (!note) {
			log_error("cannot close the sessions of keys that are gone", LOG_ERRNO(ENOMEM));
			return;
		}
		note->run = on_keys_note;
		reactor_post(gateway->reactors[i], note);
	}
}

/* --- alive -------------------------------------------------------------------------------------------------------- */

/* A thread of the journal that has been at one thing for so many times the time in which a callback must be answered
 * hangs. (A slow disk is no reason to be restarted: /readyz tells that.) */
#define HANGING_TIMES 5

const char *gateway_hanging_thread(struct gateway *gateway)
{
	uint64_t hanging_ns = HANGING_TIMES * (uint64_t)atomic_load(&gateway->answer_timeout_ms) * NS_PER_MS;
	struct store_status status;
	store_get_status(gateway->store, &status);
	if (status.writer_busy_ns > hanging_ns)
		return "writer";
	return status.reader_busy_ns > hanging_ns ? "reader" : NULL;
}
