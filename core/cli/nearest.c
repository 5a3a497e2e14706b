/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/nearest.h"

#define MAX_BYTES 32

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Insertions, deletions and replacements that turn one into the other (Levenshtein), one row at a time. */
static size_t edit_distance(struct span a, struct span b)
{
	size_t row[MAX_BYTES + 1];
	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t above = row[j];
			row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a.data[i - 1] != b.data[j - 1]));
			diagonal = above;
		}
	}
	return row[b.n];
}

/* "send" for "snd" is a help, "send" for "dance" is a riddle. */
static bool is_near(size_t distance, size_t n)
{
	return distance <= 1 + n / 4;
}

void nearest_try(struct nearest *nearest, const char *name)
{
	struct span candidate = span_text(name);
	if (nearest->word.n == 0 || nearest->word.n > MAX_BYTES || candidate.n > MAX_BYTES)
		return;
	size_t distance = edit_distance(nearest->word, candidate);
	if (!is_near(distance, candidate.n) || (nearest->name && distance >= nearest->distance))
		return;
	nearest->name = name;
	nearest->distance = distance;
}
