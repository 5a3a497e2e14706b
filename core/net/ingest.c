/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ingest.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/routes.h"
#include "net/series.h"
#include "wire/callback.h"
#include "wire/trace.h"

#include <errno.h>

/* The provider waits 5 s and sends again by a schedule of its own; this is for others and for people. */
#define RETRY_AFTER "Retry-After: 5\r\n"

struct callback {
	struct exchange exchange; /* first */
	struct buffer signature;  /* the header's list */
	struct buffer query;
	struct buffer odd_type; /* the Content-Type, if it is not the provider's */
	char traceparent[TRACE_PARENT_BYTES];
	bool has_signature, has_traceparent;
	bool tells; /* whoever sent it is an administrator, and is told what became of it */
	struct append append;
	struct owed *owed;
	enum callback_result result; /* UNDECIDED until it has been counted and logged */
	size_t n_bytes;
	uint64_t received_ns; /* when the last byte of the body was in, monotonic */
};

static struct callback *callback_of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct callback, exchange);
}

/* --- what became of it ----------------------------------------------------------------------------------------------
 */

#define MAX_INTERACTIONS_BYTES 260 /* the log cuts at 256 */

/* "conferencing_failing/profile_missing,change", as much as the log will take. */
struct interactions_text {
	char bytes[MAX_INTERACTIONS_BYTES];
	size_t n;
};

static void add_text(struct interactions_text *text, struct span s)
{
	size_t n = s.n < sizeof text->bytes - text->n ? s.n : sizeof text->bytes - text->n;
	memcpy(text->bytes + text->n, s.data, n);
	text->n += n;
}

static struct span describe_interactions(const struct event *event, struct interactions_text *ret_text)
{
	ret_text->n = 0;
	for (size_t i = 0; i < event->n_interactions && ret_text->n < sizeof ret_text->bytes; i++) {
		if (i)
			add_text(ret_text, SPAN(","));
		add_text(ret_text, event->interactions[i].type);
		if (event->interactions[i].subtype.n) {
			add_text(ret_text, SPAN("/"));
			add_text(ret_text, event->interactions[i].subtype);
		}
	}
	return span_of(ret_text->bytes, ret_text->n);
}

static struct span describe_position(const struct gateway *gateway, uint64_t sequence,
									 char ret_text[static POSITION_TEXT_SIZE])
{
	struct position position = { .sequence = sequence };
	const char *epoch = store_epoch(gateway->store);
	memcpy(position.epoch, epoch, strnlen(epoch, POSITION_MAX_EPOCH));
	return span_of(ret_text, position_format(&position, ret_text));
}

static struct span describe_peer(const struct exchange *exchange)
{
	return exchange->connection ? connection_peer(exchange->connection) : SPAN("gone");
}

static struct log_field field_unless_empty(const char *key, struct span value)
{
	return value.n ? LOG_SPAN(key, value) : LOG_NOTHING;
}

/* The one line of a callback that is kept: whose it is and when, never what it says. */
static void log_kept(const struct callback *callback, const char *outcome, const char *reason, uint64_t sequence,
					 uint64_t durable_ns)
{
	const struct exchange *exchange = &callback->exchange;
	const struct event *event = callback->append.event;
	enum log_level level = event->kind == EVENT_MALFORMED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
	struct interactions_text interactions;
	char position[POSITION_TEXT_SIZE];
	if (!log_has_level(level))
		return;
	LOG_WRITE_(level, NULL, "callback", LOG_TEXT("outcome", outcome), field_unless_empty("reason", span_text(reason)),
			   LOG_TEXT("source", exchange->source->config->name),
			   LOG_SPAN("position", describe_position(exchange->reactor->gateway, sequence, position)),
			   field_unless_empty("interactions", describe_interactions(event, &interactions)),
			   field_unless_empty("event_id", event->event_id), LOG_NUMBER("bytes", event->body.n),
			   LOG_NUMBER("durable_us", (durable_ns - callback->received_ns) / NS_PER_US),
			   LOG_SPAN("peer", describe_peer(exchange)));
}

/* Others are as many as a stranger likes. Each reason has a limit of its own: whoever sends no signature at all, again
 * and again, must not hush up the provider's that does not match. */
static void log_others(const struct callback *callback, enum callback_result result, int error)
{
	static struct log_limit limits[N_CALLBACK_RESULTS];
	const struct exchange *exchange = &callback->exchange;
	log_warning_limited_by(&limits[result], "callback", LOG_TEXT("outcome", callback_outcome_name(result)),
						   LOG_TEXT("reason", callback_reason(result)),
						   LOG_TEXT("source", exchange->source->config->name), LOG_NUMBER("bytes", callback->n_bytes),
						   error ? LOG_ERRNO(error) : LOG_NOTHING, LOG_SPAN("peer", describe_peer(exchange)));
}

static void decide(struct callback *callback, enum callback_result result, int error)
{
	callback->result = result;
	callback->exchange.source->tally->counters.n[result]++;
	series_count_callback(callback->exchange.reactor, result);
	log_others(callback, result, error);
}

static void refuse_unavailable(struct exchange *exchange, enum callback_result result, int error, const char *message)
{
	decide(callback_of(exchange), result, error);
	connection_refuse(exchange->connection, 503, "unavailable", message, RETRY_AFTER);
}

/* One answer for every reason: why a signature failed is for the log, not for whoever tries. */
static void refuse_unverified(struct exchange *exchange, enum callback_result result)
{
	decide(callback_of(exchange), result, 0);
	connection_refuse(exchange->connection, 401, "unauthorized", "the signature does not match", NULL);
}

/* --- its way ----------------------------------------------------------------------------------------------------- */

/* The signature decides what is authentic. Another type may be a proxy's doing, or news of the provider: it is told,
 * and the body is read as what it is. */
static void note_type(struct callback *callback, struct span type)
{
	static const struct span usual[] = { SPAN("application/json; charset=utf-8"), SPAN("application/json") };
	for (size_t i = 0; i < ARRAY_LENGTH(usual); i++)
		if (span_equal_ignoring_case(type, usual[i]))
			return;
	buffer_add(&callback->odd_type, type.n ? type : SPAN("none"));
}

static void tell_type(const struct callback *callback)
{
	if (callback->odd_type.n)
		log_info_limited("callback of another type is taken as JSON",
						 LOG_SPAN("content_type", buffer_span(&callback->odd_type)),
						 LOG_TEXT("source", callback->exchange.source->config->name));
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct callback *callback = callback_of(exchange);
	callback->result = CALLBACK_UNDECIDED;
	if (request->body == HTTP_BODY_NONE) {
		decide(callback, CALLBACK_LENGTH_REQUIRED, 0);
		exchange->keep_alive = false; /* there may be a body all the same */
		connection_refuse(exchange->connection, 411, "length_required", "a callback has a Content-Length or is chunked",
						  NULL);
		return;
	}
	/* never inflated: the signature is over the bytes as they came */
	if (http_field(request, "content-encoding").data) {
		decide(callback, CALLBACK_ENCODED, 0);
		connection_refuse(exchange->connection, 415, "unsupported", "a callback has no Content-Encoding", NULL);
		return;
	}
	struct buffer joined = BUFFER_INIT;
	struct span signature = http_field_list(request, exchange->source->scheme->header, &joined);
	callback->has_signature = signature.data;
	if (joined.n || joined.failed)
		callback->signature = joined;
	else
		buffer_add(&callback->signature, signature);
	buffer_add(&callback->query, request->query);
	note_type(callback, http_field(request, "content-type"));
	callback->has_traceparent = http_field_count(request, "traceparent") == 1 &&
								trace_read(http_field(request, "traceparent"), callback->traceparent);
	exchange->max_body = exchange->source->config->max_body_bytes;
	if (callback->signature.failed || callback->query.failed)
		refuse_unavailable(exchange, CALLBACK_NO_MEMORY, ENOMEM, "out of memory");
}

/* Raw to verified. True if it is; else it has been answered. */
static bool verify(struct exchange *exchange, struct span body)
{
	static const enum callback_result results[] = {
		[SIGNATURE_E_MISSING] = CALLBACK_SIGNATURE_MISSING,
		[SIGNATURE_E_TOO_MANY] = CALLBACK_SIGNATURE_TOO_MANY,
		[SIGNATURE_E_MISMATCH] = CALLBACK_SIGNATURE_MISMATCH,
	};
	struct callback *callback = callback_of(exchange);
	struct span header = callback->has_signature
							 ? span_of(callback->signature.data ? callback->signature.data : "", callback->signature.n)
							 : span_of(NULL, 0);
	int r = verifier_check(exchange->source->verifier, header, body, NULL);
	if (r == SIGNATURE_VALID) {
		tell_type(callback);
		return true;
	}
	if (r < 0)
		refuse_unavailable(exchange, CALLBACK_NO_MEMORY, r, "signatures cannot be checked now");
	else
		refuse_unverified(exchange, results[r]);
	return false;
}

static bool read_tags(struct exchange *exchange, struct tag_list *ret_tags)
{
	static const enum callback_result results[] = {
		[TAGS_E_MALFORMED] = CALLBACK_TAGS_MALFORMED,
		[TAGS_E_UNSIGNED] = CALLBACK_TAGS_UNSIGNED,
		[TAGS_E_SIGNATURE] = CALLBACK_TAGS_SIGNATURE,
	};
	int r = tag_checker_read(exchange->source->tags, buffer_span(&callback_of(exchange)->query), ret_tags);
	if (r == TAGS_OK)
		return true;
	if (r < 0)
		refuse_unavailable(exchange, CALLBACK_NO_MEMORY, r, "out of memory");
	else
		refuse_unverified(exchange, results[r]);
	return false;
}

/* Verified to event. */
static bool parse(struct exchange *exchange, struct span body, const struct tag_list *tags)
{
	struct callback *callback = callback_of(exchange);
	struct callback_origin origin = {
		.source = span_text(exchange->source->config->name),
		.received_ms = clock_wall_ms(),
		.tags = tags->tags,
		.n_tags = tags->n,
		.traceparent = span_of(callback->traceparent, callback->has_traceparent ? TRACE_PARENT_BYTES : 0),
	};
	int r = callback_to_event(&origin, body, &callback->append.event);
	if (r < 0)
		refuse_unavailable(exchange, CALLBACK_NO_MEMORY, r, "out of memory");
	else
		callback->append.event->received_ns = callback->received_ns;
	return r == 0;
}

static size_t count_routes(const struct routes *routes, const struct event *event)
{
	struct route_walk walk;
	struct route route;
	size_t n = 0;
	routes_begin(&walk, routes, event);
	while (routes_next(&walk, &route))
		n++;
	return n;
}

/* Which handlers get it. Made here, on the reactor: the writer has enough to do. */
static bool find_owed(struct exchange *exchange)
{
	struct callback *callback = callback_of(exchange);
	struct append *append = &callback->append;
	const struct config *config = exchange_config(exchange);
	struct route_walk walk;
	struct route route;
	size_t n = config->n_interactions ? count_routes(config->routes, append->event) : 0;
	if (n == 0)
		return true;
	callback->owed = calloc(n, sizeof *callback->owed);
	if (!callback->owed) {
		refuse_unavailable(exchange, CALLBACK_NO_MEMORY, ENOMEM, "out of memory");
		return false;
	}
	routes_begin(&walk, config->routes, append->event);
	while (append->n_owed < n && routes_next(&walk, &route))
		callback->owed[append->n_owed++] = (struct owed){ .interaction = (uint32_t)route.interaction,
														  .handler = span_text(config->handlers[route.handler].name) };
	append->owed = callback->owed;
	return true;
}

/* Event to journal. The answer waits for the commit, but not longer than the provider does. */
static void append(struct exchange *exchange)
{
	struct callback *callback = callback_of(exchange);
	struct gateway *gateway = exchange->reactor->gateway;
	callback->append.duplicate_window_ms = exchange->source->config->duplicate_window_ms;
	callback->append.owner = exchange;
	exchange->is_held = true;
	int r = store_append(gateway->store, &callback->append);
	if (r < 0) {
		exchange->is_held = false;
		refuse_unavailable(exchange, r == -ESHUTDOWN ? CALLBACK_STOPPING : CALLBACK_QUEUE_FULL, r,
						   "the journal takes no more now");
		return;
	}
	exchange->reactor->has_appended = true;
	connection_set_deadline(exchange->connection, exchange_config(exchange)->limits.answer_timeout_ms);
}

static void finish(struct exchange *exchange, struct span body)
{
	CLEANUP(tag_list_finish) struct tag_list tags = { .n = 0 };
	callback_of(exchange)->n_bytes = body.n;
	callback_of(exchange)->received_ns = clock_monotonic_ns();
	if (verify(exchange, body) && read_tags(exchange, &tags) && parse(exchange, body, &tags) && find_owed(exchange))
		append(exchange);
}

/* It may become durable yet: then the provider sends a duplicate, and nothing is lost. */
static void expire(struct exchange *exchange)
{
	refuse_unavailable(exchange, CALLBACK_TOO_SLOW, 0, "the journal is too slow now");
}

static void refused(struct exchange *exchange, int status)
{
	static const struct {
		int status;
		enum callback_result result;
	} results[] = { { 400, CALLBACK_BODY_BAD }, { 408, CALLBACK_BODY_TIMEOUT }, { 413, CALLBACK_TOO_LARGE } };
	enum callback_result result = CALLBACK_NO_MEMORY;
	for (size_t i = 0; i < ARRAY_LENGTH(results); i++)
		if (results[i].status == status)
			result = results[i].result;
	callback_of(exchange)->n_bytes = exchange->body.n;
	decide(callback_of(exchange), result, 0);
}

static void release(struct exchange *exchange)
{
	struct callback *callback = callback_of(exchange);
	if (callback->result == CALLBACK_UNDECIDED)
		decide(callback, CALLBACK_ABANDONED, 0);
	event_unref(callback->append.event);
	free(callback->owed);
	buffer_finish(&callback->signature);
	buffer_finish(&callback->query);
	buffer_finish(&callback->odd_type);
}

const struct endpoint ingest_endpoint = {
	.methods = "POST",
	.exchange_size = sizeof(struct callback),
	.begin = begin,
	.finish = finish,
	.expire = expire,
	.refused = refused,
	.release = release,
};

static enum callback_result result_of_malformed(struct span reason)
{
	enum callback_result result = CALLBACK_EMPTY;
	while (result < CALLBACK_NULL_IN_KEY && !span_equal(reason, span_text(callback_reason(result))))
		result++;
	return result;
}

static enum callback_result result_of(const struct ingest_result *result)
{
	if (result->status == COMMIT_DUPLICATE)
		return CALLBACK_DUPLICATE;
	const struct event *event = result->append->event;
	return event->kind == EVENT_MALFORMED ? result_of_malformed(event->malformed) : CALLBACK_STORED;
}

/* It is durable. One that has been answered 503 meanwhile was counted as that. */
static void count_kept(struct reactor *reactor, struct callback *callback, const struct ingest_result *result,
					   uint64_t durable_ns)
{
	bool is_late = callback->result != CALLBACK_UNDECIDED;
	enum callback_result kept = result_of(result);
	histogram_add(&reactor->counters.durable, durable_ns - callback->received_ns);
	series_count_durable(reactor, durable_ns - callback->received_ns);
	if (is_late) {
		reactor->counters.callbacks_late++;
	} else {
		callback->result = kept;
		callback->exchange.source->tally->counters.n[kept]++;
		series_count_callback(reactor, kept);
	}
	if (result->status == COMMIT_STORED)
		callback->exchange.source->tally->counters.n_bytes += callback->n_bytes;
	log_kept(callback, is_late ? "late" : callback_outcome_name(kept), callback_reason(kept), result->sequence,
			 durable_ns);
}

static void tell(struct callback *callback, const struct ingest_result *result)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	char position[POSITION_TEXT_SIZE];
	buffer_add_text(&json, "{\"outcome\":");
	buffer_add_json(&json, span_text(callback_outcome_name(result_of(result))));
	buffer_add_json_member(&json, "position",
						   describe_position(callback->exchange.reactor->gateway, result->sequence, position));
	buffer_add_text(&json, "}\n");
	exchange_answer_json(&callback->exchange, &json, 0, "out of memory");
}

void ingest_settle(struct reactor *reactor, const struct ingest_result *result, uint64_t durable_ns)
{
	struct exchange *exchange = result->append->owner;
	struct callback *callback = callback_of(exchange);
	exchange->is_held = false;
	if (result->status != COMMIT_FAILED)
		count_kept(reactor, callback, result, durable_ns);
	else if (callback->result == CALLBACK_UNDECIDED)
		decide(callback, CALLBACK_NOT_WRITTEN, result->error);
	if (!exchange->connection)
		exchange_free(exchange); /* the peer is gone or has been answered 503 */
	else if (result->status == COMMIT_FAILED)
		connection_refuse(exchange->connection, 503, "unavailable", "the journal cannot be written now", RETRY_AFTER);
	else if (callback->tells)
		tell(callback, result);
	else
		connection_answer(exchange->connection, &(struct answer){ .status = 200 });
}

void ingest_take(struct connection *connection, struct source *source, struct span head, struct span body)
{
	struct http_request request;
	struct http_problem problem;
	struct exchange *exchange = NULL;
	if (http_parse(head, &request, &problem) == HTTP_OK)
		exchange = connection_redirect(connection, &ingest_endpoint, source);
	if (!exchange) {
		connection_refuse(connection, 503, "unavailable", "out of memory", RETRY_AFTER);
		return;
	}
	callback_of(exchange)->tells = true;
	begin(exchange, &request);
	if (connection->exchange != exchange)
		return;
	if (body.n <= exchange->max_body) {
		finish(exchange, body);
	} else {
		refused(exchange, 413);
		connection_refuse(connection, 413, "too_large", "the body is larger than max_body", NULL);
	}
}
