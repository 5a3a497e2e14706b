/* SPDX-License-Identifier: Apache-2.0 */
#include "history.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a tag may claim. */
#define MAX_TRIES 1000000

/* Source and event id, whatever their lengths. */
static bool make_key(const struct belfry_delivery *delivery, char key[static 80])
{
	unsigned char digest[32];
	char *text = NULL;
	int n = asprintf(&text, "%s\n%s", delivery->source, delivery->event_id);
	bool is_made = n >= 0 && EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1;
	if (n >= 0)
		free(text);
	if (!is_made)
		return false;
	char *end = stpcpy(key, "event:");
	for (size_t i = 0; i < sizeof digest; i++)
		end += sprintf(end, "%02x", digest[i]);
	return true;
}

/* What is damaged is as if it were not there. */
static void read_state(struct history *history, const char *data, size_t n)
{
	const char *delivery = NULL;
	json_t *tried = NULL, *root = json_loadb(data, n, 0, NULL);
	int is_accepted = 0;
	if (json_unpack(root, "{s:o, s:I, s:s, s:b}", "tried", &tried, "n", &history->n_tries, "delivery", &delivery,
					"accepted", &is_accepted) == 0) {
		json_decref(history->tried);
		history->tried = json_incref(tried);
		history->delivery = strdup(delivery);
		history->is_accepted = is_accepted;
	}
	json_decref(root);
}

bool history_load(struct history *history, struct work *work)
{
	const char *data;
	size_t n;
	*history = (struct history){ .tried = json_array() };
	if (!history->tried || !make_key(work->delivery, history->key))
		return work_end_without_memory(work);
	int r = work->host->get_state(work->host, history->key, &data, &n);
	if (r == 0)
		read_state(history, data, n);
	else if (r != -ENOENT)
		return work_end(work, BELFRY_RETRY, "the handler's state cannot be read: %s", strerror(-r));
	return true;
}

bool history_save(struct history *history, struct work *work)
{
	json_t *root = json_pack("{s:O, s:I, s:s, s:b}", "tried", history->tried, "n", history->n_tries, "delivery",
							 history->delivery, "accepted", history->is_accepted);
	char *text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	if (!text)
		return work_end_without_memory(work);
	int r = work->host->set_state(work->host, history->key, text, strlen(text));
	free(text);
	return r == 0 || work_end(work, BELFRY_RETRY, "the handler's state cannot be written: %s", strerror(-r));
}

void history_finish(struct history *history)
{
	json_decref(history->tried);
	free(history->delivery);
}

bool history_forget(struct work *work)
{
	char key[80];
	if (!make_key(work->delivery, key))
		return work_end_without_memory(work);
	int r = work->host->set_state(work->host, key, NULL, 0);
	return r == 0 || work_end(work, BELFRY_RETRY, "the handler's state cannot be written: %s", strerror(-r));
}

/* Which try the callback is about: 0 before the first of ours. */
static json_int_t tagged_try(const struct work *work)
{
	const char *tag = work_tag(work, HISTORY_TAG);
	json_int_t n = tag ? strtoll(tag, NULL, 10) : 0;
	return n >= 0 && n <= MAX_TRIES ? n : 0;
}

bool history_is_stale(const struct history *history, const struct work *work)
{
	return tagged_try(work) < history->n_tries && !history_is_ours(history, work);
}

bool history_is_ours(const struct history *history, const struct work *work)
{
	return history->delivery && strcmp(history->delivery, work->delivery->key) == 0;
}

bool history_has(const struct history *history, const char *profile)
{
	size_t i;
	json_t *tried;
	json_array_foreach(history->tried, i,
					   tried) if (json_is_string(tried) && strcmp(json_string_value(tried), profile) == 0) return true;
	return false;
}

const char *history_last(const struct history *history)
{
	size_t n = json_array_size(history->tried);
	return n ? json_string_value(json_array_get(history->tried, n - 1)) : NULL;
}

/* Also what the application asked for: its name is known from the first callback's tag alone. */
static bool add_tried(struct history *history, const struct work *work, const char *profile)
{
	const char *failed = work_tag(work, work->conf->profile_tag);
	if (failed && !history_has(history, failed) && json_array_append_new(history->tried, json_string(failed)) < 0)
		return false;
	return json_array_append_new(history->tried, json_string(profile)) == 0;
}

bool history_begin(struct history *history, struct work *work, const char *profile)
{
	char *delivery = strdup(work->delivery->key);
	if (!delivery || !add_tried(history, work, profile)) {
		free(delivery);
		return work_end_without_memory(work);
	}
	free(history->delivery);
	history->delivery = delivery;
	history->is_accepted = false;
	if (history->n_tries < tagged_try(work)) /* the state was lost, the tag was not */
		history->n_tries = tagged_try(work);
	history->n_tries++;
	return history_save(history, work);
}
