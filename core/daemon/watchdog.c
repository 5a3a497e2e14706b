/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watchdog.h"

#include "base/clock.h"
#include "daemon/notify.h"
#include "net/reactor.h"

#include <errno.h>

/* What a reactor is asked with. */
struct pulse {
	struct note note; /* first */
	atomic_bool is_back;
};

struct watchdog {
	struct gateway *gateway;
	uv_timer_t timer;
	struct pulse pulses[]; /* by reactor */
};

static void on_pulse(struct reactor *reactor, struct note *note)
{
	(void)reactor;
	atomic_store(&CONTAINER_OF(note, struct pulse, note)->is_back, true);
}

static bool is_alive(const struct watchdog *watchdog)
{
	for (size_t i = 0; i < watchdog->gateway->n_reactors; i++)
		if (!atomic_load(&watchdog->pulses[i].is_back))
			return false;
	return !gateway_hanging_thread(watchdog->gateway);
}

/* Says so, and asks again: the answers are for the next time. */
static void on_timer(uv_timer_t *timer)
{
	struct watchdog *watchdog = timer->data;
	if (!is_alive(watchdog))
		return;
	notify("WATCHDOG=1");
	for (size_t i = 0; i < watchdog->gateway->n_reactors; i++) {
		atomic_store(&watchdog->pulses[i].is_back, false);
		reactor_post(watchdog->gateway->reactors[i], &watchdog->pulses[i].note);
	}
}

/* How long systemd waits for a word of this process; 0: for ever. */
static uint64_t patience_us(void)
{
	const char *pid_text = getenv("WATCHDOG_PID"), *patience_text = getenv("WATCHDOG_USEC");
	uint64_t pid, patience;
	if (pid_text && (!span_to_u64(span_text(pid_text), INT32_MAX, &pid) || (pid_t)pid != getpid()))
		return 0;
	return patience_text && span_to_u64(span_text(patience_text), INT64_MAX, &patience) ? patience : 0;
}

int watchdog_create(struct gateway *gateway, uv_loop_t *loop, struct watchdog **ret_watchdog)
{
	uint64_t every_ms = patience_us() / 2 / (NS_PER_MS / NS_PER_US);
	*ret_watchdog = NULL;
	if (every_ms == 0)
		return 0;
	struct watchdog *watchdog = calloc(1, sizeof *watchdog + gateway->n_reactors * sizeof watchdog->pulses[0]);
	if (!watchdog)
		return -ENOMEM;
	watchdog->gateway = gateway;
	for (size_t i = 0; i < gateway->n_reactors; i++) {
		watchdog->pulses[i].note.run = on_pulse;
		atomic_init(&watchdog->pulses[i].is_back, true);
	}
	watchdog->timer.data = watchdog;
	(void)uv_timer_init(loop, &watchdog->timer);
	(void)uv_timer_start(&watchdog->timer, on_timer, every_ms, every_ms);
	*ret_watchdog = watchdog;
	return 0;
}

void watchdog_destroy(struct watchdog *watchdog)
{
	free(watchdog);
}
