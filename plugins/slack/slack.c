/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slack: posts to a channel by an incoming webhook.
 *
 * What comes from an event is a stranger's text. It stands in plain_text blocks, where nothing is markup, and has '&',
 * '<' and '>' escaped (those three and no others, as Slack asks), so that <!channel> rings nobody. Slack refuses a
 * message as a whole if one text is too long or empty: texts are cut, between characters and never within an escape,
 * and empty ones left out.
 *
 * The webhook's URL is the permission to post: it is a secret, and never in a reason.
 */
#include <belfry/plugin.h>

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Slack's limits. It counts characters; one outside of the basic plane is taken for two here, as some count it. */
#define MAX_HEADER 150
#define MAX_SECTION 3000
#define MAX_FIELD 2000
#define MAX_FIELDS 10
#define MAX_BUTTON 75
#define MAX_URL 3000
#define MAX_TEXT 40000
/* What of an error's text is told. */
#define MAX_ERROR_BYTES 100
#define NS_PER_MS 1000000

struct conf {
	const char *webhook_url;
	const struct belfry_template *title, *text, *link;
	const char *link_label;
	struct belfry_map fields;
	bool markdown;
	int64_t interval;
};

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, webhook_url, BELFRY_SECRET, .is_required = true, .is_url = true,
				  .example = "https://hooks.slack.com/services/T000/B000/XXXX",
				  .help = "the incoming webhook, which says the channel, too"),
	BELFRY_OPTION(struct conf, title, BELFRY_TEMPLATE, .example = "{{ .event.summary }}",
				  .help = "the headline, 150 characters of plain text"),
	BELFRY_OPTION(struct conf, text, BELFRY_TEMPLATE, .is_required = true,
				  .example = "{{ .event.summary }} is ready: {{ .event.conferencing.join_url }}",
				  .help = "the message, 3,000 characters; also what a notification shows"),
	BELFRY_OPTION(struct conf, fields, BELFRY_MAP, .entry = BELFRY_TEMPLATE, .least = 0, .most = MAX_FIELDS,
				  .example = "{{ .event.start }}", .help = "short texts by their captions, side by side"),
	BELFRY_OPTION(struct conf, link, BELFRY_TEMPLATE, .example = "{{ .event.conferencing.join_url // \"\" }}",
				  .help = "where a button leads, http or https; none if it is empty"),
	BELFRY_OPTION(struct conf, link_label, BELFRY_STRING, .fallback = "Open", .help = "what the button says"),
	BELFRY_OPTION(struct conf, markdown, BELFRY_BOOLEAN, .fallback = "false",
				  .help = "read *bold* and the like in the message; what an event brings along is read so, too"),
	BELFRY_OPTION(struct conf, interval, BELFRY_DURATION, .fallback = "1s", .least = 0, .most = 60000,
				  .help = "between two messages of a worker; Slack takes about one a second"),
	BELFRY_END,
};

struct slack {
	const struct conf *conf;
	int64_t last_ms; /* when the last message was sent, monotonic; 0: none was */
};

static int create(const struct belfry_host *host, const void *conf, void **ret_self)
{
	(void)host;
	struct slack *slack = calloc(1, sizeof *slack);
	if (!slack)
		return -ENOMEM;
	slack->conf = conf;
	*ret_self = slack;
	return 0;
}

/* ---- text ---- */

/* Bytes of the character that begins here; the text is UTF-8. */
static size_t character_bytes(unsigned char first)
{
	return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* What stands for this character; NULL: itself. */
static const char *escape(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '\t':
	case '\n':
		return NULL;
	default:
		return c < ' ' || c == 0x7f ? " " : NULL;
	}
}

/* Escaped, and cut with an ellipsis if it is longer than `most` characters. The caller frees it; NULL without memory.
 */
static char *make_text(const char *raw, size_t n, size_t most)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	char *text = malloc(n * 5 + sizeof ellipsis); /* "&amp;" for each byte, at the worst */
	size_t n_text = 0, length = 0, cut_at = 0;
	if (!text)
		return NULL;
	for (size_t i = 0; i < n;) {
		size_t n_bytes = character_bytes((unsigned char)raw[i]);
		const char *escaped = escape((unsigned char)raw[i]);
		if (n_bytes > n - i)
			n_bytes = n - i;
		size_t n_out = escaped ? strlen(escaped) : n_bytes;
		length += escaped ? n_out : n_bytes == 4 ? 2 : 1;
		if (length > most) {
			memcpy(text + cut_at, ellipsis, sizeof ellipsis);
			return text;
		}
		memcpy(text + n_text, escaped ? escaped : raw + i, n_out);
		n_text += n_out;
		i += n_bytes;
		if (length < most)
			cut_at = n_text; /* here, there is room for the ellipsis */
	}
	text[n_text] = '\0';
	return text;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\n")] == '\0';
}

/* ---- the message ---- */

struct message {
	const struct slack *slack;
	const struct belfry_host *host;
	json_t *blocks;
	char *text; /* beside the blocks: what notifications show */
	int r;      /* why it could not be made: -ENOMEM, or -EINVAL with the reason given */
};

static json_t *text_object(const char *type, const char *text)
{
	return json_pack("{s:s, s:s}", "type", type, "text", text);
}

/* Takes the block. */
static void add_block(struct message *message, json_t *block)
{
	if (json_array_append_new(message->blocks, block) < 0)
		message->r = -ENOMEM;
}

/* The template's text, ready for a block; NULL if there is none to show. The caller frees it. */
static char *render(struct message *message, const struct belfry_template *template_, size_t most)
{
	size_t n = 0;
	const char *raw = template_ ? message->host->render(message->host, template_, &n) : "";
	if (!raw) {
		message->r = -EINVAL;
		return NULL;
	}
	char *text = make_text(raw, n, most);
	if (!text)
		message->r = -ENOMEM;
	if (text && is_blank(text)) {
		free(text);
		return NULL;
	}
	return text;
}

static void add_title(struct message *message)
{
	char *text = render(message, message->slack->conf->title, MAX_HEADER);
	if (text)
		add_block(message, json_pack("{s:s, s:o}", "type", "header", "text", text_object("plain_text", text)));
	free(text);
}

static void add_text(struct message *message)
{
	const struct conf *conf = message->slack->conf;
	char *text = render(message, conf->text, MAX_SECTION);
	message->text = render(message, conf->text, MAX_TEXT);
	if (text)
		add_block(message, json_pack("{s:s, s:o}", "type", "section", "text",
									 text_object(conf->markdown ? "mrkdwn" : "plain_text", text)));
	free(text);
}

/* "Start\nMonday": plain text has no bold. */
static json_t *make_field(struct message *message, const struct belfry_pair *pair)
{
	char *text = render(message, pair->value.template_, MAX_FIELD - 70), *name = NULL, *both = NULL;
	json_t *field = NULL;
	if (text)
		name = make_text(pair->name, strlen(pair->name), 64);
	if (name && (both = malloc(strlen(name) + strlen(text) + 2)) != NULL) {
		(void)stpcpy(stpcpy(stpcpy(both, name), "\n"), text);
		field = text_object("plain_text", both);
	}
	if (text && !field)
		message->r = -ENOMEM;
	free(both);
	free(name);
	free(text);
	return field;
}

static void add_fields(struct message *message)
{
	const struct belfry_map *map = &message->slack->conf->fields;
	json_t *fields = json_array();
	for (size_t i = 0; i < map->n; i++) {
		json_t *field = make_field(message, &map->pairs[i]);
		if (field && json_array_append_new(fields, field) < 0)
			message->r = -ENOMEM;
	}
	if (json_array_size(fields))
		add_block(message, json_pack("{s:s, s:O}", "type", "section", "fields", fields));
	json_decref(fields);
}

/* A link comes from an event: only one that a browser opens harmlessly becomes a button. */
static bool is_link(const char *url, size_t n)
{
	if (strlen(url) != n || n > MAX_URL || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return false;
	for (; *url; url++)
		if (*url <= ' ' || *url > '~' || *url == '<' || *url == '>' || *url == '"')
			return false;
	return true;
}

static void add_link(struct message *message)
{
	const struct conf *conf = message->slack->conf;
	size_t n = 0;
	const char *url = conf->link ? message->host->render(message->host, conf->link, &n) : "";
	if (!url) {
		message->r = -EINVAL;
		return;
	}
	if (n == 0)
		return;
	if (!is_link(url, n)) {
		message->host->log(message->host, BELFRY_WARNING, "link: no http or https URL; left out");
		return;
	}
	char *label = make_text(conf->link_label, strlen(conf->link_label), MAX_BUTTON);
	if (label)
		add_block(message, json_pack("{s:s, s:[{s:s, s:o, s:s}]}", "type", "actions", "elements", "type", "button",
									 "text", text_object("plain_text", label), "url", url));
	else
		message->r = -ENOMEM;
	free(label);
}

/* 0 with the request's body, which the caller frees; else as message.r. */
static int make_message(struct message *message, char **ret_body)
{
	if (!(message->blocks = json_array()))
		return -ENOMEM;
	add_title(message);
	add_text(message);
	add_fields(message);
	add_link(message);
	if (message->r < 0)
		return message->r;
	if (json_array_size(message->blocks) == 0) {
		message->host->reason(message->host, "there is nothing to say: title, text and fields are empty");
		return -EINVAL;
	}
	json_t *whole = json_pack("{s:s, s:b, s:O}", "text", message->text ? message->text : "", "mrkdwn",
							  message->slack->conf->markdown, "blocks", message->blocks);
	*ret_body = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	return *ret_body ? 0 : -ENOMEM;
}

static void message_finish(struct message *message)
{
	json_decref(message->blocks);
	free(message->text);
}

/* ---- sending ---- */

static int64_t monotonic_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

/* One message a second, about. False if there is not so much time left; then it has asked for a later one. */
static bool await_turn(struct slack *slack, const struct belfry_host *host)
{
	int64_t due_ms = slack->last_ms + slack->conf->interval, left_ms = due_ms - monotonic_ms();
	if (slack->last_ms == 0 || left_ms <= 0)
		return true;
	if (left_ms >= host->remaining_ms(host)) {
		host->reason(host, "one message in %lld ms", (long long)slack->conf->interval);
		host->retry_after(host, left_ms);
		return false;
	}
	struct timespec due = { .tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * NS_PER_MS };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR) {
	}
	return true;
}

/* Slack's errors are bare words, as "invalid_blocks"; what is none is not told. */
static const char *error_word(const struct belfry_response *response, char word[static MAX_ERROR_BYTES + 1])
{
	size_t n = 0;
	while (n < response->n_body && n < MAX_ERROR_BYTES &&
		   ((response->body[n] >= 'a' && response->body[n] <= 'z') || response->body[n] == '_'))
		n++;
	if (n < response->n_body)
		n = 0;
	memcpy(word, response->body, n);
	word[n] = '\0';
	return word;
}

static int judge(const struct belfry_host *host, const struct belfry_response *response)
{
	char buffer[MAX_ERROR_BYTES + 1];
	const char *word = error_word(response, buffer);
	int64_t status = response->status;
	if (status == 200 && strcmp(word, "ok") == 0)
		return BELFRY_DONE;
	host->reason(host, "answered %lld%s%s", (long long)status, *word ? ": " : "", word);
	if (response->retry_after_ms >= 0)
		host->retry_after(host, response->retry_after_ms);
	/* whatever says 200 and not ok is not Slack: a proxy, for a while */
	return status == 200 || status == 408 || status == 429 || status >= 500 ? BELFRY_RETRY : BELFRY_REJECT;
}

static int post(struct slack *slack, const struct belfry_host *host, const char *body)
{
	static const struct belfry_header headers[] = { { "Content-Type", "application/json; charset=utf-8" } };
	struct belfry_request request = { .size = sizeof request,
									  .url = slack->conf->webhook_url,
									  .headers = headers,
									  .n_headers = 1,
									  .body = body,
									  .n_body = strlen(body) };
	struct belfry_response response = { .size = sizeof response };
	int r = host->http(host, &request, &response);
	slack->last_ms = monotonic_ms();
	if (r < 0)
		return r == -EACCES || r == -EINVAL ? BELFRY_REJECT : BELFRY_RETRY;
	return judge(host, &response);
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	struct slack *slack = self;
	struct message message = { .slack = slack, .host = host };
	char *body = NULL;
	(void)delivery;
	int r = make_message(&message, &body), outcome = BELFRY_RETRY;
	if (r == -ENOMEM)
		host->reason(host, "not enough memory");
	else if (r < 0)
		outcome = BELFRY_REJECT;
	else if (await_turn(slack, host))
		outcome = post(slack, host, body);
	message_finish(&message);
	free(body);
	return outcome;
}

BELFRY_PLUGIN(.name = "slack", .version = "1.0", .summary = "posts to a Slack channel", .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle, .destroy = free);
