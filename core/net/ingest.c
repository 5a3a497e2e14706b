/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ingest.h"

#include "base/clock.h"
#include "base/log.h"
#include "wire/callback.h"

#include <errno.h>

/* The provider waits 5 s and sends again by a schedule of its own; this is for others and for people. */
#define RETRY_AFTER "Retry-After: 5\r\n"

struct callback {
	struct exchange exchange; /* first */
	struct buffer signature;  /* the header's list */
	struct buffer query;
	struct buffer odd_type; /* the Content-Type, if it is not the provider's */
	bool has_signature;
	struct append append;
};

static struct callback *callback_of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct callback, exchange);
}

static void refuse_unavailable(struct exchange *exchange, const char *message)
{
	counter_add(&exchange->reactor->gateway->counters.callbacks_unavailable, 1);
	connection_refuse(exchange->connection, 503, "unavailable", message, RETRY_AFTER);
}

/* One answer for every reason: why a signature failed is for the log, not for whoever tries. There, each reason has its
 * limit: whoever sends no signature at all, again and again, must not hush up the provider's that does not match. */
static void refuse_unverified(struct exchange *exchange, struct log_limit *limit, const char *what, const char *reason)
{
	char peer[CONNECTION_PEER_SIZE];
	log_warning_limited_by(limit, "callback refused", LOG_TEXT("what", what), LOG_TEXT("reason", reason),
						   LOG_TEXT("source", exchange->source->config->name),
						   LOG_SPAN("peer", connection_peer(exchange->connection, peer)));
	connection_refuse(exchange->connection, 401, "unauthorized", "the signature does not match", NULL);
}

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
	if (request->body == HTTP_BODY_NONE) {
		exchange->keep_alive = false; /* there may be a body all the same */
		connection_refuse(exchange->connection, 411, "length_required", "a callback has a Content-Length or is chunked",
						  NULL);
		return;
	}
	/* never inflated: the signature is over the bytes as they came */
	if (http_field(request, "content-encoding").data) {
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
	exchange->max_body = exchange->source->config->max_body_bytes;
	if (callback->signature.failed || callback->query.failed)
		refuse_unavailable(exchange, "out of memory");
}

/* Raw to verified. True if it is; else it has been answered. */
static bool verify(struct exchange *exchange, struct span body)
{
	static struct log_limit limits[SIGNATURE_E_MISMATCH + 1];
	struct callback *callback = callback_of(exchange);
	struct span header = callback->has_signature
							 ? span_of(callback->signature.data ? callback->signature.data : "", callback->signature.n)
							 : span_of(NULL, 0);
	int r = verifier_check(exchange->source->verifier, header, body, NULL);
	if (r == SIGNATURE_VALID) {
		tell_type(callback);
		return true;
	}
	if (r < 0) {
		log_error_limited("cannot compute signatures", LOG_ERRNO(r));
		refuse_unavailable(exchange, "signatures cannot be checked now");
	} else {
		counter_add(&exchange->reactor->gateway->counters.callbacks_refused_signature, 1);
		refuse_unverified(exchange, &limits[r], "signature", signature_outcome_name((enum signature_outcome)r));
	}
	return false;
}

static bool read_tags(struct exchange *exchange, struct tag_list *ret_tags)
{
	static struct log_limit limits[TAGS_E_SIGNATURE + 1];
	int r = tag_checker_read(exchange->source->tags, buffer_span(&callback_of(exchange)->query), ret_tags);
	if (r == TAGS_OK)
		return true;
	if (r < 0) {
		refuse_unavailable(exchange, "out of memory");
	} else {
		counter_add(&exchange->reactor->gateway->counters.callbacks_refused_tags, 1);
		refuse_unverified(exchange, &limits[r], "tags", tags_outcome_name((enum tags_outcome)r));
	}
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
	};
	if (callback_to_event(&origin, body, &callback->append.event) < 0) {
		refuse_unavailable(exchange, "out of memory");
		return false;
	}
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
		log_warning_limited("callbacks are answered 503: the journal takes no more", LOG_ERRNO(r));
		refuse_unavailable(exchange, "the journal takes no more now");
		return;
	}
	connection_set_deadline(exchange->connection, gateway->config->limits.answer_timeout_ms);
}

static void finish(struct exchange *exchange, struct span body)
{
	CLEANUP(tag_list_finish) struct tag_list tags = { .n = 0 };
	if (verify(exchange, body) && read_tags(exchange, &tags) && parse(exchange, body, &tags))
		append(exchange);
}

/* It may become durable yet: then the provider sends a duplicate, and nothing is lost. */
static void expire(struct exchange *exchange)
{
	log_warning_limited("callbacks are answered 503: the disk is too slow");
	refuse_unavailable(exchange, "the journal is too slow now");
}

static void release(struct exchange *exchange)
{
	struct callback *callback = callback_of(exchange);
	event_unref(callback->append.event);
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
	.release = release,
};

/* The provider will not send it again: somebody has to look at it. */
static void tell_malformed(const struct event *event)
{
	log_warning_limited("callback cannot be read: kept, and not pushed", LOG_SPAN("reason", event->malformed),
						LOG_SPAN("source", event->source), LOG_NUMBER("bytes", event->body.n));
}

static void count(struct counters *counters, const struct ingest_result *result)
{
	if (result->status == COMMIT_DUPLICATE) {
		counter_add(&counters->callbacks_duplicate, 1);
	} else if (result->append->event->kind == EVENT_MALFORMED) {
		counter_add(&counters->callbacks_malformed, 1);
		tell_malformed(result->append->event);
	} else {
		counter_add(&counters->callbacks_stored, 1);
	}
}

void ingest_settle(struct reactor *reactor, const struct ingest_result *result)
{
	struct exchange *exchange = result->append->owner;
	exchange->is_held = false;
	if (result->status != COMMIT_FAILED)
		count(&reactor->gateway->counters, result);
	if (!exchange->connection)
		exchange_free(exchange); /* the peer is gone or has been answered 503 */
	else if (result->status == COMMIT_FAILED)
		refuse_unavailable(exchange, "the journal cannot be written now");
	else
		connection_answer(exchange->connection, &(struct answer){ .status = 200 });
}
