/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has been counted lately, in slots of ten seconds, for the last six hours.
 *
 * A slot comes into being when something is counted in it: so nobody has to wake up for it, and what was quiet costs
 * nothing. Belongs to one thread, or to whoever guards it.
 */
#ifndef BASE_HISTORY_H
#define BASE_HISTORY_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_SLOT_S 10
#define HISTORY_SLOTS (6 * 3600 / HISTORY_SLOT_S)

struct history;

/* n_columns: numbers in each slot. 0 or -ENOMEM. */
int history_create(size_t n_columns, struct history **ret_history) MUST_USE;
void history_destroy(struct history *history); /* NULL is fine */
CLEANUP_DEFINE(struct history, history_destroy)

/* The number of the slot of this moment (monotonic). */
uint64_t history_slot(uint64_t now_ns);
/* The numbers of this moment's slot, zeros if nothing was counted in it yet. */
uint32_t *history_row(struct history *history, uint64_t now_ns);
/* Adds up: points of so many slots each, from the first slot on, into sums of n_columns numbers for each point. */
void history_add_up(const struct history *history, uint64_t first_slot, size_t slots_a_point, size_t n_points,
					uint64_t *sums);
/* Those of a slot; NULL if nothing was counted in it, or it is too long ago. */
const uint32_t *history_find(const struct history *history, uint64_t slot);

#endif
