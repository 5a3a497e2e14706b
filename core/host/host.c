/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"

#include "base/clock.h"
#include "host/pointer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

/* So much time is left to the plugin when a request has used up its own: to say RETRY instead of being killed. */
#define MAX_RESERVE_MS 500
#define MAX_DEADLINE_MS (24 * 60 * 60 * INT64_C(1000))

struct loan {
	struct loan *next;
	alignas(max_align_t) char bytes[];
};

static struct host *get(const struct belfry_host *table)
{
	return CONTAINER_OF((uintptr_t)table, struct host, table);
}

void *host_lend(struct host *host, size_t n)
{
	struct loan *loan = malloc(sizeof *loan + n + 1);
	if (!loan)
		return NULL;
	loan->next = host->loans;
	host->loans = loan;
	loan->bytes[n] = '\0';
	return loan->bytes;
}

static char *lend_copy(struct host *host, struct span text)
{
	char *copy = host_lend(host, text.n);
	if (copy && text.n)
		memcpy(copy, text.data, text.n);
	return copy;
}

/* The text, or its first bytes that are whole characters. */
static struct span cut(struct span text, size_t max)
{
	if (text.n <= max)
		return text;
	while (max && ((unsigned char)text.data[max] & 0xc0) == 0x80)
		max--;
	return span_of(text.data, max);
}

void host_set_reason(struct host *host, struct span text)
{
	host->reason.n = 0;
	buffer_add(&host->reason, cut(text, HOST_MAX_REASON_BYTES));
}

/* ---- log, reason, retry_after ---- */

static void send_log(struct host *host, enum belfry_level level, struct span text)
{
	static const char *const names[] = {
		[BELFRY_ERROR] = "error", [BELFRY_WARNING] = "warning", [BELFRY_INFO] = "info", [BELFRY_DEBUG] = "debug"
	};
	bool is_known = level >= BELFRY_ERROR && level <= BELFRY_DEBUG;
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	buffer_add_printf(&head, "{\"type\":\"log\",\"level\":\"%s\",\"text\":", names[is_known ? level : BELFRY_INFO]);
	buffer_add_json(&head, text);
	buffer_add_char(&head, '}');
	if (!head.failed)
		channel_send(host->channel, buffer_span(&head), span_of(NULL, 0));
}

__attribute__((format(printf, 3, 4))) static void on_log(const struct belfry_host *table, enum belfry_level level,
														 const char *format, ...)
{
	char bytes[HOST_MAX_LOG_BYTES + sizeof " ... (cut)"];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(bytes, HOST_MAX_LOG_BYTES + 1, format, args);
	va_end(args);
	struct span text = span_of(bytes, n < 0 ? 0 : strlen(bytes));
	if (n > HOST_MAX_LOG_BYTES) {
		text = cut(text, HOST_MAX_LOG_BYTES - 1);
		memcpy(bytes + text.n, " ... (cut)", 10);
		text.n += 10;
	}
	while (text.n && text.data[text.n - 1] == '\n')
		text.n--;
	send_log(get(table), level, text);
}

/* Whether it may be called now; else the plugin's author is told. */
static bool is_allowed(struct host *host, const char *function)
{
	if (host->is_delivering)
		return true;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	buffer_add_printf(&text, "%s() can only be called within handle()", function);
	send_log(host, BELFRY_ERROR, buffer_span(&text));
	return false;
}

__attribute__((format(printf, 2, 3))) static void on_reason(const struct belfry_host *table, const char *format, ...)
{
	char bytes[HOST_MAX_REASON_BYTES + 5]; /* so that a character at the end is whole, or seen not to be */
	va_list args;
	if (!is_allowed(get(table), "reason"))
		return;
	va_start(args, format);
	int n = vsnprintf(bytes, sizeof bytes, format, args);
	va_end(args);
	host_set_reason(get(table), span_of(bytes, n < 0 ? 0 : strlen(bytes)));
}

static void on_retry_after(const struct belfry_host *table, int64_t ms)
{
	if (!is_allowed(get(table), "retry_after"))
		return;
	ms = ms < 0 ? 0 : ms;
	get(table)->retry_after_ms = ms < OUTGOING_MAX_RETRY_AFTER_MS ? ms : OUTGOING_MAX_RETRY_AFTER_MS;
}

/* ---- field, render ---- */

static const json_t *read_document(struct host *host)
{
	json_error_t error;
	if (host->document_state == DOCUMENT_UNREAD)
		host->document_state =
			document_read(host->body, &host->document, &error) == DOCUMENT_OK ? DOCUMENT_READ : DOCUMENT_UNREADABLE;
	return host->document_state == DOCUMENT_READ ? host->document.root : NULL;
}

static const char *on_field(const struct belfry_host *table, const char *pointer, size_t *ret_n)
{
	struct host *host = get(table);
	if (!is_allowed(host, "field"))
		return NULL;
	const json_t *root = read_document(host);
	const json_t *value = root ? pointer_find(root, span_text(pointer)) : NULL;
	if (!value)
		return NULL;
	CLEANUP(free) char *dump = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	struct span text = dump ? span_text(dump) : document_text(value);
	const char *copy = text.data ? lend_copy(host, text) : NULL;
	if (copy && ret_n)
		*ret_n = text.n;
	return copy;
}

static const char *on_render(const struct belfry_host *table, const struct belfry_template *template_, size_t *ret_n)
{
	struct host *host = get(table);
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	if (!is_allowed(host, "render") || !template_)
		return NULL;
	int r = templates_render(host->templates, template_, &text, &why);
	if (r != TEMPLATE_OK) {
		host_set_reason(host, r < 0 ? span_text(strerrordesc_np(-r)) : buffer_span(&why));
		return NULL;
	}
	const char *copy = lend_copy(host, buffer_span(&text));
	if (copy && ret_n)
		*ret_n = text.n;
	return copy;
}

/* ---- http ---- */

static int64_t on_remaining_ms(const struct belfry_host *table)
{
	int64_t left = (int64_t)get(table)->end_ns - (int64_t)clock_monotonic_ns();
	return get(table)->is_delivering && left > 0 ? left / (int64_t)NS_PER_MS : 0;
}

static int on_http(const struct belfry_host *table, const struct belfry_request *request,
				   struct belfry_response *response)
{
	struct host *host = get(table);
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	struct belfry_request whole = { 0 };
	struct belfry_response answer = { 0 };
	if (!is_allowed(host, "http"))
		return -EPERM;
	memcpy(&whole, request, request->size < sizeof whole ? request->size : sizeof whole);
	int64_t left = on_remaining_ms(table), reserve = left / 10 < MAX_RESERVE_MS ? left / 10 : MAX_RESERVE_MS;
	bool has_timeout = whole.timeout_ms > 0 && whole.timeout_ms < left - reserve;
	int r = outgoing_send(host->outgoing, &whole, has_timeout ? whole.timeout_ms : left - reserve, &answer, &reason);
	if (r < 0) {
		host_set_reason(host, r == -ENOMEM ? span_text(strerrordesc_np(ENOMEM)) : buffer_span(&reason));
		return r;
	}
	size_t size = response->size < sizeof answer ? response->size : sizeof answer;
	answer.size = response->size;
	memcpy(response, &answer, size);
	return 0;
}

/* ---- what the daemon knows ---- */

/* The reply's error; its payload is lent, NULL without memory. */
static int ask(struct host *host, const struct buffer *head, struct span payload, struct span *ret_payload)
{
	struct packet reply;
	if (head->failed)
		return -ENOMEM;
	channel_send(host->channel, buffer_span(head), payload);
	channel_receive_reply(host->channel, &reply);
	int error = (int)packet_number(&reply, "error", 0);
	struct span text = packet_text(&reply, "text");
	if (error < 0 && text.n)
		host_set_reason(host, text);
	if (error < 0)
		return error;
	*ret_payload = span_of(lend_copy(host, reply.payload), reply.payload.n);
	return ret_payload->data ? 0 : -ENOMEM;
}

static int ask_about(struct host *host, const char *what, const char *name, struct span payload,
					 struct span *ret_payload)
{
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	buffer_add_printf(&head, "{\"type\":\"ask\",\"what\":\"%s\",\"name\":", what);
	buffer_add_json(&head, span_text(name));
	buffer_add_char(&head, '}');
	return ask(host, &head, payload, ret_payload);
}

static int judge_key(struct host *host, const char *key)
{
	struct span text = span_text(key);
	if (text.n >= 1 && text.n <= HOST_MAX_KEY_BYTES && span_is_utf8(text))
		return 0;
	host_set_reason(host, SPAN("a key of the handler's state has 1 to 128 bytes of UTF-8"));
	return -EINVAL;
}

static int on_get_state(const struct belfry_host *table, const char *key, const char **ret_data, size_t *ret_n)
{
	struct host *host = get(table);
	struct span value;
	if (!is_allowed(host, "get_state"))
		return -EPERM;
	int r = judge_key(host, key);
	if (r == 0)
		r = ask_about(host, "get_state", key, span_of(NULL, 0), &value);
	if (r < 0)
		return r;
	*ret_data = value.data;
	if (ret_n)
		*ret_n = value.n;
	return 0;
}

static int on_set_state(const struct belfry_host *table, const char *key, const char *data, size_t n)
{
	struct host *host = get(table);
	struct span ignored;
	if (!is_allowed(host, "set_state"))
		return -EPERM;
	int r = judge_key(host, key);
	if (r == 0 && data && n > HOST_MAX_VALUE_BYTES) {
		host_set_reason(host, SPAN("a value of the handler's state has at most 16 KiB"));
		r = -EMSGSIZE;
	}
	if (r < 0)
		return r;
	return ask_about(host, data ? "set_state" : "delete_state", key, span_of(data, data ? n : 0), &ignored);
}

static int on_latest(const struct belfry_host *table, const char *event_id, const char **ret_body, size_t *ret_n)
{
	struct host *host = get(table);
	struct span body;
	if (!is_allowed(host, "latest"))
		return -EPERM;
	int r = ask_about(host, "latest", event_id, span_of(NULL, 0), &body);
	if (r < 0)
		return r;
	*ret_body = body.data;
	if (ret_n)
		*ret_n = body.n;
	return 0;
}

static int on_callback_uri(const struct belfry_host *table, const struct belfry_tag *tags, size_t n_tags,
						   const char **ret_uri)
{
	struct host *host = get(table);
	CLEANUP(buffer_finish) struct buffer head = BUFFER_INIT;
	struct span uri;
	if (!is_allowed(host, "callback_uri"))
		return -EPERM;
	buffer_add_text(&head, "{\"type\":\"ask\",\"what\":\"callback_uri\",\"tags\":{");
	for (size_t i = 0; i < n_tags; i++) {
		buffer_add_text(&head, i ? "," : "");
		buffer_add_json(&head, span_text(tags[i].name));
		buffer_add_char(&head, ':');
		buffer_add_json(&head, span_text(tags[i].value));
		for (size_t k = 0; k < i; k++)
			if (strcmp(tags[k].name, tags[i].name) == 0)
				return -EINVAL;
	}
	buffer_add_text(&head, "}}");
	int r = ask(host, &head, span_of(NULL, 0), &uri);
	if (r == 0)
		*ret_uri = uri.data;
	return r;
}

/* ---- its life ---- */

void host_init(struct host *host, struct channel *channel, struct templates *templates, struct outgoing *outgoing)
{
	*host = (struct host){ .channel = channel, .templates = templates, .outgoing = outgoing };
	host->table = (struct belfry_host){
		.size = sizeof host->table,
		.log = on_log,
		.reason = on_reason,
		.retry_after = on_retry_after,
		.field = on_field,
		.render = on_render,
		.http = on_http,
		.get_state = on_get_state,
		.set_state = on_set_state,
		.latest = on_latest,
		.callback_uri = on_callback_uri,
		.remaining_ms = on_remaining_ms,
	};
}

void host_begin(struct host *host, struct span body, int64_t deadline_ms)
{
	host->is_delivering = true;
	host->body = body;
	host->document_state = DOCUMENT_UNREAD;
	host->retry_after_ms = -1;
	deadline_ms = deadline_ms < MAX_DEADLINE_MS ? deadline_ms : MAX_DEADLINE_MS;
	host->end_ns = clock_monotonic_ns() + (uint64_t)deadline_ms * NS_PER_MS;
}

void host_end(struct host *host)
{
	host->is_delivering = false;
	document_finish(&host->document);
	buffer_finish(&host->reason);
	while (host->loans) {
		struct loan *loan = host->loans;
		host->loans = loan->next;
		free(loan);
	}
}
