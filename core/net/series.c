/* SPDX-License-Identifier: Apache-2.0 */
#include "net/series.h"

#include "base/clock.h"
#include "base/history.h"
#include "net/operator.h"
#include "net/survey.h"

#define DEFAULT_STEP_S 60
#define MAX_SPAN_S ((uint64_t)HISTORY_SLOTS * HISTORY_SLOT_S)

static const char *const delivery_outcomes[SUPERVISOR_HISTORY_COLUMNS] = { "done", "retry", "dead" };

enum column {
	COLUMN_CALLBACKS,
	COLUMN_FAILED_ANSWERS = COLUMN_CALLBACKS + N_CALLBACK_OUTCOMES, /* 5xx */
	COLUMN_SUBSCRIBERS,                                             /* how many there were at the end */
	COLUMN_DURABLE,
	N_COLUMNS = COLUMN_DURABLE + HISTOGRAM_BUCKETS,
};

/* --- counting ----------------------------------------------------------------------------------------------------- */

int series_create(struct history **ret_history)
{
	return history_create(N_COLUMNS, ret_history);
}

static uint32_t *row_of(struct reactor *reactor)
{
	uint32_t *row = history_row(reactor->history, clock_monotonic_ns());
	row[COLUMN_SUBSCRIBERS] = (uint32_t)reactor->n_subscribers;
	return row;
}

void series_count_callback(struct reactor *reactor, enum callback_result result)
{
	row_of(reactor)[COLUMN_CALLBACKS + callback_outcome(result)]++;
}

void series_count_durable(struct reactor *reactor, uint64_t took_ns)
{
	row_of(reactor)[COLUMN_DURABLE + histogram_bucket(took_ns)]++;
}

void series_count_answer(struct reactor *reactor, int status)
{
	if (status >= 500)
		row_of(reactor)[COLUMN_FAILED_ANSWERS]++;
}

void series_note_subscribers(struct reactor *reactor)
{
	(void)row_of(reactor);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

struct series {
	struct survey survey; /* first */
	uint64_t span_s, step_s;
	uint64_t first_slot;
	size_t n_points, slots_a_point;
	uint64_t **sums; /* by reactor: N_COLUMNS for each point */
};

static struct series *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct series, survey.exchange);
}

/* While nothing was counted there were as many as before. */
static void fill_subscribers(const struct history *history, const struct series *series, uint64_t *sums)
{
	const uint32_t *row = NULL;
	for (uint64_t i = 1; !row && i < HISTORY_SLOTS && i <= series->first_slot; i++)
		row = history_find(history, series->first_slot - i);
	uint32_t n = row ? row[COLUMN_SUBSCRIBERS] : 0;
	for (size_t i = 0; i < series->n_points * series->slots_a_point; i++) {
		row = history_find(history, series->first_slot + i);
		n = row ? row[COLUMN_SUBSCRIBERS] : n;
		sums[i / series->slots_a_point * N_COLUMNS + COLUMN_SUBSCRIBERS] = n;
	}
}

static void look(struct survey *survey, const struct reactor *reactor, size_t i)
{
	const struct series *series = CONTAINER_OF(survey, struct series, survey);
	uint64_t *sums = series->sums[i];
	history_add_up(reactor->history, series->first_slot, series->slots_a_point, series->n_points, sums);
	fill_subscribers(reactor->history, series, sums);
}

/* "KEY":[1,2,3] of a table with so many columns. */
static void add_numbers(struct buffer *json, const char *key, const uint64_t *sums, size_t n_columns, size_t n_points)
{
	buffer_add_printf(json, "\"%s\":[", key);
	for (size_t i = 0; i < n_points; i++) {
		buffer_add_text(json, i ? "," : "");
		buffer_add_u64(json, sums[i * n_columns]);
	}
	buffer_add_char(json, ']');
}

static void add_group(struct buffer *json, const char *key, const char *const *names, size_t n_names,
					  const uint64_t *sums, size_t n_columns, size_t n_points)
{
	buffer_add_printf(json, ",\"%s\":{", key);
	for (size_t i = 0; i < n_names; i++) {
		buffer_add_text(json, i ? ",\n" : "");
		add_numbers(json, names[i], sums + i, n_columns, n_points);
	}
	buffer_add_char(json, '}');
}

/* null where nothing became durable. */
static void add_quantile(struct buffer *json, const char *key, const uint64_t *sums, size_t n_points,
						 unsigned hundredths)
{
	buffer_add_printf(json, ",\"%s\":[", key);
	for (size_t i = 0; i < n_points; i++) {
		struct histogram histogram = { 0 };
		memcpy(histogram.n, sums + i * N_COLUMNS + COLUMN_DURABLE, sizeof histogram.n);
		uint64_t ns = histogram_quantile(&histogram, hundredths);
		buffer_add_text(json, i ? "," : "");
		if (ns)
			buffer_add_printf(json, "%.3f", (double)ns / NS_PER_MS);
		else
			buffer_add_text(json, "null");
	}
	buffer_add_char(json, ']');
}

static void add_deliveries(struct buffer *json, const struct series *series)
{
	struct supervisor *supervisor = series->survey.exchange.reactor->gateway->supervisor;
	CLEANUP(free) uint64_t *sums = calloc(series->n_points * SUPERVISOR_HISTORY_COLUMNS, sizeof *sums);
	if (!sums) {
		json->failed = true;
		return;
	}
	if (supervisor)
		supervisor_add_history(supervisor, series->first_slot, series->slots_a_point, series->n_points, sums);
	add_group(json, "deliveries", delivery_outcomes, ARRAY_LENGTH(delivery_outcomes), sums, SUPERVISOR_HISTORY_COLUMNS,
			  series->n_points);
}

static void conclude(struct survey *survey)
{
	struct series *series = CONTAINER_OF(survey, struct series, survey);
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	uint64_t *sums = series->sums[0];
	for (size_t i = 1; i < survey->n_notes; i++)
		for (size_t k = 0; k < series->n_points * N_COLUMNS; k++)
			sums[k] += series->sums[i][k];
	uint64_t end_ns = (series->first_slot + series->n_points * series->slots_a_point) * HISTORY_SLOT_S * NS_PER_S;
	buffer_add_printf(&json, "{\"step\":%llu", (unsigned long long)series->step_s);
	operator_add_time(&json, "until", clock_wall_ms() + ((int64_t)end_ns - (int64_t)clock_monotonic_ns()) / NS_PER_MS);
	add_group(&json, "callbacks", callback_outcomes, N_CALLBACK_OUTCOMES, sums + COLUMN_CALLBACKS, N_COLUMNS,
			  series->n_points);
	add_quantile(&json, "durable_p50_ms", sums, series->n_points, 50);
	add_quantile(&json, "durable_p99_ms", sums, series->n_points, 99);
	buffer_add_char(&json, ',');
	add_numbers(&json, "answers_5xx", sums + COLUMN_FAILED_ANSWERS, N_COLUMNS, series->n_points);
	buffer_add_char(&json, ',');
	add_numbers(&json, "subscribers", sums + COLUMN_SUBSCRIBERS, N_COLUMNS, series->n_points);
	add_deliveries(&json, series);
	buffer_add_text(&json, "}\n");
	operator_answer(&survey->exchange, &json);
}

static const char *read_pair(struct exchange *exchange, struct span name, struct span value)
{
	struct series *series = of(exchange);
	if (span_equal(name, SPAN("span")))
		return span_to_u64(value, MAX_SPAN_S, &series->span_s) ? NULL : "\"span\" is a number of seconds, up to 21600";
	if (!span_equal(name, SPAN("step")))
		return OPERATOR_UNKNOWN_WORD;
	bool is_step = span_to_u64(value, 3600, &series->step_s) && series->step_s % HISTORY_SLOT_S == 0 && series->step_s;
	return is_step ? NULL : "\"step\" is a number of seconds, a multiple of 10 up to 3600";
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct series *series = of(exchange);
	series->span_s = MAX_SPAN_S;
	series->step_s = DEFAULT_STEP_S;
	(void)operator_read_query(exchange, request->query, read_pair);
}

/* Points begin where the step's multiples are, so that a later question has the same ones; the last is still growing.
 */
static void set_range(struct series *series)
{
	series->slots_a_point = (size_t)(series->step_s / HISTORY_SLOT_S);
	series->n_points = (size_t)(series->span_s / series->step_s);
	if (series->n_points == 0)
		series->n_points = 1;
	uint64_t last = history_slot(clock_monotonic_ns()) / series->slots_a_point;
	uint64_t first = last >= series->n_points ? last + 1 - series->n_points : 0;
	series->n_points = (size_t)(last + 1 - first); /* since the machine started */
	series->first_slot = first * series->slots_a_point;
}

static bool make_sums(struct series *series, size_t n_reactors)
{
	series->sums = calloc(n_reactors, sizeof(uint64_t *));
	bool is_made = series->sums;
	for (size_t i = 0; is_made && i < n_reactors; i++) {
		series->sums[i] = calloc(series->n_points * N_COLUMNS, sizeof(uint64_t));
		is_made = series->sums[i];
	}
	return is_made;
}

static void finish(struct exchange *exchange, struct span body)
{
	struct series *series = of(exchange);
	(void)body;
	set_range(series);
	if (make_sums(series, exchange->reactor->gateway->n_reactors))
		survey_start(exchange, look, conclude);
	else
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
}

static void release(struct exchange *exchange)
{
	struct series *series = of(exchange);
	for (size_t i = 0; series->sums && i < exchange->reactor->gateway->n_reactors; i++)
		free(series->sums[i]);
	free(series->sums);
	survey_release(exchange);
}

const struct endpoint series_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct series),
	.begin = begin,
	.finish = finish,
	.expire = survey_expire,
	.release = release,
};
