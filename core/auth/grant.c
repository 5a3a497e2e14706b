/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unknown keys in the claim are refused, not ignored: one that a newer gateway knows may be a restriction, and a token
 * must not grant more here than it does there.
 */
#include "auth/grant.h"

#include <errno.h>

static int create_empty(const char *subject, const char *key_id, int64_t expires_ms, struct grant **ret_grant)
{
	CLEANUP(grant_unref) struct grant *grant = calloc(1, sizeof *grant);
	if (!grant)
		return -ENOMEM;
	atomic_init(&grant->references, 1);
	grant->expires_ms = expires_ms;
	grant->subject = span_dup(span_text(subject));
	grant->key_id = span_dup(span_text(key_id));
	if (!grant->subject || !grant->key_id)
		return -ENOMEM;
	*ret_grant = STEAL(grant);
	return 0;
}

int grant_create_anonymous(struct grant **ret_grant)
{
	return grant_create_administrator("", ret_grant);
}

int grant_create_administrator(const char *key_id, struct grant **ret_grant)
{
	CLEANUP(grant_unref) struct grant *grant = NULL;
	int r = create_empty("", key_id, INT64_MAX, &grant);
	if (r < 0)
		return r;
	grant->filters = calloc(1, sizeof *grant->filters);
	if (!grant->filters)
		return -ENOMEM;
	filter_init(&grant->filters[0]);
	grant->n_filters = 1;
	grant->has_outcomes = true;
	*ret_grant = STEAL(grant);
	return 0;
}

static int read_filters(const json_t *list, struct grant *grant)
{
	size_t i;
	const json_t *item;
	if (!json_is_array(list) || json_array_size(list) > TOKEN_MAX_FILTERS)
		return TOKEN_E_GRANTS;
	grant->filters = calloc(json_array_size(list) + 1, sizeof *grant->filters);
	if (!grant->filters)
		return -ENOMEM;
	json_array_foreach(list, i, item)
	{
		const char *reason;
		int r = filter_parse(item, &grant->filters[i], &reason);
		if (r != FILTER_OK)
			return r < 0 ? r : TOKEN_E_GRANTS;
		grant->n_filters++;
	}
	return TOKEN_OK;
}

int grant_create(const json_t *belfry, const char *subject, const char *key_id, int64_t expires_ms,
				 struct grant **ret_grant)
{
	CLEANUP(grant_unref) struct grant *grant = NULL;
	const json_t *outcomes = json_object_get(belfry, "outcomes");
	if (!json_is_object(belfry) || json_object_size(belfry) != (outcomes ? 2u : 1u) ||
		(outcomes && !json_is_boolean(outcomes)))
		return TOKEN_E_GRANTS;
	int r = create_empty(subject, key_id, expires_ms, &grant);
	if (r == 0)
		r = read_filters(json_object_get(belfry, "subscribe"), grant);
	if (r != TOKEN_OK)
		return r;
	grant->has_outcomes = json_is_true(outcomes);
	*ret_grant = STEAL(grant);
	return TOKEN_OK;
}

struct grant *grant_ref(struct grant *grant)
{
	atomic_fetch_add(&grant->references, 1);
	return grant;
}

void grant_unref(struct grant *grant)
{
	if (!grant || atomic_fetch_sub(&grant->references, 1) != 1)
		return;
	for (size_t i = 0; i < grant->n_filters; i++)
		filter_finish(&grant->filters[i]);
	free(grant->filters);
	free(grant->subject);
	free(grant->key_id);
	free(grant);
}

bool grant_allows(const struct grant *grant, const struct filter *filter)
{
	if (filter->has_outcomes && !grant->has_outcomes)
		return false;
	for (size_t i = 0; i < grant->n_filters; i++)
		if (filter_is_within(filter, &grant->filters[i]))
			return true;
	return false;
}
