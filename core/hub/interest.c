/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/interest.h"

#include <errno.h>

/* The interests that are filed under one key. */
struct index_node {
	UT_hash_handle hh; /* interest_index::nodes */
	char *key;
	size_t n_key;
	struct interest **interests;
	size_t n, max;
};

struct interest_index {
	struct interest *interests; /* by canonical text */
	struct index_node *nodes;
	struct buffer key; /* scratch */
};

int interest_index_create(struct interest_index **ret_index)
{
	struct interest_index *index = calloc(1, sizeof *index);
	if (!index)
		return -ENOMEM;
	*ret_index = index;
	return 0;
}

void interest_index_destroy(struct interest_index *index)
{
	if (!index)
		return;
	buffer_finish(&index->key);
	free(index);
}

/* One letter for the kind of key, then the text. */
static struct span make_key(struct buffer *key, char kind, struct span a, struct span b)
{
	key->n = 0;
	key->failed = false;
	buffer_add_char(key, kind);
	buffer_add(key, a);
	if (b.data) {
		buffer_add_char(key, '\0');
		buffer_add(key, b);
	}
	return buffer_span(key);
}

static const struct span none = { NULL, 0 };

static void node_free(struct interest_index *index, struct index_node *node)
{
	HASH_DEL(index->nodes, node);
	free(node->interests);
	free(node->key);
	free(node);
}

static struct index_node *node_find(struct interest_index *index, struct span key)
{
	struct index_node *node;
	HASH_FIND(hh, index->nodes, key.data, key.n, node);
	return node;
}

static struct index_node *node_get(struct interest_index *index, struct span key)
{
	struct index_node *node = node_find(index, key);
	if (node)
		return node;
	node = calloc(1, sizeof *node);
	if (!node || !(node->key = span_dup(key))) {
		free(node);
		return NULL;
	}
	node->n_key = key.n;
	HASH_ADD_KEYPTR(hh, index->nodes, node->key, node->n_key, node);
	return node;
}

static int file(struct interest_index *index, struct interest *interest, struct span key)
{
	struct index_node *node = index->key.failed ? NULL : node_get(index, key);
	if (!node)
		return -ENOMEM;
	if (node->n == node->max) {
		size_t max = node->max ? node->max * 2 : 1;
		struct interest **interests = realloc(node->interests, max * sizeof(struct interest *));
		if (!interests) {
			if (node->n == 0)
				node_free(index, node);
			return -ENOMEM;
		}
		node->interests = interests;
		node->max = max;
	}
	node->interests[node->n++] = interest;
	return 0;
}

static int unfile(struct interest_index *index, struct interest *interest, struct span key)
{
	struct index_node *node = node_find(index, key);
	for (size_t i = 0; node && i < node->n; i++)
		if (node->interests[i] == interest) {
			node->interests[i] = node->interests[--node->n];
			break;
		}
	if (node && node->n == 0)
		node_free(index, node);
	return 0;
}

static bool has_star(const struct filter_list *types)
{
	for (size_t i = 0; i < types->n; i++)
		if (strchr(types->members[i], '*'))
			return true;
	return false;
}

typedef int filing(struct interest_index *index, struct interest *interest, struct span key);

/* Does `act` for every key that this filter is filed under. */
static int for_filter_keys(struct interest_index *index, struct interest *interest, const struct filter *filter,
						   filing *act)
{
	const struct filter_list *ids = &filter->lists[FILTER_EVENT_IDS], *types = &filter->lists[FILTER_INTERACTIONS];
	char kind = '*';
	struct span tag = none;
	const struct filter_list *list = NULL;
	if (ids->n) {
		kind = 'e';
		list = ids;
	} else if (filter->n_tags) {
		kind = 't';
		tag = span_text(filter->tags[0].name);
		list = &filter->tags[0].values;
	} else if (types->n && !has_star(types)) {
		kind = 'i';
		list = types;
	}
	if (!list)
		return act(index, interest, make_key(&index->key, kind, none, none));
	for (size_t i = 0; i < list->n; i++) {
		struct span member = span_text(list->members[i]);
		int r = act(index, interest,
					tag.data ? make_key(&index->key, kind, tag, member) : make_key(&index->key, kind, member, none));
		if (r < 0)
			return r;
	}
	return 0;
}

static int for_all_keys(struct interest_index *index, struct interest *interest, filing *act)
{
	for (size_t i = 0; i < interest->n_filters; i++) {
		int r = for_filter_keys(index, interest, &interest->filters[i], act);
		if (r < 0)
			return r;
	}
	return 0;
}

static void interest_free(struct interest *interest)
{
	for (size_t i = 0; i < interest->n_filters; i++)
		filter_finish(&interest->filters[i]);
	free(interest->filters);
	free(interest->pending);
	free(interest->slots);
	free(interest->key);
	free(interest);
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The filters' canonical texts, sorted and each once, one a line. NULL without memory. */
static char *canonical_text(const struct filter *const *filters, size_t n_filters)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	CLEANUP(free) char **texts = calloc(n_filters, sizeof *texts);
	bool has_failed = !texts;
	for (size_t i = 0; !has_failed && i < n_filters; i++) {
		struct buffer one = BUFFER_INIT;
		filter_add_json(&one, filters[i]);
		if (filters[i]->has_outcomes)
			buffer_add_text(&one, " and outcomes");
		texts[i] = buffer_steal_text(&one);
		has_failed = !texts[i];
	}
	if (!has_failed)
		qsort(texts, n_filters, sizeof *texts, compare_texts);
	for (size_t i = 0; texts && i < n_filters; i++) {
		if (!has_failed && (i == 0 || strcmp(texts[i], texts[i - 1]) != 0)) {
			buffer_add_text(&text, texts[i]);
			buffer_add_char(&text, '\n');
		}
	}
	for (size_t i = 0; texts && i < n_filters; i++)
		free(texts[i]);
	return has_failed ? NULL : buffer_steal_text(&text);
}

static struct interest *interest_make(const struct filter *const *filters, size_t n_filters, char *key)
{
	struct interest *interest = calloc(1, sizeof *interest);
	if (!interest)
		return NULL;
	interest->references = 1;
	interest->filters = calloc(n_filters, sizeof *interest->filters);
	for (; interest->filters && interest->n_filters < n_filters; interest->n_filters++)
		if (filter_copy(filters[interest->n_filters], &interest->filters[interest->n_filters]) < 0)
			break;
	if (!interest->filters || interest->n_filters < n_filters) {
		interest_free(interest);
		return NULL;
	}
	interest->key = key;
	return interest;
}

int interest_get(struct interest_index *index, const struct filter *const *filters, size_t n_filters,
				 struct interest **ret_interest)
{
	CLEANUP(free) char *key = canonical_text(filters, n_filters);
	struct interest *interest;
	if (!key)
		return -ENOMEM;
	HASH_FIND_STR(index->interests, key, interest);
	if (interest) {
		*ret_interest = interest_ref(interest);
		return 0;
	}
	interest = interest_make(filters, n_filters, key);
	if (!interest)
		return -ENOMEM;
	key = NULL; /* the interest's now */
	if (for_all_keys(index, interest, file) < 0) {
		(void)for_all_keys(index, interest, unfile);
		interest_free(interest);
		return -ENOMEM;
	}
	HASH_ADD_KEYPTR(hh, index->interests, interest->key, strlen(interest->key), interest);
	*ret_interest = interest;
	return 0;
}

struct interest *interest_ref(struct interest *interest)
{
	interest->references++;
	return interest;
}

void interest_put(struct interest_index *index, struct interest *interest)
{
	if (!interest || --interest->references > 0)
		return;
	(void)for_all_keys(index, interest, unfile);
	HASH_DEL(index->interests, interest);
	interest_free(interest);
}

bool interest_matches(const struct interest *interest, const struct event *event)
{
	for (size_t i = 0; i < interest->n_filters; i++)
		if (filter_matches(&interest->filters[i], event))
			return true;
	return false;
}

void interest_index_each(struct interest_index *index, void (*act)(void *context, struct interest *interest),
						 void *context)
{
	for (struct interest *interest = index->interests; interest; interest = interest->hh.next)
		act(context, interest);
}

struct match {
	struct interest_index *index;
	const struct event *event;
	uint64_t sequence;
	int (*found)(void *context, struct interest *interest);
	void *context;
};

static int try_key(struct match *match, char kind, struct span a, struct span b)
{
	struct index_node *node = node_find(match->index, make_key(&match->index->key, kind, a, b));
	for (size_t i = 0; node && i < node->n; i++) {
		struct interest *interest = node->interests[i];
		if (interest->matched == match->sequence || !interest_matches(interest, match->event))
			continue;
		interest->matched = match->sequence;
		int r = match->found(match->context, interest);
		if (r < 0)
			return r;
	}
	return 0;
}

int interest_index_match(struct interest_index *index, const struct event *event, uint64_t sequence,
						 int (*found)(void *context, struct interest *interest), void *context)
{
	struct match match = { index, event, sequence, found, context };
	int r = try_key(&match, '*', none, none);
	if (r == 0 && event->event_id.n)
		r = try_key(&match, 'e', event->event_id, none);
	for (size_t i = 0; r == 0 && i < event->n_tags; i++)
		r = try_key(&match, 't', event->tags[i].name, event->tags[i].value);
	for (size_t i = 0; r == 0 && i < event->n_interactions; i++)
		r = try_key(&match, 'i', event->interactions[i].type, none);
	return r;
}
