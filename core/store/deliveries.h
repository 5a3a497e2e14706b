/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is owed to handlers.
 *
 * A delivery is one interaction of one event, owed to one handler. It is written in the transaction of its event, so
 * whatever was acknowledged is owed until it is done or dead. Its life:
 *
 *     due ──claim──► claimed ──settle──► done
 *      ▲                │ │
 *      └────────────────┘ └────────────► dead ──replay──► due
 *
 * A claim is durable before the handler is called. So what is found claimed at the start was in a handler's hands when
 * the gateway ended, and is due again: at least once. How often that happened to it is kept, for it may be what ends
 * the gateway.
 *
 * Deliveries of one event to one handler are in order of interaction: a later one is due only when the one before is
 * done or dead. What is still owed keeps its event in the journal, whatever retention says, though no longer for
 * subscribers.
 *
 * Work is done by the writer, in the same transactions as events; questions are answered by the reader. What is told of
 * a settlement, to handlers or to subscribers, is an event that becomes durable with it, or not at all. What the writer
 * itself gives up, for its event is damaged or was erased, is told by the log alone: there is nothing to tell of.
 */
#ifndef STORE_DELIVERIES_H
#define STORE_DELIVERIES_H

#include "store/store.h"

/* The due_ms of one that waits for an earlier interaction of its event. */
#define DELIVERY_BEHIND_MS INT64_MAX
/* Whoever settles puts nothing off for longer than this. */
#define DELIVERY_MAX_WAIT_MS (INT64_C(25) * 3600 * 1000)
#define DELIVERY_MAX_REASON 1000

enum delivery_state {
	DELIVERY_DUE, /* at due_ms */
	DELIVERY_CLAIMED,
	DELIVERY_DONE,
	DELIVERY_DEAD,
};

struct delivery {
	uint64_t sequence;
	int64_t interaction; /* its index in the event */
	struct span handler;
	enum delivery_state state;
	int64_t due_ms;
	int64_t owed_ms;       /* since when; a replay begins anew */
	int64_t n_attempts;    /* that came to an end, ever */
	int64_t n_before;      /* of these, before the latest replay */
	int64_t n_interrupted; /* since it is owed */
	int64_t n_crashed;     /* attempts in a row that ended their process */
};

/* How an attempt ended. */
enum attempt_outcome {
	ATTEMPT_DONE,
	ATTEMPT_RETRY,
	ATTEMPT_REJECT,
	ATTEMPT_FAILED, /* the handler gave no outcome: it crashed, hung, talked nonsense */
};

struct attempt {
	int64_t started_ms, duration_ms;
	enum attempt_outcome outcome;
	struct span reason; /* at most DELIVERY_MAX_REASON bytes */
};

/* What these are called where the journal is shown or exported. */
extern const char *const delivery_states[DELIVERY_DEAD + 1], *const attempt_outcomes[ATTEMPT_FAILED + 1];

/* --- work for the writer ------------------------------------------------------------------------------------------ */

enum store_work_kind { WORK_CLAIM, WORK_SETTLE, WORK_REPLAY, WORK_STATE, WORK_ERASE, WORK_SCRUB };

/* First in each of the structs below. The caller's memory until on_done has been called. */
struct store_work {
	enum store_work_kind kind;
	/* On the writer's thread, once, when it is durable or has failed: `error` is 0 or -errno. It must not call the
	 * store. */
	void (*on_done)(struct store_work *work);
	int error;
	struct store_work *next; /* the store's */
};

struct claimed {
	struct delivery delivery; /* `handler` is the claim's own */
	struct event *event;      /* a reference, the caller's */
};

/* WORK_CLAIM: what is due for a handler, oldest first. What cannot be given because its event is damaged becomes
 * dead. */
struct store_claim {
	struct store_work work;
	struct span handler;
	int64_t now_ms;
	size_t max;
	size_t max_bytes;        /* bodies; at least one whatever its size */
	struct claimed *claimed; /* room for max */
	size_t n;                /* 0 at first */
	int64_t next_due_ms; /* when to claim again: `now_ms` if there is more, DELIVERY_BEHIND_MS if there is nothing */
};

#define SETTLEMENT_MAX_TOLD 3

/* WORK_SETTLE: what becomes of a claimed delivery. */
struct store_settlement {
	struct store_work work;
	/* As it was claimed, with its new state; its due_ms if it is due again. An attempt is counted here. */
	struct delivery delivery;
	bool has_attempt; /* not if it is only given back */
	struct attempt attempt;
	bool has_others; /* the event has other interactions: perhaps one waits for this */
	/* Events that come with it; on_commit has them before on_done is called. */
	struct append *told[SETTLEMENT_MAX_TOLD];
	size_t n_told;
};

/* WORK_REPLAY: what was done or dead is owed again. */
struct store_replay {
	struct store_work work;
	uint64_t sequence;   /* all of this event; 0: all that are dead */
	struct span handler; /* empty: of all handlers */
	int64_t now_ms;
	size_t max;
	size_t n; /* that are owed again; max: there may be more */
};

#define STATE_MAX_KEYS 10000

/* WORK_STATE: a handler's state under a key. Fails with -ENOSPC beyond STATE_MAX_KEYS. */
struct store_state_change {
	struct store_work work;
	struct span handler, key;
	struct span value; /* data NULL: forget it */
};

/* 0, or -ESHUTDOWN. Any thread. The writer may rest until store_wake(). */
int store_submit(struct store *store, struct store_work *work) MUST_USE;

/* --- questions to the reader -------------------------------------------------------------------------------------- */

struct delivery_row {
	struct delivery delivery;
	bool is_damaged;                /* what it says is not to be trusted; it is owed */
	const struct event *event;      /* NULL if it is damaged or gone */
	const struct attempt *attempts; /* the last one; or all of them in order, if they were asked for */
	size_t n_attempts;
	bool has_all_attempts;
};

/* Deliveries by sequence, newest first. */
struct store_deliveries {
	struct store_question question;
	struct span handler; /* empty: all */
	int states;          /* 1 << DELIVERY_DUE | ...; 0: all */
	uint64_t before;     /* sequences less than this */
	uint64_t only;       /* this sequence alone; 0: all */
	size_t max;          /* rows; those of one sequence are never torn apart */
	bool wants_all_attempts;
	/* On the reader's thread, once. Everything is valid during the call. */
	void (*on_page)(struct store_deliveries *question, const struct delivery_row *rows, size_t n, int error);
	void *owner;
};
int store_ask_deliveries(struct store *store, struct store_deliveries *question) MUST_USE;

/* How many deliveries the handler is owed: due or claimed. Any thread. */
uint64_t store_count_owed(const struct store *store, struct span handler);

/* Which handlers are owed anything. */
struct store_owed {
	struct store_question question;
	/* On the reader's thread, once for each; then once with an empty name. */
	void (*on_handler)(struct store_owed *question, struct span handler);
	void *owner;
};
int store_ask_owed(struct store *store, struct store_owed *question) MUST_USE;

struct store_state {
	struct store_question question;
	struct span handler, key;
	/* error: 0, -ENOENT, or another -errno. */
	void (*on_value)(struct store_state *question, struct span value, int error);
	void *owner;
};
int store_ask_state(struct store *store, struct store_state *question) MUST_USE;

#endif
