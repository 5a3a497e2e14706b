/* SPDX-License-Identifier: Apache-2.0 */
#include "testing/fake_host.h"

#include "unit.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern const struct belfry_plugin belfry_plugin;

/* All that a template is to this host. */
struct belfry_template {
	const char *text;
};

static struct fake *fake_of(const struct belfry_host *host)
{
	return (struct fake *)(uintptr_t)host;
}

/* Lives as long as the fake. */
static char *lend(struct fake *fake, const char *bytes, size_t n)
{
	char *copy = malloc(n + 1);
	CU_ASSERT_FATAL(copy && fake->n_texts < FAKE_MAX * 8);
	memcpy(copy, bytes, n);
	copy[n] = '\0';
	fake->texts[fake->n_texts++] = copy;
	return copy;
}

/* ---- the host's functions ---- */

static void host_log(const struct belfry_host *host, enum belfry_level level, const char *format, ...)
{
	struct fake *fake = fake_of(host);
	size_t n = strlen(fake->log);
	va_list arguments;
	(void)level;
	va_start(arguments, format);
	(void)vsnprintf(fake->log + n, sizeof fake->log - n, format, arguments);
	va_end(arguments);
}

static void host_reason(const struct belfry_host *host, const char *format, ...)
{
	struct fake *fake = fake_of(host);
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(fake->reason, sizeof fake->reason, format, arguments);
	va_end(arguments);
}

static void host_retry_after(const struct belfry_host *host, int64_t ms)
{
	fake_of(host)->retry_after_ms = ms;
}

/* RFC 6901 without its escapes, which no test needs. */
static const json_t *find(const json_t *value, const char *pointer)
{
	while (value && *pointer == '/') {
		char key[128];
		size_t n = strcspn(++pointer, "/");
		(void)snprintf(key, sizeof key, "%.*s", (int)n, pointer);
		value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10)) : json_object_get(value, key);
		pointer += n;
	}
	return value;
}

static const char *host_field(const struct belfry_host *host, const char *pointer, size_t *ret_n)
{
	struct fake *fake = fake_of(host);
	json_t *body = json_loadb(fake->delivery.body, fake->delivery.n_body, JSON_ALLOW_NUL, NULL);
	const json_t *value = find(body, pointer);
	const char *text = NULL;
	if (json_is_string(value)) {
		text = lend(fake, json_string_value(value), json_string_length(value));
		if (ret_n)
			*ret_n = json_string_length(value);
	} else if (value) {
		char *dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		text = lend(fake, dump, strlen(dump));
		if (ret_n)
			*ret_n = strlen(dump);
		free(dump);
	}
	json_decref(body);
	return text;
}

static const char *host_render(const struct belfry_host *host, const struct belfry_template *template_, size_t *ret_n)
{
	const char *text = template_->text;
	if (*text == '/') {
		text = host_field(host, text, ret_n);
		if (!text)
			host_reason(host, "%s failed", template_->text);
	} else if (ret_n) {
		*ret_n = strlen(text);
	}
	return text;
}

static void keep_request(struct fake *fake, const struct belfry_request *request)
{
	CU_ASSERT_FATAL(fake->n_requests < FAKE_MAX);
	struct fake_request *kept = &fake->requests[fake->n_requests++];
	char headers[8192] = "";
	for (size_t i = 0; i < request->n_headers; i++) {
		size_t n = strlen(headers);
		(void)snprintf(headers + n, sizeof headers - n, "%s: %s\n", request->headers[i].name,
					   request->headers[i].value);
	}
	kept->method = lend(fake, request->method ? request->method : "", request->method ? strlen(request->method) : 0);
	kept->url = lend(fake, request->url, strlen(request->url));
	kept->headers = lend(fake, headers, strlen(headers));
	kept->body = lend(fake, request->body ? request->body : "", request->n_body);
	kept->n_body = request->n_body;
}

static int host_http(const struct belfry_host *host, const struct belfry_request *request,
					 struct belfry_response *response)
{
	struct fake *fake = fake_of(host);
	CU_ASSERT_EQUAL(request->size, sizeof *request);
	CU_ASSERT_EQUAL(response->size, sizeof *response);
	keep_request(fake, request);
	if (fake->on_request)
		fake->on_request(fake);
	CU_ASSERT_FATAL(fake->n_answered < fake->n_answers);
	const struct fake_answer *answer = &fake->answers[fake->n_answered++];
	if (answer->r < 0) {
		host_reason(host, "no answer");
		return answer->r;
	}
	response->status = answer->status;
	response->body = answer->body;
	response->n_body = strlen(answer->body);
	response->retry_after_ms = answer->retry_after_ms;
	return 0;
}

static struct fake_state *find_state(struct fake *fake, const char *key)
{
	for (size_t i = 0; i < fake->n_states; i++)
		if (strcmp(fake->states[i].key, key) == 0)
			return &fake->states[i];
	return NULL;
}

static int host_get_state(const struct belfry_host *host, const char *key, const char **ret_data, size_t *ret_n)
{
	const struct fake_state *state = find_state(fake_of(host), key);
	if (!state || !state->value)
		return -ENOENT;
	*ret_data = state->value;
	*ret_n = state->n;
	return 0;
}

static int host_set_state(const struct belfry_host *host, const char *key, const char *data, size_t n)
{
	struct fake *fake = fake_of(host);
	struct fake_state *state = find_state(fake, key);
	CU_ASSERT(*key && strlen(key) <= 128 && n <= 16384);
	if (fake->set_state_r < 0)
		return fake->set_state_r;
	if (!state) {
		CU_ASSERT_FATAL(fake->n_states < FAKE_MAX);
		state = &fake->states[fake->n_states++];
		state->key = lend(fake, key, strlen(key));
	}
	state->value = data ? lend(fake, data, n) : NULL;
	state->n = n;
	return 0;
}

static int host_latest(const struct belfry_host *host, const char *event_id, const char **ret_body, size_t *ret_n)
{
	struct fake *fake = fake_of(host);
	CU_ASSERT_STRING_EQUAL(event_id, fake->delivery.event_id);
	if (!fake->latest)
		return -ENOENT;
	*ret_body = fake->latest;
	*ret_n = strlen(fake->latest);
	return 0;
}

static int host_callback_uri(const struct belfry_host *host, const struct belfry_tag *tags, size_t n_tags,
							 const char **ret_uri)
{
	struct fake *fake = fake_of(host);
	char uri[4096] = "https://gateway.example.com/callbacks/cronofy";
	if (fake->callback_uri_r < 0)
		return fake->callback_uri_r;
	for (size_t i = 0; i < n_tags; i++) {
		size_t n = strlen(uri);
		(void)snprintf(uri + n, sizeof uri - n, "%c%s=%s", i ? '&' : '?', tags[i].name, tags[i].value);
	}
	*ret_uri = lend(fake, uri, strlen(uri));
	return 0;
}

static int64_t host_remaining_ms(const struct belfry_host *host)
{
	return fake_of(host)->remaining_ms;
}

/* ---- options ---- */

static const struct belfry_option *find_option(const char *name)
{
	size_t n = strcspn(name, ".");
	for (const struct belfry_option *o = belfry_plugin.options; o && o->name; o++)
		if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
			return o;
	CU_FAIL_FATAL("no such option");
	return NULL;
}

static int64_t number_of(const struct belfry_option *option, const char *text)
{
	static const struct {
		const char *unit;
		int64_t factor;
	} units[] = { { "", 1 },        { "ms", 1 },       { "s", 1000 },   { "m", 60000 },
				  { "h", 3600000 }, { "d", 86400000 }, { "KiB", 1024 }, { "MiB", 1048576 } };
	char *end;
	int64_t value = strtoll(text, &end, 10);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strcmp(units[i].unit, end) == 0)
			value *= units[i].factor;
	if (option->least != option->most)
		CU_ASSERT(value >= option->least && value <= option->most);
	return value;
}

static int64_t index_of(const struct belfry_option *option, const char *word)
{
	for (int64_t i = 0; option->names[i]; i++)
		if (strcmp(option->names[i], word) == 0)
			return i;
	CU_FAIL_FATAL("no such word");
	return 0;
}

static const struct belfry_template *make_template(struct fake *fake, const char *text)
{
	struct belfry_template made = { text };
	return (const struct belfry_template *)(void *)lend(fake, (const char *)&made, sizeof made);
}

static union belfry_entry make_entry(struct fake *fake, uint32_t type, const char *text)
{
	union belfry_entry entry = { .text = text };
	if (type == BELFRY_TEMPLATE)
		entry.template_ = make_template(fake, text);
	return entry;
}

static void add_to_list(struct fake *fake, const struct belfry_option *option, struct belfry_list *list,
						const char *text)
{
	union belfry_entry entries[FAKE_MAX];
	memcpy(entries, list->entries ? list->entries : entries, list->n * sizeof *entries);
	entries[list->n++] = make_entry(fake, option->entry, text);
	list->entries = (const union belfry_entry *)(void *)lend(fake, (const char *)entries, list->n * sizeof *entries);
}

static void add_to_map(struct fake *fake, const struct belfry_option *option, struct belfry_map *map, const char *name,
					   const char *text)
{
	struct belfry_pair pairs[FAKE_MAX];
	memcpy(pairs, map->pairs ? map->pairs : pairs, map->n * sizeof *pairs);
	pairs[map->n++] = (struct belfry_pair){ name, make_entry(fake, option->entry, text) };
	map->pairs = (const struct belfry_pair *)(void *)lend(fake, (const char *)pairs, map->n * sizeof *pairs);
}

static void set_option(struct fake *fake, const struct belfry_option *option, const char *name, const char *text)
{
	void *field = (char *)fake->conf + option->offset;
	switch ((enum belfry_option_type)option->type) {
	case BELFRY_STRING:
	case BELFRY_SECRET:
	case BELFRY_URL:
		*(const char **)field = text;
		break;
	case BELFRY_INTEGER:
	case BELFRY_DURATION:
	case BELFRY_SIZE:
		*(int64_t *)field = number_of(option, text);
		break;
	case BELFRY_BOOLEAN:
		*(bool *)field = strcmp(text, "true") == 0;
		break;
	case BELFRY_ENUM:
		*(int64_t *)field = index_of(option, text);
		break;
	case BELFRY_LIST:
		add_to_list(fake, option, field, text);
		break;
	case BELFRY_MAP:
		add_to_map(fake, option, field, name + strcspn(name, ".") + 1, text);
		break;
	case BELFRY_TEMPLATE:
		*(const struct belfry_template **)field = make_template(fake, text);
		break;
	}
}

static void set_options(struct fake *fake, const char *const *options)
{
	for (const struct belfry_option *o = belfry_plugin.options; o && o->name; o++) {
		CU_ASSERT_PTR_NOT_NULL(o->help);
		if (o->fallback)
			set_option(fake, o, o->name, o->fallback);
	}
	for (; *options; options += 2)
		set_option(fake, find_option(options[0]), options[0], options[1]);
}

/* ---- for the test ---- */

int fake_create(struct fake *fake, const char *const *options)
{
	*fake = (struct fake){
		.host = { .size = sizeof fake->host,
				  .log = host_log,
				  .reason = host_reason,
				  .retry_after = host_retry_after,
				  .field = host_field,
				  .render = host_render,
				  .http = host_http,
				  .get_state = host_get_state,
				  .set_state = host_set_state,
				  .latest = host_latest,
				  .callback_uri = host_callback_uri,
				  .remaining_ms = host_remaining_ms },
		.remaining_ms = 30000,
		.retry_after_ms = -1,
	};
	fake->delivery = (struct belfry_delivery){
		.size = sizeof fake->delivery,
		.key = "k3x9-42.0:handler",
		.handler = "handler",
		.position = "k3x9-42",
		.source = "cronofy",
		.event_id = "evt",
		.interaction = "conferencing_failing",
		.subtype = "profile_missing",
		.tags = fake->tags,
		.received_ms = 1775001600123,
		.attempt = 1,
		.max_attempts = 5,
		.body = "{}",
		.n_body = 2,
		.traceparent = "",
	};
	fake->conf = calloc(1, belfry_plugin.conf_size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fake->conf);
	set_options(fake, options);
	fake->self = fake->conf;
	return belfry_plugin.create ? belfry_plugin.create(&fake->host, fake->conf, &fake->self) : 0;
}

void fake_begin(struct fake *fake, const char *const *options)
{
	CU_ASSERT_EQUAL_FATAL(fake_create(fake, options), 0);
}

void fake_end(struct fake *fake)
{
	if (belfry_plugin.destroy && fake->self != fake->conf)
		belfry_plugin.destroy(fake->self);
	for (size_t i = 0; i < fake->n_texts; i++)
		free(fake->texts[i]);
	free(fake->conf);
}

void fake_set_body_bytes(struct fake *fake, const char *body, size_t n)
{
	fake->delivery.body = body;
	fake->delivery.n_body = n;
}

void fake_set_body(struct fake *fake, const char *body)
{
	fake_set_body_bytes(fake, body, strlen(body));
}

void fake_add_tag(struct fake *fake, const char *name, const char *value)
{
	fake->tags[fake->delivery.n_tags++] = (struct belfry_tag){ name, value };
}

static void add_answer(struct fake *fake, struct fake_answer answer)
{
	CU_ASSERT_FATAL(fake->n_answers < FAKE_MAX);
	fake->answers[fake->n_answers++] = answer;
}

void fake_answer(struct fake *fake, int64_t status, const char *body)
{
	add_answer(fake, (struct fake_answer){ .status = status, .retry_after_ms = -1, .body = body });
}

void fake_answer_later(struct fake *fake, int64_t status, int64_t retry_after_ms)
{
	add_answer(fake, (struct fake_answer){ .status = status, .retry_after_ms = retry_after_ms, .body = "" });
}

void fake_fail(struct fake *fake, int r)
{
	add_answer(fake, (struct fake_answer){ .r = r });
}

int fake_handle(struct fake *fake)
{
	fake->reason[0] = '\0';
	fake->retry_after_ms = -1;
	int outcome = belfry_plugin.handle(fake->self, &fake->host, &fake->delivery);
	CU_ASSERT_EQUAL(fake->n_answered, fake->n_answers);
	return outcome;
}

bool fake_has_header(const struct fake *fake, size_t request, const char *line)
{
	char wanted[1024];
	(void)snprintf(wanted, sizeof wanted, "%s\n", line);
	const char *found = strstr(fake->requests[request].headers, wanted);
	return found && (found == fake->requests[request].headers || found[-1] == '\n');
}
