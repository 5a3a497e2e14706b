/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry listen: be a subscriber. Events come as Server-Sent Events; each is one line on stdout. What is not an event
 * (connected, lost, a gap) is said on stderr.
 *
 * A connection that ends is opened again, with a growing delay and some chance in it, from the last position that was
 * seen: nothing is missed that the journal still holds. It ends for good when the gateway says so, refuses us, or
 * cannot be reached even once.
 */
#include "base/clock.h"
#include "cli/http_client.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/secrets.h"
#include "cli/setup.h"
#include "cli/sse.h"
#include "cli/token_maker.h"
#include "cli/view.h"
#include "wire/digest.h"
#include "wire/message.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#define MAX_TOKEN_FILE_BYTES 65536
#define TOKEN_LIFETIME_MS (3600 * MS_PER_S)
#define FIRST_DELAY_MS 1000
#define MAX_DELAY_MS 30000
/* No connection lives without a position message every `ping`; so many of them may be missing. */
#define MISSED_PINGS 2.5
#define DEFAULT_IDLE_MS 120000
#define MAX_SHOWN_CHARACTERS 200

/* What a message means for the connection: on_message() returns it. */
enum listen_step {
	LISTEN_ON = 0,
	LISTEN_AGAIN, /* the gateway closes, and asks us to come back */
	LISTEN_DONE,  /* we have what we wanted */
	LISTEN_OVER,  /* the gateway wants us to stay away */
};

struct listening {
	const struct invocation *invocation;
	bool is_json, is_coloured;
	struct config *config; /* NULL if the command line says it all */
	struct target target;
	char *place; /* its URL without the query, where a ticket may be */
	struct http_client *client;
	struct buffer filter; /* as a query */
	struct buffer start;  /* where to begin, as a query */
	struct sse sse;
	struct buffer position; /* the last one that was seen */
	struct http_call call;
	struct http_answer answer; /* of the connection that is open */
	bool was_connected;
	unsigned n_failures;           /* in a row */
	int64_t delay_ms;              /* what a disconnect message asked for; -1 */
	uint64_t n_events, max_events; /* 0: no bound */
	int stop_fd;
};

static void listening_finish(struct listening *listening)
{
	struct buffer *buffers[] = { &listening->filter, &listening->start, &listening->position };
	for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
		buffer_finish(buffers[i]);
	http_answer_finish(&listening->answer);
	http_client_destroy(listening->client);
	sse_finish(&listening->sse);
	free(listening->place);
	target_finish(&listening->target);
	config_destroy(listening->config);
	if (listening->stop_fd >= 0)
		(void)close(listening->stop_fd);
}

static void listening_finish_cleanup(struct listening *listening)
{
	listening_finish(listening);
}

/* ---- messages ---- */

static const char *text_at(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));
	return text ? text : "?";
}

static struct span position_of(const json_t *message)
{
	return span_text(json_string_value(json_object_get(message, "position")));
}

/* It goes into a header and a URL: nothing that is no position may. */
static void set_position(struct listening *listening, struct span text)
{
	struct position position;
	if (!position_parse(text, &position))
		return;
	listening->position.n = 0;
	buffer_add(&listening->position, text);
}

static int print_line(const struct listening *listening, const json_t *message, struct span raw,
					  void (*add)(struct buffer *line, const json_t *message, bool is_coloured))
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (listening->is_json)
		printable_add_json_line(&line, raw);
	else
		add(&line, message, listening->is_coloured);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static int take_event(struct listening *listening, const json_t *message, struct span raw)
{
	int r = print_line(listening, message, raw, view_add_event);
	if (r < 0)
		return r;
	listening->n_events++;
	return listening->n_events == listening->max_events ? LISTEN_DONE : LISTEN_ON;
}

static int take_outcome(struct listening *listening, const json_t *message, struct span raw)
{
	return print_line(listening, message, raw, view_add_outcome);
}

/* Said on stderr, loudly enough to be seen between events, and as JSON to whoever reads that. */
static int take_gap(struct listening *listening, const json_t *message, struct span raw)
{
	output_complain("GAP: what came after %s is lost for good; going on with what is left, at %s",
					text_at(message, "after"), text_at(message, "resumed_at"));
	return listening->is_json ? print_line(listening, message, raw, NULL) : LISTEN_ON;
}

static int take_welcome(struct listening *listening, const json_t *message, struct span raw)
{
	double ping_s = json_number_value(json_object_get(message, "ping"));
	(void)raw;
	if (ping_s >= 1 && ping_s <= 3600)
		listening->call.idle_timeout_ms = (int64_t)(ping_s * MISSED_PINGS * MS_PER_S);
	return LISTEN_ON;
}

/* Where the subscription starts is as far as we are, until something comes; a position that meant nothing is forgotten.
 */
static int take_subscribed(struct listening *listening, const json_t *message, struct span raw)
{
	(void)raw;
	bool is_lost = json_is_false(json_object_get(message, "recovered"));
	if (is_lost)
		output_complain("GAP: the journal does not hold all that was asked for; listening to what is left");
	if (is_lost || (listening->position.n == 0 && !invocation_has(listening->invocation, "last")))
		set_position(listening, position_of(message));
	return LISTEN_ON;
}

static int take_error(struct listening *listening, const json_t *message, struct span raw)
{
	output_complain("the gateway says %s: %s", text_at(message, "code"), text_at(message, "message"));
	int r = listening->is_json ? print_line(listening, message, raw, NULL) : LISTEN_ON;
	if (r == LISTEN_ON && strcmp(text_at(message, "id"), MESSAGE_URL_ID) == 0)
		return LISTEN_OVER; /* the subscription itself is refused: nothing would ever come */
	return r;
}

static int take_disconnect(struct listening *listening, const json_t *message, struct span raw)
{
	(void)raw;
	const json_t *after_ms = json_object_get(message, "after_ms");
	output_complain("the gateway closes the connection: %s", text_at(message, "reason"));
	if (json_is_false(json_object_get(message, "reconnect")))
		return LISTEN_OVER;
	if (json_is_number(after_ms) && json_number_value(after_ms) >= 0 && json_number_value(after_ms) <= INT32_MAX)
		listening->delay_ms = (int64_t)json_number_value(after_ms);
	return LISTEN_AGAIN;
}

/* moves: its position is how far we are. Types that are not here are of a later gateway, and no harm. */
static const struct {
	const char *type;
	bool moves;
	int (*take)(struct listening *listening, const json_t *message, struct span raw); /* NULL: nothing to do */
} messages[] = {
	{ "event", true, take_event },  { "outcome", true, take_outcome },        { "position", true, NULL },
	{ "gap", false, take_gap },     { "welcome", false, take_welcome },       { "subscribed", false, take_subscribed },
	{ "error", false, take_error }, { "disconnect", false, take_disconnect },
};

static int on_message(void *context, const struct sse_message *message)
{
	struct listening *listening = context;
	json_t *json = view_load(message->data);
	const char *type = json_string_value(json_object_get(json, "type"));
	int r = LISTEN_ON;
	if (!type)
		output_complain("a message that cannot be read, of %zu bytes", message->data.n);
	for (size_t i = 0; type && i < ARRAY_LENGTH(messages); i++)
		if (strcmp(messages[i].type, type) == 0) {
			r = messages[i].take ? messages[i].take(listening, json, message->data) : LISTEN_ON;
			if (messages[i].moves)
				set_position(listening, message->id.n ? message->id : position_of(json));
		}
	json_decref(json);
	listening->n_failures = 0;
	return r;
}

static int on_body(void *context, struct span bytes)
{
	struct listening *listening = context;
	if (!listening->answer.is_event_stream) {
		output_complain("what answers at %s is no event stream; is its path subscribers.path?", listening->place);
		return LISTEN_OVER;
	}
	if (!listening->was_connected)
		output_complain("listening at %s", listening->place);
	listening->was_connected = true;
	return sse_read(&listening->sse, bytes, on_message, listening);
}

/* ---- preparing ---- */

static void add_parameter(struct buffer *query, const char *prefix, struct span name)
{
	if (query->n)
		buffer_add_char(query, '&');
	buffer_add_text(query, prefix);
	buffer_add_percent_encoded(query, name);
	buffer_add_char(query, '=');
}

/* --interaction a --interaction b: "interactions=a,b" */
static void add_list(const struct invocation *invocation, const char *option, const char *key, struct buffer *query)
{
	size_t n = invocation_count(invocation, option);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buffer_add_char(query, ',');
		else
			add_parameter(query, "", span_text(key));
		buffer_add_percent_encoded(query, span_text(invocation_value_at(invocation, option, i)));
	}
}

static int add_tags(const struct invocation *invocation, struct buffer *query)
{
	size_t n = invocation_count(invocation, "tag");
	for (size_t i = 0; i < n; i++) {
		struct tag tag;
		int r = invocation_tag_at(invocation, "tag", i, &tag);
		if (r != CLI_OK)
			return r;
		add_parameter(query, "tags.", tag.name);
		buffer_add_percent_encoded(query, tag.value);
	}
	return CLI_OK;
}

static void add_start(const struct invocation *invocation, struct buffer *query)
{
	const char *after = invocation_value(invocation, "after");
	if (after)
		add_parameter(query, "", SPAN("after"));
	buffer_add_percent_encoded(query, span_text(after));
	if (invocation_has(invocation, "last"))
		add_parameter(query, "", SPAN("last"));
	buffer_add_percent_encoded(query, span_text(invocation_value(invocation, "last")));
}

/* Asks the gateway's own parser, so that a mistake is found here. */
static int check_query(struct span query)
{
	CLEANUP(message_finish) struct message message = { 0 };
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	int r = message_parse_query(query, "", &message, &reason);
	if (r <= 0)
		return r;
	output_complain("%.*s", SPAN_PRINTF(buffer_span(&reason)));
	return CLI_E_USAGE;
}

/* The query and a separator in front of it, if there is one. */
static void add_query(struct buffer *url, struct span query)
{
	if (query.n)
		buffer_add_char(url, memchr(url->data, '?', url->n) ? '&' : '?');
	buffer_add(url, query);
}

static int make_query(struct listening *listening)
{
	static const char *const lists[][2] = { { "interaction", "interactions" },
											{ "subtype", "subtypes" },
											{ "source", "sources" },
											{ "event-id", "event_ids" } };
	CLEANUP(buffer_finish) struct buffer whole = BUFFER_INIT;
	for (size_t i = 0; i < ARRAY_LENGTH(lists); i++)
		add_list(listening->invocation, lists[i][0], lists[i][1], &listening->filter);
	int r = add_tags(listening->invocation, &listening->filter);
	if (r != CLI_OK)
		return r;
	if (invocation_has(listening->invocation, "outcomes")) {
		add_parameter(&listening->filter, "", SPAN("outcomes"));
		buffer_add_text(&listening->filter, "true");
	}
	add_start(listening->invocation, &listening->start);
	buffer_add(&whole, buffer_span(&listening->filter));
	if (whole.n && listening->start.n)
		buffer_add_char(&whole, '&');
	buffer_add(&whole, buffer_span(&listening->start));
	if (whole.failed || listening->filter.failed || listening->start.failed)
		return -ENOMEM;
	return check_query(buffer_span(&whole));
}

/* The name that the certificate is for is the one that providers use. */
static const char *any_public_url(const struct config *config)
{
	for (size_t i = 0; config && i < config->n_sources; i++)
		if (config->sources[i].public_url)
			return config->sources[i].public_url;
	return NULL;
}

/* With --url nothing else is needed; a configuration that was named is read all the same, for its keys. */
static int load_config(struct listening *listening)
{
	const struct invocation *invocation = listening->invocation;
	bool is_needed = !invocation_has(invocation, "url") || invocation_has(invocation, "config");
	return is_needed ? setup_config(invocation, &listening->config) : CLI_OK;
}

/* SIGINT and SIGTERM become readable bytes. */
static int open_stop_fd(int *ret_fd)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	*ret_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_fd < 0 ? -errno : 0;
}

static int prepare_call(struct listening *listening)
{
	int64_t timeout_ms = 0;
	int r = invocation_duration_ms(listening->invocation, "timeout", &timeout_ms);
	if (r == CLI_OK)
		r = invocation_u64(listening->invocation, "count", 1, INT64_MAX, &listening->max_events);
	if (r == CLI_OK)
		r = open_stop_fd(&listening->stop_fd);
	listening->call = (struct http_call){
		.on_body = on_body, .context = listening, .stop_fd = listening->stop_fd, .idle_timeout_ms = DEFAULT_IDLE_MS
	};
	if (timeout_ms > 0)
		listening->call.deadline_ns = clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
	if (listening->config)
		listening->call.idle_timeout_ms = (int64_t)((double)listening->config->subscribers.ping_ms * MISSED_PINGS);
	return r;
}

static int name_place(struct listening *listening)
{
	const char *url = listening->target.url;
	listening->place = span_dup(span_of(url, strcspn(url, "?")));
	return listening->place ? 0 : -ENOMEM;
}

static int prepare(struct listening *listening)
{
	int r = load_config(listening);
	if (r == CLI_OK)
		r = target_find(listening->invocation, listening->config, TARGET_SUBSCRIBERS, any_public_url(listening->config),
						listening->config ? listening->config->subscribers.path : NULL, &listening->target);
	if (r == CLI_OK)
		r = name_place(listening);
	if (r == CLI_OK)
		r = make_query(listening);
	if (r == CLI_OK)
		r = prepare_call(listening);
	return r == CLI_OK ? http_client_create(&listening->target, &listening->client) : r;
}

/* ---- the token ---- */

static int make_token(struct listening *listening, struct buffer *ret_token)
{
	const struct token_wish wish = { .subject = "belfry listen",
									 .lifetime_ms = TOKEN_LIFETIME_MS,
									 .has_outcomes = true };
	const char *where;
	int r = token_make_from_config(&wish, listening->config, ret_token, &where);
	if (r == CLI_OK && !listening->was_connected && listening->n_failures == 0)
		output_complain("no token given; made one for everything with the key of %s", where);
	if (r != CLI_E_NOT_SO)
		return r;
	output_complain("no token given, and no configured key can make one: --token-file FILE, or BELFRY_TOKEN");
	return CLI_E_USAGE;
}

/* A fresh one for every connection: files are renewed by others, and what we make ourselves expires. Empty if none is
 * needed. */
static int read_token(struct listening *listening, struct buffer *ret_token)
{
	const char *file = invocation_value(listening->invocation, "token-file");
	const char *environment = getenv("BELFRY_TOKEN");
	if (file)
		return secret_file_read(file, MAX_TOKEN_FILE_BYTES, ret_token);
	if (environment && *environment) {
		(void)buffer_reserve(ret_token, strlen(environment)); /* in one piece: growing would leave copies behind */
		buffer_add_text(ret_token, environment);
		return ret_token->failed ? -ENOMEM : CLI_OK;
	}
	if (!listening->config || listening->config->subscribers.anonymous)
		return CLI_OK;
	return make_token(listening, ret_token);
}

static int add_authorization(struct listening *listening, struct buffer *field)
{
	CLEANUP(secret_buffer_finish) struct buffer token = BUFFER_INIT;
	int r = read_token(listening, &token);
	if (r != CLI_OK || token.n == 0)
		return r;
	if (!secret_is_token(buffer_span(&token))) {
		output_complain("the token has a blank or a character in it that no token has");
		return CLI_E_USAGE;
	}
	return secret_add_authorization(field, buffer_span(&token));
}

/* ---- connecting, and again ---- */

/* The first time where the command line says, then behind what was seen last. */
static int add_url(const struct listening *listening, struct buffer *url)
{
	CLEANUP(buffer_finish) struct buffer after = BUFFER_INIT;
	buffer_add_printf(&after, "after=%.*s", SPAN_PRINTF(buffer_span(&listening->position)));
	buffer_add_text(url, listening->target.url);
	add_query(url, buffer_span(&listening->filter));
	add_query(url, listening->position.n ? buffer_span(&after) : buffer_span(&listening->start));
	buffer_add(url, span_of("", 1));
	return url->failed || after.failed ? -ENOMEM : 0;
}

/* One connection, from its request to its end. *ret_end is what http_client_run() returned; or an exit status or -errno
 * if there is no token to be had. */
static int connect_once(struct listening *listening, int *ret_end)
{
	CLEANUP(secret_buffer_finish) struct buffer authorization = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer last_id = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer url = BUFFER_INIT;
	const char *fields[3] = { "Accept: text/event-stream" };
	size_t n_fields = 1;
	int r = add_authorization(listening, &authorization);
	if (r == CLI_OK)
		r = add_url(listening, &url);
	if (r != CLI_OK)
		return r;
	buffer_add_printf(&last_id, "Last-Event-ID: %.*s", SPAN_PRINTF(buffer_span(&listening->position)));
	if (last_id.failed)
		return -ENOMEM;
	if (authorization.n)
		fields[n_fields++] = authorization.data;
	if (listening->position.n)
		fields[n_fields++] = last_id.data;
	listening->call.url = url.data;
	listening->call.fields = fields;
	listening->call.n_fields = n_fields;
	listening->delay_ms = -1;
	sse_restart(&listening->sse);
	http_answer_finish(&listening->answer);
	*ret_end = http_client_run(listening->client, &listening->call, &listening->answer);
	return CLI_OK;
}

/* Doubling up to a bound, and by chance between half and all of that, so that many do not come back at the same moment.
 */
static int64_t backoff_ms(const struct listening *listening)
{
	int64_t delay = listening->sse.retry_ms >= 0 ? listening->sse.retry_ms : FIRST_DELAY_MS;
	uint16_t chance;
	for (unsigned i = 1; i < listening->n_failures && delay < MAX_DELAY_MS; i++)
		delay *= 2;
	if (delay > MAX_DELAY_MS)
		delay = MAX_DELAY_MS;
	if (digest_random(&chance, sizeof chance) < 0)
		return delay;
	return delay / 2 + delay / 2 * chance / UINT16_MAX;
}

static int at_deadline(const struct listening *listening)
{
	if (listening->max_events == 0)
		return CLI_OK;
	output_complain("time is over, with %llu of %llu events", (unsigned long long)listening->n_events,
					(unsigned long long)listening->max_events);
	return CLI_E_NOT_SO;
}

/* Sleeps before the next attempt. -EAGAIN when it is time for it; else the exit status. */
static int pause_before_next(struct listening *listening, const char *why)
{
	int64_t delay_ms = listening->delay_ms >= 0 ? listening->delay_ms : listening->answer.retry_after_ms;
	listening->n_failures++;
	if (delay_ms < 0)
		delay_ms = backoff_ms(listening);
	output_complain("%s; again in %.1f s", why, (double)delay_ms / MS_PER_S);
	uint64_t now = clock_monotonic_ns(), deadline = listening->call.deadline_ns;
	uint64_t due = now + (uint64_t)delay_ms * NS_PER_MS;
	bool is_late = deadline && deadline < due;
	uint64_t until = is_late ? deadline : due;
	while (now < until) {
		struct pollfd stop = { .fd = listening->stop_fd, .events = POLLIN };
		uint64_t ms = (until - now) / NS_PER_MS + 1;
		if (poll(&stop, 1, ms < 60000 ? (int)ms : 60000) > 0)
			return CLI_OK;
		now = clock_monotonic_ns();
	}
	return is_late ? at_deadline(listening) : -EAGAIN;
}

/* A refusal that may be over soon. */
static bool is_passing(int status)
{
	return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

/* The gateway answered something other than a stream. */
static int after_answer(struct listening *listening)
{
	int status = listening->answer.status;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	printable_add_cut(&text, buffer_span(&listening->answer.body), MAX_SHOWN_CHARACTERS);
	buffer_add(&text, span_of("", 1));
	if (text.failed)
		return -ENOMEM;
	if (status == 200)
		return pause_before_next(listening, "the stream ended");
	if (is_passing(status)) {
		char why[64];
		(void)snprintf(why, sizeof why, "the gateway answered %d", status);
		return pause_before_next(listening, why);
	}
	output_complain("the gateway refused: %d %s%s", status, text.data,
					status == 401 ? " (\"belfry token --inspect\" says why a token does not pass)" : "");
	return CLI_E_NOT_SO;
}

static int after_silence(struct listening *listening, int error)
{
	CLEANUP(free) char *why = NULL;
	if (asprintf(&why, "%s: %s", listening->place,
				 error == -ETIMEDOUT ? "not a byte for too long" : http_client_error(listening->client)) < 0)
		return -ENOMEM;
	if (listening->was_connected)
		return pause_before_next(listening, why);
	output_complain("%s", why);
	return CLI_E_IO;
}

/* What the end of a connection means. -EAGAIN for another one, else the exit status or -errno. */
static int after_connection(struct listening *listening, int end)
{
	switch (end) {
	case LISTEN_DONE:
	case -EINTR:
		return CLI_OK;
	case LISTEN_OVER:
		return CLI_E_NOT_SO;
	case LISTEN_AGAIN:
		return pause_before_next(listening, "disconnected");
	case -ETIME:
		return at_deadline(listening);
	case -EHOSTUNREACH:
	case -ETIMEDOUT:
		return after_silence(listening, end);
	case 0:
		return after_answer(listening);
	default:
		return end;
	}
}

static int run(const struct invocation *invocation)
{
	CLEANUP(listening_finish)
	struct listening listening = { .invocation = invocation,
								   .is_json = invocation_is_json(invocation),
								   .is_coloured = output_is_coloured(),
								   .sse = SSE_INIT,
								   .stop_fd = -1 };
	int r = prepare(&listening);
	if (r != CLI_OK)
		return r;
	do {
		int end = 0;
		r = connect_once(&listening, &end);
		if (r == CLI_OK)
			r = after_connection(&listening, end);
	} while (r == -EAGAIN);
	return r;
}

static const struct command_option options[] = {
	{ "interaction", "TYPE", true, "Only this type; a star at the end stands for any rest: conferencing_*." },
	{ "subtype", "NAME", true, "Only this subtype, as profile_missing." },
	{ "source", "NAME", true, "Only from this source." },
	{ "event-id", "ID", true, "Only about this event." },
	{ "tag", "NAME=VALUE", true, "Only with this tag." },
	{ "outcomes", NULL, false,
	  "Also what handlers did, if subscribers.outcomes is true and the token grants it: a line for each attempt." },
	{ "after", "POSITION", false,
	  "Begin behind this position, as the gateway gave it, or with \"earliest\"; default \"latest\": what comes from "
	  "now on." },
	{ "last", "N", false, "Begin with the N newest that match." },
	{ "count", "N", false, "Stop after N events." },
	{ "timeout", "TIME", false,
	  "Stop after this time: 500ms, 30s, 5m. With --count, the exit status is 1 if there were fewer." },
	{ "url", "URL", false, "Listen there, not at the configuration's first listener that serves subscribers." },
	{ "token-file", "FILE", false,
	  "The token, in a file that is read for every connection. The environment variable BELFRY_TOKEN does the same. "
	  "Without "
	  "either, one is made with the configured key, if that is a secret." },
	{ "insecure", NULL, false, "Do not check the listener's certificate: for a self-signed one." },
	{ "cacert", "FILE", false, "Trust the certificates in this PEM file." },
	{ 0 },
};

const struct command command_listen = {
	.name = "listen",
	.summary = "print events as they come, as a subscriber gets them",
	.operands = "",
	.description =
		"Connects as a subscriber and prints one line for each event: when it was received, its position, "
		"interactions, "
		"event id, summary and tags. With --json, the whole message in one line, callback included. Options that "
		"choose "
		"must all match; given several times, one of the values must.\n\n"
		"A lost connection is opened again from the last position, so nothing is missed that the journal still holds; "
		"what is lost for good is said as a GAP. Ends with 0 on Ctrl-C, with 1 if the gateway refuses, with 3 if it "
		"was "
		"never reached.",
	.examples = "belfry listen\n"
				"belfry listen --interaction 'conferencing_*' --tag user=42\n"
				"belfry listen --after earliest --json | jq .callback.event.summary\n"
				"belfry listen --count 1 --timeout 30s\n"
				"belfry listen --outcomes\n"
				"BELFRY_TOKEN=$(belfry token) belfry listen --url http://127.0.0.1:8080/subscribe",
	.options = options,
	.max_operands = 0,
	.run = run,
};
