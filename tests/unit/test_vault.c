/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers keep is sealed: nothing but the same key, handler and name opens it. */
#include "handlers/vault.h"
#include "unit.h"
#include "wire/digest.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static const uint8_t key[SEAL_KEY_BYTES] = { 1, 2, 3 }, other_key[SEAL_KEY_BYTES] = { 1, 2, 4 };

static void test_opens_what_it_sealed(void)
{
	static const struct span texts[] = { SPAN(""), SPAN("x"), SPAN("a token, and some more of it") };
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		CLEANUP(buffer_finish) struct buffer sealed = BUFFER_INIT, again = BUFFER_INIT, plain = BUFFER_INIT;
		CU_ASSERT_EQUAL(seal(key, SPAN("context"), texts[i], &sealed), 0);
		CU_ASSERT_EQUAL(seal(key, SPAN("context"), texts[i], &again), 0);
		CU_ASSERT_EQUAL(sealed.n, texts[i].n + SEAL_OVERHEAD_BYTES);
		CU_ASSERT_FALSE(span_equal(buffer_span(&sealed), buffer_span(&again)));
		CU_ASSERT_EQUAL(unseal(key, SPAN("context"), buffer_span(&sealed), &plain), 0);
		CU_ASSERT_TRUE(span_equal(buffer_span(&plain), texts[i]));
	}
}

static void test_refuses_what_was_changed(void)
{
	CLEANUP(buffer_finish) struct buffer sealed = BUFFER_INIT, plain = BUFFER_INIT;
	CU_ASSERT_EQUAL(seal(key, SPAN("context"), SPAN("a token"), &sealed), 0);
	CU_ASSERT_EQUAL(unseal(other_key, SPAN("context"), buffer_span(&sealed), &plain), -EBADMSG);
	CU_ASSERT_EQUAL(unseal(key, SPAN("another"), buffer_span(&sealed), &plain), -EBADMSG);
	for (size_t n = 0; n < sealed.n; n++)
		CU_ASSERT_EQUAL(unseal(key, SPAN("context"), span_of(sealed.data, n), &plain), -EBADMSG);
	for (size_t bit = 0; bit < 8 * sealed.n; bit++) {
		sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ 1 << bit % 8);
		CU_ASSERT_EQUAL(unseal(key, SPAN("context"), buffer_span(&sealed), &plain), -EBADMSG);
		sealed.data[bit / 8] = (char)(sealed.data[bit / 8] ^ 1 << bit % 8);
	}
	CU_ASSERT_EQUAL(plain.n, 0);
}

struct place {
	char folder[64], journal[80], key[96];
};

static void place_init(struct place *place)
{
	*place = (struct place){ .folder = "/tmp/belfry-vault-XXXXXX" };
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(place->folder));
	(void)snprintf(place->journal, sizeof place->journal, "%s/journal.db", place->folder);
	(void)snprintf(place->key, sizeof place->key, "%s-key", place->journal);
}

static void place_finish_cleanup(struct place *place)
{
	(void)unlink(place->key);
	CU_ASSERT_EQUAL(rmdir(place->folder), 0); /* and nothing else was left there */
}

static int seal_with_new(const struct place *place, struct buffer *sealed)
{
	CLEANUP(vault_destroy) struct vault *vault = NULL;
	CU_ASSERT_EQUAL_FATAL(vault_create(place->journal, &vault), 0);
	return vault_seal(vault, SPAN("a"), SPAN("k"), SPAN("a token"), sealed);
}

static int unseal_with_new(const struct place *place, struct span handler, struct span name,
						   const struct buffer *sealed)
{
	CLEANUP(vault_destroy) struct vault *vault = NULL;
	CLEANUP(buffer_finish) struct buffer value = BUFFER_INIT;
	CU_ASSERT_EQUAL_FATAL(vault_create(place->journal, &vault), 0);
	int r = vault_unseal(vault, handler, name, buffer_span(sealed), &value);
	CU_ASSERT_TRUE(r < 0 || span_equal(buffer_span(&value), SPAN("a token")));
	return r;
}

static void test_the_key_outlives_the_process(void)
{
	CLEANUP(place_finish) struct place place;
	CLEANUP(buffer_finish) struct buffer sealed = BUFFER_INIT;
	struct stat status;
	place_init(&place);
	CU_ASSERT_EQUAL(seal_with_new(&place, &sealed), 0);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("a"), SPAN("k"), &sealed), 0);
	CU_ASSERT_TRUE(stat(place.key, &status) == 0 && status.st_size == SEAL_KEY_BYTES &&
				   (status.st_mode & 0777) == 0600);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("b"), SPAN("k"), &sealed), -EBADMSG);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("a"), SPAN("l"), &sealed), -EBADMSG);
	CU_ASSERT_EQUAL(unlink(place.key), 0);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("a"), SPAN("k"), &sealed), -EBADMSG);
}

static void test_refuses_a_key_that_is_none(void)
{
	CLEANUP(place_finish) struct place place;
	CLEANUP(buffer_finish) struct buffer sealed = BUFFER_INIT;
	place_init(&place);
	CU_ASSERT_EQUAL(seal_with_new(&place, &sealed), 0);
	CU_ASSERT_EQUAL(chmod(place.key, 0640), 0);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("a"), SPAN("k"), &sealed), -EPERM);
	CU_ASSERT_EQUAL(chmod(place.key, 0600), 0);
	CU_ASSERT_EQUAL(truncate(place.key, SEAL_KEY_BYTES - 1), 0);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("a"), SPAN("k"), &sealed), -EUCLEAN);
	CU_ASSERT_EQUAL(unlink(place.key), 0);
	CU_ASSERT_EQUAL(symlink("/dev/zero", place.key), 0);
	CU_ASSERT_EQUAL(unseal_with_new(&place, SPAN("a"), SPAN("k"), &sealed), -ELOOP);
}

UNIT_MAIN({ "opens what it sealed", test_opens_what_it_sealed },
		  { "refuses what was changed", test_refuses_what_was_changed },
		  { "the key outlives the process", test_the_key_outlives_the_process },
		  { "refuses a key that is none", test_refuses_a_key_that_is_none })
