/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: runs a program for each delivery. The callback's body is its standard input; what else is known stands in
 * environment variables BELFRY_...; there is no shell, and nothing of Belfry's own environment. It ends with 0: done;
 * with 75 (EX_TEMPFAIL), or by a signal: later; with anything else: rejected. The first line that it prints is the
 * reason.
 *
 * Nothing that it starts outlives its delivery: this process is the reaper of orphans, and kills until it has no
 * children. A program that takes longer than the delivery's deadline is killed shortly before it.
 */
#include <belfry/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_LATER 75 /* EX_TEMPFAIL of sysexits.h */
#define PATH "PATH=/usr/local/bin:/usr/bin:/bin"
/* Between the program's end and the host's deadline. */
#define MARGIN_MS 500
#define MAX_REASON_BYTES 900

struct conf {
	const char *program;
	struct belfry_list arguments;
	struct belfry_map environment;
};

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, program, BELFRY_STRING, .is_required = true, .example = "/usr/local/bin/ring",
				  .help = "the program's absolute path"),
	BELFRY_OPTION(struct conf, arguments, BELFRY_LIST, .entry = BELFRY_TEMPLATE, .least = 0, .most = 64,
				  .example = "--summary={{ .event.summary }}",
				  .help =
					  "its arguments; one that begins with an expression can become an option, which --name= in front "
					  "of it prevents"),
	BELFRY_OPTION(struct conf, environment, BELFRY_MAP, .entry = BELFRY_SECRET, .least = 0, .most = 64,
				  .example = "value", .help = "further environment variables, by name"),
	BELFRY_END,
};

struct exec {
	const struct conf *conf;
	int child_fd; /* readable when a child has ended */
};

/* ---- the process ---- */

static void destroy(void *self)
{
	struct exec *exec = self;
	(void)close(exec->child_fd);
	free(exec);
}

static int prepare(struct exec *exec)
{
	sigset_t child;
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &child, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
		prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -errno;
	exec->child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return exec->child_fd < 0 ? -errno : 0;
}

static int create(const struct belfry_host *host, const void *conf, void **ret_self)
{
	struct exec *exec = calloc(1, sizeof *exec);
	if (!exec)
		return -ENOMEM;
	exec->conf = conf;
	int r = *exec->conf->program == '/' ? 0 : -EINVAL;
	if (r < 0)
		host->log(host, BELFRY_ERROR, "program: \"%s\" is no absolute path", exec->conf->program);
	else if (access(exec->conf->program, X_OK) < 0)
		host->log(host, BELFRY_WARNING, "program: %s: %s", exec->conf->program, strerror(errno));
	if (r == 0 && (r = prepare(exec)) < 0)
		host->log(host, BELFRY_ERROR, "children cannot be watched: %s", strerror(-r));
	if (r < 0) {
		free(exec);
		return r;
	}
	*ret_self = exec;
	return 0;
}

/* ---- words for the program ---- */

/* A list of texts that ends with NULL; all of it is freed by words_finish(). */
struct words {
	char **texts;
	size_t n;
	bool failed;
};

static void words_finish(struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->texts[i]);
	free(words->texts);
}

/* Takes the text, NULL for one that could not be made. */
static void words_add_new(struct words *words, char *text)
{
	char **longer = text ? realloc(words->texts, (words->n + 2) * sizeof *longer) : NULL;
	if (!longer) {
		words->failed = true;
		free(text);
		return;
	}
	words->texts = longer;
	words->texts[words->n++] = text;
	words->texts[words->n] = NULL;
}

__attribute__((format(printf, 2, 3))) static void words_add(struct words *words, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	words_add_new(words, text);
}

/* BELFRY_TAG_user=42; what a shell's variable cannot have in its name becomes '_'. */
static void add_tag(struct words *words, const struct belfry_tag *tag)
{
	char *text = NULL;
	if (asprintf(&text, "BELFRY_TAG_%s=%s", tag->name, tag->value) < 0)
		text = NULL;
	for (size_t i = 0; text && text[i] != '='; i++)
		if (text[i] == '.' || text[i] == '-')
			text[i] = '_';
	words_add_new(words, text);
}

static void add_environment(struct words *words, const struct conf *conf, const struct belfry_delivery *delivery)
{
	words_add(words, PATH);
	words_add(words, "BELFRY_KEY=%s", delivery->key);
	words_add(words, "BELFRY_HANDLER=%s", delivery->handler);
	words_add(words, "BELFRY_POSITION=%s", delivery->position);
	words_add(words, "BELFRY_SOURCE=%s", delivery->source);
	words_add(words, "BELFRY_EVENT_ID=%s", delivery->event_id);
	words_add(words, "BELFRY_INTERACTION=%s", delivery->interaction);
	words_add(words, "BELFRY_SUBTYPE=%s", delivery->subtype);
	words_add(words, "BELFRY_ATTEMPT=%lld", (long long)delivery->attempt);
	words_add(words, "BELFRY_MAX_ATTEMPTS=%lld", (long long)delivery->max_attempts);
	for (size_t i = 0; i < delivery->n_tags; i++)
		add_tag(words, &delivery->tags[i]);
	for (size_t i = 0; i < conf->environment.n; i++)
		words_add(words, "%s=%s", conf->environment.pairs[i].name, conf->environment.pairs[i].value.text);
}

/* False if an argument cannot be made; then the reason has been given. */
static bool add_arguments(struct words *words, const struct conf *conf, const struct belfry_host *host)
{
	words_add(words, "%s", conf->program);
	for (size_t i = 0; i < conf->arguments.n; i++) {
		size_t n = 0;
		const char *text = host->render(host, conf->arguments.entries[i].template_, &n);
		if (!text)
			return false;
		if (strlen(text) != n) {
			host->reason(host, "argument %zu would have a NUL in it", i + 1);
			return false;
		}
		words_add(words, "%s", text);
	}
	return true;
}

/* ---- running it ---- */

struct run {
	const struct belfry_delivery *delivery;
	pid_t pid;
	int in, out; /* our ends of its pipes; -1 when closed */
	size_t n_written;
	char said[MAX_REASON_BYTES + 1]; /* what it printed, from the beginning */
	size_t n_said;
	int status;
};

/* Puts the descriptor where the program expects it, without the mark that would close it there. */
static bool place(int fd, int where)
{
	return fd == where ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, where) == where;
}

static void become(int in, int out, char *const *arguments, char *const *environment)
{
	sigset_t none;
	(void)sigemptyset(&none);
	(void)signal(SIGPIPE, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) == 0 && place(in, STDIN_FILENO) && place(out, STDOUT_FILENO))
		(void)execve(arguments[0], arguments, environment);
	dprintf(STDERR_FILENO, "%s: %s\n", arguments[0], strerror(errno));
	_exit(errno == ENOENT || errno == EACCES ? 127 : EXIT_LATER);
}

static int start(struct run *run, const struct words *arguments, const struct words *environment)
{
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		int r = -errno;
		(void)close(in[0]);
		(void)close(in[1]);
		return r;
	}
	run->pid = fork();
	int r = run->pid < 0 ? -errno : 0;
	if (run->pid == 0)
		become(in[0], out[1], arguments->texts, environment->texts);
	(void)close(in[0]);
	(void)close(out[1]);
	run->in = in[1];
	run->out = out[0];
	(void)fcntl(run->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(run->out, F_SETFL, O_NONBLOCK);
	return r;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* A program need not read its input. */
static void feed(struct run *run)
{
	size_t n = run->delivery->n_body - run->n_written;
	ssize_t n_taken = n ? write(run->in, run->delivery->body + run->n_written, n) : 0;
	if (n_taken > 0)
		run->n_written += (size_t)n_taken;
	if (run->n_written == run->delivery->n_body || (n_taken < 0 && errno != EAGAIN))
		close_end(&run->in);
}

/* Keeps the beginning, throws the rest away. */
static void listen_to(struct run *run)
{
	char bytes[4096];
	ssize_t n;
	while ((n = read(run->out, bytes, sizeof bytes)) > 0) {
		size_t room = MAX_REASON_BYTES - run->n_said, take = (size_t)n < room ? (size_t)n : room;
		memcpy(run->said + run->n_said, bytes, take);
		run->n_said += take;
	}
	if (n == 0 || errno != EAGAIN)
		close_end(&run->out);
}

static bool has_ended(const struct exec *exec, struct run *run)
{
	struct signalfd_siginfo information;
	while (read(exec->child_fd, &information, sizeof information) > 0) {
	}
	return waitpid(run->pid, &run->status, WNOHANG) == run->pid;
}

/* Until it ends, or there is no time left: then false. */
static bool await_end(const struct exec *exec, const struct belfry_host *host, struct run *run)
{
	while (!has_ended(exec, run)) {
		int64_t left_ms = host->remaining_ms(host) - MARGIN_MS;
		struct pollfd fds[] = { { .fd = exec->child_fd, .events = POLLIN },
								{ .fd = run->out, .events = POLLIN },
								{ .fd = run->in, .events = POLLOUT } };
		if (left_ms <= 0)
			return false;
		if (poll(fds, 3, left_ms < 60000 ? (int)left_ms : 60000) < 0 && errno != EINTR)
			return false;
		if (fds[1].revents)
			listen_to(run);
		if (fds[2].revents)
			feed(run);
	}
	if (run->out >= 0)
		listen_to(run);
	return true;
}

/* How many children were there to be killed; -1 if nobody knows. */
static int signal_children(void)
{
	int n = 0, pid;
	FILE *children = fopen("/proc/thread-self/children", "re");
	if (!children)
		return -1;
	for (; fscanf(children, "%d", &pid) == 1; n++)
		(void)kill(pid, SIGKILL);
	(void)fclose(children);
	return n;
}

/* Orphans become our children, so this ends with all that the program has left behind. The kernel's list may lack some
 * while others end: who has none in it may still have children, and looks again. */
static void kill_children(void)
{
	for (;;) {
		int n = signal_children();
		pid_t pid = waitpid(-1, NULL, n > 0 ? 0 : WNOHANG);
		if ((pid < 0 && errno != EINTR) || (pid == 0 && n < 0))
			return;
	}
}

/* ---- what became of it ---- */

/* The first line, as far as it can be shown. */
static const char *first_line(struct run *run)
{
	size_t n = strcspn(run->said, "\r\n");
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)run->said[i] < ' ' || run->said[i] == 0x7f)
			run->said[i] = ' ';
	run->said[n] = '\0';
	return run->said;
}

static int judge(const struct belfry_host *host, struct run *run)
{
	const char *said = first_line(run);
	if (WIFSIGNALED(run->status)) {
		host->reason(host, "ended by SIG%s", sigabbrev_np(WTERMSIG(run->status)));
		return BELFRY_RETRY;
	}
	int code = WEXITSTATUS(run->status);
	if (code == 0)
		host->reason(host, "%s", said);
	else
		host->reason(host, "exit status %d%s%s", code, *said ? ": " : "", said);
	return code == 0 ? BELFRY_DONE : code == EXIT_LATER ? BELFRY_RETRY : BELFRY_REJECT;
}

static int run_program(const struct exec *exec, const struct belfry_host *host, const struct belfry_delivery *delivery,
					   const struct words *arguments, const struct words *environment)
{
	struct run run = { .delivery = delivery, .in = -1, .out = -1 };
	int outcome = BELFRY_RETRY, r = start(&run, arguments, environment);
	if (r < 0) {
		host->reason(host, "no process: %s", strerror(-r));
	} else if (await_end(exec, host, &run)) {
		outcome = judge(host, &run);
	} else {
		host->reason(host, "took too long, and was killed");
	}
	close_end(&run.in);
	close_end(&run.out);
	kill_children();
	return outcome;
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	const struct exec *exec = self;
	struct words arguments = { 0 }, environment = { 0 };
	int outcome = BELFRY_REJECT;
	if (add_arguments(&arguments, exec->conf, host)) {
		add_environment(&environment, exec->conf, delivery);
		outcome = BELFRY_RETRY;
		if (arguments.failed || environment.failed)
			host->reason(host, "not enough memory");
		else
			outcome = run_program(exec, host, delivery, &arguments, &environment);
	}
	words_finish(&arguments);
	words_finish(&environment);
	return outcome;
}

BELFRY_PLUGIN(.name = "exec", .version = "1.0", .summary = "runs a program for each callback",
			  .needs = BELFRY_NEED_EXEC, .options = options, .conf_size = sizeof(struct conf), .create = create,
			  .handle = handle, .destroy = destroy);
