/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/position.h"

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
	char digits[SPAN_DECIMAL_BYTES];
	struct span sequence = span_decimal(position->sequence, digits);
	size_t n = strnlen(position->epoch, POSITION_MAX_EPOCH);
	memcpy(ret_text, position->epoch, n);
	ret_text[n++] = '-';
	memcpy(ret_text + n, sequence.data, sequence.n);
	n += sequence.n;
	ret_text[n] = '\0';
	return n;
}

void position_add_json(struct buffer *json, const char *key, const char *epoch, uint64_t sequence)
{
	buffer_add_printf(json, "\"%s\":\"%s-%llu\"", key, epoch, (unsigned long long)sequence);
}
