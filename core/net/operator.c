/* SPDX-License-Identifier: Apache-2.0 */
#include "net/operator.h"

#include "base/clock.h"

#define MAX_LIMIT 1000

bool operator_read_position(const struct gateway *gateway, struct span text, uint64_t *ret_sequence)
{
	struct position position;
	if (!position_parse(text, &position) || strcmp(position.epoch, store_epoch(gateway->store)) != 0)
		return false;
	*ret_sequence = position.sequence;
	return position.sequence > 0;
}

bool operator_read_limit(struct span text, uint64_t *ret_limit)
{
	return span_to_u64(text, MAX_LIMIT, ret_limit) && *ret_limit;
}

bool operator_read_word(const char *const *words, size_t n, struct span text, size_t *ret_index)
{
	for (size_t i = 0; i < n; i++)
		if (span_equal(text, span_text(words[i]))) {
			*ret_index = i;
			return true;
		}
	return false;
}

bool operator_read_query(struct exchange *exchange, struct span query, operator_read_pair *read_pair)
{
	struct span name, value;
	const char *complaint = NULL;
	while (!complaint && http_query_next(&query, &name, &value))
		complaint = read_pair(exchange, name, value);
	if (complaint)
		operator_refuse(exchange, complaint);
	return !complaint;
}

void operator_refuse(struct exchange *exchange, const char *complaint)
{
	connection_refuse(exchange->connection, 400, "malformed", complaint, NULL);
}

void operator_hold(struct exchange *exchange)
{
	exchange->is_held = true;
	connection_set_deadline(exchange->connection, exchange_config(exchange)->limits.write_timeout_ms);
}

void operator_refuse_closing(struct exchange *exchange)
{
	exchange->is_held = false;
	connection_refuse(exchange->connection, 503, "unavailable", "the gateway is stopping", NULL);
}

void operator_answer(struct exchange *exchange, const struct buffer *json)
{
	exchange_answer_json(exchange, json, 0, "out of memory");
}

void operator_add_time(struct buffer *json, const char *key, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];
	clock_format(ms, text);
	buffer_add_printf(json, ",\"%s\":\"%s\"", key, text);
}

void operator_add_number(struct buffer *json, const char *key, uint64_t number)
{
	buffer_add_printf(json, ",\"%s\":%llu", key, (unsigned long long)number);
}

void operator_add_flag(struct buffer *json, const char *key, bool flag)
{
	buffer_add_printf(json, ",\"%s\":%s", key, flag ? "true" : "false");
}
