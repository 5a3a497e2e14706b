/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_outlet.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define MAX_VALUE_BYTES 256
#define LINE_BYTES PIPE_BUF
/* What ends a line, and the terminator that is copied with it. */
#define END_BYTES 2
#define QUIET_S 10

static _Atomic int current_level = LOG_LEVEL_INFO;
static _Atomic bool for_systemd, as_json;

static const struct {
	const char *name;
	const char *priority; /* sd-daemon(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", "<3>" },
	[LOG_LEVEL_WARNING] = { "warning", "<4>" },
	[LOG_LEVEL_INFO] = { "info", "<6>" },
	[LOG_LEVEL_DEBUG] = { "debug", "<7>" },
};

void log_set_level(enum log_level level)
{
	current_level = (int)level;
}

void log_set_systemd(bool on)
{
	for_systemd = on;
}

void log_set_json(bool on)
{
	as_json = on;
}

/* Whether a limited line may pass now; takes the number of those left out before it. */
static bool limit_allows(struct log_limit *limit, uint64_t *ret_suppressed)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t next = atomic_load(&limit->next_ns);
	uint64_t quiet_ns = (limit->quiet_s ? limit->quiet_s : QUIET_S) * NS_PER_S;
	if (now < next || !atomic_compare_exchange_strong(&limit->next_ns, &next, now + quiet_ns)) {
		atomic_fetch_add(&limit->suppressed, 1);
		return false;
	}
	*ret_suppressed = atomic_exchange(&limit->suppressed, 0);
	return true;
}

/* --- a line ------------------------------------------------------------------------------------------------------- */

/* A line is put together here without an allocation. It is no longer than what a pipe takes in one piece (PIPE_BUF); a
 * field that does not fit is left out as a whole. */
struct line {
	size_t n;
	bool is_full;
	char bytes[LINE_BYTES];
};

static void put(struct line *line, struct span s)
{
	if (s.n > LINE_BYTES - END_BYTES - line->n) {
		line->is_full = true;
		return;
	}
	memcpy(line->bytes + line->n, s.data ? s.data : "", s.n);
	line->n += s.n;
}

static void put_text(struct line *line, const char *text)
{
	put(line, span_text(text));
}

static void put_char(struct line *line, char c)
{
	put(line, span_of(&c, 1));
}

static void put_number(struct line *line, int64_t number)
{
	char digits[SPAN_DECIMAL_BYTES];
	struct span magnitude = span_decimal(number < 0 ? 0 - (uint64_t)number : (uint64_t)number, digits);
	if (number < 0)
		put_char(line, '-');
	put(line, magnitude);
}

static void put_hex(struct line *line, const char *prefix, uint32_t value, size_t n_digits)
{
	char digits[8];
	for (size_t i = n_digits; i > 0; i--, value >>= 4)
		digits[i - 1] = "0123456789abcdef"[value & 15];
	put_text(line, prefix);
	put(line, span_of(digits, n_digits));
}

/* The time is told anew each millisecond, but the calendar is asked once a second. */
static void put_time(struct line *line)
{
	static _Thread_local int64_t second = INT64_MIN;
	static _Thread_local char text[CLOCK_TEXT_SIZE];
	int64_t now = clock_wall_ms();
	if (now / MS_PER_S != second) {
		clock_format(now, text);
		second = now / MS_PER_S;
	}
	for (size_t i = 0, rest = (size_t)(now % MS_PER_S); i < 3; i++, rest /= 10)
		text[CLOCK_TEXT_SIZE - 3 - i] = (char)('0' + rest % 10);
	put_text(line, text);
}

/* --- key=value ---------------------------------------------------------------------------------------------------- */

static bool is_plain(struct span s)
{
	return s.n > 0 && span_literal_run(s) == s.n && !memchr(s.data, ' ', s.n) && !memchr(s.data, '=', s.n);
}

static void put_quoted(struct line *line, struct span s)
{
	put_char(line, '"');
	while (s.n) {
		size_t n = span_literal_run(s);
		put(line, span_of(s.data, n));
		s = span_skip(s, n);
		if (!s.n)
			break;
		unsigned char c = (unsigned char)s.data[0];
		if (c == '"' || c == '\\')
			put(line, span_of((const char[]){ '\\', (char)c }, 2));
		else /* bidi and combining marks are no help in a log either */
			put_hex(line, "\\x", c, 2);
		s = span_skip(s, 1);
	}
	put_char(line, '"');
}

static void put_text_value(struct line *line, struct span s)
{
	bool is_cut = s.n > MAX_VALUE_BYTES;
	if (is_cut)
		s.n = MAX_VALUE_BYTES;
	if (is_plain(s))
		put(line, s);
	else
		put_quoted(line, s);
	if (is_cut)
		put_text(line, "...");
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

/* The character at the start as an escape; bytes that are none become U+FFFD. Returns its length. */
static size_t put_json_escape(struct line *line, struct span s)
{
	uint32_t point = 0xfffd;
	size_t n = span_utf8_sequence(s, &point);
	if (point == '"' || point == '\\') {
		put(line, span_of((const char[]){ '\\', (char)point }, 2));
	} else if (point > 0xffff) {
		put_hex(line, "\\u", 0xd800 + ((point - 0x10000) >> 10), 4);
		put_hex(line, "\\u", 0xdc00 + ((point - 0x10000) & 0x3ff), 4);
	} else {
		put_hex(line, "\\u", point, 4);
	}
	return n ? n : 1;
}

/* Where to cut so that no character is cut in two. */
static size_t cut(struct span s)
{
	size_t n = MAX_VALUE_BYTES;
	if (s.n <= n)
		return s.n;
	while (n > MAX_VALUE_BYTES - 4 && ((unsigned char)s.data[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static void put_json_value(struct line *line, struct span s)
{
	size_t n_all = s.n;
	s.n = cut(s);
	bool is_cut = s.n < n_all;
	put_char(line, '"');
	while (s.n) {
		size_t n = span_literal_run(s);
		put(line, span_of(s.data, n));
		s = span_skip(s, n);
		if (s.n)
			s = span_skip(s, put_json_escape(line, s));
	}
	put_text(line, is_cut ? "...\"" : "\"");
}

/* --- fields ------------------------------------------------------------------------------------------------------- */

static void put_key(struct line *line, const char *key)
{
	put_text(line, as_json ? ",\"" : " ");
	put_text(line, key);
	put_text(line, as_json ? "\":" : "=");
}

static void put_value(struct line *line, struct span s)
{
	if (as_json)
		put_json_value(line, s);
	else
		put_text_value(line, s);
}

static void put_field(struct line *line, const struct log_field *field)
{
	size_t before = line->n;
	if (field->kind == LOG_FIELD_NONE)
		return;
	line->is_full = false;
	put_key(line, field->key);
	switch (field->kind) {
	case LOG_FIELD_SPAN:
		put_value(line, field->span);
		break;
	case LOG_FIELD_NUMBER:
		put_number(line, field->number);
		break;
	case LOG_FIELD_ERRNO:
		put_value(line, span_text(strerrordesc_np((int)llabs(field->number))));
		break;
	case LOG_FIELD_NONE:
		break;
	}
	if (line->is_full)
		line->n = before;
}

/* {"time":"...","level":"info","message":"ready" */
static void put_json_start(struct line *line, enum log_level level, const char *message)
{
	put_text(line, "{\"time\":\"");
	put_time(line);
	put_text(line, "\",\"level\":\"");
	put_text(line, levels[level].name);
	put_text(line, "\",\"message\":");
	put_json_value(line, span_text(message));
}

static void put_text_start(struct line *line, enum log_level level, const char *message)
{
	if (!for_systemd) {
		put_time(line);
		put_char(line, ' ');
		put_text(line, levels[level].name);
		put_char(line, ' ');
	}
	put_text(line, message);
}

bool log_has_level(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_write(enum log_level level, struct log_limit *limit, const char *message, const struct log_field *fields,
			   size_t n_fields)
{
	uint64_t suppressed = 0;
	if (!log_has_level(level) || (limit && !limit_allows(limit, &suppressed)))
		return;
	int saved_errno = errno;
	struct line line;
	line.n = 0;
	if (for_systemd)
		put_text(&line, levels[level].priority);
	if (as_json)
		put_json_start(&line, level, message);
	else
		put_text_start(&line, level, message);
	for (size_t i = 1; i < n_fields; i++)
		put_field(&line, &fields[i]);
	if (suppressed)
		put_field(&line, &LOG_NUMBER("suppressed", suppressed));
	memcpy(line.bytes + line.n, as_json ? "}\n" : "\n", END_BYTES); /* there is always room for it */
	line.n += as_json ? 2 : 1;
	log_outlet_put(span_of(line.bytes, line.n));
	errno = saved_errno;
}
