/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hosting.h"

#include "base/clock.h"
#include "base/spawn.h"
#include "wire/order.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* As the daemon would by default. */
#define MEMORY_BYTES (256 * 1024 * 1024)
#define DESCRIPTORS 64
#define MAX_ATTEMPTS 12
#define TICK_MS 200
#define MAX_STATES 100
/* What callback URIs begin with; nobody listens there. */
#define PUBLIC_URL "https://gateway.example.com/callbacks/"

enum phase { LOADING, HANDLING, STOPPING };

struct state {
	char *key;
	struct buffer value;
};

struct hosting {
	const struct hosting_plan *plan;
	pid_t pid;
	int fd;
	enum phase phase;
	int64_t left_ms; /* of this phase */
	struct packet_reader reader;
	struct span unread;
	char bytes[65536];
	struct state states[MAX_STATES];
	size_t n_states;
	int64_t *retry_after_ms;
	struct buffer *reason;
	int end; /* what became of the delivery, once that is known */
};

/* ---- starting ---- */

static int start(struct hosting *hosting)
{
	int pair[2];
	const char *const arguments[] = { hosting->plan->program, "--serve", NULL };
	CLEANUP(close) int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	hosting->fd = pair[0];
	CLEANUP(close) int theirs = pair[1];
	const int fds[] = { nothing, STDERR_FILENO, STDERR_FILENO, theirs }; /* stdout is for the result */
	return spawn_program(arguments, fds, ARRAY_LENGTH(fds), &hosting->pid);
}

/* ---- saying ---- */

/* EPIPE is no failure: what became of the process is found out by reading. */
static int send_packet(struct hosting *hosting, const struct buffer *head, struct span payload)
{
	CLEANUP(buffer_finish) struct buffer packet = BUFFER_INIT;
	packet_add(&packet, buffer_span(head), payload);
	if (head->failed || packet.failed)
		return -ENOMEM;
	for (struct span rest = buffer_span(&packet); rest.n;) {
		ssize_t n = send(hosting->fd, rest.data, rest.n, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			break;
		rest = span_skip(rest, n > 0 ? (size_t)n : 0);
	}
	if (packet.n)
		secret_wipe(packet.data, packet.n);
	return 0;
}

static int send_configuration(struct hosting *hosting)
{
	const struct hosting_plan *plan = hosting->plan;
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	order_add_configuration(&head, &(struct order_configuration){ .handler = SPAN("test"),
																  .plugin = span_text(plan->plugin),
																  .options = plan->options,
																  .when = span_text(plan->when),
																  .allows_exec = plan->can_exec,
																  .allows_inner = plan->can_reach_inner,
																  .memory_bytes = MEMORY_BYTES,
																  .descriptors = DESCRIPTORS });
	int r = send_packet(hosting, &head, span_of(NULL, 0));
	if (head.n)
		secret_wipe(head.data, head.n);
	return r;
}

static int send_delivery(struct hosting *hosting)
{
	const struct event *event = hosting->plan->event;
	const struct interaction none = { .type = SPAN("unknown"), .subtype = SPAN("") };
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	order_add_delivery(&head,
					   &(struct order_delivery){ .event = event,
												 .interaction = event->n_interactions ? event->interactions[0] : none,
												 .key = SPAN("test-1.0.test"),
												 .position = SPAN("test-1"),
												 .attempt = 1,
												 .max_attempts = MAX_ATTEMPTS,
												 .deadline_ms = hosting->plan->timeout_ms });
	return send_packet(hosting, &head, event->body);
}

static int send_stop(struct hosting *hosting)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	buffer_add(&head, ORDER_STOP);
	return send_packet(hosting, &head, span_of(NULL, 0));
}

static void begin(struct hosting *hosting, enum phase phase)
{
	hosting->phase = phase;
	hosting->left_ms = hosting->plan->timeout_ms;
}

/* ---- answering ---- */

static int reply(struct hosting *hosting, int error, struct span payload)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	order_add_reply(&head, error, SPAN(""));
	return send_packet(hosting, &head, payload);
}

static struct state *find_state(struct hosting *hosting, struct span key)
{
	for (size_t i = 0; i < hosting->n_states; i++)
		if (span_equal(span_text(hosting->states[i].key), key))
			return &hosting->states[i];
	return NULL;
}

static int set_state(struct hosting *hosting, struct span key, struct span value)
{
	struct state *state = find_state(hosting, key);
	if (!state && hosting->n_states == MAX_STATES)
		return reply(hosting, -ENOSPC, span_of(NULL, 0));
	if (!state) {
		state = &hosting->states[hosting->n_states];
		state->key = span_dup(key);
		if (!state->key)
			return -ENOMEM;
		hosting->n_states++;
	}
	state->value.n = 0;
	buffer_add(&state->value, value);
	return state->value.failed ? -ENOMEM : reply(hosting, 0, span_of(NULL, 0));
}

static int delete_state(struct hosting *hosting, struct span key)
{
	struct state *state = find_state(hosting, key);
	if (state) {
		free(state->key);
		buffer_finish(&state->value);
		*state = hosting->states[--hosting->n_states];
	}
	return reply(hosting, 0, span_of(NULL, 0));
}

/* As it would be, but for the signature. */
static int callback_uri(struct hosting *hosting, json_t *tags)
{
	CLEANUP(buffer_finish) struct buffer uri = BUFFER_INIT;
	const char *name;
	json_t *value;
	buffer_add_text(&uri, PUBLIC_URL);
	buffer_add(&uri, hosting->plan->event->source);
	char separator = '?';
	json_object_foreach(tags, name, value)
	{
		buffer_add_char(&uri, separator);
		buffer_add_percent_encoded(&uri, span_text(name));
		buffer_add_char(&uri, '=');
		buffer_add_percent_encoded(&uri, document_text(value));
		separator = '&';
	}
	return uri.failed ? -ENOMEM : reply(hosting, 0, buffer_span(&uri));
}

static int answer(struct hosting *hosting, const struct packet *ask)
{
	const struct event *event = hosting->plan->event;
	struct span name = packet_text(ask, "name");
	const struct state *state = find_state(hosting, name);
	switch ((enum packet_question)packet_word(ask, "what")) {
	case PACKET_GET_STATE:
		return state ? reply(hosting, 0, buffer_span(&state->value)) : reply(hosting, -ENOENT, span_of(NULL, 0));
	case PACKET_SET_STATE:
		return set_state(hosting, name, ask->payload);
	case PACKET_DELETE_STATE:
		return delete_state(hosting, name);
	case PACKET_LATEST:
		return span_equal(name, event->event_id) ? reply(hosting, 0, event->body)
												 : reply(hosting, -ENOENT, span_of(NULL, 0));
	case PACKET_CALLBACK_URI:
		return callback_uri(hosting, packet_value(ask, "tags"));
	}
	return -EPROTO;
}

/* ---- listening ---- */

static const char *phase_name(enum phase phase)
{
	static const char *const names[] = { "while it was loaded, or in create()", "in handle()", "in destroy()" };
	return names[phase];
}

static int fail(struct hosting *hosting, const char *what)
{
	hosting->reason->n = 0;
	buffer_add_printf(hosting->reason, "%s %s", what, phase_name(hosting->phase));
	return HOSTING_FAILED;
}

/* The process is gone, or will be: what became of it. */
static int reap(struct hosting *hosting, int *ret_status)
{
	(void)kill(hosting->pid, SIGKILL);
	(void)kill(-hosting->pid, SIGKILL);
	pid_t r;
	do
		r = waitpid(hosting->pid, ret_status, 0);
	while (r < 0 && errno == EINTR);
	hosting->pid = 0;
	return r < 0 ? -errno : 0;
}

/* The socket has ended. A process that is killed after that had closed it. */
static int judge_end(struct hosting *hosting)
{
	CLEANUP(buffer_finish) struct buffer what = BUFFER_INIT;
	int status = 0, r = reap(hosting, &status);
	if (r < 0)
		return r;
	if (hosting->phase == STOPPING && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return hosting->end;
	if (WIFEXITED(status))
		buffer_add_printf(&what, "it ended the process (exit status %d)", WEXITSTATUS(status));
	else if (WTERMSIG(status) == SIGKILL)
		buffer_add_text(&what, "it closed its connection to Belfry, or was killed,");
	else
		buffer_add_printf(&what, "it crashed (SIG%s)", sigabbrev_np(WTERMSIG(status)));
	buffer_add_char(&what, '\0');
	return what.failed ? -ENOMEM : fail(hosting, what.data);
}

static int refuse_packet(struct hosting *hosting, const char *why)
{
	CLEANUP(buffer_finish) struct buffer what = BUFFER_INIT;
	buffer_add_printf(&what, "it broke the protocol (%s)%c", why, '\0');
	return what.failed ? -ENOMEM : fail(hosting, what.data);
}

static int take_outcome(struct hosting *hosting, const struct packet *packet)
{
	static const int ends[] = {
		[PACKET_DONE] = HOSTING_DONE, [PACKET_RETRY] = HOSTING_RETRY, [PACKET_REJECT] = HOSTING_REJECT
	};
	if (hosting->phase != HANDLING)
		return refuse_packet(hosting, "an outcome of nothing");
	hosting->end = packet_flag(packet, "skipped") ? HOSTING_SKIPPED : ends[packet_word(packet, "outcome")];
	*hosting->retry_after_ms = packet_number(packet, "retry_after_ms", -1);
	buffer_add(hosting->reason, packet_text(packet, "reason"));
	begin(hosting, STOPPING);
	return send_stop(hosting);
}

/* 0 to go on, an end that is none of the plugin's, or -errno. */
static int take_packet(struct hosting *hosting, const struct packet *packet)
{
	switch (packet->type) {
	case PACKET_READY:
		if (hosting->phase != LOADING)
			return refuse_packet(hosting, "it is ready a second time");
		begin(hosting, HANDLING);
		return send_delivery(hosting);
	case PACKET_REFUSED:
		buffer_add(hosting->reason, packet_text(packet, "message"));
		return hosting->phase == LOADING ? HOSTING_REFUSED : refuse_packet(hosting, "it refuses what it had taken");
	case PACKET_OUTCOME:
		return take_outcome(hosting, packet);
	case PACKET_LOG:
		return hosting->plan->on_log(hosting->plan->context, (enum packet_level)packet_word(packet, "level"),
									 packet_text(packet, "text"));
	case PACKET_ASK:
		return hosting->phase == HANDLING ? answer(hosting, packet)
										  : refuse_packet(hosting, "it asks too early or late");
	case PACKET_CONFIGURE:
	case PACKET_DELIVER:
	case PACKET_REPLY:
	case PACKET_STOP:
		break;
	}
	return -EPROTO;
}

/* Waits for bytes, as long as there is time. 1: there are some, or the end; 0: it is too late; -errno. Time in which
 * this process itself does not run is nobody's fault. */
static int wait_for_bytes(struct hosting *hosting)
{
	while (hosting->left_ms > 0) {
		struct pollfd fd = { .fd = hosting->fd, .events = POLLIN };
		uint64_t start_ns = clock_monotonic_ns();
		int n = poll(&fd, 1, hosting->left_ms < TICK_MS ? (int)hosting->left_ms : TICK_MS);
		if (n > 0 || (n < 0 && errno != EINTR))
			return n > 0 ? 1 : -errno;
		int64_t waited_ms = (int64_t)((clock_monotonic_ns() - start_ns) / NS_PER_MS);
		hosting->left_ms -= waited_ms < TICK_MS ? waited_ms + 1 : TICK_MS;
	}
	return 0;
}

static int fill(struct hosting *hosting)
{
	int r = wait_for_bytes(hosting);
	if (r == 0)
		return fail(hosting, "it took too long, and was killed,");
	if (r < 0)
		return r;
	ssize_t n = recv(hosting->fd, hosting->bytes, sizeof hosting->bytes, 0);
	if (n <= 0)
		return judge_end(hosting);
	hosting->unread = span_of(hosting->bytes, (size_t)n);
	return 0;
}

/* HOSTING_DONE is 0, so ends are told apart from going on by the process: it is gone. */
static int listen_to(struct hosting *hosting)
{
	struct packet packet;
	const char *why = NULL;
	for (;;) {
		int r = packet_read(&hosting->reader, &hosting->unread, &packet, &why);
		if (r == PACKET_WHOLE)
			r = take_packet(hosting, &packet);
		else if (r == PACKET_MORE)
			r = fill(hosting);
		else
			r = r < 0 ? r : refuse_packet(hosting, why);
		if (r != 0 || hosting->pid == 0)
			return r;
	}
}

int hosting_run(const struct hosting_plan *plan, int64_t *ret_retry_after_ms, struct buffer *reason)
{
	CLEANUP(free) struct hosting *hosting = calloc(1, sizeof *hosting);
	int status;
	if (!hosting)
		return -ENOMEM;
	hosting->plan = plan;
	hosting->fd = -1;
	hosting->retry_after_ms = ret_retry_after_ms;
	hosting->reason = reason;
	packet_reader_init(&hosting->reader, PACKET_HANDLER);
	int r = start(hosting);
	begin(hosting, LOADING);
	if (r == 0)
		r = send_configuration(hosting);
	if (r == 0)
		r = listen_to(hosting);
	if (hosting->pid > 0)
		(void)reap(hosting, &status);
	close_cleanup(&hosting->fd);
	packet_reader_finish(&hosting->reader);
	while (hosting->n_states) {
		free(hosting->states[--hosting->n_states].key);
		buffer_finish(&hosting->states[hosting->n_states].value);
	}
	return r;
}
