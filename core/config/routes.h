/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which handlers an interaction goes to. Compiled once from config.interactions; immutable, any thread.
 *
 * A pattern is a type of interaction ("conferencing_failing", "unknown"), the beginning of one with a star behind it
 * ("conferencing_*"), or a star alone. All patterns that match count, and of each all targets whose subtypes match; a
 * handler that several of them name is there once. Handlers come in the order in which config.interactions names them
 * first. `when` is no business of routes: only the handler's own process can evaluate it.
 *
 * Patterns that begin with "belfry_" are for Belfry's own types, "belfry_dead_letter" and "belfry_breaker", and no
 * other pattern is: neither does "*" match these, nor can a callback get at their handlers by calling itself so. A
 * malformed event has no interactions; it goes to the handlers of "belfry_dead_letter", with the reason as its
 * subtype.
 *
 * Types that are patterns themselves cost one look-up in a hash table, others one for each length of a pattern with a
 * star. Without interactions in the configuration an event costs one comparison.
 */
#ifndef CONFIG_ROUTES_H
#define CONFIG_ROUTES_H

#include "config/config.h"
#include "wire/event.h"

#define ROUTES_DEAD_LETTER "belfry_dead_letter"
#define ROUTES_BREAKER "belfry_breaker"
#define ROUTES_UNKNOWN "unknown"

/* The types that are Belfry's own, ended by NULL. */
extern const char *const routes_own_types[];

/* The targets' handlers are set. 0 or -ENOMEM. */
int routes_create(const struct config_interaction *interactions, size_t n, struct routes **ret_routes) MUST_USE;
void routes_destroy(struct routes *routes);
CLEANUP_DEFINE(struct routes, routes_destroy)

/* One handler for one interaction. */
struct route {
	size_t interaction; /* its place in the event; 0 in a malformed one */
	size_t handler;     /* its place in config.handlers */
};

/* Where a walk over the routes of an event, or of a type, has got to. */
struct route_walk {
	const struct routes *routes;
	const struct interaction *interactions;
	size_t n_interactions;
	size_t interaction;            /* which is being walked over ... */
	const struct route_list *list; /* ... what is known of its type; NULL: to be looked up ... */
	size_t target;                 /* ... and which of the list's targets comes next */
	struct interaction own;        /* what `interactions` points to, where they are not an event's */
	bool is_own;
};

/*
 *     struct route_walk walk;
 *     struct route route;
 *     routes_begin(&walk, config->routes, event);
 *     while (routes_next(&walk, &route))
 *         ...
 *
 * The event must live as long as the walk, which does not move.
 */
void routes_begin(struct route_walk *walk, const struct routes *routes, const struct event *event);
/* The same for one of Belfry's own types; its subtype is the handler that it is about. */
void routes_begin_own(struct route_walk *walk, const struct routes *routes, const char *type, struct span subtype);
/* False at the end. */
bool routes_next(struct route_walk *walk, struct route *ret_route);

#endif
