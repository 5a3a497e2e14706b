/* SPDX-License-Identifier: Apache-2.0 */
#include "base/history.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct history {
	size_t n_columns;
	uint64_t slots[HISTORY_SLOTS]; /* whose row it is, plus one; 0: nobody's */
	uint32_t rows[];
};

int history_create(size_t n_columns, struct history **ret_history)
{
	struct history *history = calloc(1, sizeof *history + HISTORY_SLOTS * n_columns * sizeof history->rows[0]);
	if (!history)
		return -ENOMEM;
	history->n_columns = n_columns;
	*ret_history = history;
	return 0;
}

void history_destroy(struct history *history)
{
	free(history);
}

uint64_t history_slot(uint64_t now_ns)
{
	return now_ns / (HISTORY_SLOT_S * NS_PER_S);
}

uint32_t *history_row(struct history *history, uint64_t now_ns)
{
	uint64_t slot = history_slot(now_ns);
	size_t i = (size_t)(slot % HISTORY_SLOTS);
	uint32_t *row = &history->rows[i * history->n_columns];
	if (history->slots[i] != slot + 1) {
		memset(row, 0, history->n_columns * sizeof *row);
		history->slots[i] = slot + 1;
	}
	return row;
}

const uint32_t *history_find(const struct history *history, uint64_t slot)
{
	size_t i = (size_t)(slot % HISTORY_SLOTS);
	return history->slots[i] == slot + 1 ? &history->rows[i * history->n_columns] : NULL;
}

void history_add_up(const struct history *history, uint64_t first_slot, size_t slots_a_point, size_t n_points,
					uint64_t *sums)
{
	for (size_t i = 0; i < slots_a_point * n_points; i++) {
		const uint32_t *row = history_find(history, first_slot + i);
		for (size_t k = 0; row && k < history->n_columns; k++)
			sums[i / slots_a_point * history->n_columns + k] += row[k];
	}
}
