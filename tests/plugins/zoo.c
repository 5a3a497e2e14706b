/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that misbehaves, as its options say: `do` what, `in` create, handle or destroy. What is forbidden gives a
 * reason that begins with the action: "exec: Operation not permitted".
 */
#define _GNU_SOURCE
#include <belfry/plugin.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SOCKET_FD 3
#define MIB (1024 * 1024)

struct conf {
	const char *action, *text;
	int64_t place, number;
};

enum { IN_CREATE, IN_HANDLE, IN_DESTROY };
static const char *const places[] = { "create", "handle", "destroy", NULL };

static const struct belfry_option options[] = {
	{ .name = "do",
	  .type = BELFRY_STRING,
	  .offset = offsetof(struct conf, action),
	  .is_required = true,
	  .help = "what" },
	{ .name = "in",
	  .type = BELFRY_ENUM,
	  .offset = offsetof(struct conf, place),
	  .names = places,
	  .fallback = "handle",
	  .help = "where" },
	BELFRY_OPTION(struct conf, text, BELFRY_STRING, .help = "with what"),
	BELFRY_OPTION(struct conf, number, BELFRY_INTEGER, .help = "how much"),
	BELFRY_END,
};

/* What an action gets, and what it says. */
struct doing {
	const struct belfry_host *host;
	const struct belfry_delivery *delivery; /* NULL outside of handle() */
	const char *text;
	int64_t number;
};

/* 0: done. -1: errno says why not. */
static int do_crash(struct doing *doing)
{
	(void)doing;
	*(volatile int *)(uintptr_t)(16 + (doing == NULL)) = 1;
	return 0;
}

static int do_abort(struct doing *doing)
{
	(void)doing;
	abort();
}

static int do_divide(struct doing *doing)
{
	(void)doing;
	return raise(SIGFPE);
}

static int do_overflow(struct doing *doing)
{
	volatile char much[4096] = { 0 };
	struct doing deeper = *doing;
	if (doing->number < 0)
		return 0;
	deeper.number += much[doing->number & 4095] + 1;
	return do_overflow(&deeper) + much[0];
}

static int do_double_free(struct doing *doing)
{
	char *volatile memory = malloc(100);
	(void)doing;
	free(memory);
	free(memory);
	return 0;
}

static int do_exit(struct doing *doing)
{
	exit((int)doing->number);
}

static int do_hang(struct doing *doing)
{
	(void)doing;
	for (;;)
		(void)pause();
	return 0;
}

static int do_spin(struct doing *doing)
{
	for (volatile int64_t i = doing->number; i >= 0;)
		;
	return 0;
}

static int do_print(struct doing *doing)
{
	for (int64_t i = 0; doing->number == 0 || i < doing->number; i++)
		(void)printf("%s\n", doing->text ? doing->text : "a line that does not end the flood");
	return fflush(stdout);
}

static int do_log(struct doing *doing)
{
	for (int64_t i = 0; doing->number == 0 || i < doing->number; i++)
		doing->host->log(doing->host, BELFRY_INFO, "%s", doing->text ? doing->text : "once more");
	return 0;
}

/* ---- the socket ---- */

static int do_close(struct doing *doing)
{
	return close(SOCKET_FD) == 0 ? do_hang(doing) : -1;
}

static int do_close_all(struct doing *doing)
{
	return close_range(0, ~0u, 0) == 0 ? do_hang(doing) : -1;
}

static int say(const void *bytes, size_t n)
{
	return write(SOCKET_FD, bytes, n) == (ssize_t)n ? 0 : -1;
}

static int do_garbage(struct doing *doing)
{
	static const char garbage[] = "GET / HTTP/1.1\r\nHost: belfryd\r\n\r\n";
	(void)doing;
	return say(garbage, sizeof garbage - 1);
}

static int say_packet(const char *head)
{
	size_t n = strlen(head);
	const unsigned char prefix[8] = { 0, 0, (unsigned char)(n >> 8), (unsigned char)n };
	return say(prefix, sizeof prefix) == 0 ? say(head, n) : -1;
}

static int do_forge(struct doing *doing)
{
	(void)doing;
	return say_packet("{\"type\":\"outcome\",\"outcome\":\"done\",\"reason\":\"forged\"}");
}

static int do_half(struct doing *doing)
{
	(void)doing;
	return say("\0\0\1\0\0\0\0\0{\"type\":", 16);
}

/* ---- what is limited ---- */

static void *nothing(void *argument)
{
	return argument;
}

static void *wait_for_ever(void *argument)
{
	(void)pause();
	return argument;
}

static int do_thread(struct doing *doing)
{
	pthread_t thread;
	void *result = NULL;
	int r = pthread_create(&thread, NULL, nothing, doing);
	errno = r ? r : pthread_join(thread, &result);
	return errno == 0 && result == doing ? 0 : -1;
}

static int do_threads(struct doing *doing)
{
	pthread_t thread;
	pthread_attr_t small;
	int64_t n = 0;
	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, 65536);
	while (n < 100000 && pthread_create(&thread, &small, wait_for_ever, NULL) == 0)
		n++;
	doing->host->reason(doing->host, "threads: %s", n < 100000 ? "bounded" : "no bound");
	return 0;
}

static int do_files(struct doing *doing)
{
	int64_t n = 0;
	while (n < 1000000 && open("/dev/null", O_RDONLY) >= 0)
		n++;
	doing->host->reason(doing->host, "files: %lld", (long long)n);
	return 0;
}

static int do_leak(struct doing *doing)
{
	int64_t n = 0;
	char *memory;
	while (n < 1000000 && (memory = malloc(MIB))) {
		memset(memory, 1, MIB);
		n++;
	}
	doing->host->reason(doing->host, "leak: %s", n < doing->number ? "bounded" : "no bound");
	return 0;
}

static int do_leak_and_crash(struct doing *doing)
{
	for (;;) {
		char *memory = malloc(MIB);
		memset(memory, (int)doing->number, MIB); /* no check: as careless plugins are */
	}
	return 0;
}

static int do_much(struct doing *doing)
{
	return malloc((size_t)10 << 30) == doing ? 0 : -1;
}

static int do_fork(struct doing *doing)
{
	pid_t pid = fork();
	(void)doing;
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : 0;
}

/* Each child does the same, until there can be no more. */
static int do_bomb(struct doing *doing)
{
	int64_t n = 0;
	pid_t pid;
	while (n < doing->number && (pid = fork()) >= 0) {
		if (pid == 0)
			for (;;)
				(void)pause();
		n++;
	}
	doing->host->reason(doing->host, "bomb: %s", n < doing->number ? "bounded" : "no bound");
	return 0;
}

static int do_exec(struct doing *doing)
{
	(void)doing;
	return execl("/bin/true", "true", (char *)NULL);
}

/* A child that runs a program; its exit status is the reason. */
static int do_run(struct doing *doing)
{
	int status = 0;
	pid_t pid = fork();
	if (pid < 0)
		return -1;
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", doing->text, (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return -1;
	doing->host->reason(doing->host, "run: %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

/* ---- what is forbidden ---- */

static int do_open(struct doing *doing)
{
	return open(doing->text, doing->number ? O_RDWR | O_CREAT : O_RDONLY, 0600) < 0 ? -1 : 0;
}

static int do_kill(struct doing *doing)
{
	return kill((pid_t)doing->number, 0);
}

static int do_signal_parent(struct doing *doing)
{
	(void)doing;
	return kill(getppid(), SIGCONT);
}

/* SIGKILL from the kernel, when a descriptor has something to say. */
static int do_signal_by_descriptor(struct doing *doing)
{
	(void)doing;
	return fcntl(SOCKET_FD, F_SETSIG, SIGKILL) < 0 ? -1 : fcntl(SOCKET_FD, F_SETOWN, getppid());
}

static int do_ptrace(struct doing *doing)
{
	(void)doing;
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int do_bpf(struct doing *doing)
{
	(void)doing;
	return (int)syscall(SYS_bpf, 0, NULL, 0);
}

static int do_mount(struct doing *doing)
{
	(void)doing;
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static int do_unshare(struct doing *doing)
{
	(void)doing;
	return unshare(CLONE_NEWUSER);
}

static int do_namespace(struct doing *doing)
{
	(void)doing;
	return (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
}

static int do_setsid(struct doing *doing)
{
	(void)doing;
	return (int)setsid();
}

static int do_outlive(struct doing *doing)
{
	(void)doing;
	return prctl(PR_SET_PDEATHSIG, 0);
}

static int do_local_socket(struct doing *doing)
{
	(void)doing;
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int do_raw_socket(struct doing *doing)
{
	(void)doing;
	return socket(AF_PACKET, SOCK_RAW, 0);
}

/* What it was born with: descriptors, variables, capabilities. */
static int do_inventory(struct doing *doing)
{
	char fds[200] = "";
	size_t n_variables = 0;
	for (int fd = 0; fd < 1000; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			(void)snprintf(fds + strlen(fds), sizeof fds - strlen(fds), " %d", fd);
	while (environ && environ[n_variables])
		n_variables++;
	doing->host->reason(doing->host, "inventory: descriptors%s; %zu variables; no new privileges: %d; dumpable: %d",
						fds, n_variables, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_DUMPABLE));
	return 0;
}

/* ---- the host's functions ---- */

static int do_field(struct doing *doing)
{
	size_t n = 0;
	const char *value = doing->host->field(doing->host, doing->text, &n);
	if (doing->delivery)
		doing->host->reason(doing->host, "field: %s (%zu)", value ? value : "nothing", n);
	return 0;
}

static int do_reason(struct doing *doing)
{
	char *much = calloc(1, (size_t)doing->number + 1);
	for (int64_t i = 0; much && i + 1 < doing->number; i += 2)
		memcpy(much + i, "\xc3\xa9", 2);
	doing->host->reason(doing->host, "%s%s", doing->text ? doing->text : "", much);
	free(much);
	return 0;
}

static int do_state(struct doing *doing)
{
	static char value[20000];
	const char *data;
	size_t n;
	int empty = doing->host->set_state(doing->host, "", "v", 1);
	int large = doing->host->set_state(doing->host, "k", value, sizeof value);
	int largest = doing->host->set_state(doing->host, "k", value, 16384);
	int got = doing->host->get_state(doing->host, "k", &data, &n);
	int deleted = doing->host->set_state(doing->host, "k", NULL, 0);
	int again = doing->host->set_state(doing->host, "k", NULL, 0);
	if (doing->delivery)
		doing->host->reason(doing->host, "state: %d %d %d %d (%zu) %d %d", empty == -EINVAL, large == -EMSGSIZE,
							largest, got, n, deleted, again);
	return 0;
}

/* text: the URL, or the method, a blank, and the URL; number: milliseconds */
static int do_http(struct doing *doing)
{
	const char *url = strchr(doing->text, ' ');
	char method[20] = "";
	const struct belfry_header headers[] = { { "X-Zoo", "yes" }, { "Content-Type", "text/plain" } };
	struct belfry_request request = { .size = sizeof request, .headers = headers, .n_headers = 2 };
	struct belfry_response response = { .size = sizeof response };
	if (url)
		(void)snprintf(method, sizeof method, "%.*s", (int)(url - doing->text), doing->text);
	request.url = url ? url + 1 : doing->text;
	request.method = url ? method : NULL;
	if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
		request.body = "hello";
		request.n_body = 5;
	}
	request.timeout_ms = doing->number;
	int r = doing->host->http(doing->host, &request, &response);
	if (r < 0) {
		doing->host->log(doing->host, BELFRY_ERROR, "http: %s", strerrorname_np(-r));
		errno = 0; /* the reason has been given */
		return -1;
	}
	doing->host->reason(doing->host, "http: %lld, %zu bytes, retry after %lld, %zu headers: %.40s",
						(long long)response.status, response.n_body, (long long)response.retry_after_ms,
						response.n_headers, response.body);
	return 0;
}

static int do_header(struct doing *doing)
{
	char name[100] = "";
	const char *value = strchr(doing->text, '=');
	(void)snprintf(name, sizeof name, "%.*s", (int)(value - doing->text), doing->text);
	char line[200];
	(void)snprintf(line, sizeof line, "%s%s", value + 1, doing->number ? "\r\nX: y" : "");
	const struct belfry_header header = { name, line };
	struct belfry_request request = {
		.size = sizeof request, .url = "http://127.0.0.1:9/", .headers = &header, .n_headers = 1
	};
	struct belfry_response response = { .size = sizeof response };
	int r = doing->host->http(doing->host, &request, &response);
	doing->host->log(doing->host, BELFRY_ERROR, "http: %s", strerrorname_np(-r));
	errno = 0;
	return -1;
}

static const struct {
	const char *name;
	int (*run)(struct doing *doing);
} actions[] = {
	{ "abort", do_abort },
	{ "bomb", do_bomb },
	{ "bpf", do_bpf },
	{ "close", do_close },
	{ "close_all", do_close_all },
	{ "crash", do_crash },
	{ "divide", do_divide },
	{ "double_free", do_double_free },
	{ "exec", do_exec },
	{ "exit", do_exit },
	{ "field", do_field },
	{ "files", do_files },
	{ "forge", do_forge },
	{ "fork", do_fork },
	{ "garbage", do_garbage },
	{ "half", do_half },
	{ "hang", do_hang },
	{ "header", do_header },
	{ "http", do_http },
	{ "inventory", do_inventory },
	{ "kill", do_kill },
	{ "leak", do_leak },
	{ "leak_and_crash", do_leak_and_crash },
	{ "local_socket", do_local_socket },
	{ "log", do_log },
	{ "mount", do_mount },
	{ "much", do_much },
	{ "namespace", do_namespace },
	{ "open", do_open },
	{ "outlive", do_outlive },
	{ "overflow", do_overflow },
	{ "print", do_print },
	{ "ptrace", do_ptrace },
	{ "raw_socket", do_raw_socket },
	{ "reason", do_reason },
	{ "run", do_run },
	{ "setsid", do_setsid },
	{ "signal_by_descriptor", do_signal_by_descriptor },
	{ "signal_parent", do_signal_parent },
	{ "spin", do_spin },
	{ "state", do_state },
	{ "thread", do_thread },
	{ "threads", do_threads },
	{ "unshare", do_unshare },
};

/* enum belfry_outcome */
static int act(struct doing *doing, const char *name)
{
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		if (actions[i].run(doing) >= 0)
			return BELFRY_DONE;
		if (doing->delivery && errno)
			doing->host->reason(doing->host, "%s: %s", name, strerror(errno));
		return BELFRY_REJECT;
	}
	return (int)doing->number; /* "outcome" */
}

struct self {
	const struct conf *conf;
	const struct belfry_host *host;
};

static int create(const struct belfry_host *host, const void *conf_, void **ret_self)
{
	static struct self self;
	const struct conf *conf = conf_;
	struct doing doing = { host, NULL, conf->text, conf->number };
	self = (struct self){ conf, host };
	*ret_self = &self;
	if (conf->place == IN_CREATE && strcmp(conf->action, "fail") == 0)
		return -ENOTCONN;
	return conf->place == IN_CREATE && act(&doing, conf->action) == BELFRY_REJECT ? -errno : 0;
}

static int handle(void *self_, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	const struct self *self = self_;
	struct doing doing = { host, delivery, self->conf->text, self->conf->number };
	return self->conf->place == IN_HANDLE ? act(&doing, self->conf->action) : BELFRY_DONE;
}

static void destroy(void *self_)
{
	const struct self *self = self_;
	struct doing doing = { self->host, NULL, self->conf->text, self->conf->number };
	if (self->conf->place == IN_DESTROY)
		(void)act(&doing, self->conf->action);
}

#ifdef NAMESAKES
/* Functions of libraries that the host uses as well: if it called these, it would be its end. */
#define NAMESAKE(name)                                      \
	__attribute__((visibility("default"))) void name(void); \
	void name(void)                                         \
	{                                                       \
		abort();                                            \
	}
NAMESAKE(curl_easy_perform)
NAMESAKE(jq_next)
NAMESAKE(json_dumps)
NAMESAKE(packet_add)
NAMESAKE(seccomp_load)
#endif

#ifndef NEEDS
#define NEEDS 0
#endif
BELFRY_PLUGIN(.name = "zoo", .version = "1", .summary = "misbehaves", .needs = NEEDS, .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle, .destroy = destroy);
