/* SPDX-License-Identifier: Apache-2.0 */
#include "config/address.h"

#include "config/value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/un.h>

/* sd_listen_fds(3) allows more in FileDescriptorName=; nobody needs it. */
#define MAX_NAME_BYTES 64

static const char *read_port(struct span text, uint16_t *ret_port)
{
	uint64_t port = 0;
	if (value_read_number(text, value_plain, &port) != VALUE_OK || port > 65535)
		return "has no port from 0 to 65535";
	*ret_port = (uint16_t)port;
	return NULL;
}

static bool is_numeric(const char *host, int family)
{
	struct in6_addr address;
	return inet_pton(family, host, &address) == 1;
}

/* "127.0.0.1:8080" or "[::1]:8080": what stands before the last colon, and its family. */
static const char *split_host(struct span text, struct span *ret_host, struct span *ret_port, int *ret_family)
{
	const char *colon = text.n ? memrchr(text.data, ':', text.n) : NULL;
	if (!colon)
		return "has no port";
	struct span host = span_of(text.data, (size_t)(colon - text.data));
	*ret_port = span_skip(text, host.n + 1);
	*ret_family = AF_INET;
	if (host.n == 0)
		return "has no address before the port";
	if (host.data[0] == '[' && host.data[host.n - 1] == ']') {
		*ret_family = AF_INET6;
		host = span_of(host.data + 1, host.n - 2);
	} else if (memchr(host.data, ':', host.n)) {
		return "has an IPv6 address that needs brackets, or no port";
	}
	*ret_host = host;
	return NULL;
}

static int read_ip(struct span text, struct config_address *address, const char **ret_problem)
{
	struct span host = { 0 }, port = { 0 };
	int family = AF_INET;
	*ret_problem = split_host(text, &host, &port, &family);
	if (!*ret_problem)
		*ret_problem = read_port(port, &address->port);
	if (*ret_problem)
		return -EINVAL;
	address->kind = CONFIG_ADDRESS_IP;
	address->host = span_dup(host);
	if (!address->host)
		return -ENOMEM;
	if (is_numeric(address->host, family))
		return 0;
	*ret_problem = "has a host name, or something else that is not a numeric address";
	return -EINVAL;
}

static int read_unix(struct span path, struct config_address *address, const char **ret_problem)
{
	*ret_problem = value_check_path(path);
	if (!*ret_problem && path.n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		*ret_problem = "has a path that is too long for a socket";
	if (*ret_problem)
		return -EINVAL;
	address->kind = CONFIG_ADDRESS_UNIX;
	address->path = span_dup(path);
	return address->path ? 0 : -ENOMEM;
}

static int read_systemd(struct span name, struct config_address *address, const char **ret_problem)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.data[i] == ':' || name.data[i] <= ' ' || name.data[i] > '~' || i >= MAX_NAME_BYTES) {
			*ret_problem = "has no valid FileDescriptorName= behind systemd:";
			return -EINVAL;
		}
	address->kind = CONFIG_ADDRESS_SYSTEMD;
	address->name = span_dup(name);
	return address->name ? 0 : -ENOMEM;
}

static const struct {
	struct span prefix;
	int (*read)(struct span rest, struct config_address *address, const char **ret_problem);
} forms[] = {
	{ { "unix:", 5 }, read_unix },
	{ { "systemd:", 8 }, read_systemd },
	{ { "", 0 }, read_ip },
};

int address_read(struct span text, struct config_address *ret_address, const char **ret_problem)
{
	struct config_address address = { .text = span_dup(text) };
	if (!address.text)
		return -ENOMEM;
	size_t i = 0;
	while (!span_starts_with(text, forms[i].prefix))
		i++;
	int error = forms[i].read(span_skip(text, forms[i].prefix.n), &address, ret_problem);
	if (error)
		address_finish(&address);
	else
		*ret_address = address;
	return error;
}

void address_finish(struct config_address *address)
{
	free(address->text);
	free(address->host);
	free(address->path);
	free(address->name);
	*address = (struct config_address){ 0 };
}

static bool is_loopback(const char *host)
{
	struct in_addr four;
	struct in6_addr six;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &six) != 1)
		return false;
	return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

bool address_is_local(const struct config_address *address)
{
	return address->kind == CONFIG_ADDRESS_UNIX || (address->kind == CONFIG_ADDRESS_IP && is_loopback(address->host));
}
