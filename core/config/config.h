/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: one YAML file and conf.d beside it become one checked, immutable value.
 *
 * config_load() finds everything that is wrong, not only the first thing, and each complaint says
 * "file:line:column: what, and what would be right". Whatever it returns is complete: defaults are
 * filled in, secrets are read, ranges hold. Options are rows of tables (config/options.c), so that
 * checks, defaults and documentation cannot disagree.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/cleanup.h"
#include "base/span.h"
#include "config/complaint.h"
#include "wire/digest.h"

/* Bytes that are wiped when released. */
struct secret {
	char *data;
	size_t n;
	char *origin; /* "file /etc/belfry/secrets/cronofy": for messages; never the bytes */
};

enum config_address_kind { CONFIG_ADDRESS_IP, CONFIG_ADDRESS_UNIX, CONFIG_ADDRESS_SYSTEMD };

struct config_address {
	enum config_address_kind kind;
	char *text;    /* as written */
	char *host;    /* IP: numeric, without brackets */
	uint16_t port; /* IP: 0 means that the system picks one */
	char *path;    /* unix: absolute path */
	unsigned mode; /* unix: of a new socket; 0: what the umask leaves */
	char *name;    /* systemd: FileDescriptorName=, empty for any */
};

struct config_listener {
	struct config_address address;
	bool has_tls;
	char *certificate, *key; /* PEM files */
	bool serves_sources, serves_subscribers;
};

struct config_source {
	char *name;                  /* the key in the YAML */
	char *scheme;                /* a name that scheme_find() knows */
	char *path;                  /* exact path of the request, starts with '/' */
	char *public_url;            /* "https://gateway.example.com", for callback-uri; NULL if not given */
	int64_t duplicate_window_ms; /* 0: off */
	struct secret *secrets;      /* 1..8 */
	size_t n_secrets;
	struct secret *tag_keys; /* 0..2; the first one signs */
	size_t n_tag_keys;
	char **unsigned_tags; /* tag names accepted without a signature */
	size_t n_unsigned_tags;
	uint64_t max_body_bytes;
};

/* One entry of subscribers.tokens.keys. Which form the bytes have (HS secret, PEM, JWK, JWK set) is found
 * out by auth/, which reads them. */
struct config_token_key {
	struct secret bytes;
	char *where; /* "file:line:column", for a complaint about the bytes */
};

struct config_subscribers {
	char *path; /* of the WebSocket and the event stream */
	char **origins;
	size_t n_origins;
	char **server_names; /* what Host may be, without the port */
	size_t n_server_names;
	struct config_token_key *keys;
	size_t n_keys;
	char *jwks_url; /* NULL if not given */
	int64_t jwks_refresh_ms;
	char *issuer, *audience;    /* NULL if not checked */
	bool anonymous;             /* anybody may subscribe to everything; tokens are not looked at */
	bool anonymous_anywhere;    /* also where others than this machine can connect */
	bool outcomes;              /* an entry in the journal for each attempt of a handler */
	int64_t ping_ms;            /* a position message and a protocol ping this often */
	int64_t auth_timeout_ms;    /* from the upgrade to a valid token */
	int64_t stalled_timeout_ms; /* no byte went out */
	uint64_t max_filters;       /* a connection */
	uint64_t max_message_bytes;
	uint64_t max_messages_per_second; /* frames of any kind from one connection, averaged */
};

enum config_role { CONFIG_ROLE_VIEWER, CONFIG_ROLE_OPERATOR };

struct config_admin_token {
	char *name; /* whose it is: for the log */
	enum config_role role;
	struct secret token;
};

enum config_access { CONFIG_ACCESS_OWNER, CONFIG_ACCESS_GROUP };

/* The administrator's side: at an address, or a socket, or both. */
struct config_admin {
	bool has_listener, has_socket;
	struct config_listener listener; /* serves neither sources nor subscribers */
	struct config_address socket;    /* unix */
	enum config_access socket_access;
	char **server_names; /* what else Host may be than an address or localhost */
	size_t n_server_names;
	struct config_admin_token *tokens; /* none: whoever can connect may do everything */
	size_t n_tokens;
};

struct config_journal {
	char *path;
	int64_t retention_age_ms;
	uint64_t retention_bytes;
};

struct config_limits {
	uint64_t max_connections;             /* overall */
	uint64_t max_connections_per_address; /* IPv6: by /64 */
	uint64_t max_pending;                 /* connections that have sent no whole request head yet */
	uint64_t max_handler_processes;       /* overall */
	uint64_t ring_bytes;                  /* recent frames kept in memory */
	uint64_t queue_bytes;                 /* callbacks that wait for the journal: 503 beyond */
	int64_t header_timeout_ms, body_timeout_ms, write_timeout_ms, idle_timeout_ms;
	int64_t answer_timeout_ms; /* a callback that is not durable by then is answered 503 */
	int64_t drain_grace_ms, drain_timeout_ms;
	int64_t handler_idle_timeout_ms; /* a handler's process that had nothing to do for so long is stopped */
};

struct config_plugins {
	char *folder;  /* where plugins are found by name: FOLDER/NAME.so */
	char *program; /* belfry-handler */
};

struct config_retry {
	uint64_t max_attempts;
	int64_t initial_ms, maximum_ms; /* the pause before the second attempt, and the longest one */
	int64_t give_up_after_ms;       /* since the delivery was written down */
};

struct config_breaker {
	uint64_t failures; /* in a row, after which the handler pauses; 0: never */
	int64_t pause_ms;
};

/* What the host tells the kernel before the plugin is loaded. */
struct config_confinement {
	uint64_t memory_bytes, descriptors, processes;
	bool allows_exec;  /* it may start programs */
	bool allows_inner; /* its requests may go to inner addresses */
};

struct config_handler {
	char *name;   /* the key in the YAML */
	char *plugin; /* as written: a name in plugins.folder, or an absolute path */
	char *when;   /* as written; NULL: always */
	uint64_t workers;
	int64_t deadline_ms; /* of one attempt */
	struct config_retry retry;
	struct config_breaker breaker;
	struct config_confinement confinement;
	/* what handlers.c makes of it */
	char *file;      /* the plugin's, an absolute path */
	char *version;   /* the plugin's own */
	char *options;   /* a JSON object: what the plugin is configured with, defaults included; has secrets */
	char *condition; /* jq: `when` of the handler and of the interactions that name it; NULL: always true */
	uint8_t file_digest[DIGEST_BYTES];
	uint8_t digest[DIGEST_BYTES]; /* over all that a process of the handler is told, and over the plugin's file */
	bool is_used;                 /* by an interaction */
};

/* A handler that an interaction names. */
struct config_target {
	char *name;
	char **subtypes; /* any of them; none: whatever the subtype */
	size_t n_subtypes;
	char *when;     /* jq; NULL: always */
	size_t handler; /* its place in config.handlers */
};

struct config_interaction {
	char *pattern; /* the key in the YAML: see routes.h */
	struct config_target *targets;
	size_t n_targets;
};

enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

struct routes;

struct config {
	struct config_listener *listeners;
	size_t n_listeners;
	struct config_admin admin;
	struct config_journal journal;
	struct config_source *sources;
	size_t n_sources;
	struct config_subscribers subscribers;
	struct config_limits limits;
	struct config_plugins plugins;
	struct config_handler *handlers;
	size_t n_handlers;
	struct config_interaction *interactions;
	size_t n_interactions;
	struct routes *routes; /* made of the interactions */
	uint64_t reactors;     /* 1..; "auto" is resolved to the number of usable cores */
	enum config_log_level log_level;
	enum config_log_format log_format;
};

/*
 * Reads `path` and, in the order of their names, every *.yaml in the folder conf.d beside it. Entries of maps
 * (sources) from several files are joined; the same scalar set twice is a complaint that names both places.
 *
 * 0 and *ret_config (the caller's, config_destroy), with warnings in *complaints if there are any;
 * CONFIG_E_INVALID with at least one error in *complaints; -errno when the file itself cannot be read
 * (also told in *complaints) or memory runs out. Any thread; reads files, opens no socket; where there are handlers,
 * plugins.program is run to learn what their plugins' options are, and whether expressions are sound.
 */
enum config_outcome { CONFIG_OK, CONFIG_E_INVALID };
int config_load(const char *path, struct complaints *complaints, struct config **ret_config) MUST_USE;
/* The same for those who run no handlers: no plugin is asked, so what only plugins could find wrong stays unsaid, and
 * handlers have no options. */
int config_load_without_plugins(const char *path, struct complaints *complaints, struct config **ret_config) MUST_USE;
/* Wipes every secret. NULL is fine. */
void config_destroy(struct config *config);
CLEANUP_DEFINE(struct config, config_destroy)

/* The source with this name; NULL if there is none. */
const struct config_source *config_source_by_name(const struct config *config, struct span name);
/* The handler; NULL if there is none. */
const struct config_handler *config_handler_by_name(const struct config *config, struct span name);

#endif
