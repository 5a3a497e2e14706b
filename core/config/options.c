/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every option: its key, its type, where it goes, its range, its default and one line of help. What one row alone
 * cannot say (two things that exclude each other, defaults made from names) is in check.c. etc/belfry.yaml says the
 * same to people; a test compares the two.
 */
#include "config/options.h"

#include "config/address.h"
#include "config/config.h"
#include "config/secret.h"
#include "wire/signature.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>

#define KIB 1024u
#define MIB (1024u * KIB)
#define GIB ((uint64_t)1024 * MIB)
#define TIB (1024 * GIB)

#define SECONDS ((uint64_t)1000)
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)
#define DAYS (24 * HOURS)

/* A row whose value goes to a member of a struct. */
#define TO(name, type_name, object, member, ...)                                                           \
	{                                                                                                      \
		.key = (name), .type = &option_##type_name, .offset = offsetof(struct object, member), __VA_ARGS__ \
	}
/* A group whose options go to the same struct. */
#define HERE(name, table, ...)                                                \
	{                                                                         \
		.key = (name), .type = &option_group, .options = (table), __VA_ARGS__ \
	}
/* A list or map of what `entry_type` reads. */
#define MANY(name, type_name, object, member, entry_type, ...)                                  \
	{                                                                                           \
		.key = (name), .type = &option_##type_name, .offset = offsetof(struct object, member),  \
		.entry = &option_##entry_type, .entry_bytes = sizeof(*((struct object *)NULL)->member), \
		.count_offset = offsetof(struct object, n_##member), __VA_ARGS__                        \
	}
#define RANGE(from, to) .least = (from), .most = (to)
#define END         \
	{               \
		.key = NULL \
	}

/* --- types that only these tables need --- */

static const char *const services[] = { "sources", "subscribers", NULL };

/* In the order that read_allow() knows. */
static const char *const permissions[] = { "exec", "inner", NULL };

/* Those of option_text, which the compiler does not take for constants. */
static void read_text(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					  void *field)
{
	option_text.read(reader, option, node, field);
}

static void release_text(const struct option *option, void *field)
{
	option_text.release(option, field);
}

static void compare_text(struct schema_comparer *comparer, const struct option *option, const void *before,
						 const void *after)
{
	option_text.compare(comparer, option, before, after);
}

static void take_address(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						 struct span text, void *field)
{
	const char *problem = NULL;
	int error = address_read(text, field, &problem);
	if (error == -EINVAL)
		schema_refuse_text(reader, option, node, problem);
	else if (error)
		reader->failed = true;
}

static void read_address(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						 void *field)
{
	if (node->kind == YAML_KIND_TEXT)
		take_address(reader, option, node, span_text(node->text), field);
	else
		schema_refuse_kind(reader, option, node);
}

static void release_address(const struct option *option, void *field)
{
	(void)option;
	address_finish(field);
}

static void compare_address(struct schema_comparer *comparer, const struct option *option, const void *before,
							const void *after)
{
	const struct config_address *old = before, *new = after;
	compare_text(comparer, option, &old->text, &new->text);
}

static void write_address(struct buffer *json, const void *field)
{
	schema_write_text(json, ((const struct config_address *)field)->text);
}

static const struct option_type option_address = { .what = "a numeric address with a port, unix:/path or systemd:NAME",
												   .write = write_address,
												   .read = read_address,
												   .release = release_address,
												   .compare = compare_address,
												   .pattern = "^(unix:/.+|systemd:.*|.+:[0-9]+)$" };

/* An address, written as the path that it is. */
static void read_socket(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	const char *problem = node->kind == YAML_KIND_TEXT ? value_check_path(span_text(node->text)) : NULL;
	if (node->kind != YAML_KIND_TEXT) {
		schema_refuse_kind(reader, option, node);
	} else if (problem) {
		schema_refuse_text(reader, option, node, problem);
	} else {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "unix:%s", node->text);
		if (text.failed)
			reader->failed = true;
		else
			take_address(reader, option, node, buffer_span(&text), field);
	}
}

static void write_socket(struct buffer *json, const void *field)
{
	schema_write_text(json, ((const struct config_address *)field)->path);
}

static const struct option_type option_socket = { .what = "an absolute path",
												  .write = write_socket,
												  .read = read_socket,
												  .release = release_address,
												  .compare = compare_address,
												  .pattern = "^/" };

static void read_scheme(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	if (node->kind != YAML_KIND_TEXT)
		schema_refuse_kind(reader, option, node);
	else if (!scheme_find(span_text(node->text)))
		schema_refuse_text(reader, option, node, "is not known");
	else
		*(char **)field = schema_copy(reader, node->text);
}

static void write_scheme(struct buffer *json, const void *field)
{
	schema_write_text(json, *(char *const *)field);
}

static const struct option_type option_scheme = { .form = OPTION_FORM_CHOICE,
												  .write = write_scheme,
												  .what = "",
												  .read = read_scheme,
												  .release = release_text,
												  .compare = compare_text,
												  .names = scheme_names };

/* The field is the listener itself. */
static void read_serves(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	struct config_listener *listener = field;
	if (node->kind != YAML_KIND_LIST)
		schema_refuse_kind(reader, option, node);
	else if (node->n_entries == 0)
		schema_complain(reader, false, option, node, "a listener that serves nothing; leave it out");
	for (size_t i = 0; node->kind == YAML_KIND_LIST && i < node->n_entries; i++) {
		const struct yaml_node *entry = node->entries[i].value;
		unsigned which = UINT_MAX; /* stays so for an unknown word: then nothing is said of what is not served */
		if (entry->kind == YAML_KIND_BROKEN)
			continue;
		option_choice.read(reader, option, entry, &which);
		listener->serves_sources |= which != 1;
		listener->serves_subscribers |= which != 0;
	}
}

static void compare_serves(struct schema_comparer *comparer, const struct option *option, const void *before,
						   const void *after)
{
	const struct config_listener *old = before, *new = after;
	schema_found(comparer, option,
				 old->serves_sources == new->serves_sources && old->serves_subscribers == new->serves_subscribers);
}

static void write_words(struct buffer *json, const char *const words[static 2], bool has_first, bool has_second)
{
	buffer_add_char(json, '[');
	if (has_first)
		buffer_add_json(json, span_text(words[0]));
	buffer_add_text(json, has_first && has_second ? "," : "");
	if (has_second)
		buffer_add_json(json, span_text(words[1]));
	buffer_add_char(json, ']');
}

static void write_serves(struct buffer *json, const void *field)
{
	const struct config_listener *listener = field;
	write_words(json, services, listener->serves_sources, listener->serves_subscribers);
}

static const struct option_type option_serves = { .write = write_serves,
												  .form = OPTION_FORM_LIST,
												  .what = "a list of ",
												  .read = read_serves,
												  .compare = compare_serves };

static const char *check_tag_name(struct span text)
{
	if (text.n > 64)
		return "is longer than 64 bytes";
	return span_equal(text, SPAN("sig")) ? "is the signature's name, not a tag's" : value_check_text(text);
}

/* Read by handlers.c, which knows what the plugin wants. */
static void read_plugin_options(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
								void *field)
{
	(void)field;
	if (node->kind != YAML_KIND_MAP && node->kind != YAML_KIND_NOTHING)
		schema_refuse_kind(reader, option, node);
}

static const struct option_type option_plugin_options = { .form = OPTION_FORM_OTHERS,
														  .what = "a map of the plugin's options",
														  .read = read_plugin_options };

static const char *check_plugin(struct span text)
{
	if (text.n && text.data[0] == '/')
		return value_check_path(text);
	return value_check_name(text) ? "is neither a plugin's name nor an absolute path" : NULL;
}

static const struct option_type option_plugin = { .what = "a plugin's name or file",
												  .read = read_text,
												  .release = release_text,
												  .compare = compare_text,
												  .check = check_plugin };

/* The field is the confinement. */
static void read_allow(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
					   void *field)
{
	struct config_confinement *confinement = field;
	if (node->kind != YAML_KIND_LIST)
		schema_refuse_kind(reader, option, node);
	for (size_t i = 0; node->kind == YAML_KIND_LIST && i < node->n_entries; i++) {
		const struct yaml_node *entry = node->entries[i].value;
		unsigned which = UINT_MAX;
		if (entry->kind != YAML_KIND_BROKEN)
			option_choice.read(reader, option, entry, &which);
		confinement->allows_exec |= which == 0;
		confinement->allows_inner |= which == 1;
	}
}

static void compare_allow(struct schema_comparer *comparer, const struct option *option, const void *before,
						  const void *after)
{
	const struct config_confinement *old = before, *new = after;
	schema_found(comparer, option, old->allows_exec == new->allows_exec && old->allows_inner == new->allows_inner);
}

static void write_allow(struct buffer *json, const void *field)
{
	const struct config_confinement *confinement = field;
	write_words(json, permissions, confinement->allows_exec, confinement->allows_inner);
}

static const struct option_type option_allow = {
	.write = write_allow, .form = OPTION_FORM_LIST, .what = "a list of ", .read = read_allow, .compare = compare_allow
};

static const struct option_type option_tag_name = { .what = "the name of a tag",
													.read = read_text,
													.release = release_text,
													.compare = compare_text,
													.check = check_tag_name };

/* --- the tables --- */

static const struct option tls_options[] = {
	TO("certificate", path, config_listener, certificate, .is_required = true, .example = "/etc/belfry/tls/cert.pem",
	   .help = "PEM file with the certificate and those between it and the root"),
	TO("key", path, config_listener, key, .is_required = true, .example = "/etc/belfry/tls/key.pem",
	   .help = "PEM file with the private key"),
	END,
};

static const struct option listener_options[] = {
	TO("address", address, config_listener, address, .is_required = true, .example = "127.0.0.1:8080",
	   .help = "where to listen"),
	HERE("tls", tls_options, .help = "certificate and key; without it, clear text"),
	{ .key = "serves",
	  .type = &option_serves,
	  .names = services,
	  .entry = &option_choice,
	  .example = "[sources, subscribers]",
	  .help = "what is reachable here; both by default" },
	END,
};

/* In the order of enum config_access. */
static const char *const accesses[] = { "owner", "group", NULL };

/* In the order of enum config_role. */
static const char *const roles[] = { "viewer", "operator", NULL };

static const struct option admin_token_options[] = {
	TO("name", text, config_admin_token, name, .is_required = true, .example = "alice",
	   .help = "whose it is, for the log"),
	TO("role", choice, config_admin_token, role, .is_required = true, .names = roles, .example = "viewer",
	   .help = "a viewer sees everything, an operator may do everything"),
	TO("token", secret, config_admin_token, token, .is_required = true, .example = "{file: /etc/belfry/secrets/alice}",
	   .help = "what Authorization: Bearer has to say"),
	END,
};

static const struct option admin_options[] = {
	TO("address", address, config_admin, listener.address, .example = "127.0.0.1:8081",
	   .help = "where the operator's page, /metrics, /healthz and /readyz are"),
	TO("tls", group, config_admin, listener, .options = tls_options,
	   .help = "certificate and key; without it, clear text"),
	TO("socket", socket, config_admin, socket, .example = "/run/belfry/admin.sock",
	   .help = "the same at a unix socket, for the command line: whoever may open it may do everything"),
	TO("socket_access", choice, config_admin, socket_access, .fallback = "owner", .names = accesses,
	   .needs_restart = true, .help = "who may open it: the gateway's own user, or all of its group"),
	MANY("server_names", list, config_admin, server_names, host, RANGE(0, 256), .example = "gateway.example.com",
		 .help = "what Host may be beside an address and localhost"),
	MANY("tokens", list, config_admin, tokens, group, RANGE(0, 64), .options = admin_token_options,
		 .example = "{name: alice, role: viewer, token: {file: /etc/belfry/secrets/alice}}",
		 .help = "who may come in at the address; without them, whoever can connect, which must be this machine alone"),
	END,
};

static const struct option sqlite_options[] = {
	TO("path", path, config_journal, path, .fallback = "/var/lib/belfry/journal.db", .needs_restart = true,
	   .help = "the database; its folder must exist"),
	END,
};

static const struct option retention_options[] = {
	TO("age", duration, config_journal, retention_age_ms, .fallback = "7d", RANGE(1 * SECONDS, 3650 * DAYS),
	   .help = "how long callbacks are kept"),
	TO("size", size, config_journal, retention_bytes, .fallback = "4GiB", RANGE(1 * MIB, 64 * TIB),
	   .help = "how large the journal may grow; the oldest callbacks go first"),
	END,
};

static const struct option journal_options[] = {
	HERE("sqlite", sqlite_options, .help = "the embedded journal"),
	HERE("retention", retention_options, .help = "what is kept"),
	END,
};

static const struct option tag_options[] = {
	MANY("keys", list, config_source, tag_keys, secret, RANGE(0, 2), .example = "{file: /etc/belfry/secrets/tags}",
		 .help = "keys that sign the tags in callback URIs; the first one makes new signatures"),
	END,
};

static const struct option source_options[] = {
	TO("scheme", scheme, config_source, scheme, .fallback = "cronofy", .help = "how this provider signs"),
	TO("path", request_path, config_source, path, .example = "/callbacks/cronofy",
	   .help = "where this provider calls; /callbacks/NAME by default"),
	TO("public_url", public_url, config_source, public_url, .example = "https://gateway.example.com",
	   .help = "how the gateway is reached from outside; for belfry callback-uri"),
	TO("duplicate_window", duration, config_source, duplicate_window_ms, .fallback = "10m",
	   RANGE(1 * SECONDS, 24 * HOURS), .word = "0", .help = "the same callback again within it is a duplicate; 0: off"),
	MANY("secrets", list, config_source, secrets, secret, RANGE(1, SIGNATURE_MAX_SECRETS), .is_required = true,
		 .example = "{file: /etc/belfry/secrets/cronofy}",
		 .help = "what the provider signs with; any of them may match"),
	HERE("tags", tag_options, .help = "whom a callback is about: names and values in the callback URI"),
	MANY("unsigned_tags", list, config_source, unsigned_tags, tag_name, RANGE(0, 32), .example = "user",
		 .help = "tags that are accepted without a signature"),
	TO("max_body", size, config_source, max_body_bytes, .fallback = "256KiB", RANGE(1 * KIB, 4 * MIB),
	   .help = "the largest callback"),
	END,
};
static_assert(offsetof(struct config_source, name) == 0, "option_named puts the name there");

static const struct option token_options[] = {
	MANY("keys", list, config_subscribers, keys, token_key, RANGE(0, 64), .example = "{file: /etc/belfry/jwks.json}",
		 .help = "HS256 secrets, PEM public keys, JWKs or JWK sets"),
	TO("jwks_url", url, config_subscribers, jwks_url, .example = "https://app.example.com/jwks.json",
	   .help = "a JWK set that is fetched"),
	TO("jwks_refresh", duration, config_subscribers, jwks_refresh_ms, .fallback = "10m", RANGE(5 * SECONDS, 24 * HOURS),
	   .help = "how often it is fetched"),
	TO("issuer", text, config_subscribers, issuer, .example = "https://app.example.com",
	   .help = "what iss must be; not checked by default"),
	TO("audience", text, config_subscribers, audience, .example = "belfry",
	   .help = "what aud must contain; not checked by default"),
	END,
};

static const struct option subscriber_options[] = {
	TO("path", request_path, config_subscribers, path, .fallback = "/subscribe",
	   .help = "of the WebSocket and the event stream"),
	MANY("origins", list, config_subscribers, origins, origin, RANGE(0, 256), .example = "https://app.example.com",
		 .help = "the sites whose pages may subscribe; only the gateway's own by default"),
	MANY("server_names", list, config_subscribers, server_names, host, RANGE(0, 256), .example = "gateway.example.com",
		 .help = "what Host may be; for anonymous subscribers an address or localhost by default, else anything"),
	HERE("tokens", token_options, .help = "who may subscribe"),
	TO("anonymous", boolean, config_subscribers, anonymous, .fallback = "false",
	   .help = "anybody may subscribe to everything: for trying things out"),
	TO("anonymous_anywhere", boolean, config_subscribers, anonymous_anywhere, .fallback = "false",
	   .help = "anonymous also where others than this machine can connect"),
	TO("outcomes", boolean, config_subscribers, outcomes, .fallback = "false",
	   .help = "subscribers may ask what handlers did: each attempt is an entry of the journal"),
	TO("ping", duration, config_subscribers, ping_ms, .fallback = "25s", RANGE(5 * SECONDS, 5 * MINUTES),
	   .help = "how often an idle subscriber hears from the gateway"),
	TO("auth_timeout", duration, config_subscribers, auth_timeout_ms, .fallback = "10s",
	   RANGE(1 * SECONDS, 1 * MINUTES), .help = "from the upgrade to a valid token"),
	TO("stalled_timeout", duration, config_subscribers, stalled_timeout_ms, .fallback = "60s",
	   RANGE(5 * SECONDS, 1 * HOURS), .help = "a subscriber that takes nothing for so long is closed"),
	TO("max_filters", integer, config_subscribers, max_filters, .fallback = "64", RANGE(1, 1024),
	   .help = "filters of one connection"),
	TO("max_message", size, config_subscribers, max_message_bytes, .fallback = "16KiB", RANGE(1 * KIB, 1 * MIB),
	   .help = "the largest message from a subscriber"),
	TO("max_messages_per_second", integer, config_subscribers, max_messages_per_second, .fallback = "20",
	   RANGE(1, 10000), .help = "messages from one connection, on average"),
	END,
};

static const struct option limit_options[] = {
	TO("connections", integer, config_limits, max_connections, .fallback = "16000", RANGE(10, 1000000),
	   .help = "at the same time, overall"),
	TO("connections_per_address", integer, config_limits, max_connections_per_address, .fallback = "10000",
	   RANGE(1, 1000000), .help = "the same from one IPv4 address or one IPv6 /64"),
	TO("pending", integer, config_limits, max_pending, .fallback = "1024", RANGE(1, 100000),
	   .help = "connections that have not sent a whole request yet"),
	TO("handler_processes", integer, config_limits, max_handler_processes, .fallback = "64", RANGE(1, 4096),
	   .help = "processes of all handlers at the same time"),
	TO("ring", size, config_limits, ring_bytes, .fallback = "8MiB", RANGE(1 * MIB, 4 * GIB),
	   .help = "recent events kept in memory for those who are behind"),
	TO("queue", size, config_limits, queue_bytes, .fallback = "16MiB", RANGE(8 * MIB, 4 * GIB),
	   .help = "callbacks that wait for the journal; 503 beyond"),
	TO("header_timeout", duration, config_limits, header_timeout_ms, .fallback = "5s", RANGE(1 * SECONDS, 1 * MINUTES),
	   .help = "from the connection to the end of the request's head"),
	TO("body_timeout", duration, config_limits, body_timeout_ms, .fallback = "10s", RANGE(1 * SECONDS, 1 * MINUTES),
	   .help = "from there to the end of its body"),
	TO("write_timeout", duration, config_limits, write_timeout_ms, .fallback = "10s", RANGE(1 * SECONDS, 5 * MINUTES),
	   .help = "for an answer to be taken"),
	TO("idle_timeout", duration, config_limits, idle_timeout_ms, .fallback = "60s", RANGE(1 * SECONDS, 1 * HOURS),
	   .help = "between two requests on one connection"),
	TO("answer_timeout", duration, config_limits, answer_timeout_ms, .fallback = "4s", RANGE(100, 4500),
	   .help = "a callback that is not in the journal by then is answered 503; the provider waits 5s"),
	TO("drain_grace", duration, config_limits, drain_grace_ms, .fallback = "0", .word = "0", RANGE(100, 5 * MINUTES),
	   .example = "10s",
	   .help = "a gateway that stops says so at /readyz, and goes on for so long, so that a load balancer sends nobody "
			   "more"),
	TO("drain_timeout", duration, config_limits, drain_timeout_ms, .fallback = "10s", RANGE(1 * SECONDS, 10 * MINUTES),
	   .help = "then it has so long to finish: callbacks under way, subscribers, handlers"),
	TO("handler_idle_timeout", duration, config_limits, handler_idle_timeout_ms, .fallback = "60s",
	   RANGE(1 * SECONDS, 24 * HOURS), .help = "a handler's process that has nothing to do for so long is stopped"),
	END,
};

static const struct option plugin_options[] = {
	TO("folder", path, config_plugins, folder, .fallback = BELFRY_PLUGIN_FOLDER,
	   .help = "where plugins are found by their name: NAME.so"),
	TO("program", path, config_plugins, program, .fallback = BELFRY_HANDLER_PROGRAM,
	   .help = "belfry-handler, which runs one plugin"),
	END,
};

static const struct option retry_options[] = {
	TO("max_attempts", integer, config_retry, max_attempts, .fallback = "12", RANGE(1, 1000),
	   .help = "after so many it is a dead letter"),
	TO("initial", duration, config_retry, initial_ms, .fallback = "5s", RANGE(100, 24 * HOURS),
	   .help = "the pause before the second attempt; it doubles, and is shortened by chance"),
	TO("maximum", duration, config_retry, maximum_ms, .fallback = "1h", RANGE(100, 24 * HOURS),
	   .help = "the longest pause"),
	TO("give_up_after", duration, config_retry, give_up_after_ms, .fallback = "24h", RANGE(1 * SECONDS, 30 * DAYS),
	   .help = "after so long it is a dead letter, whatever the number of attempts"),
	END,
};

static const struct option confinement_options[] = {
	TO("memory", size, config_confinement, memory_bytes, .fallback = "256MiB", RANGE(16 * MIB, 64 * GIB),
	   .help = "of one process"),
	TO("descriptors", integer, config_confinement, descriptors, .fallback = "64", RANGE(16, 65536),
	   .help = "open files and sockets of one process"),
	TO("processes", integer, config_confinement, processes, .fallback = "512", RANGE(16, 65536),
	   .help = "while the gateway's user has so many processes and threads, it gets no more"),
	END,
};

static const struct option breaker_options[] = {
	TO("failures", integer, config_breaker, failures, .fallback = "10", RANGE(1, 1000), .word = "off",
	   .help = "attempts that fail in a row before the handler pauses; off: it never does"),
	TO("pause", duration, config_breaker, pause_ms, .fallback = "1m", RANGE(1 * SECONDS, 24 * HOURS),
	   .help = "how long it pauses before it tries once"),
	END,
};

static const struct option handler_options[] = {
	TO("plugin", plugin, config_handler, plugin, .is_required = true, .example = "slack",
	   .help = "what it runs: a name in plugins.folder, or an absolute path"),
	{ .key = "options", .type = &option_plugin_options, .help = "the plugin's own: belfry plugin describe" },
	TO("when", lines, config_handler, when, .example = ".event.conferencing != null",
	   .help = "jq over the callback's body: what is not so is not handled"),
	TO("workers", integer, config_handler, workers, .fallback = "1", RANGE(1, 64),
	   .help = "processes that work at the same time"),
	TO("deadline", duration, config_handler, deadline_ms, .fallback = "30s", RANGE(100, 1 * HOURS),
	   .help = "for one attempt; its process is killed then"),
	TO("retry", group, config_handler, retry, .options = retry_options, .help = "what happens when an attempt fails"),
	TO("allow", allow, config_handler, confinement, .names = permissions, .entry = &option_choice,
	   .example = "[exec, inner]",
	   .help = "exec: to start programs; inner: requests to private and loopback addresses; neither by default"),
	TO("limits", group, config_handler, confinement, .options = confinement_options,
	   .help = "bounds on what its processes can spend"),
	TO("breaker", group, config_handler, breaker, .options = breaker_options,
	   .help = "when its far end seems to be down"),
	END,
};
static_assert(offsetof(struct config_handler, name) == 0, "option_named puts the name there");

/* --- interactions: patterns with lists of handlers' names, or of maps --- */

static const char *check_subtype(struct span text)
{
	return text.n > 128 ? "is longer than 128 bytes" : value_check_text(text);
}

static const struct option_type option_subtype = {
	.what = "a subtype", .read = read_text, .release = release_text, .compare = compare_text, .check = check_subtype
};

static const struct option target_options[] = {
	TO("handler", text, config_target, name, .is_required = true, .example = "on-call", .help = "one of handlers"),
	MANY("subtypes", list, config_target, subtypes, subtype, RANGE(0, 64), .example = "profile_missing",
		 .help = "any of these; whatever the subtype unless written"),
	TO("when", lines, config_target, when, .example = ".event.conferencing != null",
	   .help = "jq over the callback's body, beside the handler's own"),
	END,
};

static const struct option target_map = { .type = &option_group, .options = target_options };

static void read_target_map(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
							void *field)
{
	struct option map = target_map;
	map.key = option->key;
	map.type->read(reader, &map, node, field);
}

/* A name, or a map of options. */
static void read_target(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						void *field)
{
	struct option name = target_options[0];
	name.key = option->key;
	if (node->kind == YAML_KIND_TEXT)
		name.type->read(reader, &name, node, (char *)field + name.offset);
	else if (node->kind == YAML_KIND_MAP)
		read_target_map(reader, option, node, field);
	else
		schema_refuse_kind(reader, option, node);
}

static void release_target(const struct option *option, void *field)
{
	(void)option;
	schema_release(target_options, field);
}

static void compare_target(struct schema_comparer *comparer, const struct option *option, const void *before,
						   const void *after)
{
	(void)option;
	schema_compare(target_options, before, after, comparer);
}

static const struct option_type option_target = { .what = "a handler's name, or a map",
												  .read = read_target,
												  .release = release_target,
												  .compare = compare_target,
												  .row = &target_map,
												  .is_text_too = true };

static const struct option target_list =
	MANY(NULL, list, config_interaction, targets, target, RANGE(0, 4096), .example = "on-call");

/* The field is the interaction; its pattern is there already. */
static void read_targets(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						 void *field)
{
	struct option list = target_list;
	list.key = option->key;
	option_list.read(reader, &list, node, (char *)field + list.offset);
}

static void release_targets(const struct option *option, void *field)
{
	(void)option;
	option_list.release(&target_list, (char *)field + target_list.offset);
}

static void compare_targets(struct schema_comparer *comparer, const struct option *option, const void *before,
							const void *after)
{
	(void)option;
	option_list.compare(comparer, &target_list, (const char *)before + target_list.offset,
						(const char *)after + target_list.offset);
}

static const struct option_type option_targets = { .what = "a list of handlers",
												   .read = read_targets,
												   .release = release_targets,
												   .compare = compare_targets,
												   .row = &target_list };

static void read_interactions(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
							  void *field)
{
	option_named.read(reader, option, node, field);
}

static void release_interactions(const struct option *option, void *field)
{
	option_named.release(option, field);
}

static void compare_interactions(struct schema_comparer *comparer, const struct option *option, const void *before,
								 const void *after)
{
	option_named.compare(comparer, option, before, after);
}

static const struct option_type option_interactions = { .form = OPTION_FORM_NAMED,
														.what = "a map of types of interaction",
														.read = read_interactions,
														.release = release_interactions,
														.compare = compare_interactions,
														.check = value_check_pattern,
														.pattern = "^[A-Za-z0-9_.-]*\\*?$" };
static_assert(offsetof(struct config_interaction, pattern) == 0, "option_named puts the name there");

/* In the order of enum config_log_level. */
static const char *const log_levels[] = { "error", "warning", "info", "debug", NULL };

/* In the order of enum config_log_format. */
static const char *const log_formats[] = { "text", "json", NULL };

static const struct option log_options[] = {
	TO("level", choice, config, log_level, .fallback = "info", .names = log_levels, .help = "what is logged"),
	TO("format", choice, config, log_format, .fallback = "text", .names = log_formats,
	   .help = "key=value, or a JSON object a line"),
	END,
};

const struct option config_options[] = {
	MANY("listen", list, config, listeners, group, RANGE(1, 64), .options = listener_options,
		 .example = "{address: \"127.0.0.1:8080\"}", .help = "where the public side listens"),
	TO("admin", group, config, admin, .options = admin_options, .help = "the administrator's side; none by default"),
	TO("journal", group, config, journal, .options = journal_options, .help = "where callbacks are written down"),
	MANY("sources", named, config, sources, group, RANGE(1, 4096), .is_required = true, .options = source_options,
		 .example = "{cronofy: {secrets: [{file: /etc/belfry/secrets/cronofy}]}}", .help = "who calls back"),
	TO("subscribers", group, config, subscribers, .options = subscriber_options, .help = "who listens, and how"),
	TO("limits", group, config, limits, .options = limit_options, .help = "bounds on what others can make us spend"),
	TO("plugins", group, config, plugins, .options = plugin_options, .help = "where plugins are"),
	MANY("handlers", named, config, handlers, group, RANGE(0, 4096), .options = handler_options,
		 .example = "{team-slack: {plugin: slack, options: {webhook_url: {file: /etc/belfry/secrets/slack-url}}}}",
		 .help = "plugins with a name and a configuration"),
	MANY("interactions", interactions, config, interactions, targets, RANGE(0, 1024),
		 .example = "{conferencing_failing: [on-call]}", .help = "which handlers run for which type of interaction"),
	TO("reactors", integer, config, reactors, .fallback = "auto", .word = "auto", .example = "4", RANGE(1, 64),
	   .needs_restart = true, .help = "threads that serve connections; auto: one for each usable core"),
	HERE("log", log_options, .help = "the log on stderr"),
	END,
};
