/* SPDX-License-Identifier: Apache-2.0 */
#include "host/outgoing.h"

#include "base/clock.h"
#include "host/address.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 10000L

struct outgoing {
	CURL *easy;
	bool can_reach_inner;
	/* of the answer */
	struct buffer body, head; /* head: names and values, each with a NUL */
	struct belfry_header headers[OUTGOING_MAX_HEADERS];
	size_t n_headers;
	bool is_too_large;
	char refused[ADDRESS_TEXT_SIZE]; /* the inner address, if one was refused */
	char error[CURL_ERROR_SIZE];
};

/* A URL of which only what we connect to is of interest. */
struct place {
	char *scheme, *host, *port;
};

int outgoing_create(bool can_reach_inner, struct outgoing **ret_outgoing)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	CLEANUP(outgoing_destroy) struct outgoing *outgoing = calloc(1, sizeof *outgoing);
	if (!outgoing)
		return -ENOMEM;
	outgoing->can_reach_inner = can_reach_inner;
	outgoing->easy = curl_easy_init();
	if (!outgoing->easy)
		return -ENOMEM;
	*ret_outgoing = STEAL(outgoing);
	return 0;
}

void outgoing_destroy(struct outgoing *outgoing)
{
	if (!outgoing)
		return;
	curl_easy_cleanup(outgoing->easy);
	buffer_finish(&outgoing->body);
	buffer_finish(&outgoing->head);
	free(outgoing);
}

static void place_finish(struct place *place)
{
	curl_free(place->scheme);
	curl_free(place->host);
	curl_free(place->port);
}

static void place_finish_cleanup(struct place *place)
{
	place_finish(place);
}

/* ---- judging the request ---- */

static int refuse(struct buffer *reason, const char *why)
{
	buffer_add_text(reason, why);
	return reason->failed ? -ENOMEM : -EINVAL;
}

/* 0, or -EINVAL if it is no URL of the kind that is asked for. */
static int read_place(const char *url, struct place *ret_place, struct buffer *reason)
{
	CURLU *parsed = curl_url();
	if (!parsed)
		return -ENOMEM;
	char *user = NULL;
	bool is_url = url && curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
				  curl_url_get(parsed, CURLUPART_SCHEME, &ret_place->scheme, 0) == CURLUE_OK &&
				  curl_url_get(parsed, CURLUPART_HOST, &ret_place->host, 0) == CURLUE_OK &&
				  curl_url_get(parsed, CURLUPART_PORT, &ret_place->port, CURLU_DEFAULT_PORT) == CURLUE_OK;
	bool has_user = curl_url_get(parsed, CURLUPART_USER, &user, 0) == CURLUE_OK;
	curl_free(user);
	curl_url_cleanup(parsed);
	if (!is_url || (strcmp(ret_place->scheme, "http") != 0 && strcmp(ret_place->scheme, "https") != 0))
		return refuse(reason, "the URL is none: it must be http://HOST or https://HOST and so on");
	return has_user ? refuse(reason, "the URL has a user in it: use a header") : 0;
}

static bool is_method(const char *method)
{
	size_t n = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return n >= 1 && n <= 16 && method[n] == '\0' && strcmp(method, "CONNECT") != 0;
}

static bool is_token(const char *name)
{
	size_t n = 0;
	while (isalnum((unsigned char)name[n]) || (name[n] && strchr("!#$%&'*+-.^_`|~", name[n])))
		n++;
	return n >= 1 && n <= 128 && name[n] == '\0';
}

static bool is_value(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return false;
	return true;
}

/* What decides about the message's bounds, or about the connection. */
static bool is_ours(const char *name)
{
	static const char *const ours[] = {
		"Host",
		"Content-Length",
		"Connection",
		"Transfer-Encoding",
		"TE",
		"Trailer",
		"Upgrade",
		"Keep-Alive",
		"Expect",
		"Proxy-Connection",
		"Proxy-Authorization",
		"HTTP2-Settings",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(ours); i++)
		if (strcasecmp(name, ours[i]) == 0)
			return true;
	return false;
}

static int judge_headers(const struct belfry_request *request, struct buffer *reason)
{
	if (request->n_headers > OUTGOING_MAX_HEADERS)
		return refuse(reason, "the request has too many headers");
	for (size_t i = 0; i < request->n_headers; i++) {
		const struct belfry_header *header = &request->headers[i];
		if (!header->name || !is_token(header->name))
			return refuse(reason, "the request has a header whose name is none");
		if (is_ours(header->name)) {
			buffer_add_printf(reason, "the request has a header %s, which is not the plugin's to set", header->name);
			return reason->failed ? -ENOMEM : -EINVAL;
		}
		if (!header->value || !is_value(header->value)) {
			buffer_add_printf(reason, "the request's header %s has a control character in it", header->name);
			return reason->failed ? -ENOMEM : -EINVAL;
		}
	}
	return 0;
}

/* ---- what curl calls ---- */

/* Each address, in the moment in which it is connected to. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct outgoing *outgoing = context;
	if (purpose != CURLSOCKTYPE_IPCXN || (!outgoing->can_reach_inner && address_is_inner(&address->addr))) {
		address_format(&address->addr, outgoing->refused);
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
	struct outgoing *outgoing = context;
	if (size * n > OUTGOING_MAX_BODY_BYTES - outgoing->body.n) {
		outgoing->is_too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	buffer_add(&outgoing->body, span_of(data, size * n));
	return outgoing->body.failed ? CURL_WRITEFUNC_ERROR : size * n;
}

/* A line of the head: a status line begins a new answer (100 Continue came before, say). */
static size_t on_head(char *data, size_t size, size_t n, void *context)
{
	struct outgoing *outgoing = context;
	struct span line = span_of(data, size * n), name;
	if (span_starts_with(line, SPAN("HTTP/"))) {
		outgoing->head.n = outgoing->n_headers = 0;
		return size * n;
	}
	while (line.n && (line.data[line.n - 1] == '\n' || line.data[line.n - 1] == '\r'))
		line.n--;
	if (!span_next(&line, ':', &name) || !line.data || name.n == 0 || memchr(data, '\0', size * n))
		return size * n;
	if (outgoing->n_headers == OUTGOING_MAX_HEADERS || outgoing->head.n + size * n > OUTGOING_MAX_HEAD_BYTES) {
		outgoing->is_too_large = true;
		return CURL_WRITEFUNC_ERROR;
	}
	for (size_t i = 0; i < name.n; i++)
		buffer_add_char(&outgoing->head, (char)tolower((unsigned char)name.data[i]));
	buffer_add_char(&outgoing->head, '\0');
	buffer_add(&outgoing->head, span_trim(line));
	buffer_add_char(&outgoing->head, '\0');
	outgoing->n_headers++;
	return outgoing->head.failed ? CURL_WRITEFUNC_ERROR : size * n;
}

/* ---- one exchange ---- */

static bool add_header(struct curl_slist **list, const struct belfry_header *header)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	struct span value = span_trim(span_text(header->value));
	buffer_add_text(&line, header->name);
	buffer_add_text(&line, value.n ? ": " : ";"); /* curl's way to say: with an empty value */
	buffer_add(&line, value);
	buffer_add_char(&line, '\0');
	struct curl_slist *grown = line.failed ? NULL : curl_slist_append(*list, line.data);
	if (grown)
		*list = grown;
	return grown;
}

static bool add_headers(struct curl_slist **list, const struct belfry_request *request)
{
	bool has_type = false;
	for (size_t i = 0; i < request->n_headers; i++) {
		has_type = has_type || strcasecmp(request->headers[i].name, "Content-Type") == 0;
		if (!add_header(list, &request->headers[i]))
			return false;
	}
	/* what curl would add by itself */
	struct curl_slist *grown = curl_slist_append(*list, "Expect:");
	if (grown && !has_type)
		grown = curl_slist_append(*list = grown, "Content-Type:");
	if (grown)
		*list = grown;
	return grown;
}

static bool set_guard(struct outgoing *outgoing, long timeout_ms)
{
	CURL *easy = outgoing->easy;
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, outgoing) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS) == CURLE_OK;
}

static bool set_answer(struct outgoing *outgoing)
{
	CURL *easy = outgoing->easy;
	return curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_WRITEDATA, outgoing) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_HEADERDATA, outgoing) == CURLE_OK &&
		   curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, outgoing->error) == CURLE_OK;
}

static bool set_request(struct outgoing *outgoing, const struct belfry_request *request, const char *method,
						const char *url, struct curl_slist *headers)
{
	CURL *easy = outgoing->easy;
	bool has_body = request->n_body && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
	bool is_set = curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_USERAGENT, "belfry/" BELFRY_VERSION) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
				  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
	if (is_set && (has_body || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0))
		is_set = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(has_body ? request->n_body : 0)) ==
					 CURLE_OK &&
				 curl_easy_setopt(easy, CURLOPT_POSTFIELDS, has_body ? request->body : "") == CURLE_OK;
	if (is_set && strcmp(method, "HEAD") == 0)
		is_set = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
	return is_set && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
}

static const struct {
	CURLcode code;
	int error;
} errors[] = {
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT }, { CURLE_COULDNT_RESOLVE_HOST, -ENOTUNIQ },
	{ CURLE_COULDNT_CONNECT, -ECONNREFUSED }, { CURLE_OUT_OF_MEMORY, -ENOMEM },
	{ CURLE_URL_MALFORMAT, -EINVAL },
};

static int judge_failure(struct outgoing *outgoing, CURLcode code, struct buffer *reason)
{
	int error = -EPROTO;
	long number = 0;
	if (outgoing->is_too_large) {
		buffer_add_printf(reason, "the answer is too large: more than %d bytes, or too many headers",
						  OUTGOING_MAX_BODY_BYTES);
		return -EMSGSIZE;
	}
	if (*outgoing->refused && code == CURLE_COULDNT_CONNECT) {
		buffer_add_printf(reason, "%s is an inner address, which `allow: [inner]` would permit", outgoing->refused);
		return -EACCES;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(errors); i++)
		if (errors[i].code == code)
			error = errors[i].error;
	(void)curl_easy_getinfo(outgoing->easy, CURLINFO_OS_ERRNO, &number);
	if (code == CURLE_COULDNT_CONNECT && (number == EHOSTUNREACH || number == ENETUNREACH))
		error = -EHOSTUNREACH;
	buffer_add_text(reason, *outgoing->error ? outgoing->error : curl_easy_strerror(code));
	return error;
}

static int exchange(struct outgoing *outgoing, const struct belfry_request *request, const char *method,
					const char *url, int64_t timeout_ms, struct buffer *reason)
{
	struct curl_slist *headers = NULL;
	outgoing->body.n = outgoing->head.n = outgoing->n_headers = 0;
	outgoing->is_too_large = false;
	outgoing->refused[0] = outgoing->error[0] = '\0';
	if (timeout_ms < 1) {
		buffer_add_text(reason, "there is no time left");
		return -ETIMEDOUT;
	}
	curl_easy_reset(outgoing->easy); /* connections stay open */
	int r = add_headers(&headers, request) && set_request(outgoing, request, method, url, headers) &&
					set_guard(outgoing, timeout_ms < INT32_MAX ? (long)timeout_ms : INT32_MAX) && set_answer(outgoing)
				? 0
				: -ENOMEM;
	CURLcode code = r == 0 ? curl_easy_perform(outgoing->easy) : CURLE_OUT_OF_MEMORY;
	curl_slist_free_all(headers);
	if (r == 0 && (outgoing->body.failed || outgoing->head.failed))
		r = -ENOMEM;
	if (r == 0 && code != CURLE_OK)
		r = judge_failure(outgoing, code, reason);
	return reason->failed ? -ENOMEM : r;
}

/* ---- redirects ---- */

static bool is_same_place(const struct place *from, const struct place *to)
{
	if (strcasecmp(from->host, to->host) != 0)
		return false;
	if (strcmp(from->scheme, to->scheme) == 0)
		return strcmp(from->port, to->port) == 0;
	return strcmp(to->scheme, "https") == 0 && strcmp(from->port, "80") == 0 && strcmp(to->port, "443") == 0;
}

/* Where the answer sends us, if we go there: the caller frees it with curl. *method may become GET. */
static char *follow(struct outgoing *outgoing, const struct place *from, const char **method)
{
	long status = 0;
	char *url = NULL;
	struct place to = { 0 };
	CLEANUP(buffer_finish) struct buffer ignored = BUFFER_INIT;
	(void)curl_easy_getinfo(outgoing->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(outgoing->easy, CURLINFO_REDIRECT_URL, &url);
	bool is_reading = strcmp(*method, "GET") == 0 || strcmp(*method, "HEAD") == 0;
	if (!url || !(status == 303 || status == 307 || status == 308 || (is_reading && (status == 301 || status == 302))))
		return NULL;
	bool is_same = read_place(url, &to, &ignored) == 0 && is_same_place(from, &to);
	place_finish(&to);
	if (is_same && status == 303 && !is_reading)
		*method = "GET";
	return is_same ? strdup(url) : NULL;
}

/* ---- the answer ---- */

int64_t outgoing_read_retry_after(struct span value, int64_t now_s)
{
	uint64_t seconds;
	if (span_to_u64(value, UINT64_MAX, &seconds))
		return seconds < OUTGOING_MAX_RETRY_AFTER_MS / MS_PER_S ? (int64_t)seconds * MS_PER_S
																: OUTGOING_MAX_RETRY_AFTER_MS;
	CLEANUP(free) char *text = span_dup(value);
	time_t date = text && value.n > 4 && value.data[3] == ',' ? curl_getdate(text, NULL) : -1;
	if (date < 0)
		return -1;
	int64_t wait = date > now_s ? date - now_s : 0;
	return wait < OUTGOING_MAX_RETRY_AFTER_MS / MS_PER_S ? wait * MS_PER_S : OUTGOING_MAX_RETRY_AFTER_MS;
}

static int fill_response(struct outgoing *outgoing, struct belfry_response *ret_response)
{
	long status = 0;
	(void)curl_easy_getinfo(outgoing->easy, CURLINFO_RESPONSE_CODE, &status);
	buffer_add_char(&outgoing->body, '\0');
	if (outgoing->body.failed)
		return -ENOMEM;
	*ret_response = (struct belfry_response){ .size = sizeof *ret_response,
											  .status = status,
											  .body = outgoing->body.data,
											  .n_body = outgoing->body.n - 1,
											  .retry_after_ms = -1,
											  .headers = outgoing->headers,
											  .n_headers = outgoing->n_headers };
	const char *text = outgoing->head.data;
	for (size_t i = 0; i < outgoing->n_headers; i++) {
		outgoing->headers[i].name = text;
		outgoing->headers[i].value = text += strlen(text) + 1;
		text += strlen(text) + 1;
		if (strcmp(outgoing->headers[i].name, "retry-after") == 0)
			ret_response->retry_after_ms =
				outgoing_read_retry_after(span_text(outgoing->headers[i].value), clock_wall_ms() / MS_PER_S);
	}
	return 0;
}

int outgoing_send(struct outgoing *outgoing, const struct belfry_request *request, int64_t timeout_ms,
				  struct belfry_response *ret_response, struct buffer *reason)
{
	CLEANUP(place_finish) struct place place = { 0 };
	CLEANUP(free) char *url = NULL;
	const char *method = request->method ? request->method : request->n_body ? "POST" : "GET";
	uint64_t end_ns = clock_monotonic_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
	int r = is_method(method) ? read_place(request->url, &place, reason) : refuse(reason, "the method is none");
	if (r == 0)
		r = judge_headers(request, reason);
	for (int i = 0; r == 0; i++) {
		int64_t left_ms = ((int64_t)end_ns - (int64_t)clock_monotonic_ns()) / (int64_t)NS_PER_MS;
		r = exchange(outgoing, request, method, url ? url : request->url, left_ms, reason);
		char *next = r == 0 && i < OUTGOING_MAX_REDIRECTS ? follow(outgoing, &place, &method) : NULL;
		if (!next)
			break;
		free(url);
		url = next;
	}
	return r == 0 ? fill_response(outgoing, ret_response) : r;
}
