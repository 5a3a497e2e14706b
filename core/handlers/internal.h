/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of handlers/ share. Everything belongs to the supervisor's thread but for what says otherwise. */
#ifndef HANDLERS_INTERNAL_H
#define HANDLERS_INTERNAL_H

#include "base/history.h"
#include "base/inbox.h"
#include "handlers/breaker.h"
#include "handlers/process.h"
#include "handlers/schedule.h"
#include "handlers/supervisor.h"
#include "handlers/vault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

/* Deliveries that one handler may hold for each of its workers. */
#define HANDLER_MAX_AHEAD 32

/* A message to the supervisor's thread; embedded in what it carries, which `run` owns. */
struct supervisor_note {
	void (*run)(struct supervisor *supervisor, struct supervisor_note *note);
	struct inbox_item item;
};
/* Any thread. */
void supervisor_post(struct supervisor *supervisor, struct supervisor_note *note);

/* A delivery in our hands: from its claim until what became of it is durable. */
struct job {
	struct supervisor_note note;
	struct handler *handler;
	struct delivery delivery;           /* as it was claimed */
	struct event *event;                /* a reference */
	struct store_settlement settlement; /* what is told with it is the job's: notice.h */
	char reason[DELIVERY_MAX_REASON + 1];
	int64_t started_ms;
	uint64_t started_ns;
	struct job *next; /* in handler::ready, or supervisor::unsettled */
};

enum worker_state {
	WORKER_STARTING, /* not READY yet */
	WORKER_IDLE,
	WORKER_BUSY,
	WORKER_STOPPING,
};

/* One process of a handler. */
struct worker {
	struct handler *handler;
	struct process *process;
	enum worker_state state;
	struct job *job; /* BUSY */
	uint64_t ask;    /* the number of the ASK that waits for its REPLY; 0: none does */
	uv_timer_t timer;
	uint64_t started_ns;
	bool is_outdated;     /* its configuration is not the handler's any more: it ends after what it is at */
	uint64_t line_second; /* of the log lines that are counted */
	unsigned n_lines, n_left_out;
	bool is_refused; /* it said itself why it cannot start */
	bool is_late;    /* it was killed at its deadline */
	struct worker *next;
};

struct handler {
	UT_hash_handle hh; /* supervisor::handlers */
	char *name;
	struct supervisor *supervisor;
	struct generation *generation; /* a reference: of its configuration */
	const struct config_handler *config;
	bool is_removed;      /* from the configuration: it goes when nothing is in its hands any more */
	atomic_bool has_news; /* any thread: something new is owed */
	struct worker *workers;
	size_t n_workers;
	struct job *ready, **ready_end; /* claimed, not begun */
	size_t n_in_hand;               /* jobs until they are settled */
	size_t n_questions;             /* that the store has not answered */
	struct handler_claim *claim;    /* under way */
	bool has_news_since_claim;
	int64_t next_due_ms;         /* when to claim next */
	int64_t claim_not_before_ms; /* the journal failed */
	uint64_t start_not_before_ns;
	uint64_t backoff_ns; /* 0: none */
	uint64_t mean_ns;    /* of an attempt, about */
	struct breaker breaker;
	bool waits_for_room; /* it has no process, and there are too many */
	uint64_t wait_number;
	bool is_listed; /* in supervisor::to_step */
	struct handler *next_to_step;
	/* any thread: see struct supervisor_counts */
	_Atomic uint64_t n_done, n_retried, n_dead, n_crashed, n_processes, n_held;
	_Atomic uint64_t told_mean_ns, took[HISTOGRAM_BUCKETS], took_sum_ns;
	_Atomic int64_t paused_until_ms;
	atomic_bool is_paused, is_failing;
};

struct supervisor {
	struct generation *generation; /* a reference */
	const struct config *config;   /* its configuration */
	struct store *store;
	struct vault *vault;
	pthread_mutex_t lock;
	struct history *history;  /* {lock} */
	struct handler *handlers; /* by name; {lock} for other threads, and to change it */
	size_t n_workers;
	size_t n_waiting, n_stopping; /* handlers that wait for room; workers that end */
	uint64_t n_waits;             /* ever */
	struct handler *to_step;      /* something has changed for them in this turn of the loop */
	struct job *unsettled;        /* what became of them could not be written: again soon */
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t timer, again;
	uv_prepare_t before_waiting;
	pthread_t thread;
	bool has_thread, has_loop;
	bool has_submitted; /* to the store, in this turn of the loop */
	bool is_draining, is_stopping;
	size_t n_in_hand, n_claims, n_answers; /* that the store will still tell of */
	uint64_t n_asks;                       /* ever */
	atomic_bool is_idle;
	atomic_bool wants_drain, wants_stop; /* any thread */
	struct inbox inbox;
};

/* Has the handler looked after before the loop waits. */
void handler_touch(struct handler *handler);
/* Does for it what can be done now. */
void handler_step(struct handler *handler);
/* When it wants to be looked after again if nothing happens, in ms since 1970; INT64_MAX: never. */
int64_t handler_next_ms(const struct handler *handler);
/* 0 or -ENOMEM. It is in no table yet. */
int handler_create(struct supervisor *supervisor, struct generation *generation, const struct config_handler *config,
				   struct handler **ret_handler) MUST_USE;
/* Nothing may be in its hands. NULL is fine. */
void handler_destroy(struct handler *handler);
/* It goes by another configuration from now on. Processes that were told something else end. */
void handler_set_config(struct handler *handler, struct generation *generation, const struct config_handler *config);
/* Whether nothing of it is left but itself. */
bool handler_is_at_rest(const struct handler *handler);
/* Gives back what has not been begun. */
void handler_give_back(struct handler *handler);
/* What became of the job is to be written (again). Consumes it. */
void job_submit(struct job *job);
void job_destroy(struct job *job);
/* Gives it back as if it had not been claimed. Consumes it. */
void job_give_back(struct job *job);
/* After an attempt; reason may be empty. Consumes it. */
void job_conclude(struct job *job, enum schedule_result result, int64_t retry_after_ms, struct span reason);

/* 0 or -errno. */
int worker_start(struct handler *handler) MUST_USE;
void worker_deliver(struct worker *worker, struct job *job);
/* In order: it may still say that it is done. */
void worker_stop(struct worker *worker);
void worker_kill(struct worker *worker, const char *why);
/* What it was told is not so any more: it ends as soon as it has nothing to do. */
void worker_outdate(struct worker *worker);
/* The answer to what it asked. */
void worker_reply(struct worker *worker, int error, struct span text, struct span payload);

/* Answers an ASK of a busy worker, now or later. */
void answer(struct worker *worker, const struct packet *packet);

#endif
