/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Erasing: people's data goes for good, and positions stay what they were.
 *
 * An erased event keeps its place, its source and its time (event_is_erased()); its body, its ids, its tags and the
 * details of attempts at it are written over in the very bytes of the file where they stood. Its terms leave the index.
 * What is still owed for it is dead. What is in a handler's hands is left for later: what the handler says of it in the
 * end, and what is told of that, can be erased only then.
 *
 * What an event has left elsewhere goes by scrubbing: pages that are free are given back, the write-ahead log is cut to
 * nothing, and the bytes between rows are cleared (slack.h).
 *
 * Whoever erases walks through the journal page by page (erasure_ask()), submits what was found (erasure_of()), and
 * scrubs in the end.
 */
#ifndef STORE_ERASURE_H
#define STORE_ERASURE_H

#include "store/deliveries.h"

#define ERASURE_MAX 64
/* The reason of a delivery that is dead because of it. */
#define WORK_ERASED "the event was erased"

/* WORK_ERASE: these events. What does not match the filter (any more) stays as it is. */
struct store_erasure {
	struct store_work work;
	const struct filter *filter;
	uint64_t sequences[ERASURE_MAX]; /* grow */
	size_t n;
	/* What came of it. */
	uint64_t n_events;
	uint64_t n_deliveries; /* that were owed */
	uint64_t n_attempts;   /* whose reasons are gone */
	uint64_t n_in_hand;    /* events that are left for later */
	uint64_t erased[ERASURE_MAX];
};

/* WORK_SCRUB: what erased events have left elsewhere. A step: it fails with -EAGAIN while there is more to do, and with
 * -EBUSY while somebody reads from the log (then `next_page` is as at first, too). */
struct store_scrub {
	struct store_work work;
	uint64_t next_page; /* 1 at first */
};

/* For the next page of all that matches, whatever it is. The caller adds on_page. */
struct store_read erasure_ask(const struct filter *filter, uint64_t after, uint64_t until);
/* What is in such a page; it may be nothing. The caller adds on_done. */
struct store_erasure erasure_of(const struct filter *filter, const struct store_page *page);

/* What was done to a journal. */
struct erasure_tally {
	uint64_t n_events, n_deliveries, n_attempts, n_in_hand;
};

/* All that match, in the journal of a gateway that does not run. 0; -EBUSY if one runs; -errno. With a sentence. */
int erasure_run_file(const char *path, const struct filter *filter, struct erasure_tally *ret_tally,
					 char **ret_message) MUST_USE;
void erasure_count(struct erasure_tally *tally, const struct store_erasure *erasure);

/* --- the writer's, see work.h --- */

struct journal;
int erasure_run(struct journal *journal, struct store_erasure *erasure) MUST_USE;
int erasure_scrub(struct journal *journal, struct store_scrub *scrub) MUST_USE;
/* After the transaction of either. */
void erasure_end(struct journal *journal, struct store_work *work);

#endif
