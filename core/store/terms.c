/* SPDX-License-Identifier: Apache-2.0 */
#include "store/terms.h"

enum term_kind { TERM_INTERACTION = 'i', TERM_ANY_INTERACTION = '*', TERM_EVENT_ID = 'e', TERM_TAG = 't' };
/* The same of an outcome. */
#define TERM_OUTCOME 0x80u

static uint64_t mix_bytes(uint64_t hash, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		hash = (hash ^ (uint8_t)s.data[i]) * 0x100000001b3u; /* FNV-1a */
	return hash;
}

/* FNV-1a leaves its upper bits poorly mixed, and these choose the part of the index (see segment.c): the finisher of
 * MurmurHash3 spreads them. A zero byte stands between the two texts. */
static uint64_t term_of(unsigned kind, struct span a, struct span b)
{
	uint64_t hash = (0xcbf29ce484222325u ^ (uint64_t)kind) * 0x100000001b3u;
	hash = mix_bytes(mix_bytes(mix_bytes(hash, a), SPAN("\0")), b);
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53u;
	return hash ^ hash >> 33;
}

int terms_of_event(const struct event *event, int (*add)(void *context, uint64_t term), void *context)
{
	int r = 0;
	unsigned what = event->kind == EVENT_OUTCOME ? TERM_OUTCOME : 0;
	if (event->kind != EVENT_CALLBACK && event->kind != EVENT_OUTCOME) /* nobody may ask for it */
		return 0;
	if (event->event_id.n)
		r = add(context, term_of(what | TERM_EVENT_ID, event->event_id, SPAN("")));
	for (size_t i = 0; r == 0 && i < event->n_tags; i++)
		r = add(context, term_of(what | TERM_TAG, event->tags[i].name, event->tags[i].value));
	if (event->n_interactions > TERMS_MAX_INTERACTIONS)
		return r < 0 ? r : add(context, term_of(what | TERM_ANY_INTERACTION, SPAN(""), SPAN("")));
	for (size_t i = 0; r == 0 && i < event->n_interactions; i++)
		r = add(context, term_of(what | TERM_INTERACTION, event->interactions[i].type, SPAN("")));
	return r;
}

static void want(struct terms *terms, uint64_t term)
{
	for (size_t i = 0; i < terms->n; i++)
		if (terms->terms[i] == term)
			return;
	if (terms->n == TERMS_MAX_WANTED)
		terms->is_everything = true;
	else
		terms->terms[terms->n++] = term;
}

static void want_tag(struct terms *terms, unsigned what, const struct filter_tag *tag)
{
	for (size_t i = 0; i < tag->values.n; i++)
		want(terms, term_of(what | TERM_TAG, span_text(tag->name), span_text(tag->values.members[i])));
}

static void want_interactions(struct terms *terms, unsigned what, const struct filter_list *types)
{
	want(terms, term_of(what | TERM_ANY_INTERACTION, SPAN(""), SPAN("")));
	for (size_t i = 0; i < types->n; i++) {
		struct span type = span_text(types->members[i]);
		if (type.data[type.n - 1] == '*')
			terms->is_everything = true;
		want(terms, term_of(what | TERM_INTERACTION, type, SPAN("")));
	}
}

/* All keys of a filter must match, so the terms of one key are enough: the one that fewest events have. */
static void want_filter(struct terms *terms, unsigned what, const struct filter *filter)
{
	const struct filter_list *event_ids = &filter->lists[FILTER_EVENT_IDS];
	const struct filter_list *types = &filter->lists[FILTER_INTERACTIONS];
	const struct filter_tag *tag = filter->tags;
	for (size_t i = 1; i < filter->n_tags; i++)
		if (filter->tags[i].values.n < tag->values.n)
			tag = &filter->tags[i];
	if (event_ids->n)
		for (size_t i = 0; i < event_ids->n; i++)
			want(terms, term_of(what | TERM_EVENT_ID, span_text(event_ids->members[i]), SPAN("")));
	else if (filter->n_tags)
		want_tag(terms, what, tag);
	else if (types->n)
		want_interactions(terms, what, types);
	else
		terms->is_everything = true;
}

void terms_of_filters(const struct filter *filters, size_t n_filters, struct terms *ret_terms)
{
	*ret_terms = (struct terms){ .is_everything = n_filters == 0 };
	for (size_t i = 0; i < n_filters && !ret_terms->is_everything; i++) {
		want_filter(ret_terms, 0, &filters[i]);
		if (filters[i].has_outcomes)
			want_filter(ret_terms, TERM_OUTCOME, &filters[i]);
	}
}
