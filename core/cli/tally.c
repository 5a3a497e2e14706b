/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tally.h"

#include <errno.h>

int tally_init(struct tally *tally, size_t max)
{
	*tally = (struct tally){ .elapsed_ns = calloc(max ? max : 1, sizeof *tally->elapsed_ns), .max_elapsed = max };
	return tally->elapsed_ns ? 0 : -ENOMEM;
}

void tally_finish(struct tally *tally)
{
	free(tally->elapsed_ns);
	tally->elapsed_ns = NULL;
}

void tally_add(struct tally *tally, int status, uint64_t elapsed_ns)
{
	if (status < 0 || status >= TALLY_MAX_STATUS)
		status = TALLY_MAX_STATUS - 1;
	tally->by_status[status]++;
	tally->n++;
	tally->n_accepted += status >= 200 && status < 300;
	if (status && tally->n_elapsed < tally->max_elapsed)
		tally->elapsed_ns[tally->n_elapsed++] = elapsed_ns;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

uint64_t tally_percentile_ns(struct tally *tally, unsigned percent)
{
	if (tally->n_elapsed == 0)
		return 0;
	qsort(tally->elapsed_ns, tally->n_elapsed, sizeof *tally->elapsed_ns, compare);
	size_t rank = (tally->n_elapsed * percent + 99) / 100;
	return tally->elapsed_ns[rank ? rank - 1 : 0];
}
