/* SPDX-License-Identifier: Apache-2.0 */
#include "host/serve.h"

#include "host/host.h"
#include "host/options.h"
#include "host/sandbox.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct serving {
	struct channel channel;
	struct templates *templates;
	struct outgoing *outgoing;
	struct host host;
	struct belfry_plugin plugin;
	char *handler; /* its name in the configuration */
	void *self;    /* what create() made, or the options */
};

/* What `allow` grants. */
struct grants {
	bool exec, inner;
};

#define REFUSE(message, ...) (buffer_add_printf(message, __VA_ARGS__), PLUGIN_E_REFUSED)

/* ---- from the configuration to a plugin that is ready ---- */

static int read_grants(const json_t *allow, struct grants *ret_grants, struct buffer *message)
{
	for (size_t i = 0; i < json_array_size(allow); i++) {
		struct span word = document_text(json_array_get(allow, i));
		if (span_equal(word, SPAN("exec")))
			ret_grants->exec = true;
		else if (span_equal(word, SPAN("inner")))
			ret_grants->inner = true;
		else
			return REFUSE(message, "allow: there is nothing of that name; it can be exec or inner");
	}
	return PLUGIN_OK;
}

static int enter_sandbox(const struct packet *packet, const char *path, const struct grants *grants,
						 struct buffer *message)
{
	const char *what = "";
	struct sandbox sandbox = {
		.plugin = path,
		.can_exec = grants->exec,
		.memory_bytes = (uint64_t)packet_number(packet, "memory_bytes", 0),
		.descriptors = (uint64_t)packet_number(packet, "descriptors", 0),
		.processes = (uint64_t)packet_number(packet, "processes", 0),
	};
	int r = sandbox_enter(&sandbox, &what);
	return r < 0 ? REFUSE(message, "the process could not be confined: %s: %s", what, strerrordesc_np(-r)) : PLUGIN_OK;
}

/* The plugin's code runs from here on. */
static int load(struct serving *serving, const char *path, const struct grants *grants, struct buffer *message)
{
	int r = plugin_load(path, &serving->plugin, message);
	if (r == PLUGIN_OK && serving->plugin.needs & BELFRY_NEED_EXEC && !grants->exec)
		return REFUSE(message, "%s: starts other programs, which an administrator has to grant: allow: [exec]", path);
	return r;
}

static int compile(struct serving *serving, const struct packet *packet, void **ret_conf, struct buffer *message)
{
	struct span when = packet_text(packet, "when");
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	int r = templates_create(&serving->templates);
	if (r == 0)
		r = options_fill(&serving->plugin, packet_value(packet, "options"), serving->templates, ret_conf, message);
	if (r == PLUGIN_OK && when.data)
		r = templates_set_condition(serving->templates, when, &why);
	if (r == TEMPLATE_OK)
		r = templates_compile(serving->templates, &why);
	if (r == TEMPLATE_E_SYNTAX && why.n)
		return REFUSE(message, "%.*s", SPAN_PRINTF(buffer_span(&why)));
	return r;
}

static int create(struct serving *serving, void *conf, struct buffer *message)
{
	serving->self = conf;
	if (!serving->plugin.create)
		return PLUGIN_OK;
	serving->self = NULL;
	int r = serving->plugin.create(&serving->host.table, conf, &serving->self);
	if (r == 0)
		return PLUGIN_OK;
	const char *words = strerrordesc_np(r < 0 && r > -4096 ? -r : r);
	return REFUSE(message, "the plugin's create() failed: %s", words ? words : "for no reason that it gave");
}

static int configure(struct serving *serving, const struct packet *packet, struct buffer *message)
{
	const char *path = packet_text(packet, "plugin").data;
	struct grants grants = { 0 };
	void *conf = NULL;
	serving->handler = span_dup(packet_text(packet, "handler"));
	if (!serving->handler)
		return -ENOMEM;
	int r = read_grants(packet_value(packet, "allow"), &grants, message);
	if (r == PLUGIN_OK)
		r = plugin_judge(path, message);
	if (r == PLUGIN_OK)
		r = enter_sandbox(packet, path, &grants, message);
	if (r == PLUGIN_OK)
		r = outgoing_create(grants.inner, &serving->outgoing);
	if (r == 0)
		r = load(serving, path, &grants, message);
	if (r == PLUGIN_OK)
		r = compile(serving, packet, &conf, message);
	if (r != PLUGIN_OK)
		return r;
	host_init(&serving->host, &serving->channel, serving->templates, serving->outgoing);
	return create(serving, conf, message);
}

static void refuse(struct serving *serving, struct span message)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	buffer_add_text(&head, "{\"type\":\"refused\",\"message\":");
	buffer_add_json(&head, message);
	buffer_add_char(&head, '}');
	channel_send(&serving->channel, buffer_span(&head), span_of(NULL, 0));
}

/* ---- a delivery ---- */

static int make_tags(struct host *host, json_t *object, const struct belfry_tag **ret_tags, size_t *ret_n)
{
	struct belfry_tag *tags = host_lend(host, json_object_size(object) * sizeof *tags);
	const char *name;
	json_t *value;
	size_t n = 0;
	if (!tags)
		return -ENOMEM;
	json_object_foreach(object, name, value)
	{
		if (!json_is_string(value))
			return -EINVAL;
		tags[n++] = (struct belfry_tag){ name, json_string_value(value) };
	}
	*ret_tags = tags;
	*ret_n = n;
	return 0;
}

static int make_delivery(struct serving *serving, const struct packet *packet, struct belfry_delivery *ret_delivery)
{
	*ret_delivery = (struct belfry_delivery){
		.size = sizeof *ret_delivery,
		.key = packet_text(packet, "key").data,
		.handler = serving->handler,
		.position = packet_text(packet, "position").data,
		.source = packet_text(packet, "source").data,
		.event_id = packet_text(packet, "event_id").data,
		.interaction = packet_text(packet, "interaction").data,
		.subtype = packet_text(packet, "subtype").data,
		.received_ms = packet_number(packet, "received_ms", 0),
		.attempt = packet_number(packet, "attempt", 0),
		.max_attempts = packet_number(packet, "max_attempts", 0),
		.body = packet->payload.data,
		.n_body = packet->payload.n,
		.traceparent = packet_text(packet, "traceparent").data,
	};
	if (!ret_delivery->traceparent)
		ret_delivery->traceparent = "";
	return make_tags(&serving->host, packet_value(packet, "tags"), &ret_delivery->tags, &ret_delivery->n_tags);
}

/* Whether it is to be handled at all: *ret_outcome is what becomes of it if not. */
static bool decide(struct serving *serving, const struct belfry_delivery *delivery, int *ret_outcome)
{
	struct template_input input = {
		.body = span_of(delivery->body, delivery->n_body),
		.interaction = span_text(delivery->interaction),
		.subtype = span_text(delivery->subtype),
		.tags = delivery->tags,
		.n_tags = delivery->n_tags,
		.attempt = delivery->attempt,
	};
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	bool holds = false;
	templates_begin(serving->templates, &input);
	int r = templates_decide(serving->templates, &holds, &why);
	*ret_outcome = r == TEMPLATE_OK ? BELFRY_DONE : r < 0 ? BELFRY_RETRY : BELFRY_REJECT;
	if (r != TEMPLATE_OK)
		host_set_reason(&serving->host, r < 0 ? span_text(strerrordesc_np(-r)) : buffer_span(&why));
	return holds;
}

static int handle(struct serving *serving, const struct belfry_delivery *delivery)
{
	int outcome = serving->plugin.handle(serving->self, &serving->host.table, delivery);
	if (outcome == BELFRY_DONE || outcome == BELFRY_RETRY || outcome == BELFRY_REJECT)
		return outcome;
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	buffer_add_printf(&why, "handle() returned %d, which is no outcome", outcome);
	host_set_reason(&serving->host, buffer_span(&why));
	return BELFRY_REJECT;
}

static void send_outcome(struct serving *serving, int outcome, bool is_skipped)
{
	static const char *const names[] = { [BELFRY_DONE] = "done", [BELFRY_RETRY] = "retry", [BELFRY_REJECT] = "reject" };
	struct host *host = &serving->host;
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	buffer_add_printf(&head, "{\"type\":\"outcome\",\"outcome\":\"%s\"", names[outcome]);
	if (host->reason.n) {
		buffer_add_text(&head, ",\"reason\":");
		buffer_add_json(&head, buffer_span(&host->reason));
	}
	if (outcome == BELFRY_RETRY && host->retry_after_ms >= 0) {
		buffer_add_text(&head, ",\"retry_after_ms\":");
		buffer_add_i64(&head, host->retry_after_ms);
	}
	buffer_add_text(&head, is_skipped ? ",\"skipped\":true}" : "}");
	channel_send(&serving->channel, buffer_span(&head), span_of(NULL, 0));
}

static void deliver(struct serving *serving, const struct packet *packet)
{
	struct belfry_delivery delivery;
	int outcome = BELFRY_RETRY;
	bool is_handled = false;
	host_begin(&serving->host, packet->payload, packet_number(packet, "deadline_ms", 0));
	int r = make_delivery(serving, packet, &delivery);
	if (r < 0)
		host_set_reason(&serving->host, span_text(strerrordesc_np(-r)));
	else
		is_handled = decide(serving, &delivery, &outcome);
	if (is_handled)
		outcome = handle(serving, &delivery);
	send_outcome(serving, outcome, !is_handled && outcome == BELFRY_DONE);
	host_end(&serving->host);
}

/* ---- all of it ---- */

static int run(struct serving *serving)
{
	struct packet packet;
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	channel_receive_order(&serving->channel, &packet);
	if (packet.type != PACKET_CONFIGURE)
		return EXIT_FAILURE;
	int r = configure(serving, &packet, &message);
	if (r != PLUGIN_OK) {
		refuse(serving, r < 0 || message.failed ? span_text(strerrordesc_np(ENOMEM)) : buffer_span(&message));
		return EXIT_FAILURE;
	}
	channel_send(&serving->channel, SPAN("{\"type\":\"ready\"}"), span_of(NULL, 0));
	for (;;) {
		channel_receive_order(&serving->channel, &packet);
		if (packet.type != PACKET_DELIVER)
			break;
		deliver(serving, &packet);
	}
	if (packet.type != PACKET_STOP)
		return EXIT_FAILURE;
	if (serving->plugin.destroy)
		serving->plugin.destroy(serving->self);
	return EXIT_SUCCESS;
}

int serve(int fd)
{
	struct serving *serving = chdir("/") == 0 ? calloc(1, sizeof *serving) : NULL; /* it keeps no file system busy */
	if (!serving)
		return EXIT_FAILURE;
	channel_init(&serving->channel, fd);
	int status = run(serving);
	channel_finish(&serving->channel);
	templates_destroy(serving->templates);
	outgoing_destroy(serving->outgoing);
	free(serving->handler);
	free(serving);
	return status;
}
