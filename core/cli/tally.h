/* SPDX-License-Identifier: Apache-2.0 */
/* How many answers of each status there were, and how long they took. */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

#define TALLY_MAX_STATUS 600

struct tally {
	uint64_t by_status[TALLY_MAX_STATUS]; /* [0]: no answer at all; [599]: and beyond */
	uint64_t n, n_accepted;               /* accepted: 2xx */
	uint64_t *elapsed_ns;                 /* of the answers */
	size_t n_elapsed, max_elapsed;
};

/* For at most max answers. 0 or -ENOMEM. */
int tally_init(struct tally *tally, size_t max) MUST_USE;
void tally_finish(struct tally *tally);
static inline void tally_finish_cleanup(struct tally *tally)
{
	tally_finish(tally);
}

void tally_add(struct tally *tally, int status, uint64_t elapsed_ns);
/* The time within which `percent` of the answers came (nearest rank); 0 if there were none. Sorts. */
uint64_t tally_percentile_ns(struct tally *tally, unsigned percent);

#endif
