/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/server.h"
#include "daemon/watchdog.h"
#include "net/limits.h"
#include "net/reactor.h"
#include "store/deliveries.h"
#include "wire/callback.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/resource.h>

/* How often a drain looks whether everybody is gone. */
#define DRAIN_LOOK_MS 20
/* Descriptors for the journal, the log, the loops and whatever libraries open; for administrators; and for those who
 * are told that there are too many connections. */
#define RESERVED_DESCRIPTORS (128 + ACCEPTOR_MAX_TOLD)
/* And for each reactor's loop. */
#define DESCRIPTORS_A_REACTOR 8
/* And for each handler's process: a socket, two pipes, and the process itself; some more while it starts. */
#define DESCRIPTORS_A_PROCESS 4
#define DESCRIPTORS_OF_HANDLERS 16

/* Says why, frees the reason. */
static int refuse(const char *what, char *message, int error)
{
	if (message)
		log_error(what, LOG_TEXT("reason", message));
	else
		log_error(what, LOG_ERRNO(error));
	free(message);
	return error;
}

/* --- building ----------------------------------------------------------------------------------------------------- */

/* One descriptor a connection: take what the system allows, and say if that is less than what is configured. */
static uint64_t raise_descriptor_limit(const struct config *config)
{
	struct rlimit limit;
	uint64_t max_connections = config->limits.max_connections;
	uint64_t reserved = RESERVED_DESCRIPTORS + config->reactors * DESCRIPTORS_A_REACTOR;
	if (config->n_handlers)
		reserved += DESCRIPTORS_OF_HANDLERS + config->limits.max_handler_processes * DESCRIPTORS_A_PROCESS;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return max_connections;
	uint64_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_cur != before && setrlimit(RLIMIT_NOFILE, &limit) == 0)
		log_info("limit of open files raised", LOG_NUMBER("from", before), LOG_NUMBER("to", limit.rlim_cur));
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= max_connections + reserved)
		return max_connections;
	uint64_t possible = limit.rlim_cur > reserved ? limit.rlim_cur - reserved : 1;
	log_warning("fewer connections than configured: raise the limit of open files (LimitNOFILE=)",
				LOG_NUMBER("configured", max_connections), LOG_NUMBER("possible", possible));
	return possible;
}

/* Tokens and certificates are judged by it, and callbacks kept for so long. */
static void look_at_clock(void)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t now_ms = clock_wall_ms();
	if (now_ms >= (int64_t)BELFRY_MADE_S * MS_PER_S)
		return;
	clock_format(now_ms, text);
	log_warning("the clock is wrong: this version was made later; set it (timedatectl set-ntp true)",
				LOG_TEXT("time", text));
}

void server_log_complaints(const struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->n; i++)
		LOG_WRITE_(complaints->items[i].is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, NULL, "configuration",
				   LOG_TEXT("says", complaints->items[i].text));
}

static int load_contents(struct server *server)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	int r = contents_load(server->generation->config, SPAN(""), clock_wall_ms(), &complaints, &server->contents);
	if (r < 0)
		return refuse("cannot read what the configuration points to", NULL, r);
	server->gateway.keys = STEAL(server->contents.keys);
	atomic_store(&server->gateway.certificate_end_ms, contents_first_end_ms(&server->contents));
	server_log_complaints(&complaints);
	return complaints.n_errors ? DAEMON_E_CONFIG : 0;
}

static struct store_limits store_limits_of(const struct config *config)
{
	return (struct store_limits){ .retention_age_ms = config->journal.retention_age_ms,
								  .retention_bytes = config->journal.retention_bytes,
								  .max_queue_bytes = config->limits.queue_bytes };
}

static int open_store(struct server *server)
{
	const struct config *config = server->generation->config;
	char *message = NULL;
	struct store_options options = {
		.path = config->journal.path,
		.limits = store_limits_of(config),
		.on_commit = gateway_on_commit,
		.context = &server->gateway,
	};
	int r = store_open(&options, &server->gateway.store, &message);
	return r < 0 ? refuse("cannot open the journal", message, r) : 0;
}

/* Who is owed something and is not configured. */
struct strangers {
	struct store_owed owed;
	struct generation *generation; /* a reference */
};

/* On the reader's thread. Nobody will do it, and it stays in the journal: the administrator has to know. */
static void on_owed_handler(struct store_owed *owed, struct span handler)
{
	struct strangers *strangers = CONTAINER_OF(owed, struct strangers, owed);
	if (handler.n == 0) {
		generation_unref(strangers->generation);
		free(strangers);
	} else if (!config_handler_by_name(strangers->generation->config, handler)) {
		log_warning(
			"a handler that is not configured any more is owed deliveries: they stay in the journal until it is",
			LOG_SPAN("handler", handler));
	}
}

static void look_for_strangers(struct server *server)
{
	struct strangers *strangers = calloc(1, sizeof *strangers);
	if (!strangers)
		return;
	strangers->owed.on_handler = on_owed_handler;
	strangers->generation = generation_ref(server->generation);
	if (store_ask_owed(server->gateway.store, &strangers->owed) < 0)
		on_owed_handler(&strangers->owed, SPAN("")); /* it is closing */
}

void daemon_set_log(const struct config *config)
{
	static const enum log_level levels[] = {
		[CONFIG_LOG_ERROR] = LOG_LEVEL_ERROR,
		[CONFIG_LOG_WARNING] = LOG_LEVEL_WARNING,
		[CONFIG_LOG_INFO] = LOG_LEVEL_INFO,
		[CONFIG_LOG_DEBUG] = LOG_LEVEL_DEBUG,
	};
	log_set_level(levels[config->log_level]);
	log_set_json(config->log_format == CONFIG_LOG_JSON);
}

void server_apply_settings(struct server *server)
{
	const struct config *config = server->generation->config;
	const struct store_limits limits = store_limits_of(config);
	daemon_set_log(config);
	server->gateway.answer_timeout_ms = config->limits.answer_timeout_ms;
	limits_set(server->gateway.limits, raise_descriptor_limit(config), config->limits.max_connections_per_address);
	store_set_limits(server->gateway.store, &limits);
	look_for_strangers(server);
}

static int create_supervisor(struct server *server)
{
	struct supervisor *supervisor = NULL;
	if (server->generation->config->n_handlers == 0)
		return 0;
	int r = supervisor_create(server->generation, server->gateway.store, &supervisor);
	server->gateway.supervisor = supervisor;
	return r < 0 ? refuse("cannot start", NULL, r) : 0;
}

static int start_supervisor(struct gateway *gateway)
{
	int r = gateway->supervisor ? supervisor_start(gateway->supervisor) : 0;
	return r < 0 ? refuse("cannot start a thread", NULL, r) : 0;
}

static int create_reactor(struct server *server, struct reactor **ret_reactor)
{
	struct setup *setup = NULL;
	int r = setup_create(server->generation, &setup);
	if (r == 0)
		r = reactor_create(&server->gateway, setup, ret_reactor);
	return r < 0 ? refuse("cannot start a reactor", NULL, r) : 0;
}

/* libwebsockets has global state: contexts are made one after the other, before any thread runs. */
static int create_reactors(struct server *server)
{
	struct gateway *gateway = &server->gateway;
	uint64_t n = server->generation->config->reactors;
	gateway->reactors = calloc(n, sizeof(struct reactor *));
	if (!gateway->reactors)
		return refuse("cannot start", NULL, -ENOMEM);
	for (; gateway->n_reactors < n; gateway->n_reactors++) {
		int r = create_reactor(server, &gateway->reactors[gateway->n_reactors]);
		if (r < 0)
			return r;
	}
	/* libraries open descriptors without asking for CLOEXEC; no program that is started later is to have them */
	(void)close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	for (size_t i = 0; i < gateway->n_reactors; i++) {
		int r = reactor_start(gateway->reactors[i]);
		if (r < 0)
			return refuse("cannot start a thread", NULL, r);
	}
	return 0;
}

static int build_gateway(struct server *server)
{
	struct gateway *gateway = &server->gateway;
	const struct config *config = server->generation->config;
	gateway->started_ms = clock_wall_ms();
	gateway->answer_timeout_ms = config->limits.answer_timeout_ms;
	(void)pthread_mutex_init(&gateway->keys_lock, NULL);
	look_at_clock();
	uint64_t max_connections = raise_descriptor_limit(config);
	int r = load_contents(server);
	if (r != 0)
		return r;
	r = limits_create(max_connections, config->limits.max_connections_per_address, &gateway->limits);
	if (r == 0)
		r = ticket_office_create(&gateway->tickets);
	if (r == 0)
		r = reload_create(server, &server->reload);
	if (r < 0)
		return refuse("cannot start", NULL, r);
	r = open_store(server);
	if (r == 0)
		r = create_supervisor(server);
	if (r == 0)
		r = create_reactors(server);
	if (r == 0)
		look_for_strangers(server);
	return r < 0 ? r : start_supervisor(gateway);
}

/* --- signals and draining --------------------------------------------------------------------------------------- */

static void stop(struct server *server)
{
	uv_stop(&server->loop);
}

static void on_drain_look(uv_timer_t *timer)
{
	struct server *server = timer->data;
	struct gateway *gateway = &server->gateway;
	bool is_done =
		limits_count(gateway->limits) == 0 && (!gateway->supervisor || supervisor_is_idle(gateway->supervisor));
	bool is_over = clock_monotonic_ns() >= server->drain_until_ns;
	if (is_over && !is_done)
		log_warning("the time to finish is over (limits.drain_timeout): what is left is cut off",
					LOG_NUMBER("connections", limits_count(gateway->limits)));
	if (is_done || is_over)
		stop(server);
}

/* No new connections, then everybody is told to go; who reconnects finds the next process. Those who wait at the
 * listeners are taken in before these close, and get an answer. */
static void drain(uv_timer_t *timer)
{
	struct server *server = timer->data;
	uint64_t timeout_ms = (uint64_t)server->generation->config->limits.drain_timeout_ms;
	acceptor_destroy(STEAL(server->acceptor));
	atomic_store(&server->gateway.is_draining, true);
	for (size_t i = 0; i < server->gateway.n_reactors; i++)
		reactor_drain(server->gateway.reactors[i]);
	if (server->gateway.supervisor)
		supervisor_drain(server->gateway.supervisor);
	server->drain_until_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
	(void)uv_timer_start(timer, on_drain_look, 0, DRAIN_LOOK_MS);
}

/* Readiness first: whoever looks at it sends nobody more. */
static void begin_drain(struct server *server)
{
	uint64_t grace_ms = (uint64_t)server->generation->config->limits.drain_grace_ms;
	log_info("stopping", LOG_NUMBER("connections", limits_count(server->gateway.limits)));
	notify("STOPPING=1");
	atomic_store(&server->gateway.is_stopping, true);
	reload_stop(server->reload);
	if (grace_ms)
		(void)uv_timer_start(&server->drain, drain, grace_ms, 0);
	else
		drain(&server->drain);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct server *server = signal->data;
	if (number == SIGHUP)
		reload_on_signal(server->reload);
	else if (atomic_load(&server->gateway.is_stopping))
		stop(server); /* asked twice: at once */
	else
		begin_drain(server);
}

/* A SIGHUP that came while the configuration was read has waited (main()). */
static void unblock_reload(void)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void watch_signals(struct server *server)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGUSR1, SIG_IGN);
	(void)signal(SIGUSR2, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		(void)uv_signal_init(&server->loop, &server->signals[i]);
		server->signals[i].data = server;
		(void)uv_signal_start(&server->signals[i], on_signal, numbers[i]);
	}
	unblock_reload();
	(void)uv_timer_init(&server->loop, &server->drain);
	server->drain.data = server;
}

/* --- running ------------------------------------------------------------------------------------------------------ */

static int open_listeners(struct server *server)
{
	struct acceptor_switch *change = NULL;
	char *message = NULL;
	int r = acceptor_create(&server->gateway, &server->loop, &server->acceptor);
	if (r == 0)
		r = acceptor_switch_create(server->acceptor, server->generation->config, &server->contents, &change, &message);
	if (r < 0)
		return refuse("cannot listen", message, r);
	acceptor_switch(server->acceptor, change);
	return 0;
}

static int start_fetcher(struct server *server)
{
	if (!server->generation->config->subscribers.jwks_url)
		return 0;
	int r = key_fetcher_start(&server->gateway, server->generation, &server->fetcher);
	if (r < 0)
		return refuse("cannot start a thread", NULL, r);
	key_fetcher_go_on(server->fetcher, NULL);
	return 0;
}

static int serve(struct server *server)
{
	int r = open_listeners(server);
	if (r == 0)
		r = start_fetcher(server);
	if (r < 0)
		return r;
	r = watchdog_create(&server->gateway, &server->loop, &server->watchdog);
	if (r < 0)
		return refuse("cannot start", NULL, r);
	log_info("ready", LOG_TEXT("version", BELFRY_VERSION));
	notify("READY=1");
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	return 0;
}

static void close_handle(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* What may still call something goes before it: reload, fetcher, listeners, reactors' threads, the supervisor's, store,
 * the rest.
 */
static void take_apart(struct server *server)
{
	struct gateway *gateway = &server->gateway;
	reload_finish(server->reload);
	key_fetcher_stop(server->fetcher);
	acceptor_destroy(STEAL(server->acceptor));
	for (size_t i = 0; i < gateway->n_reactors; i++)
		reactor_stop(gateway->reactors[i]);
	supervisor_stop(gateway->supervisor);
	store_close(gateway->store);
	supervisor_destroy(gateway->supervisor);
	for (size_t i = 0; i < gateway->n_reactors; i++)
		reactor_destroy(gateway->reactors[i]);
	free(gateway->reactors);
	ticket_office_destroy(gateway->tickets);
	limits_destroy(gateway->limits);
	token_keys_unref(gateway->keys);
	(void)pthread_mutex_destroy(&gateway->keys_lock);
	contents_finish(&server->contents);
	generation_unref(server->generation);
	reload_destroy(server->reload);
	uv_walk(&server->loop, close_handle, NULL);
	(void)uv_run(&server->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&server->loop);
	watchdog_destroy(server->watchdog);
}

int daemon_run(const char *path, struct config *config)
{
	struct server server = { .path = path };
	if (generation_create(config, "start", &server.generation) < 0)
		return refuse("cannot start", NULL, -ENOMEM);
	if (uv_loop_init(&server.loop) < 0) {
		generation_unref(server.generation);
		return refuse("cannot start", NULL, -ENOMEM);
	}
	watch_signals(&server);
	int r = build_gateway(&server);
	if (r == 0)
		r = serve(&server);
	take_apart(&server);
	if (r == 0)
		log_info("stopped");
	return r;
}
