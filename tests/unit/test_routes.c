/* SPDX-License-Identifier: Apache-2.0 */
/* Interactions find their handlers: in order, each once. */
#include "config/routes.h"
#include "unit.h"

#include <stdio.h>

/* {"conferencing_*", {{ handler, "subtype,subtype" }, ...}} */
struct written {
	const char *pattern;
	struct {
		size_t handler; /* from 1; 0 ends them */
		const char *subtypes[3];
	} targets[6];
};

#define MAX_WRITTEN 12

struct built {
	struct config_interaction interactions[MAX_WRITTEN];
	struct config_target targets[MAX_WRITTEN][6];
	struct routes *routes;
};

static char *unchanged(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void build(const struct written *written, size_t n, struct built *built)
{
	*built = (struct built){ 0 };
	CU_ASSERT_TRUE_FATAL(n <= MAX_WRITTEN);
	for (size_t i = 0; i < n; i++) {
		struct config_interaction *interaction = &built->interactions[i];
		interaction->pattern = unchanged(written[i].pattern);
		interaction->targets = built->targets[i];
		for (size_t k = 0; k < 6 && written[i].targets[k].handler; k++) {
			struct config_target *target = &built->targets[i][interaction->n_targets++];
			target->handler = written[i].targets[k].handler;
			target->subtypes = (char **)(uintptr_t)written[i].targets[k].subtypes;
			while (target->n_subtypes < 3 && target->subtypes[target->n_subtypes])
				target->n_subtypes++;
		}
	}
	CU_ASSERT_EQUAL_FATAL(routes_create(built->interactions, n, &built->routes), 0);
}

/* "0:1 0:2 1:1": interaction and handler. */
static void expect_walk(struct route_walk *walk, const char *expected)
{
	char got[256] = "";
	struct route route;
	size_t n = 0;
	while (routes_next(walk, &route) && n < sizeof got)
		n += (size_t)snprintf(got + n, sizeof got - n, "%s%zu:%zu", n ? " " : "", route.interaction, route.handler);
	if (strcmp(got, expected) != 0)
		printf("\n  got \"%s\", want \"%s\"", got, expected);
	CU_ASSERT_STRING_EQUAL(got, expected);
	CU_ASSERT_FALSE(routes_next(walk, &route)); /* the end is the end */
}

static void expect_event(const struct routes *routes, const struct interaction *interactions, size_t n,
						 const char *expected)
{
	const struct event event = { .kind = EVENT_CALLBACK, .interactions = interactions, .n_interactions = n };
	struct route_walk walk;
	routes_begin(&walk, routes, &event);
	expect_walk(&walk, expected);
}

static void expect_type(const struct routes *routes, const char *type, const char *subtype, const char *expected)
{
	const struct interaction interaction = { span_text(type), span_text(subtype) };
	expect_event(routes, &interaction, 1, expected);
}

static void expect_own_about(const struct routes *routes, const char *type, const char *handler, const char *expected)
{
	struct route_walk walk;
	routes_begin_own(&walk, routes, type, span_text(handler));
	expect_walk(&walk, expected);
}

static void expect_own(const struct routes *routes, const char *type, const char *expected)
{
	expect_own_about(routes, type, "", expected);
}

static void test_patterns(void)
{
	static const struct written written[] = {
		{ "conferencing_failing", { { 1, { 0 } } } },
		{ "conferencing_*", { { 2, { 0 } }, { 1, { 0 } } } },
		{ "change", { { 3, { 0 } } } },
		{ "conf*", { { 4, { 0 } } } },
		{ "*", { { 5, { 0 } } } },
		{ "unknown", { { 6, { 0 } } } },
		{ "nothing", { { 0 } } },
	};
	struct built built;
	build(written, ARRAY_LENGTH(written), &built);
	expect_type(built.routes, "conferencing_failing", "", "0:1 0:2 0:4 0:5");
	expect_type(built.routes, "conferencing_assigned", "", "0:1 0:2 0:4 0:5");
	expect_type(built.routes, "conferencing_", "", "0:1 0:2 0:4 0:5");
	expect_type(built.routes, "conferencing", "", "0:4 0:5");
	expect_type(built.routes, "conf", "", "0:4 0:5");
	expect_type(built.routes, "con", "", "0:5");
	expect_type(built.routes, "change", "", "0:3 0:5");
	expect_type(built.routes, "changes", "", "0:5");
	expect_type(built.routes, "Change", "", "0:5");
	expect_type(built.routes, "unknown", "", "0:5 0:6");
	expect_type(built.routes, "nothing", "", "0:5");
	expect_type(built.routes, "conferencing_*", "", "0:1 0:2 0:4 0:5"); /* a star in a type is a character */
	expect_type(built.routes, "*", "", "0:5");
	const struct interaction nul = { SPAN("change\0"), SPAN("") };
	expect_event(built.routes, &nul, 1, "0:5");
	routes_destroy(built.routes);
}

static void test_subtypes(void)
{
	static const struct written written[] = {
		{ "failing", { { 1, { "a", "b" } }, { 2, { "c" } }, { 1, { "c" } }, { 3, { 0 } } } },
		{ "*", { { 2, { "a" } }, { 2, { 0 } } } },
	};
	struct built built;
	build(written, ARRAY_LENGTH(written), &built);
	expect_type(built.routes, "failing", "a", "0:1 0:2 0:3");
	expect_type(built.routes, "failing", "b", "0:1 0:2 0:3");
	expect_type(built.routes, "failing", "c", "0:1 0:2 0:3");
	expect_type(built.routes, "failing", "d", "0:2 0:3");
	expect_type(built.routes, "failing", "", "0:2 0:3");
	expect_type(built.routes, "failing", "A", "0:2 0:3");
	expect_type(built.routes, "other", "a", "0:2");
	routes_destroy(built.routes);
}

static void test_several_interactions(void)
{
	static const struct written written[] = {
		{ "a", { { 1, { 0 } }, { 2, { 0 } } } },
		{ "b", { { 2, { "x" } } } },
	};
	struct built built;
	build(written, ARRAY_LENGTH(written), &built);
	const struct interaction interactions[] = {
		{ SPAN("a"), SPAN("") }, { SPAN("c"), SPAN("") }, { SPAN("b"), SPAN("x") },
		{ SPAN("b"), SPAN("") }, { SPAN("a"), SPAN("") },
	};
	expect_event(built.routes, interactions, ARRAY_LENGTH(interactions), "0:1 0:2 2:2 4:1 4:2");
	expect_event(built.routes, interactions + 1, 1, "");
	routes_destroy(built.routes);
}

static void test_own(void)
{
	static const struct written written[] = {
		{ "*", { { 1, { 0 } } } },
		{ "b*", { { 2, { 0 } } } },
		{ "belfry_dead_letter", { { 3, { 0 } }, { 4, { 0 } } } },
		{ "belfry_*", { { 4, { 0 } }, { 5, { 0 } } } },
		{ "belfry_breaker", { { 6, { "slack" } } } },
	};
	struct built built;
	build(written, ARRAY_LENGTH(written), &built);
	const struct event malformed = { .kind = EVENT_MALFORMED };
	struct route_walk walk;
	routes_begin(&walk, built.routes, &malformed);
	expect_walk(&walk, "0:3 0:4 0:5");
	expect_own(built.routes, "belfry_dead_letter", "0:3 0:4 0:5");
	expect_own(built.routes, "belfry_breaker", "0:4 0:5");
	expect_own_about(built.routes, "belfry_breaker", "slack", "0:4 0:5 0:6");
	expect_own_about(built.routes, "belfry_breaker", "email", "0:4 0:5");
	/* a callback that calls itself so does not get at these handlers */
	expect_type(built.routes, "belfry_dead_letter", "", "0:1 0:2");
	expect_type(built.routes, "belfry_other", "", "0:1 0:2");
	expect_type(built.routes, "belfr", "", "0:1 0:2");
	routes_destroy(built.routes);
	build(written, 1, &built);
	expect_own(built.routes, "belfry_dead_letter", "");
	routes_begin(&walk, built.routes, &malformed);
	expect_walk(&walk, "");
	expect_type(built.routes, "belfry_dead_letter", "", "0:1");
	routes_destroy(built.routes);
}

static void test_none(void)
{
	struct built built;
	build(NULL, 0, &built);
	expect_type(built.routes, "a", "", "");
	expect_own(built.routes, "belfry_dead_letter", "");
	routes_destroy(built.routes);
	routes_destroy(NULL);
}

UNIT_MAIN({ "all patterns that match count, handlers in order", test_patterns },
		  { "subtypes choose, each handler is there once", test_subtypes },
		  { "several interactions of one event", test_several_interactions },
		  { "Belfry's own are out of reach", test_own }, { "without interactions there is nothing", test_none })
