/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...)
{
	int error = errno;
	va_list arguments;
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	exit(1);
}

void *must_alloc(size_t n, size_t size)
{
	void *memory = calloc(n, size);
	if (!memory)
		die("out of memory");
	return memory;
}

void read_parameters(char **arguments, const struct parameter *parameters)
{
	for (; *arguments; arguments++) {
		const struct parameter *p = parameters;
		const char *value = strchr(*arguments, '=');
		size_t n = value ? (size_t)(value++ - *arguments) : 0;
		while (p->name && (strlen(p->name) != n || memcmp(p->name, *arguments, n) != 0))
			p++;
		errno = 0;
		if (!p->name)
			die("unknown parameter: %s", *arguments);
		if (p->text)
			*p->text = value;
		else
			*p->number = strtod(value, NULL);
	}
}

/* --- samples ------------------------------------------------------------------------------------------------------ */

void samples_add(struct samples *samples, uint64_t ns)
{
	if (samples->n == samples->max) {
		samples->max = samples->max ? samples->max * 2 : 1024;
		samples->ns = realloc(samples->ns, samples->max * sizeof *samples->ns);
		if (!samples->ns)
			die("out of memory");
	}
	samples->ns[samples->n++] = ns;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static double quantile_us(const struct samples *samples, double share)
{
	size_t i = (size_t)(share * (double)samples->n);
	if (samples->n == 0)
		return 0;
	return (double)samples->ns[i < samples->n ? i : samples->n - 1] / 1e3;
}

void samples_print(const char *name, struct samples *samples)
{
	if (samples->n)
		qsort(samples->ns, samples->n, sizeof *samples->ns, compare_ns);
	printf(",\"%s_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f,\"n\":%zu}", name, quantile_us(samples, 0.5),
		   quantile_us(samples, 0.99), quantile_us(samples, 1), samples->n);
}

/* --- the callback ------------------------------------------------------------------------------------------------- */

static const char body_format[] =
	"{\"notification\":{\"type\":\"event_subscription\",\"interactions\":[{\"type\":\"conferencing_assigned\"}]},"
	"\"event\":{\"event_id\":\"%s\",\"summary\":\"Board meeting\",\"description\":\"" MARK
	" Discuss plans for the next quarter. Agenda, minutes of the last meeting and the budget draft are attached to the "
	"invitation; please read them before joining. Dial-in details for all remote participants will follow by e-mail.\","
	"\"start\":\"2026-04-27T15:30:00Z\",\"end\":\"2026-04-27T17:00:00Z\",\"conferencing\":{\"provider_name\":\"zoom\","
	"\"join_url\":\"https://zoom.us/00001111-222\",\"default\":true},\"location\":{\"description\":\"Board room, "
	"second "
	"floor\"}}}";

static const char head_format[] =
	"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
	"User-Agent: bench\r\nCronofy-HMAC-SHA256: %44s\r\nContent-Length: %zu\r\n\r\n";

static EVP_MAC_CTX *mac;

void hmac_init(const char *secret)
{
	char digest[] = "SHA256";
	const OSSL_PARAM parameters[] = { OSSL_PARAM_construct_utf8_string("digest", digest, 0),
									  OSSL_PARAM_construct_end() };
	EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
	mac = EVP_MAC_CTX_new(algorithm);
	if (!mac || !EVP_MAC_init(mac, (const uint8_t *)secret, strlen(secret), parameters))
		die("no HMAC");
}

void hmac_base64(const void *data, size_t n, char ret_text[static 45])
{
	uint8_t digest[32];
	size_t n_digest;
	if (!EVP_MAC_init(mac, NULL, 0, NULL) || !EVP_MAC_update(mac, data, n) ||
		!EVP_MAC_final(mac, digest, &n_digest, sizeof digest))
		die("no HMAC");
	(void)EVP_EncodeBlock((uint8_t *)ret_text, digest, sizeof digest);
}

void request_init(struct request *request, const char *path, const char *secret, const char *event_id)
{
	char body[2048], head[1024];
	size_t n_body = (size_t)snprintf(body, sizeof body, body_format, event_id);
	size_t n_head = (size_t)snprintf(head, sizeof head, head_format, path, "", n_body);
	if (!mac)
		hmac_init(secret);
	*request = (struct request){ .bytes = must_alloc(1, n_head + n_body + 1), .n = n_head + n_body, .n_head = n_head };
	memcpy(request->bytes, head, n_head);
	memcpy(request->bytes + n_head, body, n_body);
	request->mark = n_head + (size_t)(strstr(body, MARK) - body);
	request->signature = (size_t)(strstr(head, "SHA256: ") - head) + 8;
}

void request_fill(struct request *request, uint32_t number, uint64_t ns)
{
	char mark[MARK_BYTES + 1], signature[45];
	(void)snprintf(mark, sizeof mark, "~s%010ut%020llu~", number, (unsigned long long)ns);
	memcpy(request->bytes + request->mark, mark, MARK_BYTES);
	hmac_base64(request->bytes + request->n_head, request->n - request->n_head, signature);
	memcpy(request->bytes + request->signature, signature, 44);
}

static bool has_mark(const char *payload, size_t n, size_t at)
{
	return at + MARK_BYTES <= n && payload[at] == '~' && payload[at + 1] == 's' && payload[at + MARK_BYTES - 1] == '~';
}

static uint64_t read_digits(const char *text, size_t n)
{
	uint64_t value = 0;
	for (size_t i = 0; i < n; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	return value;
}

bool mark_read(const char *payload, size_t n, size_t *hint, uint32_t *ret_number, uint64_t *ret_ns)
{
	if (!has_mark(payload, n, *hint)) {
		const char *at = memmem(payload, n, "~s", 2);
		if (!at || !has_mark(payload, n, (size_t)(at - payload)))
			return false;
		*hint = (size_t)(at - payload);
	}
	*ret_number = (uint32_t)read_digits(payload + *hint + 2, 10);
	*ret_ns = read_digits(payload + *hint + 13, 20);
	return true;
}

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
								 .sin_port = htons(port),
								 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int tcp_socket(void)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
		die("socket");
	return fd;
}

int listen_on_loopback(uint16_t *ret_port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t n = sizeof address;
	int fd = tcp_socket();
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &n) < 0)
		die("listen");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int connect_to_loopback(uint16_t port)
{
	struct sockaddr_in address = loopback(port);
	int fd = tcp_socket();
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
		die("connect");
	return fd;
}

size_t frame_length(const uint8_t *bytes, size_t n, size_t *ret_header)
{
	if (n < 2)
		return 0;
	size_t header = 2, length = bytes[1] & 127;
	bool is_masked = bytes[1] & 128;
	size_t n_extended = length == 126 ? 2 : length == 127 ? 8 : 0;
	if (n < header + n_extended)
		return 0;
	for (size_t i = 0; i < n_extended; i++)
		length = (i ? length << 8 : 0) | bytes[2 + i];
	header += n_extended + (is_masked ? 4 : 0);
	*ret_header = header;
	return n < header + length ? 0 : header + length;
}

/* --- what a process costs ----------------------------------------------------------------------------------------- */

double cpu_seconds(int pid)
{
	clockid_t clock;
	struct timespec t;
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
		die("what process %d costs is not known", pid);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t memory_bytes(int pid)
{
	char line[256];
	uint64_t kib = 0;
	(void)snprintf(line, sizeof line, "/proc/%d/smaps_rollup", pid);
	FILE *file = fopen(line, "re");
	if (!file)
		die("%s", line);
	while (fgets(line, sizeof line, file))
		if (strncmp(line, "Pss:", 4) == 0)
			kib = strtoull(line + 4, NULL, 10);
	(void)fclose(file);
	return kib * 1024;
}
