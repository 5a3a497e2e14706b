/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reload.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/contents.h"
#include "config/difference.h"
#include "config/program.h"
#include "daemon/notify.h"
#include "net/reactor.h"

#include <errno.h>
#include <stdio.h>

/* So many changes are told in the log by themselves. */
#define MAX_LOGGED_CHANGES 32

/* A configuration on its way, and those who wait for it. */
struct candidate {
	struct server *server;
	struct reload_request *requests;
	bool is_by_signal, is_to_stay; /* or else only a rehearsal */
	/* made by the loader's thread */
	struct complaints complaints;
	struct generation *before, *generation; /* references; what is being loaded is NULL if it is refused */
	struct differences differences;
	struct contents contents;
	struct reactor_switch **reactors; /* by reactor */
	/* made by the main thread, when nothing is wrong with that */
	struct acceptor_switch *listeners;
	struct supervisor *new_supervisor;
	struct supervisor_switch *handlers;
	struct key_fetcher *new_fetcher;
	bool is_held; /* the fetcher of keys that there is */
};

struct reload {
	struct server *server;
	uv_async_t wake;
	pthread_mutex_t lock;
	struct reload_request *asked; /* {lock} */
	bool is_signalled, is_stopped;
	struct candidate *candidate; /* NULL: nothing is under way */
	pthread_t thread;
	bool has_thread;
	atomic_bool is_loaded;
	atomic_size_t n_switching; /* threads that do not go by it yet; 0: nothing is being switched */
	bool is_switching;
};

/* --- what is answered --------------------------------------------------------------------------------------------- */

static bool is_refused(const struct candidate *candidate)
{
	return candidate->complaints.n_errors > 0;
}

static void add_changes(struct buffer *json, const struct candidate *candidate)
{
	buffer_add_text(json, ",\"changes\":[");
	for (size_t i = 0; i < candidate->differences.n; i++) {
		const struct difference *difference = &candidate->differences.items[i];
		buffer_add_text(json, i ? ",{\"option\":" : "{\"option\":");
		buffer_add_json(json, span_text(difference->option));
		buffer_add_json_member(json, "change", span_text(difference_word(difference->change)));
		buffer_add_char(json, '}');
	}
	buffer_add_char(json, ']');
}

static void add_complaints(struct buffer *json, const struct complaints *complaints)
{
	buffer_add_text(json, ",\"complaints\":[");
	for (size_t i = 0; i < complaints->n; i++) {
		buffer_add_text(json, i ? ",{\"is_warning\":" : "{\"is_warning\":");
		buffer_add_text(json, complaints->items[i].is_warning ? "true" : "false");
		buffer_add_json_member(json, "text", span_text(complaints->items[i].text));
		buffer_add_char(json, '}');
	}
	buffer_add_text(json, "]}\n");
}

static void add_answer(struct buffer *json, const struct candidate *candidate)
{
	if (is_refused(candidate))
		buffer_add_text(json, "{\"ok\":false,\"error\":\"refused\",\"message\":\"the configuration is refused: "
							  "the one that is in force stays\"");
	else
		buffer_add_text(json, "{\"ok\":true");
	add_changes(json, candidate);
	add_complaints(json, &candidate->complaints);
}

static void answer_all(struct reload_request *requests, int status, struct span json)
{
	while (requests) {
		struct reload_request *request = requests;
		requests = request->next; /* it may go */
		request->on_done(request, status, json);
	}
}

static void answer(struct candidate *candidate)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	add_answer(&json, candidate);
	if (json.failed || candidate->complaints.failed || candidate->differences.failed)
		answer_all(STEAL(candidate->requests), 503,
				   SPAN("{\"error\":\"unavailable\",\"message\":\"out of memory\"}\n"));
	else
		answer_all(STEAL(candidate->requests), is_refused(candidate) ? 422 : 200, buffer_span(&json));
}

/* --- what is logged ----------------------------------------------------------------------------------------------- */

static const char *who(const struct candidate *candidate)
{
	return candidate->is_by_signal ? "SIGHUP" : candidate->requests ? candidate->requests->by : "nobody";
}

static void log_changes(const struct differences *differences)
{
	for (size_t i = 0; i < differences->n && i < MAX_LOGGED_CHANGES; i++)
		log_info("configuration", LOG_TEXT("option", differences->items[i].option),
				 LOG_TEXT("change", difference_word(differences->items[i].change)));
}

static void log_end(const struct candidate *candidate)
{
	if (candidate->is_by_signal) /* whoever asked at the admin listener has them already */
		server_log_complaints(&candidate->complaints);
	if (is_refused(candidate)) {
		log_error("the configuration is refused: the one that is in force stays", LOG_TEXT("by", who(candidate)),
				  LOG_NUMBER("errors", candidate->complaints.n_errors));
		return;
	}
	log_changes(&candidate->differences);
	log_info("reloaded", LOG_TEXT("by", who(candidate)), LOG_NUMBER("changes", candidate->differences.n));
}

/* --- loading, on a thread of its own ------------------------------------------------------------------------------ */

static void complain(struct candidate *candidate, const char *text)
{
	complaints_add(&candidate->complaints, false, NULL, 0, 0, "%s", text);
}

static void complain_of(struct candidate *candidate, int r)
{
	if (r < 0)
		complain(candidate, strerrordesc_np(-r));
}

static void refuse_restarts(struct candidate *candidate)
{
	for (size_t i = 0; i < candidate->differences.n; i++)
		if (candidate->differences.items[i].needs_restart)
			complaints_add(&candidate->complaints, false, NULL, 0, 0,
						   "%s: a gateway that runs cannot change this; restart it, or leave it as it was",
						   candidate->differences.items[i].option);
}

static const struct certificate *certificate_at(const struct config *config, const struct contents *contents,
												const char *address)
{
	for (size_t i = 0; i < contents->n_certificates; i++)
		if (contents->certificates[i] && strcmp(config->listeners[i].address.text, address) == 0)
			return contents->certificates[i];
	return NULL;
}

static bool is_another(const struct certificate *before, const struct certificate *after)
{
	return before && after && !certificate_is_same(before, after);
}

/* The file may be another one by now, under the same name. */
static void compare_certificates(struct candidate *candidate)
{
	const struct config *before = candidate->before->config, *after = candidate->generation->config;
	const struct contents *old = &candidate->server->contents, *new = &candidate->contents;
	for (size_t i = 0; i < new->n_certificates; i++) {
		const char *address = after->listeners[i].address.text;
		CLEANUP(buffer_finish) struct buffer option = BUFFER_INIT;
		if (!is_another(certificate_at(before, old, address), new->certificates[i]))
			continue;
		buffer_add_printf(&option, "listen.tls.certificate of %s", address);
		differences_add(&candidate->differences, buffer_steal_text(&option), SCHEMA_CHANGED, false);
	}
	if (is_another(old->admin_certificate, new->admin_certificate) &&
		strcmp(before->admin.listener.certificate, after->admin.listener.certificate) == 0)
		differences_add(&candidate->differences, span_dup(SPAN("admin.tls.certificate")), SCHEMA_CHANGED, false);
}

static void on_switched(void *context)
{
	struct reload *reload = context;
	if (atomic_fetch_sub(&reload->n_switching, 1) == 1)
		(void)uv_async_send(&reload->wake);
}

static int make_reactor_switch(struct candidate *candidate, struct reactor_switch **ret_switch)
{
	struct setup *setup = NULL;
	int r = setup_create(candidate->generation, &setup);
	return r < 0 ? r : reactor_switch_create(setup, on_switched, candidate->server->reload, ret_switch);
}

static int make_reactor_switches(struct candidate *candidate)
{
	size_t n = candidate->server->gateway.n_reactors;
	candidate->reactors = calloc(n, sizeof(struct reactor_switch *));
	int r = candidate->reactors ? 0 : -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = make_reactor_switch(candidate, &candidate->reactors[i]);
	return r;
}

static int load_contents(struct candidate *candidate)
{
	struct key_fetcher *fetcher = candidate->server->fetcher;
	CLEANUP(buffer_finish) struct buffer fetched = BUFFER_INIT;
	if (fetcher)
		key_fetcher_hold(fetcher, &fetched);
	candidate->is_held = fetcher;
	const struct config *config = candidate->generation->config;
	if (fetched.failed)
		return -ENOMEM;
	return contents_load(config, config->subscribers.jwks_url ? buffer_span(&fetched) : SPAN(""), clock_wall_ms(),
						 &candidate->complaints, &candidate->contents);
}

static int load_generation(struct candidate *candidate)
{
	struct config *config = NULL;
	int r = config_load(candidate->server->path, &candidate->complaints, &config);
	if (r != CONFIG_OK)
		return r < 0 && candidate->complaints.n_errors == 0 ? r : 0; /* complained of */
	return generation_create(config, who(candidate), &candidate->generation);
}

static void load(struct candidate *candidate)
{
	int r = load_generation(candidate);
	if (r == 0 && candidate->generation) {
		differences_find(candidate->before->config, candidate->generation->config, &candidate->differences);
		refuse_restarts(candidate);
		r = load_contents(candidate);
		compare_certificates(candidate);
	}
	if (r == 0 && !is_refused(candidate))
		r = make_reactor_switches(candidate);
	complain_of(candidate, r);
}

static void *run_loader(void *argument)
{
	struct reload *reload = argument;
	load(reload->candidate);
	atomic_store(&reload->is_loaded, true);
	(void)uv_async_send(&reload->wake);
	return NULL;
}

/* --- building, on the main thread --------------------------------------------------------------------------------- */

static int build_listeners(struct candidate *candidate)
{
	char *message = NULL;
	int r = acceptor_switch_create(candidate->server->acceptor, candidate->generation->config, &candidate->contents,
								   &candidate->listeners, &message);
	if (message)
		complain(candidate, message);
	free(message);
	return r == -EINVAL ? 0 : r;
}

/* The first handlers need a supervisor, which begins with them at once: so it is the last of all. */
static int build_supervisor(struct reload *reload, struct candidate *candidate)
{
	struct gateway *gateway = &candidate->server->gateway;
	if (gateway->supervisor)
		return supervisor_switch_create(gateway->supervisor, candidate->generation, on_switched, reload,
										&candidate->handlers);
	if (candidate->generation->config->n_handlers == 0)
		return 0;
	int r = supervisor_create(candidate->generation, gateway->store, &candidate->new_supervisor);
	return r < 0 ? r : supervisor_start(candidate->new_supervisor);
}

static int build_fetcher(struct candidate *candidate)
{
	struct server *server = candidate->server;
	if (server->fetcher || !candidate->generation->config->subscribers.jwks_url)
		return 0;
	return key_fetcher_start(&server->gateway, candidate->generation, &candidate->new_fetcher);
}

/* What it cannot be, is complained of. */
static void build(struct reload *reload, struct candidate *candidate)
{
	int r = build_listeners(candidate);
	if (r == 0 && !is_refused(candidate))
		r = build_fetcher(candidate);
	if (r == 0 && !is_refused(candidate))
		r = build_supervisor(reload, candidate);
	complain_of(candidate, r);
}

/* --- switching ---------------------------------------------------------------------------------------------------- */

static void switch_handlers(struct candidate *candidate)
{
	struct gateway *gateway = &candidate->server->gateway;
	if (candidate->new_supervisor)
		gateway->supervisor = STEAL(candidate->new_supervisor);
	if (candidate->handlers)
		supervisor_switch(gateway->supervisor, STEAL(candidate->handlers));
}

/* Behind the reactors' switch: they close the sessions of keys that are gone. */
static void switch_keys(struct candidate *candidate)
{
	struct server *server = candidate->server;
	if (candidate->new_fetcher)
		server->fetcher = STEAL(candidate->new_fetcher);
	gateway_set_keys(&server->gateway, STEAL(candidate->contents.keys));
	if (server->fetcher)
		key_fetcher_go_on(server->fetcher, candidate->generation);
	candidate->is_held = false;
}

/* Nothing of this can fail. Handlers first: a callback that is routed to one finds it. */
static void switch_all(struct reload *reload, struct candidate *candidate)
{
	struct server *server = candidate->server;
	struct generation *old = server->generation;
	size_t n_reactors = server->gateway.n_reactors;
	reload->is_switching = true;
	atomic_store(&reload->n_switching, n_reactors + (candidate->handlers ? 1 : 0));
	switch_handlers(candidate);
	for (size_t i = 0; i < n_reactors; i++)
		reactor_switch(server->gateway.reactors[i], STEAL(candidate->reactors[i]));
	switch_keys(candidate);
	contents_finish(&server->contents);
	server->contents = candidate->contents;
	candidate->contents = CONTENTS_INIT;
	atomic_store(&server->gateway.certificate_end_ms, contents_first_end_ms(&server->contents));
	server->generation = generation_ref(candidate->generation);
	generation_unref(old);
	server_apply_settings(server);
}

/* --- from the beginning to the end -------------------------------------------------------------------------------- */

static void candidate_destroy(struct candidate *candidate)
{
	size_t n_reactors = candidate->server->gateway.n_reactors;
	if (candidate->is_held)
		key_fetcher_go_on(candidate->server->fetcher, NULL);
	key_fetcher_stop(candidate->new_fetcher);
	supervisor_stop(candidate->new_supervisor);
	supervisor_destroy(candidate->new_supervisor);
	supervisor_switch_destroy(candidate->handlers);
	acceptor_switch_destroy(candidate->listeners);
	for (size_t i = 0; candidate->reactors && i < n_reactors; i++)
		reactor_switch_destroy(candidate->reactors[i]);
	free(candidate->reactors);
	contents_finish(&candidate->contents);
	differences_finish(&candidate->differences);
	complaints_finish(&candidate->complaints);
	generation_unref(candidate->generation);
	generation_unref(candidate->before);
	free(candidate);
}

static void begin(struct reload *reload);

static void end(struct reload *reload)
{
	struct candidate *candidate = STEAL(reload->candidate);
	if (candidate->is_to_stay)
		log_end(candidate);
	if (candidate->is_to_stay && !reload->is_stopped)
		notify("READY=1");
	answer(candidate);
	candidate_destroy(candidate);
	begin(reload);
}

static void on_loaded(struct reload *reload)
{
	struct candidate *candidate = reload->candidate;
	(void)pthread_join(reload->thread, NULL);
	reload->has_thread = false;
	if (reload->is_stopped)
		complain(candidate, "the gateway is stopping");
	if (!is_refused(candidate) && candidate->is_to_stay)
		build(reload, candidate);
	if (is_refused(candidate) || !candidate->is_to_stay)
		end(reload);
	else
		switch_all(reload, candidate);
}

static struct reload_request *take_requests(struct reload *reload)
{
	(void)pthread_mutex_lock(&reload->lock);
	struct reload_request *requests = STEAL(reload->asked);
	(void)pthread_mutex_unlock(&reload->lock);
	return requests;
}

static bool wants_more(const struct reload_request *requests)
{
	while (requests && requests->is_rehearsal)
		requests = requests->next;
	return requests;
}

/* systemd.service(5): what is announced so is waited for until READY=1. */
static void announce(void)
{
	char state[64];
	(void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%llu",
				   (unsigned long long)(clock_monotonic_ns() / NS_PER_US));
	notify(state);
}

static int start_loader(struct reload *reload, struct candidate *candidate)
{
	candidate->server = reload->server;
	candidate->complaints = COMPLAINTS_INIT;
	candidate->before = generation_ref(reload->server->generation);
	reload->candidate = candidate;
	atomic_store(&reload->is_loaded, false);
	if (candidate->is_to_stay)
		announce();
	int r = pthread_create(&reload->thread, NULL, run_loader, reload);
	reload->has_thread = r == 0;
	return -r;
}

static void refuse_all(struct reload_request *requests, const char *why)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	buffer_add_text(&json, "{\"error\":\"unavailable\"");
	buffer_add_json_member(&json, "message", span_text(why));
	buffer_add_text(&json, "}\n");
	answer_all(requests, 503, buffer_span(&json));
}

/* The next one, if anybody has asked for it and none is under way. */
static void begin(struct reload *reload)
{
	if (reload->is_stopped)
		refuse_all(take_requests(reload), "the gateway is stopping");
	if (reload->is_stopped || reload->candidate)
		return;
	struct reload_request *requests = take_requests(reload);
	bool is_signalled = reload->is_signalled;
	if (!requests && !is_signalled)
		return;
	reload->is_signalled = false;
	struct candidate *candidate = calloc(1, sizeof *candidate);
	if (!candidate) {
		log_error("cannot reload", LOG_ERRNO(ENOMEM));
		refuse_all(requests, "out of memory");
		return;
	}
	candidate->requests = requests;
	candidate->is_by_signal = is_signalled;
	candidate->is_to_stay = is_signalled || wants_more(requests);
	int r = start_loader(reload, candidate);
	if (r < 0) {
		complain_of(candidate, r);
		end(reload);
	}
}

/* Who comes by a new listener meets reactors that know of it. */
static void on_all_switched(struct reload *reload)
{
	struct candidate *candidate = reload->candidate;
	reload->is_switching = false;
	if (!reload->is_stopped)
		acceptor_switch(candidate->server->acceptor, STEAL(candidate->listeners));
	end(reload);
}

static void on_wake(uv_async_t *wake)
{
	struct reload *reload = wake->data;
	if (reload->has_thread && atomic_load(&reload->is_loaded))
		on_loaded(reload);
	if (reload->is_switching && atomic_load(&reload->n_switching) == 0)
		on_all_switched(reload);
	begin(reload);
}

void reload_on_signal(struct reload *reload)
{
	reload->is_signalled = true;
	begin(reload);
}

static void ask(struct gateway *gateway, struct reload_request *request)
{
	struct server *server = CONTAINER_OF(gateway, struct server, gateway);
	struct reload *reload = server->reload;
	(void)pthread_mutex_lock(&reload->lock);
	request->next = reload->asked;
	reload->asked = request;
	(void)pthread_mutex_unlock(&reload->lock);
	(void)uv_async_send(&reload->wake);
}

int reload_create(struct server *server, struct reload **ret_reload)
{
	struct reload *reload = calloc(1, sizeof *reload);
	if (!reload)
		return -ENOMEM;
	reload->server = server;
	(void)pthread_mutex_init(&reload->lock, NULL);
	if (uv_async_init(&server->loop, &reload->wake, on_wake) < 0) {
		(void)pthread_mutex_destroy(&reload->lock);
		free(reload);
		return -ENOMEM;
	}
	reload->wake.data = reload;
	server->gateway.ask_reload = ask;
	*ret_reload = reload;
	return 0;
}

void reload_stop(struct reload *reload)
{
	reload->is_stopped = true;
	program_stop_all(); /* nobody is to wait for a plugin that does not describe itself */
	begin(reload);
}

void reload_finish(struct reload *reload)
{
	if (!reload)
		return;
	reload_stop(reload);
	if (reload->has_thread)
		on_loaded(reload);
	if (reload->candidate)
		refuse_all(STEAL(reload->candidate->requests), "the gateway is stopping");
}

static void on_wake_closed(uv_handle_t *handle)
{
	struct reload *reload = handle->data;
	(void)pthread_mutex_destroy(&reload->lock);
	free(reload);
}

void reload_destroy(struct reload *reload)
{
	if (!reload)
		return;
	if (reload->candidate)
		candidate_destroy(reload->candidate);
	uv_close((uv_handle_t *)&reload->wake, on_wake_closed);
}
