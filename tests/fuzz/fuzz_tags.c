/* SPDX-License-Identifier: Apache-2.0 */
/* The query of a callback's URI. What is accepted is sorted, unique and bounded, and written down and signed it is
 * accepted again, with the same tags; with one bit of the signature changed, it is not. */
#include "auth/tags.h"
#include "fuzz.h"

static struct tag_checker *create(size_t n_unsigned)
{
	static const struct span key = { "a key that signs tags, 32 bytes.", 32 };
	static const char *const names[] = { "user", "a", "b.c" };
	struct tag_checker *checker = NULL;
	FUZZ_ASSERT(tag_checker_create(SPAN("cronofy"), &key, 1, names, n_unsigned, &checker) == 0);
	return checker;
}

static void check_list(const struct tag_list *list)
{
	FUZZ_ASSERT(list->n <= TAGS_MAX_COUNT);
	for (size_t i = 0; i < list->n; i++) {
		struct span name = list->tags[i].name, value = list->tags[i].value;
		FUZZ_ASSERT(name.n >= 1 && name.n <= TAGS_MAX_NAME_BYTES && !span_equal(name, SPAN("sig")));
		FUZZ_ASSERT(value.n <= TAGS_MAX_VALUE_BYTES && span_is_utf8(value));
		FUZZ_ASSERT(!value.n || !memchr(value.data, '\0', value.n));
		if (i == 0)
			continue;
		struct span before = list->tags[i - 1].name;
		int order = memcmp(before.data, name.data, before.n < name.n ? before.n : name.n);
		FUZZ_ASSERT(order < 0 || (order == 0 && before.n < name.n));
	}
}

static void check_equal(const struct tag_list *a, const struct tag_list *b)
{
	FUZZ_ASSERT(a->n == b->n);
	for (size_t i = 0; i < a->n; i++)
		FUZZ_ASSERT(span_equal(a->tags[i].name, b->tags[i].name) && span_equal(a->tags[i].value, b->tags[i].value));
}

static void check_signed(const struct tag_list *list)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *strict = create(0);
	CLEANUP(tag_list_finish) struct tag_list again = { 0 };
	CLEANUP(tag_list_finish) struct tag_list none = { 0 };
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	FUZZ_ASSERT(tag_checker_write(strict, list->tags, list->n, &query) == TAGS_OK && !query.failed);
	FUZZ_ASSERT(tag_checker_read(strict, buffer_span(&query), &again) == TAGS_OK);
	check_equal(list, &again);
	char *last = &query.data[query.n - 2]; /* the last but one: it has no loose bits */
	*last = *last == 'A' ? 'B' : 'A';
	FUZZ_ASSERT(tag_checker_read(strict, buffer_span(&query), &none) == TAGS_E_SIGNATURE);
}

/* Who asks for more signatures accepts no more, and reads no others. */
static void check_strict(struct span query, const struct tag_list *list)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *strict = create(0);
	CLEANUP(tag_list_finish) struct tag_list again = { 0 };
	int outcome = tag_checker_read(strict, query, &again);
	FUZZ_ASSERT(outcome == TAGS_OK || outcome == TAGS_E_UNSIGNED);
	if (outcome == TAGS_OK)
		check_equal(list, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *checker = create(3);
	CLEANUP(tag_list_finish) struct tag_list list = { 0 };
	struct span query = span_of(data, n);
	int outcome = tag_checker_read(checker, query, &list);
	FUZZ_ASSERT(outcome >= TAGS_OK && outcome <= TAGS_E_SIGNATURE);
	if (outcome != TAGS_OK)
		return 0;
	check_list(&list);
	check_strict(query, &list);
	check_signed(&list);
	return 0;
}
