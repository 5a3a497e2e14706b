/* SPDX-License-Identifier: Apache-2.0 */
#include "config/program.h"

#include "base/clock.h"
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#define MAX_SAID_BYTES 4096
#define MAX_SENTENCE_BYTES 500
/* While this process itself is stopped, nobody's patience runs out. */
#define LONGEST_TICK_MS 200

/* What it writes to one descriptor. */
struct stream {
	int fd; /* -1: it has ended */
	struct buffer *bytes;
	size_t max_bytes;
	bool is_over; /* more than that */
};

struct run {
	pid_t pid;
	int pidfd;
	struct stream output, said;
	int64_t patience_ms;
	bool is_late;
};

static atomic_bool is_stopped; /* nobody waits for any program any more */

/* --- starting --- */

/* What it reads: a file in memory, so that nobody has to write while it reads. */
static int make_input(struct span input, int *ret_fd)
{
	CLEANUP(close) int fd = memfd_create("input", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (input.n) {
		ssize_t n = write(fd, input.data, input.n);
		if (n < 0)
			return -errno;
		input = span_skip(input, (size_t)n);
	}
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int start(struct run *run, const char *const *arguments, struct span input)
{
	CLEANUP(close) int in = -1, out = -1, said = -1;
	int output[2], complaints[2];
	int r = make_input(input, &in);
	if (r < 0)
		return r;
	if (pipe2(output, O_CLOEXEC) < 0)
		return -errno;
	run->output.fd = output[0];
	out = output[1];
	if (pipe2(complaints, O_CLOEXEC) < 0)
		return -errno;
	run->said.fd = complaints[0];
	said = complaints[1];
	return spawn_program(arguments, (const int[]){ in, out, said }, 3, &run->pid);
}

/* --- listening --- */

/* What waits; what is beyond the bound is read and dropped. */
static void take(struct stream *stream)
{
	char bytes[4096];
	ssize_t n = read(stream->fd, bytes, sizeof bytes);
	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		(void)close(stream->fd);
		stream->fd = -1;
		return;
	}
	size_t room = stream->max_bytes - stream->bytes->n;
	stream->is_over |= (size_t)n > room;
	buffer_add(stream->bytes, span_of(bytes, (size_t)n < room ? (size_t)n : room));
}

/* Until it has ended and all is read. What it left running may hold the pipes: so its end is enough. */
static void listen_to(struct run *run)
{
	int64_t waited_ms = 0;
	uint64_t before_ns = clock_monotonic_ns();
	bool has_ended = false;
	while ((run->output.fd >= 0 || run->said.fd >= 0 || !has_ended) && !atomic_load(&is_stopped)) {
		struct pollfd fds[] = { { .fd = run->output.fd, .events = POLLIN },
								{ .fd = run->said.fd, .events = POLLIN },
								{ .fd = has_ended ? -1 : run->pidfd, .events = POLLIN } };
		int n = poll(fds, 3, has_ended ? 0 : LONGEST_TICK_MS);
		uint64_t now_ns = clock_monotonic_ns(), tick_ms = (now_ns - before_ns) / NS_PER_MS;
		waited_ms += tick_ms < LONGEST_TICK_MS ? (int64_t)tick_ms : LONGEST_TICK_MS;
		before_ns += tick_ms * NS_PER_MS;
		if (n <= 0 && has_ended)
			return;
		if (fds[0].revents)
			take(&run->output);
		if (fds[1].revents)
			take(&run->said);
		has_ended |= fds[2].revents != 0;
		run->is_late = waited_ms > run->patience_ms && !has_ended;
		if (waited_ms > run->patience_ms || run->output.is_over)
			return;
	}
}

/* --- what became of it --- */

/* What it said itself, its first line. */
static struct span first_line(const struct buffer *said)
{
	struct span rest = buffer_span(said), line = { 0 };
	(void)span_next(&rest, '\n', &line);
	if (line.n > MAX_SENTENCE_BYTES)
		line.n = MAX_SENTENCE_BYTES;
	return line;
}

void program_add_line(struct buffer *b, struct span text)
{
	bool is_utf8 = span_is_utf8(text);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.data[i];
		buffer_add_char(b, c < 0x20 || c == 0x7f ? ' ' : c >= 0x80 && !is_utf8 ? '?' : text.data[i]);
	}
}

static int describe_end(const struct run *run, int status, char **ret_problem)
{
	CLEANUP(buffer_finish) struct buffer problem = BUFFER_INIT;
	struct span line = first_line(run->said.bytes);
	bool has_ended = !run->is_late && !run->output.is_over && WIFEXITED(status);
	if (run->is_late)
		buffer_add_printf(&problem, "did not end within %jd ms", (intmax_t)run->patience_ms);
	else if (run->output.is_over)
		buffer_add_printf(&problem, "wrote more than %u MiB", PROGRAM_MAX_OUTPUT_BYTES >> 20);
	else if (!has_ended)
		buffer_add_printf(&problem, "was ended by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (line.n)
		program_add_line(&problem, line);
	else
		buffer_add_printf(&problem, "ended with exit status %d", WEXITSTATUS(status));
	*ret_problem = buffer_steal_text(&problem);
	return !*ret_problem ? -ENOMEM : has_ended && line.n ? PROGRAM_E_REFUSED : PROGRAM_E_FAILED;
}

static int finish(struct run *run, char **ret_problem)
{
	int status = 0;
	(void)kill(-run->pid, SIGKILL); /* and what it left running; its number is not given away before it is waited for */
	while (waitpid(run->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	bool is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !run->is_late && !run->output.is_over;
	if (run->output.bytes->failed || run->said.bytes->failed)
		return -ENOMEM;
	return is_good ? PROGRAM_OK : describe_end(run, status, ret_problem);
}

static int run_to_end(struct run *run, const char *const *arguments, struct span input, char **ret_problem)
{
	int r = start(run, arguments, input);
	if (r < 0)
		return r;
	run->pidfd = pidfd_open(run->pid, 0);
	r = run->pidfd < 0 ? -errno : 0;
	if (r == 0)
		listen_to(run);
	int finished = finish(run, ret_problem);
	return r < 0 ? r : finished;
}

int program_run(const char *const *arguments, struct span input, int64_t patience_ms, struct buffer *output,
				char **ret_problem)
{
	CLEANUP(buffer_finish) struct buffer said = BUFFER_INIT;
	struct run run = {
		.pidfd = -1,
		.patience_ms = patience_ms,
		.output = { .fd = -1, .bytes = output, .max_bytes = PROGRAM_MAX_OUTPUT_BYTES },
		.said = { .fd = -1, .bytes = &said, .max_bytes = MAX_SAID_BYTES },
	};
	int r = run_to_end(&run, arguments, input, ret_problem);
	const int fds[] = { run.pidfd, run.output.fd, run.said.fd };
	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	return r;
}

void program_stop_all(void)
{
	atomic_store(&is_stopped, true);
}
