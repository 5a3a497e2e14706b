/* SPDX-License-Identifier: Apache-2.0 */
#include "net/metrics.h"

#include "base/clock.h"
#include "net/limits.h"
#include "net/survey.h"
#include "store/deliveries.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static const struct {
	const char *name, *type, *help;
} metrics[] = {
#define X(row, name, type, help) { name, type, help },
	METRICS(X)
#undef X
};

static const struct {
	enum metric metric;
	size_t offset; /* in struct counters */
	const char *labels;
} counters[] = {
#define X(field, row, labels) { METRIC_##row, offsetof(struct counters, field), labels },
	COUNTERS(X)
#undef X
};

const char *const callback_outcomes[] = {
#define X(row, name) name,
	CALLBACK_OUTCOMES(X)
#undef X
};

static const struct {
	enum callback_outcome outcome;
	const char *reason;
} results[] = {
#define X(name, outcome, reason) { CALLBACK_OUTCOME_##outcome, reason },
	CALLBACK_RESULTS(X)
#undef X
};

enum callback_outcome callback_outcome(enum callback_result result)
{
	return results[result].outcome;
}

const char *callback_outcome_name(enum callback_result result)
{
	return callback_outcomes[callback_outcome(result)];
}

const char *callback_reason(enum callback_result result)
{
	return results[result].reason;
}

/* Everything that is asked for a scrape. */
struct scrape {
	struct buffer *text;
	struct gateway *gateway;
	const struct config *config;
	const struct report *reports;
	struct store_status store;
};

/* --- samples ------------------------------------------------------------------------------------------------------ */

static void begin_sample(struct buffer *text, enum metric metric, const char *suffix, const char *labels)
{
	buffer_add_text(text, metrics[metric].name);
	buffer_add_text(text, suffix);
	if (*labels) {
		buffer_add_char(text, '{');
		buffer_add_text(text, labels);
		buffer_add_char(text, '}');
	}
	buffer_add_char(text, ' ');
}

static void add_sample(struct buffer *text, enum metric metric, const char *labels, uint64_t value)
{
	begin_sample(text, metric, "", labels);
	buffer_add_u64(text, value);
	buffer_add_char(text, '\n');
}

static void add_seconds(struct buffer *text, enum metric metric, const char *suffix, double seconds)
{
	begin_sample(text, metric, suffix, "");
	buffer_add_printf(text, "%.9g\n", seconds);
}

/* Prometheus counts each bucket up to its bound. */
static void add_histogram(struct buffer *text, enum metric metric, const struct histogram *histogram)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		char labels[32];
		(void)snprintf(labels, sizeof labels, "le=\"%s\"", histogram_bound(i));
		n += histogram->n[i];
		begin_sample(text, metric, "_bucket", labels);
		buffer_add_u64(text, n);
		buffer_add_char(text, '\n');
	}
	add_seconds(text, metric, "_sum", (double)histogram->sum_ns / 1e9);
	begin_sample(text, metric, "_count", "");
	buffer_add_u64(text, n);
	buffer_add_char(text, '\n');
}

/* --- metrics that are more than one number ------------------------------------------------------------------------ */

static void add_build(struct scrape *scrape, enum metric metric)
{
	add_sample(scrape->text, metric, "version=\"" BELFRY_VERSION "\"", 1);
}

static uint64_t sum_result(const struct scrape *scrape, size_t source, size_t result)
{
	uint64_t n = 0;
	for (size_t i = 0; i < scrape->gateway->n_reactors; i++)
		n += scrape->reports[i].sources[source].n[result];
	return n;
}

/* A source's name has no character that would have to be escaped. */
static void begin_source_sample(struct buffer *text, enum metric metric, const char *source)
{
	buffer_add_text(text, metrics[metric].name);
	buffer_add_text(text, "{source=\"");
	buffer_add_text(text, source);
	buffer_add_char(text, '"');
}

static void add_callbacks(struct scrape *scrape, enum metric metric)
{
	const struct config *config = scrape->config;
	for (size_t source = 0; source < config->n_sources; source++)
		for (size_t i = 0; i < N_CALLBACK_RESULTS; i++) {
			begin_source_sample(scrape->text, metric, config->sources[source].name);
			buffer_add_printf(scrape->text, ",outcome=\"%s\",reason=\"%s\"} ", callback_outcome_name(i),
							  results[i].reason);
			buffer_add_u64(scrape->text, sum_result(scrape, source, i));
			buffer_add_char(scrape->text, '\n');
		}
}

static void add_callback_bytes(struct scrape *scrape, enum metric metric)
{
	const struct config *config = scrape->config;
	for (size_t source = 0; source < config->n_sources; source++) {
		uint64_t n = 0;
		for (size_t i = 0; i < scrape->gateway->n_reactors; i++)
			n += scrape->reports[i].sources[source].n_bytes;
		begin_source_sample(scrape->text, metric, config->sources[source].name);
		buffer_add_text(scrape->text, "} ");
		buffer_add_u64(scrape->text, n);
		buffer_add_char(scrape->text, '\n');
	}
}

/* Those that we know a text for are those that we give. */
static void add_answers(struct scrape *scrape, enum metric metric)
{
	const char *unknown = http_status_text(0);
	for (int status = COUNTERS_FIRST_STATUS; status <= COUNTERS_LAST_STATUS; status++) {
		char labels[32];
		uint64_t n = 0;
		if (http_status_text(status) == unknown)
			continue;
		for (size_t i = 0; i < scrape->gateway->n_reactors; i++)
			n += scrape->reports[i].counters.answers[status - COUNTERS_FIRST_STATUS];
		(void)snprintf(labels, sizeof labels, "status=\"%d\"", status);
		add_sample(scrape->text, metric, labels, n);
	}
}

static void add_counters(struct scrape *scrape, enum metric metric)
{
	for (size_t i = 0; i < ARRAY_LENGTH(counters); i++) {
		uint64_t n = 0;
		if (counters[i].metric != metric)
			continue;
		for (size_t k = 0; k < scrape->gateway->n_reactors; k++) {
			uint64_t value;
			memcpy(&value, (const char *)&scrape->reports[k].counters + counters[i].offset, sizeof value);
			n += value;
		}
		add_sample(scrape->text, metric, counters[i].labels, n);
	}
}

static void add_refused(struct scrape *scrape, enum metric metric)
{
	struct limits_refused refused;
	limits_get_refused(scrape->gateway->limits, &refused);
	add_sample(scrape->text, metric, "reason=\"connections\"", refused.n_overall);
	add_sample(scrape->text, metric, "reason=\"connections_per_address\"", refused.n_by_address);
	add_counters(scrape, metric);
}

static void add_durable(struct scrape *scrape, enum metric metric)
{
	struct histogram sum = { 0 };
	for (size_t i = 0; i < scrape->gateway->n_reactors; i++)
		histogram_merge(&sum, &scrape->reports[i].counters.durable);
	add_histogram(scrape->text, metric, &sum);
}

static void add_written(struct scrape *scrape, enum metric metric)
{
	struct histogram sum = { 0 };
	for (size_t i = 0; i < scrape->gateway->n_reactors; i++)
		histogram_merge(&sum, &scrape->reports[i].counters.written);
	add_histogram(scrape->text, metric, &sum);
}

static void add_subscribers(struct scrape *scrape, enum metric metric)
{
	for (size_t kind = 0; kind < SUBSCRIBER_KINDS; kind++)
		for (size_t state = 0; state < REPORT_STATES; state++) {
			char labels[64];
			uint64_t n = 0;
			for (size_t i = 0; i < scrape->gateway->n_reactors; i++)
				n += scrape->reports[i].n_subscribers[kind][state];
			(void)snprintf(labels, sizeof labels, "transport=\"%s\",state=\"%s\"", survey_transports[kind],
						   survey_states[state]);
			add_sample(scrape->text, metric, labels, n);
		}
}

static void add_heads(struct scrape *scrape, enum metric metric)
{
	for (size_t i = 0; i < scrape->gateway->n_reactors; i++) {
		char labels[32];
		(void)snprintf(labels, sizeof labels, "reactor=\"%zu\"", i);
		add_sample(scrape->text, metric, labels, scrape->reports[i].head);
	}
}

static void add_commits(struct scrape *scrape, enum metric metric)
{
	add_sample(scrape->text, metric, "outcome=\"durable\"", scrape->store.n_commits);
	add_sample(scrape->text, metric, "outcome=\"failed\"", scrape->store.n_failed_commits);
}

static void begin_handler_sample(struct buffer *text, enum metric metric, const char *handler)
{
	buffer_add_printf(text, "%s{handler=\"%s\"", metrics[metric].name, handler);
}

static void add_deliveries(struct scrape *scrape, enum metric metric)
{
	const struct config *config = scrape->config;
	for (size_t i = 0; i < config->n_handlers; i++) {
		struct supervisor_counts counts;
		supervisor_get_counts(scrape->gateway->supervisor, span_text(config->handlers[i].name), &counts);
		const struct {
			const char *outcome;
			uint64_t n;
		} outcomes[] = { { "done", counts.n_done }, { "retry", counts.n_retried }, { "dead", counts.n_dead } };
		for (size_t k = 0; k < ARRAY_LENGTH(outcomes); k++) {
			begin_handler_sample(scrape->text, metric, config->handlers[i].name);
			buffer_add_printf(scrape->text, ",outcome=\"%s\"} ", outcomes[k].outcome);
			buffer_add_u64(scrape->text, outcomes[k].n);
			buffer_add_char(scrape->text, '\n');
		}
	}
}

static uint64_t count_of(const struct gateway *gateway, struct span handler, enum metric metric)
{
	struct supervisor_counts counts;
	if (metric == METRIC_OWED)
		return store_count_owed(gateway->store, handler);
	supervisor_get_counts(gateway->supervisor, handler, &counts);
	if (metric == METRIC_CLAIMED)
		return counts.n_in_hand;
	if (metric == METRIC_CRASHES)
		return counts.n_crashed;
	if (metric == METRIC_PROCESSES)
		return counts.n_processes;
	return metric == METRIC_FAILING ? counts.is_failing : counts.is_paused;
}

static void add_handlers(struct scrape *scrape, enum metric metric)
{
	const struct config *config = scrape->config;
	for (size_t i = 0; i < config->n_handlers; i++) {
		const char *handler = config->handlers[i].name;
		begin_handler_sample(scrape->text, metric, handler);
		buffer_add_text(scrape->text, "} ");
		buffer_add_u64(scrape->text, count_of(scrape->gateway, span_text(handler), metric));
		buffer_add_char(scrape->text, '\n');
	}
}

static void add_cpu(struct scrape *scrape, enum metric metric)
{
	struct rusage usage = { 0 };
	(void)getrusage(RUSAGE_SELF, &usage);
	add_seconds(scrape->text, metric, "",
				(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
					(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void add_certificate(struct scrape *scrape, enum metric metric)
{
	int64_t end_ms = atomic_load(&scrape->gateway->certificate_end_ms);
	begin_sample(scrape->text, metric, "", "");
	if (end_ms == INT64_MAX)
		buffer_add_text(scrape->text, "+Inf\n");
	else
		buffer_add_printf(scrape->text, "%.3f\n", (double)end_ms / MS_PER_S);
}

static void add_start(struct scrape *scrape, enum metric metric)
{
	begin_sample(scrape->text, metric, "", "");
	buffer_add_printf(scrape->text, "%.3f\n", (double)scrape->gateway->started_ms / MS_PER_S);
}

/* --- metrics that are one number ---------------------------------------------------------------------------------- */

static uint64_t resident_bytes(void)
{
	char text[128];
	uint64_t n_pages = 0;
	CLEANUP(close) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
	struct span rest = span_of(text, n > 0 ? (size_t)n : 0), field;
	bool is_read =
		span_next(&rest, ' ', &field) && span_next(&rest, ' ', &field) && span_to_u64(field, UINT32_MAX, &n_pages);
	return is_read ? n_pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* Linux says how many there are since 6.2; before that, they have to be counted. */
static uint64_t n_open_fds(void)
{
	struct stat folder;
	uint64_t n = 0;
	if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
		return (uint64_t)folder.st_size;
	DIR *entries = opendir("/proc/self/fd");
	while (entries && readdir(entries))
		n++;
	if (entries)
		(void)closedir(entries);
	return n > 3 ? n - 3 : 0; /* "." and "..", and the folder's own */
}

static uint64_t max_fds(void)
{
	struct rlimit limit = { 0 };
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

static uint64_t disk_free_bytes(const char *path)
{
	struct statvfs status = { 0 };
	(void)statvfs(path, &status);
	return (uint64_t)status.f_bavail * status.f_frsize;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void collect_reactors(const struct scrape *scrape, uint64_t values[static N_METRICS])
{
	for (size_t i = 0; i < scrape->gateway->n_reactors; i++) {
		const struct report *report = &scrape->reports[i];
		values[METRIC_PENDING] += report->n_pending;
		values[METRIC_DELIVERED] += report->n_delivered;
		values[METRIC_DELIVERED_BYTES] += report->n_delivered_bytes;
		values[METRIC_RING] = larger(values[METRIC_RING], report->n_ring_bytes);
		values[METRIC_LAG] = larger(values[METRIC_LAG], report->lag);
	}
}

static void collect(const struct scrape *scrape, uint64_t values[static N_METRICS])
{
	const struct store_status *store = &scrape->store;
	values[METRIC_CONNECTIONS] = limits_count(scrape->gateway->limits);
	values[METRIC_JOURNAL_WRITABLE] = store->last_error == 0;
	values[METRIC_JOURNAL_HEAD] = store->head;
	values[METRIC_JOURNAL_OLDEST] = store->oldest;
	values[METRIC_JOURNAL_BYTES] = store->n_bytes;
	values[METRIC_JOURNAL_FREE] = store->n_free_bytes;
	values[METRIC_JOURNAL_DISK_FREE] = disk_free_bytes(scrape->config->journal.path);
	values[METRIC_JOURNAL_EVENTS] = store->n_appended;
	values[METRIC_JOURNAL_DAMAGED] = store->n_damaged;
	values[METRIC_JOURNAL_HELD] = store->is_held;
	values[METRIC_DELIVERIES_DAMAGED] = store->n_damaged_deliveries;
	values[METRIC_QUEUE] = store->n_queued;
	values[METRIC_QUEUE_BYTES] = store->queue_bytes;
	values[METRIC_MEMORY] = resident_bytes();
	values[METRIC_OPEN_FDS] = n_open_fds();
	values[METRIC_MAX_FDS] = max_fds();
	collect_reactors(scrape, values);
}

/* Whatever is not here is one number. */
static void (*const adders[N_METRICS])(struct scrape *scrape, enum metric metric) = {
	[METRIC_BUILD] = add_build,
	[METRIC_CALLBACKS] = add_callbacks,
	[METRIC_CALLBACK_BYTES] = add_callback_bytes,
	[METRIC_CALLBACKS_LATE] = add_counters,
	[METRIC_DURABLE] = add_durable,
	[METRIC_ANSWERS] = add_answers,
	[METRIC_REQUESTS_BAD] = add_counters,
	[METRIC_ACCEPTED] = add_counters,
	[METRIC_REFUSED] = add_refused,
	[METRIC_HANDSHAKES] = add_counters,
	[METRIC_CERTIFICATE] = add_certificate,
	[METRIC_RECEIVED] = add_counters,
	[METRIC_CAME] = add_counters,
	[METRIC_UNAUTHORIZED] = add_counters,
	[METRIC_STALLED] = add_counters,
	[METRIC_ADMIN_REFUSED] = add_counters,
	[METRIC_SUBSCRIBERS] = add_subscribers,
	[METRIC_WRITTEN] = add_written,
	[METRIC_HEAD] = add_heads,
	[METRIC_JOURNAL_COMMITS] = add_commits,
	[METRIC_DELIVERIES] = add_deliveries,
	[METRIC_OWED] = add_handlers,
	[METRIC_CLAIMED] = add_handlers,
	[METRIC_CRASHES] = add_handlers,
	[METRIC_PROCESSES] = add_handlers,
	[METRIC_PAUSED] = add_handlers,
	[METRIC_FAILING] = add_handlers,
	[METRIC_CPU] = add_cpu,
	[METRIC_START] = add_start,
};

/* A metric of handlers, and there are none. */
static bool has_no_samples(const struct config *config, enum metric metric)
{
	return config->n_handlers == 0 && (adders[metric] == add_deliveries || adders[metric] == add_handlers);
}

static void add_all(struct buffer *text, struct gateway *gateway, const struct config *config,
					const struct report *reports)
{
	struct scrape scrape = { .text = text, .gateway = gateway, .config = config, .reports = reports };
	uint64_t values[N_METRICS] = { 0 };
	store_get_status(gateway->store, &scrape.store);
	collect(&scrape, values);
	for (enum metric metric = 0; metric < N_METRICS; metric++) {
		if (has_no_samples(config, metric))
			continue;
		buffer_add_printf(text, "# HELP %s %s\n# TYPE %s %s\n", metrics[metric].name, metrics[metric].help,
						  metrics[metric].name, metrics[metric].type);
		if (adders[metric])
			adders[metric](&scrape, metric);
		else
			add_sample(text, metric, "", values[metric]);
	}
}

static void conclude(struct survey *survey)
{
	struct exchange *exchange = &survey->exchange;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	add_all(&text, exchange->reactor->gateway, exchange_config(exchange), survey->reports);
	connection_answer(exchange->connection,
					  &(struct answer){ .status = text.failed ? 503 : 200,
										.content_type = "text/plain; version=0.0.4; charset=utf-8",
										.body = buffer_span(&text) });
}

static void finish(struct exchange *exchange, struct span body)
{
	(void)body;
	survey_start(exchange, survey_report, conclude);
}

const struct endpoint metrics_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct survey),
	.finish = finish,
	.expire = survey_expire,
	.release = survey_release,
};
