/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/tags.h"

#include "wire/http.h"

#include <errno.h>

/* base64url of a digest */
#define SIG_CHARS 43

struct tag_checker {
	char *source;
	struct hmac_key *keys[TAGS_MAX_KEYS];
	size_t n_keys;
	char **unsigned_names;
	size_t n_unsigned_names;
};

const char *tags_outcome_name(enum tags_outcome outcome)
{
	static const char *const names[] = {
		[TAGS_OK] = "ok",
		[TAGS_E_MALFORMED] = "malformed",
		[TAGS_E_UNSIGNED] = "unsigned",
		[TAGS_E_SIGNATURE] = "signature",
	};
	return (size_t)outcome < ARRAY_LENGTH(names) ? names[outcome] : "?";
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
		   c == '-';
}

static bool is_name(struct span name)
{
	if (name.n == 0 || name.n > TAGS_MAX_NAME_BYTES || span_equal(name, SPAN("sig")))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!is_name_char(name.data[i]))
			return false;
	return true;
}

static bool is_value(struct span value)
{
	return value.n <= TAGS_MAX_VALUE_BYTES && span_is_utf8(value) && (value.n == 0 || !memchr(value.data, 0, value.n));
}

static int copy_names(struct tag_checker *checker, const char *const *names, size_t n)
{
	checker->unsigned_names = calloc(n + 1, sizeof *checker->unsigned_names);
	if (!checker->unsigned_names)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (!is_name(span_text(names[i])))
			return -EINVAL;
		checker->unsigned_names[i] = span_dup(span_text(names[i]));
		if (!checker->unsigned_names[i])
			return -ENOMEM;
		checker->n_unsigned_names++;
	}
	return 0;
}

int tag_checker_create(struct span source, const struct span *keys, size_t n_keys, const char *const *unsigned_names,
					   size_t n_unsigned_names, struct tag_checker **ret_checker)
{
	if (source.n == 0 || n_keys > TAGS_MAX_KEYS)
		return -EINVAL;
	CLEANUP(tag_checker_destroy) struct tag_checker *checker = calloc(1, sizeof *checker);
	if (!checker || !(checker->source = span_dup(source)))
		return -ENOMEM;
	int r = copy_names(checker, unsigned_names, n_unsigned_names);
	for (size_t i = 0; r == 0 && i < n_keys; i++) {
		r = keys[i].n < TAGS_MIN_KEY_BYTES ? -EINVAL : hmac_key_create(keys[i], &checker->keys[i]);
		checker->n_keys++;
	}
	if (r < 0)
		return r;
	*ret_checker = STEAL(checker);
	return 0;
}

void tag_checker_destroy(struct tag_checker *checker)
{
	if (!checker)
		return;
	for (size_t i = 0; i < checker->n_keys; i++)
		hmac_key_destroy(checker->keys[i]);
	for (size_t i = 0; i < checker->n_unsigned_names; i++)
		free(checker->unsigned_names[i]);
	free(checker->unsigned_names);
	free(checker->source);
	free(checker);
}

void tag_list_finish(struct tag_list *list)
{
	buffer_finish(&list->text);
	list->n = 0;
}

static int compare_names(const void *a, const void *b)
{
	struct span x = ((const struct tag *)a)->name, y = ((const struct tag *)b)->name;
	int order = memcmp(x.data, y.data, x.n < y.n ? x.n : y.n);
	return order ? order : (x.n > y.n) - (x.n < y.n);
}

/* False if a name stands twice. */
static bool sort_tags(struct tag *tags, size_t n)
{
	qsort(tags, n, sizeof *tags, compare_names);
	for (size_t i = 1; i < n; i++)
		if (span_equal(tags[i - 1].name, tags[i].name))
			return false;
	return true;
}

static void add_netstring(struct buffer *message, struct span text)
{
	buffer_add_u64(message, text.n);
	buffer_add_char(message, ':');
	buffer_add(message, text);
	buffer_add_char(message, ',');
}

/* What is signed; see tags.h. */
static void add_message(struct buffer *message, const char *source, const struct tag *tags, size_t n)
{
	add_netstring(message, SPAN("belfry-tags"));
	add_netstring(message, span_text(source));
	for (size_t i = 0; i < n; i++) {
		add_netstring(message, tags[i].name);
		add_netstring(message, tags[i].value);
	}
}

static int add_sig(struct hmac_key *key, const struct buffer *message, struct buffer *text)
{
	uint8_t digest[DIGEST_BYTES];
	if (message->failed)
		return -ENOMEM;
	int r = hmac_key_sign(key, buffer_span(message), digest);
	if (r < 0)
		return r;
	base64url_add(text, digest, sizeof digest);
	return text->failed ? -ENOMEM : 0;
}

/* Every key is tried, whichever was right: the time must not tell. */
static int check_sig(const struct tag_checker *checker, const struct tag_list *list, struct span sig)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer expected = BUFFER_INIT;
	bool is_right = false;
	add_message(&message, checker->source, list->tags, list->n);
	for (size_t i = 0; i < checker->n_keys; i++) {
		expected.n = 0;
		int r = add_sig(checker->keys[i], &message, &expected);
		if (r < 0)
			return r;
		if (sig.n == expected.n && digest_equal(sig.data, expected.data, sig.n))
			is_right = true;
	}
	return is_right ? TAGS_OK : TAGS_E_SIGNATURE;
}

static bool may_be_unsigned(const struct tag_checker *checker, struct span name)
{
	for (size_t i = 0; i < checker->n_unsigned_names; i++)
		if (span_equal(name, span_text(checker->unsigned_names[i])))
			return true;
	return false;
}

static int check_unsigned(const struct tag_checker *checker, const struct tag_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (!may_be_unsigned(checker, list->tags[i].name))
			return TAGS_E_UNSIGNED;
	return TAGS_OK;
}

/* Appends the decoded text. The caller has made room for it, so texts decoded before stay where they are. */
static bool decode(struct span raw, struct buffer *text, struct span *ret_decoded)
{
	size_t start = text->n;
	if (!http_percent_decode(raw, text))
		return false;
	*ret_decoded = span_of(text->data + start, text->n - start);
	return true;
}

/* sig->data is NULL until there is one. */
static int read_pair(struct span raw_name, struct span raw_value, struct tag_list *list, struct span *sig)
{
	struct tag tag;
	if (!decode(raw_name, &list->text, &tag.name) || !decode(raw_value, &list->text, &tag.value))
		return TAGS_E_MALFORMED;
	if (span_equal(tag.name, SPAN("sig"))) {
		if (sig->data)
			return TAGS_E_MALFORMED;
		*sig = tag.value;
		return TAGS_OK;
	}
	if (!is_name(tag.name) || !is_value(tag.value) || list->n == TAGS_MAX_COUNT)
		return TAGS_E_MALFORMED;
	list->tags[list->n++] = tag;
	return TAGS_OK;
}

static int read_query(struct span query, struct tag_list *list, struct span *sig)
{
	struct span name, value;
	/* decoding never makes text longer; one byte more, so that even an empty text has an address */
	if (!buffer_reserve(&list->text, query.n + 1))
		return -ENOMEM;
	while (http_query_next(&query, &name, &value)) {
		int r = read_pair(name, value, list, sig);
		if (r != TAGS_OK)
			return r;
	}
	return sort_tags(list->tags, list->n) ? TAGS_OK : TAGS_E_MALFORMED;
}

int tag_checker_read(struct tag_checker *checker, struct span query, struct tag_list *ret_list)
{
	CLEANUP(tag_list_finish) struct tag_list list = { .n = 0 };
	struct span sig = { NULL, 0 };
	int r = read_query(query, &list, &sig);
	if (r != TAGS_OK)
		return r;
	r = sig.data ? check_sig(checker, &list, sig) : check_unsigned(checker, &list);
	if (r != TAGS_OK)
		return r;
	*ret_list = list;
	list = (struct tag_list){ .n = 0 };
	return TAGS_OK;
}

/* A sorted and checked copy. */
static int check_tags(const struct tag *tags, size_t n, struct tag ret_sorted[static TAGS_MAX_COUNT])
{
	if (n > TAGS_MAX_COUNT)
		return TAGS_E_MALFORMED;
	for (size_t i = 0; i < n; i++) {
		if (!is_name(tags[i].name) || !is_value(tags[i].value))
			return TAGS_E_MALFORMED;
		ret_sorted[i] = tags[i];
	}
	return sort_tags(ret_sorted, n) ? TAGS_OK : TAGS_E_MALFORMED;
}

int tag_checker_write(struct tag_checker *checker, const struct tag *tags, size_t n_tags, struct buffer *query)
{
	struct tag sorted[TAGS_MAX_COUNT];
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	int r = check_tags(tags, n_tags, sorted);
	if (r != TAGS_OK)
		return r;
	for (size_t i = 0; i < n_tags; i++) {
		buffer_add_text(query, i ? "&" : "");
		buffer_add(query, sorted[i].name); /* names need no encoding */
		buffer_add_char(query, '=');
		buffer_add_percent_encoded(query, sorted[i].value);
	}
	if (checker->n_keys == 0)
		return query->failed ? -ENOMEM : TAGS_OK;
	buffer_add_text(query, n_tags ? "&sig=" : "sig=");
	add_message(&message, checker->source, sorted, n_tags);
	return add_sig(checker->keys[0], &message, query);
}
