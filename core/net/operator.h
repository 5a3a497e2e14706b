/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints of the administrator's side share: reading a query, waiting for another thread, writing JSON. */
#ifndef NET_OPERATOR_H
#define NET_OPERATOR_H

#include "net/connection.h"

#define OPERATOR_DEFAULT_LIMIT 100

/* A position of this journal behind its beginning. */
bool operator_read_position(const struct gateway *gateway, struct span text, uint64_t *ret_sequence);
/* 1 to 1000. */
bool operator_read_limit(struct span text, uint64_t *ret_limit);
/* The word's place in the table; false if it is not there. */
bool operator_read_word(const char *const *words, size_t n, struct span text, size_t *ret_index);

/* Reads one pair of a query: NULL, or what is wrong. */
typedef const char *operator_read_pair(struct exchange *exchange, struct span name, struct span value);
/* Reads all pairs, up to the first that is wrong: false, and answered 400. */
bool operator_read_query(struct exchange *exchange, struct span query, operator_read_pair *read_pair);
#define OPERATOR_UNKNOWN_WORD "there is a word in the query that means nothing here"

/* Answers 400. */
void operator_refuse(struct exchange *exchange, const char *complaint);
/* Another thread works on the answer: exchange_answer_json() gives it. */
void operator_hold(struct exchange *exchange);
/* It cannot: the gateway is stopping. */
void operator_refuse_closing(struct exchange *exchange);
/* Answers now, with the JSON. */
void operator_answer(struct exchange *exchange, const struct buffer *json);

/* ,"KEY":"2026-04-27T15:00:01.123Z" */
void operator_add_time(struct buffer *json, const char *key, int64_t ms);
/* ,"KEY":42 */
void operator_add_number(struct buffer *json, const char *key, uint64_t number);
/* ,"KEY":true */
void operator_add_flag(struct buffer *json, const char *key, bool flag);

#endif
