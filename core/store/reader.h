/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: one page after the other, each from short transactions of the reader's own connection, so that the
 * write-ahead log can always be begun anew.
 *
 * Sequences are looked at one by one in the right direction. Where the filters ask for something that the index knows,
 * only those that it names are; filter_matches() has the last word.
 *
 * Belongs to the reader thread.
 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "store/journal.h"

struct reader;
/* 0 or -errno. */
int reader_create(struct journal *journal, struct reader **ret_reader) MUST_USE;
void reader_destroy(struct reader *reader); /* NULL is fine */
CLEANUP_DEFINE(struct reader, reader_destroy)

/* Answers, by on_page or on_value. */
void reader_answer(struct reader *reader, struct store_question *question);

#endif
