/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers questions to the journal, on a connection of its own, in transactions that last as long as it takes to look at
 * one segment (segment.h) or a part of it: nobody waits for a reader, and the write-ahead log can begin anew.
 *
 * Events are looked up by sequence, one by one, never by a scan: so a page that is damaged costs the records in it and no
 * others, and one that is missing is noticed. Which sequences are worth a look says the index if the filters allow, and
 * filter_matches() has the last word.
 *
 * Belongs to the reader thread.
 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "store/store.h"

struct journal;
struct reader;

/* 0 or -errno. */
int reader_create(struct journal *journal, struct reader **ret_reader) MUST_USE;
void reader_destroy(struct reader *reader); /* NULL is fine */
CLEANUP_DEFINE(struct reader, reader_destroy)

/* A question that is being answered. */
struct reading {
	struct store_read *read;
	struct reading *next; /* whoever keeps it */
};

/* 0 or -ENOMEM. */
int reader_begin(struct reader *reader, struct store_read *read, struct reading **ret_reading) MUST_USE;
/* Goes on for some milliseconds at most. True when the answer is complete. A question for what is next is answered after one
 * such step, whatever was found; one for the newest goes on until it has found as many as were asked for. */
bool reader_step(struct reader *reader, struct reading *reading) MUST_USE;
/* Calls on_page with what was found, or with the error (0: none), and frees the reading. */
void reader_answer(struct reader *reader, struct reading *reading, int error);

#endif
