/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#define MAX_BYTES 64

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* How many characters must be put in, taken out, changed or swapped with their neighbour. */
static size_t edit_distance(struct span a, struct span b)
{
	size_t rows[3][MAX_BYTES + 1];
	for (size_t j = 0; j <= b.n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *twice_above = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			row[j] = smallest(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a.data[i - 1] != b.data[j - 1]));
			if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
				row[j] = smallest(row[j], twice_above[j - 2] + 1, SIZE_MAX);
		}
	}
	return rows[a.n % 3][b.n];
}

/* One change in short words, more in longer ones: "send" for "snd" is a help, "send" for "dance" is a riddle. */
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
	if (!is_near(distance, nearest->word.n) || (nearest->name && distance >= nearest->distance))
		return;
	nearest->name = name;
	nearest->distance = distance;
}
