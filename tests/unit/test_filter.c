/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters: the examples that C and JavaScript share, the canonical text, the bounds; and, over a small world of filters
 * and events, that containment says exactly what matching does.
 */
#include "unit.h"
#include "wire/document.h"
#include "wire/filter.h"

#include <stdio.h>

static int parse(const char *text, struct filter *ret_filter)
{
	json_error_t error;
	const char *reason = NULL;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	CU_ASSERT_EQUAL_FATAL(document_read(span_text(text), &document, &error), DOCUMENT_OK);
	int r = filter_parse(document.root, ret_filter, &reason);
	CU_ASSERT_EQUAL(r == FILTER_OK, reason == NULL);
	return r;
}

static bool has_text(const struct filter *filter, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	filter_add_json(&text, filter);
	bool is_right = span_equal(buffer_span(&text), span_text(expected));
	if (!is_right)
		fprintf(stderr, "%.*s, not %s\n", SPAN_PRINTF(buffer_span(&text)), expected);
	return is_right;
}

/* --- the shared examples --- */

static json_t *load_vectors(void)
{
	json_error_t error;
	json_t *file = json_load_file(TEST_VECTORS "/filters.json", JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	return file;
}

static void check_case(const json_t *vector, bool is_right)
{
	if (!is_right)
		fprintf(stderr, "filters.json: %s\n", json_string_value(json_object_get(vector, "name")));
	CU_ASSERT_TRUE(is_right);
}

static void read_filter(const json_t *json, struct filter *filter)
{
	const char *reason = "?";
	int r = filter_parse(json, filter, &reason);
	if (r != FILTER_OK)
		fprintf(stderr, "%s\n", reason);
	CU_ASSERT_EQUAL_FATAL(r, FILTER_OK);
}

static struct event *read_event(const json_t *json)
{
	CLEANUP(free) char *interactions = json_dumps(json_object_get(json, "interactions"), 0);
	CLEANUP(free) char *tags = json_dumps(json_object_get(json, "tags"), 0);
	struct event_record record = {
		.source = document_text(json_object_get(json, "source")),
		.event_id = document_text(json_object_get(json, "event_id")),
		.interactions = span_text(interactions),
		.tags = span_text(tags),
	};
	struct event *event = NULL;
	CU_ASSERT_EQUAL_FATAL(event_restore(&record, &event), 0);
	return event;
}

static void test_matches_as_the_examples_say(void)
{
	json_t *file = load_vectors();
	const json_t *vectors = json_object_get(file, "matches");
	CU_ASSERT_FATAL(json_array_size(vectors) >= 60);
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *vector = json_array_get(vectors, i);
		CLEANUP(filter_finish) struct filter filter;
		filter_init(&filter);
		read_filter(json_object_get(vector, "filter"), &filter);
		CLEANUP(event_unref) struct event *event = read_event(json_object_get(vector, "event"));
		check_case(vector, filter_matches(&filter, event) == json_is_true(json_object_get(vector, "matches")));
	}
	json_decref(file);
}

static void test_contains_as_the_examples_say(void)
{
	json_t *file = load_vectors();
	const json_t *vectors = json_object_get(file, "within");
	CU_ASSERT_FATAL(json_array_size(vectors) >= 40);
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *vector = json_array_get(vectors, i);
		CLEANUP(filter_finish) struct filter inner;
		CLEANUP(filter_finish) struct filter outer;
		filter_init(&inner);
		filter_init(&outer);
		read_filter(json_object_get(vector, "inner"), &inner);
		read_filter(json_object_get(vector, "outer"), &outer);
		check_case(vector, filter_is_within(&inner, &outer) == json_is_true(json_object_get(vector, "within")));
	}
	json_decref(file);
}

static void test_refuses_as_the_examples_say(void)
{
	json_t *file = load_vectors();
	const json_t *vectors = json_object_get(file, "malformed");
	CU_ASSERT_FATAL(json_array_size(vectors) >= 60);
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *vector = json_array_get(vectors, i);
		struct filter untouched = { .n_tags = 99 };
		const char *reason = NULL;
		int r = filter_parse(json_object_get(vector, "filter"), &untouched, &reason);
		check_case(vector, r == FILTER_E_MALFORMED && reason && untouched.n_tags == 99);
	}
	json_decref(file);
}

/* --- one text for equal filters --- */

#define CANONICAL                                                                                                  \
	"{\"interactions\":[\"a\",\"a*\",\"b\"],\"subtypes\":[\"s\",\"t\"],\"sources\":[\"x\"],\"event_ids\":[\"1\"]," \
	"\"tags\":{\"a\":[\"1\",\"2\"],\"ab\":[\"3\"],\"b\":[\"4\"]}}"

static void test_writes_equal_filters_equally(void)
{
	static const char *const texts[] = {
		CANONICAL,
		"{\"tags\":{\"b\":\"4\",\"ab\":\"3\",\"a\":[\"2\",\"1\"]},\"event_ids\":\"1\",\"sources\":\"x\",\"subtypes\":"
		"[\"t\",\"s\"],\"interactions\":[\"b\",\"a*\",\"a\"]}",
		"{\"sources\":[\"x\",\"x\"],\"tags\":{\"ab\":[\"3\",\"3\"],\"a\":[\"1\",\"2\",\"1\"],\"b\":[\"4\"]},"
		"\"interactions\":[\"a*\",\"b\",\"a\",\"b\"],\"subtypes\":[\"s\",\"t\",\"s\"],\"event_ids\":[\"\\u0031\"]}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP(filter_finish) struct filter filter;
		filter_init(&filter);
		CU_ASSERT_EQUAL_FATAL(parse(texts[i], &filter), FILTER_OK);
		CU_ASSERT_TRUE(has_text(&filter, CANONICAL));
	}
}

static void test_writes_what_it_reads(void)
{
	static const char *const texts[] = {
		"{}",
		"{\"interactions\":[\"*\"]}",
		"{\"subtypes\":[\"*\"]}",
		"{\"sources\":[\"\\\"quoted\\\\\"]}",
		"{\"event_ids\":[\"\\u0001\\n\"]}",
		"{\"tags\":{\"gr\xc3\xb6\xc3\x9f"
		"e\":[\"\xf0\x9f\x94\x94\"]}}",
		"{\"sources\":[\"a\",\"a \",\"ab\",\"b\",\"\xc3\xa9\"]}", /* by bytes, a beginning first */
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP(filter_finish) struct filter filter;
		filter_init(&filter);
		CU_ASSERT_EQUAL_FATAL(parse(texts[i], &filter), FILTER_OK);
		CU_ASSERT_TRUE(has_text(&filter, texts[i]));
	}
}

static void test_writes_other_filters_otherwise(void)
{
	static const char *const texts[] = {
		"{}",
		"{\"interactions\":[\"a\"]}",
		"{\"subtypes\":[\"a\"]}",
		"{\"sources\":[\"a\"]}",
		"{\"event_ids\":[\"a\"]}",
		"{\"tags\":{\"a\":[\"a\"]}}",
		"{\"tags\":{\"a\":[\"a\",\"b\"]}}",
		"{\"tags\":{\"a\":[\"a\"],\"b\":[\"b\"]}}",
		"{\"interactions\":[\"a*\"]}",
		"{\"interactions\":[\"a\",\"b\"]}",
		"{\"interactions\":[\"a\\\",\\\"b\"]}",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP(filter_finish) struct filter filter;
		filter_init(&filter);
		CU_ASSERT_EQUAL_FATAL(parse(texts[i], &filter), FILTER_OK);
		CU_ASSERT_TRUE(has_text(&filter, texts[i])); /* and so none is as another one */
	}
}

static void test_copies(void)
{
	static const char *const texts[] = { "{}", CANONICAL, "{\"tags\":{\"a\":[\"1\"]}}", "{\"sources\":[\"x\"]}" };
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP(filter_finish) struct filter filter;
		CLEANUP(filter_finish) struct filter copy;
		const char *reason;
		filter_init(&filter);
		filter_init(&copy);
		CU_ASSERT_EQUAL_FATAL(parse(texts[i], &filter), FILTER_OK);
		CU_ASSERT_EQUAL_FATAL(filter_copy(&filter, &copy), 0);
		CU_ASSERT_EQUAL(filter_add(&filter, FILTER_SOURCES, SPAN("another"), &reason), FILTER_OK);
		CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("a"), SPAN("another"), &reason), FILTER_OK);
		filter_finish(&filter);
		CU_ASSERT_TRUE(has_text(&copy, texts[i]));
		CU_ASSERT_EQUAL(filter_add(&copy, FILTER_SOURCES, SPAN("another"), &reason), FILTER_OK);
	}
}

/* --- members one by one --- */

static void test_adds_members(void)
{
	CLEANUP(filter_finish) struct filter filter;
	const char *reason = NULL;
	filter_init(&filter);
	CU_ASSERT_EQUAL(filter_add(&filter, FILTER_INTERACTIONS, SPAN("b*"), &reason), FILTER_OK);
	CU_ASSERT_EQUAL(filter_add(&filter, FILTER_INTERACTIONS, SPAN("a"), &reason), FILTER_OK);
	CU_ASSERT_EQUAL(filter_add(&filter, FILTER_INTERACTIONS, SPAN("b*"), &reason), FILTER_OK);
	CU_ASSERT_EQUAL(filter_add(&filter, FILTER_SUBTYPES, SPAN("a*b"), &reason), FILTER_OK);
	CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("ab"), SPAN("2"), &reason), FILTER_OK);
	CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("a"), SPAN("1"), &reason), FILTER_OK);
	CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("ab"), SPAN("1"), &reason), FILTER_OK);
	CU_ASSERT_TRUE(has_text(&filter, "{\"interactions\":[\"a\",\"b*\"],\"subtypes\":[\"a*b\"],"
									 "\"tags\":{\"a\":[\"1\"],\"ab\":[\"1\",\"2\"]}}"));
	CU_ASSERT_PTR_NULL(reason);
}

static void test_refuses_bad_members(void)
{
	static const struct span bad[] = {
		{ "", 0 },
		{ NULL, 0 },
		{ "\0", 1 },
		{ "a\0", 2 },
		{ "\xff", 1 },
		{ "a\xc3", 2 },
		{ "\xc0\x80", 2 },         /* NUL in two bytes */
		{ "\xed\xa0\x80", 3 },     /* a surrogate */
		{ "\xf4\x90\x80\x80", 4 }, /* beyond U+10FFFF */
	};
	CLEANUP(filter_finish) struct filter filter;
	filter_init(&filter);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		for (size_t key = 0; key < FILTER_KEYS; key++) {
			const char *reason = NULL;
			CU_ASSERT_EQUAL(filter_add(&filter, (enum filter_key)key, bad[i], &reason), FILTER_E_MALFORMED);
			CU_ASSERT_PTR_NOT_NULL(reason);
		}
		const char *reason = NULL;
		CU_ASSERT_EQUAL(filter_add_tag(&filter, bad[i], SPAN("a"), &reason), FILTER_E_MALFORMED);
		CU_ASSERT_PTR_NOT_NULL(reason);
		reason = NULL;
		CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("a"), bad[i], &reason), FILTER_E_MALFORMED);
		CU_ASSERT_PTR_NOT_NULL(reason);
	}
	CU_ASSERT_TRUE(has_text(&filter, "{}"));
}

static void add_numbered(struct filter *filter, enum filter_key key, size_t n, int expected)
{
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buffer_finish) struct buffer member = BUFFER_INIT;
		const char *reason = NULL;
		buffer_add_printf(&member, "m%zu", i);
		int r = filter_add(filter, key, buffer_span(&member), &reason);
		CU_ASSERT_EQUAL(r, i < FILTER_MAX_MEMBERS ? FILTER_OK : expected);
		CU_ASSERT_EQUAL(r == FILTER_OK, reason == NULL);
	}
}

static void test_bounds_members(void)
{
	for (size_t key = 0; key < FILTER_KEYS; key++) {
		CLEANUP(filter_finish) struct filter filter;
		const char *reason = NULL;
		filter_init(&filter);
		add_numbered(&filter, (enum filter_key)key, FILTER_MAX_MEMBERS + 2, FILTER_E_MALFORMED);
		CU_ASSERT_EQUAL(filter.lists[key].n, FILTER_MAX_MEMBERS);
		/* one that is there needs no room */
		CU_ASSERT_EQUAL(filter_add(&filter, (enum filter_key)key, SPAN("m127"), &reason), FILTER_OK);
	}
}

static void test_bounds_tags(void)
{
	CLEANUP(filter_finish) struct filter filter;
	const char *reason = NULL;
	filter_init(&filter);
	for (size_t i = 0; i < 2 * FILTER_MAX_MEMBERS; i++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		buffer_add_printf(&text, "%zu", i);
		int expected = i < FILTER_MAX_MEMBERS ? FILTER_OK : FILTER_E_MALFORMED;
		CU_ASSERT_EQUAL(filter_add_tag(&filter, buffer_span(&text), SPAN("x"), &reason), expected);
		CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("0"), buffer_span(&text), &reason),
						i + 1 < FILTER_MAX_MEMBERS ? FILTER_OK : FILTER_E_MALFORMED); /* "x" is there already */
	}
	CU_ASSERT_EQUAL(filter.n_tags, FILTER_MAX_MEMBERS);
	CU_ASSERT_EQUAL(filter.tags[0].values.n, FILTER_MAX_MEMBERS);
}

static void test_bounds_lists_in_json(void)
{
	for (size_t n = FILTER_MAX_MEMBERS; n <= FILTER_MAX_MEMBERS + 1; n++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		CLEANUP(filter_finish) struct filter filter;
		filter_init(&filter);
		buffer_add_text(&text, "{\"tags\":{\"user\":[");
		for (size_t i = 0; i < n; i++)
			buffer_add_printf(&text, "%s\"%zu\"", i ? "," : "", i);
		buffer_add_text(&text, "]}}");
		CLEANUP(free) char *json = buffer_steal_text(&text);
		CU_ASSERT_EQUAL(parse(json, &filter), n == FILTER_MAX_MEMBERS ? FILTER_OK : FILTER_E_MALFORMED);
	}
}

/* --- containment is about events --- */

/* A small world: events with all values that its filters name, and with values that none of them names. */
static const char *const types[] = { "a", "ab", "abc", "abz", "az", "b", "bz", "z" };
static const char *const patterns[] = { "a", "ab", "a*", "ab*", "abc", "b*", "*" };
static const char *const texts[] = { "a", "b", "z" }; /* no filter names "z" */

#define N_FILTERS 400
#define N_EVENTS (ARRAY_LENGTH(types) * 4 * 2 * 3 * 3)

static uint32_t seed = 2463534242;

/* The same numbers in every run: xorshift. */
static size_t random_below(size_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

static void make_filter(struct filter *filter)
{
	const char *reason;
	int r = FILTER_OK;
	filter_init(filter);
	for (size_t n = random_below(4); n > 0; n--)
		r |=
			filter_add(filter, FILTER_INTERACTIONS, span_text(patterns[random_below(ARRAY_LENGTH(patterns))]), &reason);
	for (size_t key = FILTER_SUBTYPES; key < FILTER_KEYS; key++)
		for (size_t n = random_below(5) % 3; n > 0; n--)
			r |= filter_add(filter, (enum filter_key)key, span_text(texts[random_below(2)]), &reason);
	for (size_t n = random_below(3); n > 0; n--)
		r |= filter_add_tag(filter, span_text(texts[random_below(2)]), span_text(texts[random_below(2)]), &reason);
	CU_ASSERT_EQUAL_FATAL(r, FILTER_OK);
}

static struct span one_of(size_t *number, const char *const *choices, size_t n)
{
	const char *choice = choices[*number % n];
	*number /= n;
	return span_text(choice);
}

/* Every combination of the rest has its number; the tags, both or fewer of them, vary with it. */
static struct event *make_event(size_t number)
{
	static const char *const subtypes[] = { "", "a", "b", "z" }, *const sources[] = { "a", "z" };
	size_t left = number;
	struct interaction interaction = { one_of(&left, types, ARRAY_LENGTH(types)), one_of(&left, subtypes, 4) };
	struct span source = one_of(&left, sources, 2), event_id = one_of(&left, texts, 3);
	size_t n_skipped = number % 5 == 0, n_cut = number % 11 == 0;
	struct tag tags[] = { { SPAN("a"), one_of(&left, texts, 3) }, { SPAN("b"), span_text(texts[number % 7 % 3]) } };
	struct event model = {
		.source = source,
		.event_id = event_id,
		.interactions = &interaction,
		.n_interactions = 1,
		.tags = tags + n_skipped,
		.n_tags = 2 - n_skipped - n_cut,
	};
	struct event *event = NULL;
	CU_ASSERT_EQUAL_FATAL(event_create(&model, &event), 0);
	return event;
}

/* What each filter matches, event by event. */
static void match_all(const struct filter *filters, bool (*matches)[N_EVENTS])
{
	for (size_t k = 0; k < N_EVENTS; k++) {
		CLEANUP(event_unref) struct event *event = make_event(k);
		for (size_t i = 0; i < N_FILTERS; i++)
			matches[i][k] = filter_matches(&filters[i], event);
	}
}

static void test_containment_implies_matching(void)
{
	static struct filter filters[N_FILTERS];
	static bool matches[N_FILTERS][N_EVENTS];
	size_t n_within = 0, n_matches = 0;
	for (size_t i = 0; i < N_FILTERS; i++)
		make_filter(&filters[i]);
	match_all(filters, matches);
	for (size_t inner = 0; inner < N_FILTERS; inner++) {
		for (size_t outer = 0; outer < N_FILTERS; outer++) {
			if (!filter_is_within(&filters[inner], &filters[outer]))
				continue;
			n_within++;
			bool is_right = true;
			for (size_t k = 0; k < N_EVENTS; k++) {
				n_matches += matches[inner][k];
				is_right = is_right && (!matches[inner][k] || matches[outer][k]);
			}
			CU_ASSERT_TRUE_FATAL(is_right);
		}
	}
	CU_ASSERT_FATAL(n_within > N_FILTERS && n_matches > N_FILTERS); /* or nothing was shown */
	for (size_t i = 0; i < N_FILTERS; i++)
		filter_finish(&filters[i]);
}

/* Of one key only: then the world's types are enough to tell any two filters apart that are not the same. */
static void make_interactions(unsigned set, struct filter *filter)
{
	const char *reason;
	filter_init(filter);
	for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++)
		if (set >> i & 1)
			CU_ASSERT_EQUAL_FATAL(filter_add(filter, FILTER_INTERACTIONS, span_text(patterns[i]), &reason), FILTER_OK);
}

/* The types that a set of patterns matches, as bits. */
static unsigned matched_types(const struct filter *filter)
{
	unsigned matched = 0;
	for (size_t k = 0; k < ARRAY_LENGTH(types); k++) {
		CLEANUP(event_unref) struct event *event = make_event(k);
		matched |= (unsigned)filter_matches(filter, event) << k;
	}
	return matched;
}

static void test_matching_implies_containment(void)
{
	enum { N_SETS = 1 << ARRAY_LENGTH(patterns) };
	static struct filter filters[N_SETS];
	static unsigned matched[N_SETS];
	for (unsigned set = 0; set < N_SETS; set++) {
		make_interactions(set, &filters[set]);
		matched[set] = matched_types(&filters[set]);
	}
	size_t n_wrong = 0;
	for (unsigned inner = 0; inner < N_SETS; inner++)
		for (unsigned outer = 0; outer < N_SETS; outer++)
			n_wrong += filter_is_within(&filters[inner], &filters[outer]) != ((matched[inner] & ~matched[outer]) == 0);
	CU_ASSERT_EQUAL(n_wrong, 0);
	for (unsigned set = 0; set < N_SETS; set++)
		filter_finish(&filters[set]);
}

UNIT_MAIN({ "matches as the shared examples say", test_matches_as_the_examples_say },
		  { "contains as the shared examples say", test_contains_as_the_examples_say },
		  { "refuses as the shared examples say", test_refuses_as_the_examples_say },
		  { "equal filters have equal texts", test_writes_equal_filters_equally },
		  { "writes what it reads", test_writes_what_it_reads },
		  { "other filters have other texts", test_writes_other_filters_otherwise },
		  { "a copy is equal, and deep", test_copies }, { "adds members one by one", test_adds_members },
		  { "refuses empty members, NUL and bad UTF-8", test_refuses_bad_members },
		  { "bounds the members of a list", test_bounds_members }, { "bounds tags and their values", test_bounds_tags },
		  { "bounds lists in JSON", test_bounds_lists_in_json },
		  { "what is within matches nothing else", test_containment_implies_matching },
		  { "what matches nothing else is within", test_matching_implies_containment })
