/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between Belfry and a plugin.
 *
 * A plugin is a shared object that handles events: it posts to a chat, sends a mail, calls an API. An administrator
 * names it in Belfry's configuration, gives it options, and says for which interactions it runs: that is a handler. The
 * smallest plugin is an option table and one function:
 *
 *     struct conf { const char *greeting; };
 *
 *     static const struct belfry_option options[] = {
 *         BELFRY_OPTION(struct conf, greeting, BELFRY_STRING, .fallback = "hello", .help = "what to say"),
 *         BELFRY_END
 *     };
 *
 *     static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
 *     {
 *         const struct conf *conf = self;
 *         host->log(host, BELFRY_INFO, "%s, %s", conf->greeting, delivery->event_id);
 *         return BELFRY_DONE;
 *     }
 *
 *     BELFRY_PLUGIN(.name = "hello", .version = "1.0", .summary = "says hello",
 *                   .options = options, .conf_size = sizeof(struct conf), .handle = handle);
 *
 * Build it with `cc -shared -fPIC $(pkg-config --cflags belfry) -o hello.so hello.c`; `belfry plugin new NAME` writes
 * such a folder, `belfry plugin describe FILE` prints what Belfry reads from a plugin, `belfry plugin test FILE` runs
 * it once.
 *
 * The process. Each handler has a process of its own (several with `workers: N`), started when there is something to
 * do. It calls create() once, handle() for one delivery at a time, and destroy() when it is stopped in order; all from
 * one thread. A plugin that crashes, hangs or leaks harms nobody else: its process is killed, and the delivery tried
 * again. It may block until its deadline. It cannot start programs or signal other processes, reads no file of
 * Belfry's, has a bounded memory and few descriptors; what it prints goes to Belfry's log.
 *
 * At least once. A delivery that has been acknowledged to the provider is handled, across crashes and power cuts; so it
 * may be handled twice. `key` of the delivery is the same each time: whatever can be made idempotent by it should be.
 * Two deliveries about the same event of the provider are never handled by one handler at the same time, whatever
 * `workers` says; the earlier one comes first, but for one that is to be tried again later.
 *
 * Memory. Everything passed to a plugin, and everything a host function returns, is borrowed: from create()'s arguments
 * the configuration is valid until destroy(), everything else until the call it was given to returns. Texts are UTF-8
 * and end with a NUL that their length does not count.
 *
 * The ABI. A plugin that was built against this header runs on every Belfry with the same BELFRY_ABI_MAJOR and a minor
 * that is not lower. Structs grow only at their end, and say their size; a plugin that wants to run on an older host as
 * well asks with BELFRY_HAS() before it uses what came later.
 */
#ifndef BELFRY_PLUGIN_H
#define BELFRY_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BELFRY_ABI_MAJOR 1
#define BELFRY_ABI_MINOR 1

/* --- options ------------------------------------------------------------------------------------------------------ */

/*
 * What an option may be. Belfry reads the YAML, checks it against the table, says what is wrong with file, line and
 * column before anything starts, and fills the plugin's own struct. What is absent and has no fallback is NULL, 0 or
 * false.
 */
enum belfry_option_type {
	/* const char *: one or more lines of text, not empty */
	BELFRY_STRING = 1,
	/* const char *: text that is never shown. {file: PATH}, {env: NAME} or {credential: NAME} in the YAML. Do not log
	   it. */
	BELFRY_SECRET,
	/* int64_t: decimal, from `least` to `most` */
	BELFRY_INTEGER,
	/* bool */
	BELFRY_BOOLEAN,
	/* int64_t, in milliseconds: "250ms", "30s", "5m", "24h", "7d"; `least` and `most` in milliseconds */
	BELFRY_DURATION,
	/* int64_t, in bytes: "64KiB", "1MiB"; `least` and `most` in bytes */
	BELFRY_SIZE,
	/* const char *: http or https, with a host, without user and fragment. One that is itself a secret (as Slack's
	 * webhooks are) is a BELFRY_SECRET with `is_url` */
	BELFRY_URL,
	/* int64_t: the index of the word in `names` */
	BELFRY_ENUM,
	/* struct belfry_list: entries of type `entry` */
	BELFRY_LIST,
	/* struct belfry_map: names to values of type `entry` */
	BELFRY_MAP,
	/* const struct belfry_template *: text with jq expressions in {{ }}; see render() */
	BELFRY_TEMPLATE,
};

/* Made from an option of type BELFRY_TEMPLATE. Opaque. */
struct belfry_template;

/* One entry. Which member is set depends on the option's `entry`: `template_` for BELFRY_TEMPLATE, else `text`. */
union belfry_entry {
	const char *text;                        /* BELFRY_STRING, BELFRY_SECRET, BELFRY_URL */
	const struct belfry_template *template_; /* BELFRY_TEMPLATE */
};

struct belfry_list {
	size_t n;
	const union belfry_entry *entries;
};

struct belfry_pair {
	const char *name; /* 1 to 64 bytes */
	union belfry_entry value;
};

struct belfry_map {
	size_t n;
	const struct belfry_pair *pairs; /* in the order of the YAML; no name twice */
};

/* One row of the table of options. Written by BELFRY_OPTION(); zero where nothing is said. */
struct belfry_option {
	const char *name;         /* the key in the YAML: a-z 0-9 _; NULL ends the table */
	uint32_t type;            /* enum belfry_option_type */
	size_t offset;            /* of the field in the plugin's struct */
	uint32_t entry;           /* lists and maps: BELFRY_STRING, BELFRY_SECRET, BELFRY_URL or BELFRY_TEMPLATE */
	const char *fallback;     /* used when the key is absent, written as in the YAML; not for secrets, lists and maps */
	const char *example;      /* for complaints and documentation; of a list or map: an entry's value */
	const char *const *names; /* BELFRY_ENUM: the words, ended by NULL */
	int64_t least, most;      /* numbers, and the entries of lists and maps; both 0: no bound but the type's own */
	bool is_required;         /* there is no fallback: the administrator must say it */
	bool is_url;              /* BELFRY_SECRET: must be what BELFRY_URL must be */
	const char *help;         /* one line, lower case, without a full stop: completes "NAME: ..." */
};

#define BELFRY_END \
	{              \
		.name = 0  \
	}

/*
 * A row: the field's name is the option's name. In C the compiler checks that the field's type is that of the option;
 * C++ wants what is said in the order of the struct.
 *
 *     BELFRY_OPTION(struct conf, timeout, BELFRY_DURATION, .fallback = "10s", .least = 100, .most = 60000, .help =
 * "...")
 */
#ifdef __cplusplus
#define BELFRY_OPTION(conf, field, option_type, ...)                                        \
	{                                                                                       \
		.name = #field, .type = (option_type), .offset = offsetof(conf, field), __VA_ARGS__ \
	}
#else
#define BELFRY_OPTION(conf, field, option_type, ...)                                          \
	{                                                                                         \
		.name = #field, .type = (option_type) + BELFRY_CHECK_FIELD(conf, field, option_type), \
		.offset = offsetof(conf, field), __VA_ARGS__                                          \
	}
/* 0, or a compile error that says what is wrong. */
#define BELFRY_CHECK_FIELD(conf, field, option_type)                                              \
	(0 * (uint32_t)sizeof(struct {                                                                \
		 _Static_assert(BELFRY_FIELD_CLASS(((conf *)0)->field) == BELFRY_TYPE_CLASS(option_type), \
						"the field " #field " does not have the C type of " #option_type);        \
		 int unused;                                                                              \
	 }))
#define BELFRY_FIELD_CLASS(field)                                                                             \
	_Generic((field), const char * : 1, int64_t : 2, bool : 3, struct belfry_list : 4, struct belfry_map : 5, \
			 const struct belfry_template * : 6, default : 0)
#define BELFRY_TYPE_CLASS(option_type)                                                                   \
	((option_type) == BELFRY_STRING || (option_type) == BELFRY_SECRET || (option_type) == BELFRY_URL ? 1 \
	 : (option_type) == BELFRY_BOOLEAN                                                               ? 3 \
	 : (option_type) == BELFRY_LIST                                                                  ? 4 \
	 : (option_type) == BELFRY_MAP                                                                   ? 5 \
	 : (option_type) == BELFRY_TEMPLATE                                                              ? 6 \
																									 : 2)
#endif

/* --- a delivery --------------------------------------------------------------------------------------------------- */

struct belfry_tag {
	const char *name, *value;
};

/*
 * One interaction of one event, to be handled by one handler. Valid during handle().
 */
struct belfry_delivery {
	size_t size;             /* of this struct, as the host knows it */
	const char *key;         /* of this delivery, the same at each attempt: 1 to 128 bytes of A-Z a-z 0-9 . _ : - */
	const char *handler;     /* the handler's name in the configuration */
	const char *position;    /* the event's, as subscribers see it */
	const char *source;      /* the source's name in the configuration */
	const char *event_id;    /* the provider's; "" if the callback has none */
	const char *interaction; /* its type: "conferencing_failing", "change", ...; "unknown" if the callback says none */
	const char *subtype;     /* "" if it has none */
	const struct belfry_tag *tags; /* of the callback's URL: signed ones, and those that the source allows unsigned */
	size_t n_tags;
	int64_t received_ms;  /* when the callback came in, milliseconds since 1970 UTC */
	int64_t attempt;      /* 1.. */
	int64_t max_attempts; /* attempt == max_attempts: a BELFRY_RETRY of this one is the end */
	const char *body;     /* the callback's bytes exactly as they came */
	size_t n_body;
	/* since 1.1 */
	const char *traceparent; /* the trace context that the callback came with (W3C), to be sent along; "" if none */
};

/* What becomes of a delivery. Any other value counts as BELFRY_REJECT. */
enum belfry_outcome {
	BELFRY_DONE = 0,   /* handled; also if there was nothing to do */
	BELFRY_RETRY = 1,  /* not now: try again later, by the handler's `retry` */
	BELFRY_REJECT = 2, /* never: it becomes a dead letter, which an administrator sees and can replay */
};

/* --- the host ----------------------------------------------------------------------------------------------------- */

enum belfry_level { BELFRY_ERROR = 1, BELFRY_WARNING = 2, BELFRY_INFO = 3, BELFRY_DEBUG = 4 };

struct belfry_header {
	const char *name, *value;
};

/* An HTTP request. Zero what is not needed. */
struct belfry_request {
	size_t size;        /* sizeof(struct belfry_request) */
	const char *method; /* NULL: POST if there is a body, else GET */
	const char *url;    /* http or https */
	const struct belfry_header *headers;
	size_t n_headers; /* Host, Content-Length, Connection and the like are the host's */
	const char *body;
	size_t n_body;
	int64_t timeout_ms; /* 0: what remains until the deadline; never more than that */
};

/* Its answer. Valid until the next request, or until the call that made it returns. */
struct belfry_response {
	size_t size; /* sizeof(struct belfry_response), set by the caller */
	int64_t status;
	const char *body; /* at most 1 MiB; more is an error */
	size_t n_body;
	int64_t retry_after_ms;              /* Retry-After, in either form; -1 if there is none */
	const struct belfry_header *headers; /* names in lower case */
	size_t n_headers;
};

/*
 * What a plugin can ask for. Append only. Each function takes the host itself first, so that a plugin's own unit tests
 * can bring another. Functions that return int give 0 or a negative errno. Only log() may be called within create() and
 * destroy(); everything within handle().
 */
struct belfry_host {
	size_t size; /* of this struct, as the host knows it */

	/* One line for Belfry's log, with the handler's name. Longer than 4,000 bytes: cut, and said so. */
	void (*log)(const struct belfry_host *host, enum belfry_level level, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

	/* Why handle() returns what it returns, for people: "503 from the server", "tried pro_b after pro_a: accepted".
	 * Kept with the attempt and shown by `belfry deliveries` and to subscribers who asked for outcomes: no secrets, no
	 * more than 1,000 bytes. The last one counts. */
	void (*reason)(const struct belfry_host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));

	/* With BELFRY_RETRY: not before so many milliseconds from now. At most a day, and never beyond the handler's
	 * `give_up_after`. */
	void (*retry_after)(const struct belfry_host *host, int64_t ms);

	/* What a JSON pointer (RFC 6901: "/event/summary") finds in the body: a string's text, anything else as compact
	 * JSON. NULL if there is nothing there, or the body is no JSON. *ret_n (may be NULL): its length; a string can
	 * contain NUL. */
	const char *(*field)(const struct belfry_host *host, const char *pointer, size_t *ret_n);

	/* The template's text for this delivery. NULL if an expression in it failed: then the reason has been given, and
	 * the handler should return BELFRY_REJECT. */
	const char *(*render)(const struct belfry_host *host, const struct belfry_template *template_, size_t *ret_n);

	/* Sends a request and waits for the answer; any status is an answer. TLS is verified. Inner addresses (loopback,
	 * private, link-local ...) are refused unless the administrator allows them; redirects are not followed to another
	 * host, nor from https to http. -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH, -ENOTUNIQ (the name could not be
	 * resolved), -EACCES (an inner address), -EPROTO (no HTTP, or TLS that cannot be trusted), -EMSGSIZE (the answer is
	 * too large), -EINVAL (no such URL, header or method): each with a reason already given. All but -EACCES and
	 * -EINVAL may be worth a BELFRY_RETRY. */
	int (*http)(const struct belfry_host *host, const struct belfry_request *request, struct belfry_response *response);

	/* State that outlives the process: kept in the journal, encrypted, for this handler alone. A key has 1 to 128
	 * bytes, a value at most 16 KiB; -ENOSPC beyond 10,000 keys. Durable when it returns 0. -ENOENT: there is none.
	 * `data` NULL: deletes, 0 also if there was none. */
	int (*get_state)(const struct belfry_host *host, const char *key, const char **ret_data, size_t *ret_n);
	int (*set_state)(const struct belfry_host *host, const char *key, const char *data, size_t n);

	/* The newest event of the same source with this event id that the journal holds: its body. -ENOENT if there is
	 * none. */
	int (*latest)(const struct belfry_host *host, const char *event_id, const char **ret_body, size_t *ret_n);

	/* A callback URI of the delivery's source with these tags, signed: what to give the provider so that its callbacks
	 * come back here. -ENOTSUP, with a reason, if the source has no public_url. */
	int (*callback_uri)(const struct belfry_host *host, const struct belfry_tag *tags, size_t n_tags,
						const char **ret_uri);

	/* Milliseconds until the process is killed for being too slow. */
	int64_t (*remaining_ms)(const struct belfry_host *host);
};

/* Does the host know this function, or the struct this field? BELFRY_HAS(host, remaining_ms) */
#define BELFRY_HAS(object, member) \
	((object)->size >= (size_t)((const char *)&(object)->member - (const char *)(object)) + sizeof((object)->member))

/* --- the plugin --------------------------------------------------------------------------------------------------- */

/* What a plugin needs that it would not be allowed. The administrator has to grant it (`allow: [exec]`). */
enum belfry_need {
	BELFRY_NEED_EXEC = 1, /* to start other programs */
};

struct belfry_plugin {
	/* Filled in by BELFRY_PLUGIN(); first, and at these places, for ever. */
	uint32_t abi_major, abi_minor;
	uint32_t size;        /* of this struct */
	uint32_t option_size; /* of one row of the table */

	const char *name;                    /* what it is called: a-z 0-9 _ - */
	const char *version;                 /* its own */
	const char *summary;                 /* one line: completes "NAME: ..." */
	uint32_t needs;                      /* enum belfry_need, or-ed */
	const struct belfry_option *options; /* ended by BELFRY_END; NULL: it has none */
	size_t conf_size;                    /* of the struct that the options describe */
	/* Called once, with the filled struct. *ret_self is passed to the others; NULL create: they get the struct itself,
	 * as `void *`, which it must not change. 0, or a negative errno after saying why by host->log(BELFRY_ERROR): the
	 * process ends, and is started again with growing pauses while there is something to deliver. */
	int (*create)(const struct belfry_host *host, const void *conf, void **ret_self);
	/* enum belfry_outcome. Required. */
	int (*handle)(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery);
	/* When the process is stopped in order; NULL: nothing to do. Do not count on it: power fails. */
	void (*destroy)(void *self);
};

#ifdef __cplusplus
#define BELFRY_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define BELFRY_EXPORT extern __attribute__((visibility("default")))
#endif

/* The one symbol that Belfry looks for: constant data, read before any function of the plugin is called. */
#define BELFRY_PLUGIN(...)                                                                    \
	BELFRY_EXPORT const struct belfry_plugin belfry_plugin;                                   \
	const struct belfry_plugin belfry_plugin = { .abi_major = BELFRY_ABI_MAJOR,               \
												 .abi_minor = BELFRY_ABI_MINOR,               \
												 .size = sizeof(struct belfry_plugin),        \
												 .option_size = sizeof(struct belfry_option), \
												 __VA_ARGS__ }

#ifdef __cplusplus
}
#endif

#endif
