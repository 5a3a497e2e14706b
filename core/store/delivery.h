/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delivery as a row, its attempts, and the statements over them.
 *
 * Each row of `deliveries` carries a digest over all its columns. What a disk or a hand has changed is found when it is
 * claimed, replayed, listed, or purged, and then it is taken as owed: to handle something twice is allowed, to forget
 * it is not.
 */
#ifndef STORE_DELIVERY_H
#define STORE_DELIVERY_H

#include "base/buffer.h"
#include "store/deliveries.h"
#include "store/sqlite.h"

/* A row whose digest is wrong; everything else about it has been read. */
#define DELIVERY_E_DAMAGED 1

/* Numbered alike, so that delivery_write() serves both. */
#define DELIVERY_INSERT                                                                                      \
	"INSERT INTO deliveries (sequence, handler, interaction, state, due_ms, owed_ms, n_attempts, n_before, " \
	"n_interrupted, n_crashed, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
#define DELIVERY_UPDATE                                                                             \
	"UPDATE deliveries SET state = ?4, due_ms = ?5, owed_ms = ?6, n_attempts = ?7, n_before = ?8, " \
	"n_interrupted = ?9, n_crashed = ?10, digest = ?11 WHERE sequence = ?1 AND handler = ?2 AND interaction = ?3"
#define DELIVERY_SELECT                                                                                               \
	"SELECT sequence, handler, interaction, state, due_ms, owed_ms, n_attempts, n_before, n_interrupted, n_crashed, " \
	"digest "                                                                                                         \
	"FROM deliveries "
/* 0; -EUCLEAN if there is no such row to update; else -errno. */
int delivery_write(sqlite3_stmt *statement, struct buffer *scratch, const struct delivery *delivery) MUST_USE;
/* The row that the statement stands on; its handler is valid until the statement moves. 0, DELIVERY_E_DAMAGED, or
 * -ENOMEM. */
int delivery_read(sqlite3_stmt *statement, struct buffer *scratch, struct delivery *ret_delivery) MUST_USE;
/* The first row of the statement, its handler copied into `handler`, and the statement reset. As delivery_read();
 * -ENOENT if there is no row; else -errno. */
int delivery_first(sqlite3_stmt *statement, struct buffer *scratch, struct buffer *handler,
				   struct delivery *ret_delivery) MUST_USE;
/* Says what was found, once in a while. */
void delivery_tell_damage(const struct delivery *delivery);

#define ATTEMPT_INSERT                                                                                             \
	"INSERT OR REPLACE INTO attempts (sequence, handler, interaction, attempt, started_ms, duration_ms, outcome, " \
	"reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
#define ATTEMPT_SELECT                                                                                      \
	"SELECT started_ms, duration_ms, outcome, reason FROM attempts WHERE sequence = ? AND handler = ? AND " \
	"interaction = ? ORDER BY attempt "
/* The row that the statement stands on; its reason is valid until the statement moves. */
struct attempt attempt_read(sqlite3_stmt *statement);
/* Attempt number delivery->n_attempts. 0 or -errno. */
int attempt_insert(sqlite3_stmt *statement, const struct delivery *delivery, const struct attempt *attempt) MUST_USE;
/* Binds what attempts are found by. 0 or -errno. */
int delivery_bind_key(sqlite3_stmt *statement, const struct delivery *delivery) MUST_USE;

#endif
