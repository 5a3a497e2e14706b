/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry_profile: when a conference could not be made, updates the event at Cronofy with the next conferencing profile
 * of a list.
 *
 * What it must not do: offer a profile that has failed, start over for a callback that comes twice or late, bring back
 * an event that was deleted, replace a conference that was made meanwhile, lose what the event had. So it asks the
 * journal and the calendar first, sends back what it read there, and writes each try down before it makes it
 * (history.h).
 *
 * The update subscribes again, as an update without subscriptions has none; at a URI whose tag `retry` makes the next
 * failure another callback than this one, though its body may be the same byte for byte.
 */
#include "cronofy.h"
#include "history.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_TAGS 64
/* A time without a zone is somewhere on earth. */
#define ANYWHERE_S 43200

static const char *const data_centers[] = { "us", "au", "ca", "de", "sg", "uk", NULL };

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, profiles, BELFRY_LIST, .entry = BELFRY_STRING, .is_required = true, .least = 1,
				  .most = MAX_PROFILES, .example = "pro_zoom_backup",
				  .help = "conferencing profiles in the order in which they are tried: ids, integrated, default"),
	BELFRY_OPTION(struct conf, data_center, BELFRY_ENUM, .names = data_centers, .fallback = "us",
				  .help = "where the accounts live"),
	BELFRY_OPTION(struct conf, api_url, BELFRY_URL, .example = "http://127.0.0.1:8090",
				  .help = "another server than the data center's, as a simulator's"),
	BELFRY_OPTION(struct conf, profile_tag, BELFRY_STRING, .fallback = "profile_id",
				  .help = "the tag with the profile that the application asked for: it is not tried again"),
	BELFRY_OPTION(struct conf, calendar_tag, BELFRY_STRING, .fallback = "calendar_id",
				  .help = "the tag with the calendar's id"),
	BELFRY_OPTION(struct conf, calendar_id, BELFRY_STRING, .example = "cal_n23kjnwrw2_jsdfjksn234",
				  .help =
					  "the calendar of callbacks without that tag; absent: all of the account's are looked through"),
	BELFRY_OPTION(struct conf, token_url, BELFRY_URL, .example = "https://app.example.com/internal/cronofy-token",
				  .help = "who gives access tokens; is posted the tags, answers {\"access_token\":...}"),
	BELFRY_OPTION(struct conf, token_secret, BELFRY_SECRET, .help = "the bearer token that token_url asks for"),
	BELFRY_OPTION(struct conf, accounts, BELFRY_MAP, .entry = BELFRY_SECRET, .least = 0, .most = 1000,
				  .help = "instead of token_url: refresh tokens by the accounts' names"),
	BELFRY_OPTION(struct conf, account_tag, BELFRY_STRING, .fallback = "account",
				  .help = "the tag with the account's name, where there are several"),
	BELFRY_OPTION(struct conf, client_id, BELFRY_STRING, .example = "abc", .help = "the application's, for accounts"),
	BELFRY_OPTION(struct conf, client_secret, BELFRY_SECRET, .help = "the application's, for accounts"),
	BELFRY_OPTION(struct conf, patience, BELFRY_DURATION, .fallback = "0s", .least = 0, .most = 604800000,
				  .help = "how long Cronofy may try by itself after a failure without profile_missing or "
						  "missing_meeting_url; 0s: for ever"),
	BELFRY_END,
};

/* ---- work ---- */

bool work_end(struct work *work, int outcome, const char *format, ...)
{
	char reason[1001];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	work->host->reason(work->host, "%s", reason);
	work->outcome = outcome;
	return false;
}

bool work_end_without_memory(struct work *work)
{
	return work_end(work, BELFRY_RETRY, "not enough memory");
}

const char *work_tag(const struct work *work, const char *name)
{
	for (size_t i = 0; i < work->delivery->n_tags; i++)
		if (strcmp(work->delivery->tags[i].name, name) == 0)
			return work->delivery->tags[i].value;
	return NULL;
}

/* ---- options ---- */

static const char *judge_options(const struct conf *conf)
{
	bool has_accounts = conf->accounts.n > 0;
	if (has_accounts == (conf->token_url != NULL))
		return "either token_url or accounts must say where access tokens come from";
	if (has_accounts && (!conf->client_id || !conf->client_secret))
		return "accounts need client_id and client_secret";
	for (size_t i = 0; i < conf->profiles.n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(conf->profiles.entries[i].text, conf->profiles.entries[j].text) == 0)
				return "profiles has an entry twice";
	return NULL;
}

/* What URLs are appended to. */
static void cut_slashes(char *url)
{
	size_t n = url ? strlen(url) : 0;
	while (n && url[n - 1] == '/')
		url[--n] = '\0';
}

static void destroy(void *self)
{
	struct conf *conf = self;
	free((char *)(uintptr_t)conf->api_url);
	free(conf);
}

static int create(const struct belfry_host *host, const void *given, void **ret_self)
{
	const char *complaint = judge_options(given);
	if (complaint) {
		host->log(host, BELFRY_ERROR, "%s", complaint);
		return -EINVAL;
	}
	struct conf *conf = malloc(sizeof *conf);
	if (!conf)
		return -ENOMEM;
	memcpy(conf, given, sizeof *conf);
	char *api_url = conf->api_url ? strdup(conf->api_url) : NULL;
	cut_slashes(api_url);
	if (conf->api_url && !api_url) {
		free(conf);
		return -ENOMEM;
	}
	conf->api_url = api_url;
	*ret_self = conf;
	return 0;
}

/* ---- time ---- */

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "+02:00", "-0330", "Z"; false if it is none of these. */
static bool read_zone(const char *text, int *ret_seconds)
{
	int hours, minutes, n = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret_seconds = 0;
		return true;
	}
	if ((*text != '+' && *text != '-') || (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 &&
										   sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &n) != 2))
		return false;
	*ret_seconds = (hours * 60 + minutes) * (*text == '-' ? -60 : 60);
	return text[1 + n] == '\0';
}

/* Seconds since 1970 of a date, or of a time with or without a zone; false if it is neither. */
static bool read_time(const char *text, int64_t *ret_s)
{
	struct tm tm = { 0 };
	int zone_s = -ANYWHERE_S; /* at the latest */
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	if (rest && *rest == 'T')
		rest = strptime(rest, "T%H:%M:%S", &tm);
	if (rest && *rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (!rest || (*rest && !read_zone(rest, &zone_s)))
		return false;
	*ret_s = (int64_t)timegm(&tm) - zone_s;
	return true;
}

/* When the event begins, in each of Cronofy's three forms. */
static bool read_start(struct work *work, int64_t *ret_s)
{
	const char *text = work->host->field(work->host, "/event/start/time", NULL);
	if (!text)
		text = work->host->field(work->host, "/event/start", NULL);
	if (!text)
		return work_end(work, BELFRY_REJECT, "the callback has no event.start");
	return read_time(text, ret_s) || work_end(work, BELFRY_REJECT, "event.start is no time: %.100s", text);
}

/* ---- whether there is something to do ---- */

static bool is_for_a_profile(const char *subtype)
{
	return strcmp(subtype, "profile_missing") == 0 || strcmp(subtype, "missing_meeting_url") == 0;
}

/* Without such a subtype Cronofy itself keeps trying, and calls back if it succeeds. */
static bool was_patient(struct work *work)
{
	int64_t patience_ms = work->conf->patience, left_ms = work->delivery->received_ms + patience_ms - now_ms();
	if (is_for_a_profile(work->delivery->subtype))
		return true;
	if (patience_ms == 0)
		return work_end(work, BELFRY_DONE, "Cronofy keeps trying by itself");
	if (left_ms <= 0)
		return true;
	work->host->retry_after(work->host, left_ms);
	return work_end(work, BELFRY_RETRY, "Cronofy may try by itself for another %lld s", (long long)left_ms / 1000 + 1);
}

static bool has_link(const json_t *event)
{
	const char *link = json_string_value(json_object_get(json_object_get(event, "conferencing"), "join_url"));
	return link && *link;
}

/* Whether the newest callback about this event has no conference either. */
static bool is_still_failing(struct work *work)
{
	const char *body;
	size_t n;
	int r = work->host->latest(work->host, work->delivery->event_id, &body, &n);
	if (r == -ENOENT)
		return true;
	if (r < 0)
		return work_end(work, BELFRY_RETRY, "the journal cannot be read: %s", strerror(-r));
	json_t *latest = json_loadb(body, n, 0, NULL);
	bool has_one = has_link(json_object_get(latest, "event"));
	json_decref(latest);
	return !has_one || work_end(work, BELFRY_DONE, "superseded: the event has got its conference");
}

static bool is_ahead(struct work *work, int64_t start_s)
{
	return start_s * 1000 > now_ms() ||
		   work_end(work, BELFRY_REJECT, "the event has begun: it would get no conference any more");
}

/* ---- the next profile ---- */

static const char *find_next(const struct work *work, const struct history *history)
{
	const char *asked_for = work_tag(work, work->conf->profile_tag);
	for (size_t i = 0; i < work->conf->profiles.n; i++) {
		const char *profile = work->conf->profiles.entries[i].text;
		if (!history_has(history, profile) && !(asked_for && strcmp(asked_for, profile) == 0))
			return profile;
	}
	return NULL;
}

static bool end_of_list(struct work *work, const struct history *history)
{
	char list[600] = "";
	size_t i, n = 0;
	json_t *tried;
	json_array_foreach(history->tried, i, tried)
	{
		int written = snprintf(list + n, sizeof list - n, "%s%.64s", i ? ", " : "", json_string_value(tried));
		if (written > 0 && n + (size_t)written < sizeof list)
			n += (size_t)written;
	}
	return work_end(work, BELFRY_REJECT, "no profile is left%s%s", n ? ": these have failed: " : "", list);
}

/* Writes the try down. *ret_profile belongs to the configuration. */
static bool begin_try(struct work *work, struct history *history, const char **ret_profile)
{
	const char *profile = find_next(work, history);
	if (!profile)
		return end_of_list(work, history);
	*ret_profile = profile;
	return history_begin(history, work, profile);
}

/* The one that this delivery has begun, if it was interrupted; else the next. */
static bool choose(struct work *work, struct history *history, const char **ret_profile)
{
	if (history_is_stale(history, work))
		return work_end(work, BELFRY_DONE, "superseded: %s was tried since", history_last(history));
	if (!history_is_ours(history, work))
		return begin_try(work, history, ret_profile);
	*ret_profile = history_last(history);
	return !history->is_accepted || work_end(work, BELFRY_DONE, "tried %s: accepted before", *ret_profile);
}

/* ---- the update ---- */

/* With all tags of the callback, but for those that say which try it is. */
static json_t *make_subscription(struct work *work, const struct history *history, const char *profile)
{
	const char *replaced[] = { HISTORY_TAG, work->conf->profile_tag }, *uri;
	struct belfry_tag tags[MAX_TAGS + 2];
	char number[24];
	size_t n = 0;
	(void)snprintf(number, sizeof number, "%lld", (long long)history->n_tries);
	for (size_t i = 0; i < work->delivery->n_tags && n < MAX_TAGS; i++)
		if (strcmp(work->delivery->tags[i].name, replaced[0]) != 0 &&
			strcmp(work->delivery->tags[i].name, replaced[1]) != 0)
			tags[n++] = work->delivery->tags[i];
	tags[n++] = (struct belfry_tag){ replaced[0], number };
	tags[n++] = (struct belfry_tag){ replaced[1], profile };
	int r = work->host->callback_uri(work->host, tags, n, &uri);
	if (r < 0) {
		work->outcome = BELFRY_REJECT; /* the host says why */
		return NULL;
	}
	json_t *subscription = json_pack("{s:s, s:s, s:[{s:s}, {s:s}]}", "type", "webhook", "uri", uri, "interactions",
									 "type", "conferencing_assigned", "type", "conferencing_failing");
	if (!subscription)
		(void)work_end_without_memory(work);
	return subscription;
}

/* What an update takes in the form in which it is read. */
static const char *const kept_fields[] = { "event_id", "summary",      "description", "start",
										   "end",      "tzid",         "location",    "url",
										   "color",    "transparency", "reminders",   "event_private" };

/* Who was invited stays so; their answers are their own. */
static json_t *make_attendees(const json_t *read)
{
	size_t i;
	json_t *attendee, *invite = json_array();
	json_array_foreach(read, i, attendee)
	{
		json_t *email = json_object_get(attendee, "email");
		if (json_is_string(email))
			(void)json_array_append_new(invite, json_pack("{s:O, s:O*}", "email", email, "display_name",
														  json_object_get(attendee, "display_name")));
	}
	return json_pack("{s:o}", "invite", invite);
}

/* The event as it was read, as an update says it. The caller releases it; NULL: the work has ended. */
static json_t *make_update(struct work *work, const struct history *history, const json_t *event, const char *profile)
{
	json_t *subscription = make_subscription(work, history, profile);
	if (!subscription)
		return NULL;
	json_t *update =
		json_pack("{s:{s:s}, s:[o]}", "conferencing", "profile_id", profile, "subscriptions", subscription);
	for (size_t i = 0; update && i < sizeof kept_fields / sizeof *kept_fields; i++) {
		json_t *value = json_object_get(event, kept_fields[i]);
		if (value && !json_is_null(value))
			(void)json_object_set(update, kept_fields[i], value);
	}
	const json_t *attendees = json_object_get(event, "attendees");
	if (update && json_array_size(attendees))
		(void)json_object_set_new(update, "attendees", make_attendees(attendees));
	if (!update)
		(void)work_end_without_memory(work);
	return update;
}

static bool try_profile(struct work *work, struct cronofy *cronofy, struct history *history, const json_t *event,
						const char *profile, bool *ret_is_refused)
{
	json_t *update = make_update(work, history, event, profile);
	bool is_sent = update && cronofy_upsert(cronofy, update, ret_is_refused);
	json_decref(update);
	return is_sent;
}

static bool end_accepted(struct work *work, struct history *history, const char *profile)
{
	size_t n = json_array_size(history->tried);
	const char *before = n > 1 ? json_string_value(json_array_get(history->tried, n - 2)) : NULL;
	history->is_accepted = true;
	return history_save(history, work) && work_end(work, BELFRY_DONE, "tried %.64s%s%.64s: accepted", profile,
												   before ? " after " : "", before ? before : "");
}

/* One profile after the other, until Cronofy accepts one: what becomes of it, another callback says. */
static bool try_profiles(struct work *work, struct cronofy *cronofy, struct history *history, const json_t *event,
						 const char *profile)
{
	bool is_refused = false;
	while (try_profile(work, cronofy, history, event, profile, &is_refused)) {
		if (!is_refused)
			return end_accepted(work, history, profile);
		work->host->log(work->host, BELFRY_WARNING, "Cronofy does not take profile %s", profile);
		if (!begin_try(work, history, &profile))
			return false;
	}
	return false;
}

/* ---- all of it ---- */

static bool retry(struct work *work, struct cronofy *cronofy, struct history *history, int64_t start_s)
{
	const char *profile;
	json_t *event = NULL;
	if (!history_load(history, work) || !choose(work, history, &profile) || !cronofy_begin(cronofy, work) ||
		!cronofy_find_event(cronofy, start_s, &event))
		return false;
	if (has_link(event))
		(void)work_end(work, BELFRY_DONE, "superseded: the event has got its conference");
	else
		(void)try_profiles(work, cronofy, history, event, profile);
	json_decref(event);
	return false;
}

static void handle_failing(struct work *work)
{
	int64_t start_s = 0;
	struct cronofy cronofy = { 0 };
	struct history history = { 0 };
	if (*work->delivery->event_id == '\0')
		(void)work_end(work, BELFRY_REJECT, "the callback has no event.event_id");
	else if (was_patient(work) && is_still_failing(work) && read_start(work, &start_s) && is_ahead(work, start_s))
		(void)retry(work, &cronofy, &history, start_s);
	cronofy_finish(&cronofy);
	history_finish(&history);
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	struct work work = { .conf = self, .host = host, .delivery = delivery, .outcome = BELFRY_RETRY };
	if (strcmp(delivery->interaction, "conferencing_failing") == 0)
		handle_failing(&work);
	else if (strcmp(delivery->interaction, "conferencing_assigned") != 0)
		(void)work_end(&work, BELFRY_DONE, "nothing to do for this interaction");
	else if (history_forget(&work))
		(void)work_end(&work, BELFRY_DONE, "the event has its conference: what was tried is forgotten");
	return work.outcome;
}

BELFRY_PLUGIN(.name = "retry_profile", .version = "1.0",
			  .summary = "updates an event at Cronofy with the next conferencing profile of a list", .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle, .destroy = destroy);
