/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* RFC 5321: a path has at most 256 bytes with its brackets. */
#define MAX_ADDRESS_BYTES 254
#define MAX_LOCAL_BYTES 64
#define MAX_SUBJECT_CHARACTERS 200
/* "Subject: " and so many bytes are one line of 78. */
#define MAX_PLAIN_BYTES 66
/* A line with an encoded word has at most 76 bytes (RFC 2047): "Subject: ", "=?UTF-8?B?", the base64 of so many, "?=".
 */
#define MAX_LINE_BYTES 76
#define WORD_BYTES 39
#define BASE64_LINE_BYTES 57 /* make a line of 76 */

/* ---- text that grows ---- */

struct text {
	char *data;
	size_t n, cap;
	bool failed;
};

/* Room for n more bytes and a NUL. */
static bool text_reserve(struct text *text, size_t n)
{
	size_t cap = text->cap ? text->cap : 1024;
	while (cap <= text->n + n)
		cap *= 2;
	char *longer = text->failed || cap == text->cap ? NULL : realloc(text->data, cap);
	if (longer) {
		text->data = longer;
		text->cap = cap;
	}
	text->failed = text->failed || text->cap < cap;
	return !text->failed;
}

static void text_add(struct text *text, const void *bytes, size_t n)
{
	if (!text_reserve(text, n))
		return;
	memcpy(text->data + text->n, bytes, n);
	text->n += n;
	text->data[text->n] = '\0';
}

__attribute__((format(printf, 2, 3))) static void text_add_printf(struct text *text, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (n < 0 || (size_t)n >= sizeof line)
		text->failed = true;
	else
		text_add(text, line, (size_t)n);
}

static void text_add_base64(struct text *text, const char *data, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < n; i += 3) {
		unsigned char in[3] = { 0 };
		memcpy(in, data + i, n - i < 3 ? n - i : 3);
		char out[4] = { digits[in[0] >> 2], digits[(in[0] & 3) << 4 | in[1] >> 4],
						digits[(in[1] & 15) << 2 | in[2] >> 6], digits[in[2] & 63] };
		if (n - i < 3)
			out[3] = '=';
		if (n - i < 2)
			out[2] = '=';
		text_add(text, out, sizeof out);
	}
}

/* ---- headers ---- */

/* Bytes of the character that begins at data; the text is UTF-8. */
static size_t character_bytes(const char *data, size_t n)
{
	unsigned char first = (unsigned char)*data;
	size_t n_bytes = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	return n_bytes < n ? n_bytes : n;
}

/* One line of not too many characters; blanks stand for what could begin another. */
static struct text make_line(const char *raw, size_t n)
{
	struct text line = { 0 };
	size_t n_characters = 0;
	text_add(&line, "", 0);
	for (size_t i = 0; i < n; n_characters++) {
		size_t n_bytes = character_bytes(raw + i, n - i);
		bool is_control = (unsigned char)raw[i] < ' ' || raw[i] == 0x7f;
		if (n_characters == MAX_SUBJECT_CHARACTERS) {
			text_add(&line, "\xe2\x80\xa6", 3);
			break;
		}
		text_add(&line, is_control ? " " : raw + i, n_bytes);
		i += n_bytes;
	}
	return line;
}

/* Whether it may stand in a header as it is: short, ASCII, and nothing that could be taken for an encoded word. */
static bool is_plain(const struct text *line)
{
	if (line->n == 0 || line->n > MAX_PLAIN_BYTES || line->data[0] == ' ' || line->data[line->n - 1] == ' ')
		return false;
	for (size_t i = 0; i < line->n; i++)
		if ((unsigned char)line->data[i] >= 0x7f)
			return false;
	return strstr(line->data, "=?") == NULL;
}

/* RFC 2047: words that end between characters, each on a line of its own. */
static void add_encoded_words(struct text *head, const struct text *line)
{
	for (size_t i = 0; i < line->n;) {
		size_t n = 0, next;
		while (i + n < line->n && n + (next = character_bytes(line->data + i + n, line->n - i - n)) <= WORD_BYTES)
			n += next;
		text_add_printf(head, "%s=?UTF-8?B?", i ? "\r\n " : "");
		text_add_base64(head, line->data + i, n);
		text_add_printf(head, "?=");
		i += n;
	}
}

static void add_subject(struct text *head, const char *subject, size_t n)
{
	struct text line = make_line(subject, n);
	head->failed = head->failed || line.failed;
	text_add_printf(head, "Subject: ");
	if (!line.failed && is_plain(&line))
		text_add(head, line.data, line.n);
	else if (!line.failed)
		add_encoded_words(head, &line);
	text_add_printf(head, "\r\n");
	free(line.data);
}

/* Bytes of the line that is being written. */
static size_t column(const struct text *head)
{
	size_t n = head->n;
	while (n && head->data[n - 1] != '\n')
		n--;
	return head->n - n;
}

/* A name of the administrator's, as an encoded word if it is more than letters, digits and blanks. */
static void add_from(struct text *head, const struct message *message)
{
	static const char harmless[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ";
	struct text line = make_line(message->from_name, strlen(message->from_name));
	head->failed = head->failed || line.failed;
	text_add_printf(head, "From: ");
	if (!line.failed && is_plain(&line) && strspn(line.data, harmless) == line.n)
		text_add(head, line.data, line.n);
	else if (!line.failed)
		add_encoded_words(head, &line);
	bool is_long = !head->failed && column(head) + strlen(message->from) + 3 > MAX_LINE_BYTES;
	text_add_printf(head, "%s <%s>\r\n", is_long ? "\r\n" : "", message->from);
	free(line.data);
}

/* Not strftime(): its words are those of the locale. */
static void add_date(struct text *head)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;
	if (!gmtime_r(&now, &tm)) {
		head->failed = true;
		return;
	}
	text_add_printf(head, "Date: %.3s, %d %.3s %d %02d:%02d:%02d +0000\r\n", days + 3 * tm.tm_wday, tm.tm_mday,
					months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* "A-Z a-z 0-9 . _ : -" is what a delivery's key has; a colon is none of an identifier's characters. */
static void add_message_id(struct text *head, const char *key, const char *from)
{
	text_add_printf(head, "Message-ID: <");
	for (; *key; key++)
		text_add(head, *key == ':' ? "=" : key, 1);
	text_add_printf(head, ".belfry%s>\r\n", strchr(from, '@'));
}

/* ---- addresses ---- */

bool message_is_address(const char *text, size_t n)
{
	static const char atom[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~.";
	static const char domain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t n_local = strspn(text, atom);
	if (n == 0 || n > MAX_ADDRESS_BYTES || strlen(text) != n || n_local == 0 || n_local > MAX_LOCAL_BYTES ||
		text[n_local] != '@')
		return false;
	const char *host = text + n_local + 1;
	size_t n_host = strspn(host, domain);
	return n_host > 0 && host[n_host] == '\0' && *text != '.' && text[n_local - 1] != '.' && *host != '.' &&
		   *host != '-' && host[n_host - 1] != '.' && !strstr(text, "..");
}

/* ---- all of it ---- */

static void add_recipients(struct text *head, const struct message *message)
{
	text_add_printf(head, "To: ");
	for (size_t i = 0; i < message->n_to; i++)
		text_add_printf(head, "%s%s", message->to[i], i + 1 < message->n_to ? ",\r\n " : "\r\n");
}

static void add_body(struct text *text, const char *body, size_t n)
{
	for (size_t i = 0; i < n; i += BASE64_LINE_BYTES) {
		text_add_base64(text, body + i, n - i < BASE64_LINE_BYTES ? n - i : BASE64_LINE_BYTES);
		text_add_printf(text, "\r\n");
	}
}

bool message_write(const struct message *message, char **ret_text, size_t *ret_n)
{
	struct text text = { 0 };
	add_date(&text);
	add_message_id(&text, message->key, message->from);
	add_from(&text, message);
	add_recipients(&text, message);
	if (message->reply_to)
		text_add_printf(&text, "Reply-To: %s\r\n", message->reply_to);
	add_subject(&text, message->subject, message->n_subject);
	text_add_printf(&text, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
						   "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
	add_body(&text, message->body, message->n_body);
	if (text.failed) {
		free(text.data);
		return false;
	}
	*ret_text = text.data;
	*ret_n = text.n;
	return true;
}
