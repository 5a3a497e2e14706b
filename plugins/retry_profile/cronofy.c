/* SPDX-License-Identifier: Apache-2.0 */
#include "cronofy.h"

#include "token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_S 86400
#define MAX_PAGES 100

static const char *const data_centers[] = { "https://api.cronofy.com",    "https://api-au.cronofy.com",
											"https://api-ca.cronofy.com", "https://api-de.cronofy.com",
											"https://api-sg.cronofy.com", "https://api-uk.cronofy.com" };

/* What may be meant by a calendar: what the application said for this event, then what holds for all. */
static const char *find_calendar(const struct work *work)
{
	const char *tagged = work_tag(work, work->conf->calendar_tag);
	return tagged ? tagged : work->conf->calendar_id;
}

bool cronofy_begin(struct cronofy *cronofy, struct work *work)
{
	const char *calendar = find_calendar(work);
	*cronofy = (struct cronofy){ .work = work };
	cronofy->api = work->conf->api_url ? work->conf->api_url : data_centers[work->conf->data_center];
	if (calendar && !(cronofy->calendar_id = strdup(calendar)))
		return work_end_without_memory(work);
	return token_get(work, cronofy->api, NULL, &cronofy->access_token);
}

void cronofy_finish(struct cronofy *cronofy)
{
	token_free(cronofy->access_token);
	free(cronofy->calendar_id);
}

/* ---- requests ---- */

static const struct {
	int64_t status;
	int outcome;
	const char *words;
} statuses[] = { { 401, BELFRY_REJECT, "the access token is refused" },
				 { 402, BELFRY_REJECT, "the application's plan does not allow it" },
				 { 403, BELFRY_REJECT, "the access token may not do that" },
				 { 404, BELFRY_REJECT, "there is no such calendar" },
				 { 423, BELFRY_RETRY, "the account is locked" },
				 { 429, BELFRY_RETRY, "too many requests" } };

static bool judge(struct cronofy *cronofy, const struct belfry_response *response)
{
	if (response->status >= 200 && response->status <= 299)
		return true;
	if (response->retry_after_ms >= 0)
		cronofy->work->host->retry_after(cronofy->work->host, response->retry_after_ms);
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].status == response->status)
			return work_end(cronofy->work, statuses[i].outcome, "Cronofy answered %lld: %s",
							(long long)response->status, statuses[i].words);
	return work_end(cronofy->work, response->status >= 500 ? BELFRY_RETRY : BELFRY_REJECT, "Cronofy answered %lld",
					(long long)response->status);
}

static bool send_once(struct cronofy *cronofy, const char *url, const char *body, struct belfry_response *ret_response)
{
	char *authorization = NULL;
	if (asprintf(&authorization, "Bearer %s", cronofy->access_token) < 0)
		return work_end_without_memory(cronofy->work);
	const struct belfry_header headers[] = { { "Authorization", authorization },
											 { "Content-Type", "application/json; charset=utf-8" } };
	struct belfry_request request = { .size = sizeof request,
									  .url = url,
									  .headers = headers,
									  .n_headers = body ? 2 : 1,
									  .body = body,
									  .n_body = body ? strlen(body) : 0 };
	*ret_response = (struct belfry_response){ .size = sizeof *ret_response };
	int r = cronofy->work->host->http(cronofy->work->host, &request, ret_response);
	token_free(authorization);
	if (r < 0)
		cronofy->work->outcome = r == -EACCES || r == -EINVAL ? BELFRY_REJECT : BELFRY_RETRY; /* the host says why */
	return r == 0;
}

/* A GET without a body, else a POST; any status is an answer. */
static bool send_request(struct cronofy *cronofy, const char *url, const char *body,
						 struct belfry_response *ret_response)
{
	if (!send_once(cronofy, url, body, ret_response))
		return false;
	if (ret_response->status != 401 || cronofy->is_token_renewed)
		return true;
	char *refused = cronofy->access_token;
	cronofy->is_token_renewed = true;
	cronofy->access_token = NULL;
	bool is_renewed = token_get(cronofy->work, cronofy->api, refused, &cronofy->access_token);
	token_free(refused);
	return is_renewed && send_once(cronofy, url, body, ret_response);
}

/* The caller frees it; NULL without memory. */
static char *percent_encode(const char *raw)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *text = malloc(strlen(raw) * 3 + 1), *end = text;
	if (!text)
		return NULL;
	for (; *raw; raw++) {
		if (strchr(unreserved, *raw))
			*end++ = *raw;
		else
			end += sprintf(end, "%%%02X", (unsigned char)*raw);
	}
	*end = '\0';
	return text;
}

/* ---- reading ---- */

static void make_date(int64_t seconds, char date[static 16])
{
	struct tm tm = { 0 };
	time_t when = (time_t)seconds;
	if (!gmtime_r(&when, &tm) || strftime(date, 16, "%Y-%m-%d", &tm) == 0)
		*date = '\0';
}

/* Of the days around the event. include_managed: it is the application's own. The caller frees it. */
static char *first_page(const struct cronofy *cronofy, int64_t start_s)
{
	char from[16], to[16], *url = NULL, *calendar = NULL;
	make_date(start_s - DAY_S, from);
	make_date(start_s + 2 * DAY_S, to); /* which is not included */
	if (cronofy->calendar_id && !(calendar = percent_encode(cronofy->calendar_id)))
		return NULL;
	if (asprintf(&url, "%s/v1/events?tzid=Etc%%2FUTC&include_managed=true&localized_times=true&from=%s&to=%s%s%s",
				 cronofy->api, from, to, calendar ? "&calendar_ids%5B%5D=" : "", calendar ? calendar : "") < 0)
		url = NULL;
	free(calendar);
	return url;
}

/* Another host must not get the token. */
static bool is_on_api(const struct cronofy *cronofy, const char *url)
{
	size_t n = strlen(cronofy->api);
	return strncmp(url, cronofy->api, n) == 0 && url[n] == '/';
}

static bool is_wanted(const struct cronofy *cronofy, json_t *event, const char **ret_calendar)
{
	const char *id = NULL, *calendar = NULL;
	int is_deleted = 0;
	if (json_unpack(event, "{s:s, s:s, s?b}", "event_id", &id, "calendar_id", &calendar, "deleted", &is_deleted) != 0)
		return false;
	*ret_calendar = calendar;
	return !is_deleted && strcmp(id, cronofy->work->delivery->event_id) == 0 &&
		   (!cronofy->calendar_id || strcmp(calendar, cronofy->calendar_id) == 0);
}

/* Looks through one page; *event is what has been found so far. */
static bool search_page(struct cronofy *cronofy, json_t *page, json_t **event)
{
	size_t i;
	json_t *candidate;
	json_array_foreach(json_object_get(page, "events"), i, candidate)
	{
		const char *calendar;
		if (!is_wanted(cronofy, candidate, &calendar))
			continue;
		if (*event && strcmp(json_string_value(json_object_get(*event, "calendar_id")), calendar) != 0)
			return work_end(cronofy->work, BELFRY_REJECT,
							"the event is in several calendars: which one is meant, a tag %s must say",
							cronofy->work->conf->calendar_tag);
		json_decref(*event);
		*event = json_incref(candidate);
	}
	return true;
}

/* Fetches the page and searches it. *url becomes the next one's, or NULL. */
static bool read_page(struct cronofy *cronofy, char **url, json_t **event)
{
	struct belfry_response response;
	const char *next = NULL;
	if (!send_request(cronofy, *url, NULL, &response) || !judge(cronofy, &response))
		return false;
	json_t *page = json_loadb(response.body, response.n_body, 0, NULL);
	if (!json_is_array(json_object_get(page, "events"))) {
		json_decref(page);
		return work_end(cronofy->work, BELFRY_RETRY, "Cronofy's list of events is none");
	}
	free(*url);
	*url = NULL;
	(void)json_unpack(page, "{s:{s?s}}", "pages", "next_page", &next);
	bool is_good = search_page(cronofy, page, event);
	if (is_good && next && !is_on_api(cronofy, next))
		is_good = work_end(cronofy->work, BELFRY_REJECT, "Cronofy's next page is on another host");
	else if (is_good && next && !(*url = strdup(next)))
		is_good = work_end_without_memory(cronofy->work);
	json_decref(page);
	return is_good;
}

bool cronofy_find_event(struct cronofy *cronofy, int64_t start_s, json_t **ret_event)
{
	json_t *event = NULL;
	char *url = first_page(cronofy, start_s);
	bool is_good = url || work_end_without_memory(cronofy->work);
	for (int i = 0; is_good && url && !(event && cronofy->calendar_id); i++)
		is_good = i < MAX_PAGES ? read_page(cronofy, &url, &event)
								: work_end(cronofy->work, BELFRY_REJECT, "more than %d pages of events", MAX_PAGES);
	free(url);
	if (is_good && !event)
		is_good =
			work_end(cronofy->work, BELFRY_REJECT, "the event is in no calendar: deleted, or moved to another day");
	if (is_good && !cronofy->calendar_id) {
		cronofy->calendar_id = strdup(json_string_value(json_object_get(event, "calendar_id")));
		is_good = cronofy->calendar_id || work_end_without_memory(cronofy->work);
	}
	if (!is_good) {
		json_decref(event);
		return false;
	}
	*ret_event = event;
	return true;
}

/* ---- writing ---- */

/* Which field is complained about first: {"errors":{"field":[{"key","description"}]}}. */
static bool judge_422(struct cronofy *cronofy, const struct belfry_response *response, bool *ret_is_refused)
{
	json_t *body = json_loadb(response->body, response->n_body, 0, NULL);
	json_t *errors = json_object_get(body, "errors");
	const char *field = json_object_iter_key(json_object_iter(errors)), *description = NULL;
	if (field)
		(void)json_unpack(json_array_get(json_object_get(errors, field), 0), "{s:s}", "description", &description);
	*ret_is_refused = field && strncmp(field, "conferencing", 12) == 0;
	bool goes_on =
		*ret_is_refused || work_end(cronofy->work, BELFRY_REJECT, "Cronofy answered 422: %.100s: %.200s",
									field ? field : "no field", description ? description : "no description");
	json_decref(body);
	return goes_on;
}

bool cronofy_upsert(struct cronofy *cronofy, const json_t *event, bool *ret_is_refused)
{
	struct belfry_response response;
	char *url = NULL, *calendar = percent_encode(cronofy->calendar_id), *body = json_dumps(event, JSON_COMPACT);
	bool is_good = false;
	*ret_is_refused = false;
	if (!calendar || !body || asprintf(&url, "%s/v1/calendars/%s/events", cronofy->api, calendar) < 0)
		(void)work_end_without_memory(cronofy->work);
	else if (send_request(cronofy, url, body, &response))
		is_good = response.status == 422 ? judge_422(cronofy, &response, ret_is_refused) : judge(cronofy, &response);
	free(url);
	free(calendar);
	free(body);
	return is_good;
}
