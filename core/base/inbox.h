/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from any thread to one: a list under a lock. A message embeds an inbox_item and belongs to the inbox until
 * it is taken. Waking whoever takes them is the owner's business.
 */
#ifndef BASE_INBOX_H
#define BASE_INBOX_H

#include <pthread.h>

struct inbox_item {
	struct inbox_item *next;
};

struct inbox {
	pthread_mutex_t lock;
	struct inbox_item *first, **end; /* {lock} */
};

void inbox_init(struct inbox *inbox);
/* It must be empty. */
void inbox_finish(struct inbox *inbox);
/* Any thread. */
void inbox_put(struct inbox *inbox, struct inbox_item *item);
/* All of them, in the order in which they came. */
struct inbox_item *inbox_take(struct inbox *inbox);

#endif
