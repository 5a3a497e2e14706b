/* SPDX-License-Identifier: Apache-2.0 */
#include "net/roll.h"

#include "base/clock.h"
#include "net/operator.h"
#include "net/survey.h"

/* What one reactor says. */
struct part {
	struct buffer json; /* its first ones, one a line */
	uint64_t n_matching;
};

struct roll {
	struct survey survey; /* first */
	size_t transport, state;
	bool has_transport, has_state;
	uint64_t lag, limit;
	struct part *parts; /* by reactor */
};

static struct roll *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct roll, survey.exchange);
}

/* --- on the reactor that is asked --------------------------------------------------------------------------------- */

static bool is_wanted(const struct roll *roll, const struct reactor *reactor, const struct subscriber *subscriber)
{
	return (!roll->has_transport || subscriber->kind == roll->transport) &&
		   (!roll->has_state || survey_state(subscriber) == roll->state) &&
		   survey_lag(reactor, subscriber) >= roll->lag;
}

static void add_filters(struct buffer *json, const struct subscriber *subscriber)
{
	buffer_add_text(json, ",\"filters\":[");
	for (size_t i = 0; i < subscriber->n_subscriptions; i++) {
		buffer_add_text(json, i ? "," : "");
		filter_add_json(json, &subscriber->subscriptions[i].filter);
	}
	buffer_add_char(json, ']');
}

static void add_subscriber(struct buffer *json, const struct reactor *reactor, const struct subscriber *subscriber)
{
	char session[SUBSCRIBER_SESSION_SIZE];
	subscriber_session(subscriber, session);
	buffer_add_printf(json, "{\"session\":\"%s\"", session);
	buffer_add_json_member(json, "transport", span_text(survey_transports[subscriber->kind]));
	buffer_add_json_member(json, "state", span_text(survey_states[survey_state(subscriber)]));
	if (subscriber->grant)
		buffer_add_json_member(json, "subject", span_text(subscriber->grant->subject));
	buffer_add_json_member(json, "peer", connection_peer(subscriber->connection));
	operator_add_time(json, "since", subscriber->since_ms);
	buffer_add_char(json, ',');
	position_add_json(json, "position", store_epoch(reactor->gateway->store),
					  hub_position(reactor->hub, &subscriber->member));
	operator_add_number(json, "lag", survey_lag(reactor, subscriber));
	add_filters(json, subscriber);
	buffer_add_char(json, '}');
}

static void look(struct survey *survey, const struct reactor *reactor, size_t i)
{
	const struct roll *roll = CONTAINER_OF(survey, struct roll, survey);
	struct part *part = &roll->parts[i];
	for (const struct connection *c = reactor->connections; c; c = c->next) {
		if (!c->subscriber || !is_wanted(roll, reactor, c->subscriber))
			continue;
		if (part->n_matching++ >= roll->limit)
			continue;
		add_subscriber(&part->json, reactor, c->subscriber);
		buffer_add_char(&part->json, '\n');
	}
}

/* --- on the one that asks ----------------------------------------------------------------------------------------- */

static void conclude(struct survey *survey)
{
	struct roll *roll = CONTAINER_OF(survey, struct roll, survey);
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	uint64_t n = 0, n_matching = 0;
	buffer_add_text(&json, "{\"subscribers\":[");
	for (size_t i = 0; i < survey->n_notes; i++) {
		struct span rest = buffer_span(&roll->parts[i].json), line;
		n_matching += roll->parts[i].n_matching;
		json.failed |= roll->parts[i].json.failed;
		while (n < roll->limit && span_next(&rest, '\n', &line) && line.n) {
			buffer_add_text(&json, n++ ? ",\n" : "");
			buffer_add(&json, line);
		}
	}
	buffer_add_char(&json, ']');
	operator_add_number(&json, "matching", n_matching);
	buffer_add_text(&json, "}\n");
	operator_answer(&survey->exchange, &json);
}

static const char *read_pair(struct exchange *exchange, struct span name, struct span value)
{
	struct roll *roll = of(exchange);
	if (span_equal(name, SPAN("transport"))) {
		roll->has_transport = operator_read_word(survey_transports, SUBSCRIBER_KINDS, value, &roll->transport);
		return roll->has_transport ? NULL : "\"transport\" is websocket or stream";
	}
	if (span_equal(name, SPAN("state"))) {
		roll->has_state = operator_read_word(survey_states, REPORT_STATES, value, &roll->state);
		return roll->has_state ? NULL : "\"state\" is live, behind or idle";
	}
	if (span_equal(name, SPAN("lag")))
		return span_to_u64(value, INT64_MAX, &roll->lag) ? NULL : "\"lag\" is a number of events";
	if (span_equal(name, SPAN("limit")))
		return operator_read_limit(value, &roll->limit) ? NULL : "\"limit\" is a number from 1 to 1000";
	return OPERATOR_UNKNOWN_WORD;
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	of(exchange)->limit = OPERATOR_DEFAULT_LIMIT;
	(void)operator_read_query(exchange, request->query, read_pair);
}

static void finish(struct exchange *exchange, struct span body)
{
	struct roll *roll = of(exchange);
	(void)body;
	roll->parts = calloc(exchange->reactor->gateway->n_reactors, sizeof *roll->parts);
	if (roll->parts)
		survey_start(exchange, look, conclude);
	else
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
}

static void release(struct exchange *exchange)
{
	struct roll *roll = of(exchange);
	for (size_t i = 0; roll->parts && i < roll->survey.n_notes; i++)
		buffer_finish(&roll->parts[i].json);
	free(roll->parts);
	survey_release(exchange);
}

const struct endpoint roll_endpoint = {
	.methods = "GET, HEAD",
	.exchange_size = sizeof(struct roll),
	.begin = begin,
	.finish = finish,
	.expire = survey_expire,
	.release = release,
};
