/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/tags.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>

/*
 * The signatures were computed by the Python in auth/tags.h with these keys, not by the code under test.
 */
#define KEY "a key that signs tags, 32 bytes."
#define OLD_KEY "the key before it, also 32 bytes"

#define TAGS "calendar_id=cal_1&user=42"
#define SIG "QFlmNjefxwdvqMo4P2sc3HFZ4LrwKMxI3YgrFqV4oTo"
#define OLD_SIG "zuCcpr6rj8-M3bR1JZkzqbWPkvUEo3k54_ICJgo2BUU"
#define ODD "user=Zo%C3%AB%20%26%20co%2B1%20%25&z="
#define ODD_SIG "hzHNAOv5q6-R_LDANTLPXYSHI393fJIPx-IccDJZexY"
#define NO_SIG "tJC-7LURK175Z49Jm4Z9WsTByFnpkawnVspcFx2OoME"

static struct tag_checker *checker_with(struct span source, size_t n_keys, const char *const *names, size_t n_names)
{
	static const struct span keys[] = { { KEY, 32 }, { OLD_KEY, 32 } };
	struct tag_checker *checker = NULL;
	CU_ASSERT_EQUAL_FATAL(tag_checker_create(source, keys, n_keys, names, n_names, &checker), 0);
	return checker;
}

static struct tag_checker *checker(void)
{
	return checker_with(SPAN("cronofy"), 2, NULL, 0);
}

/* The outcome, and the tags as "name=value;..." if it is TAGS_OK. */
static int read_with(struct tag_checker *checker, struct span query, struct buffer *tags)
{
	CLEANUP(tag_list_finish) struct tag_list list = { .n = 99 };
	int r = tag_checker_read(checker, query, &list);
	if (r != TAGS_OK) {
		CU_ASSERT_EQUAL(list.n, 99); /* not written */
		return r;
	}
	for (size_t i = 0; tags && i < list.n; i++) {
		buffer_add(tags, list.tags[i].name);
		buffer_add_char(tags, '=');
		buffer_add(tags, list.tags[i].value);
		buffer_add_char(tags, ';');
	}
	return r;
}

static int read_query(const char *query)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	return read_with(both, span_text(query), NULL);
}

static void accept(struct tag_checker *checker, const char *query, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer tags = BUFFER_INIT;
	CU_ASSERT_EQUAL(read_with(checker, span_text(query), &tags), TAGS_OK);
	CU_ASSERT_TRUE(span_equal(buffer_span(&tags), span_text(expected)));
}

static void test_accepts_what_is_signed(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	accept(both, TAGS "&sig=" SIG, "calendar_id=cal_1;user=42;");
	accept(both, TAGS "&sig=" OLD_SIG, "calendar_id=cal_1;user=42;");
	accept(both, "sig=" SIG "&" TAGS, "calendar_id=cal_1;user=42;");
	accept(both, "user=42&sig=" SIG "&calendar_id=cal_1", "calendar_id=cal_1;user=42;");
	accept(both, "%75ser=%34%32&%73ig=" SIG "&calendar%5fid=cal_1", "calendar_id=cal_1;user=42;");
	accept(both, ODD "&sig=" ODD_SIG, "user=Zo\xc3\xab & co+1 %;z=;");
	accept(both, "z&sig=" ODD_SIG "&user=Zo%c3%ab%20%26%20co+1%20%25",
		   "user=Zo\xc3\xab & co+1 %;z=;"); /* '+' is a plus */
}

static void test_accepts_no_tags_at_all(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	accept(both, "", "");
	accept(both, "&&", "");
	accept(both, "sig=" NO_SIG, "");
	CU_ASSERT_EQUAL(read_with(both, (struct span){ NULL, 0 }, NULL), TAGS_OK);
}

static void test_refuses_wrong_signatures(void)
{
	static const char *const wrong[] = {
		TAGS "&sig=",
		TAGS "&sig",
		TAGS "&sig=x",
		TAGS "&sig=" OLD_SIG "=",
		TAGS "&sig=" SIG "=",
		TAGS "&sig=" SIG "%00",
		TAGS "&sig=" SIG SIG,
		TAGS "&sig=" ODD_SIG,
		TAGS "&sig=QFlmNjefxwdvqMo4P2sc3HFZ4LrwKMxI3YgrFqV4oTp", /* loose bits at the end */
		TAGS "&sig=QFlmNjefxwdvqMo4P2sc3HFZ4LrwKMxI3YgrFqV4oT",
		TAGS "&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"sig=" SIG,
		"user=42&sig=" SIG,
		"user=43&calendar_id=cal_1&sig=" SIG,
		"user=42&calendar_id=cal_1&role=admin&sig=" SIG,
		"user=42&calendar_id=cal_1&Sig=x&sig=" SIG,
		"user=cal_1&calendar_id=42&sig=" SIG,
		"User=42&calendar_id=cal_1&sig=" SIG,
		"user=42%20&calendar_id=cal_1&sig=" SIG,
		"user=42&calendar_id=cal_1%2C4%3Auser&sig=" SIG,
		"user=Zo%C3%AB%20%26%20co%201%20%25&z=&sig=" ODD_SIG,
		"user=1&sig=" NO_SIG,
	};
	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
		CU_ASSERT_EQUAL(read_query(wrong[i]), TAGS_E_SIGNATURE);
}

/* A tag's text cannot be read as another tag: what follows in the message is part of the value's length. */
static void test_messages_are_unique(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	struct tag one[] = { { SPAN("a"), SPAN("1,1:b,1:2") } },
			   two[] = { { SPAN("a"), SPAN("1") }, { SPAN("b"), SPAN("2") } };
	CLEANUP(buffer_finish) struct buffer first = BUFFER_INIT, second = BUFFER_INIT;
	CU_ASSERT_EQUAL(tag_checker_write(both, one, 1, &first), TAGS_OK);
	CU_ASSERT_EQUAL(tag_checker_write(both, two, 2, &second), TAGS_OK);
	CU_ASSERT_FALSE(span_equal(span_of(first.data + first.n - 43, 43), span_of(second.data + second.n - 43, 43)));
}

static void test_a_signature_is_for_one_source(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *other = checker_with(SPAN("cronofy2"), 2, NULL, 0);
	CU_ASSERT_EQUAL(read_with(other, SPAN(TAGS "&sig=" SIG), NULL), TAGS_E_SIGNATURE);
}

static void test_a_removed_key_signs_no_more(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *now = checker_with(SPAN("cronofy"), 1, NULL, 0);
	CU_ASSERT_EQUAL(read_with(now, SPAN(TAGS "&sig=" SIG), NULL), TAGS_OK);
	CU_ASSERT_EQUAL(read_with(now, SPAN(TAGS "&sig=" OLD_SIG), NULL), TAGS_E_SIGNATURE);
}

static void test_refuses_unsigned_tags(void)
{
	CU_ASSERT_EQUAL(read_query(TAGS), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_query("user"), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_query("user="), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_query("SIG=" SIG), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_query("signature=" SIG "&" TAGS), TAGS_E_UNSIGNED);
}

/* A name in unsigned_names lets a tag come alone; it does not let a wrong signature pass. */
static void test_unsigned_names(void)
{
	static const char *const names[] = { "user", "room" };
	CLEANUP(tag_checker_destroy) struct tag_checker *lax = checker_with(SPAN("cronofy"), 2, names, 2);
	CLEANUP(tag_checker_destroy) struct tag_checker *keyless = checker_with(SPAN("cronofy"), 0, names, 2);
	accept(lax, "user=42", "user=42;");
	accept(lax, "user=42&room=", "room=;user=42;");
	accept(lax, TAGS "&sig=" SIG, "calendar_id=cal_1;user=42;");
	accept(keyless, "user=42", "user=42;");
	accept(keyless, "", "");
	CU_ASSERT_EQUAL(read_with(lax, SPAN("user=42&sig="), NULL), TAGS_E_SIGNATURE);
	CU_ASSERT_EQUAL(read_with(lax, SPAN("user=42&sig=" SIG), NULL), TAGS_E_SIGNATURE);
	CU_ASSERT_EQUAL(read_with(lax, SPAN(TAGS), NULL), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_with(lax, SPAN("users=42"), NULL), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_with(lax, SPAN("use=42"), NULL), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_with(lax, SPAN("USER=42"), NULL), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_with(keyless, SPAN(TAGS), NULL), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_with(keyless, SPAN(TAGS "&sig=" SIG), NULL), TAGS_E_SIGNATURE);
	CU_ASSERT_EQUAL(read_with(keyless, SPAN("sig="), NULL), TAGS_E_SIGNATURE);
}

static void test_refuses_the_malformed(void)
{
	static const char *const malformed[] = {
		"user=42&user=42&sig=" SIG,
		"user=42&user=43",
		"user=42&us%65r=43",
		TAGS "&sig=" SIG "&sig=" SIG,
		TAGS "&sig=" SIG "&sig=",
		TAGS "&sig&sig=" SIG,
		TAGS "&%73ig=&sig=" SIG,
		"=42",
		"=",
		"user=%",
		"user=%4",
		"user=%zz",
		"user=42%",
		"us%er=42",
		"user=%ff",
		"user=%c3",
		"user=%ed%a0%80", /* a surrogate */
		"user=%c0%af",    /* overlong */
		"user=a%00b",
		"us%00er=42",
		"us er=42",
		"us+er=42",
		"user%20=42",
		"us%C3%ABr=42",
		"tags[user]=42",
		"a/b=42",
		"\xff=1",
		"user=\xff",
	};
	for (size_t i = 0; i < ARRAY_LENGTH(malformed); i++)
		CU_ASSERT_EQUAL(read_query(malformed[i]), TAGS_E_MALFORMED);
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	CU_ASSERT_EQUAL(read_with(both, SPAN("us\0er=42"), NULL), TAGS_E_MALFORMED);
}

/* Signs `n` tags with a name of `n_name` and a value of `n_value` bytes, and reads them again. */
static int pass(size_t n, size_t n_name, size_t n_value)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	char names[TAGS_MAX_COUNT + 1][TAGS_MAX_NAME_BYTES + 1], value[TAGS_MAX_VALUE_BYTES + 1];
	struct tag tags[TAGS_MAX_COUNT + 1];
	memset(names, 'n', sizeof names);
	memset(value, '%', sizeof value);
	for (size_t i = 0; i < n; i++) {
		names[i][0] = (char)('A' + i % 26); /* in no order */
		names[i][1] = (char)('a' + i / 26);
		tags[n - 1 - i] = (struct tag){ span_of(names[i], n_name), span_of(value, n_value) };
	}
	int r = tag_checker_write(both, tags, n, &query);
	if (r != TAGS_OK) {
		CU_ASSERT_EQUAL(query.n, 0);
		return r;
	}
	return read_with(both, buffer_span(&query), NULL);
}

static int read_many(size_t n, size_t n_name, size_t n_value)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	for (size_t i = 0; i < n; i++) {
		buffer_add_printf(&query, "%sn%zu", i ? "&" : "", i);
		for (size_t k = 2; k < n_name; k++)
			buffer_add_char(&query, 'n');
		buffer_add_char(&query, '=');
		for (size_t k = 0; k < n_value; k++)
			buffer_add_text(&query, "%76");
	}
	return read_with(both, buffer_span(&query), NULL);
}

static void test_has_bounds(void)
{
	CU_ASSERT_EQUAL(pass(TAGS_MAX_COUNT, TAGS_MAX_NAME_BYTES, TAGS_MAX_VALUE_BYTES), TAGS_OK);
	CU_ASSERT_EQUAL(pass(1, 1, 0), TAGS_OK);
	CU_ASSERT_EQUAL(pass(0, 1, 0), TAGS_OK);
	CU_ASSERT_EQUAL(pass(TAGS_MAX_COUNT + 1, 2, 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(pass(1, TAGS_MAX_NAME_BYTES + 1, 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(pass(1, 0, 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(pass(1, 1, TAGS_MAX_VALUE_BYTES + 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(read_many(TAGS_MAX_COUNT, 2, 1), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_many(TAGS_MAX_COUNT + 1, 2, 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(read_many(100000, 2, 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(read_many(1, TAGS_MAX_NAME_BYTES, 1), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_many(1, TAGS_MAX_NAME_BYTES + 1, 1), TAGS_E_MALFORMED);
	CU_ASSERT_EQUAL(read_many(1, 2, TAGS_MAX_VALUE_BYTES), TAGS_E_UNSIGNED);
	CU_ASSERT_EQUAL(read_many(1, 2, TAGS_MAX_VALUE_BYTES + 1), TAGS_E_MALFORMED);
}

static void test_writes_what_others_would(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	CLEANUP(tag_checker_destroy) struct tag_checker *keyless = checker_with(SPAN("cronofy"), 0, NULL, 0);
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	struct tag tags[] = { { SPAN("user"), SPAN("42") }, { SPAN("calendar_id"), SPAN("cal_1") } };
	struct tag odd[] = { { SPAN("z"), SPAN("") }, { SPAN("user"), SPAN("Zo\xc3\xab & co+1 %") } };
	buffer_add_text(&query, "?");
	CU_ASSERT_EQUAL(tag_checker_write(both, tags, 2, &query), TAGS_OK);
	CU_ASSERT_TRUE(span_equal(buffer_span(&query), SPAN("?" TAGS "&sig=" SIG)));
	query.n = 0;
	CU_ASSERT_EQUAL(tag_checker_write(both, odd, 2, &query), TAGS_OK);
	CU_ASSERT_TRUE(span_equal(buffer_span(&query), SPAN(ODD "&sig=" ODD_SIG)));
	query.n = 0;
	CU_ASSERT_EQUAL(tag_checker_write(both, NULL, 0, &query), TAGS_OK);
	CU_ASSERT_TRUE(span_equal(buffer_span(&query), SPAN("sig=" NO_SIG)));
	query.n = 0;
	CU_ASSERT_EQUAL(tag_checker_write(keyless, tags, 2, &query), TAGS_OK);
	CU_ASSERT_TRUE(span_equal(buffer_span(&query), SPAN(TAGS)));
}

static void test_refuses_to_write(void)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *both = checker();
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	static const struct tag bad[][2] = {
		{ { { "user", 4 }, { "1", 1 } }, { { "user", 4 }, { "2", 1 } } },
		{ { { "user", 4 }, { "1", 1 } }, { { "sig", 3 }, { "2", 1 } } },
		{ { { "user", 4 }, { "1", 1 } }, { { "", 0 }, { "2", 1 } } },
		{ { { "user", 4 }, { "1", 1 } }, { { "a b", 3 }, { "2", 1 } } },
		{ { { "user", 4 }, { "1", 1 } }, { { "a=", 2 }, { "2", 1 } } },
		{ { { "user", 4 }, { "1", 1 } }, { { "b", 1 }, { "\xff", 1 } } },
		{ { { "user", 4 }, { "1", 1 } }, { { "b", 1 }, { "\0", 1 } } },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		CU_ASSERT_EQUAL(tag_checker_write(both, bad[i], 2, &query), TAGS_E_MALFORMED);
		CU_ASSERT_EQUAL(query.n, 0);
	}
}

static int create(struct span source, struct span key, size_t n_keys, const char *unsigned_name)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *made = NULL;
	struct span keys[] = { key, key, key };
	return tag_checker_create(source, keys, n_keys, &unsigned_name, 1, &made);
}

static void test_refuses_bad_settings(void)
{
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN("16 bytes of key."), 2, "user"), 0);
	CU_ASSERT_EQUAL(create(SPAN(""), SPAN(KEY), 1, "user"), -EINVAL);
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN("15 bytes of key"), 1, "user"), -EINVAL);
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN(""), 1, "user"), -EINVAL);
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN(KEY), 3, "user"), -EINVAL);
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN(KEY), 1, "sig"), -EINVAL);
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN(KEY), 1, ""), -EINVAL);
	CU_ASSERT_EQUAL(create(SPAN("s"), SPAN(KEY), 1, "user*"), -EINVAL);
}

static void test_outcomes_have_names(void)
{
	CU_ASSERT_STRING_EQUAL(tags_outcome_name(TAGS_OK), "ok");
	CU_ASSERT_STRING_EQUAL(tags_outcome_name(TAGS_E_MALFORMED), "malformed");
	CU_ASSERT_STRING_EQUAL(tags_outcome_name(TAGS_E_UNSIGNED), "unsigned");
	CU_ASSERT_STRING_EQUAL(tags_outcome_name(TAGS_E_SIGNATURE), "signature");
	CU_ASSERT_STRING_EQUAL(tags_outcome_name((enum tags_outcome)99), "?");
}

UNIT_MAIN({ "accepts what is signed", test_accepts_what_is_signed },
		  { "accepts no tags at all", test_accepts_no_tags_at_all },
		  { "refuses wrong signatures", test_refuses_wrong_signatures },
		  { "no two sets of tags have the same message", test_messages_are_unique },
		  { "a signature is for one source", test_a_signature_is_for_one_source },
		  { "a removed key signs no more", test_a_removed_key_signs_no_more },
		  { "refuses unsigned tags", test_refuses_unsigned_tags },
		  { "takes unsigned names, but no wrong signature", test_unsigned_names },
		  { "refuses the malformed", test_refuses_the_malformed }, { "has bounds", test_has_bounds },
		  { "writes what others would", test_writes_what_others_would }, { "refuses to write", test_refuses_to_write },
		  { "refuses bad settings", test_refuses_bad_settings }, { "outcomes have names", test_outcomes_have_names })
