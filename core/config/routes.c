/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The targets of all patterns that match a type are put together when the configuration is read: a list for each type
 * that is a pattern, and a list for each pattern with a star, which holds for the types that begin so and match no
 * longer pattern. In a list, targets with the same handler stand side by side.
 */
#include "config/routes.h"

#include <errno.h>
/* Without memory uthash would end the process. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->is_left_out = true)
#include <uthash.h>

#define OWN_PREFIX "belfry_"

const char *const routes_own_types[] = { ROUTES_DEAD_LETTER, ROUTES_BREAKER, NULL };

struct route_list {
	struct span pattern; /* without the star; the bytes are the configuration's */
	const struct config_target **targets;
	size_t n_targets;
	bool is_left_out; /* the table had no memory for it */
	UT_hash_handle hh;
};

struct routes {
	struct route_list *exact, *prefixes; /* hash tables by pattern */
	size_t *lengths;                     /* of the prefixes, each once, the longest first */
	size_t n_lengths;
	struct route_list *lists;
	size_t n_lists;
};

/* --- building --- */

struct pattern {
	struct span text; /* without the star */
	bool is_prefix;
};

static struct pattern pattern_of(const struct config_interaction *interaction)
{
	struct span text = span_text(interaction->pattern);
	bool is_prefix = text.n && text.data[text.n - 1] == '*';
	return (struct pattern){ span_of(text.data, text.n - is_prefix), is_prefix };
}

static bool is_own(struct span type)
{
	return span_starts_with(type, SPAN(OWN_PREFIX));
}

/* Whether all types that `inner` stands for are among those of `outer`. */
static bool covers(struct pattern outer, struct pattern inner)
{
	if (is_own(outer.text) != is_own(inner.text))
		return false;
	return outer.is_prefix ? span_starts_with(inner.text, outer.text)
						   : !inner.is_prefix && span_equal(outer.text, inner.text);
}

/* A target among all there are. */
struct ranked {
	const struct config_target *target;
	size_t interaction;
	size_t rank, place; /* of its handler, by its first target, and its own */
};

struct ranking {
	struct ranked *items; /* by rank, then by place */
	size_t n;
	const struct config_interaction *interactions;
	size_t n_interactions;
};

static void ranking_finish_cleanup(struct ranking *ranking)
{
	free(ranking->items);
}

static int by_handler(const void *a, const void *b)
{
	const struct ranked *left = a, *right = b;
	size_t x = left->target->handler, y = right->target->handler;
	return x != y ? (x > y) - (x < y) : (left->place > right->place) - (left->place < right->place);
}

static int by_rank(const void *a, const void *b)
{
	const struct ranked *left = a, *right = b;
	return left->rank != right->rank ? (left->rank > right->rank) - (left->rank < right->rank)
									 : (left->place > right->place) - (left->place < right->place);
}

static size_t count_targets(const struct config_interaction *interactions, size_t n)
{
	size_t n_targets = 0;
	for (size_t i = 0; i < n; i++)
		n_targets += interactions[i].n_targets;
	return n_targets;
}

static int rank_targets(struct ranking *ranking)
{
	ranking->items = calloc(count_targets(ranking->interactions, ranking->n_interactions) + 1, sizeof *ranking->items);
	if (!ranking->items)
		return -ENOMEM;
	for (size_t i = 0; i < ranking->n_interactions; i++)
		for (size_t k = 0; k < ranking->interactions[i].n_targets; k++, ranking->n++)
			ranking->items[ranking->n] = (struct ranked){ .target = &ranking->interactions[i].targets[k],
														  .interaction = i,
														  .place = ranking->n };
	qsort(ranking->items, ranking->n, sizeof *ranking->items, by_handler);
	for (size_t i = 0; i < ranking->n; i++) {
		bool is_first = i == 0 || ranking->items[i - 1].target->handler != ranking->items[i].target->handler;
		ranking->items[i].rank = is_first ? ranking->items[i].place : ranking->items[i - 1].rank;
	}
	qsort(ranking->items, ranking->n, sizeof *ranking->items, by_rank);
	return 0;
}

static int fill_list(struct route_list *list, struct pattern pattern, const struct ranking *ranking)
{
	CLEANUP(free) bool *is_covered = calloc(ranking->n_interactions + 1, sizeof *is_covered);
	if (!is_covered)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < ranking->n_interactions; i++) {
		is_covered[i] = covers(pattern_of(&ranking->interactions[i]), pattern);
		n += is_covered[i] ? ranking->interactions[i].n_targets : 0;
	}
	list->pattern = pattern.text;
	list->targets = calloc(n + 1, sizeof(struct config_target *));
	if (!list->targets)
		return -ENOMEM;
	for (size_t i = 0; i < ranking->n; i++)
		if (is_covered[ranking->items[i].interaction])
			list->targets[list->n_targets++] = ranking->items[i].target;
	return 0;
}

static void add_length(struct routes *routes, size_t length)
{
	size_t at = 0;
	while (at < routes->n_lengths && routes->lengths[at] > length)
		at++;
	if (at < routes->n_lengths && routes->lengths[at] == length)
		return;
	memmove(&routes->lengths[at + 1], &routes->lengths[at], (routes->n_lengths - at) * sizeof length);
	routes->lengths[at] = length;
	routes->n_lengths++;
}

static int add_list(struct routes *routes, struct pattern pattern, const struct ranking *ranking)
{
	struct route_list *list = &routes->lists[routes->n_lists++];
	int r = fill_list(list, pattern, ranking);
	if (r < 0)
		return r;
	if (pattern.is_prefix)
		add_length(routes, pattern.text.n);
	if (pattern.is_prefix)
		HASH_ADD_KEYPTR(hh, routes->prefixes, list->pattern.data, list->pattern.n, list);
	else
		HASH_ADD_KEYPTR(hh, routes->exact, list->pattern.data, list->pattern.n, list);
	return list->is_left_out ? -ENOMEM : 0;
}

int routes_create(const struct config_interaction *interactions, size_t n, struct routes **ret_routes)
{
	CLEANUP(ranking_finish) struct ranking ranking = { .interactions = interactions, .n_interactions = n };
	CLEANUP(routes_destroy) struct routes *routes = calloc(1, sizeof *routes);
	if (!routes)
		return -ENOMEM;
	routes->lists = calloc(n + 1, sizeof *routes->lists);
	routes->lengths = calloc(n + 1, sizeof *routes->lengths);
	int r = routes->lists && routes->lengths ? rank_targets(&ranking) : -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_list(routes, pattern_of(&interactions[i]), &ranking);
	if (r == 0)
		*ret_routes = STEAL(routes);
	return r;
}

void routes_destroy(struct routes *routes)
{
	if (!routes)
		return;
	HASH_CLEAR(hh, routes->exact);
	HASH_CLEAR(hh, routes->prefixes);
	for (size_t i = 0; i < routes->n_lists; i++)
		free(routes->lists[i].targets);
	free(routes->lists);
	free(routes->lengths);
	free(routes);
}

/* --- finding --- */

/* Of the patterns with a star, the longest that fits and has as many bytes as allowed. */
static const struct route_list *find_prefix(const struct routes *routes, struct span type, size_t least, size_t most)
{
	struct route_list *found = NULL;
	for (size_t i = 0; i < routes->n_lengths && !found; i++) {
		size_t length = routes->lengths[i];
		if (length >= least && length <= most)
			HASH_FIND(hh, routes->prefixes, type.data, length, found);
	}
	return found;
}

static const struct route_list *find_list(const struct routes *routes, struct span type)
{
	struct route_list *found = NULL;
	HASH_FIND(hh, routes->exact, type.data, type.n, found);
	return found ? found : find_prefix(routes, type, is_own(type) ? strlen(OWN_PREFIX) : 0, type.n);
}

/* A callback's type that begins like our own is none of them. */
static const struct route_list *find_stranger(const struct routes *routes, struct span type)
{
	return find_prefix(routes, type, 0, strlen(OWN_PREFIX) - 1);
}

static const struct route_list *look_up(const struct route_walk *walk)
{
	static const struct route_list nothing;
	struct span type = walk->interactions[walk->interaction].type;
	const struct route_list *list =
		is_own(type) && !walk->is_own ? find_stranger(walk->routes, type) : find_list(walk->routes, type);
	return list ? list : &nothing;
}

static bool takes_subtype(const struct config_target *target, struct span subtype)
{
	for (size_t i = 0; i < target->n_subtypes; i++)
		if (span_equal(span_text(target->subtypes[i]), subtype))
			return true;
	return target->n_subtypes == 0;
}

/* The next target of the list that takes the subtype; its handler's other targets are passed over. */
static bool next_target(struct route_walk *walk, size_t *ret_handler)
{
	struct span subtype = walk->interactions[walk->interaction].subtype;
	const struct route_list *list = walk->list;
	while (walk->target < list->n_targets && !takes_subtype(list->targets[walk->target], subtype))
		walk->target++;
	if (walk->target == list->n_targets)
		return false;
	*ret_handler = list->targets[walk->target]->handler;
	while (walk->target < list->n_targets && list->targets[walk->target]->handler == *ret_handler)
		walk->target++;
	return true;
}

void routes_begin(struct route_walk *walk, const struct routes *routes, const struct event *event)
{
	if (event->kind == EVENT_MALFORMED) {
		routes_begin_own(walk, routes, ROUTES_DEAD_LETTER, event->malformed);
		return;
	}
	*walk = (struct route_walk){ .routes = routes,
								 .interactions = event->interactions,
								 .n_interactions = routes->n_lists ? event->n_interactions : 0 };
}

void routes_begin_own(struct route_walk *walk, const struct routes *routes, const char *type, struct span subtype)
{
	*walk = (struct route_walk){
		.routes = routes, .n_interactions = routes->n_lists ? 1 : 0, .own = { span_text(type), subtype }, .is_own = true
	};
	walk->interactions = &walk->own;
}

bool routes_next(struct route_walk *walk, struct route *ret_route)
{
	while (walk->interaction < walk->n_interactions) {
		if (!walk->list)
			walk->list = look_up(walk);
		ret_route->interaction = walk->interaction;
		if (next_target(walk, &ret_route->handler))
			return true;
		walk->interaction++;
		walk->list = NULL;
		walk->target = 0;
	}
	return false;
}
