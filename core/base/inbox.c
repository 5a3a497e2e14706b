/* SPDX-License-Identifier: Apache-2.0 */
#include "base/inbox.h"

#include <stddef.h>

void inbox_init(struct inbox *inbox)
{
	inbox->first = NULL;
	inbox->end = &inbox->first;
	(void)pthread_mutex_init(&inbox->lock, NULL);
}

void inbox_finish(struct inbox *inbox)
{
	(void)pthread_mutex_destroy(&inbox->lock);
}

void inbox_put(struct inbox *inbox, struct inbox_item *item)
{
	item->next = NULL;
	(void)pthread_mutex_lock(&inbox->lock);
	*inbox->end = item;
	inbox->end = &item->next;
	(void)pthread_mutex_unlock(&inbox->lock);
}

struct inbox_item *inbox_take(struct inbox *inbox)
{
	(void)pthread_mutex_lock(&inbox->lock);
	struct inbox_item *items = inbox->first;
	inbox->first = NULL;
	inbox->end = &inbox->first;
	(void)pthread_mutex_unlock(&inbox->lock);
	return items;
}
