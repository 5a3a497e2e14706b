/* SPDX-License-Identifier: Apache-2.0 */
#include "net/deliveries.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/operator.h"
#include "net/rights.h"
#include "store/deliveries.h"

#include <errno.h>

/* Owed again in one transaction. */
#define REPLAYS_A_STEP 256

/* What the query asks for. */
struct wish {
	struct buffer handler;
	int states;
	uint64_t position, before; /* 0: not said */
	uint64_t limit;
	bool is_dead;
};

struct deliveries_exchange {
	struct exchange exchange; /* first */
	struct wish wish;
	struct store_deliveries question;
	struct store_replay replay;
	struct note note;
	int error;
	struct buffer json;
	uint64_t n_replayed;
	int64_t now_ms; /* when the replay was asked for */
};

static struct deliveries_exchange *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct deliveries_exchange, exchange);
}

/* --- the query ---------------------------------------------------------------------------------------------------- */

static bool read_state(struct span word, int *states)
{
	size_t i;
	bool is_known = operator_read_word(delivery_states, ARRAY_LENGTH(delivery_states), word, &i);
	if (is_known)
		*states |= 1 << i;
	return is_known;
}

static bool read_handler(const struct config *config, struct span value, struct buffer *handler)
{
	buffer_add(handler, value);
	return config_handler_by_name(config, value);
}

static const char *read_pair(struct exchange *exchange, struct span name, struct span value)
{
	const struct gateway *gateway = exchange->reactor->gateway;
	struct wish *wish = &of(exchange)->wish;
	if (span_equal(name, SPAN("handler")))
		return read_handler(exchange_config(exchange), value, &wish->handler) ? NULL : "there is no such handler";
	if (span_equal(name, SPAN("state")))
		return read_state(value, &wish->states) ? NULL : "\"state\" is due, claimed, done or dead";
	if (span_equal(name, SPAN("position")))
		return operator_read_position(gateway, value, &wish->position) ? NULL : "\"position\" is none of this journal";
	if (span_equal(name, SPAN("before")))
		return operator_read_position(gateway, value, &wish->before) ? NULL : "\"before\" is none of this journal";
	if (span_equal(name, SPAN("limit")))
		return operator_read_limit(value, &wish->limit) ? NULL : "\"limit\" is a number from 1 to 1000";
	wish->is_dead = wish->is_dead || span_equal(name, SPAN("dead"));
	return span_equal(name, SPAN("dead")) ? NULL : OPERATOR_UNKNOWN_WORD;
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	of(exchange)->wish.limit = OPERATOR_DEFAULT_LIMIT;
	(void)operator_read_query(exchange, request->query, read_pair);
}

/* --- answering ---------------------------------------------------------------------------------------------------- */

static void on_answer(struct reactor *reactor, struct note *note)
{
	struct deliveries_exchange *deliveries = CONTAINER_OF(note, struct deliveries_exchange, note);
	(void)reactor;
	exchange_answer_json(&deliveries->exchange, &deliveries->json, deliveries->error, "the journal cannot be used now");
}

static void post(struct deliveries_exchange *deliveries, int error)
{
	deliveries->error = error;
	deliveries->note.run = on_answer;
	reactor_post(deliveries->exchange.reactor, &deliveries->note);
}

static void release(struct exchange *exchange)
{
	buffer_finish(&of(exchange)->wish.handler);
	buffer_finish(&of(exchange)->json);
}

/* --- the list ----------------------------------------------------------------------------------------------------- */

static void add_attempt(struct buffer *json, const struct attempt *attempt)
{
	buffer_add_printf(json, "{\"outcome\":\"%s\",\"duration_ms\":%lld", attempt_outcomes[attempt->outcome],
					  (long long)attempt->duration_ms);
	operator_add_time(json, "started_at", attempt->started_ms);
	buffer_add_json_member(json, "reason", attempt->reason);
	buffer_add_char(json, '}');
}

/* How the last one ended and, if all of them were asked for, each. */
static void add_attempts(struct buffer *json, const struct delivery_row *row)
{
	if (!row->n_attempts)
		return;
	buffer_add_text(json, ",\"last\":");
	add_attempt(json, &row->attempts[row->n_attempts - 1]);
	if (!row->has_all_attempts)
		return;
	for (size_t i = 0; i < row->n_attempts; i++) {
		buffer_add_text(json, i ? "," : ",\"all\":[");
		add_attempt(json, &row->attempts[i]);
	}
	buffer_add_char(json, ']');
}

static void add_event(struct buffer *json, const struct delivery_row *row)
{
	const struct event *event = row->event;
	buffer_add_json_member(json, "source", event->source);
	buffer_add_json_member(json, "event_id", event->event_id);
	if ((uint64_t)row->delivery.interaction >= event->n_interactions)
		return;
	buffer_add_json_member(json, "interaction", event->interactions[row->delivery.interaction].type);
	buffer_add_json_member(json, "subtype", event->interactions[row->delivery.interaction].subtype);
}

void deliveries_add_row(struct buffer *json, const char *epoch, const struct delivery_row *row)
{
	const struct delivery *delivery = &row->delivery;
	buffer_add_char(json, '{');
	position_add_json(json, "position", epoch, delivery->sequence);
	buffer_add_printf(json, ",\"index\":%lld", (long long)delivery->interaction);
	buffer_add_json_member(json, "handler", delivery->handler);
	buffer_add_json_member(json, "state",
						   row->is_damaged ? SPAN("damaged") : span_text(delivery_states[delivery->state]));
	buffer_add_printf(json, ",\"attempts\":%lld", (long long)delivery->n_attempts);
	operator_add_time(json, "owed_since", delivery->owed_ms);
	if (delivery->state == DELIVERY_DUE && delivery->due_ms != DELIVERY_BEHIND_MS)
		operator_add_time(json, "due_at", delivery->due_ms);
	if (row->event)
		add_event(json, row);
	add_attempts(json, row);
	buffer_add_char(json, '}');
}

static void on_page(struct store_deliveries *question, const struct delivery_row *rows, size_t n, int error)
{
	struct deliveries_exchange *deliveries = CONTAINER_OF(question, struct deliveries_exchange, question);
	struct buffer *json = &deliveries->json;
	const char *epoch = store_epoch(deliveries->exchange.reactor->gateway->store);
	buffer_add_text(json, "{\"deliveries\":[");
	for (size_t i = 0; i < n; i++) {
		buffer_add_text(json, i ? ",\n" : "");
		deliveries_add_row(json, epoch, &rows[i]);
	}
	buffer_add_char(json, ']');
	if (n >= question->max) {
		buffer_add_char(json, ',');
		position_add_json(json, "before", epoch, rows[n - 1].delivery.sequence);
	}
	buffer_add_text(json, "}\n");
	post(deliveries, error);
}

static void finish_list(struct exchange *exchange, struct span body)
{
	struct deliveries_exchange *deliveries = of(exchange);
	const struct wish *wish = &deliveries->wish;
	(void)body;
	operator_hold(exchange);
	deliveries->question = (struct store_deliveries){ .handler = buffer_span(&wish->handler),
													  .states = wish->states,
													  .before = wish->before ? wish->before : INT64_MAX,
													  .only = wish->position,
													  .wants_all_attempts = wish->position != 0,
													  .max = (size_t)wish->limit,
													  .on_page = on_page };
	if (store_ask_deliveries(exchange->reactor->gateway->store, &deliveries->question) < 0)
		operator_refuse_closing(exchange);
}

const struct endpoint deliveries_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct deliveries_exchange),
	.begin = begin,
	.finish = finish_list,
	.release = release,
};

/* --- replaying ---------------------------------------------------------------------------------------------------- */

static void on_replayed_note(struct reactor *reactor, struct note *note);

/* On the writer's thread, which must not be asked for more from here. */
static void on_replayed(struct store_work *work)
{
	struct deliveries_exchange *deliveries = CONTAINER_OF(work, struct deliveries_exchange, replay.work);
	deliveries->note.run = on_replayed_note;
	reactor_post(deliveries->exchange.reactor, &deliveries->note);
}

static int submit(struct deliveries_exchange *deliveries)
{
	struct store *store = deliveries->exchange.reactor->gateway->store;
	deliveries->replay = (struct store_replay){ .work = { .kind = WORK_REPLAY, .on_done = on_replayed },
												.sequence = deliveries->wish.position,
												.handler = buffer_span(&deliveries->wish.handler),
												.now_ms = deliveries->now_ms,
												.max = REPLAYS_A_STEP };
	int r = store_submit(store, &deliveries->replay.work);
	if (r == 0)
		store_wake(store);
	return r;
}

static void conclude_replay(struct deliveries_exchange *deliveries, int error)
{
	const struct gateway *gateway = deliveries->exchange.reactor->gateway;
	if (deliveries->n_replayed) {
		log_info("deliveries are owed again", LOG_NUMBER("deliveries", deliveries->n_replayed));
		if (gateway->supervisor) {
			supervisor_note_all(gateway->supervisor);
			supervisor_wake(gateway->supervisor);
		}
	}
	deliveries->error = error;
	buffer_add_printf(&deliveries->json, "{\"replayed\":%llu}\n", (unsigned long long)deliveries->n_replayed);
	on_answer(deliveries->exchange.reactor, &deliveries->note);
}

/* There may be more; but what dies of it again meanwhile is not replayed again. */
static void on_replayed_note(struct reactor *reactor, struct note *note)
{
	struct deliveries_exchange *deliveries = CONTAINER_OF(note, struct deliveries_exchange, note);
	int error = deliveries->replay.work.error;
	(void)reactor;
	bool goes_on = error == 0 && deliveries->replay.n == REPLAYS_A_STEP;
	deliveries->n_replayed += error ? 0 : deliveries->replay.n;
	if (goes_on)
		error = submit(deliveries);
	if (!goes_on || error < 0)
		conclude_replay(deliveries, error);
}

static void finish_replay(struct exchange *exchange, struct span body)
{
	struct deliveries_exchange *deliveries = of(exchange);
	(void)body;
	if (!deliveries->wish.position == !deliveries->wish.is_dead) {
		operator_refuse(exchange, "either \"position\" or \"dead\" says what to replay");
		return;
	}
	operator_hold(exchange);
	deliveries->now_ms = clock_wall_ms();
	if (submit(deliveries) < 0)
		operator_refuse_closing(exchange);
}

static void begin_replay(struct exchange *exchange, const struct http_request *request)
{
	rights_log(exchange, request);
	begin(exchange, request);
}

const struct endpoint replay_endpoint = {
	.methods = "POST",
	.exchange_size = sizeof(struct deliveries_exchange),
	.begin = begin_replay,
	.finish = finish_replay,
	.release = release,
};
