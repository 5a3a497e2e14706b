/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/position.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_epoch(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.data[i] >= 'a' && s.data[i] <= 'z') || (s.data[i] >= '0' && s.data[i] <= '9')))
			return false;
	return s.n >= 1 && s.n <= POSITION_MAX_EPOCH;
}

bool position_parse(struct span text, struct position *ret_position)
{
	struct span epoch, sequence = text;
	struct position position = { 0 };
	if (!text.data || !span_next(&sequence, '-', &epoch) || !is_epoch(epoch) ||
		!span_to_u64(sequence, POSITION_MAX_SEQUENCE, &position.sequence))
		return false;
	if (sequence.n > 1 && sequence.data[0] == '0') /* one position, one text */
		return false;
	memcpy(position.epoch, epoch.data, epoch.n);
	*ret_position = position;
	return true;
}

size_t position_format(const struct position *position, char ret_text[static POSITION_TEXT_SIZE])
{
	int n = snprintf(ret_text, POSITION_TEXT_SIZE, "%s-%" PRIu64, position->epoch, position->sequence);
	return n > 0 ? (size_t)n : 0;
}
