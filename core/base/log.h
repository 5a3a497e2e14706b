/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: what happened, one line on stderr, as key=value pairs or as a JSON object.
 *
 *     2026-04-27T15:00:01.123Z warning page refused origin=https://elsewhere.example.com
 *     {"time":"2026-04-27T15:00:01.123Z","level":"warning","message":"page refused","origin":"https://elsewhere..."}
 *
 * Values are quoted and escaped here and cut at 256 bytes, so nothing that a peer sends can
 * forge a line or move a cursor; in JSON, what is no UTF-8 becomes U+FFFD. Bodies, secrets and tokens are never passed
 * in at all. Any thread may log, and never waits for whoever reads (log_outlet.h); a line costs no allocation.
 *
 *     log_warning("page refused", LOG_SPAN("origin", origin));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

#include <stdatomic.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
	const char *key;
	enum { LOG_FIELD_NONE, LOG_FIELD_SPAN, LOG_FIELD_NUMBER, LOG_FIELD_ERRNO } kind;
	struct span span;
	int64_t number;
};

#define LOG_SPAN(k, s) ((struct log_field){ .key = (k), .kind = LOG_FIELD_SPAN, .span = (s) })
#define LOG_TEXT(k, text) LOG_SPAN(k, span_text(text))
#define LOG_NUMBER(k, v) ((struct log_field){ .key = (k), .kind = LOG_FIELD_NUMBER, .number = (int64_t)(v) })
/* Leaves the field out. */
#define LOG_NOTHING ((struct log_field){ .kind = LOG_FIELD_NONE })
/* error: an errno, of either sign. */
#define LOG_ERRNO(error) ((struct log_field){ .key = "error", .kind = LOG_FIELD_ERRNO, .number = (error) })

/* One per place that a peer can make speak; static storage, zeroed. At most one line in ten
 * seconds passes; the next one says how many were left out. */
struct log_limit {
	unsigned quiet_s; /* so many instead of ten, unless 0 */
	_Atomic uint64_t next_ns;
	_Atomic uint64_t suppressed;
};

/* Lines above this level are dropped. Default: LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
/* Whether lines of this level are written: where it costs something to find out what to say. */
bool log_has_level(enum log_level level);
/* With systemd's "<3>" priority prefix; key=value without the time and the level, which the journal adds. */
void log_set_systemd(bool on);
/* JSON instead of key=value. */
void log_set_json(bool on);

/* fields[0] is a sentinel that is skipped (it lets the macros take no fields at all).
 * limit may be NULL. */
void log_write(enum log_level level, struct log_limit *limit, const char *message, const struct log_field *fields,
			   size_t n_fields);

#define LOG_FIELDS_(...) ((const struct log_field[]){ { 0 }, ##__VA_ARGS__ })
#define LOG_WRITE_(level, limit, message, ...)                 \
	log_write(level, limit, message, LOG_FIELDS_(__VA_ARGS__), \
			  sizeof(LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct log_field))
#define LOG_LIMITED_(level, seconds, message, ...)                 \
	do {                                                           \
		static struct log_limit limit_ = { .quiet_s = (seconds) }; \
		LOG_WRITE_(level, &limit_, message, ##__VA_ARGS__);        \
	} while (0)

#define log_error(message, ...) LOG_WRITE_(LOG_LEVEL_ERROR, NULL, message, ##__VA_ARGS__)
#define log_warning(message, ...) LOG_WRITE_(LOG_LEVEL_WARNING, NULL, message, ##__VA_ARGS__)
#define log_info(message, ...) LOG_WRITE_(LOG_LEVEL_INFO, NULL, message, ##__VA_ARGS__)
#define log_debug(message, ...) LOG_WRITE_(LOG_LEVEL_DEBUG, NULL, message, ##__VA_ARGS__)
/* For what a peer can cause as often as it likes. */
#define log_error_limited(message, ...) LOG_LIMITED_(LOG_LEVEL_ERROR, 0, message, ##__VA_ARGS__)
#define log_warning_limited(message, ...) LOG_LIMITED_(LOG_LEVEL_WARNING, 0, message, ##__VA_ARGS__)
#define log_info_limited(message, ...) LOG_LIMITED_(LOG_LEVEL_INFO, 0, message, ##__VA_ARGS__)
/* For what somebody may go on with for days: a line a minute. */
#define log_info_rarely(message, ...) LOG_LIMITED_(LOG_LEVEL_INFO, 60, message, ##__VA_ARGS__)
/* The same where one kind of line must not hush another up: each has a limit of its own. */
#define log_warning_limited_by(limit, message, ...) LOG_WRITE_(LOG_LEVEL_WARNING, limit, message, ##__VA_ARGS__)

#endif
