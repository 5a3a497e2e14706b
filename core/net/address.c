/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include "base/buffer.h"
#include "net/holder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 4096
#define SYSTEMD_BASE 3 /* SD_LISTEN_FDS_START */

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un path;
};

static int complain(char **ret_message, const struct config_address *address, const char *what, int error,
					const char *advice)
{
	struct buffer message = BUFFER_INIT;
	buffer_add_printf(&message, "cannot listen on %s: %s", address->text, what);
	if (error)
		buffer_add_printf(&message, ": %s", strerrordesc_np(error));
	if (advice)
		buffer_add_printf(&message, "; %s", advice);
	*ret_message = buffer_steal_text(&message);
	return -EINVAL;
}

static void add_holder(struct buffer *advice, const struct config_address *address, const union any_address *to)
{
	struct stat status;
	if (address->path && lstat(address->path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
		buffer_add_text(advice, "there is something else of that name: remove it, or choose another path");
		return;
	}
	if (!holder_find(&to->any, advice))
		buffer_add_text(advice, "another program (as root, ss -lxtnp says which)");
	buffer_add_text(advice, " listens there: stop it, or choose another address");
}

static const char *advice_of(const struct config_address *address, int error)
{
	switch (error) {
	case EACCES:
		return address->path
				   ? "the gateway's user may not make a file in that folder: give it the folder (chown)"
				   : "ports below 1024 need the capability CAP_NET_BIND_SERVICE: write "
					 "AmbientCapabilities=CAP_NET_BIND_SERVICE into the unit, let systemd pass the socket, or "
					 "choose a higher port";
	case EADDRNOTAVAIL:
		return "this machine has no such address: ip address shows those that it has, and 0.0.0.0 or [::] are all";
	case ENOENT:
		return "its folder must exist: make it, or let systemd do so (RuntimeDirectory=)";
	default:
		return NULL;
	}
}

static int refuse_bind(char **ret_message, const struct config_address *address, const union any_address *to, int error)
{
	CLEANUP(buffer_finish) struct buffer advice = BUFFER_INIT;
	if (error != EADDRINUSE)
		return complain(ret_message, address, "bind", error, advice_of(address, error));
	add_holder(&advice, address, to);
	buffer_add_char(&advice, '\0');
	return complain(ret_message, address, "bind", error, advice.failed ? NULL : advice.data);
}

static socklen_t make_ip(const struct config_address *address, union any_address *ret_ip)
{
	*ret_ip = (union any_address){ 0 };
	if (inet_pton(AF_INET, address->host, &ret_ip->v4.sin_addr) == 1) {
		ret_ip->v4.sin_family = AF_INET;
		ret_ip->v4.sin_port = htons(address->port);
		return sizeof ret_ip->v4;
	}
	if (inet_pton(AF_INET6, address->host, &ret_ip->v6.sin6_addr) == 1) {
		ret_ip->v6.sin6_family = AF_INET6;
		ret_ip->v6.sin6_port = htons(address->port);
		return sizeof ret_ip->v6;
	}
	return 0;
}

static int listen_on(const struct config_address *address, const union any_address *to, socklen_t size, int *ret_fd,
					 char **ret_message)
{
	const int on = 1;
	CLEANUP(close) int fd = socket(to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return complain(ret_message, address, "no socket", errno, NULL);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (to->any.sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, &to->any, size) < 0)
		return refuse_bind(ret_message, address, to, errno);
	if (address->mode && chmod(address->path, address->mode) < 0) /* nobody can connect yet */
		return complain(ret_message, address, "chmod", errno, NULL);
	if (listen(fd, BACKLOG) < 0)
		return refuse_bind(ret_message, address, to, errno);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int listen_ip(const struct config_address *address, int *ret_fd, char **ret_message)
{
	union any_address ip;
	socklen_t size = make_ip(address, &ip);
	if (size == 0)
		return complain(ret_message, address, "not a numeric address", 0, NULL);
	return listen_on(address, &ip, size, ret_fd, ret_message);
}

/* A socket that a crashed process left behind refuses connections; one in use takes them. */
static bool is_stale(const union any_address *to)
{
	struct stat status;
	CLEANUP(close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || lstat(to->path.sun_path, &status) < 0 || !S_ISSOCK(status.st_mode))
		return false;
	return connect(fd, &to->any, sizeof to->path) < 0 && errno == ECONNREFUSED;
}

static int listen_unix(const struct config_address *address, int *ret_fd, char **ret_message)
{
	union any_address to = { .path.sun_family = AF_UNIX };
	size_t n = strlen(address->path);
	if (n >= sizeof to.path.sun_path)
		return complain(ret_message, address, "the path is too long for a socket (107 bytes)", 0, NULL);
	memcpy(to.path.sun_path, address->path, n);
	if (is_stale(&to))
		(void)unlink(address->path);
	return listen_on(address, &to, sizeof to.path, ret_fd, ret_message);
}

/* The index of the socket with this name in LISTEN_FDNAMES; the first one if no name is asked for. */
static bool find_passed(const char *wanted, uint64_t n_passed, uint64_t *ret_index)
{
	struct span names = span_text(getenv("LISTEN_FDNAMES")), name;
	*ret_index = 0;
	if (!wanted || !*wanted)
		return n_passed > 0;
	for (uint64_t i = 0; i < n_passed && span_next(&names, ':', &name); i++)
		if (span_equal(name, span_text(wanted))) {
			*ret_index = i;
			return true;
		}
	return false;
}

static int take_passed(const struct config_address *address, int *ret_fd, char **ret_message)
{
	uint64_t pid, n_passed, index;
	int is_listening = 0;
	socklen_t size = sizeof is_listening;
	if (!span_to_u64(span_text(getenv("LISTEN_PID")), INT32_MAX, &pid) || (pid_t)pid != getpid() ||
		!span_to_u64(span_text(getenv("LISTEN_FDS")), 1024, &n_passed))
		return complain(ret_message, address, "systemd passed no socket", 0, "start it by its socket unit");
	if (!find_passed(address->name, n_passed, &index))
		return complain(ret_message, address, "systemd passed no socket of this name", 0,
						"check FileDescriptorName= in the socket unit");
	int passed = SYSTEMD_BASE + (int)index;
	if (getsockopt(passed, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0 || !is_listening)
		return complain(ret_message, address, "what systemd passed is no listening stream socket", 0,
						"use ListenStream= with Accept=no");
	/* a copy, for it may be closed by one reload and wanted back by the next */
	int fd = fcntl(passed, F_DUPFD_CLOEXEC, SYSTEMD_BASE);
	if (fd < 0)
		return complain(ret_message, address, "no socket", errno, NULL);
	(void)fcntl(passed, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	*ret_fd = fd;
	return 0;
}

int address_listen(const struct config_address *address, int *ret_fd, char **ret_message)
{
	switch (address->kind) {
	case CONFIG_ADDRESS_IP:
		return listen_ip(address, ret_fd, ret_message);
	case CONFIG_ADDRESS_UNIX:
		return listen_unix(address, ret_fd, ret_message);
	case CONFIG_ADDRESS_SYSTEMD:
		return take_passed(address, ret_fd, ret_message);
	}
	return -EINVAL;
}

bool address_is_from_here(int fd)
{
	union any_address address = { 0 };
	socklen_t size = sizeof address;
	if (getsockname(fd, &address.any, &size) < 0)
		return false;
	if (address.any.sa_family == AF_INET)
		return ntohl(address.v4.sin_addr.s_addr) >> 24 == 127;
	return address.any.sa_family == AF_UNIX ||
		   (address.any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr));
}

void address_describe(int fd, char ret_text[static ADDRESS_TEXT_SIZE])
{
	union any_address address = { 0 };
	socklen_t size = sizeof address;
	char ip[INET6_ADDRSTRLEN] = "?";
	(void)getsockname(fd, &address.any, &size);
	if (address.any.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &address.v4.sin_addr, ip, sizeof ip);
		(void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "%s:%u", ip, ntohs(address.v4.sin_port));
	} else if (address.any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &address.v6.sin6_addr, ip, sizeof ip);
		(void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "[%s]:%u", ip, ntohs(address.v6.sin6_port));
	} else {
		(void)snprintf(ret_text, ADDRESS_TEXT_SIZE, "unix:%.107s", address.path.sun_path);
	}
}
