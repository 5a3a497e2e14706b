/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the journal in shape, in steps of some milliseconds between two batches: writing the index, retention,
 * giving pages back, checkpoints. Nothing of it is needed for what has been acknowledged, so what fails is said and
 * tried again later.
 */
#ifndef STORE_UPKEEP_H
#define STORE_UPKEEP_H

#include "store/journal.h"

/* How long the writer may rest if nothing comes. */
#define UPKEEP_FOREVER UINT64_MAX

/* What retention keeps from now on; it looks with the next step. */
void upkeep_set_limits(struct journal *journal, const struct store_limits *limits);
/* Does what is due, a step at most. Returns in how many nanoseconds it wants to be called again (0: at once). */
uint64_t upkeep_step(struct journal *journal);

#endif
