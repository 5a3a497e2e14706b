/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as a row.
 *
 * Every row carries a digest over all its other columns, its sequence included, so that what a disk or a hand has
 * changed is found when it is read. The body takes part by its own digest, which the event knows already.
 */
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "store/sqlite.h"
#include "wire/event.h"

#define RECORD_DIGEST_BYTES 16 /* of SHA-256 */
#define RECORD_KEY_BYTES 16

/* The texts of one event, built once and used for its row, its digest and its key. */
struct record_texts {
	struct buffer tags, interactions, scratch;
};

void record_texts_finish(struct record_texts *texts);
/* 0 or -ENOMEM. */
int record_texts_make(struct record_texts *texts, const struct event *event) MUST_USE;

/* Whose latest event a duplicate is compared with: source, tags, event id. 0 or -ENOMEM. */
int record_key(struct buffer *scratch, struct span source, struct span event_id, struct span tags,
			   uint8_t ret_key[static RECORD_KEY_BYTES]) MUST_USE;

#define RECORD_INSERT                                                                                                 \
	"INSERT INTO events (sequence, kind, received_ms, source, event_id, tags, interactions, malformed, body_digest, " \
	"record_digest, body, traceparent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
/* In the place of one that is there, with the same parameters. */
#define RECORD_REPLACE                                                                                          \
	"UPDATE events SET kind = ?2, received_ms = ?3, source = ?4, event_id = ?5, tags = ?6, interactions = ?7, " \
	"malformed = ?8, body_digest = ?9, record_digest = ?10, body = ?11, traceparent = ?12 WHERE sequence = ?1"
/* Either of the two; the texts are the event's. 0 or -errno. */
int record_write(sqlite3_stmt *statement, struct record_texts *texts, const struct event *event,
				 uint64_t sequence) MUST_USE;

/* What is left of an event that is erased (event_is_erased()). Its row is exactly as long as before (but for rows of
 * layouts before 3): then SQLite writes it over the old one, byte for byte. 0 or -ENOMEM. */
int record_make_erased(const struct record_texts *texts, const struct event *event, struct event **ret_erased) MUST_USE;

#define RECORD_SELECT                                                                                               \
	"SELECT kind, received_ms, source, event_id, tags, interactions, malformed, body_digest, record_digest, body, " \
	"traceparent FROM events WHERE sequence = ?"
/* 0; -ENOENT if there is none; -EBADMSG if it is damaged; else -errno. */
int record_select(sqlite3_stmt *statement, struct buffer *scratch, uint64_t sequence,
				  struct event **ret_event) MUST_USE;

#endif
