/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal: events in the order in which they became durable.
 *
 * Writing: any thread calls store_append(); one writer thread takes all that waits, stores it in one
 * transaction and reports the whole batch by on_commit. What on_commit calls durable has been synced to
 * disk. No timer is involved: while one fsync runs, the next batch grows.
 *
 * Reading: any thread calls store_read(); one reader thread answers pages in turn, each from a short
 * transaction of its own.
 *
 * The interface promises only what SQLite and a replicated log can both do: appending in batches, positions
 * that only grow, reading forward (or the newest) by filter, retention.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/cleanup.h"
#include "wire/event.h"
#include "wire/filter.h"

struct store;

/* One interaction of an event (by its index) that a handler is to get: see deliveries.h. */
struct owed {
	uint32_t interaction;
	struct span handler;
};

/* One event on its way in, by itself or with a settlement (deliveries.h). The caller's memory, untouched between
 * store_append() and on_commit. */
struct append {
	struct event *event;     /* the caller's reference, kept until on_commit */
	const struct owed *owed; /* in order of interaction, none twice; becomes durable with the event */
	size_t n_owed;
	int64_t duplicate_window_ms; /* 0: never a duplicate */
	void *owner;                 /* the caller's, passed through */
	struct append *next;         /* the store's */
};

enum commit_status {
	COMMIT_STORED,    /* durable, at `sequence` */
	COMMIT_DUPLICATE, /* equal to the latest of the same source, tags and event id within the window;
					   * `sequence` is that one's, and it is durable */
	COMMIT_FAILED,    /* not durable; `error` says why (negative errno) */
};

struct commit_item {
	struct append *append; /* for its owner to find its way back; may be gone for anybody else */
	struct event *event;   /* a reference that on_commit may take over by STEAL */
	enum commit_status status;
	uint64_t sequence;
	int error;
};

/* In order of sequence, as far as stored. Valid during on_commit. */
struct commit {
	struct commit_item *items;
	size_t n;
	uint64_t head; /* the newest durable sequence */
};

/* What can change while it is open. */
struct store_limits {
	int64_t retention_age_ms; /* 0: for ever */
	uint64_t retention_bytes; /* 0: no bound */
	uint64_t max_queue_bytes; /* bodies that may wait for the writer */
};

struct store_options {
	const char *path;
	struct store_limits limits;
	/* The writer thread calls it once for each batch, in order. It must not call the store. */
	void (*on_commit)(void *context, struct commit *commit);
	void *context;
};

/*
 * Opens or creates the journal, repairs what a crash left behind, migrates an older schema, and starts the
 * threads. Refuses (with a sentence in *ret_message that says what to do, the caller's to free): a newer schema, a
 * file of another program, a file that others own or may write, a damaged file.
 * 0, or -errno.
 */
int store_open(const struct store_options *options, struct store **ret_store, char **ret_message) MUST_USE;
/* Finishes what waits in the queue, then stops the threads. NULL is fine. */
void store_close(struct store *store);
CLEANUP_DEFINE(struct store, store_close)

/* Retention looks at once. Any thread. */
void store_set_limits(struct store *store, const struct store_limits *limits);

/* Takes the append over until on_commit reports it. 0; -ENOBUFS when the queue is full (nothing was taken);
 * -ESHUTDOWN when the store is closing. Any thread; never waits for the disk. The writer may rest until store_wake().
 */
int store_append(struct store *store, struct append *append) MUST_USE;
/* Has the writer look. Behind the last of the appends that came together: one at a time, each would wake it for a
 * transaction of its own. Any thread. */
void store_wake(struct store *store);

/* The journal's epoch (see wire/position.h); never changes while it is open. */
const char *store_epoch(const struct store *store);
/* The newest durable sequence, 0 in an empty journal. Any thread. */
uint64_t store_head(const struct store *store);

/* What operators ask about. Any thread. */
struct store_status {
	uint64_t head;   /* newest durable sequence */
	uint64_t oldest; /* oldest one still kept; head + 1 if there is none */
	uint64_t n_appended, n_duplicates, n_failed, n_commits, n_failed_commits, n_malformed;
	uint64_t n_queued, queue_bytes;
	uint64_t n_bytes, n_free_bytes; /* of the file */
	uint64_t n_damaged;             /* events left out by readers */
	uint64_t n_damaged_deliveries;  /* met, and taken as owed */
	bool is_held;                   /* larger than retention_bytes, for all that is left is still owed to handlers */
	/* For how long the thread has been at the same thing, or has not taken what waits; 0 if it has nothing to do. */
	uint64_t writer_busy_ns, reader_busy_ns;
	int last_error; /* of the last commit; 0 if it was durable. While it is not, the writer tries by itself */
};
void store_get_status(struct store *store, struct store_status *ret_status);

enum store_direction {
	STORE_FORWARD, /* from `after` on, oldest first */
	STORE_NEWEST,  /* the `max_events` newest, delivered oldest first */
};

struct store_page;

enum store_question_kind { QUESTION_EVENTS, QUESTION_DELIVERIES, QUESTION_OWED, QUESTION_STATE };

/* First in each question to the reader. */
struct store_question {
	enum store_question_kind kind;
	struct store_question *next; /* the store's */
};

/* What subscribers can get. */
#define STORE_PUSHED_KINDS (1 << EVENT_CALLBACK | 1 << EVENT_OUTCOME)

/* A question to the reader. The caller's memory until on_page has been called. */
struct store_read {
	struct store_question question;
	enum store_direction direction;
	uint64_t after;               /* sequences greater than this */
	uint64_t until;               /* and not greater than this, nor than the head */
	const struct filter *filters; /* matches if any does; none at all: everything */
	size_t n_filters;
	bool has_kept;     /* also what retention has left for a handler alone */
	int kinds;         /* 1 << EVENT_CALLBACK | ...; 0: STORE_PUSHED_KINDS. Others are not in the index */
	size_t max_rows;   /* NEWEST: of what is not in the index, no more are looked at; 0: many */
	size_t max_events; /* 1.. */
	size_t max_bytes;  /* bodies; at least one event is returned whatever its size */
	/* On the reader thread, once. The page is the reader's: take references, do not keep the arrays. */
	void (*on_page)(struct store_read *read, const struct store_page *page);
	void *owner;
};

struct store_page {
	struct event *const *events; /* in order of sequence */
	const uint64_t *sequences;
	size_t n;
	uint64_t scanned; /* FORWARD: all that matches up to here is in this page (`until` or the head at the end) */
	uint64_t reached; /* NEWEST: all that matches from here on is in this page */
	uint64_t oldest;  /* the oldest sequence that the journal still holds; after + 1 < oldest means a gap */
	size_t n_damaged; /* records that were damaged or missing: left out, logged, counted. FORWARD: then the page has no
					   * events, so that what is lost can be told in its place */
	uint64_t damaged_first, damaged_last; /* of these */
	int error;                            /* 0 or -errno; then nothing else holds */
};

/* 0, or -ESHUTDOWN. Any thread. */
int store_read(struct store *store, struct store_read *read) MUST_USE;

#endif
