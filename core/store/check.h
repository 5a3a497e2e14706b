/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that can be found wrong with a journal: each record's digest and its place, the index against the events,
 * deliveries against events, and what SQLite says of its file.
 *
 * Only the last one is more than a short transaction: SQLite looks at the whole file in one.
 */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/inspection.h"

struct check {
	/* For each finding: a sentence that says what it means and what to do. */
	void (*on_finding)(void *context, const char *sentence);
	void *context;
	/* What was looked at. */
	uint64_t n_events, n_deliveries, n_attempts, n_findings;
};

/* 0, whatever was found, or -errno. */
int check_run(struct inspection *inspection, struct check *check) MUST_USE;

#endif
