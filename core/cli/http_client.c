/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http_client.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <errno.h>

/* Chunks that --chunked cuts a body into: small, so that whoever decodes them has to work. */
#define CHUNK_BYTES 16

struct http_client {
	const struct target *target;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *connect_to;
	char error[CURL_ERROR_SIZE + 64]; /* curl's text, and maybe a hint */
};

/* What the callbacks of one call need. */
struct exchange {
	struct http_client *client;
	const struct http_call *call;
	struct http_answer *answer;
	struct span unsent;
	uint64_t last_byte_ns;
	int stopped_by; /* what on_body returned */
};

void http_answer_finish(struct http_answer *answer)
{
	buffer_finish(&answer->body);
}

const char *http_client_error(const struct http_client *client)
{
	return client->error;
}

static void read_head(struct exchange *exchange)
{
	long status = 0;
	char *type = NULL;
	curl_off_t retry_after = 0;
	(void)curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(exchange->client->easy, CURLINFO_CONTENT_TYPE, &type);
	(void)curl_easy_getinfo(exchange->client->easy, CURLINFO_RETRY_AFTER, &retry_after);
	exchange->answer->status = (int)status;
	exchange->answer->is_event_stream = type && strncasecmp(type, "text/event-stream", 17) == 0;
	exchange->answer->retry_after_ms = retry_after > 0 && retry_after < INT32_MAX ? retry_after * MS_PER_S : -1;
}

static size_t on_bytes(char *data, size_t size, size_t n, void *context)
{
	struct exchange *exchange = context;
	struct span bytes = span_of(data, size * n);
	exchange->last_byte_ns = clock_monotonic_ns();
	read_head(exchange);
	if (exchange->call->on_body && exchange->answer->status == 200) {
		exchange->stopped_by = exchange->call->on_body(exchange->call->context, bytes);
		return exchange->stopped_by ? CURL_WRITEFUNC_ERROR : bytes.n;
	}
	size_t room = HTTP_CLIENT_MAX_BODY_BYTES - exchange->answer->body.n;
	buffer_add(&exchange->answer->body, span_of(bytes.data, bytes.n < room ? bytes.n : room));
	return exchange->answer->body.failed ? CURL_WRITEFUNC_ERROR : bytes.n;
}

static size_t on_upload(char *room, size_t size, size_t n, void *context)
{
	struct exchange *exchange = context;
	size_t take = size * n < CHUNK_BYTES ? size * n : CHUNK_BYTES;
	if (take > exchange->unsent.n)
		take = exchange->unsent.n;
	if (take)
		memcpy(room, exchange->unsent.data, take);
	exchange->unsent = span_skip(exchange->unsent, take);
	return take;
}

static bool set_target(struct http_client *client)
{
	const struct target *target = client->target;
	CURL *easy = client->easy;
	long verify = target->is_insecure ? 0 : 1;
	bool is_set = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_USERAGENT, "belfry/" BELFRY_VERSION) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->error) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, verify) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, verify * 2) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 10000L) == CURLE_OK;
	if (target->ca_file)
		is_set = is_set && curl_easy_setopt(easy, CURLOPT_CAINFO, target->ca_file) == CURLE_OK;
	if (target->unix_path)
		is_set = is_set && curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, target->unix_path) == CURLE_OK;
	if (client->connect_to)
		is_set = is_set && curl_easy_setopt(easy, CURLOPT_CONNECT_TO, client->connect_to) == CURLE_OK;
	if (target->is_local)
		is_set = is_set && curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK;
	return is_set;
}

int http_client_create(const struct target *target, struct http_client **ret_client)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	CLEANUP(http_client_destroy) struct http_client *client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	client->target = target;
	client->multi = curl_multi_init();
	client->easy = curl_easy_init();
	if (target->connect_to)
		client->connect_to = curl_slist_append(NULL, target->connect_to);
	if (!client->multi || !client->easy || (target->connect_to && !client->connect_to))
		return -ENOMEM;
	*ret_client = STEAL(client);
	return 0;
}

void http_client_destroy(struct http_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->easy);
	(void)curl_multi_cleanup(client->multi);
	curl_slist_free_all(client->connect_to);
	free(client);
}

static void curl_slist_free_all_cleanup(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static bool add_field(struct curl_slist **list, const char *field)
{
	struct curl_slist *longer = curl_slist_append(*list, field);
	if (longer)
		*list = longer;
	return longer != NULL;
}

/* The call's own fields, and without those that curl would add by itself. */
static bool make_fields(const struct http_call *call, struct curl_slist **list)
{
	bool is_made = add_field(list, "Expect:");
	if (call->is_chunked)
		is_made = is_made && add_field(list, "Transfer-Encoding: chunked");
	for (size_t i = 0; i < call->n_fields; i++)
		is_made = is_made && add_field(list, call->fields[i]);
	return is_made;
}

static bool set_post(CURL *easy, const struct http_call *call, struct exchange *exchange)
{
	if (curl_easy_setopt(easy, CURLOPT_POST, 1L) != CURLE_OK)
		return false;
	if (call->is_chunked)
		return curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload) == CURLE_OK &&
			   curl_easy_setopt(easy, CURLOPT_READDATA, exchange) == CURLE_OK;
	return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.n ? call->body.data : "") == CURLE_OK;
}

static bool set_call(struct exchange *exchange, struct curl_slist *fields)
{
	CURL *easy = exchange->client->easy;
	curl_easy_reset(easy); /* keeps connections */
	return set_target(exchange->client) && curl_easy_setopt(easy, CURLOPT_URL, exchange->call->url) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange) == CURLE_OK &&
		   (!exchange->call->is_post || set_post(easy, exchange->call, exchange));
}

/* Until when to wait: the earlier of deadline and idleness. UINT64_MAX for ever. */
static uint64_t wait_until(const struct exchange *exchange)
{
	const struct http_call *call = exchange->call;
	uint64_t until = call->deadline_ns ? call->deadline_ns : UINT64_MAX;
	uint64_t idle = UINT64_MAX;
	if (call->idle_timeout_ms)
		idle = exchange->last_byte_ns + (uint64_t)call->idle_timeout_ms * NS_PER_MS;
	return idle < until ? idle : until;
}

/* Sleeps until something happens. 0, or why to give up. */
static int wait(struct exchange *exchange)
{
	struct curl_waitfd stop = { .fd = exchange->call->stop_fd, .events = CURL_WAIT_POLLIN };
	uint64_t now = clock_monotonic_ns(), until = wait_until(exchange);
	if (now >= until)
		return until == exchange->call->deadline_ns ? -ETIME : -ETIMEDOUT;
	uint64_t ms = (until - now) / NS_PER_MS + 1;
	if (curl_multi_poll(exchange->client->multi, &stop, stop.fd >= 0, ms < 60000 ? (int)ms : 60000, NULL) != CURLM_OK)
		return -ENOMEM;
	return stop.revents ? -EINTR : 0;
}

/* The outcome once curl has finished the transfer. */
static int finish(struct exchange *exchange)
{
	struct http_client *client = exchange->client;
	int n_left;
	CURLMsg *message = curl_multi_info_read(client->multi, &n_left);
	CURLcode code = message ? message->data.result : CURLE_OUT_OF_MEMORY;
	read_head(exchange);
	if (exchange->stopped_by)
		return exchange->stopped_by;
	if (code == CURLE_OK)
		return 0;
	if (code == CURLE_OUT_OF_MEMORY || exchange->answer->body.failed)
		return -ENOMEM;
	if (client->error[0] == '\0')
		(void)snprintf(client->error, sizeof client->error, "%s", curl_easy_strerror(code));
	if (code == CURLE_PEER_FAILED_VERIFICATION) {
		size_t n = strlen(client->error);
		(void)snprintf(client->error + n, sizeof client->error - n, " (--cacert FILE trusts it, --insecure all)");
	}
	return -EHOSTUNREACH;
}

static int transfer(struct exchange *exchange)
{
	int n_running = 1;
	for (;;) {
		if (curl_multi_perform(exchange->client->multi, &n_running) != CURLM_OK)
			return -ENOMEM;
		if (n_running == 0)
			return finish(exchange);
		int r = wait(exchange);
		if (r < 0)
			return r;
	}
}

int http_client_run(struct http_client *client, const struct http_call *call, struct http_answer *ret_answer)
{
	*ret_answer = (struct http_answer){ .retry_after_ms = -1 };
	uint64_t start_ns = clock_monotonic_ns();
	struct exchange exchange = {
		.client = client, .call = call, .answer = ret_answer, .unsent = call->body, .last_byte_ns = start_ns
	};
	CLEANUP(curl_slist_free_all) struct curl_slist *fields = NULL;
	client->error[0] = '\0';
	if (!make_fields(call, &fields) || !set_call(&exchange, fields) ||
		curl_multi_add_handle(client->multi, client->easy) != CURLM_OK)
		return -ENOMEM;
	int r = transfer(&exchange);
	(void)curl_multi_remove_handle(client->multi, client->easy);
	ret_answer->elapsed_ns = clock_monotonic_ns() - start_ns;
	return r;
}
