/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/filter.h"

#include "wire/document.h"

#include <errno.h>

static const char *const key_names[FILTER_KEYS] = {
	[FILTER_INTERACTIONS] = "interactions",
	[FILTER_SUBTYPES] = "subtypes",
	[FILTER_SOURCES] = "sources",
	[FILTER_EVENT_IDS] = "event_ids",
};

const char *filter_key_name(enum filter_key key)
{
	return key_names[key];
}

static void list_finish(struct filter_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->members[i]);
	free(list->members);
	*list = (struct filter_list){ 0 };
}

void filter_init(struct filter *filter)
{
	*filter = (struct filter){ 0 };
}

void filter_finish(struct filter *filter)
{
	for (size_t i = 0; i < FILTER_KEYS; i++)
		list_finish(&filter->lists[i]);
	for (size_t i = 0; i < filter->n_tags; i++) {
		free(filter->tags[i].name);
		list_finish(&filter->tags[i].values);
	}
	free(filter->tags);
	filter_init(filter);
}

static int list_copy(const struct filter_list *list, struct filter_list *copy)
{
	copy->members = calloc(list->n + 1, sizeof *copy->members);
	if (!copy->members)
		return -ENOMEM;
	for (; copy->n < list->n; copy->n++)
		if (!(copy->members[copy->n] = strdup(list->members[copy->n])))
			return -ENOMEM;
	return 0;
}

static int tags_copy(const struct filter *filter, struct filter *copy)
{
	copy->tags = calloc(filter->n_tags, sizeof *copy->tags);
	if (!copy->tags)
		return -ENOMEM;
	for (; copy->n_tags < filter->n_tags; copy->n_tags++) {
		struct filter_tag *tag = &copy->tags[copy->n_tags];
		if (!(tag->name = strdup(filter->tags[copy->n_tags].name)))
			return -ENOMEM;
		int r = list_copy(&filter->tags[copy->n_tags].values, &tag->values);
		if (r < 0) {
			copy->n_tags++; /* half-built: finish frees it too */
			return r;
		}
	}
	return 0;
}

int filter_copy(const struct filter *filter, struct filter *ret_filter)
{
	CLEANUP(filter_finish) struct filter copy;
	filter_init(&copy);
	for (size_t i = 0; i < FILTER_KEYS; i++) {
		int r = filter->lists[i].n ? list_copy(&filter->lists[i], &copy.lists[i]) : 0;
		if (r < 0)
			return r;
	}
	int r = filter->n_tags ? tags_copy(filter, &copy) : 0;
	if (r < 0)
		return r;
	copy.has_outcomes = filter->has_outcomes;
	*ret_filter = copy;
	filter_init(&copy);
	return 0;
}

/* Members are terminated text; a member with a NUL inside is refused, so nothing is lost by that. */
static const char *check_member(struct span member)
{
	if (member.n == 0)
		return "a member of a filter must not be empty";
	if (memchr(member.data, '\0', member.n))
		return "a member of a filter must not contain NUL";
	if (!span_is_utf8(member))
		return "a member of a filter must be UTF-8";
	return NULL;
}

/* A star is a wildcard only at the end; one elsewhere would be taken for a wildcard that it is not. */
static const char *check_interaction(struct span member)
{
	const char *star = memchr(member.data, '*', member.n);
	return star && star != member.data + member.n - 1 ? "a star may stand only at the end of an interaction's type"
													  : NULL;
}

/* Where the member is, or would have to be inserted. */
static size_t list_search(const struct filter_list *list, struct span member, bool *ret_found)
{
	size_t low = 0, high = list->n;
	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct span at = span_text(list->members[middle]);
		int order = memcmp(at.data, member.data, at.n < member.n ? at.n : member.n);
		if (order == 0)
			order = (at.n > member.n) - (at.n < member.n);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int list_insert(struct filter_list *list, struct span member, const char **ret_reason)
{
	bool is_there;
	size_t at = list_search(list, member, &is_there);
	if (is_there)
		return FILTER_OK;
	if (list->n == FILTER_MAX_MEMBERS) {
		*ret_reason = "a list in a filter may have 128 members at most";
		return FILTER_E_MALFORMED;
	}
	char **members = realloc(list->members, (list->n + 1) * sizeof *members);
	if (!members)
		return -ENOMEM;
	list->members = members;
	char *copy = span_dup(member);
	if (!copy)
		return -ENOMEM;
	memmove(members + at + 1, members + at, (list->n - at) * sizeof *members);
	members[at] = copy;
	list->n++;
	return FILTER_OK;
}

int filter_add(struct filter *filter, enum filter_key key, struct span member, const char **ret_reason)
{
	const char *reason = check_member(member);
	if (!reason && key == FILTER_INTERACTIONS)
		reason = check_interaction(member);
	if (reason) {
		*ret_reason = reason;
		return FILTER_E_MALFORMED;
	}
	return list_insert(&filter->lists[key], member, ret_reason);
}

static int find_or_insert_tag(struct filter *filter, struct span name, struct filter_tag **ret_tag,
							  const char **ret_reason)
{
	size_t at = 0;
	while (at < filter->n_tags) {
		int order = strncmp(filter->tags[at].name, name.data, name.n);
		if (order == 0 && filter->tags[at].name[name.n] == '\0') {
			*ret_tag = &filter->tags[at];
			return FILTER_OK;
		}
		if (order >= 0)
			break;
		at++;
	}
	if (filter->n_tags == FILTER_MAX_MEMBERS) {
		*ret_reason = "a filter may have 128 tags at most";
		return FILTER_E_MALFORMED;
	}
	struct filter_tag *tags = realloc(filter->tags, (filter->n_tags + 1) * sizeof *tags);
	if (!tags)
		return -ENOMEM;
	filter->tags = tags;
	char *copy = span_dup(name);
	if (!copy)
		return -ENOMEM;
	memmove(tags + at + 1, tags + at, (filter->n_tags - at) * sizeof *tags);
	tags[at] = (struct filter_tag){ .name = copy };
	filter->n_tags++;
	*ret_tag = &tags[at];
	return FILTER_OK;
}

int filter_add_tag(struct filter *filter, struct span name, struct span value, const char **ret_reason)
{
	const char *reason = check_member(name);
	if (!reason)
		reason = check_member(value);
	if (reason) {
		*ret_reason = reason;
		return FILTER_E_MALFORMED;
	}
	struct filter_tag *tag = NULL;
	int r = find_or_insert_tag(filter, name, &tag, ret_reason);
	return r == FILTER_OK ? list_insert(&tag->values, value, ret_reason) : r;
}

/* A string, or a list of at least one. `tag` names the tag that the members belong to; else they belong to `key`. */
static int parse_members(const json_t *json, struct filter *filter, enum filter_key key, const char *tag,
						 const char **ret_reason)
{
	size_t n = json_is_array(json) ? json_array_size(json) : 1;
	if (n == 0) {
		*ret_reason = "a list in a filter must have a member; leave the key out to match everything";
		return FILTER_E_MALFORMED;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_is_array(json) ? json_array_get(json, i) : json;
		if (!json_is_string(item)) {
			*ret_reason = "a key of a filter takes a string or a list of strings";
			return FILTER_E_MALFORMED;
		}
		int r = tag ? filter_add_tag(filter, span_text(tag), document_text(item), ret_reason)
					: filter_add(filter, key, document_text(item), ret_reason);
		if (r != FILTER_OK)
			return r;
	}
	return FILTER_OK;
}

static int parse_tags(json_t *json, struct filter *filter, const char **ret_reason)
{
	const char *name;
	json_t *value;
	if (!json_is_object(json)) {
		*ret_reason = "\"tags\" takes an object: {\"user\":\"42\"}";
		return FILTER_E_MALFORMED;
	}
	json_object_foreach(json, name, value)
	{
		int r = parse_members(value, filter, FILTER_KEYS, name, ret_reason);
		if (r != FILTER_OK)
			return r;
	}
	return FILTER_OK;
}

static int parse_key(const char *name, json_t *value, struct filter *filter, const char **ret_reason)
{
	if (strcmp(name, "tags") == 0)
		return parse_tags(value, filter, ret_reason);
	for (size_t key = 0; key < FILTER_KEYS; key++)
		if (strcmp(name, key_names[key]) == 0)
			return parse_members(value, filter, (enum filter_key)key, NULL, ret_reason);
	*ret_reason = "a filter has the keys interactions, subtypes, sources, event_ids and tags";
	return FILTER_E_MALFORMED;
}

int filter_parse(const struct json_t *json, struct filter *ret_filter, const char **ret_reason)
{
	const char *name;
	json_t *value;
	/* jansson's iteration takes a mutable object and changes nothing */
	union {
		const json_t *constant;
		json_t *plain;
	} object = { json };
	CLEANUP(filter_finish) struct filter filter;
	filter_init(&filter);
	if (!json_is_object(json)) {
		*ret_reason = "a filter is an object";
		return FILTER_E_MALFORMED;
	}
	json_object_foreach(object.plain, name, value)
	{
		int r = parse_key(name, value, &filter, ret_reason);
		if (r != FILTER_OK)
			return r;
	}
	*ret_filter = filter;
	filter_init(&filter);
	return FILTER_OK;
}

static bool list_has(const struct filter_list *list, struct span member)
{
	bool is_there;
	(void)list_search(list, member, &is_there);
	return is_there;
}

/* Whether `pattern` (a type, or a beginning with a star behind it) covers `type`, which may be a pattern itself. */
static bool pattern_covers(const char *pattern, struct span type)
{
	struct span p = span_text(pattern);
	if (p.data[p.n - 1] != '*')
		return span_equal(p, type);
	p.n--;
	return span_starts_with(type, p);
}

static bool interactions_cover(const struct filter_list *patterns, struct span type)
{
	if (patterns->n == 0)
		return true;
	for (size_t i = 0; i < patterns->n; i++)
		if (pattern_covers(patterns->members[i], type))
			return true;
	return false;
}

static bool matches_interactions(const struct filter *filter, const struct event *event)
{
	const struct filter_list *types = &filter->lists[FILTER_INTERACTIONS];
	const struct filter_list *subtypes = &filter->lists[FILTER_SUBTYPES];
	if (types->n == 0 && subtypes->n == 0)
		return true;
	for (size_t i = 0; i < event->n_interactions; i++) {
		const struct interaction *interaction = &event->interactions[i];
		if (interactions_cover(types, interaction->type) &&
			(subtypes->n == 0 || list_has(subtypes, interaction->subtype)))
			return true;
	}
	return false;
}

static bool matches_tag(const struct filter_tag *wanted, const struct event *event)
{
	for (size_t i = 0; i < event->n_tags; i++)
		if (span_equal(event->tags[i].name, span_text(wanted->name)))
			return list_has(&wanted->values, event->tags[i].value);
	return false;
}

bool filter_matches(const struct filter *filter, const struct event *event)
{
	const struct filter_list *sources = &filter->lists[FILTER_SOURCES];
	const struct filter_list *event_ids = &filter->lists[FILTER_EVENT_IDS];
	if (event->kind == EVENT_OUTCOME && !filter->has_outcomes)
		return false;
	if (event_ids->n && !list_has(event_ids, event->event_id))
		return false;
	for (size_t i = 0; i < filter->n_tags; i++)
		if (!matches_tag(&filter->tags[i], event))
			return false;
	if (sources->n && !list_has(sources, event->source))
		return false;
	return matches_interactions(filter, event);
}

static bool list_is_within(const struct filter_list *inner, const struct filter_list *outer)
{
	if (outer->n == 0)
		return true;
	for (size_t i = 0; i < inner->n; i++)
		if (!list_has(outer, span_text(inner->members[i])))
			return false;
	return inner->n > 0;
}

static bool interactions_are_within(const struct filter_list *inner, const struct filter_list *outer)
{
	if (outer->n == 0)
		return true;
	if (inner->n == 0)
		return interactions_cover(outer, SPAN("")); /* a lone star: every event has an interaction */
	for (size_t i = 0; i < inner->n; i++)
		if (!interactions_cover(outer, span_text(inner->members[i])))
			return false;
	return true;
}

static bool tag_is_within(const struct filter *inner, const struct filter_tag *outer)
{
	for (size_t i = 0; i < inner->n_tags; i++)
		if (strcmp(inner->tags[i].name, outer->name) == 0)
			return list_is_within(&inner->tags[i].values, &outer->values);
	return false;
}

bool filter_is_within(const struct filter *inner, const struct filter *outer)
{
	for (size_t i = 0; i < outer->n_tags; i++)
		if (!tag_is_within(inner, &outer->tags[i]))
			return false;
	return interactions_are_within(&inner->lists[FILTER_INTERACTIONS], &outer->lists[FILTER_INTERACTIONS]) &&
		   list_is_within(&inner->lists[FILTER_SUBTYPES], &outer->lists[FILTER_SUBTYPES]) &&
		   list_is_within(&inner->lists[FILTER_SOURCES], &outer->lists[FILTER_SOURCES]) &&
		   list_is_within(&inner->lists[FILTER_EVENT_IDS], &outer->lists[FILTER_EVENT_IDS]);
}

static void add_list(struct buffer *json, const struct filter_list *list)
{
	buffer_add_char(json, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			buffer_add_char(json, ',');
		buffer_add_json(json, span_text(list->members[i]));
	}
	buffer_add_char(json, ']');
}

static void add_key(struct buffer *json, bool *is_first, const char *name)
{
	if (!*is_first)
		buffer_add_char(json, ',');
	*is_first = false;
	buffer_add_json(json, span_text(name));
	buffer_add_char(json, ':');
}

void filter_add_json(struct buffer *json, const struct filter *filter)
{
	bool is_first = true, is_first_tag = true;
	buffer_add_char(json, '{');
	for (size_t i = 0; i < FILTER_KEYS; i++)
		if (filter->lists[i].n) {
			add_key(json, &is_first, key_names[i]);
			add_list(json, &filter->lists[i]);
		}
	if (filter->n_tags) {
		add_key(json, &is_first, "tags");
		buffer_add_char(json, '{');
		for (size_t i = 0; i < filter->n_tags; i++) {
			add_key(json, &is_first_tag, filter->tags[i].name);
			add_list(json, &filter->tags[i].values);
		}
		buffer_add_char(json, '}');
	}
	buffer_add_char(json, '}');
}
