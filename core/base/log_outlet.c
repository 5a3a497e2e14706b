/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_outlet.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* What may wait while the thread writes as much. */
#define WAITING_BYTES (256u << 10)
#define GATHERING_NS (5 * 1000000)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool is_running;     /* {lock} */
	bool is_waiting;     /* {lock}: it must be woken up for a line */
	bool is_stopping;    /* {lock} */
	char *waiting;       /* {lock} WAITING_BYTES; NULL while it is not running */
	char *leaving;       /* the thread's: the same size, changes place with `waiting` */
	size_t n_waiting;    /* {lock} */
	uint64_t n_left_out; /* {lock} lines */
} outlet = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

/* Nobody to tell if the log itself cannot be written. */
static void write_all(struct span lines)
{
	while (lines.n) {
		ssize_t n = write(STDERR_FILENO, lines.data, lines.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		lines = span_skip(lines, (size_t)n);
	}
}

void log_outlet_put(struct span line)
{
	bool must_wake = false;
	(void)pthread_mutex_lock(&outlet.lock);
	if (!outlet.is_running) {
		write_all(line);
	} else if (line.n > WAITING_BYTES - outlet.n_waiting) {
		outlet.n_left_out++;
	} else {
		memcpy(outlet.waiting + outlet.n_waiting, line.data, line.n);
		outlet.n_waiting += line.n;
		must_wake = outlet.is_waiting;
		outlet.is_waiting = false;
	}
	(void)pthread_mutex_unlock(&outlet.lock);
	if (must_wake)
		(void)pthread_cond_signal(&outlet.wake);
}

/* False at the end. */
static bool wait_for_lines(void)
{
	(void)pthread_mutex_lock(&outlet.lock);
	while (outlet.n_waiting == 0 && !outlet.is_stopping) {
		outlet.is_waiting = true;
		(void)pthread_cond_wait(&outlet.wake, &outlet.lock);
	}
	outlet.is_waiting = false;
	bool has_lines = outlet.n_waiting > 0;
	(void)pthread_mutex_unlock(&outlet.lock);
	return has_lines;
}

static bool is_stopping(void)
{
	(void)pthread_mutex_lock(&outlet.lock);
	bool is = outlet.is_stopping;
	(void)pthread_mutex_unlock(&outlet.lock);
	return is;
}

static struct span take_lines(uint64_t *ret_n_left_out)
{
	(void)pthread_mutex_lock(&outlet.lock);
	char *lines = outlet.waiting;
	size_t n = outlet.n_waiting;
	outlet.waiting = outlet.leaving;
	outlet.leaving = lines;
	outlet.n_waiting = 0;
	*ret_n_left_out = outlet.n_left_out;
	outlet.n_left_out = 0;
	(void)pthread_mutex_unlock(&outlet.lock);
	return span_of(lines, n);
}

/* False if there were none. */
static bool write_lines(void)
{
	uint64_t n_left_out;
	struct span lines = take_lines(&n_left_out);
	write_all(lines);
	if (n_left_out)
		log_warning("lines are missing here: whoever reads the log is too slow", LOG_NUMBER("lines", n_left_out));
	return lines.n > 0;
}

/* While lines keep coming, they are written every few milliseconds, and nobody has to wake this up for them. */
static void *run(void *unused)
{
	while (wait_for_lines())
		do
			if (!is_stopping())
				(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = GATHERING_NS }, NULL);
		while (write_lines());
	return unused;
}

static void release(void)
{
	free(STEAL(outlet.waiting));
	free(STEAL(outlet.leaving));
}

int log_outlet_start(void)
{
	int r = -ENOMEM;
	(void)pthread_mutex_lock(&outlet.lock);
	outlet.waiting = malloc(WAITING_BYTES);
	outlet.leaving = malloc(WAITING_BYTES);
	outlet.is_stopping = false;
	if (outlet.waiting && outlet.leaving)
		r = -pthread_create(&outlet.thread, NULL, run, NULL);
	outlet.is_running = r == 0;
	if (r < 0)
		release();
	(void)pthread_mutex_unlock(&outlet.lock);
	return r;
}

void log_outlet_stop(void)
{
	(void)pthread_mutex_lock(&outlet.lock);
	bool was_running = outlet.is_running;
	outlet.is_stopping = true;
	(void)pthread_cond_signal(&outlet.wake);
	(void)pthread_mutex_unlock(&outlet.lock);
	if (!was_running)
		return;
	(void)pthread_join(outlet.thread, NULL);
	(void)pthread_mutex_lock(&outlet.lock);
	outlet.is_running = false;
	release();
	(void)pthread_mutex_unlock(&outlet.lock);
}
