/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry upsert: be the application. An event with conferencing, and a subscription that has the provider call this
 * gateway back, are posted to the provider's API (Cronofy's, "Create or update event").
 *
 * The event is a JSON object from a file, from options, or from both; what it has beyond the fields known here goes out
 * as it is. Its subscriptions are replaced: the gateway's own is the point of this command.
 */
#include "base/clock.h"
#include "cli/base64.h"
#include "cli/http_client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/secrets.h"
#include "cli/setup.h"
#include "wire/digest.h"
#include "wire/http.h"

#include <errno.h>

#define MAX_EVENT_BYTES (1u << 20)
#define MAX_TOKEN_BYTES 8192
#define ANSWER_TIMEOUT_NS (30ull * MS_PER_S * NS_PER_MS)
/* base64url of 16 bytes, as the documentation's event ids are */
#define ID_BYTES 16
#define MAX_SHOWN_CHARACTERS 200

struct upsert {
	const struct invocation *invocation;
	const char *calendar;
	json_t *event;
	struct buffer callback_uri, url;
	struct buffer authorization; /* the header's line; secret */
	struct target target;
};

static void upsert_finish(struct upsert *upsert)
{
	target_finish(&upsert->target);
	secret_buffer_finish(&upsert->authorization);
	buffer_finish(&upsert->url);
	buffer_finish(&upsert->callback_uri);
	json_decref(upsert->event);
}

static void upsert_finish_cleanup(struct upsert *upsert)
{
	upsert_finish(upsert);
}

/* ---- the event ---- */

static int read_file(const char *path, json_t **ret_event)
{
	json_error_t error;
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	int r = input_require(path, MAX_EVENT_BYTES, &bytes);
	if (r != CLI_OK)
		return r;
	json_t *event = json_loadb(bytes.data ? bytes.data : "", bytes.n, JSON_REJECT_DUPLICATES, &error);
	if (json_is_object(event)) {
		*ret_event = event;
		return CLI_OK;
	}
	output_complain("%s:%d:%d: %s", path, event ? 1 : error.line, event ? 1 : error.column,
					event ? "an event is a JSON object" : error.text);
	json_decref(event);
	return CLI_E_USAGE;
}

static int add_event_id(json_t *event)
{
	uint8_t random[ID_BYTES];
	CLEANUP(buffer_finish) struct buffer id = BUFFER_INIT;
	int r = digest_random(random, sizeof random);
	if (r < 0)
		return r;
	base64url_add(&id, random, sizeof random);
	return id.failed || json_object_set_new(event, "event_id", json_stringn(id.data, id.n)) < 0 ? -ENOMEM : CLI_OK;
}

/* Options and what they set. */
static const struct {
	const char *option, *field;
} fields[] = { { "event-id", "event_id" },
			   { "summary", "summary" },
			   { "description", "description" },
			   { "start", "start" },
			   { "end", "end" } };

static int add_fields(const struct invocation *invocation, json_t *event)
{
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
		const char *value = invocation_value(invocation, fields[i].option);
		if (value && json_object_set_new(event, fields[i].field, json_string(value)) < 0) {
			output_complain("--%s is no UTF-8", fields[i].option);
			return CLI_E_USAGE;
		}
	}
	return json_object_get(event, "event_id") ? CLI_OK : add_event_id(event);
}

static int check_fields(const json_t *event)
{
	static const char *const required[] = { "summary", "start", "end" };
	for (size_t i = 0; i < ARRAY_LENGTH(required); i++)
		if (!json_object_get(event, required[i])) {
			output_complain("the event has no \"%s\": give it with --%s, or in a --file", required[i], required[i]);
			return CLI_E_USAGE;
		}
	if (json_is_string(json_object_get(event, "event_id")))
		return CLI_OK;
	output_complain("the event's \"event_id\" is no text");
	return CLI_E_USAGE;
}

/* The profile that the option names; else what the file says; else the account's default. */
static int add_conferencing(const struct invocation *invocation, json_t *event)
{
	const char *profile = invocation_value(invocation, "profile");
	if (!profile && json_object_get(event, "conferencing"))
		return CLI_OK;
	json_t *conferencing = json_pack("{s:s}", "profile_id", profile ? profile : "default");
	return json_object_set_new(event, "conferencing", conferencing) < 0 ? -ENOMEM : CLI_OK;
}

static int add_subscription(struct upsert *upsert)
{
	json_t *subscriptions = json_pack("[{s:s, s:s%, s:[{s:s}, {s:s}]}]", "type", "webhook", "uri",
									  upsert->callback_uri.data, upsert->callback_uri.n, "interactions", "type",
									  "conferencing_assigned", "type", "conferencing_failing");
	return json_object_set_new(upsert->event, "subscriptions", subscriptions) < 0 ? -ENOMEM : CLI_OK;
}

static int read_event(struct upsert *upsert)
{
	const char *file = invocation_value(upsert->invocation, "file");
	int r = CLI_OK;
	if (file)
		r = read_file(file, &upsert->event);
	else if (!(upsert->event = json_object()))
		r = -ENOMEM;
	if (r == CLI_OK)
		r = add_fields(upsert->invocation, upsert->event);
	if (r == CLI_OK)
		r = check_fields(upsert->event);
	if (r == CLI_OK)
		r = add_conferencing(upsert->invocation, upsert->event);
	return r == CLI_OK ? add_subscription(upsert) : r;
}

/* ---- where to ---- */

static const struct {
	const char *name, *url;
} data_centers[] = { { "us", "https://api.cronofy.com" },    { "au", "https://api-au.cronofy.com" },
					 { "ca", "https://api-ca.cronofy.com" }, { "de", "https://api-de.cronofy.com" },
					 { "sg", "https://api-sg.cronofy.com" }, { "uk", "https://api-uk.cronofy.com" } };

static const char *find_data_center(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(data_centers); i++)
		if (strcmp(data_centers[i].name, name) == 0)
			return data_centers[i].url;
	output_complain("no data center \"%s\"; there are: us, au, ca, de, sg, uk", name);
	return NULL;
}

static const char *find_api(const struct invocation *invocation)
{
	const char *data_center = invocation_value(invocation, "data-center"), *api = invocation_value(invocation, "api");
	if (api && data_center) {
		output_complain("either --data-center or --api, not both");
		return NULL;
	}
	if (!api)
		return find_data_center(data_center ? data_center : "us");
	if (strncmp(api, "http://", 7) == 0 || strncmp(api, "https://", 8) == 0)
		return api;
	output_complain("--api is \"%s\"; it takes a whole URL, as https://api.cronofy.com", api);
	return NULL;
}

static int add_url(struct upsert *upsert)
{
	const char *api = find_api(upsert->invocation);
	if (!api)
		return CLI_E_USAGE;
	struct span origin = span_text(api);
	while (origin.n && origin.data[origin.n - 1] == '/')
		origin.n--;
	buffer_add(&upsert->url, origin);
	buffer_add_text(&upsert->url, "/v1/calendars/");
	buffer_add_percent_encoded(&upsert->url, span_text(upsert->calendar)); /* some are addresses of mail */
	buffer_add_text(&upsert->url, "/events");
	upsert->target.ca_file = invocation_value(upsert->invocation, "cacert");
	upsert->target.url = buffer_steal_text(&upsert->url);
	return upsert->target.url ? CLI_OK : -ENOMEM;
}

static int read_token(struct upsert *upsert)
{
	const char *file = invocation_value(upsert->invocation, "token-file"), *text = getenv("BELFRY_CRONOFY_TOKEN");
	CLEANUP(secret_buffer_finish) struct buffer bytes = BUFFER_INIT;
	struct span token = span_text(text);
	if (!file && token.n == 0) {
		output_complain("whose calendar? Give the account's access token with --token-file, or in the environment "
						"variable BELFRY_CRONOFY_TOKEN");
		return CLI_E_USAGE;
	}
	int r = file ? secret_file_read(file, MAX_TOKEN_BYTES, &bytes) : CLI_OK;
	if (r != CLI_OK)
		return r;
	if (file)
		token = buffer_span(&bytes);
	if (!secret_is_token(token)) {
		output_complain("the access token has characters that none has: one line, without blanks, is expected");
		return CLI_E_USAGE;
	}
	return secret_add_authorization(&upsert->authorization, token);
}

static int prepare(struct upsert *upsert)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	const struct config_source *source = NULL;
	upsert->calendar = invocation_value(upsert->invocation, "calendar");
	if (!upsert->calendar) {
		output_complain("which calendar? --calendar takes its id, as cal_n23kjnwrw2_jsdfjksn234");
		return CLI_E_USAGE;
	}
	int r = setup_config(upsert->invocation, &config);
	if (r == CLI_OK)
		r = setup_source(upsert->invocation, config, &source);
	if (r == CLI_OK)
		r = setup_add_callback_uri(upsert->invocation, source, &upsert->callback_uri);
	if (r == CLI_OK)
		r = read_event(upsert);
	return r == CLI_OK ? add_url(upsert) : r;
}

/* ---- the answer ---- */

/* What the statuses mean here. */
static const struct {
	int status;
	const char *words;
} refusals[] = { { 401, "the access token is not valid, or has expired" },
				 { 402, "the application's plan does not allow it" },
				 { 403, "the access token may not write to this calendar" },
				 { 404, "this account has no such calendar" },
				 { 423, "the account is locked" },
				 { 429, "too many requests: later" } };

static void add_refusal(struct buffer *text, const struct http_answer *answer)
{
	for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++)
		if (refusals[i].status == answer->status)
			buffer_add_printf(text, "\n  %s", refusals[i].words);
	if (answer->body.n) {
		buffer_add_text(text, "\n  ");
		printable_add_cut(text, buffer_span(&answer->body), MAX_SHOWN_CHARACTERS);
	}
}

static const char *event_id(const struct upsert *upsert)
{
	return json_string_value(json_object_get(upsert->event, "event_id"));
}

static int print_words(const struct upsert *upsert, const struct http_answer *answer)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	buffer_add_printf(&text, "%d %s in %.1f ms: event ", answer->status, http_status_text(answer->status),
					  (double)answer->elapsed_ns / NS_PER_MS);
	printable_add(&text, span_text(event_id(upsert)));
	buffer_add_text(&text, " in calendar ");
	printable_add(&text, span_text(upsert->calendar));
	if (answer->status == 202) {
		buffer_add_text(&text, "\n  callbacks to ");
		printable_add(&text, buffer_span(&upsert->callback_uri));
	} else {
		add_refusal(&text, answer);
	}
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

static int print_answer(const struct upsert *upsert, const struct http_answer *answer)
{
	if (!invocation_is_json(upsert->invocation))
		return print_words(upsert, answer);
	const struct buffer *uri = &upsert->callback_uri;
	json_t *body = json_loadb(answer->body.data ? answer->body.data : "", answer->body.n, 0, NULL);
	return output_json_new(json_pack("{s:i, s:s, s:s, s:s%, s:o*}", "status", answer->status, "calendar_id",
									 upsert->calendar, "event_id", event_id(upsert), "callback_uri", uri->data, uri->n,
									 "answer", body));
}

static int complain_no_answer(const struct upsert *upsert, const struct http_client *client, int r)
{
	if (r == -ENOMEM)
		return r;
	output_complain("%s: %s", upsert->target.url, r == -ETIME ? "no answer in 30 s" : http_client_error(client));
	return CLI_E_IO;
}

static int post(struct upsert *upsert)
{
	CLEANUP(http_client_destroy) struct http_client *client = NULL;
	CLEANUP(http_answer_finish) struct http_answer answer = { 0 };
	CLEANUP(free) char *body = json_dumps(upsert->event, JSON_COMPACT);
	const char *lines[] = { "Content-Type: application/json; charset=utf-8", upsert->authorization.data };
	struct http_call call = { .url = upsert->target.url,
							  .fields = lines,
							  .n_fields = ARRAY_LENGTH(lines),
							  .is_post = true,
							  .body = span_text(body),
							  .stop_fd = -1,
							  .deadline_ns = clock_monotonic_ns() + ANSWER_TIMEOUT_NS };
	int r = body ? http_client_create(&upsert->target, &client) : -ENOMEM;
	if (r < 0)
		return r;
	r = http_client_run(client, &call, &answer);
	if (r < 0)
		return complain_no_answer(upsert, client, r);
	r = print_answer(upsert, &answer);
	if (r != CLI_OK)
		return r;
	return answer.status == 202 ? CLI_OK : CLI_E_NOT_SO;
}

static int run(const struct invocation *invocation)
{
	CLEANUP(upsert_finish) struct upsert upsert = { .invocation = invocation };
	int r = prepare(&upsert);
	if (r == CLI_OK && invocation_has(invocation, "print"))
		return output_json_new(json_incref(upsert.event));
	if (r == CLI_OK)
		r = read_token(&upsert);
	return r == CLI_OK ? post(&upsert) : r;
}

static const struct command_option options[] = {
	{ "calendar", "ID", false, "The calendar that the event is in." },
	{ "summary", "TEXT", false, "The event's title." },
	{ "start", "TIME", false, "When it begins, as 2026-04-27T15:30:00Z." },
	{ "end", "TIME", false, "When it ends." },
	{ "description", "TEXT", false, "What it is about." },
	{ "event-id", "ID", false,
	  "The application's own id of the event: one that exists is updated. Default: a new one." },
	{ "profile", "ID", false,
	  "The conferencing profile: default (which it is by default), integrated, or the id of one, as pro_..." },
	{ "file", "FILE", false,
	  "Read the event from this file, a JSON object as the provider's documentation has it; - is stdin. Options win "
	  "over what it says, and its subscriptions are replaced." },
	{ "source", "NAME", false, "The source that the callbacks are for, where the configuration has several." },
	{ "tag", "NAME=VALUE", true, "A tag that every callback about this event will carry. As often as needed." },
	{ "data-center", "NAME", false, "Where the account lives: us (the default), au, ca, de, sg, uk." },
	{ "api", "URL", false, "Another server than a data center's, as that of a simulator." },
	{ "token-file", "FILE", false,
	  "The account's access token. The environment variable BELFRY_CRONOFY_TOKEN does the same." },
	{ "print", NULL, false, "Print what would be sent, and send nothing." },
	{ "cacert", "FILE", false, "Trust the certificates in this PEM file." },
	{ 0 },
};

const struct command command_upsert = {
	.name = "upsert",
	.summary = "create or update an event whose callbacks come to this gateway",
	.operands = "",
	.description =
		"Posts an event with conferencing to the provider's API, as an application does, with a subscription to "
		"conferencing_assigned and conferencing_failing at the source's callback URI (see callback-uri). The provider "
		"accepts it first and makes the conference later; \"belfry listen\" shows what becomes of it.\n\n"
		"An update gives the event's new version, whole: what it leaves out may be lost. The exit status is 0 if it "
		"was "
		"accepted, 1 if it was refused, 3 if there was no answer.",
	.examples = "belfry upsert --calendar cal_n23kjnwrw2 --token-file token --summary 'Board meeting' \\\n"
				"    --start 2026-04-27T15:30:00Z --end 2026-04-27T17:00:00Z --tag user=42\n"
				"belfry upsert --calendar cal_n23kjnwrw2 --token-file token --file event.json --data-center de\n"
				"belfry upsert --calendar cal_n23kjnwrw2 --file event.json --print",
	.options = options,
	.max_operands = 0,
	.run = run,
};
