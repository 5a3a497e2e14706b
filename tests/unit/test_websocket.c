/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket as RFC 6455 has it, its own examples first, then frame by frame what the Autobahn suite tries in its
 * sections 1 to 7. A session is written as bytes and read in slices of every size; what comes out is kept as text, one
 * line a frame, and must be the same for all.
 */
#include "wire/websocket.h"

#include "unit.h"

#include <stdio.h>

#define MAX_MESSAGE 70000 /* so that the bound lies where the longest form of a length begins */

static bool is_text(struct span s, const char *text)
{
	return span_equal(s, span_text(text));
}

/* ---- the handshake ---- */

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define HEAD(fields) "GET /subscribe HTTP/1.1\r\nHost: server.example.com\r\n" fields "\r\n"

/* The status of the problem; 101 if there is none. */
static int handshake(const char *head, char ret_accept[static WEBSOCKET_ACCEPT_SIZE])
{
	static struct http_request request;
	struct http_problem problem = { 0 };
	CU_ASSERT_EQUAL_FATAL(http_parse(span_text(head), &request, &problem), HTTP_OK);
	if (websocket_check_handshake(&request, ret_accept, &problem) == HTTP_OK)
		return 101;
	CU_ASSERT_PTR_NOT_NULL(problem.reason);
	return problem.status;
}

static void test_accepts_handshakes(void)
{
	static const char *const heads[] = {
		HEAD(UPGRADE KEY VERSION),
		HEAD(UPGRADE KEY VERSION "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n"),
		HEAD("upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n" KEY VERSION),
		HEAD("UPGRADE: \tWEBSOCKET \r\nConnection: keep-alive\r\nConnection: UPGRADE\r\n" KEY VERSION),
		HEAD(UPGRADE KEY VERSION "Sec-WebSocket-Extensions: permessage-deflate\r\n"),
	};
	for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
		char accept[WEBSOCKET_ACCEPT_SIZE] = "";
		CU_ASSERT_EQUAL(handshake(heads[i], accept), 101);
		CU_ASSERT_STRING_EQUAL(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455 1.3 */
	}
}

static void test_refuses_handshakes(void)
{
#define POST(fields) "POST /subscribe HTTP/1.1\r\nHost: server.example.com\r\n" fields "\r\n"
#define WITH_KEY(key) HEAD(UPGRADE VERSION "Sec-WebSocket-Key: " key "\r\n")
#define WITH_VERSION(version) HEAD(UPGRADE KEY "Sec-WebSocket-Version: " version "\r\n")
#define WITH_UPGRADE(upgrade) HEAD("Connection: Upgrade\r\nUpgrade: " upgrade "\r\n" KEY VERSION)
	static const struct {
		const char *head;
		int status;
	} cases[] = {
		{ POST(UPGRADE KEY VERSION), 400 },
		{ "get / HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n", 400 },
		{ "GET / HTTP/1.0\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n", 400 },
		{ HEAD(UPGRADE KEY VERSION "Content-Length: 5\r\n"), 400 },
		{ HEAD(UPGRADE KEY VERSION "Content-Length: 0\r\n"), 400 },
		{ HEAD(UPGRADE KEY VERSION "Transfer-Encoding: chunked\r\n"), 400 },
		{ HEAD(""), 400 },
		{ HEAD(KEY VERSION), 400 },
		{ HEAD("Connection: Upgrade\r\n" KEY VERSION), 400 },
		{ HEAD("Upgrade: websocket\r\n" KEY VERSION), 400 },
		{ HEAD("Upgrade: websocket\r\nConnection: upgrades\r\n" KEY VERSION), 400 },
		{ HEAD("Upgrade: websocket\r\nConnection: keep-alive upgrade\r\n" KEY VERSION), 400 },
		{ HEAD("Upgrade: websocket\r\nConnection: close\r\n" KEY VERSION), 400 },
		{ HEAD(UPGRADE "Upgrade: websocket\r\n" KEY VERSION), 400 },
		{ HEAD(UPGRADE "Upgrade: h2c\r\n" KEY VERSION), 400 },
		{ WITH_UPGRADE("websocket, h2c"), 400 },
		{ WITH_UPGRADE("h2c, websocket"), 400 },
		{ WITH_UPGRADE("websocket,"), 400 },
		{ WITH_UPGRADE("websocket/13"), 400 },
		{ WITH_UPGRADE("websockets"), 400 },
		{ WITH_UPGRADE("web socket"), 400 },
		{ WITH_UPGRADE("\"websocket\""), 400 },
		{ WITH_UPGRADE("foo"), 400 },
		{ WITH_UPGRADE("h2c"), 400 },
		{ WITH_UPGRADE(""), 400 },
		{ HEAD(UPGRADE KEY), 426 },
		{ HEAD(UPGRADE KEY VERSION VERSION), 426 },
		{ WITH_VERSION(""), 426 },
		{ WITH_VERSION("8"), 426 },
		{ WITH_VERSION("99"), 426 },
		{ WITH_VERSION("013"), 426 },
		{ WITH_VERSION("13.0"), 426 },
		{ WITH_VERSION("13, 8"), 426 },
		{ WITH_VERSION("+13"), 426 },
		{ HEAD(UPGRADE VERSION), 400 },
		{ HEAD(UPGRADE VERSION KEY KEY), 400 },
		{ HEAD(UPGRADE VERSION KEY "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"), 400 },
		{ WITH_KEY(""), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZQ"), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZQ="), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZQ==="), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZQ=\xbd"), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZR=="), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZ==="), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZQ== x"), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25j"), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZWVl"), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZWU="), 400 },
		{ WITH_KEY("dGhl-HNhbXBsZSBub25jZQ=="), 400 },
		{ WITH_KEY("dGhl_HNhbXBsZSBub25jZQ=="), 400 },
		{ WITH_KEY("dGhl HNhbXBsZSBub25jZQ=="), 400 },
		{ WITH_KEY("=GhlIHNhbXBsZSBub25jZQ=="), 400 },
		{ WITH_KEY("dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400 },
		{ WITH_KEY("\"dGhlIHNhbXBsZSBub25j\""), 400 },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		char accept[WEBSOCKET_ACCEPT_SIZE] = "untouched";
		if (handshake(cases[i].head, accept) != cases[i].status) {
			fprintf(stderr, "%s", cases[i].head);
			CU_FAIL("see stderr");
		}
		CU_ASSERT_STRING_EQUAL(accept, "untouched");
	}
}

/* Of all last characters only those that leave no bit over. */
static void test_keys_are_canonical(void)
{
	const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char head[] = WITH_KEY("dGhlIHNhbXBsZSBub25jZ?=="), accept[WEBSOCKET_ACCEPT_SIZE];
	char *at = strchr(head, '?');
	for (size_t i = 0; i < 64; i++) {
		*at = alphabet[i];
		CU_ASSERT_EQUAL(handshake(head, accept), i % 16 ? 400 : 101);
	}
}

static void test_knows_upgrades(void)
{
	static const char *const upgrades[] = { HEAD(UPGRADE),
											HEAD("Upgrade: foo\r\n"),
											HEAD("Upgrade:\r\n"),
											HEAD("Connection: x, upgrade\r\n"),
											HEAD("Connection: x\r\nConnection: UPGRADE\r\n"),
											POST("Upgrade: h2c\r\n") };
	static const char *const others[] = { HEAD(""), HEAD("Connection: close\r\n"), HEAD("Upgrades: x\r\n"),
										  HEAD("Upgrade-Insecure-Requests: 1\r\n") };
	static struct http_request request;
	struct http_problem problem;
	for (size_t i = 0; i < ARRAY_LENGTH(upgrades); i++) {
		CU_ASSERT_EQUAL(http_parse(span_text(upgrades[i]), &request, &problem), HTTP_OK);
		CU_ASSERT_TRUE(websocket_is_upgrade(&request));
	}
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		CU_ASSERT_EQUAL(http_parse(span_text(others[i]), &request, &problem), HTTP_OK);
		CU_ASSERT_FALSE(websocket_is_upgrade(&request));
	}
}

/* ---- frames out ---- */

static void check_header(uint64_t n, struct span wanted)
{
	uint8_t header[WEBSOCKET_MAX_HEADER_BYTES];
	CU_ASSERT_TRUE(span_equal(span_of(header, websocket_put_header(header, WEBSOCKET_TEXT, n)), wanted));
}

static void test_writes_headers(void)
{
	check_header(0, SPAN("\x81\0"));
	check_header(125, SPAN("\x81\x7d"));
	check_header(126, SPAN("\x81\x7e\0\x7e"));
	check_header(256, SPAN("\x81\x7e\x01\0"));
	check_header(65535, SPAN("\x81\x7e\xff\xff"));
	check_header(65536, SPAN("\x81\x7f\0\0\0\0\0\x01\0\0"));
	check_header(0x0102030405060708, SPAN("\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08"));
}

/* RFC 6455 5.7, the server's. */
static void test_writes_frames(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	websocket_add_frame(&b, WEBSOCKET_TEXT, SPAN("Hello"));
	websocket_add_frame(&b, WEBSOCKET_PING, SPAN("Hello"));
	websocket_add_frame(&b, WEBSOCKET_PONG, span_of(NULL, 0));
	CU_ASSERT_TRUE(span_equal(buffer_span(&b), SPAN("\x81\x05Hello\x89\x05Hello\x8a\0")));
}

static void test_writes_closes(void)
{
	CLEANUP(buffer_finish) struct buffer b = BUFFER_INIT;
	websocket_add_close(&b, 1000, span_of(NULL, 0));
	websocket_add_close(&b, 4001, SPAN("stalled"));
	CU_ASSERT_TRUE(span_equal(buffer_span(&b), SPAN("\x88\x02\x03\xe8\x88\x09\x0f\xa1stalled")));
	static const uint16_t unsendable[] = { 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535 };
	for (size_t i = 0; i < ARRAY_LENGTH(unsendable); i++) {
		b.n = 0;
		websocket_add_close(&b, unsendable[i], SPAN("x"));
		CU_ASSERT_TRUE(span_equal(buffer_span(&b), SPAN("\x88\0")));
	}
}

/* A long reason is cut, and not through a character. */
static void test_cuts_reasons(void)
{
	for (size_t n_ascii = 115; n_ascii <= 130; n_ascii++) {
		CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT, b = BUFFER_INIT;
		for (size_t i = 0; i < n_ascii; i++)
			buffer_add_char(&reason, 'a');
		buffer_add_text(&reason, "\xf0\x9f\x94\x94\xe2\x82\xac");
		websocket_add_close(&b, 1000, buffer_span(&reason));
		CU_ASSERT_FATAL(b.n <= 2 + 125 && b.data[1] == (char)(b.n - 2));
		struct span sent = span_skip(buffer_span(&b), 4);
		CU_ASSERT_TRUE(span_is_utf8(sent) && sent.n > 115);
		CU_ASSERT_TRUE(span_starts_with(buffer_span(&reason), sent));
	}
}

/* ---- frames in: how a session is written ---- */

#define FINAL 0x80

/* A client's frame, its length in the shortest form that is at least `n_length` bytes (0, 2 or 8). */
static void add_masked(struct buffer *session, unsigned first, struct span payload, size_t n_length)
{
	static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d }; /* RFC 6455 5.7 */
	if (payload.n > 125 && n_length < 2)
		n_length = 2;
	if (payload.n > 65535)
		n_length = 8;
	buffer_add_char(session, (char)first);
	buffer_add_char(session, (char)(0x80 | (n_length == 0 ? payload.n : n_length == 2 ? 126 : 127)));
	for (size_t i = n_length; i-- > 0;)
		buffer_add_char(session, (char)((uint64_t)payload.n >> 8 * i));
	buffer_add(session, span_of(mask, 4));
	for (size_t i = 0; i < payload.n; i++)
		buffer_add_char(session, (char)((uint8_t)payload.data[i] ^ mask[i % 4]));
}

struct piece {
	unsigned first;
	struct span payload;
};
#define MAX_PIECES 9

static void add_pieces(struct buffer *session, const struct piece pieces[static MAX_PIECES])
{
	for (size_t i = 0; i < MAX_PIECES && pieces[i].payload.data; i++)
		add_masked(session, pieces[i].first, pieces[i].payload, 0);
}

/* ---- frames in: what comes out ---- */

static void add_outcome(struct buffer *lines, const struct websocket_frame *frame)
{
	static const char *const names[] = {
		[WEBSOCKET_TEXT] = "text", [WEBSOCKET_CLOSE] = "close", [WEBSOCKET_PING] = "ping", [WEBSOCKET_PONG] = "pong"
	};
	buffer_add_text(lines, names[frame->opcode]);
	if (frame->opcode == WEBSOCKET_CLOSE)
		buffer_add_printf(lines, " %u", frame->close_code);
	buffer_add_char(lines, ' ');
	buffer_add(lines, frame->payload);
	buffer_add_char(lines, '\n');
}

static enum websocket_outcome read_slice(struct websocket_reader *reader, struct span bytes, struct buffer *lines)
{
	struct websocket_frame frame;
	enum websocket_outcome outcome;
	uint16_t code;
	const char *reason;
	while ((outcome = websocket_read(reader, &bytes, &frame, &code, &reason)) == WEBSOCKET_MESSAGE)
		add_outcome(lines, &frame);
	if (outcome == WEBSOCKET_E_CLOSE)
		buffer_add_printf(lines, "refused %u %s\n", code, reason);
	return outcome;
}

/* Each slice lies in memory of its own, which is gone when the next one is read. */
static void read_sliced(struct websocket_reader *reader, struct span session, size_t slice, struct buffer *lines)
{
	for (size_t at = 0; at < session.n; at += slice) {
		size_t n = session.n - at < slice ? session.n - at : slice;
		CLEANUP(free) char *copy = malloc(n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, session.data + at, n);
		enum websocket_outcome outcome = read_slice(reader, span_of(copy, n), lines);
		CU_ASSERT_TRUE(outcome == WEBSOCKET_MORE || outcome == WEBSOCKET_E_CLOSE);
	}
}

static void check_slice(struct span session, size_t first_slice, size_t slice, struct span wanted)
{
	CLEANUP(buffer_finish) struct buffer lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	read_sliced(&reader, span_of(session.data, first_slice), first_slice, &lines);
	read_sliced(&reader, span_skip(session, first_slice), slice, &lines);
	if (!span_equal(buffer_span(&lines), wanted)) {
		fprintf(stderr, "slices of %zu and %zu: %.*swanted: %.*s", first_slice, slice, SPAN_PRINTF(buffer_span(&lines)),
				SPAN_PRINTF(wanted));
		CU_FAIL("see stderr");
	}
	websocket_reader_finish(&reader);
}

/* In slices of every size, and cut in two at every byte. */
static void check_session(struct span session, struct span wanted)
{
	size_t step = session.n > 1000 ? session.n / 50 : 1;
	for (size_t slice = 1; slice <= session.n; slice += slice < 20 ? 1 : step)
		check_slice(session, 0, slice, wanted);
	for (size_t first = 1; first < session.n; first += first < 20 ? 1 : step)
		check_slice(session, first, session.n, wanted);
	check_slice(session, 0, session.n, wanted);
}

struct session {
	struct piece pieces[MAX_PIECES];
	struct span wanted;
};

static void check_sessions(const struct session *sessions, size_t n_sessions)
{
	for (size_t i = 0; i < n_sessions; i++) {
		CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT;
		add_pieces(&session, sessions[i].pieces);
		check_session(buffer_span(&session), sessions[i].wanted);
	}
}

#define CHECK_SESSIONS(...)                                        \
	do {                                                           \
		static const struct session sessions_[] = { __VA_ARGS__ }; \
		check_sessions(sessions_, ARRAY_LENGTH(sessions_));        \
	} while (0)

/* What the peer has to say behind its mistake makes no difference. */
#define THEN                                 \
	{                                        \
		FINAL | WEBSOCKET_TEXT, SPAN("late") \
	}

/* ---- frames in: what is right ---- */

static void test_reads_examples(void)
{
	check_session(SPAN("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), SPAN("text Hello\n"));
	check_session(SPAN("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), SPAN("pong Hello\n"));
	CHECK_SESSIONS({ { { 1, SPAN("Hel") }, { FINAL, SPAN("lo") } }, SPAN("text Hello\n") },
				   { { { FINAL | 9, SPAN("Hello") } }, SPAN("ping Hello\n") });
}

/* Autobahn 1 and 5. */
static void test_reads_messages(void)
{
	CHECK_SESSIONS(
		{ { { FINAL | 1, SPAN("") } }, SPAN("text \n") },
		{ { { 1, SPAN("") }, { 0, SPAN("") }, { FINAL, SPAN("") } }, SPAN("text \n") },
		{ { { 1, SPAN("") }, { 0, SPAN("middle") }, { FINAL, SPAN("") } }, SPAN("text middle\n") },
		{ { { 1, SPAN("") }, { FINAL, SPAN("end") } }, SPAN("text end\n") },
		{ { { 1, SPAN("a") }, { 0, SPAN("b") }, { 0, SPAN("c") }, { FINAL, SPAN("d") }, { FINAL | 1, SPAN("e") } },
		  SPAN("text abcd\ntext e\n") },
		{ { { FINAL | 1, SPAN("one") }, { FINAL | 1, SPAN("two") }, { FINAL | 1, SPAN("three") } },
		  SPAN("text one\ntext two\ntext three\n") },
		{ { { FINAL | 1, SPAN("a\0b") } }, SPAN("text a\0b\n") });
}

/* Autobahn 2 and 5. */
static void test_reads_control_frames(void)
{
#define P125                                                                                               \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" \
	"0123456789012345678901234"
	CHECK_SESSIONS(
		{ { { FINAL | 9, SPAN("") } }, SPAN("ping \n") }, { { { FINAL | 10, SPAN("") } }, SPAN("pong \n") },
		{ { { FINAL | 9, SPAN(P125) } }, SPAN("ping " P125 "\n") },
		{ { { FINAL | 10, SPAN("\0\xff\xfe") } }, SPAN("pong \0\xff\xfe\n") },
		{ { { FINAL | 9, SPAN("1") }, { FINAL | 9, SPAN("2") }, { FINAL | 10, SPAN("3") } },
		  SPAN("ping 1\nping 2\npong 3\n") },
		{ { { 1, SPAN("Hel") }, { FINAL | 9, SPAN("ping") }, { FINAL, SPAN("lo") } }, SPAN("ping ping\ntext Hello\n") },
		{ { { 1, SPAN("") }, { FINAL | 9, SPAN("") }, { FINAL, SPAN("lo") } }, SPAN("ping \ntext lo\n") },
		{ { { 1, SPAN("a") },
			{ FINAL | 9, SPAN(P125) },
			{ FINAL | 10, SPAN("x") },
			{ 0, SPAN("b") },
			{ FINAL | 9, SPAN("y") },
			{ FINAL, SPAN("") },
			{ FINAL | 1, SPAN("c") } },
		  SPAN("ping " P125 "\npong x\nping y\ntext ab\ntext c\n") },
		{ { { 1, SPAN("a") }, { FINAL | 8, SPAN("\x03\xe8") }, { FINAL, SPAN("b") } }, SPAN("close 1000 \n") });
}

/* Autobahn 7. */
static void test_reads_closes(void)
{
	CHECK_SESSIONS(
		{ { { FINAL | 8, SPAN("") } }, SPAN("close 1005 \n") },
		{ { { FINAL | 8, SPAN("\x03\xe8") }, THEN }, SPAN("close 1000 \n") },
		{ { { FINAL | 8, SPAN("\x0f\xa1"
							  "bye \xe2\x82\xac") },
			THEN },
		  SPAN("close 4001 bye \xe2\x82\xac\n") },
		{ { { FINAL | 8, SPAN("") }, { FINAL | 8, SPAN("") }, { FINAL | 9, SPAN("") } }, SPAN("close 1005 \n") },
		{ { { FINAL | 8, SPAN("") }, { 0x7f, SPAN("x") } }, SPAN("close 1005 \n") });
}

/* Every code, against the text of RFC 6455 7.4 and the registry. */
static void test_reads_close_codes(void)
{
	for (unsigned code = 0; code < 65536; code++) {
		bool is_valid = (code >= 3000 && code < 5000) ||
						(code >= 1000 && code < 1015 && code != 1004 && code != 1005 && code != 1006);
		char payload[2] = { (char)(code >> 8), (char)code };
		CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT, wanted = BUFFER_INIT;
		struct websocket_reader reader;
		websocket_reader_init(&reader, MAX_MESSAGE);
		add_masked(&session, FINAL | 8, span_of(payload, 2), 0);
		(void)read_slice(&reader, buffer_span(&session), &lines);
		if (is_valid)
			buffer_add_printf(&wanted, "close %u \n", code);
		else
			buffer_add_text(&wanted, "refused 1002 close code is not valid\n");
		CU_ASSERT_TRUE(span_equal(buffer_span(&lines), buffer_span(&wanted)));
		websocket_reader_finish(&reader);
	}
}

/* Autobahn 1.1.2 to 1.1.8: on both sides of each form of the length. */
static void test_reads_lengths(void)
{
	static const size_t lengths[] = { 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, MAX_MESSAGE };
	for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT, session = BUFFER_INIT, wanted = BUFFER_INIT;
		for (size_t k = 0; k < lengths[i]; k++)
			buffer_add_char(&text, (char)('a' + k % 26));
		add_masked(&session, FINAL | WEBSOCKET_TEXT, buffer_span(&text), 0);
		buffer_add_text(&wanted, "text ");
		buffer_add(&wanted, buffer_span(&text));
		buffer_add_text(&wanted, "\n");
		check_session(buffer_span(&session), buffer_span(&wanted));
	}
}

/* ---- frames in: what is refused ---- */

/* Autobahn 3 and 4. */
static void test_refuses_first_bytes(void)
{
	CHECK_SESSIONS({ { { FINAL | 0x40 | 1, SPAN("x") }, THEN }, SPAN("refused 1002 reserved bits are set\n") },
				   { { { FINAL | 0x20 | 1, SPAN("x") }, THEN }, SPAN("refused 1002 reserved bits are set\n") },
				   { { { FINAL | 0x10 | 1, SPAN("x") }, THEN }, SPAN("refused 1002 reserved bits are set\n") },
				   { { { FINAL | 0x70 | 9, SPAN("") }, THEN }, SPAN("refused 1002 reserved bits are set\n") },
				   { { { FINAL | 0x40 | 8, SPAN("") }, THEN }, SPAN("refused 1002 reserved bits are set\n") },
				   { { { FINAL | 1, SPAN("a") }, { FINAL | 0x40 | 1, SPAN("b") } },
					 SPAN("text a\nrefused 1002 reserved bits are set\n") },
				   { { { 1, SPAN("a") }, { FINAL | 0x40, SPAN("b") } }, SPAN("refused 1002 reserved bits are set\n") });
	static const unsigned reserved[] = { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 };
	for (size_t i = 0; i < ARRAY_LENGTH(reserved); i++) {
		const struct session sessions[] = {
			{ { { FINAL | reserved[i], SPAN("") }, THEN }, SPAN("refused 1002 opcode is reserved\n") },
			{ { { reserved[i], SPAN("x") }, THEN }, SPAN("refused 1002 opcode is reserved\n") },
			{ { { 1, SPAN("x") }, { FINAL | reserved[i], SPAN("x") } }, SPAN("refused 1002 opcode is reserved\n") },
		};
		check_sessions(sessions, ARRAY_LENGTH(sessions));
	}
	CHECK_SESSIONS({ { { FINAL | 2, SPAN("x") }, THEN }, SPAN("refused 1003 only text is understood\n") },
				   { { { 2, SPAN("") }, THEN }, SPAN("refused 1003 only text is understood\n") });
}

/* Autobahn 5. */
static void test_refuses_fragments(void)
{
	CHECK_SESSIONS(
		{ { { 9, SPAN("x") }, { FINAL, SPAN("y") } }, SPAN("refused 1002 control frame is fragmented\n") },
		{ { { 10, SPAN("") }, THEN }, SPAN("refused 1002 control frame is fragmented\n") },
		{ { { 8, SPAN("\x03\xe8") }, THEN }, SPAN("refused 1002 control frame is fragmented\n") },
		{ { { FINAL, SPAN("x") }, THEN }, SPAN("refused 1002 continuation of nothing\n") },
		{ { { 0, SPAN("") }, THEN }, SPAN("refused 1002 continuation of nothing\n") },
		{ { { FINAL | 1, SPAN("x") }, { FINAL, SPAN("y") } }, SPAN("text x\nrefused 1002 continuation of nothing\n") },
		{ { { 1, SPAN("x") }, { FINAL, SPAN("y") }, { 0, SPAN("z") } },
		  SPAN("text xy\nrefused 1002 continuation of nothing\n") },
		{ { { 1, SPAN("x") }, { FINAL | 1, SPAN("y") } }, SPAN("refused 1002 message inside of a message\n") },
		{ { { 1, SPAN("") }, { 1, SPAN("") } }, SPAN("refused 1002 message inside of a message\n") },
		{ { { 1, SPAN("x") }, { FINAL | 9, SPAN("p") }, { FINAL | 1, SPAN("y") } },
		  SPAN("ping p\nrefused 1002 message inside of a message\n") });
}

static void test_refuses_lengths(void)
{
	check_session(SPAN("\x81\x05Hello"), SPAN("refused 1002 frame is not masked\n"));
	check_session(SPAN("\x89\0"), SPAN("refused 1002 frame is not masked\n"));
	check_session(SPAN("\x88\x7e"), SPAN("refused 1002 frame is not masked\n"));
	check_session(SPAN("\x89\xfe\0\x7e"), SPAN("refused 1002 control frame is too long\n"));
	check_session(SPAN("\x8a\xff"), SPAN("refused 1002 control frame is too long\n"));
	check_session(SPAN("\x88\xfe\0\x02"), SPAN("refused 1002 control frame is too long\n"));
	check_session(SPAN("\x81\xfe\0\0"), SPAN("refused 1002 length is not in its shortest form\n"));
	check_session(SPAN("\x81\xfe\0\x7d"), SPAN("refused 1002 length is not in its shortest form\n"));
	check_session(SPAN("\x81\xff\0\0\0\0\0\0\0\x05"), SPAN("refused 1002 length is not in its shortest form\n"));
	check_session(SPAN("\x81\xff\0\0\0\0\0\0\xff\xff"), SPAN("refused 1002 length is not in its shortest form\n"));
	check_session(SPAN("\x81\xff\x80"), SPAN("refused 1002 length is not in its shortest form\n"));
	check_session(SPAN("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
				  SPAN("refused 1002 length is not in its shortest form\n"));
}

/* At the claim: before the mask, and before any memory is taken. */
static void test_refuses_claims(void)
{
	check_session(SPAN("\x81\xff\0\0\0\0\0\x01\x11\x71"),
				  SPAN("refused 1009 message is too big\n")); /* MAX_MESSAGE + 1 */
	check_session(SPAN("\x01\xff\0\0\x01\0\0\0\0\0"), SPAN("refused 1009 message is too big\n"));
	check_session(SPAN("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), SPAN("refused 1009 message is too big\n"));
	struct websocket_reader reader;
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	websocket_reader_init(&reader, 5);
	add_masked(&session, 1, SPAN("abc"), 0);
	add_masked(&session, FINAL | 9, SPAN("ping does not count"), 0);
	add_masked(&session, 0, SPAN("de"), 0);
	add_masked(&session, 0, SPAN(""), 0);
	buffer_add_text(&session, "\x80\x81");
	read_sliced(&reader, buffer_span(&session), 1, &lines);
	CU_ASSERT_TRUE(is_text(buffer_span(&lines), "ping ping does not count\nrefused 1009 message is too big\n"));
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	websocket_reader_finish(&reader);
}

/* A bound of nothing leaves empty messages. */
static void test_refuses_all_but_empty(void)
{
	struct websocket_reader reader;
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	websocket_reader_init(&reader, 0);
	add_masked(&session, FINAL | 1, SPAN(""), 0);
	add_masked(&session, FINAL | 1, SPAN("a"), 0);
	read_sliced(&reader, buffer_span(&session), 3, &lines);
	CU_ASSERT_TRUE(is_text(buffer_span(&lines), "text \nrefused 1009 message is too big\n"));
	websocket_reader_finish(&reader);
}

static void test_refuses_closes(void)
{
	CHECK_SESSIONS(
		{ { { FINAL | 8, SPAN("\x03") }, THEN }, SPAN("refused 1002 close frame is malformed\n") },
		{ { { FINAL | 8, SPAN("\x03\xed") }, THEN }, SPAN("refused 1002 close code is not valid\n") },
		{ { { FINAL | 8, SPAN("\x03\xee"
							  "x") },
			THEN },
		  SPAN("refused 1002 close code is not valid\n") },
		{ { { FINAL | 8, SPAN("\x03\xe8\xff") }, THEN }, SPAN("refused 1007 text is not UTF-8\n") },
		{ { { FINAL | 8, SPAN("\x03\xe8"
							  "cut \xe2\x82") },
			THEN },
		  SPAN("refused 1007 text is not UTF-8\n") },
		{ { { 1, SPAN("a") }, { FINAL | 8, SPAN("\x03") } }, SPAN("refused 1002 close frame is malformed\n") });
}

/* Autobahn 6, whole, in fragments and (by the slices) in pieces. */
static void test_reads_utf8(void)
{
	CHECK_SESSIONS(
		{ { { FINAL | 1, SPAN("Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!") } },
		  SPAN("text Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!\n") },
		{ { { 1, SPAN("\xf0") }, { 0, SPAN("\x9f") }, { 0, SPAN("") }, { 0, SPAN("\x94") }, { FINAL, SPAN("\x94") } },
		  SPAN("text \xf0\x9f\x94\x94\n") },
		{ { { 1, SPAN("\xe2") }, { FINAL | 9, SPAN("\xff") }, { 0, SPAN("\x82") }, { FINAL, SPAN("\xac") } },
		  SPAN("ping \xff\ntext \xe2\x82\xac\n") });
}

static void test_refuses_utf8(void)
{
#define NOT_UTF8 SPAN("refused 1007 text is not UTF-8\n")
	CHECK_SESSIONS(
		{ { { FINAL | 1, SPAN("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
							  "edited") },
			THEN },
		  NOT_UTF8 },
		{ { { FINAL | 1, SPAN("\xff") }, THEN }, NOT_UTF8 }, { { { FINAL | 1, SPAN("a\xc3") }, THEN }, NOT_UTF8 },
		{ { { 1, SPAN("a\xc3") }, { FINAL, SPAN("") } }, NOT_UTF8 },
		{ { { 1, SPAN("a\xc3") }, { FINAL, SPAN("a") } }, NOT_UTF8 },
		{ { { 1, SPAN("\xf0") }, { 0, SPAN("\x8f") }, THEN }, NOT_UTF8 },
		{ { { 1, SPAN("\xf4") }, { 0, SPAN("\x90") }, THEN }, NOT_UTF8 }, { { { 1, SPAN("\x80") }, THEN }, NOT_UTF8 },
		{ { { FINAL | 1, SPAN("abcdefgh\xc0\xaf") }, THEN }, NOT_UTF8 },
		{ { { 1, SPAN("ok") }, { FINAL | 9, SPAN("\xff") }, { 0, SPAN("\xfe") }, THEN },
		  SPAN("ping \xff\nrefused 1007 text is not UTF-8\n") });
}

static bool is_read(struct span text)
{
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	add_masked(&session, FINAL | 1, text, 0);
	(void)read_slice(&reader, buffer_span(&session), &lines);
	websocket_reader_finish(&reader);
	return span_starts_with(buffer_span(&lines), SPAN("text "));
}

/* The stepwise check and the whole one are two pieces of code. */
static void test_utf8_agrees(void)
{
	static const uint8_t edges[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
									 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff };
	const size_t n = ARRAY_LENGTH(edges);
	size_t n_wrong = 0;
	for (size_t i = 0; i < n * n * n; i++)
		for (size_t k = 0; k < 4; k++) {
			static const uint8_t fourths[] = { 0x7f, 0x80, 0xbf, 0xc0 };
			uint8_t bytes[] = { edges[i / n / n], edges[i / n % n], edges[i % n], fourths[k] };
			if (is_read(span_of(bytes, 4)) != span_is_utf8(span_of(bytes, 4)))
				n_wrong++;
		}
	CU_ASSERT_EQUAL(n_wrong, 0);
}

/* Refused at the byte, not at the end of the message (Autobahn 6.4). */
static void test_refuses_utf8_at_once(void)
{
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	add_masked(&session, FINAL | 1, SPAN("\xce\xba\xf4\x90\x80\x80 and more"), 0);
	read_sliced(&reader, span_of(session.data, 6 + 3), 1, &lines);
	CU_ASSERT_EQUAL(lines.n, 0);
	read_sliced(&reader, span_of(session.data + 6 + 3, 1), 1, &lines);
	CU_ASSERT_TRUE(span_equal(buffer_span(&lines), NOT_UTF8));
	websocket_reader_finish(&reader);
}

/* ---- memory ---- */

static void test_is_small(void)
{
	CU_ASSERT_TRUE(sizeof(struct websocket_reader) <= 96);
}

static void test_does_not_copy_whole_messages(void)
{
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT;
	struct websocket_reader reader;
	struct websocket_frame frame;
	uint16_t code;
	const char *reason;
	websocket_reader_init(&reader, MAX_MESSAGE);
	add_masked(&session, FINAL | 1, SPAN("whole"), 0);
	add_masked(&session, FINAL | 9, SPAN("ping"), 0);
	struct span bytes = buffer_span(&session);
	CU_ASSERT_EQUAL(websocket_read(&reader, &bytes, &frame, &code, &reason), WEBSOCKET_MESSAGE);
	CU_ASSERT_PTR_EQUAL(frame.payload.data, session.data + 6);
	CU_ASSERT_EQUAL(websocket_read(&reader, &bytes, &frame, &code, &reason), WEBSOCKET_MESSAGE);
	CU_ASSERT_PTR_EQUAL(frame.payload.data, session.data + 6 + 5 + 6);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	CU_ASSERT_EQUAL(bytes.n, 0);
	websocket_reader_finish(&reader);
}

/* Memory follows the bytes, not the claims, and is given back. */
static void test_memory_follows_bytes(void)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT, session = BUFFER_INIT, lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	for (size_t i = 0; i < MAX_MESSAGE; i++)
		buffer_add_char(&text, 'x');
	add_masked(&session, FINAL | 1, buffer_span(&text), 0);
	struct span bytes = buffer_span(&session);
	read_sliced(&reader, span_of(bytes.data, 14), 14, &lines);
	CU_ASSERT_EQUAL(reader.pieces.cap, 0);
	for (size_t at = 14; at < bytes.n - 1; at++) {
		read_sliced(&reader, span_of(bytes.data + at, 1), 1, &lines);
		if (reader.pieces.cap > 64 + 2 * (at - 13))
			CU_FAIL("more memory than bytes");
	}
	CU_ASSERT_EQUAL(reader.pieces.n, MAX_MESSAGE - 1);
	read_sliced(&reader, span_of(bytes.data + bytes.n - 1, 1), 1, &lines);
	CU_ASSERT_EQUAL(lines.n, MAX_MESSAGE + strlen("text \n"));
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	websocket_reader_finish(&reader);
}

/* A control frame in pieces borrows the end of the message's memory, or has it for itself. */
static void test_memory_of_control_frames(void)
{
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	add_masked(&session, FINAL | 9, SPAN("alone"), 0);
	read_sliced(&reader, buffer_span(&session), 1, &lines);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	session.n = 0;
	add_masked(&session, 1, SPAN("part"), 0);
	add_masked(&session, FINAL | 9, SPAN("inside"), 0);
	read_sliced(&reader, buffer_span(&session), 1, &lines);
	CU_ASSERT_EQUAL(reader.pieces.n, 4);
	session.n = 0;
	add_masked(&session, FINAL | 8, SPAN("\x03\xe8"), 0);
	read_sliced(&reader, buffer_span(&session), 1, &lines);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	CU_ASSERT_TRUE(is_text(buffer_span(&lines), "ping alone\nping inside\nclose 1000 \n"));
	websocket_reader_finish(&reader);
}

static void test_finishes_half_read(void)
{
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	add_masked(&session, 1, SPAN("part"), 0);
	read_sliced(&reader, buffer_span(&session), 3, &lines);
	CU_ASSERT_PTR_NOT_NULL(reader.pieces.data);
	websocket_reader_finish(&reader);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	struct span nothing = { NULL, 0 };
	websocket_reader_init(&reader, MAX_MESSAGE);
	CU_ASSERT_EQUAL(read_slice(&reader, nothing, &lines), WEBSOCKET_MORE);
	websocket_reader_finish(&reader);
}

static void test_says_no_memory(void)
{
	CLEANUP(buffer_finish) struct buffer session = BUFFER_INIT, lines = BUFFER_INIT;
	struct websocket_reader reader;
	websocket_reader_init(&reader, MAX_MESSAGE);
	add_masked(&session, 1, SPAN("part"), 0);
	add_masked(&session, FINAL, SPAN("rest"), 0);
	read_sliced(&reader, span_of(session.data, 12), 12, &lines);
	reader.pieces.failed = true;
	CU_ASSERT_EQUAL(read_slice(&reader, span_of(session.data + 12, session.n - 12), &lines), WEBSOCKET_E_NO_MEMORY);
	CU_ASSERT_PTR_NULL(reader.pieces.data);
	CU_ASSERT_EQUAL(read_slice(&reader, buffer_span(&session), &lines), WEBSOCKET_MORE);
	CU_ASSERT_EQUAL(lines.n, 0);
	websocket_reader_finish(&reader);
}

UNIT_MAIN({ "accepts handshakes, with the RFC's accept value", test_accepts_handshakes },
		  { "refuses handshakes", test_refuses_handshakes }, { "keys are canonical base64", test_keys_are_canonical },
		  { "knows an upgrade from a plain request", test_knows_upgrades }, { "writes headers", test_writes_headers },
		  { "writes frames", test_writes_frames }, { "writes closes", test_writes_closes },
		  { "cuts reasons between characters", test_cuts_reasons }, { "reads the RFC's examples", test_reads_examples },
		  { "reads messages and fragments", test_reads_messages },
		  { "reads control frames, also between fragments", test_reads_control_frames },
		  { "reads closes, and nothing behind them", test_reads_closes },
		  { "reads close codes", test_reads_close_codes }, { "reads each form of the length", test_reads_lengths },
		  { "refuses reserved bits and opcodes, and binary", test_refuses_first_bytes },
		  { "refuses fragments out of order", test_refuses_fragments },
		  { "refuses lengths and the unmasked", test_refuses_lengths },
		  { "refuses what is too big at the claim", test_refuses_claims },
		  { "a bound of nothing", test_refuses_all_but_empty }, { "refuses closes", test_refuses_closes },
		  { "reads UTF-8 across fragments", test_reads_utf8 }, { "refuses what is no UTF-8", test_refuses_utf8 },
		  { "UTF-8 by steps agrees with UTF-8 as a whole", test_utf8_agrees },
		  { "refuses bad UTF-8 at the byte", test_refuses_utf8_at_once }, { "a reader is small", test_is_small },
		  { "whole messages are not copied", test_does_not_copy_whole_messages },
		  { "memory follows the bytes", test_memory_follows_bytes },
		  { "control frames borrow memory", test_memory_of_control_frames },
		  { "a half-read message is freed", test_finishes_half_read },
		  { "says when there is no memory", test_says_no_memory })
