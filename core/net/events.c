/* SPDX-License-Identifier: Apache-2.0 */
#include "net/events.h"

#include "net/access.h"
#include "net/session.h"

#include <errno.h>

#define DEFAULT_EVENTS 100
#define MAX_EVENTS 1000
#define MAX_BYTES (1u << 20)

/* The reader works on its own thread, so what it answers travels back as a note. */
struct events_exchange {
	struct exchange exchange; /* first */
	struct message *message;
	struct filter *filters; /* the message's, which owns what is in them */
	struct grant *grant;
	struct store_read read;
	bool is_recovered;
	struct note note;
	int error;
	struct buffer json; /* the answer, made on the reader's thread */
};

static struct events_exchange *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct events_exchange, exchange);
}

/* --- on the reader's thread --------------------------------------------------------------------------------------- */

/* What is lost of the range: purged since the reader was here, or damaged. */
static void add_gap(struct buffer *json, const char *epoch, const struct store_read *read,
					const struct store_page *page)
{
	bool is_purged = read->direction == STORE_FORWARD && read->after > 0 && page->oldest > read->after + 1;
	if (!is_purged && !page->n_damaged)
		return;
	buffer_add_text(json, ",\"gap\":{");
	position_add_json(json, "after", epoch, is_purged ? read->after : page->damaged_first - 1);
	buffer_add_char(json, ',');
	position_add_json(json, "resumed_at", epoch, page->n_damaged ? page->damaged_last + 1 : page->oldest);
	buffer_add_char(json, '}');
}

static void add_page(struct buffer *json, const char *epoch, const struct store_read *read,
					 const struct store_page *page)
{
	struct position position = { 0 };
	memcpy(position.epoch, epoch, strnlen(epoch, POSITION_MAX_EPOCH));
	buffer_add_text(json, "{\"events\":[");
	for (size_t i = 0; i < page->n; i++) {
		position.sequence = page->sequences[i];
		if (i)
			buffer_add_text(json, ",\n");
		event_add_message(json, page->events[i], &position);
	}
	buffer_add_text(json, "],");
	bool is_newest = read->direction == STORE_NEWEST;
	position_add_json(json, "position", epoch, is_newest ? read->until : page->scanned);
	buffer_add_text(json, !is_newest && page->scanned < read->until ? ",\"more\":true" : ",\"more\":false");
	add_gap(json, epoch, read, page);
}

static void on_page(struct store_read *read, const struct store_page *page)
{
	struct events_exchange *events = CONTAINER_OF(read, struct events_exchange, read);
	events->error = page->error;
	if (!page->error)
		add_page(&events->json, store_epoch(events->exchange.reactor->gateway->store), read, page);
	buffer_add_text(&events->json, events->is_recovered ? ",\"recovered\":true}\n" : ",\"recovered\":false}\n");
	reactor_post(events->exchange.reactor, &events->note);
}

/* --- on the reactor's --------------------------------------------------------------------------------------------- */

static void on_answer(struct reactor *reactor, struct note *note)
{
	struct events_exchange *events = CONTAINER_OF(note, struct events_exchange, note);
	(void)reactor;
	exchange_answer_json(&events->exchange, &events->json, events->error, "the journal cannot be read now");
}

static bool read_limit(struct span query, uint64_t *ret_limit)
{
	struct span name, value;
	*ret_limit = DEFAULT_EVENTS;
	while (http_query_next(&query, &name, &value))
		if (span_equal(name, SPAN("limit")) && (!span_to_u64(value, MAX_EVENTS, ret_limit) || *ret_limit == 0))
			return false;
	return true;
}

/* Where the page begins; without `after` at the oldest event. */
static void set_range(struct events_exchange *events, uint64_t limit)
{
	struct store *store = events->exchange.reactor->gateway->store;
	const struct message *message = events->message;
	bool is_last = message->start == MESSAGE_START_LAST;
	uint64_t head = store_head(store), after = 0;
	events->is_recovered = true;
	if (message->start == MESSAGE_START_LATEST)
		after = head;
	if (message->start == MESSAGE_START_AFTER) {
		events->is_recovered = strcmp(message->after.epoch, store_epoch(store)) == 0 && message->after.sequence <= head;
		after = events->is_recovered ? message->after.sequence : head;
	}
	events->read = (struct store_read){
		.direction = is_last ? STORE_NEWEST : STORE_FORWARD,
		.after = after,
		.until = head,
		.filters = events->filters,
		.n_filters = message->n_filters,
		.max_events = is_last ? (size_t)message->last : (size_t)limit,
		.max_bytes = MAX_BYTES,
		.on_page = on_page,
	};
}

static bool prepare(struct exchange *exchange, const struct http_request *request, struct events_exchange *events)
{
	struct grant *grant = access_require(exchange, request, events->message->ticket);
	if (!grant)
		return false; /* answered, and the exchange is gone */
	events->grant = grant;
	events->filters = session_list_filters(events->message);
	const char *why = session_find_forbidden(exchange_config(exchange), grant, events->message);
	if (why)
		connection_refuse(exchange->connection, 403, "forbidden", why, NULL);
	else if (!events->filters)
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
	else
		return true;
	return false;
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	struct events_exchange *events = of(exchange);
	uint64_t limit;
	if (!access_check_origin(exchange, request))
		return;
	if (!read_limit(request->query, &limit)) {
		connection_refuse(exchange->connection, 400, "malformed", "\"limit\" is a number from 1 to 1000", NULL);
		return;
	}
	if (!session_read_url(exchange, request, "limit", &events->message))
		return;
	if (prepare(exchange, request, events))
		set_range(events, limit);
}

static void finish(struct exchange *exchange, struct span body)
{
	struct events_exchange *events = of(exchange);
	(void)body;
	events->note.run = on_answer;
	exchange->is_held = true;
	connection_set_deadline(exchange->connection, exchange_config(exchange)->limits.write_timeout_ms);
	int r = store_read(exchange->reactor->gateway->store, &events->read);
	if (r < 0) {
		exchange->is_held = false;
		connection_refuse(exchange->connection, 503, "unavailable", "the journal cannot be read now",
						  "Retry-After: 5\r\n");
	}
}

static void release(struct exchange *exchange)
{
	struct events_exchange *events = of(exchange);
	free(events->filters);
	session_free_url(events->message);
	grant_unref(events->grant);
	buffer_finish(&events->json);
}

const struct endpoint events_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct events_exchange),
	.begin = begin,
	.finish = finish,
	.release = release,
};
