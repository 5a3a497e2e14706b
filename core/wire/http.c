/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head is read from left to right, once, and never looks back: the first byte that cannot be right decides. So a
 * head that arrives in pieces gets the answer that it would get whole, and garbage is sent away at its first bytes.
 * Every byte is looked up in one table that says where it may stand.
 */
#include "wire/http.h"

#define MAX_METHOD_BYTES 32
#define MAX_TARGET_BYTES 10000
#define MAX_LENGTH_DIGITS 19 /* fits 64 bits whatever the digits */
#define MAX_CHUNK_DIGITS 16
#define MAX_CHUNK_LINE_BYTES 256
#define MAX_TRAILER_BYTES 4096
#define VERSION_BYTES 8 /* "HTTP/1.1" */

/* Where a byte may stand. */
enum {
	IN_TOKEN = 1,  /* methods and names (RFC 9110 5.6.2) */
	IN_TARGET = 2, /* visible ASCII without '#', which some would cut at */
	IN_VALUE = 4,  /* all but control characters; beyond ASCII is for the reader of the field to judge */
	IN_HOST = 8,   /* names, addresses, a port; not what else RFC 3986 allows and nobody has */
};

#define IS_ALNUM(c) (((c) >= '0' && (c) <= '9') || ((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
#define IS_TOKEN(c)                                                                                        \
	(IS_ALNUM(c) || (c) == '!' || ((c) >= '#' && (c) <= '\'') || (c) == '*' || (c) == '+' || (c) == '-' || \
	 (c) == '.' || (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' || (c) == '~')
#define IS_TARGET(c) ((c) > ' ' && (c) < 0x7f && (c) != '#')
#define IS_VALUE(c) ((c) == '\t' || ((c) >= ' ' && (c) != 0x7f))
#define IS_HOST(c)                                                                                                    \
	(IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '%' || (c) == ':' || (c) == '[' || \
	 (c) == ']')

#define PLACES(c)                                                                                   \
	((IS_TOKEN(c) ? IN_TOKEN : 0) | (IS_TARGET(c) ? IN_TARGET : 0) | (IS_VALUE(c) ? IN_VALUE : 0) | \
	 (IS_HOST(c) ? IN_HOST : 0))
#define PLACES_4(c) PLACES(c), PLACES((c) + 1), PLACES((c) + 2), PLACES((c) + 3)
#define PLACES_16(c) PLACES_4(c), PLACES_4((c) + 4), PLACES_4((c) + 8), PLACES_4((c) + 12)
#define PLACES_64(c) PLACES_16(c), PLACES_16((c) + 16), PLACES_16((c) + 32), PLACES_16((c) + 48)

static const uint8_t places[256] = { PLACES_64(0), PLACES_64(64), PLACES_64(128), PLACES_64(192) };

static bool stands_in(char c, unsigned place)
{
	return places[(unsigned char)c] & place;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* ---- the head ---- */

struct head {
	const char *at, *end;
	struct http_request *request;
	struct http_problem *problem;
	bool has_host, has_close, has_keep_alive;
};

static enum http_outcome bad(struct head *head, int status, const char *reason)
{
	*head->problem = (struct http_problem){ status, reason };
	return HTTP_E_BAD;
}

/* Takes the bytes up to the first that may not stand there. */
static struct span take_run(struct head *head, unsigned place)
{
	const char *start = head->at;
	while (head->at < head->end && stands_in(*head->at, place))
		head->at++;
	return span_of(start, (size_t)(head->at - start));
}

static enum http_outcome read_line_end(struct head *head, int status, const char *reason)
{
	if (head->at == head->end)
		return HTTP_E_INCOMPLETE;
	if (*head->at != '\r')
		return bad(head, status, reason);
	if (head->end - head->at < 2)
		return HTTP_E_INCOMPLETE;
	if (head->at[1] != '\n')
		return bad(head, status, "bare CR");
	head->at += 2;
	return HTTP_OK;
}

/* Some clients end a body with an empty line too many (RFC 9112 2.2). One is forgiven. */
static enum http_outcome skip_empty_line(struct head *head)
{
	if (head->at < head->end && *head->at == '\r')
		return read_line_end(head, 0, "not HTTP");
	return HTTP_OK;
}

static enum http_outcome read_method(struct head *head)
{
	struct span method = take_run(head, IN_TOKEN);
	if (method.n > MAX_METHOD_BYTES)
		return bad(head, 501, "method is too long");
	if (head->at == head->end)
		return HTTP_E_INCOMPLETE;
	if (method.n == 0 || *head->at != ' ')
		return bad(head, 0, "not HTTP");
	if (span_equal(method, SPAN("PRI")))
		return bad(head, 0, "HTTP/2 is not spoken here");
	head->at++;
	head->request->method = method;
	return HTTP_OK;
}

static void split_target(struct http_request *request, struct span target)
{
	request->path = target;
	request->query = span_of(NULL, 0);
	const char *mark = memchr(target.data, '?', target.n);
	if (!mark)
		return;
	request->path.n = (size_t)(mark - target.data);
	request->query = span_skip(target, request->path.n + 1);
}

static enum http_outcome read_target(struct head *head)
{
	struct span target = take_run(head, IN_TARGET);
	if (target.n && target.data[0] != '/')
		return bad(head, 400, "target is not a path");
	if (target.n > MAX_TARGET_BYTES)
		return bad(head, 414, "target is too long");
	if (head->at == head->end)
		return HTTP_E_INCOMPLETE;
	if (target.n == 0 || *head->at != ' ')
		return bad(head, 400, "request line is malformed");
	head->at++;
	split_target(head->request, target);
	return HTTP_OK;
}

static enum http_outcome read_version(struct head *head)
{
	const char *version = head->at;
	for (size_t i = 0; i < VERSION_BYTES; i++, head->at++) {
		if (head->at == head->end)
			return HTTP_E_INCOMPLETE;
		char wanted = "HTTP/#.#"[i];
		if (wanted == '#' ? *head->at < '0' || *head->at > '9' : *head->at != wanted)
			return bad(head, 400, "version is malformed");
	}
	if (version[5] != '1' || version[7] > '1')
		return bad(head, 505, "version is neither HTTP/1.0 nor HTTP/1.1");
	head->request->minor = (unsigned)(version[7] - '0');
	return read_line_end(head, 400, "request line is malformed");
}

static enum http_outcome note_connection(struct head *head, struct span value)
{
	head->has_close |= http_list_has(value, SPAN("close"));
	head->has_keep_alive |= http_list_has(value, SPAN("keep-alive"));
	return HTTP_OK;
}

static enum http_outcome note_content_length(struct head *head, struct span value)
{
	struct http_request *request = head->request;
	if (request->body == HTTP_BODY_LENGTH)
		return bad(head, 400, "Content-Length stands twice");
	if (request->body == HTTP_BODY_CHUNKED)
		return bad(head, 400, "Content-Length and Transfer-Encoding");
	size_t n = 0;
	while (n < value.n && value.data[n] >= '0' && value.data[n] <= '9')
		n++;
	if (n == 0 || n < value.n)
		return bad(head, 400, "Content-Length is not a number");
	if (n > MAX_LENGTH_DIGITS || !span_to_u64(value, UINT64_MAX, &request->content_length))
		return bad(head, 413, "Content-Length is too large");
	request->body = HTTP_BODY_LENGTH;
	return HTTP_OK;
}

static enum http_outcome note_transfer_encoding(struct head *head, struct span value)
{
	struct http_request *request = head->request;
	if (request->body == HTTP_BODY_CHUNKED)
		return bad(head, 400, "Transfer-Encoding stands twice");
	if (request->body == HTTP_BODY_LENGTH)
		return bad(head, 400, "Content-Length and Transfer-Encoding");
	if (request->minor == 0)
		return bad(head, 400, "Transfer-Encoding in HTTP/1.0");
	if (!span_equal_ignoring_case(value, SPAN("chunked")))
		return bad(head, 501, "Transfer-Encoding is not chunked");
	request->body = HTTP_BODY_CHUNKED;
	return HTTP_OK;
}

static enum http_outcome note_expect(struct head *head, struct span value)
{
	if (!span_equal_ignoring_case(value, SPAN("100-continue")))
		return bad(head, 417, "Expect is not 100-continue");
	head->request->expects_continue = true;
	return HTTP_OK;
}

static enum http_outcome note_host(struct head *head, struct span value)
{
	if (head->has_host)
		return bad(head, 400, "Host stands twice");
	for (size_t i = 0; i < value.n; i++)
		if (!stands_in(value.data[i], IN_HOST))
			return bad(head, 400, "Host is malformed");
	head->has_host = true;
	return HTTP_OK;
}

/* The fields that say how the connection goes on. */
static const struct {
	struct span name;
	enum http_outcome (*note)(struct head *head, struct span value);
} framing[] = {
	{ { "Host", 4 }, note_host },
	{ { "Expect", 6 }, note_expect },
	{ { "Connection", 10 }, note_connection },
	{ { "Content-Length", 14 }, note_content_length },
	{ { "Transfer-Encoding", 17 }, note_transfer_encoding },
};

static enum http_outcome note_field(struct head *head, const struct http_field *field)
{
	for (size_t i = 0; i < ARRAY_LENGTH(framing); i++)
		if (span_equal_ignoring_case(field->name, framing[i].name))
			return framing[i].note(head, field->value);
	return HTTP_OK;
}

static enum http_outcome bad_name(struct head *head, struct span name)
{
	if (is_blank(*head->at))
		return bad(head, 400, name.n ? "blank behind a field name" : "folded field");
	return bad(head, 400, "field name is malformed");
}

static enum http_outcome read_field(struct head *head)
{
	struct http_request *request = head->request;
	if (request->n_fields == HTTP_MAX_FIELDS)
		return bad(head, 431, "too many fields");
	struct span name = take_run(head, IN_TOKEN);
	if (head->at == head->end)
		return HTTP_E_INCOMPLETE;
	if (name.n == 0 || *head->at != ':')
		return bad_name(head, name);
	head->at++;
	struct span value = take_run(head, IN_VALUE);
	enum http_outcome outcome = read_line_end(head, 400, "control character in a field");
	if (outcome != HTTP_OK)
		return outcome;
	struct http_field *field = &request->fields[request->n_fields++];
	*field = (struct http_field){ name, span_trim(value) };
	return note_field(head, field);
}

static enum http_outcome read_fields(struct head *head)
{
	while (head->at < head->end && *head->at != '\r') {
		enum http_outcome outcome = read_field(head);
		if (outcome != HTTP_OK)
			return outcome;
	}
	return read_line_end(head, 400, "control character in a field");
}

static enum http_outcome check_whole(struct head *head)
{
	struct http_request *request = head->request;
	if (request->minor == 1 && !head->has_host)
		return bad(head, 400, "Host is missing");
	request->keep_alive = !head->has_close && (request->minor == 1 || head->has_keep_alive);
	/* HTTP/1.0 knows no interim answers, and without a body there is nothing to continue. */
	request->expects_continue &= request->minor == 1 && request->body != HTTP_BODY_NONE;
	return HTTP_OK;
}

static enum http_outcome read_head(struct head *head)
{
	static enum http_outcome (*const steps[])(struct head *) = {
		skip_empty_line, read_method, read_target, read_version, read_fields, check_whole,
	};
	for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
		enum http_outcome outcome = steps[i](head);
		if (outcome != HTTP_OK)
			return outcome;
	}
	return HTTP_OK;
}

enum http_outcome http_parse(struct span bytes, struct http_request *ret_request, struct http_problem *ret_problem)
{
	if (bytes.n == 0)
		return HTTP_E_INCOMPLETE;
	if (bytes.n > HTTP_MAX_HEAD_BYTES)
		bytes.n = HTTP_MAX_HEAD_BYTES;
	struct head head = {
		.at = bytes.data, .end = bytes.data + bytes.n, .request = ret_request, .problem = ret_problem
	};
	/* Not the whole of it: the fields are 4 KiB, and written before they are read. */
	ret_request->n_fields = 0;
	ret_request->body = HTTP_BODY_NONE;
	ret_request->content_length = 0;
	ret_request->expects_continue = false;
	enum http_outcome outcome = read_head(&head);
	if (outcome == HTTP_E_INCOMPLETE && bytes.n == HTTP_MAX_HEAD_BYTES)
		return bad(&head, 431, "head is too long");
	ret_request->n_head = (size_t)(head.at - bytes.data);
	return outcome;
}

/* ---- fields ---- */

/* The first field of that name from `start` on; n_fields if there is none. */
static size_t find_field(const struct http_request *request, size_t start, struct span name)
{
	size_t i = start;
	while (i < request->n_fields && !span_equal_ignoring_case(request->fields[i].name, name))
		i++;
	return i;
}

struct span http_field(const struct http_request *request, const char *name)
{
	size_t i = find_field(request, 0, span_text(name));
	return i < request->n_fields ? request->fields[i].value : span_of(NULL, 0);
}

size_t http_field_count(const struct http_request *request, const char *name)
{
	struct span wanted = span_text(name);
	size_t count = 0;
	for (size_t i = find_field(request, 0, wanted); i < request->n_fields; i = find_field(request, i + 1, wanted))
		count++;
	return count;
}

struct span http_field_list(const struct http_request *request, const char *name, struct buffer *joined)
{
	struct span wanted = span_text(name);
	size_t first = find_field(request, 0, wanted), i = find_field(request, first + 1, wanted), start = joined->n;
	if (i >= request->n_fields)
		return http_field(request, name);
	buffer_add(joined, request->fields[first].value);
	for (; i < request->n_fields; i = find_field(request, i + 1, wanted)) {
		buffer_add_text(joined, ", ");
		buffer_add(joined, request->fields[i].value);
	}
	return joined->failed ? span_of(NULL, 0) : span_skip(buffer_span(joined), start);
}

bool http_list_has(struct span list, struct span token)
{
	struct span item;
	while (span_next(&list, ',', &item))
		if (span_equal_ignoring_case(span_trim(item), token))
			return true;
	return false;
}

/* ---- Accept ---- */

/* "0.8" in thousandths; what is none weighs nothing. */
static unsigned read_weight(struct span text)
{
	unsigned weight = 0, unit = 1000;
	for (size_t i = 0; i < text.n; i++) {
		bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
		if (i > 4 || (i == 1 ? text.data[i] != '.' : !is_digit))
			return 0;
		if (is_digit) {
			weight += (unsigned)(text.data[i] - '0') * unit;
			unit /= 10;
		}
	}
	return weight <= 1000 ? weight : 0;
}

static unsigned find_weight(struct span parameters)
{
	struct span item, name;
	while (span_next(&parameters, ';', &item)) {
		item = span_trim(item);
		if (span_next(&item, '=', &name) && span_equal_ignoring_case(name, SPAN("q")))
			return read_weight(item);
	}
	return 1000;
}

/* How close a range comes to the type: 3 is the type itself, 0 does not cover it. */
static int closeness(struct span range, struct span type)
{
	struct span range_main, type_main;
	if (span_equal_ignoring_case(range, type))
		return 3;
	if (span_equal(range, SPAN("*/*")))
		return 1;
	(void)span_next(&range, '/', &range_main);
	(void)span_next(&type, '/', &type_main);
	return span_equal(range, SPAN("*")) && span_equal_ignoring_case(range_main, type_main) ? 2 : 0;
}

unsigned http_accept_weight(struct span accept, struct span type)
{
	struct span item, range;
	unsigned weight = 0;
	int closest = 0;
	while (span_next(&accept, ',', &item)) {
		(void)span_next(&item, ';', &range);
		int n = closeness(span_trim(range), type);
		if (n > closest) {
			closest = n;
			weight = find_weight(item);
		}
	}
	return weight;
}

/* ---- chunks ---- */

enum chunk_state {
	CHUNK_SIZE, /* 0: what HTTP_CHUNKS_INIT says */
	CHUNK_BLANK,
	CHUNK_EXTENSION,
	CHUNK_SIZE_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER_START,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	TRAILER_END_LF,
	CHUNKS_DONE,
	CHUNKS_BAD,
};

static enum chunk_state in_blank(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == ';' ? CHUNK_EXTENSION : is_blank(c) ? CHUNK_BLANK : CHUNKS_BAD;
}

static enum chunk_state in_size(struct http_chunks *chunks, char c)
{
	int digit = hex_digit(c);
	if (digit >= 0 && chunks->n_digits < MAX_CHUNK_DIGITS) {
		chunks->n_digits++;
		chunks->left = chunks->left << 4 | (unsigned)digit;
		return CHUNK_SIZE;
	}
	if (chunks->n_digits == 0)
		return CHUNKS_BAD;
	return c == '\r' ? CHUNK_SIZE_LF : in_blank(chunks, c);
}

static enum chunk_state in_extension(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == '\r' ? CHUNK_SIZE_LF : stands_in(c, IN_VALUE) ? CHUNK_EXTENSION : CHUNKS_BAD;
}

static enum chunk_state at_size_lf(struct http_chunks *chunks, char c)
{
	chunks->n_line = 0;
	chunks->n_digits = 0;
	return c != '\n' ? CHUNKS_BAD : chunks->left ? CHUNK_DATA : TRAILER_START;
}

static enum chunk_state at_data_cr(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == '\r' ? CHUNK_DATA_LF : CHUNKS_BAD;
}

static enum chunk_state at_data_lf(struct http_chunks *chunks, char c)
{
	chunks->n_line = 0;
	return c == '\n' ? CHUNK_SIZE : CHUNKS_BAD;
}

static enum chunk_state at_trailer_start(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == '\r' ? TRAILER_END_LF : stands_in(c, IN_TOKEN) ? TRAILER_NAME : CHUNKS_BAD;
}

static enum chunk_state in_trailer_name(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == ':' ? TRAILER_VALUE : stands_in(c, IN_TOKEN) ? TRAILER_NAME : CHUNKS_BAD;
}

static enum chunk_state in_trailer_value(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == '\r' ? TRAILER_LF : stands_in(c, IN_VALUE) ? TRAILER_VALUE : CHUNKS_BAD;
}

static enum chunk_state at_trailer_lf(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == '\n' ? TRAILER_START : CHUNKS_BAD;
}

static enum chunk_state at_trailer_end_lf(struct http_chunks *chunks, char c)
{
	(void)chunks;
	return c == '\n' ? CHUNKS_DONE : CHUNKS_BAD;
}

/* What a byte between the data means. The trailer section is bounded as one line. */
static const struct {
	enum chunk_state (*step)(struct http_chunks *chunks, char c);
	uint32_t max_line_bytes;
} chunk_states[] = {
	[CHUNK_SIZE] = { in_size, MAX_CHUNK_LINE_BYTES },
	[CHUNK_BLANK] = { in_blank, MAX_CHUNK_LINE_BYTES },
	[CHUNK_EXTENSION] = { in_extension, MAX_CHUNK_LINE_BYTES },
	[CHUNK_SIZE_LF] = { at_size_lf, MAX_CHUNK_LINE_BYTES },
	[CHUNK_DATA_CR] = { at_data_cr, MAX_CHUNK_LINE_BYTES },
	[CHUNK_DATA_LF] = { at_data_lf, MAX_CHUNK_LINE_BYTES },
	[TRAILER_START] = { at_trailer_start, MAX_TRAILER_BYTES },
	[TRAILER_NAME] = { in_trailer_name, MAX_TRAILER_BYTES },
	[TRAILER_VALUE] = { in_trailer_value, MAX_TRAILER_BYTES },
	[TRAILER_LF] = { at_trailer_lf, MAX_TRAILER_BYTES },
	[TRAILER_END_LF] = { at_trailer_end_lf, MAX_TRAILER_BYTES },
};

static void chunks_step(struct http_chunks *chunks, char c)
{
	uint8_t state = chunks->state;
	bool is_too_long = ++chunks->n_line > chunk_states[state].max_line_bytes;
	chunks->state = (uint8_t)(is_too_long ? CHUNKS_BAD : chunk_states[state].step(chunks, c));
}

static struct span chunks_take_data(struct http_chunks *chunks, struct span *bytes)
{
	size_t n = chunks->left < bytes->n ? (size_t)chunks->left : bytes->n;
	struct span data = span_of(bytes->data, n);
	*bytes = span_skip(*bytes, n);
	chunks->left -= n;
	if (chunks->left == 0)
		chunks->state = CHUNK_DATA_CR;
	return data;
}

enum http_chunks_outcome http_chunks_read(struct http_chunks *chunks, struct span *bytes, struct span *ret_data)
{
	*ret_data = span_of(bytes->data, 0);
	while (chunks->state < CHUNKS_DONE && bytes->n) {
		if (chunks->state == CHUNK_DATA) {
			*ret_data = chunks_take_data(chunks, bytes);
			return HTTP_CHUNKS_MORE;
		}
		chunks_step(chunks, bytes->data[0]);
		*bytes = span_skip(*bytes, 1);
	}
	if (chunks->state == CHUNKS_DONE)
		return HTTP_CHUNKS_DONE;
	return chunks->state == CHUNKS_BAD ? HTTP_CHUNKS_E_BAD : HTTP_CHUNKS_MORE;
}

/* ---- the rest ---- */

const char *http_status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Unknown";
}

bool http_query_next(struct span *query, struct span *ret_name, struct span *ret_value)
{
	struct span pair;
	do {
		if (!span_next(query, '&', &pair))
			return false;
	} while (pair.n == 0);
	const char *equals = memchr(pair.data, '=', pair.n);
	size_t n = equals ? (size_t)(equals - pair.data) : pair.n;
	*ret_name = span_of(pair.data, n);
	*ret_value = span_skip(pair, equals ? n + 1 : n);
	return true;
}

bool http_percent_decode(struct span text, struct buffer *decoded)
{
	const char *mark;
	size_t start = decoded->n;
	while (text.n && (mark = memchr(text.data, '%', text.n))) {
		size_t n = (size_t)(mark - text.data);
		int high = text.n - n > 2 ? hex_digit(mark[1]) : -1, low = text.n - n > 2 ? hex_digit(mark[2]) : -1;
		if (high < 0 || low < 0) {
			decoded->n = start;
			return false;
		}
		buffer_add(decoded, span_of(text.data, n));
		buffer_add_char(decoded, (char)(high << 4 | low));
		text = span_skip(text, n + 3);
	}
	buffer_add(decoded, text);
	return true;
}
