/* SPDX-License-Identifier: Apache-2.0 */
#include "net/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/access.h"
#include "net/rights.h"

#include <errno.h>

/* The third one is the last. */
#define MAX_MISTAKES 3

static struct hub *hub_of(const struct subscriber *subscriber)
{
	return subscriber->connection->reactor->hub;
}

static struct gateway *gateway_of(const struct subscriber *subscriber)
{
	return subscriber->connection->reactor->gateway;
}

static const struct config *config_of(const struct subscriber *subscriber)
{
	return subscriber->connection->reactor->config;
}

/* --- what is said ------------------------------------------------------------------------------------------------- */

static void begin_message(struct buffer *json, const char *type, const char *id)
{
	buffer_add_text(json, "{\"type\":\"");
	buffer_add_text(json, type);
	buffer_add_char(json, '"');
	if (id)
		buffer_add_json_member(json, "id", span_text(id));
}

static void send_simple(struct subscriber *subscriber, const char *type, const char *id)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	begin_message(&json, type, id);
	buffer_add_char(&json, '}');
	subscriber_send(subscriber, type, SPAN(""), buffer_span(&json));
}

static void send_error(struct subscriber *subscriber, const char *id, const char *code, const char *message)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	begin_message(&json, "error", id);
	buffer_add_json_member(&json, "code", span_text(code));
	buffer_add_json_member(&json, "message", span_text(message));
	buffer_add_char(&json, '}');
	subscriber_send(subscriber, "error", SPAN(""), buffer_span(&json));
}

/* How long the token lasts; nothing for anonymous subscribers. */
static void add_expiry(struct buffer *json, const struct grant *grant)
{
	if (grant->expires_ms == INT64_MAX)
		return;
	int64_t left_ms = grant->expires_ms - clock_wall_ms();
	buffer_add_text(json, ",\"expires_in\":");
	buffer_add_i64(json, left_ms > 0 ? left_ms / MS_PER_S : 0);
}

static void send_welcome(struct subscriber *subscriber)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	char position[POSITION_TEXT_SIZE], session[SUBSCRIBER_SESSION_SIZE];
	subscriber_session(subscriber, session);
	(void)subscriber_position(subscriber, hub_head(hub_of(subscriber)), position);
	begin_message(&json, "welcome", NULL);
	buffer_add_json_member(&json, "session", span_text(session));
	buffer_add_json_member(&json, "position", span_text(position));
	add_expiry(&json, subscriber->grant);
	if (config_of(subscriber)->subscribers.outcomes && subscriber->grant->has_outcomes)
		buffer_add_text(&json, ",\"outcomes\":true");
	buffer_add_printf(&json, ",\"ping\":%g}", (double)config_of(subscriber)->subscribers.ping_ms / MS_PER_S);
	subscriber_send(subscriber, "welcome", SPAN(""), buffer_span(&json));
}

static void send_subscribed(struct subscriber *subscriber, const char *id, bool is_recovered, uint64_t sequence)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	char position[POSITION_TEXT_SIZE];
	(void)subscriber_position(subscriber, sequence, position);
	begin_message(&json, "subscribed", id);
	buffer_add_text(&json, is_recovered ? ",\"recovered\":true" : ",\"recovered\":false");
	buffer_add_json_member(&json, "position", span_text(position));
	buffer_add_char(&json, '}');
	subscriber_send(subscriber, "subscribed", SPAN(""), buffer_span(&json));
}

/* --- auth --------------------------------------------------------------------------------------------------------- */

void session_refuse(struct subscriber *subscriber)
{
	int64_t wait_ms = access_refusal_wait_ms(subscriber->connection);
	if (wait_ms < 0)
		link_close(&subscriber->connection->link);
	else if (wait_ms)
		subscriber_set_due(subscriber, DUE_REFUSAL, clock_monotonic_ns() + (uint64_t)wait_ms * NS_PER_MS);
	else
		session_refuse_now(subscriber);
}

void session_refuse_now(struct subscriber *subscriber)
{
	subscriber_disconnect(subscriber, 4501, "token not valid", 0);
}

/* A new token may grant less than the old one: what it does not allow ends. */
static int drop_forbidden(struct subscriber *subscriber);

static void on_auth(struct subscriber *subscriber, struct message *message)
{
	struct grant *grant = NULL;
	bool is_first = !subscriber->grant;
	int r = access_verify(subscriber->connection, span_text(message->token), &grant);
	if (r < 0) {
		subscriber_disconnect(subscriber, 1011, "out of memory", 1000);
		return;
	}
	if (r != ACCESS_GRANTED) {
		session_refuse(subscriber);
		return;
	}
	subscriber_set_grant(subscriber, grant);
	if (is_first) {
		session_welcome(subscriber);
		return;
	}
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	begin_message(&json, "authorized", message->id);
	add_expiry(&json, subscriber->grant);
	buffer_add_char(&json, '}');
	subscriber_send(subscriber, "authorized", SPAN(""), buffer_span(&json));
	if (drop_forbidden(subscriber) < 0)
		subscriber_disconnect(subscriber, 1011, "out of memory", 1000);
}

/* --- subscriptions ------------------------------------------------------------------------------------------------ */

static struct message_filter *find_subscription(struct subscriber *subscriber, const char *id)
{
	for (size_t i = 0; i < subscriber->n_subscriptions; i++)
		if (strcmp(subscriber->subscriptions[i].id, id) == 0)
			return &subscriber->subscriptions[i];
	return NULL;
}

static void remove_subscription(struct subscriber *subscriber, struct message_filter *subscription)
{
	free(subscription->id);
	filter_finish(&subscription->filter);
	*subscription = subscriber->subscriptions[--subscriber->n_subscriptions];
}

/* Tells the hub what the subscriptions are now. */
static int join(struct subscriber *subscriber, uint64_t after, uint64_t n_newest)
{
	size_t n = subscriber->n_subscriptions;
	if (n == 0) {
		hub_leave(hub_of(subscriber), &subscriber->member);
		return 0;
	}
	CLEANUP(free) const struct filter **filters = calloc(n, sizeof(struct filter *));
	if (!filters)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		filters[i] = &subscriber->subscriptions[i].filter;
	int r = hub_join(hub_of(subscriber), &subscriber->member, filters, n, after, n_newest);
	reactor_sweep(subscriber->connection->reactor);
	return r;
}

static int drop_forbidden(struct subscriber *subscriber)
{
	bool has_changed = false;
	for (size_t i = subscriber->n_subscriptions; i > 0; i--) {
		struct message_filter *subscription = &subscriber->subscriptions[i - 1];
		if (grant_allows(subscriber->grant, &subscription->filter))
			continue;
		send_error(subscriber, subscription->id, "forbidden",
				   "the new token does not grant this subscription: it has ended");
		remove_subscription(subscriber, subscription);
		has_changed = true;
	}
	return has_changed ? join(subscriber, HUB_FROM_HEAD, 0) : 0;
}

/* Takes the filters over from the message; one with an id that is in use replaces the old one. */
static int add_subscriptions(struct subscriber *subscriber, struct message *message)
{
	size_t n = subscriber->n_subscriptions + message->n_filters;
	struct message_filter *all = realloc(subscriber->subscriptions, n * sizeof *all);
	if (!all)
		return -ENOMEM;
	subscriber->subscriptions = all;
	for (size_t i = 0; i < message->n_filters; i++) {
		struct message_filter *old = find_subscription(subscriber, message->filters[i].id);
		if (old)
			remove_subscription(subscriber, old);
		subscriber->subscriptions[subscriber->n_subscriptions++] = message->filters[i];
	}
	message->n_filters = 0;
	return 0;
}

struct refusal {
	const char *code;
	char message[128];
};

static const char *find_forbidden(const struct config *config, const struct grant *grant, const struct filter *filter)
{
	if (filter->has_outcomes && !config->subscribers.outcomes)
		return "this gateway tells no outcomes (subscribers.outcomes)";
	if (filter->has_outcomes && !grant->has_outcomes)
		return "the token does not grant outcomes";
	return grant_allows(grant, filter) ? NULL : "the token does not grant this filter";
}

const char *session_find_forbidden(const struct config *config, const struct grant *grant,
								   const struct message *message)
{
	const char *why = NULL;
	for (size_t i = 0; !why && i < message->n_filters; i++)
		why = find_forbidden(config, grant, &message->filters[i].filter);
	return why;
}

static bool check_filters(struct subscriber *subscriber, const struct message *message, struct refusal *ret_refusal)
{
	const char *why = session_find_forbidden(config_of(subscriber), subscriber->grant, message);
	if (!why)
		return true;
	log_info_limited("subscription refused", LOG_TEXT("subject", subscriber->grant->subject), LOG_TEXT("reason", why));
	ret_refusal->code = "forbidden";
	(void)snprintf(ret_refusal->message, sizeof ret_refusal->message, "%s", why);
	return false;
}

static bool check_subscribe(struct subscriber *subscriber, const struct message *message, struct refusal *ret_refusal)
{
	if (!subscriber->grant) {
		*ret_refusal = (struct refusal){ "unauthorized", "auth first" };
		return false;
	}
	uint64_t max_filters = config_of(subscriber)->subscribers.max_filters;
	if (subscriber->n_subscriptions + message->n_filters > max_filters) {
		ret_refusal->code = "limit";
		(void)snprintf(ret_refusal->message, sizeof ret_refusal->message,
					   "at most %llu filters on one connection (subscribers.max_filters)",
					   (unsigned long long)max_filters);
		return false;
	}
	if (message->start != MESSAGE_START_NONE && subscriber->has_started) {
		*ret_refusal =
			(struct refusal){ "malformed", "only the first subscribe may give \"after\" or \"last\": a connection "
										   "has one cursor" };
		return false;
	}
	return check_filters(subscriber, message, ret_refusal);
}

/* Where a subscriber starts, and whether the journal still has all that it asked for. */
static uint64_t find_start(struct subscriber *subscriber, const struct message *message, bool *ret_is_recovered)
{
	struct gateway *gateway = gateway_of(subscriber);
	struct store_status status;
	*ret_is_recovered = true;
	if (message->start != MESSAGE_START_AFTER && message->start != MESSAGE_START_EARLIEST)
		return HUB_FROM_HEAD;
	store_get_status(gateway->store, &status);
	if (message->start == MESSAGE_START_EARLIEST)
		return status.oldest ? status.oldest - 1 : 0;
	bool is_ours = strcmp(message->after.epoch, store_epoch(gateway->store)) == 0 &&
				   message->after.sequence <= store_head(gateway->store);
	*ret_is_recovered = is_ours && message->after.sequence + 1 >= status.oldest;
	return is_ours ? message->after.sequence : HUB_FROM_HEAD;
}

static void on_subscribe(struct subscriber *subscriber, struct message *message)
{
	bool is_recovered;
	struct refusal refusal;
	if (!check_subscribe(subscriber, message, &refusal)) {
		send_error(subscriber, message->id, refusal.code, refusal.message);
		return;
	}
	uint64_t after = find_start(subscriber, message, &is_recovered);
	uint64_t position = after != HUB_FROM_HEAD ? after : hub_position(hub_of(subscriber), &subscriber->member);
	size_t n = message->n_filters;
	if (add_subscriptions(subscriber, message) < 0 || join(subscriber, after, message->last) < 0) {
		subscriber_disconnect(subscriber, 1011, "out of memory", 1000);
		return;
	}
	subscriber->has_started = true;
	for (size_t i = subscriber->n_subscriptions - n; i < subscriber->n_subscriptions; i++)
		send_subscribed(subscriber, subscriber->subscriptions[i].id, is_recovered, position);
}

void session_welcome(struct subscriber *subscriber)
{
	struct message *message = STEAL(subscriber->from_url);
	send_welcome(subscriber);
	if (!message)
		return;
	on_subscribe(subscriber, message);
	session_free_url(message);
}

void session_free_url(struct message *message)
{
	if (!message)
		return;
	message_finish(message);
	free(message);
}

struct filter *session_list_filters(const struct message *message)
{
	struct filter *filters = calloc(message->n_filters, sizeof *filters);
	for (size_t i = 0; filters && i < message->n_filters; i++)
		filters[i] = message->filters[i].filter;
	return filters;
}

bool session_read_url(struct exchange *exchange, const struct http_request *request, const char *others,
					  struct message **ret_message)
{
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	struct message *message = calloc(1, sizeof *message);
	int r = message ? message_parse_query(request->query, others, message, &reason) : -ENOMEM;
	if (r == MESSAGE_OK && message->n_filters <= exchange_config(exchange)->subscribers.max_filters) {
		*ret_message = message;
		return true;
	}
	session_free_url(message);
	buffer_add_char(&reason, '\0');
	if (r == MESSAGE_OK)
		connection_refuse(exchange->connection, 400, "limit", "too many filters (subscribers.max_filters)", NULL);
	else if (r < 0 || reason.failed)
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", NULL);
	else
		connection_refuse(exchange->connection, 400, message_outcome_name((enum message_outcome)r), reason.data, NULL);
	return false;
}

static void on_unsubscribe(struct subscriber *subscriber, struct message *message)
{
	struct message_filter *subscription = find_subscription(subscriber, message->id);
	if (!subscription) {
		send_error(subscriber, message->id, "malformed", "there is no subscription with this id");
		return;
	}
	remove_subscription(subscriber, subscription);
	if (join(subscriber, HUB_FROM_HEAD, 0) < 0)
		subscriber_disconnect(subscriber, 1011, "out of memory", 1000);
	else
		send_simple(subscriber, "unsubscribed", message->id);
}

static void on_ping(struct subscriber *subscriber, struct message *message)
{
	send_simple(subscriber, "pong", message->id);
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static void on_mistake(struct subscriber *subscriber, const struct message *message, int outcome, struct buffer *reason)
{
	buffer_add_char(reason, '\0');
	send_error(subscriber, message->id, message_outcome_name((enum message_outcome)outcome),
			   reason->failed ? "malformed" : reason->data);
	if (outcome != MESSAGE_E_POSITION && ++subscriber->n_mistakes == MAX_MISTAKES)
		subscriber_disconnect(subscriber, 4502, "malformed message", 0);
}

void session_on_message(struct subscriber *subscriber, struct span text)
{
	static void (*const acts[])(struct subscriber *, struct message *) = {
		[MESSAGE_AUTH] = on_auth,
		[MESSAGE_SUBSCRIBE] = on_subscribe,
		[MESSAGE_UNSUBSCRIBE] = on_unsubscribe,
		[MESSAGE_PING] = on_ping,
	};
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	int r = message_parse(text, &message, &reason);
	if (r < 0)
		subscriber_disconnect(subscriber, 1011, "out of memory", 1000);
	else if (r != MESSAGE_OK)
		on_mistake(subscriber, &message, r, &reason);
	else
		acts[message.type](subscriber, &message);
}

void session_check_key(struct subscriber *subscriber, const struct token_keys *keys)
{
	const struct grant *grant = subscriber->grant;
	bool has_key;
	if (!grant)
		return;
	if (subscriber->connection->serves & SERVES_ADMIN)
		has_key = rights_has_key(subscriber->connection, grant->key_id);
	else if (grant->expires_ms == INT64_MAX)
		has_key = config_of(subscriber)->subscribers.anonymous;
	else
		has_key = token_keys_has(keys, grant->key_id);
	if (!has_key)
		session_refuse_now(subscriber);
}
