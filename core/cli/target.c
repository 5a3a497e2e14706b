/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/target.h"

#include "cli/output.h"

#include <errno.h>

void target_finish(struct target *target)
{
	free(target->url);
	free(target->unix_path);
	free(target->connect_to);
	*target = (struct target){ 0 };
}

/* Whether a client can know where it is: systemd's sockets and port 0 are known to the daemon alone. */
static bool is_known(const struct config_address *address)
{
	return address->kind == CONFIG_ADDRESS_UNIX || (address->kind == CONFIG_ADDRESS_IP && address->port != 0);
}

static const struct config_listener *find_listener(const struct config *config, enum target_role role)
{
	for (size_t i = 0; i < config->n_listeners; i++) {
		const struct config_listener *l = &config->listeners[i];
		if ((role == TARGET_SOURCES ? l->serves_sources : l->serves_subscribers) && is_known(&l->address))
			return l;
	}
	return NULL;
}

/* One that listens everywhere is reached on loopback. */
static const char *reachable_host(const char *host)
{
	if (strcmp(host, "0.0.0.0") == 0)
		return "127.0.0.1";
	return strcmp(host, "::") == 0 ? "::1" : host;
}

/* "gateway.example.com" of "https://gateway.example.com:8443/x"; empty if it is none. */
static struct span host_of(const char *url)
{
	const char *start = url ? strstr(url, "://") : NULL;
	if (!start)
		return SPAN("");
	start += 3;
	return span_of(start, *start == '[' ? strcspn(start, "]") + (strchr(start, ']') != NULL) : strcspn(start, ":/?#"));
}

static int describe_ip(const struct config_listener *listener, const char *public_url, const char *path,
					   struct target *target)
{
	const char *scheme = listener->has_tls ? "https" : "http";
	const char *host = reachable_host(listener->address.host);
	bool is_ipv6 = strchr(host, ':') != NULL;
	struct span name = listener->has_tls ? host_of(public_url) : SPAN("");
	CLEANUP(buffer_finish) struct buffer authority = BUFFER_INIT;
	buffer_add_printf(&authority, "%s%s%s:%u", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", listener->address.port);
	if (authority.failed)
		return -ENOMEM;
	if (name.n == 0)
		return asprintf(&target->url, "%s://%.*s%s", scheme, SPAN_PRINTF(buffer_span(&authority)), path) < 0 ? -ENOMEM
																											 : CLI_OK;
	if (asprintf(&target->url, "%s://%.*s:%u%s", scheme, SPAN_PRINTF(name), listener->address.port, path) < 0 ||
		asprintf(&target->connect_to, "::%.*s", SPAN_PRINTF(buffer_span(&authority))) < 0)
		return -ENOMEM;
	return CLI_OK;
}

static int describe_unix(const struct config_listener *listener, const char *public_url, const char *path,
						 struct target *target)
{
	struct span name = host_of(public_url);
	if (name.n == 0)
		name = SPAN("localhost");
	target->unix_path = strdup(listener->address.path);
	if (!target->unix_path ||
		asprintf(&target->url, "%s://%.*s%s", listener->has_tls ? "https" : "http", SPAN_PRINTF(name), path) < 0)
		return -ENOMEM;
	return CLI_OK;
}

/* At the socket nobody is asked for a token. */
static bool find_admin(const struct config *config, struct config_listener *ret_listener)
{
	const struct config_admin *admin = &config->admin;
	*ret_listener = admin->has_socket ? (struct config_listener){ .address = admin->socket } : admin->listener;
	return admin->has_socket || (admin->has_listener && is_known(&admin->listener.address));
}

static int describe_listener(const struct config_listener *listener, const char *public_url, const char *path,
							 struct target *target)
{
	target->is_local = true;
	if (listener->address.kind == CONFIG_ADDRESS_UNIX)
		return describe_unix(listener, public_url, path, target);
	return describe_ip(listener, public_url, path, target);
}

static int describe_url(const char *url, struct target *target)
{
	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
		output_complain("--url is \"%s\"; it takes a whole one, as http://127.0.0.1:8080/callbacks/cronofy", url);
		return CLI_E_USAGE;
	}
	target->url = strdup(url);
	return target->url ? CLI_OK : -ENOMEM;
}

int target_find(const struct invocation *invocation, const struct config *config, enum target_role role,
				const char *public_url, const char *path, struct target *ret_target)
{
	CLEANUP(target_finish)
	struct target target = { 0 };
	const char *url = invocation_value(invocation, "url");
	static const char *const roles[] = { [TARGET_SOURCES] = "listener for sources",
										 [TARGET_SUBSCRIBERS] = "listener for subscribers",
										 [TARGET_ADMIN] = "admin listener" };
	struct config_listener admin;
	const struct config_listener *listener =
		config && !url && role != TARGET_ADMIN ? find_listener(config, role) : NULL;
	if (config && !url && role == TARGET_ADMIN && find_admin(config, &admin))
		listener = &admin;
	int r;
	target.ca_file = invocation_value(invocation, "cacert");
	target.is_insecure = invocation_has(invocation, "insecure");
	if (url) {
		r = describe_url(url, &target);
	} else if (listener) {
		r = describe_listener(listener, public_url, path, &target);
	} else {
		output_complain("the configuration has no %s at an address known beforehand; say where with --url",
						roles[role]);
		r = CLI_E_USAGE;
	}
	if (r != CLI_OK)
		return r;
	*ret_target = target;
	target = (struct target){ 0 };
	return CLI_OK;
}
