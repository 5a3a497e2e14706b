/* SPDX-License-Identifier: Apache-2.0 */
#include "token.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A token that is valid for less is not begun with. */
#define MIN_LIFETIME_MS 60000

void token_free(char *token)
{
	if (token)
		explicit_bzero(token, strlen(token));
	free(token);
}

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* It becomes part of a header. */
static bool is_token(const char *text)
{
	return text && *text &&
		   text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=")] == '\0';
}

/* Posts the JSON, which it releases. Any status is an answer. */
static bool post(struct work *work, const char *url, const char *authorization, json_t *json,
				 struct belfry_response *ret_response)
{
	char *body = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (!body)
		return work_end_without_memory(work);
	const struct belfry_header headers[] = { { "Content-Type", "application/json; charset=utf-8" },
											 { "Authorization", authorization } };
	struct belfry_request request = { .size = sizeof request,
									  .url = url,
									  .headers = headers,
									  .n_headers = authorization ? 2 : 1,
									  .body = body,
									  .n_body = strlen(body) };
	*ret_response = (struct belfry_response){ .size = sizeof *ret_response };
	int r = work->host->http(work->host, &request, ret_response);
	token_free(body);
	if (r < 0)
		work->outcome = r == -EACCES || r == -EINVAL ? BELFRY_REJECT : BELFRY_RETRY; /* the host says why */
	return r == 0;
}

static bool end_by_status(struct work *work, const char *who, const struct belfry_response *response, const char *why)
{
	bool is_later = response->status == 429 || response->status == 408 || response->status >= 500;
	if (response->retry_after_ms >= 0)
		work->host->retry_after(work->host, response->retry_after_ms);
	return work_end(work, is_later ? BELFRY_RETRY : BELFRY_REJECT, "%s answered %lld%s", who,
					(long long)response->status, why);
}

/* ---- from the application ---- */

static json_t *make_question(const struct work *work, const char *refused)
{
	json_t *tags = json_object();
	for (size_t i = 0; i < work->delivery->n_tags; i++)
		(void)json_object_set_new(tags, work->delivery->tags[i].name, json_string(work->delivery->tags[i].value));
	return json_pack("{s:s, s:o, s:b}", "event_id", work->delivery->event_id, "tags", tags, "renew", refused != NULL);
}

static bool ask_application(struct work *work, const char *refused, char **ret_token)
{
	struct belfry_response response;
	char *authorization = NULL;
	const char *token = NULL;
	if (work->conf->token_secret && asprintf(&authorization, "Bearer %s", work->conf->token_secret) < 0)
		return work_end_without_memory(work);
	bool is_asked = post(work, work->conf->token_url, authorization, make_question(work, refused), &response);
	token_free(authorization);
	if (!is_asked)
		return false;
	if (response.status != 200)
		return end_by_status(work, "token_url", &response, "");
	json_t *body = json_loadb(response.body, response.n_body, 0, NULL);
	(void)json_unpack(body, "{s:s}", "access_token", &token);
	bool is_good = is_token(token) ? (*ret_token = strdup(token)) || work_end_without_memory(work)
								   : work_end(work, BELFRY_REJECT, "token_url's answer has no \"access_token\"");
	json_decref(body);
	return is_good;
}

/* ---- by a refresh token ---- */

struct account {
	const char *name, *configured; /* borrowed from the configuration */
	char key[80];
	json_t *kept; /* {"configured", "refresh_token", "access_token", "expires_ms"}; NULL: nothing yet */
};

static bool find_account(struct work *work, struct account *account)
{
	const struct belfry_map *accounts = &work->conf->accounts;
	const char *name = work_tag(work, work->conf->account_tag);
	for (size_t i = 0; i < accounts->n; i++)
		if (name ? strcmp(accounts->pairs[i].name, name) == 0 : accounts->n == 1) {
			*account = (struct account){ .name = accounts->pairs[i].name, .configured = accounts->pairs[i].value.text };
			(void)snprintf(account->key, sizeof account->key, "account:%s", account->name);
			return true;
		}
	if (!name)
		return work_end(work, BELFRY_REJECT, "the callback has no tag %s, which says whose event it is",
						work->conf->account_tag);
	return work_end(work, BELFRY_REJECT, "there is no account \"%.64s\" in the configuration", name);
}

static const char *kept_text(const struct account *account, const char *name)
{
	return json_string_value(json_object_get(account->kept, name));
}

static bool load(struct work *work, struct account *account)
{
	const char *data, *configured;
	size_t n;
	json_decref(account->kept);
	account->kept = NULL;
	int r = work->host->get_state(work->host, account->key, &data, &n);
	if (r == -ENOENT)
		return true;
	if (r < 0)
		return work_end(work, BELFRY_RETRY, "the handler's state cannot be read: %s", strerror(-r));
	account->kept = json_loadb(data, n, 0, NULL);
	configured = kept_text(account, "configured");
	if (!configured || strcmp(configured, account->configured) != 0) {
		json_decref(account->kept);
		account->kept = NULL;
	}
	return true;
}

/* The kept access token if it can be used, else NULL. */
static const char *usable(const struct account *account, const char *refused)
{
	const char *token = kept_text(account, "access_token");
	json_int_t expires_ms = json_integer_value(json_object_get(account->kept, "expires_ms"));
	return token && expires_ms > now_ms() + MIN_LIFETIME_MS && (!refused || strcmp(token, refused) != 0) ? token : NULL;
}

/* Takes what Cronofy granted, and keeps it. */
static bool keep(struct work *work, struct account *account, const struct belfry_response *response, const char *used)
{
	const char *access = NULL, *refresh = used;
	json_int_t lifetime_s = 0;
	json_t *body = json_loadb(response->body, response->n_body, 0, NULL);
	(void)json_unpack(body, "{s:s, s:I, s?s}", "access_token", &access, "expires_in", &lifetime_s, "refresh_token",
					  &refresh);
	if (!is_token(access) || lifetime_s < 0 || lifetime_s > INT32_MAX) {
		json_decref(body);
		return work_end(work, BELFRY_RETRY, "Cronofy's answer has no token");
	}
	json_t *kept = json_pack("{s:s, s:s, s:s, s:I}", "configured", account->configured, "refresh_token", refresh,
							 "access_token", access, "expires_ms", (json_int_t)now_ms() + lifetime_s * 1000);
	char *text = json_dumps(kept, JSON_COMPACT);
	json_decref(body);
	json_decref(account->kept);
	account->kept = kept;
	int r = text ? work->host->set_state(work->host, account->key, text, strlen(text)) : -ENOMEM;
	token_free(text);
	if (r < 0) /* the old one may be worth nothing now */
		work->host->log(work->host, BELFRY_ERROR, "account %s: its new refresh token could not be kept: %s",
						account->name, strerror(-r));
	return kept || work_end_without_memory(work);
}

static bool has_error(const struct belfry_response *response, const char *word)
{
	const char *error = NULL;
	json_t *body = json_loadb(response->body, response->n_body, 0, NULL);
	(void)json_unpack(body, "{s:s}", "error", &error);
	bool is_it = error && strcmp(error, word) == 0;
	json_decref(body);
	return is_it;
}

/* Somebody else may have used this refresh token: then what he got is in the state. */
static bool look_again(struct work *work, struct account *account, const char *used, const char *refused)
{
	if (!load(work, account))
		return false;
	const char *refresh = kept_text(account, "refresh_token");
	if (refresh && strcmp(refresh, used) != 0 && usable(account, refused))
		return true;
	return work_end(work, BELFRY_REJECT, "account %s: its refresh token is refused (invalid_grant): it needs a new one",
					account->name);
}

static bool refresh(struct work *work, const char *api, struct account *account, const char *refused)
{
	struct belfry_response response;
	const char *kept = kept_text(account, "refresh_token");
	char *url = NULL, *used = strdup(kept ? kept : account->configured);
	bool is_good = false;
	if (!used || asprintf(&url, "%s/oauth/token", api) < 0)
		(void)work_end_without_memory(work);
	else if (post(work, url, NULL,
				  json_pack("{s:s, s:s, s:s, s:s}", "client_id", work->conf->client_id, "client_secret",
							work->conf->client_secret, "grant_type", "refresh_token", "refresh_token", used),
				  &response)) {
		if (response.status == 200)
			is_good = keep(work, account, &response, used);
		else if (response.status == 400 && has_error(&response, "invalid_grant"))
			is_good = look_again(work, account, used, refused);
		else
			(void)end_by_status(work, "Cronofy's /oauth/token", &response,
								has_error(&response, "invalid_client") ? ": client_id or client_secret is wrong" : "");
	}
	free(url);
	token_free(used);
	return is_good;
}

static bool get_from_account(struct work *work, const char *api, const char *refused, char **ret_token)
{
	struct account account = { 0 };
	if (!find_account(work, &account))
		return false;
	bool is_good = load(work, &account) && (usable(&account, refused) || refresh(work, api, &account, refused));
	if (is_good)
		is_good = (*ret_token = strdup(kept_text(&account, "access_token"))) || work_end_without_memory(work);
	json_decref(account.kept);
	return is_good;
}

bool token_get(struct work *work, const char *api, const char *refused, char **ret_token)
{
	if (work->conf->token_url)
		return ask_application(work, refused, ret_token);
	return get_from_account(work, api, refused, ret_token);
}
