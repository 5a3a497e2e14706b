/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill_at N PID: kills the process when one of its threads is about to make the N-th system call from now on.
 *
 * Says "attached" when it counts, and ends with 0 when it has killed. At the end of its standard input it leaves the
 * process alone and ends with 1.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(int signal)
{
	(void)signal; /* it ends ppoll() */
}

/* All its threads are stopped, and stop at each system call from then on. */
static int attach(pid_t pid)
{
	char path[64];
	int n = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
		long options = PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD;
		if (thread > 0 && ptrace(PTRACE_SEIZE, thread, NULL, options) == 0 &&
			ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) == 0)
			n++;
	}
	if (folder)
		(void)closedir(folder);
	return n;
}

static bool is_call(pid_t thread, int status)
{
	struct __ptrace_syscall_info info = { 0 };
	return WSTOPSIG(status) == (SIGTRAP | 0x80) && ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) > 0 &&
		   info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

/* A signal that the thread stopped for is passed on; other stops are no signals. */
static int signal_of(int status)
{
	bool is_event = status >> 16 || WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == (SIGTRAP | 0x80);
	return is_event ? 0 : WSTOPSIG(status);
}

/* True when it has killed. */
static bool count_down(pid_t pid, long *n)
{
	int status;
	for (pid_t thread; (thread = waitpid(-1, &status, __WALL | WNOHANG)) > 0;) {
		if (!WIFSTOPPED(status))
			continue;
		if (is_call(thread, status) && --*n == 0)
			return kill(pid, SIGKILL) == 0;
		(void)ptrace(PTRACE_SYSCALL, thread, NULL, (long)signal_of(status));
	}
	return false;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_child };
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t blocked, open;
	if (argc != 3)
		return 2;
	long n = strtol(argv[1], NULL, 10);
	pid_t pid = (pid_t)strtol(argv[2], NULL, 10);
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGCHLD);
	(void)sigaction(SIGCHLD, &action, NULL);
	(void)sigprocmask(SIG_BLOCK, &blocked, &open);
	if (attach(pid) == 0)
		return 2;
	(void)puts("attached");
	(void)fflush(stdout);
	while (!count_down(pid, &n))
		if (ppoll(&input, 1, NULL, &open) > 0)
			return 1;
	return 0;
}
