/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP as it must be sent, and every way to send it otherwise. Each head is also read cut at every byte: a prefix is
 * incomplete or already refused for the reason that the whole is refused for, and never good. Each prefix is read from
 * memory of exactly its size, so that a sanitizer sees the first byte too many.
 */
#include "wire/http.h"

#include "unit.h"

#include <stdio.h>

/* Requests that are right but for what stands in between. */
#define GET(fields) "GET / HTTP/1.1\r\nHost: gateway\r\n" fields "\r\n"
#define POST_10(fields) "POST / HTTP/1.0\r\n" fields "\r\n"
#define LINE(line) line "\r\nHost: gateway\r\n\r\n"
#define TARGET(target) LINE("GET " target " HTTP/1.1")

static bool is_text(struct span s, const char *text)
{
	return span_equal(s, span_text(text));
}

static void *exact_copy(struct span bytes)
{
	char *copy = malloc(bytes.n ? bytes.n : 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, bytes.data, bytes.n);
	return copy;
}

/* `n` times `piece`, between what stands before and behind. */
static struct buffer repeat(const char *before, const char *piece, size_t n, const char *behind)
{
	struct buffer b = BUFFER_INIT;
	buffer_add_text(&b, before);
	for (size_t i = 0; i < n; i++)
		buffer_add_text(&b, piece);
	buffer_add_text(&b, behind);
	CU_ASSERT_FALSE_FATAL(b.failed);
	return b;
}

static void complain(struct span bytes, const char *what)
{
	fprintf(stderr, "%s: %.*s\n", what, bytes.n > 200 ? 200 : SPAN_PRINTF(bytes));
	CU_FAIL("see stderr");
}

static enum http_outcome parse_exact(struct span bytes, struct http_problem *ret_problem)
{
	static struct http_request request;
	CLEANUP(free) char *copy = exact_copy(bytes);
	return http_parse(span_of(copy, bytes.n), &request, ret_problem);
}

static bool is_prefix_right(struct span prefix, enum http_outcome whole, const struct http_problem *whole_problem)
{
	struct http_problem problem = { -1, NULL };
	enum http_outcome outcome = parse_exact(prefix, &problem);
	if (outcome == HTTP_E_INCOMPLETE)
		return true;
	return outcome == HTTP_E_BAD && whole == HTTP_E_BAD && problem.status == whole_problem->status &&
		   problem.reason == whole_problem->reason;
}

/* Long heads are cut at some hundred places only, but always around their end. */
static void check_prefixes(struct span bytes, enum http_outcome whole, const struct http_problem *problem)
{
	for (size_t n = 0; n<bytes.n; n += bytes.n> 2000 && n + 100 < bytes.n ? 37 : 1)
		if (!is_prefix_right(span_of(bytes.data, n), whole, problem))
			complain(span_of(bytes.data, n), "prefix");
}

static void check_accepts(struct span bytes)
{
	static struct http_request request;
	struct http_problem problem = { 0 };
	enum http_outcome outcome = http_parse(bytes, &request, &problem);
	if (outcome != HTTP_OK || request.n_head != bytes.n)
		complain(bytes, problem.reason ? problem.reason : "not whole");
	check_prefixes(bytes, outcome, &problem);
	CLEANUP(buffer_finish) struct buffer more = BUFFER_INIT;
	buffer_add(&more, bytes);
	buffer_add(&more, SPAN("\0\x16\xff\r\n\r\n"));
	if (http_parse(buffer_span(&more), &request, &problem) != HTTP_OK || request.n_head != bytes.n)
		complain(bytes, "changed by what stands behind it");
}

static void check_refuses(struct span bytes, int status)
{
	struct http_problem problem = { -1, NULL };
	enum http_outcome outcome = parse_exact(bytes, &problem);
	if (outcome != HTTP_E_BAD || problem.status != status || !problem.reason) {
		fprintf(stderr, "outcome %d, status %d (%d wanted), ", (int)outcome, problem.status, status);
		complain(bytes, "refuses");
	}
	check_prefixes(bytes, outcome, &problem);
}

static void check_refuses_all(const struct span *heads, size_t n_heads, int status)
{
	for (size_t i = 0; i < n_heads; i++)
		check_refuses(heads[i], status);
}

#define REFUSES(status, ...)                                     \
	do {                                                         \
		static const struct span heads_[] = { __VA_ARGS__ };     \
		check_refuses_all(heads_, ARRAY_LENGTH(heads_), status); \
	} while (0)

/* For tests of single fields. */
static struct http_request *parse(const char *head)
{
	static struct http_request request;
	struct http_problem problem;
	memset(&request, 0xa5, sizeof request); /* nothing may rely on zeros */
	CU_ASSERT_EQUAL_FATAL(http_parse(span_text(head), &request, &problem), HTTP_OK);
	return &request;
}

/* ---- what is right ---- */

static void test_accepts(void)
{
	static const struct span heads[] = {
		SPAN(GET("")),
		SPAN("\r\n" GET("")),
		SPAN("GET / HTTP/1.0\r\n\r\n"),
		SPAN("get / HTTP/1.1\r\nhost:\r\n\r\n"),
		SPAN("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: x\r\n\r\n"),
		SPAN(TARGET("/hook/../x%2f//y?a=b&c={|}\"<>\\^`")),
		SPAN(TARGET("/?")),
		SPAN(TARGET("/??a=?")),
		SPAN(TARGET("//gateway/")),
		SPAN(LINE("TRACE / HTTP/1.1")),
		SPAN(LINE("CONNECT / HTTP/1.1")),
		SPAN(LINE("PR / HTTP/1.1")),
		SPAN("GET / HTTP/1.1\r\nHost: [2001:db8::1%25eth0]:8443\r\n\r\n"),
		SPAN("GET / HTTP/1.1\r\nHOST: a-b_c.example:80 \t \r\n\r\n"),
		SPAN(GET("X: \xe4\xff\x80 \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\r\n")),
		SPAN(GET("X:\r\nY: \r\nZ:\t\t\r\n")),
		SPAN(GET("!#$%&'*+-.^_`|~09azAZ: x\r\n")),
		SPAN(GET("X: a\r\nX: b\r\n")),
		SPAN(GET("Content-Length: 0\r\n")),
		SPAN(GET("Content-Length: 9999999999999999999\r\n")),
		SPAN(GET("Content-Length:00000000000000042\t\r\n")),
		SPAN(GET("Transfer-Encoding: Chunked\r\n")),
		SPAN(GET("Expect: 100-Continue\r\n")),
		SPAN(POST_10("Expect: 100-continue\r\nContent-Length: 5\r\n")),
		SPAN(GET("Content-Lengt: x\r\nContent-Length2: y\r\nTransfer-Encodin: z\r\n")),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++)
		check_accepts(heads[i]);
}

static void test_reads_request(void)
{
	const struct http_request *request = parse("POST /callbacks/cronofy?user=42&sig=a?b HTTP/1.1\r\n"
											   "Host: gateway.example:8443\r\n"
											   "Cronofy-HMAC-SHA256: \t abc=,def= \t\r\n"
											   "Content-Length: 12\r\n"
											   "\r\n{\"a\":\"bcde\"}");
	CU_ASSERT_TRUE(is_text(request->method, "POST"));
	CU_ASSERT_TRUE(is_text(request->path, "/callbacks/cronofy"));
	CU_ASSERT_TRUE(is_text(request->query, "user=42&sig=a?b"));
	CU_ASSERT_EQUAL(request->minor, 1);
	CU_ASSERT_EQUAL(request->n_fields, 3);
	CU_ASSERT_TRUE(is_text(request->fields[1].name, "Cronofy-HMAC-SHA256"));
	CU_ASSERT_TRUE(is_text(request->fields[1].value, "abc=,def="));
	CU_ASSERT_TRUE(request->body == HTTP_BODY_LENGTH && request->content_length == 12);
	CU_ASSERT_TRUE(request->keep_alive && !request->expects_continue);
	CU_ASSERT_TRUE(is_text(http_field(request, "cronofy-hmac-sha256"), "abc=,def="));
	CU_ASSERT_TRUE(is_text(http_field(request, "HOST"), "gateway.example:8443"));
}

static void test_reads_query(void)
{
	CU_ASSERT_PTR_NULL(parse(GET(""))->query.data);
	const struct http_request *request = parse(TARGET("/a?"));
	CU_ASSERT_TRUE(is_text(request->path, "/a") && request->query.data && request->query.n == 0);
}

static void test_reads_body(void)
{
	static const struct {
		const char *head;
		enum http_body body;
		uint64_t length;
		bool expects_continue;
	} cases[] = {
		{ GET(""), HTTP_BODY_NONE, 0, false },
		{ GET("Expect: 100-continue\r\n"), HTTP_BODY_NONE, 0, false },
		{ GET("Content-Length: 0\r\n"), HTTP_BODY_LENGTH, 0, false },
		{ GET("content-length: 0262144\r\nexpect: 100-CONTINUE\r\n"), HTTP_BODY_LENGTH, 262144, true },
		{ GET("Content-Length: 9999999999999999999\r\n"), HTTP_BODY_LENGTH, 9999999999999999999u, false },
		{ GET("TRANSFER-ENCODING: cHunKed\r\n"), HTTP_BODY_CHUNKED, 0, false },
		{ GET("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"), HTTP_BODY_CHUNKED, 0, true },
		{ POST_10("Expect: 100-continue\r\nContent-Length: 5\r\n"), HTTP_BODY_LENGTH, 5, false },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		const struct http_request *request = parse(cases[i].head);
		CU_ASSERT_EQUAL(request->body, cases[i].body);
		CU_ASSERT_EQUAL(request->content_length, cases[i].length);
		CU_ASSERT_EQUAL(request->expects_continue, cases[i].expects_continue);
	}
}

static void test_reads_keep_alive(void)
{
	static const struct {
		const char *head;
		bool keep_alive;
	} cases[] = {
		{ GET(""), true },
		{ GET("Connection: keep-alive\r\n"), true },
		{ GET("Connection: Upgrade\r\n"), true },
		{ GET("Connection: closed\r\n"), true },
		{ GET("Connection: close\r\n"), false },
		{ GET("CONNECTION: x ,\tCLOSE\t, y\r\n"), false },
		{ GET("Connection: keep-alive, close\r\n"), false },
		{ GET("Connection: close\r\nConnection: keep-alive\r\n"), false },
		{ GET("Connection: keep-alive\r\nConnection: close\r\n"), false },
		{ POST_10(""), false },
		{ POST_10("Connection: close\r\n"), false },
		{ POST_10("Connection: Keep-Alive\r\n"), true },
		{ POST_10("Connection: x\r\nConnection: keep-alive\r\n"), true },
		{ POST_10("Connection: keep-alive, close\r\n"), false },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		CU_ASSERT_EQUAL(parse(cases[i].head)->keep_alive, cases[i].keep_alive);
}

/* ---- what is no HTTP gets no answer ---- */

static void test_refuses_garbage(void)
{
	REFUSES(0, SPAN("\x16\x03\x01\x02"), SPAN("\x80\x2e\x01"), SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), SPAN("\0"),
			SPAN(" "), SPAN("\n" GET("")), SPAN("\r\n\r\n" GET("")), SPAN("\r" GET("")), SPAN("\r\r\n" GET("")),
			SPAN(" " GET("")), SPAN("\t" GET("")), SPAN("GET\r\n\r\n"), SPAN("GET\t/ HTTP/1.1\r\n"), SPAN("GET\n"),
			SPAN("GE\x80T / HTTP/1.1\r\n"), SPAN("GET\0 / HTTP/1.1\r\n"), SPAN("{\"json\":1}"), SPAN("<xml/>"),
			SPAN("G:T / HTTP/1.1\r\n"), SPAN("\xef\xbb\xbfGET / HTTP/1.1\r\n"), SPAN("/ HTTP/1.1\r\n"),
			SPAN("PROXY\r\n"), SPAN("\r\n\r\n\0\r\nQUIT\n!\x11"));
}

/* ---- request lines ---- */

static void test_refuses_targets(void)
{
	REFUSES(400, SPAN(TARGET("")), SPAN(TARGET("*")), SPAN(TARGET("http://gateway/")), SPAN(TARGET("gateway/")),
			SPAN(LINE("CONNECT gateway:443 HTTP/1.1")), SPAN(LINE("OPTIONS * HTTP/1.1")), SPAN(TARGET("?a")),
			SPAN(TARGET("\\")), SPAN(TARGET(" /")), SPAN(TARGET("/ ")), SPAN(TARGET("/a b")), SPAN(TARGET("/\t")),
			SPAN(TARGET("/a\0b")), SPAN(TARGET("/\x01")), SPAN(TARGET("/\x7f")), SPAN(TARGET("/\x80")),
			SPAN(TARGET("/\xc3\xa4")), SPAN(TARGET("/#a")), SPAN(TARGET("/?a#b")), SPAN(TARGET("/\r")),
			SPAN(TARGET("/\n")), SPAN("GET /\r\n\r\n"), SPAN("GET /\n\n"), SPAN("GET / \r\n\r\n"),
			SPAN("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"), SPAN("SSH-2.0-OpenSSH_9.2 Debian\r\n"));
}

static void test_refuses_versions(void)
{
	REFUSES(505, SPAN(LINE("GET / HTTP/1.2")), SPAN(LINE("GET / HTTP/1.9")), SPAN(LINE("GET / HTTP/2.0")),
			SPAN(LINE("GET / HTTP/0.9")), SPAN(LINE("GET / HTTP/3.0")));
	REFUSES(400, SPAN(LINE("GET / http/1.1")), SPAN(LINE("GET / HTTP/1")), SPAN(LINE("GET / HTTP/2")),
			SPAN(LINE("GET / HTTP/1.")), SPAN(LINE("GET / HTTP/.1")), SPAN(LINE("GET / HTTP/1.10")),
			SPAN(LINE("GET / HTTP/1,1")), SPAN(LINE("GET / HTTP/11")), SPAN(LINE("GET / HTTP/01.1")),
			SPAN(LINE("GET / HTTP/1.1 ")), SPAN(LINE("GET / HTTP/1.1\t")), SPAN(LINE("GET / HTTP /1.1")),
			SPAN(LINE("GET / HTTP/1.1 x")), SPAN(LINE("GET / HTTPS/1.1")), SPAN(LINE("GET / ICY/1.1")),
			SPAN(LINE("GET / HTTP/1.x")), SPAN(LINE("GET / HTTP/+1.1")), SPAN(LINE("GET / HTTP/1.1\0")),
			SPAN(LINE("GET / HTTP/1.\xb9")), SPAN(LINE("GET /  HTTP/1.1")));
}

/* A line ends with CR LF, whatever else others take for its end. */
static void test_refuses_line_ends(void)
{
	REFUSES(400, SPAN("GET / HTTP/1.1\nHost: x\r\n\r\n"), SPAN("GET / HTTP/1.1\rHost: x\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\r\nHost: x\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: x\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: x\r\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: x\r\n\n"),
			SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\r\n"), SPAN("GET / HTTP/1.1\r\nHost: x\r\n\rX"),
			SPAN("GET / HTTP/1.1\nHost: x\n\n"), SPAN(GET("X: a\rb\r\n")), SPAN(GET("X: a\nb: c\r\n")),
			SPAN(GET("X: a\n\r\n")), SPAN(GET("\n")), SPAN(GET("X: a\x0b\r\n")), SPAN(GET("X: a\x0c\r\n")));
}

/* ---- fields ---- */

static void test_refuses_fields(void)
{
	REFUSES(400, SPAN(GET("X : a\r\n")), SPAN(GET("X\t: a\r\n")), SPAN(GET(": a\r\n")), SPAN(GET(":\r\n")),
			SPAN(GET("X\r\n")), SPAN(GET("X a\r\n")), SPAN(GET(" X: a\r\n")), SPAN(GET("\tX: a\r\n")),
			SPAN(GET("X: a\r\n b\r\n")), SPAN(GET("X: a\r\n\tb\r\n")), SPAN(GET("X: a\r\n \r\n")),
			SPAN(GET("Content-Length: 1\r\n 0\r\n")), SPAN("GET / HTTP/1.1\r\n Host: x\r\n\r\n"),
			SPAN(GET("X\0: a\r\n")), SPAN(GET("X\x01: a\r\n")), SPAN(GET("X\x7f: a\r\n")), SPAN(GET("\xe4: a\r\n")),
			SPAN(GET("X(: a\r\n")), SPAN(GET("X/Y: a\r\n")), SPAN(GET("X@: a\r\n")), SPAN(GET("\"X\": a\r\n")),
			SPAN(GET("[X]: a\r\n")), SPAN(GET("{X}: a\r\n")), SPAN(GET("X;: a\r\n")), SPAN(GET("X,Y: a\r\n")),
			SPAN(GET("X=Y: a\r\n")), SPAN(GET("X?: a\r\n")), SPAN(GET("X\\: a\r\n")));
	REFUSES(400, SPAN(GET("X: \0\r\n")), SPAN(GET("X: a\0b\r\n")), SPAN(GET("X: \x01\r\n")), SPAN(GET("X: \x08\r\n")),
			SPAN(GET("X: \x1f\r\n")), SPAN(GET("X: \x1b[2J\r\n")), SPAN(GET("X: \x7f\r\n")), SPAN(GET("X:\0\r\n")));
}

/* Exactly the control characters, tab excepted, whatever the compiler thinks of the table. */
static void test_judges_every_byte(void)
{
	const char tokens[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	for (unsigned c = 0; c < 256; c++) {
		char value[] = GET("X: a?b\r\n"), name[] = GET("a?b: x\r\n"), target[] = TARGET("/a?b"), host[] = GET("");
		struct http_problem problem;
		*strchr(value, '?') = *strchr(name, '?') = *strchr(target, '?') = *strchr(host, 'w') = (char)c;
		bool is_control = (c < 0x20 && c != '\t') || c == 0x7f, is_token = c && strchr(tokens, (int)c);
		bool is_name = is_token || c == ':'; /* "a:b: x" is a field too */
		bool is_host = (is_token && !strchr("!#$&'*+^`|", (int)c)) || (c && strchr(":[]", (int)c));
		CU_ASSERT_EQUAL(parse_exact(span_of(value, sizeof value - 1), &problem) == HTTP_OK, !is_control);
		CU_ASSERT_EQUAL(parse_exact(span_of(name, sizeof name - 1), &problem) == HTTP_OK, is_name);
		CU_ASSERT_EQUAL(parse_exact(span_of(target, sizeof target - 1), &problem) == HTTP_OK,
						c > ' ' && c < 0x7f && c != '#');
		CU_ASSERT_EQUAL(parse_exact(span_of(host, sizeof host - 1), &problem) == HTTP_OK, is_host);
	}
}

static void test_refuses_hosts(void)
{
	REFUSES(400, SPAN("GET / HTTP/1.1\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHostt: x\r\n\r\n"),
			SPAN(GET("Host: gateway\r\n")), SPAN(GET("host: other\r\n")), SPAN(GET("HOST:\r\n")),
			SPAN("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: a?b\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: a#b\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: <a>\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"), SPAN("GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n"),
			SPAN("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n"));
}

static void test_refuses_lengths(void)
{
	REFUSES(
		400, SPAN(GET("Content-Length:\r\n")), SPAN(GET("Content-Length: \r\n")), SPAN(GET("Content-Length: +5\r\n")),
		SPAN(GET("Content-Length: -1\r\n")), SPAN(GET("Content-Length: -0\r\n")), SPAN(GET("Content-Length: 5abc\r\n")),
		SPAN(GET("Content-Length: 0x5\r\n")), SPAN(GET("Content-Length: 5 5\r\n")),
		SPAN(GET("Content-Length: 5,5\r\n")), SPAN(GET("Content-Length: 5, 5\r\n")),
		SPAN(GET("Content-Length: 5, 50\r\n")), SPAN(GET("Content-Length: 5,\r\n")),
		SPAN(GET("Content-Length: 5;\r\n")), SPAN(GET("Content-Length: 5.0\r\n")), SPAN(GET("Content-Length: 1e1\r\n")),
		SPAN(GET("Content-Length: \"5\"\r\n")), SPAN(GET("Content-Length: \xb2\r\n")),
		SPAN(GET("Content-Length: 5\xa0\r\n")), SPAN(GET("Content-Length: 5\r\nContent-Length: 5\r\n")),
		SPAN(GET("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n")),
		SPAN(GET("Content-Length: 0\r\nContent-Length: 0\r\n")), SPAN(GET("Content-Length: 99999999999999999999x\r\n")),
		SPAN(GET("Content-Length : 5\r\n")), SPAN(GET("Content-Length: 5\0\r\n")),
		SPAN(GET("Content-Length: \x0b"
				 "5\r\n")));
	REFUSES(413, SPAN(GET("Content-Length: 10000000000000000000\r\n")),
			SPAN(GET("Content-Length: 18446744073709551616\r\n")),
			SPAN(GET("Content-Length: 18446744073709551621\r\n")),
			SPAN(GET("Content-Length: 00000000000000000005\r\n")),
			SPAN(GET("Content-Length: 100000000000000000000000000000000000000000\r\n")));
}

static void test_refuses_codings(void)
{
	REFUSES(400, SPAN(GET("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n")),
			SPAN(GET("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")),
			SPAN(GET("Content-Length: 0\r\nTransfer-Encoding: identity\r\n")),
			SPAN(GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
			SPAN(GET("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n")),
			SPAN(GET("transfer-encoding: chunked\r\nTRANSFER-ENCODING:\r\n")),
			SPAN(POST_10("Transfer-Encoding: chunked\r\n")), SPAN(POST_10("Transfer-Encoding: gzip\r\n")),
			SPAN(GET("Transfer-Encoding : chunked\r\n")), SPAN(GET("Transfer-Encoding: chunked\r\n , identity\r\n")),
			SPAN(GET("Transfer-Encoding\0: chunked\r\n")));
	REFUSES(501, SPAN(GET("Transfer-Encoding: gzip\r\n")), SPAN(GET("Transfer-Encoding: gzip, chunked\r\n")),
			SPAN(GET("Transfer-Encoding: chunked, gzip\r\n")), SPAN(GET("Transfer-Encoding: chunked, chunked\r\n")),
			SPAN(GET("Transfer-Encoding: identity\r\n")), SPAN(GET("Transfer-Encoding:\r\n")),
			SPAN(GET("Transfer-Encoding: ,chunked\r\n")), SPAN(GET("Transfer-Encoding: chunked,\r\n")),
			SPAN(GET("Transfer-Encoding: xchunked\r\n")), SPAN(GET("Transfer-Encoding: chunkedx\r\n")),
			SPAN(GET("Transfer-Encoding: chunked;q=1\r\n")), SPAN(GET("Transfer-Encoding: \"chunked\"\r\n")),
			SPAN(GET("Transfer-Encoding: chunked\xa0\r\n")),
			SPAN(GET("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")));
}

static void test_refuses_expectations(void)
{
	REFUSES(417, SPAN(GET("Expect: 200-ok\r\n")), SPAN(GET("Expect:\r\n")), SPAN(GET("Expect: 100-continue, x\r\n")),
			SPAN(GET("Expect: 100-continue\r\nExpect: x\r\n")), SPAN(GET("Expect: 100\r\n")),
			SPAN(POST_10("Expect: x\r\n")));
}

/* ---- bounds, each from both sides ---- */

static void check_repeated(const char *before, const char *piece, size_t max, const char *behind, int status)
{
	CLEANUP(buffer_finish) struct buffer good = repeat(before, piece, max, behind);
	CLEANUP(buffer_finish) struct buffer bad = repeat(before, piece, max + 1, behind);
	check_accepts(buffer_span(&good));
	check_refuses(buffer_span(&bad), status);
}

static void test_bounds(void)
{
	check_repeated("", "M", 32, " / HTTP/1.1\r\nHost: x\r\n\r\n", 501);
	check_repeated("GET /", "a", 9999, " HTTP/1.1\r\nHost: x\r\n\r\n", 414);
	check_repeated("GET / HTTP/1.1\r\nHost: x\r\n", "X:\r\n", HTTP_MAX_FIELDS - 1, "\r\n", 431);
	check_repeated("GET / HTTP/1.1\r\nHost: x\r\nX: ", "x", HTTP_MAX_HEAD_BYTES - 32, "\r\n\r\n", 431);
	check_repeated("\r\nGET / HTTP/1.1\r\nHost: x\r\nX: ", "x", HTTP_MAX_HEAD_BYTES - 34, "\r\n\r\n", 431);
	check_repeated("GET / HTTP/1.1\r\nHost: x\r\n", "x", HTTP_MAX_HEAD_BYTES - 30, ":\r\n\r\n", 431);
}

/* What never ends is refused at the bound, whatever it is. */
static void test_bounds_without_end(void)
{
	static const struct {
		const char *before, *piece;
		int status;
	} cases[] = {
		{ "", "A", 501 },
		{ "GET /", "a", 414 },
		{ "GET / HTTP/1.1\r\n", "a", 431 },
		{ "GET / HTTP/1.1\r\nX:", " ", 431 },
		{ "GET / HTTP/1.1\r\nX:", "\xff", 431 },
		{ "GET / HTTP/1.1\r\n", "X:\r\n", 431 },
		{ "GET / HTTP/1.1\r\n",
		  "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
		  431 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		size_t n = HTTP_MAX_HEAD_BYTES / strlen(cases[i].piece) + 1;
		CLEANUP(buffer_finish) struct buffer head = repeat(cases[i].before, cases[i].piece, n, "");
		check_refuses(buffer_span(&head), cases[i].status);
	}
}

/* ---- looking fields up ---- */

static void test_fields(void)
{
	const struct http_request *request = parse(GET("X-A: 1\r\nx-a: 2, 3\r\nX-AB: 4\r\nX-a:\r\nY:\r\n"));
	CU_ASSERT_TRUE(is_text(http_field(request, "X-A"), "1"));
	CU_ASSERT_TRUE(is_text(http_field(request, "x-ab"), "4"));
	CU_ASSERT_TRUE(http_field(request, "Y").data && http_field(request, "Y").n == 0);
	CU_ASSERT_PTR_NULL(http_field(request, "X").data);
	CU_ASSERT_PTR_NULL(http_field(request, "").data);
	CU_ASSERT_EQUAL(http_field_count(request, "X-A"), 3);
	CU_ASSERT_EQUAL(http_field_count(request, "X-AB"), 1);
	CU_ASSERT_EQUAL(http_field_count(request, "X-"), 0);
}

static void test_field_lists(void)
{
	const struct http_request *request = parse(GET("A: 1\r\nB: 2\r\na: 3, 4\r\nA:\r\n"));
	CLEANUP(buffer_finish) struct buffer joined = BUFFER_INIT;
	CU_ASSERT_PTR_NULL(http_field_list(request, "C", &joined).data);
	CU_ASSERT_TRUE(is_text(http_field_list(request, "b", &joined), "2"));
	CU_ASSERT_EQUAL(joined.n, 0);
	CU_ASSERT_TRUE(is_text(http_field_list(request, "A", &joined), "1, 3, 4, "));
	CU_ASSERT_TRUE(is_text(http_field_list(request, "A", &joined), "1, 3, 4, "));
	joined.failed = true;
	CU_ASSERT_PTR_NULL(http_field_list(request, "A", &joined).data);
}

static void test_lists(void)
{
	static const char *const with[] = {
		"close", "CLOSE", "a, Close", "close,a", ",,close,,", "a\t,\tclose\t", " close"
	};
	static const char *const without[] = { "",          "clos",      "closed", "a close", "close a",
										   "\"close\"", "close;q=1", ",",      "c,lose" };
	for (size_t i = 0; i < ARRAY_LENGTH(with); i++)
		CU_ASSERT_TRUE(http_list_has(span_text(with[i]), SPAN("close")));
	for (size_t i = 0; i < ARRAY_LENGTH(without); i++)
		CU_ASSERT_FALSE(http_list_has(span_text(without[i]), SPAN("close")));
	CU_ASSERT_FALSE(http_list_has(span_of(NULL, 0), SPAN("close")));
}

/* ---- Accept ---- */

static void check_weight(const char *accept, unsigned html, unsigned stream)
{
	CU_ASSERT_EQUAL(http_accept_weight(span_text(accept), SPAN("text/html")), html);
	CU_ASSERT_EQUAL(http_accept_weight(span_text(accept), SPAN("text/event-stream")), stream);
}

static void test_accept_closest_range(void)
{
	check_weight("text/html,application/xml;q=0.9,*/*;q=0.8", 1000, 800);
	check_weight("*/*;q=0.8,text/html", 1000, 800);
	check_weight("*/*;q=0.1, text/*;q=0.5, TEXT/Html;q=0.25", 250, 500);
	check_weight("text/*;q=0.5,*/*", 500, 500);
	check_weight("*/*", 1000, 1000);
	check_weight("text/html;level=1;q=0.5", 500, 0);
	check_weight("text/html; Q=0.5 ", 500, 0);
	check_weight("text/html;q=0,*/*", 0, 1000);
	check_weight("text/event-stream", 0, 1000);
	check_weight("text/html;q=0.3,text/html;q=0.9", 300, 0);
}

static void test_accept_nothing(void)
{
	static const char *const without[] = {
		"",       ",",  ";",        "text",       "text/",     "/html",           "*",
		"*/html", "/*", "text/htm", "text/html2", "text html", "application/json"
	};
	for (size_t i = 0; i < ARRAY_LENGTH(without); i++)
		check_weight(without[i], 0, 0);
	CU_ASSERT_EQUAL(http_accept_weight(span_of(NULL, 0), SPAN("text/html")), 0);
}

static void test_accept_weights(void)
{
	check_weight("text/html;q=1", 1000, 0);
	check_weight("text/html;q=1.", 1000, 0);
	check_weight("text/html;q=1.000", 1000, 0);
	check_weight("text/html;q=0.001", 1, 0);
	check_weight("text/html;q=0.999", 999, 0);
	check_weight("text/html;q=0.25", 250, 0);
	static const char *const bad[] = {
		"text/html;q",      "text/html;q=",      "text/html;q=2",    "text/html;q=1.001", "text/html;q=0.0001",
		"text/html;q=10",   "text/html;q=-1",    "text/html;q=.5",   "text/html;q=0,5",   "text/html;q=0.x",
		"text/html;q= 0.5", "text/html;q=\"1\"", "text/html;q=9999", "text/html;q=0..5",  "text/html;q=+1",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
		check_weight(bad[i], 0, 0);
}

/* ---- chunks ---- */

/* Feeds the body in slices of that size, each in memory of its own; *ret_n_used is how much it was. */
static enum http_chunks_outcome decode(struct span body, size_t slice, struct buffer *decoded, size_t *ret_n_used)
{
	struct http_chunks chunks = HTTP_CHUNKS_INIT;
	enum http_chunks_outcome outcome = HTTP_CHUNKS_MORE;
	size_t at = 0;
	while (at < body.n && outcome == HTTP_CHUNKS_MORE) {
		size_t n = body.n - at < slice ? body.n - at : slice;
		CLEANUP(free) char *copy = exact_copy(span_of(body.data + at, n));
		struct span bytes = span_of(copy, n), data;
		do {
			outcome = http_chunks_read(&chunks, &bytes, &data);
			buffer_add(decoded, data);
		} while (outcome == HTTP_CHUNKS_MORE && bytes.n);
		at += n - bytes.n;
	}
	*ret_n_used = at;
	return outcome;
}

static void check_decodes(struct span body, struct span wanted)
{
	for (size_t slice = 1; slice <= body.n + 1; slice += slice < 40 ? 1 : body.n / 3) {
		CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT, more = BUFFER_INIT;
		size_t n_used;
		CU_ASSERT_EQUAL(decode(body, slice, &decoded, &n_used), HTTP_CHUNKS_DONE);
		CU_ASSERT_TRUE(span_equal(buffer_span(&decoded), wanted));
		buffer_add(&more, body);
		buffer_add_text(&more, "GET /next HTTP/1.1\r\n");
		CU_ASSERT_EQUAL(decode(buffer_span(&more), slice, &decoded, &n_used), HTTP_CHUNKS_DONE);
		CU_ASSERT_EQUAL(n_used, body.n);
	}
}

static void test_chunks(void)
{
	static const struct {
		struct span body, decoded;
	} cases[] = {
		{ SPAN("0\r\n\r\n"), SPAN("") },
		{ SPAN("5\r\nhello\r\n0\r\n\r\n"), SPAN("hello") },
		{ SPAN("1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n0\r\n\r\n"), SPAN("hello") },
		{ SPAN("4\r\n\r\n\0\n\r\n0\r\n\r\n"), SPAN("\r\n\0\n") },
		{ SPAN("a\r\n0123456789\r\nB\r\n0123456789a\r\n000\r\n\r\n"), SPAN("01234567890123456789a") },
		{ SPAN("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n"), SPAN("hello") },
		{ SPAN("5;a=b;c=\"\xe4;\"\r\nhello\r\n0;x\r\n\r\n"), SPAN("hello") },
		{ SPAN("5 \t;a\r\nhello\r\n0 ;\t\r\n\r\n"), SPAN("hello") },
		{ SPAN("5\r\nhello\r\n0\r\nX-A: b\r\nContent-Length: 7\r\nY:\r\n\r\n"), SPAN("hello") },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		check_decodes(cases[i].body, cases[i].decoded);
}

/* Refused at the last byte, and not before; and for good. */
static void check_bad_chunks(struct span body)
{
	for (size_t slice = 1; slice <= body.n; slice += slice < 40 ? 1 : body.n / 3) {
		CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
		size_t n_used;
		if (decode(body, slice, &decoded, &n_used) != HTTP_CHUNKS_E_BAD || n_used != body.n)
			complain(body, "chunks");
		if (decode(span_of(body.data, body.n - 1), slice, &decoded, &n_used) != HTTP_CHUNKS_MORE)
			complain(body, "chunks too early");
	}
	struct http_chunks chunks = HTTP_CHUNKS_INIT;
	struct span data;
	while (http_chunks_read(&chunks, &body, &data) == HTTP_CHUNKS_MORE) {
	}
	struct span more = SPAN("0\r\n\r\n");
	CU_ASSERT_EQUAL(http_chunks_read(&chunks, &more, &data), HTTP_CHUNKS_E_BAD);
	CU_ASSERT_EQUAL(data.n, 0);
}

static void test_refuses_chunks(void)
{
	static const struct span bodies[] = {
		SPAN("\r"),
		SPAN("\n"),
		SPAN(" "),
		SPAN(";"),
		SPAN("g"),
		SPAN("-"),
		SPAN("+"),
		SPAN("\0"),
		SPAN("0x"),
		SPAN("5 5"),
		SPAN("5\n"),
		SPAN("5 \r"),
		SPAN("5\t\n"),
		SPAN("5,"),
		SPAN("5."),
		SPAN("5\0"),
		SPAN("5\r\r"),
		SPAN("5\rh"),
		SPAN("5\r\0"),
		SPAN("00000000000000005"),
		SPAN("00000000000000000"),
		SPAN("10000000000000000"),
		SPAN("fffffffffffffffff"),
		SPAN("5;a\n"),
		SPAN("5;\0"),
		SPAN("5;\x01"),
		SPAN("5;\x7f"),
		SPAN("5;a\rb"),
		SPAN("5;a=\"\r\r"),
		SPAN("5\r\nhellox"),
		SPAN("5\r\nhello\n"),
		SPAN("5\r\nhello0"),
		SPAN("5\r\nhello\r\r"),
		SPAN("5\r\nhello\r0"),
		SPAN("5\r\nhello\r\n\r"),
		SPAN("5\r\nhello\r\n\n"),
		SPAN("5\r\nhello\r\n "),
		SPAN("0\r\nX\r"),
		SPAN("0\r\nX "),
		SPAN("0\r\n:"),
		SPAN("0\r\n "),
		SPAN("0\r\n\t"),
		SPAN("0\r\nX\n"),
		SPAN("0\r\nX: a\n"),
		SPAN("0\r\nX: \0"),
		SPAN("0\r\nX: a\r\r"),
		SPAN("0\r\nX: a\r\n "),
		SPAN("0\r\nX: a\r\n\n"),
		SPAN("0\r\n\n"),
		SPAN("0\r\n\r\r"),
		SPAN("0\r\n\rG"),
		SPAN("0\r\nX\x80"),
		SPAN("0\n"),
		SPAN("0\r0"),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++)
		check_bad_chunks(bodies[i]);
}

static void check_repeated_chunks(const char *before, size_t max, const char *behind)
{
	CLEANUP(buffer_finish) struct buffer good = repeat(before, "x", max, behind);
	CLEANUP(buffer_finish) struct buffer bad = repeat(before, "x", max + 1, "");
	CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
	size_t n_used;
	CU_ASSERT_EQUAL(decode(buffer_span(&good), good.n, &decoded, &n_used), HTTP_CHUNKS_DONE);
	CU_ASSERT_EQUAL(decode(buffer_span(&good), 1, &decoded, &n_used), HTTP_CHUNKS_DONE);
	CLEANUP(buffer_finish) struct buffer too_long = BUFFER_INIT;
	buffer_add(&too_long, buffer_span(&bad));
	buffer_add_text(&too_long, behind);
	CU_ASSERT_EQUAL(decode(buffer_span(&too_long), too_long.n, &decoded, &n_used), HTTP_CHUNKS_E_BAD);
	CU_ASSERT_EQUAL(decode(buffer_span(&too_long), 1, &decoded, &n_used), HTTP_CHUNKS_E_BAD);
}

static void test_chunk_bounds(void)
{
	check_repeated_chunks("1;", 256 - 4, "\r\nh\r\n0\r\n\r\n");
	check_repeated_chunks("1\r\nh\r\n0;", 256 - 4, "\r\n\r\n");
	check_repeated_chunks("0\r\nX: ", 4096 - 7, "\r\n\r\n");
	check_repeated_chunks("0\r\nX: y\r\n", 4096 - 11, ":\r\n\r\n");
	CLEANUP(buffer_finish) struct buffer many = repeat("", "1;ext\r\nh\r\n", 10000, "0\r\n\r\n"), decoded = BUFFER_INIT;
	size_t n_used;
	CU_ASSERT_EQUAL(decode(buffer_span(&many), 7, &decoded, &n_used), HTTP_CHUNKS_DONE);
	CU_ASSERT_EQUAL(decoded.n, 10000);
}

/* The largest size is taken at its word; the caller has a limit of its own. */
static void test_chunk_claims(void)
{
	struct http_chunks chunks = HTTP_CHUNKS_INIT;
	struct span bytes = SPAN("ffffffffffffffff\r\nabc"), data;
	CU_ASSERT_EQUAL(http_chunks_read(&chunks, &bytes, &data), HTTP_CHUNKS_MORE);
	CU_ASSERT_TRUE(is_text(data, "abc") && bytes.n == 0);
	CU_ASSERT_EQUAL(chunks.left, UINT64_MAX - 3);
	CU_ASSERT_EQUAL(http_chunks_read(&chunks, &bytes, &data), HTTP_CHUNKS_MORE);
	CU_ASSERT_EQUAL(data.n, 0);
}

static void test_chunks_stay_done(void)
{
	struct http_chunks chunks = HTTP_CHUNKS_INIT;
	struct span bytes = SPAN("0\r\n\r\n5\r\nhello"), data;
	CU_ASSERT_EQUAL(http_chunks_read(&chunks, &bytes, &data), HTTP_CHUNKS_DONE);
	CU_ASSERT_EQUAL(http_chunks_read(&chunks, &bytes, &data), HTTP_CHUNKS_DONE);
	CU_ASSERT_TRUE(is_text(bytes, "5\r\nhello") && data.n == 0);
}

/* ---- the rest ---- */

static void test_status_texts(void)
{
	CU_ASSERT_STRING_EQUAL(http_status_text(404), "Not Found");
	CU_ASSERT_STRING_EQUAL(http_status_text(426), "Upgrade Required");
	CU_ASSERT_STRING_EQUAL(http_status_text(0), "Unknown");
	CU_ASSERT_STRING_EQUAL(http_status_text(-404), "Unknown");
	static const int problems[] = { 400, 413, 414, 417, 426, 431, 501, 503, 505 };
	for (size_t i = 0; i < ARRAY_LENGTH(problems); i++)
		CU_ASSERT_STRING_NOT_EQUAL(http_status_text(problems[i]), "Unknown");
}

static void test_queries(void)
{
	struct span query = SPAN("&a=1&&b&=c&d==e=&f=%26&"), name, value;
	static const char *const pairs[][2] = { { "a", "1" }, { "b", "" }, { "", "c" }, { "d", "=e=" }, { "f", "%26" } };
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
		CU_ASSERT_TRUE_FATAL(http_query_next(&query, &name, &value));
		CU_ASSERT_TRUE(is_text(name, pairs[i][0]) && is_text(value, pairs[i][1]));
	}
	CU_ASSERT_FALSE(http_query_next(&query, &name, &value));
	CU_ASSERT_FALSE(http_query_next(&query, &name, &value));
	static const struct span empty[] = { { NULL, 0 }, SPAN(""), SPAN("&"), SPAN("&&&") };
	for (size_t i = 0; i < ARRAY_LENGTH(empty); i++) {
		query = empty[i];
		CU_ASSERT_FALSE(http_query_next(&query, &name, &value));
	}
}

static void test_percent(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	CU_ASSERT_TRUE(http_percent_decode(SPAN("%41b%2F%2f+%00%fF%25"), &b));
	CU_ASSERT_TRUE(span_equal(buffer_span(&b), SPAN("Ab//+\0\xff%")));
	CU_ASSERT_TRUE(http_percent_decode(span_of(NULL, 0), &b));
	CU_ASSERT_TRUE(http_percent_decode(SPAN("plain"), &b));
	CU_ASSERT_TRUE(span_equal(buffer_span(&b), SPAN("Ab//+\0\xff%plain")));
}

static void test_refuses_percent(void)
{
	static const struct span texts[] = {
		SPAN("%"),    SPAN("%4"),     SPAN("a%"),  SPAN("a%4"),       SPAN("%%41"), SPAN("%4g"),
		SPAN("%g4"),  SPAN("%u0041"), SPAN("% 4"), SPAN("%4 "),       SPAN("%+4"),  SPAN("%0x1"),
		SPAN("%4\0"), SPAN("%41%4"),  SPAN("%-1"), SPAN("%\xff\xff"),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
		CLEANUP(free) char *copy = exact_copy(texts[i]);
		buffer_add_text(&b, "kept");
		CU_ASSERT_FALSE(http_percent_decode(span_of(copy, texts[i].n), &b));
		CU_ASSERT_TRUE(is_text(buffer_span(&b), "kept"));
	}
}

UNIT_MAIN({ "accepts what is right", test_accepts }, { "reads a callback", test_reads_request },
		  { "reads the query", test_reads_query }, { "reads what body follows", test_reads_body },
		  { "reads whether the connection goes on", test_reads_keep_alive },
		  { "closes on what is no HTTP", test_refuses_garbage }, { "refuses targets", test_refuses_targets },
		  { "refuses versions", test_refuses_versions }, { "refuses line ends", test_refuses_line_ends },
		  { "refuses malformed fields", test_refuses_fields }, { "judges every byte", test_judges_every_byte },
		  { "refuses hosts", test_refuses_hosts }, { "refuses lengths", test_refuses_lengths },
		  { "refuses codings", test_refuses_codings }, { "refuses expectations", test_refuses_expectations },
		  { "bounds, from both sides", test_bounds }, { "what never ends is cut", test_bounds_without_end },
		  { "fields are found without case", test_fields }, { "fields are joined", test_field_lists },
		  { "lists are searched for tokens", test_lists },
		  { "Accept: the closest range decides", test_accept_closest_range },
		  { "Accept: what covers nothing", test_accept_nothing }, { "Accept: weights", test_accept_weights },
		  { "chunks are decoded in any slices", test_chunks }, { "refuses chunks, at the byte", test_refuses_chunks },
		  { "chunk lines and trailers are bounded", test_chunk_bounds }, { "the largest chunk", test_chunk_claims },
		  { "chunks stay done", test_chunks_stay_done }, { "statuses have names", test_status_texts },
		  { "queries are split", test_queries }, { "percent-decoding", test_percent },
		  { "refuses bad escapes", test_refuses_percent })
