/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/process.h"

#include "base/clock.h"
#include "base/spawn.h"
#include "wire/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define READ_BYTES 65536
/* Of one line; what is longer is several. */
#define MAX_LINE_BYTES 1000
/* Of what it prints in one second; then its pipes are left alone until the second is over. */
#define MAX_PRINTED_BYTES (256u * 1024)
#define HANDLES 6
/* Whoever closes its end usually ends: then its end tells more. */
#define LINGER_MS 500

/* stdout or stderr. */
struct printed {
	uv_poll_t poll;
	int fd;
	bool has_ended; /* nothing more is read from it */
	struct buffer line;
};

struct process {
	const struct process_calls *calls;
	void *owner;
	pid_t pid;
	/* Closed with their handles, not before: the next process would get the same numbers, and libuv stops looking at a
	 * number when it closes the handle that had it. */
	int pidfd, socket;
	bool is_cut_off; /* nothing more is said or heard by the socket */
	uv_poll_t exit_poll, socket_poll;
	struct printed printed[2];
	uv_timer_t second; /* until what it prints is read again */
	uv_timer_t linger; /* since it closed its end */
	size_t n_printed;  /* in this second */
	unsigned n_handles;
	struct packet_reader reader;
	struct buffer out;
	const char *why; /* it was killed */
	char reason[128];
	char how[64];
	bool is_over;
};

/* --- starting ----------------------------------------------------------------------------------------------------- */

static int keep_end(int *end, int *kept)
{
	*kept = *end;
	*end = -1;
	int flags = fcntl(*kept, F_GETFL);
	return flags < 0 || fcntl(*kept, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static int make_pipe(int *ret_kept, int *ret_given)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_given = ends[1];
	return keep_end(&ends[0], ret_kept);
}

static int make_socket(int *ret_kept, int *ret_given)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*ret_given = ends[1];
	return keep_end(&ends[0], ret_kept);
}

static int start(struct process *process, const char *program)
{
	CLEANUP(close) int in = open("/dev/null", O_RDONLY | O_CLOEXEC), out = -1, err = -1, channel = -1;
	int r = in < 0 ? -errno : make_pipe(&process->printed[0].fd, &out);
	if (r == 0)
		r = make_pipe(&process->printed[1].fd, &err);
	if (r == 0)
		r = make_socket(&process->socket, &channel);
	const char *const arguments[] = { program, "--serve", NULL };
	if (r == 0)
		r = spawn_program(arguments, (const int[]){ in, out, err, channel }, 4, &process->pid);
	if (r < 0)
		return r;
	process->pidfd = pidfd_open(process->pid, 0);
	return process->pidfd < 0 ? -errno : 0;
}

/* --- ending ------------------------------------------------------------------------------------------------------- */

static void close_fd(int fd)
{
	if (fd >= 0)
		(void)close(fd);
}

static void finish(struct process *process)
{
	packet_reader_finish(&process->reader);
	if (process->out.n)
		secret_wipe(process->out.data, process->out.n);
	buffer_finish(&process->out);
	for (size_t i = 0; i < ARRAY_LENGTH(process->printed); i++) {
		close_fd(process->printed[i].fd);
		buffer_finish(&process->printed[i].line);
	}
	close_fd(process->socket);
	close_fd(process->pidfd);
	free(process);
}

static void on_closed(uv_handle_t *handle)
{
	struct process *process = handle->data;
	if (--process->n_handles == 0)
		finish(process);
}

static void close_handles(struct process *process)
{
	uv_handle_t *const handles[HANDLES] = {
		(uv_handle_t *)&process->exit_poll,       (uv_handle_t *)&process->socket_poll,
		(uv_handle_t *)&process->printed[0].poll, (uv_handle_t *)&process->printed[1].poll,
		(uv_handle_t *)&process->second,          (uv_handle_t *)&process->linger
	};
	for (size_t i = 0; i < HANDLES; i++)
		uv_close(handles[i], on_closed);
}

static void describe_end(struct process *process, int status)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));
		(void)snprintf(process->how, sizeof process->how, name ? "SIG%s" : "signal %s", name ? name : "of its own");
	} else {
		(void)snprintf(process->how, sizeof process->how, "exit status %d", WEXITSTATUS(status));
	}
}

static void kill_group(struct process *process)
{
	(void)kill(-process->pid, SIGKILL);
	(void)kill(process->pid, SIGKILL); /* before it has a group of its own */
}

void process_kill(struct process *process, const char *why)
{
	if (process->is_over)
		return;
	if (!process->why)
		process->why = why;
	kill_group(process);
}

/* --- what it says ------------------------------------------------------------------------------------------------- */

static void cut_off(struct process *process)
{
	process->is_cut_off = true;
	(void)uv_poll_stop(&process->socket_poll);
}

static void break_off(struct process *process, const char *what, const char *reason)
{
	(void)snprintf(process->reason, sizeof process->reason, reason ? "%s: %s" : "%s", what, reason);
	process_kill(process, process->reason);
	cut_off(process);
}

static void read_packets(struct process *process, struct span bytes)
{
	struct packet packet;
	const char *reason = NULL;
	int r = PACKET_WHOLE;
	while (r == PACKET_WHOLE && !process->why) {
		r = packet_read(&process->reader, &bytes, &packet, &reason);
		if (r == PACKET_WHOLE)
			process->calls->on_packet(process->owner, &packet);
	}
	if (r == PACKET_E_MALFORMED)
		break_off(process, "it broke the protocol", reason);
	else if (r < 0)
		break_off(process, "out of memory", NULL);
}

/* False when there is nothing more for now, or ever. */
static bool read_socket(struct process *process)
{
	char bytes[READ_BYTES];
	ssize_t n = process->is_cut_off ? 0 : read(process->socket, bytes, sizeof bytes);
	if (n > 0)
		read_packets(process, span_of(bytes, (size_t)n));
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		return false;
	return n == (ssize_t)sizeof bytes && !process->is_cut_off;
}

static void watch_socket(struct process *process);

static void flush(struct process *process)
{
	while (process->out.n && !process->is_cut_off) {
		ssize_t n = send(process->socket, process->out.data, process->out.n, MSG_NOSIGNAL);
		if (n < 0)
			break; /* full, or it is ending: then that is seen elsewhere */
		secret_wipe(process->out.data, (size_t)n);
		buffer_consume(&process->out, (size_t)n);
	}
	watch_socket(process);
}

static void on_linger(uv_timer_t *linger)
{
	process_kill(linger->data, "it closed its connection");
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct process *process = poll->data;
	char byte;
	if (status >= 0 && (events & UV_WRITABLE))
		flush(process);
	if (status >= 0 && (events & UV_READABLE))
		(void)read_socket(process);
	if (process->is_cut_off || recv(process->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
		return;
	cut_off(process);
	(void)uv_timer_start(&process->linger, on_linger, LINGER_MS, 0);
}

static void watch_socket(struct process *process)
{
	int events = process->out.n ? UV_READABLE | UV_WRITABLE : UV_READABLE;
	if (!process->is_cut_off && uv_poll_start(&process->socket_poll, events, on_socket) < 0)
		break_off(process, "it cannot be listened to", NULL);
}

void process_send(struct process *process, struct span head, struct span payload)
{
	if (process->is_over || process->is_cut_off)
		return;
	packet_add(&process->out, head, payload);
	if (process->out.failed)
		break_off(process, "out of memory", NULL);
	else
		flush(process);
}

/* --- what it prints ----------------------------------------------------------------------------------------------- */

static void end_line(struct process *process, struct printed *printed)
{
	struct span line = buffer_span(&printed->line);
	if (line.n && line.data[line.n - 1] == '\r')
		line.n--;
	if (line.n && !printed->line.failed)
		process->calls->on_line(process->owner, line);
	if (printed->line.failed)
		buffer_finish(&printed->line);
	printed->line.n = 0;
}

static void take_text(struct process *process, struct printed *printed, struct span text)
{
	while (text.n) {
		const char *end = memchr(text.data, '\n', text.n);
		size_t room = MAX_LINE_BYTES - printed->line.n, n = end ? (size_t)(end - text.data) : text.n;
		bool is_end = end && n <= room;
		n = n < room ? n : room;
		buffer_add(&printed->line, span_of(text.data, n));
		text = span_skip(text, n + is_end);
		if (is_end || printed->line.n >= MAX_LINE_BYTES || printed->line.failed)
			end_line(process, printed);
	}
}

/* False when there is nothing more for now, or ever. */
static bool read_printed(struct process *process, struct printed *printed)
{
	char text[16384];
	ssize_t n = printed->has_ended ? 0 : read(printed->fd, text, sizeof text);
	if (n > 0) {
		process->n_printed += (size_t)n;
		take_text(process, printed, span_of(text, (size_t)n));
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		(void)uv_poll_stop(&printed->poll);
		printed->has_ended = true;
	}
	return n == (ssize_t)sizeof text;
}

static void on_printed(uv_poll_t *poll, int status, int events);

static void on_second(uv_timer_t *second)
{
	struct process *process = second->data;
	process->n_printed = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(process->printed); i++)
		if (!process->printed[i].has_ended)
			(void)uv_poll_start(&process->printed[i].poll, UV_READABLE, on_printed);
}

static void on_printed(uv_poll_t *poll, int status, int events)
{
	struct process *process = poll->data;
	struct printed *printed = &process->printed[poll == &process->printed[1].poll];
	(void)status, (void)events;
	if (!uv_is_active((uv_handle_t *)&process->second))
		(void)uv_timer_start(&process->second, on_second, MS_PER_S, 0);
	(void)read_printed(process, printed);
	if (process->n_printed < MAX_PRINTED_BYTES)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(process->printed); i++)
		(void)uv_poll_stop(&process->printed[i].poll);
}

/* --- its life ----------------------------------------------------------------------------------------------------- */

/* It has ended; what it said before that counts. */
static void on_exit_poll(uv_poll_t *poll, int status, int events)
{
	struct process *process = poll->data;
	int wait_status = 0;
	(void)status, (void)events;
	kill_group(process);
	if (waitpid(process->pid, &wait_status, WNOHANG) != process->pid)
		return;
	while (read_socket(process)) {
	}
	process->is_over = true;
	for (size_t i = 0; i < ARRAY_LENGTH(process->printed); i++) {
		while (process->n_printed < MAX_PRINTED_BYTES && read_printed(process, &process->printed[i])) {
		}
		end_line(process, &process->printed[i]);
	}
	describe_end(process, wait_status);
	process->calls->on_end(process->owner, process->why ? process->why : process->how);
	close_handles(process);
}

static void set_up(struct process *process, uv_loop_t *loop)
{
	process->exit_poll.data = process->socket_poll.data = process->second.data = process->linger.data = process;
	(void)uv_poll_init(loop, &process->exit_poll, process->pidfd);
	(void)uv_poll_init(loop, &process->socket_poll, process->socket);
	for (size_t i = 0; i < ARRAY_LENGTH(process->printed); i++) {
		process->printed[i].poll.data = process;
		(void)uv_poll_init(loop, &process->printed[i].poll, process->printed[i].fd);
	}
	(void)uv_timer_init(loop, &process->second);
	(void)uv_timer_init(loop, &process->linger);
	process->n_handles = HANDLES;
	(void)uv_poll_start(&process->exit_poll, UV_READABLE, on_exit_poll);
	on_second(&process->second);
	watch_socket(process);
}

int process_start(uv_loop_t *loop, const char *program, const struct process_calls *calls, void *owner,
				  struct process **ret_process)
{
	struct process *process = calloc(1, sizeof *process);
	if (!process)
		return -ENOMEM;
	process->calls = calls;
	process->owner = owner;
	process->pidfd = process->socket = process->printed[0].fd = process->printed[1].fd = -1;
	packet_reader_init(&process->reader, PACKET_HANDLER);
	int r = start(process, program);
	if (r < 0) {
		if (process->pid > 0) { /* without a descriptor for it there is no use for it */
			kill_group(process);
			(void)waitpid(process->pid, NULL, 0);
		}
		finish(process);
		return r;
	}
	set_up(process, loop);
	*ret_process = process;
	return 0;
}
