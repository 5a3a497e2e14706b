/* SPDX-License-Identifier: Apache-2.0 */
#include "net/kept.h"

#include "net/deliveries.h"
#include "net/operator.h"
#include "net/session.h"

#include <errno.h>

#define MAX_BYTES (1u << 20)
#define MAX_DELIVERIES 1000
/* Of events that the index does not know: subscribers wait meanwhile, and "before" goes on. */
#define MAX_ROWS 16384

struct kept {
	struct exchange exchange; /* first */
	struct message *message;
	struct filter *filters; /* the message's, which owns what is in them */
	uint64_t before, position, limit;
	int kinds;
	struct store_read read;
	struct store_deliveries question;
	struct note note;
	int error;
	struct buffer json; /* the answer, made on the reader's thread */
};

static struct kept *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct kept, exchange);
}

/* --- on the reader's thread --------------------------------------------------------------------------------------- */

static void finish_json(struct kept *kept, int error)
{
	buffer_add_text(&kept->json, "}\n");
	kept->error = error;
	reactor_post(kept->exchange.reactor, &kept->note);
}

/* A body that is no JSON stands there as text, as far as it is any. */
static void add_body(struct buffer *json, const struct event *event)
{
	buffer_add_printf(json, ",\"bytes\":%zu", event->body.n);
	if (event->kind == EVENT_MALFORMED) {
		buffer_add_json_member(json, "malformed", event->malformed);
		buffer_add_json_member(json, "text", event->body);
		return;
	}
	buffer_add_text(json, event->kind == EVENT_CALLBACK ? ",\"callback\":" : ",\"body\":");
	buffer_add(json, event->body);
}

static void add_event(struct buffer *json, const char *epoch, const struct event *event, uint64_t sequence)
{
	buffer_add_char(json, '{');
	position_add_json(json, "position", epoch, sequence);
	buffer_add_json_member(json, "kind", span_text(event_kinds[event->kind]));
	operator_add_time(json, "received_at", event->received_ms);
	buffer_add_json_member(json, "source", event->source);
	if (event->event_id.n)
		buffer_add_json_member(json, "event_id", event->event_id);
	buffer_add_text(json, ",\"interactions\":");
	event_add_interactions(json, event);
	buffer_add_text(json, ",\"tags\":");
	event_add_tags(json, event);
	if (event->traceparent.n)
		buffer_add_json_member(json, "traceparent", event->traceparent);
	add_body(json, event);
	buffer_add_char(json, '}');
}

static void on_deliveries(struct store_deliveries *question, const struct delivery_row *rows, size_t n, int error)
{
	struct kept *kept = CONTAINER_OF(question, struct kept, question);
	const char *epoch = store_epoch(kept->exchange.reactor->gateway->store);
	buffer_add_text(&kept->json, ",\"deliveries\":[");
	for (size_t i = 0; i < n; i++) {
		buffer_add_text(&kept->json, i ? ",\n" : "");
		deliveries_add_row(&kept->json, epoch, &rows[i]);
	}
	buffer_add_char(&kept->json, ']');
	finish_json(kept, error);
}

static void ask_for_deliveries(struct kept *kept)
{
	kept->question = (struct store_deliveries){
		.only = kept->position, .max = MAX_DELIVERIES, .wants_all_attempts = true, .on_page = on_deliveries
	};
	int r = store_ask_deliveries(kept->exchange.reactor->gateway->store, &kept->question);
	if (r < 0)
		finish_json(kept, r);
}

static void on_page(struct store_read *read, const struct store_page *page)
{
	struct kept *kept = CONTAINER_OF(read, struct kept, read);
	struct buffer *json = &kept->json;
	const char *epoch = store_epoch(kept->exchange.reactor->gateway->store);
	buffer_add_text(json, "{\"events\":[");
	for (size_t i = page->n; i > 0; i--) {
		buffer_add_text(json, i < page->n ? ",\n" : "");
		add_event(json, epoch, page->events[i - 1], page->sequences[i - 1]);
	}
	buffer_add_char(json, ']');
	if (page->n_damaged)
		operator_add_number(json, "damaged", page->n_damaged);
	if (!kept->position && page->reached > page->oldest) {
		buffer_add_char(json, ',');
		position_add_json(json, "before", epoch, page->reached);
	}
	if (kept->position && !page->error)
		ask_for_deliveries(kept);
	else
		finish_json(kept, page->error);
}

/* --- on the reactor's --------------------------------------------------------------------------------------------- */

static void on_answer(struct reactor *reactor, struct note *note)
{
	struct kept *kept = CONTAINER_OF(note, struct kept, note);
	(void)reactor;
	exchange_answer_json(&kept->exchange, &kept->json, kept->error, "the journal cannot be read now");
}

static bool read_kinds(struct span list, int *ret_kinds)
{
	struct span word;
	size_t kind;
	while (span_next(&list, ',', &word)) {
		if (!operator_read_word(event_kinds, ARRAY_LENGTH(event_kinds), word, &kind))
			return false;
		*ret_kinds |= 1 << kind;
	}
	return true;
}

/* The filter is read elsewhere. */
static const char *read_pair(struct exchange *exchange, struct span name, struct span value)
{
	const struct gateway *gateway = exchange->reactor->gateway;
	struct kept *kept = of(exchange);
	if (span_equal(name, SPAN("before")))
		return operator_read_position(gateway, value, &kept->before) ? NULL : "\"before\" is none of this journal";
	if (span_equal(name, SPAN("position")))
		return operator_read_position(gateway, value, &kept->position) ? NULL : "\"position\" is none of this journal";
	if (span_equal(name, SPAN("limit")))
		return operator_read_limit(value, &kept->limit) ? NULL : "\"limit\" is a number from 1 to 1000";
	if (span_equal(name, SPAN("kind")))
		return read_kinds(value, &kept->kinds) ? NULL : "\"kind\" is callback, malformed, notice or outcome";
	return NULL;
}

static bool is_everything(const struct message *message)
{
	const struct filter *filter = &message->filters[0].filter;
	bool is_so = message->n_filters == 1 && filter->n_tags == 0;
	for (size_t i = 0; i < FILTER_KEYS; i++)
		is_so = is_so && filter->lists[i].n == 0;
	return is_so;
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct kept *kept = of(exchange);
	kept->limit = OPERATOR_DEFAULT_LIMIT;
	if (!operator_read_query(exchange, request->query, read_pair) ||
		!session_read_url(exchange, request, "before position limit kind", &kept->message))
		return;
	if (kept->message->start != MESSAGE_START_NONE)
		operator_refuse(exchange, "here it is \"before\" that says where to begin, with the newest first");
}

/* What a filter asks for the index can find, unless it is one of the others that is wanted. */
static int kinds_wanted(const struct kept *kept)
{
	if (kept->kinds)
		return kept->kinds;
	return is_everything(kept->message) ? (1 << ARRAY_LENGTH(event_kinds)) - 1 : STORE_PUSHED_KINDS;
}

static void finish(struct exchange *exchange, struct span body)
{
	struct kept *kept = of(exchange);
	(void)body;
	for (size_t i = 0; i < kept->message->n_filters; i++)
		kept->message->filters[i].filter.has_outcomes = true;
	kept->filters = session_list_filters(kept->message);
	if (!kept->filters) {
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
		return;
	}
	kept->note.run = on_answer;
	kept->read = (struct store_read){
		.direction = STORE_NEWEST,
		.after = kept->position ? kept->position - 1 : 0,
		.until = kept->position ? kept->position
				 : kept->before ? kept->before - 1
								: INT64_MAX,
		.filters = kept->filters,
		.n_filters = kept->message->n_filters,
		.kinds = kinds_wanted(kept),
		.max_rows = MAX_ROWS,
		.max_events = kept->position ? 1 : (size_t)kept->limit,
		.max_bytes = MAX_BYTES,
		.on_page = on_page,
	};
	operator_hold(exchange);
	if (store_read(exchange->reactor->gateway->store, &kept->read) < 0)
		operator_refuse_closing(exchange);
}

static void release(struct exchange *exchange)
{
	struct kept *kept = of(exchange);
	free(kept->filters);
	session_free_url(kept->message);
	buffer_finish(&kept->json);
}

const struct endpoint kept_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct kept),
	.begin = begin,
	.finish = finish,
	.release = release,
};
