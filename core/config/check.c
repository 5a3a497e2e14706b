/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include "config/address.h"
#include "config/file.h"

#include <errno.h>

#define error(checker, node, ...) yaml_complain((checker)->complaints, false, node, __VA_ARGS__)
#define warning(checker, node, ...) yaml_complain((checker)->complaints, true, node, __VA_ARGS__)

struct checker {
	const struct config *config;
	const struct yaml_node *root;
	struct complaints *complaints;
};

/* The value in the list or map; NULL if it is not in the file. */
static const struct yaml_node *entry_at(const struct yaml_node *node, size_t i)
{
	return node && i < node->n_entries ? node->entries[i].value : NULL;
}

/* --- listeners --- */

static void check_key_file(struct checker *checker, const struct yaml_node *node, const char *path)
{
	struct stat status;
	char reason[FILE_EXPOSURE_BYTES];
	int outcome = file_look(path, &status);
	if (outcome)
		error(checker, node, "key: %s cannot be read: %s", path, file_error_text(outcome));
	else if (file_exposure(&status, false, reason))
		error(checker, node, "key: %s %s; let the gateway's user alone read it: chmod 0600", path, reason);
}

static void check_tls(struct checker *checker, const struct config_listener *listener, const struct yaml_node *tls)
{
	struct stat status;
	int outcome = listener->certificate ? file_look(listener->certificate, &status) : FILE_OK;
	if (outcome)
		error(checker, yaml_get(tls, "certificate"), "certificate: %s cannot be read: %s", listener->certificate,
			  file_error_text(outcome));
	if (listener->key)
		check_key_file(checker, yaml_get(tls, "key"), listener->key);
}

static void check_clear_text(struct checker *checker, const struct config_address *address, bool has_tls,
							 const struct yaml_node *node)
{
	if (address->kind == CONFIG_ADDRESS_IP && address->text && !has_tls && !address_is_local(address))
		warning(checker, node,
				"address: no tls on %s: callbacks and tokens travel in clear unless a proxy in front terminates TLS",
				address->text);
}

/* Port 0 and sockets of systemd may be there more than once. */
static bool is_same_place(const struct config_address *a, const struct config_address *b)
{
	bool can_repeat = a->kind == CONFIG_ADDRESS_SYSTEMD || (a->kind == CONFIG_ADDRESS_IP && a->port == 0);
	return a->text && b->text && !can_repeat && strcmp(a->text, b->text) == 0;
}

/* Against the listeners before this one; i may be the number of listeners, for the administrator's. `key` is what is
 * written in front of it. */
static void check_address_once(struct checker *checker, const char *key, const struct config_address *address, size_t i,
							   const struct yaml_node *node)
{
	const struct yaml_node *listen = yaml_get(checker->root, "listen");
	for (size_t k = 0; k < i; k++)
		if (is_same_place(address, &checker->config->listeners[k].address)) {
			const struct yaml_node *first = yaml_get(entry_at(listen, k), "address");
			if (first)
				error(checker, node, "%s: %s is in %s:%zu:%zu already; keep one of them", key, address->text,
					  first->file->name, first->line, first->column);
			else
				error(checker, node, "%s: %s is where the public side listens by default; choose another one", key,
					  address->text);
			return;
		}
}

static void check_listener(struct checker *checker, size_t i, const struct yaml_node *node)
{
	const struct config_listener *listener = &checker->config->listeners[i];
	const struct yaml_node *address = yaml_get(node, "address");
	if (!address)
		return;
	check_address_once(checker, "address", &listener->address, i, address);
	check_clear_text(checker, &listener->address, listener->has_tls, address);
	check_tls(checker, listener, yaml_get(node, "tls"));
}

static void check_listeners(struct checker *checker)
{
	const struct config *config = checker->config;
	const struct yaml_node *listen = yaml_get(checker->root, "listen");
	bool serves_sources = false, serves_subscribers = false;
	for (size_t i = 0; i < config->n_listeners; i++) {
		check_listener(checker, i, entry_at(listen, i));
		serves_sources |= config->listeners[i].serves_sources;
		serves_subscribers |= config->listeners[i].serves_subscribers;
	}
	if (config->n_listeners && !serves_sources)
		warning(checker, listen, "listen: no listener serves sources: no callback can arrive");
	if (config->n_listeners && !serves_subscribers)
		warning(checker, listen, "listen: no listener serves subscribers: nobody can subscribe");
}

/* --- the administrator's side --- */

#define MIN_ADMIN_TOKEN_BYTES 16

/* What a header carries as it is (RFC 6750 2.1, and a little more). */
static bool is_bearer_token(const struct secret *token)
{
	for (size_t i = 0; i < token->n; i++)
		if (token->data[i] <= ' ' || token->data[i] > '~')
			return false;
	return true;
}

static void check_admin_token(struct checker *checker, const struct config_admin *admin, size_t i,
							  const struct yaml_node *node)
{
	const struct config_admin_token *token = &admin->tokens[i];
	for (size_t k = 0; k < i; k++)
		if (token->name && admin->tokens[k].name && strcmp(token->name, admin->tokens[k].name) == 0)
			error(checker, yaml_get(node, "name"), "name: \"%s\" has a token already; choose another one", token->name);
	if (token->token.n && token->token.n < MIN_ADMIN_TOKEN_BYTES)
		error(checker, yaml_get(node, "token"),
			  "token: it has only %zu bytes and could be guessed; take 32 random ones: openssl rand -hex 32",
			  token->token.n);
	else if (!is_bearer_token(&token->token))
		error(checker, yaml_get(node, "token"),
			  "token: it has blanks or other characters that a header cannot carry; take openssl rand -hex 32");
}

/* Tokens in clear text are told of; nobody at all is asked only where this machine alone can connect. */
static void check_admin_address(struct checker *checker, const struct config_admin *admin, const struct yaml_node *node)
{
	const struct config_listener *listener = &admin->listener;
	bool is_open = listener->address.kind == CONFIG_ADDRESS_IP && !address_is_local(&listener->address);
	check_address_once(checker, "address", &listener->address, checker->config->n_listeners, node);
	if (is_open && !admin->n_tokens)
		error(checker, node,
			  "address: others than this machine can reach %s, where anybody could do everything; write tokens, or "
			  "listen "
			  "on 127.0.0.1",
			  listener->address.text);
	else if (is_open && !listener->has_tls)
		warning(checker, node,
				"address: no tls on %s: administrators' tokens travel in clear unless a proxy in front terminates TLS",
				listener->address.text);
}

static void check_admin(struct checker *checker)
{
	const struct config_admin *admin = &checker->config->admin;
	const struct yaml_node *node = yaml_get(checker->root, "admin"), *address = yaml_get(node, "address");
	const struct yaml_node *socket = yaml_get(node, "socket"), *tokens = yaml_get(node, "tokens");
	if (node && (node->kind == YAML_KIND_MAP || node->kind == YAML_KIND_NOTHING) && !address && !socket)
		error(checker, node,
			  "admin: neither \"address\" nor \"socket\" is written; write for example address: 127.0.0.1:8081");
	if (address && admin->has_listener)
		check_admin_address(checker, admin, address);
	if (socket && admin->has_socket)
		check_address_once(checker, "socket", &admin->socket, checker->config->n_listeners, socket);
	if (admin->has_socket && is_same_place(&admin->socket, &admin->listener.address))
		error(checker, socket, "socket: %s is the address already; keep one of them", admin->socket.path);
	check_tls(checker, &admin->listener, yaml_get(node, "tls"));
	for (size_t i = 0; i < admin->n_tokens; i++)
		check_admin_token(checker, admin, i, entry_at(tokens, i));
}

/* --- paths --- */

static const char *const own_paths[] = { "/ticket", "/events", "/belfry.js", "/healthz", "/readyz" };

static void check_not_own(struct checker *checker, const char *path, const struct yaml_node *node)
{
	for (size_t i = 0; i < ARRAY_LENGTH(own_paths); i++)
		if (strcmp(path, own_paths[i]) == 0)
			error(checker, node, "path: \"%s\" is one of the gateway's own; choose another one", path);
}

/* Where the path is written, or the name that it comes from. */
static const struct yaml_node *path_node(const struct yaml_entry *source)
{
	const struct yaml_node *path = yaml_get(source->value, "path");
	return path ? path : source->key;
}

static void check_against_subscribers(struct checker *checker, const char *path, const struct yaml_node *node)
{
	const char *theirs = checker->config->subscribers.path;
	const struct yaml_node *first = yaml_get(yaml_get(checker->root, "subscribers"), "path");
	if (!theirs || strcmp(path, theirs) != 0)
		return;
	if (first)
		error(checker, node, "path: \"%s\" is the subscribers' path in %s:%zu:%zu; choose another one", path,
			  first->file->name, first->line, first->column);
	else
		error(checker, node, "path: \"%s\" is the subscribers' path; choose another one", path);
}

static void check_path(struct checker *checker, const struct yaml_node *sources, size_t i)
{
	const char *path = checker->config->sources[i].path;
	const struct yaml_node *node = path_node(&sources->entries[i]);
	if (!path)
		return;
	check_not_own(checker, path, node);
	check_against_subscribers(checker, path, node);
	for (size_t k = 0; k < i; k++) {
		const char *other = checker->config->sources[k].path;
		const struct yaml_node *first = path_node(&sources->entries[k]);
		if (other && strcmp(path, other) == 0) {
			error(checker, node, "path: \"%s\" is in %s:%zu:%zu already; every source needs its own", path,
				  first->file->name, first->line, first->column);
			return;
		}
	}
}

/* --- sources --- */

#define SHORT_SECRET_BYTES 16

static void check_lengths(struct checker *checker, const struct secret *secrets, size_t n, const struct yaml_node *list,
						  const char *what, const char *advice)
{
	for (size_t i = 0; i < n; i++)
		if (secrets[i].n > 0 && secrets[i].n < SHORT_SECRET_BYTES)
			warning(checker, entry_at(list, i), "%s: the secret is only %zu bytes; %s", what, secrets[i].n, advice);
}

static void check_source(struct checker *checker, const struct config_source *source, const struct yaml_node *node)
{
	check_lengths(checker, source->secrets, source->n_secrets, yaml_get(node, "secrets"), "secrets",
				  "the provider's secrets are longer");
	check_lengths(checker, source->tag_keys, source->n_tag_keys, yaml_get(yaml_get(node, "tags"), "keys"), "keys",
				  "take 32 random ones: openssl rand -hex 32");
	const struct yaml_node *window = yaml_get(node, "duplicate_window");
	int64_t age = checker->config->journal.retention_age_ms;
	if (window && age && source->duplicate_window_ms > age)
		warning(checker, window, "duplicate_window: callbacks are not kept for so long; see journal.retention.age");
}

static void check_sources(struct checker *checker)
{
	const struct yaml_node *sources = yaml_get(checker->root, "sources");
	for (size_t i = 0; i < checker->config->n_sources; i++) {
		check_path(checker, sources, i);
		check_source(checker, &checker->config->sources[i], sources->entries[i].value);
	}
}

/* --- subscribers --- */

/* The first listener that would let strangers subscribe; NULL if there is none. */
static const struct config_listener *find_open_listener(const struct config *config)
{
	for (size_t i = 0; i < config->n_listeners; i++) {
		const struct config_listener *listener = &config->listeners[i];
		if (listener->serves_subscribers && listener->address.text && !address_is_local(&listener->address))
			return listener;
	}
	return NULL;
}

static void check_anonymous(struct checker *checker, const struct yaml_node *subscribers)
{
	const struct config_subscribers *config = &checker->config->subscribers;
	const struct config_listener *open = find_open_listener(checker->config);
	const struct yaml_node *anonymous = yaml_get(subscribers, "anonymous");
	if (!config->anonymous || !anonymous)
		return;
	if (open && !config->anonymous_anywhere)
		error(checker, anonymous,
			  "anonymous: others than this machine can connect to %s and would see every callback; write tokens, or "
			  "anonymous_anywhere: true as well",
			  open->address.text);
	if (config->n_keys || config->jwks_url)
		warning(checker, anonymous, "anonymous: tokens are not looked at while this is true");
}

static void check_tokens(struct checker *checker, const struct yaml_node *subscribers)
{
	const struct config_subscribers *config = &checker->config->subscribers;
	const struct yaml_node *url = yaml_get(yaml_get(subscribers, "tokens"), "jwks_url");
	if (config->jwks_url && strncmp(config->jwks_url, "http:", 5) == 0)
		warning(checker, url, "jwks_url: whoever is on the way can put other keys there; use https");
	/* after an error nobody knows what tokens there would be */
	if (!config->anonymous && !config->n_keys && !config->jwks_url && checker->complaints->n_errors == 0)
		warning(
			checker, subscribers ? subscribers : checker->root,
			"subscribers: nobody can subscribe without tokens; write tokens: {keys: [{file: /etc/belfry/jwks.json}]}");
}

static void check_subscribers(struct checker *checker)
{
	const struct yaml_node *subscribers = yaml_get(checker->root, "subscribers");
	if (checker->config->subscribers.path)
		check_not_own(checker, checker->config->subscribers.path, yaml_get(subscribers, "path"));
	check_anonymous(checker, subscribers);
	check_tokens(checker, subscribers);
}

void check_config(const struct config *config, const struct yaml_node *root, struct complaints *complaints)
{
	struct checker checker = { .config = config, .root = root, .complaints = complaints };
	check_listeners(&checker);
	check_admin(&checker);
	check_sources(&checker);
	check_subscribers(&checker);
}
