/* SPDX-License-Identifier: Apache-2.0 */
#include "testing/fake_host.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a mail server of one connection, in clear: what the plugin writes, byte for byte ---- */

struct server {
	int listening;
	char url[64];
	pthread_t thread;
	const char *no;    /* the command that is refused, by its beginning; NULL: none is */
	const char *reply; /* and how */
	char commands[4096];
	char mail[65536]; /* what came after DATA */
};

/* A line without its end; false at the end of the connection. */
static bool read_line(FILE *stream, char *line, size_t size)
{
	if (!fgets(line, (int)size, stream))
		return false;
	CU_ASSERT(strlen(line) >= 2 && strcmp(line + strlen(line) - 2, "\r\n") == 0);
	line[strcspn(line, "\r\n")] = '\0';
	return true;
}

static void read_mail(struct server *server, FILE *stream)
{
	char line[2048];
	while (read_line(stream, line, sizeof line) && strcmp(line, ".") != 0) {
		CU_ASSERT(strlen(line) <= 78);
		(void)strcat(strcat(server->mail, line), "\n");
	}
}

static const char *reply_to(struct server *server, FILE *stream, const char *line)
{
	if (server->no && strncmp(line, server->no, strlen(server->no)) == 0)
		return server->reply;
	if (strncmp(line, "EHLO", 4) == 0)
		return "250 server";
	if (strcmp(line, "DATA") == 0) {
		fputs("354 go on\r\n", stream);
		(void)fflush(stream);
		read_mail(server, stream);
	}
	return "250 ok";
}

static void *serve(void *context)
{
	struct server *server = context;
	char line[2048];
	int fd = accept(server->listening, NULL, NULL);
	FILE *stream = fd < 0 ? NULL : fdopen(fd, "r+");
	if (!stream)
		return NULL;
	fputs("220 server\r\n", stream);
	(void)fflush(stream);
	while (read_line(stream, line, sizeof line)) {
		(void)strcat(strcat(server->commands, strncmp(line, "EHLO", 4) == 0 ? "EHLO" : line), "\n");
		fprintf(stream, "%s\r\n", reply_to(server, stream, line));
		(void)fflush(stream);
	}
	(void)fclose(stream);
	return NULL;
}

static void server_start(struct server *server, const char *no, const char *reply)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;
	*server = (struct server){ .no = no, .reply = reply };
	server->listening = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_FATAL(bind(server->listening, (struct sockaddr *)&address, n) == 0 && listen(server->listening, 1) == 0 &&
					getsockname(server->listening, (struct sockaddr *)&address, &n) == 0);
	(void)snprintf(server->url, sizeof server->url, "smtp://127.0.0.1:%u", ntohs(address.sin_port));
	CU_ASSERT_EQUAL_FATAL(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
	(void)shutdown(server->listening, SHUT_RDWR);
	CU_ASSERT_EQUAL(pthread_join(server->thread, NULL), 0);
	(void)close(server->listening);
}

/* ---- tests ---- */

#define MAIL(server, ...)                                                                                           \
	FAKE_OPTIONS("server", (server)->url, "tls", "none", "from", "belfry@example.com", "to", "on-call@example.com", \
				 __VA_ARGS__)

/* The plugin's outcome with a subject; the mail's head is in the server. */
static int send_subject(struct fake *fake, struct server *server, const char *body)
{
	fake_begin(fake, MAIL(server, "subject", "/s", "text", "ding"));
	fake_set_body(fake, body);
	return fake_handle(fake);
}

/* What stands behind a header's name, to the end of its line. */
static const char *header(struct server *server, const char *name, char value[static 512])
{
	char start[64];
	(void)snprintf(start, sizeof start, "\n%s: ", name);
	const char *found = strstr(server->mail, start);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	found += strlen(start);
	(void)snprintf(value, 512, "%.*s", (int)strcspn(found, "\n"), found);
	return value;
}

static void test_whole(void)
{
	struct fake fake;
	struct server server;
	char value[512];
	server_start(&server, NULL, NULL);
	fake_begin(&fake,
			   MAIL(&server, "to", "b@example.com", "reply_to", "team@example.com", "subject", "No conference", "text",
					"line 1\n.\nGr\xc3\xbc\xc3\x9f"
					"e\n"));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "accepted for 2 recipients");
	server_stop(&server);
	CU_ASSERT_STRING_EQUAL(server.commands, "EHLO\nMAIL FROM:<belfry@example.com>\nRCPT TO:<on-call@example.com>\n"
											"RCPT TO:<b@example.com>\nDATA\nQUIT\n");
	CU_ASSERT_STRING_EQUAL(header(&server, "Message-ID", value), "<k3x9-42.0=handler.belfry@example.com>");
	CU_ASSERT_STRING_EQUAL(header(&server, "From", value), "Belfry <belfry@example.com>");
	CU_ASSERT_STRING_EQUAL(header(&server, "To", value), "on-call@example.com,");
	CU_ASSERT_STRING_EQUAL(header(&server, "Reply-To", value), "team@example.com");
	CU_ASSERT_STRING_EQUAL(header(&server, "Subject", value), "No conference");
	CU_ASSERT_STRING_EQUAL(header(&server, "Auto-Submitted", value), "auto-generated");
	CU_ASSERT_STRING_EQUAL(header(&server, "MIME-Version", value), "1.0");
	CU_ASSERT_STRING_EQUAL(header(&server, "Content-Type", value), "text/plain; charset=utf-8");
	CU_ASSERT_EQUAL(strncmp(server.mail, "Date: ", 6), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(server.mail, "base64\n\nbGluZSAxCi4KR3LDvMOfZQo=\n"));
	fake_end(&fake);
}

static void test_subjects(void)
{
	static const struct {
		const char *body, *subject;
	} rows[] = {
		{ "{\"s\":\"Board meeting\"}", "Board meeting" },
		{ "{\"s\":\"a\\r\\nBcc: victim@example.com\\r\\n\\r\\nbody\"}", "a  Bcc: victim@example.com    body" },
		{ "{\"s\":\"a\\u0000b\\u001b\\u007fc\"}", "a b  c" },
		{ "{\"s\":\"Gr\\u00f6\\u00dfe\"}", "=?UTF-8?B?R3LDtsOfZQ==?=" },
		{ "{\"s\":\"=?UTF-8?Q?a?=\"}", "=?UTF-8?B?PT9VVEYtOD9RP2E/PQ==?=" },
		{ "{\"s\":\" blank\"}", "=?UTF-8?B?IGJsYW5r?=" },
		{ "{\"s\":\"<!channel> & \\\"x\\\"\"}", "<!channel> & \"x\"" },
		{ "{\"s\":\"\"}", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		struct server server;
		char value[512];
		server_start(&server, NULL, NULL);
		CU_ASSERT_EQUAL(send_subject(&fake, &server, rows[i].body), BELFRY_DONE);
		server_stop(&server);
		CU_ASSERT_STRING_EQUAL(header(&server, "Subject", value), rows[i].subject);
		CU_ASSERT_PTR_NULL(strstr(server.mail, "\nBcc:"));
		fake_end(&fake);
	}
}

static void test_encoded_words(void)
{
	static char body[5000 * 4 + 16];
	struct fake fake;
	struct server server;
	(void)strcpy(body, "{\"s\":\"");
	for (int i = 0; i < 5000; i++)
		(void)strcat(body, "\xf0\x9f\x94\x94");
	(void)strcat(body, "\"}");
	server_start(&server, NULL, NULL);
	CU_ASSERT_EQUAL(send_subject(&fake, &server, body), BELFRY_DONE);
	server_stop(&server);
	const char *word = strstr(server.mail, "=?UTF-8?B?"), *end;
	size_t n_words = 0;
	for (; word; word = strstr(end, "=?UTF-8?B?"), n_words++) {
		end = strstr(word, "?=");
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		CU_ASSERT(end + 2 - word <= 75);
		CU_ASSERT_EQUAL(strncmp(word + 10, "8J+U", 4), 0); /* each begins with a whole character */
		CU_ASSERT_EQUAL((size_t)(end - word - 10) % 4, 0);
	}
	CU_ASSERT_EQUAL(n_words, 23); /* 200 bells, 9 a word; the ellipsis is the last one's */
	fake_end(&fake);
}

static void test_recipients(void)
{
	static const char *const bad[] = { "",
									   "x",
									   "@example.com",
									   "x@",
									   "a@b@c",
									   "a b@example.com",
									   "a@example.com>",
									   "a@example.com\\r\\nDATA",
									   "a@example.com\\u0000",
									   "<a@example.com>",
									   ".a@b",
									   "a.@b",
									   "a@.b",
									   "a@b.",
									   "a..b@c",
									   "a@-b",
									   "Gr\xc3\xbc@example.com" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct fake fake;
		char body[256];
		(void)snprintf(body, sizeof body, "{\"s\":\"%s\"}", bad[i]);
		fake_begin(&fake, FAKE_OPTIONS("server", "smtp://127.0.0.1:1", "from", "belfry@example.com", "to", "/s",
									   "subject", "s", "text", "t"));
		fake_set_body(&fake, body);
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
		CU_ASSERT_STRING_EQUAL(fake.reason, "a recipient is no address as local@domain");
		fake_end(&fake);
	}
}

static void test_refusals(void)
{
	static const struct {
		const char *no, *reply;
		int outcome;
		const char *reason;
	} rows[] = {
		{ "MAIL", "550 5.7.1 not you\x1b[2J", BELFRY_REJECT, "refused: 550 5.7.1 not you?[2J" },
		{ "MAIL", "451 later", BELFRY_RETRY, "refused: 451 later" },
		{ "RCPT", "550 no such user", BELFRY_REJECT, "refused: 550 no such user" },
		{ "RCPT", "450 busy", BELFRY_RETRY, "refused: 450 busy" },
		{ "RCPT TO:<b@", "550 no such user", BELFRY_DONE,
		  "accepted for 1 of 2 recipients; b@example.com was refused: 550 no such user" },
		{ "RCPT TO:<b@", "450 busy", BELFRY_RETRY,
		  "accepted for 1 of 2 recipients; b@example.com was refused: 450 busy" },
		{ "DATA", "554 no", BELFRY_REJECT, "refused: 554 no" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		struct server server;
		server_start(&server, rows[i].no, rows[i].reply);
		fake_begin(&fake, MAIL(&server, "to", "b@example.com", "subject", "s", "text", "t"));
		CU_ASSERT_EQUAL(fake_handle(&fake), rows[i].outcome);
		server_stop(&server);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		fake_end(&fake);
	}
}

static void test_who_is_still_owed_it(void)
{
	struct fake fake;
	struct server server;
	server_start(&server, "RCPT TO:<b@", "450 busy");
	fake_begin(&fake, MAIL(&server, "to", "b@example.com", "subject", "s", "text", "t"));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	server_stop(&server);
	CU_ASSERT_STRING_EQUAL(fake.states[0].key, fake.delivery.key);
	CU_ASSERT_STRING_EQUAL(fake.states[0].value, "b@example.com\n");
	struct fake_state kept = fake.states[0];

	struct fake next; /* another process, perhaps */
	server_start(&server, NULL, NULL);
	fake_begin(&next, MAIL(&server, "to", "b@example.com", "to", "bb@example.com", "subject", "s", "text", "t"));
	CU_ASSERT_EQUAL(next.host.set_state(&next.host, kept.key, kept.value, kept.n), 0);
	CU_ASSERT_EQUAL(fake_handle(&next), BELFRY_DONE);
	server_stop(&server);
	CU_ASSERT_STRING_EQUAL(next.reason, "accepted for 1 recipient");
	CU_ASSERT_PTR_NOT_NULL(strstr(server.commands, "RCPT TO:<b@example.com>\nDATA"));
	CU_ASSERT_PTR_NULL(strstr(server.commands, "on-call"));
	CU_ASSERT_PTR_NULL(next.states[0].value);
	fake_end(&next);
	fake_end(&fake);
}

static void test_state_that_cannot_be_kept(void)
{
	struct fake fake;
	struct server server;
	server_start(&server, "RCPT TO:<b@", "450 busy");
	fake_begin(&fake, MAIL(&server, "to", "b@example.com", "subject", "s", "text", "t"));
	fake.set_state_r = -ENOSPC;
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE); /* rather than again and again to all */
	server_stop(&server);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.log, "b@example.com is not tried again"));
	fake_end(&fake);
}

static void test_tls_is_required(void)
{
	struct fake fake;
	struct server server;
	server_start(&server, NULL, NULL);
	fake_begin(&fake, FAKE_OPTIONS("server", server.url, "from", "belfry@example.com", "to", "a@example.com", "subject",
								   "s", "text", "t", "user", "u", "password", "canary"));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	server_stop(&server);
	CU_ASSERT_STRING_EQUAL(fake.reason, "the server offers no STARTTLS, which `tls` requires: nothing was sent");
	CU_ASSERT_PTR_NULL(strstr(server.commands, "MAIL"));
	CU_ASSERT_PTR_NULL(strstr(server.commands, "AUTH"));
	fake_end(&fake);
}

static void test_nobody_there(void)
{
	struct fake fake;
	struct server server;
	server_start(&server, NULL, NULL);
	server_stop(&server);
	fake_begin(&fake, MAIL(&server, "subject", "s", "text", "t"));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake.reason, "connect"));
	fake_end(&fake);
}

static void test_failing_templates(void)
{
	static const char *const names[] = { "to", "subject", "text" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct fake fake;
		fake_begin(&fake, FAKE_OPTIONS("server", "smtp://127.0.0.1:1", "from", "belfry@example.com", "to",
									   "a@example.com", "subject", "s", "text", "t", names[i], "/nothing"));
		CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
		CU_ASSERT_STRING_EQUAL(fake.reason, "/nothing failed");
		fake_end(&fake);
	}
}

static void test_refuses_options(void)
{
	static const struct {
		const char *name, *value, *log;
	} rows[] = { { "from", "Belfry <belfry@example.com>", "from: no address as local@domain" },
				 { "from", "a@b\r\nX: y", "from: no address as local@domain" },
				 { "reply_to", "team", "reply_to: no address as local@domain" },
				 { "server", "http://x", "server: begins neither with smtp:// nor with smtps://" },
				 { "user", "u", "user and password: there is only one of them" },
				 { "password", "p", "user and password: there is only one of them" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		CU_ASSERT_EQUAL(fake_create(&fake, FAKE_OPTIONS("server", "smtp://x", "from", "a@b", "to", "a@b", "subject",
														"s", "text", "t", rows[i].name, rows[i].value)),
						-EINVAL);
		CU_ASSERT_STRING_EQUAL(fake.log, rows[i].log);
		fake_end(&fake);
	}
}

static void test_names(void)
{
	struct fake fake;
	struct server server;
	char value[512];
	server_start(&server, NULL, NULL);
	fake_begin(&fake, MAIL(&server, "from_name", "Bell, \"Ding\" <x@y>", "subject", "s", "text", "t"));
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	server_stop(&server);
	CU_ASSERT_STRING_EQUAL(header(&server, "From", value), "=?UTF-8?B?QmVsbCwgIkRpbmciIDx4QHk+?= <belfry@example.com>");
	fake_end(&fake);
}

UNIT_MAIN({ "a mail with all its parts", test_whole }, { "subjects are one line", test_subjects },
		  { "encoded words end between characters", test_encoded_words }, { "refuses recipients", test_recipients },
		  { "the server's word decides", test_refusals },
		  { "who is still owed it gets it later", test_who_is_still_owed_it },
		  { "state that cannot be kept", test_state_that_cannot_be_kept },
		  { "without TLS nothing is sent", test_tls_is_required }, { "nobody is there", test_nobody_there },
		  { "failing templates say nothing", test_failing_templates }, { "refuses options", test_refuses_options },
		  { "names are encoded", test_names })
