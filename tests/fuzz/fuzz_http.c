/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A head, and chunks behind it if it says so; what is no head at all is read as chunks. Whatever the bytes: pieces and
 * the whole agree, spans lie inside of the input, and a request written down from what was read is read the same.
 */
#include "fuzz.h"
#include "wire/http.h"

static bool is_inside(struct span inner, struct span outer)
{
	return inner.data >= outer.data && inner.n <= outer.n && inner.data + inner.n <= outer.data + outer.n;
}

static void check_spans(const struct http_request *request, struct span head)
{
	FUZZ_ASSERT(request->n_head <= head.n && request->n_head <= HTTP_MAX_HEAD_BYTES);
	head.n = request->n_head;
	FUZZ_ASSERT(is_inside(request->method, head) && request->method.n > 0);
	FUZZ_ASSERT(is_inside(request->path, head) && request->path.n > 0 && request->path.data[0] == '/');
	FUZZ_ASSERT(!request->query.data || is_inside(request->query, head));
	FUZZ_ASSERT(request->n_fields <= HTTP_MAX_FIELDS && request->minor <= 1);
	for (size_t i = 0; i < request->n_fields; i++) {
		const struct http_field *field = &request->fields[i];
		FUZZ_ASSERT(is_inside(field->name, head) && field->name.n > 0 && is_inside(field->value, head));
		FUZZ_ASSERT(!memchr(field->value.data, '\0', field->value.n) &&
					!memchr(field->value.data, '\r', field->value.n) &&
					!memchr(field->value.data, '\n', field->value.n));
	}
}

/* What the refusals promise, asked of the fields once more and in another way. */
static void check_framing(const struct http_request *request)
{
	size_t n_lengths = http_field_count(request, "content-length"),
		   n_codings = http_field_count(request, "transfer-encoding");
	FUZZ_ASSERT(n_lengths + n_codings <= 1);
	FUZZ_ASSERT((request->body == HTTP_BODY_LENGTH) == (n_lengths == 1));
	FUZZ_ASSERT((request->body == HTTP_BODY_CHUNKED) == (n_codings == 1));
	FUZZ_ASSERT(http_field_count(request, "host") == 1 || request->minor == 0);
	uint64_t length = 0;
	FUZZ_ASSERT(!n_lengths || span_to_u64(http_field(request, "Content-Length"), UINT64_MAX, &length));
	FUZZ_ASSERT(request->content_length == length);
}

/* Any value may stand in Accept; what it weighs is bounded. */
static void check_accept(const struct http_request *request)
{
	for (size_t i = 0; i < request->n_fields; i++)
		FUZZ_ASSERT(http_accept_weight(request->fields[i].value, SPAN("text/html")) <= 1000);
}

/* A prefix is incomplete, or refused as the whole is. */
static void check_prefix(struct span prefix, enum http_outcome whole, const struct http_problem *whole_problem)
{
	static struct http_request request;
	struct http_problem problem = { 0 };
	CLEANUP(free) char *copy = fuzz_copy(prefix);
	enum http_outcome outcome = http_parse(span_of(copy, prefix.n), &request, &problem);
	if (outcome != HTTP_E_INCOMPLETE)
		FUZZ_ASSERT(outcome == HTTP_E_BAD && whole == HTTP_E_BAD && problem.reason == whole_problem->reason);
}

static void add_field(struct buffer *b, const struct http_field *field)
{
	buffer_add(b, field->name);
	buffer_add_char(b, ':');
	buffer_add(b, field->value);
	buffer_add_text(b, "\r\n");
}

static void write_request(const struct http_request *request, struct buffer *b)
{
	buffer_add(b, request->method);
	buffer_add_char(b, ' ');
	buffer_add(b, request->path);
	if (request->query.data)
		buffer_add_char(b, '?');
	buffer_add(b, request->query);
	buffer_add_printf(b, " HTTP/1.%u\r\n", request->minor);
	for (size_t i = 0; i < request->n_fields; i++)
		add_field(b, &request->fields[i]);
	buffer_add_text(b, "\r\n");
}

static void check_round_trip(const struct http_request *request)
{
	static struct http_request again;
	struct http_problem problem;
	CLEANUP(buffer_finish) struct buffer first = BUFFER_INIT, second = BUFFER_INIT;
	write_request(request, &first);
	FUZZ_ASSERT(http_parse(buffer_span(&first), &again, &problem) == HTTP_OK && again.n_head == first.n);
	write_request(&again, &second);
	FUZZ_ASSERT(span_equal(buffer_span(&first), buffer_span(&second)));
	FUZZ_ASSERT(again.body == request->body && again.content_length == request->content_length &&
				again.keep_alive == request->keep_alive && again.expects_continue == request->expects_continue);
}

static void check_query(struct span query)
{
	struct span name, value;
	while (http_query_next(&query, &name, &value)) {
		CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
		bool is_good = http_percent_decode(value, &decoded);
		FUZZ_ASSERT(is_good ? decoded.n <= value.n : decoded.n == 0);
	}
}

/* Slices up to max_slice; the memory of each is gone before the next comes. */
static enum http_chunks_outcome decode(struct span body, size_t max_slice, struct buffer *decoded, size_t *ret_n_used)
{
	struct http_chunks chunks = HTTP_CHUNKS_INIT;
	enum http_chunks_outcome outcome = HTTP_CHUNKS_MORE;
	uint32_t seed = 1;
	size_t at = 0;
	while (at < body.n && outcome == HTTP_CHUNKS_MORE) {
		size_t n = fuzz_next_size(&seed, max_slice);
		n = n < body.n - at ? n : body.n - at;
		CLEANUP(free) char *copy = fuzz_copy(span_of(body.data + at, n));
		struct span bytes = span_of(copy, n), data;
		do {
			outcome = http_chunks_read(&chunks, &bytes, &data);
			FUZZ_ASSERT(is_inside(data, span_of(copy, n)) && is_inside(bytes, span_of(copy, n)));
			buffer_add(decoded, data);
		} while (outcome == HTTP_CHUNKS_MORE && bytes.n);
		at += n - bytes.n;
	}
	*ret_n_used = at;
	return outcome;
}

static void check_chunks(struct span body)
{
	static const size_t slices[] = { SIZE_MAX / 2, 1, 7, 100 };
	CLEANUP(buffer_finish) struct buffer whole = BUFFER_INIT;
	size_t n_used;
	enum http_chunks_outcome outcome = decode(body, 1, &whole, &n_used);
	for (size_t i = 0; i < ARRAY_LENGTH(slices); i++) {
		CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
		size_t n_used_now;
		FUZZ_ASSERT(decode(body, slices[i], &decoded, &n_used_now) == outcome && n_used_now == n_used);
		FUZZ_ASSERT(span_equal(buffer_span(&decoded), buffer_span(&whole)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct http_request request;
	struct span input = span_of(data, n);
	struct http_problem problem = { -1, NULL };
	memset(&request, 0xa5, sizeof request);
	enum http_outcome outcome = http_parse(input, &request, &problem);
	FUZZ_ASSERT(outcome != HTTP_E_BAD || (problem.reason && (problem.status == 0 || problem.status >= 400)));
	size_t n_head = outcome == HTTP_OK ? request.n_head : n;
	for (size_t cut = 0; cut < n_head; cut += n_head < 600 ? 1 : n_head / 200)
		check_prefix(span_of(data, cut), outcome, &problem);
	if (outcome != HTTP_OK) {
		check_chunks(input);
		return 0;
	}
	check_spans(&request, input);
	check_framing(&request);
	check_accept(&request);
	check_round_trip(&request);
	check_query(request.query);
	if (request.body == HTTP_BODY_CHUNKED)
		check_chunks(span_skip(input, request.n_head));
	return 0;
}
