/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/buffer.h"
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_VALUE_BYTES 256
#define QUIET_NS (10ull * MS_PER_S * NS_PER_MS)

static _Atomic int current_level = LOG_LEVEL_INFO;
static _Atomic bool for_systemd;

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

/* Whether a limited line may pass now; takes the number of those left out before it. */
static bool limit_allows(struct log_limit *limit, uint64_t *ret_suppressed)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t next = atomic_load(&limit->next_ns);
	if (now < next || !atomic_compare_exchange_strong(&limit->next_ns, &next, now + QUIET_NS)) {
		atomic_fetch_add(&limit->suppressed, 1);
		return false;
	}
	*ret_suppressed = atomic_exchange(&limit->suppressed, 0);
	return true;
}

/* A value that needs no quotes: printable ASCII without blank, quote, equals, backslash. */
static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == '"' || s.data[i] == '=' || s.data[i] == '\\')
			return false;
	return s.n > 0;
}

static void add_quoted(struct buffer *line, struct span s)
{
	buffer_add_char(line, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.data[i];
		if (c == '"' || c == '\\')
			buffer_add_printf(line, "\\%c", c);
		else if (c < ' ' || c >= 0x7f) /* bidi and combining marks are no help in a log either */
			buffer_add_printf(line, "\\x%02x", c);
		else
			buffer_add_char(line, (char)c);
	}
	buffer_add_char(line, '"');
}

static void add_value(struct buffer *line, struct span s)
{
	bool is_cut = s.n > MAX_VALUE_BYTES;
	if (is_cut)
		s.n = MAX_VALUE_BYTES;
	if (is_plain(s))
		buffer_add(line, s);
	else
		add_quoted(line, s);
	if (is_cut)
		buffer_add_text(line, "...");
}

static void add_field(struct buffer *line, const struct log_field *field)
{
	buffer_add_char(line, ' ');
	buffer_add_text(line, field->key);
	buffer_add_char(line, '=');
	switch (field->kind) {
	case LOG_FIELD_SPAN:
		add_value(line, field->span);
		break;
	case LOG_FIELD_NUMBER:
		buffer_add_i64(line, field->number);
		break;
	case LOG_FIELD_ERRNO:
		add_value(line, span_text(strerrordesc_np((int)llabs(field->number))));
		break;
	case LOG_FIELD_NONE:
		break;
	}
}

void log_write(enum log_level level, struct log_limit *limit, const char *message, const struct log_field *fields,
			   size_t n_fields)
{
	uint64_t suppressed = 0;
	if ((int)level > current_level || (limit && !limit_allows(limit, &suppressed)))
		return;
	int saved_errno = errno;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (for_systemd) {
		buffer_add_text(&line, levels[level].priority);
	} else {
		char now[CLOCK_TEXT_SIZE];
		clock_format(clock_wall_ms(), now);
		buffer_add_text(&line, now);
		buffer_add_char(&line, ' ');
		buffer_add_text(&line, levels[level].name);
		buffer_add_char(&line, ' ');
	}
	buffer_add_text(&line, message);
	for (size_t i = 1; i < n_fields; i++)
		add_field(&line, &fields[i]);
	if (suppressed)
		add_field(&line, &LOG_NUMBER("suppressed", suppressed));
	buffer_add_char(&line, '\n');
	/* Nobody to tell if the log itself cannot be written. */
	if (!line.failed && write(STDERR_FILENO, line.data, line.n) < 0) {
	}
	errno = saved_errno;
}
