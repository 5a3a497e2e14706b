/* SPDX-License-Identifier: Apache-2.0 */
#include "net/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#define LISTENING SPAN("0A")     /* a state, as the kernel's table of TCP has it */
#define ACCEPTS SPAN("00010000") /* flags, as its table of unix sockets has them */
#define NAME_BYTES 32            /* of a process; the kernel keeps 15 */
#define LINK_BYTES 64

/* What is looked for: as /proc/net/tcp and tcp6 have it, 32 bits at a time as the machine reads them. */
struct sought {
	char host[33], port[5];
	const char *path; /* of a unix socket; else NULL */
};

static inline void fclose_cleanup(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static inline void closedir_cleanup(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

static struct sought seek(const struct sockaddr *address)
{
	struct sought sought = { .path = NULL };
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
	uint32_t words[4] = { v4->sin_addr.s_addr };
	bool is_v6 = address->sa_family == AF_INET6;
	if (address->sa_family == AF_UNIX) {
		sought.path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
		return sought;
	}
	if (is_v6)
		memcpy(words, &v6->sin6_addr, sizeof words);
	for (size_t i = 0; i < (is_v6 ? 4 : 1); i++)
		(void)snprintf(sought.host + 8 * i, sizeof sought.host - 8 * i, "%08" PRIX32, words[i]);
	(void)snprintf(sought.port, sizeof sought.port, "%04X", ntohs(v4->sin_port)); /* at the same place in both */
	return sought;
}

/* --- the kernel's tables of sockets ------------------------------------------------------------------------------- */

static struct span field_at(struct span row, size_t index)
{
	struct span field = { 0 };
	for (size_t i = 0; span_next(&row, ' ', &field);)
		if (field.n && i++ == index)
			return field;
	return span_of("", 0);
}

static bool is_any(struct span host)
{
	while (host.n && host.data[host.n - 1] == '0')
		host.n--;
	return host.n == 0;
}

/* "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 INODE ..." */
static bool is_tcp_row(const struct sought *sought, struct span row)
{
	struct span port = field_at(row, 1), host, own = span_text(sought->host);
	if (!span_next(&port, ':', &host) || !span_equal(port, span_text(sought->port)))
		return false;
	return span_equal(field_at(row, 3), LISTENING) && (span_equal(host, own) || is_any(host) || is_any(own));
}

/* "0000000000000000: 00000002 00000000 00010000 0001 01 INODE /run/x.sock" */
static bool is_unix_row(const struct sought *sought, struct span row)
{
	return span_equal(field_at(row, 7), span_text(sought->path)) && span_equal(field_at(row, 3), ACCEPTS);
}

/* "socket:[INODE]", as a process's descriptors lead to it. */
static bool find_socket(const char *table, const struct sought *sought, char ret_link[static LINK_BYTES])
{
	CLEANUP(fclose) FILE *file = fopen(table, "re");
	CLEANUP(free) char *line = NULL;
	size_t room = 0;
	for (ssize_t n; file && (n = getline(&line, &room, file)) > 0;) {
		struct span row = span_of(line, (size_t)n - (line[n - 1] == '\n'));
		if (!(sought->path ? is_unix_row : is_tcp_row)(sought, row))
			continue;
		struct span inode = field_at(row, sought->path ? 6 : 9);
		(void)snprintf(ret_link, LINK_BYTES, "socket:[%.*s]", SPAN_PRINTF(inode));
		return true;
	}
	return false;
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

static bool has_descriptor(int process, const char *wanted)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closedir) DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	if (!folder && fd >= 0)
		(void)close(fd);
	while (folder && (entry = readdir(folder))) {
		char found[LINK_BYTES];
		ssize_t n = readlinkat(dirfd(folder), entry->d_name, found, sizeof found);
		if (n > 0 && span_equal(span_of(found, (size_t)n), span_text(wanted)))
			return true;
	}
	return false;
}

static struct span read_name(int process, char bytes[static NAME_BYTES])
{
	CLEANUP(close) int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, bytes, NAME_BYTES) : 0;
	return n > 1 ? span_of(bytes, (size_t)n - 1) : SPAN("a program"); /* without its line end */
}

static bool find_process(const char *wanted, struct buffer *text)
{
	CLEANUP(closedir) DIR *processes = opendir("/proc");
	struct dirent *entry;
	while (processes && (entry = readdir(processes))) {
		char name[NAME_BYTES];
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		CLEANUP(close) int process = openat(dirfd(processes), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process < 0 || !has_descriptor(process, wanted))
			continue;
		buffer_add(text, read_name(process, name));
		buffer_add_printf(text, " (process %s)", entry->d_name);
		return true;
	}
	return false;
}

bool holder_find(const struct sockaddr *address, struct buffer *text)
{
	struct sought sought = seek(address);
	char link[LINK_BYTES];
	bool is_found = sought.path
						? find_socket("/proc/net/unix", &sought, link)
						: find_socket("/proc/net/tcp", &sought, link) || find_socket("/proc/net/tcp6", &sought, link);
	return is_found && find_process(link, text);
}
