/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/outline.h"

/* Of all objects that are open at the same time. */
#define MAX_KEYS 64

/* What a value is to us. */
enum place {
	ELSEWHERE,
	ROOT,
	NOTIFICATION,
	NOTIFICATION_TYPE,
	INTERACTIONS,
	INTERACTION,
	INTERACTION_TYPE,
	INTERACTION_SUBTYPE,
	EVENT,
	EVENT_ID,
};

struct scan {
	const char *at, *end;
	size_t depth, max_depth;
	struct outline *outline;
	struct interaction interaction; /* the one that is being read */
	struct span keys[MAX_KEYS];     /* of the open objects, the outermost first */
	size_t n_keys;
};

static enum place place_of(enum place object, struct span key)
{
	static const struct {
		enum place object;
		struct span key;
		enum place place;
	} places[] = {
		{ ROOT, { "notification", 12 }, NOTIFICATION },
		{ ROOT, { "event", 5 }, EVENT },
		{ NOTIFICATION, { "type", 4 }, NOTIFICATION_TYPE },
		{ NOTIFICATION, { "interactions", 12 }, INTERACTIONS },
		{ INTERACTION, { "type", 4 }, INTERACTION_TYPE },
		{ INTERACTION, { "subtype", 7 }, INTERACTION_SUBTYPE },
		{ EVENT, { "event_id", 8 }, EVENT_ID },
	};
	for (size_t i = 0; object != ELSEWHERE && i < ARRAY_LENGTH(places); i++)
		if (places[i].object == object && span_equal(places[i].key, key))
			return places[i].place;
	return ELSEWHERE;
}

static struct span rest_of(const struct scan *scan)
{
	return span_of(scan->at, (size_t)(scan->end - scan->at));
}

static void skip_blanks(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
		scan->at++;
}

static bool take(struct scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

/* --- texts -------------------------------------------------------------------------------------------------------- */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Behind the backslash. No surrogates: whether they are pairs is for jansson to say. */
static bool read_escape(struct scan *scan)
{
	if (scan->at == scan->end)
		return false;
	if (*scan->at != 'u')
		return memchr("\"\\/bfnrt", *scan->at++, 8) != NULL;
	if (scan->end - scan->at < 5)
		return false;
	for (int i = 1; i <= 4; i++)
		if (!is_hex(scan->at[i]))
			return false;
	bool is_surrogate = (scan->at[1] | 0x20) == 'd' && scan->at[2] >= '8';
	scan->at += 5;
	return !is_surrogate;
}

/* With its quotes; ret_text is what is between them. */
static bool read_text(struct scan *scan, struct span *ret_text, bool *ret_has_escapes)
{
	if (!take(scan, '"'))
		return false;
	const char *start = scan->at;
	*ret_has_escapes = false;
	for (;;) {
		scan->at += span_literal_run(rest_of(scan));
		if (take(scan, '"')) {
			*ret_text = span_of(start, (size_t)(scan->at - 1 - start));
			return true;
		}
		if (take(scan, '\\')) {
			*ret_has_escapes = true;
			if (!read_escape(scan))
				return false;
			continue;
		}
		uint32_t point;
		size_t n = span_utf8_sequence(rest_of(scan), &point);
		if (n == 0 || point < 0x20)
			return false;
		scan->at += n;
	}
}

static bool keep_text(struct scan *scan, enum place place)
{
	struct span text;
	bool has_escapes;
	if (!read_text(scan, &text, &has_escapes))
		return false;
	struct span *kept = place == NOTIFICATION_TYPE     ? &scan->outline->notification_type
						: place == EVENT_ID            ? &scan->outline->event_id
						: place == INTERACTION_TYPE    ? &scan->interaction.type
						: place == INTERACTION_SUBTYPE ? &scan->interaction.subtype
													   : NULL;
	if (kept)
		*kept = text;
	return !kept || !has_escapes;
}

/* --- numbers and words ------------------------------------------------------------------------------------------- */

static bool read_digits(struct scan *scan)
{
	const char *start = scan->at;
	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return scan->at > start;
}

/* Of any size: none is needed. */
static bool read_number(struct scan *scan)
{
	(void)take(scan, '-');
	if (!take(scan, '0') && !read_digits(scan))
		return false;
	if (take(scan, '.') && !read_digits(scan))
		return false;
	if (!take(scan, 'e') && !take(scan, 'E'))
		return true;
	if (!take(scan, '+'))
		(void)take(scan, '-');
	return read_digits(scan);
}

static bool read_word(struct scan *scan, struct span word)
{
	if (!span_starts_with(rest_of(scan), word))
		return false;
	scan->at += word.n;
	return true;
}

/* --- objects and arrays ------------------------------------------------------------------------------------------ */

static bool read_value(struct scan *scan, enum place place);

/* Remembers the key unless the object, whose keys begin at `first`, has it already. */
static bool is_new_key(struct scan *scan, size_t first, struct span key)
{
	for (size_t i = first; i < scan->n_keys; i++)
		if (span_equal(scan->keys[i], key))
			return false;
	if (scan->n_keys == MAX_KEYS)
		return false;
	scan->keys[scan->n_keys++] = key;
	return true;
}

static bool read_member(struct scan *scan, enum place object, size_t first_key)
{
	struct span key;
	bool has_escapes;
	skip_blanks(scan);
	if (!read_text(scan, &key, &has_escapes) || has_escapes || !is_new_key(scan, first_key, key))
		return false;
	skip_blanks(scan);
	return take(scan, ':') && read_value(scan, place_of(object, key));
}

static bool read_object(struct scan *scan, enum place place)
{
	size_t first_key = scan->n_keys;
	skip_blanks(scan);
	if (!take(scan, '}')) {
		do {
			if (!read_member(scan, place, first_key))
				return false;
		} while (take(scan, ','));
		if (!take(scan, '}'))
			return false;
	}
	scan->n_keys = first_key;
	return true;
}

static bool read_interaction(struct scan *scan)
{
	struct outline *outline = scan->outline;
	scan->interaction = (struct interaction){ 0 };
	if (!read_value(scan, INTERACTION))
		return false;
	if (scan->interaction.type.n == 0)
		return true;
	if (outline->n_interactions == OUTLINE_MAX_INTERACTIONS)
		return false;
	outline->interactions[outline->n_interactions++] = scan->interaction;
	return true;
}

static bool read_array(struct scan *scan, enum place place)
{
	skip_blanks(scan);
	if (take(scan, ']'))
		return true;
	do {
		if (!(place == INTERACTIONS ? read_interaction(scan) : read_value(scan, ELSEWHERE)))
			return false;
	} while (take(scan, ','));
	return take(scan, ']');
}

/* The blanks behind a value belong to it. */
static bool read_value(struct scan *scan, enum place place)
{
	bool is_good;
	skip_blanks(scan);
	if (scan->at == scan->end)
		return false;
	scan->depth++;
	switch (*scan->at) {
	case '{':
		scan->at++;
		is_good = scan->depth <= scan->max_depth && read_object(scan, place);
		break;
	case '[':
		scan->at++;
		is_good = scan->depth <= scan->max_depth && read_array(scan, place);
		break;
	case '"':
		is_good = keep_text(scan, place);
		break;
	case 't':
		is_good = read_word(scan, SPAN("true"));
		break;
	case 'f':
		is_good = read_word(scan, SPAN("false"));
		break;
	case 'n':
		is_good = read_word(scan, SPAN("null"));
		break;
	default:
		is_good = read_number(scan);
	}
	scan->depth--;
	skip_blanks(scan);
	return is_good;
}

bool outline_read(struct span body, size_t max_depth, struct outline *ret_outline)
{
	struct outline outline = { 0 };
	struct scan scan = { .at = body.data, .end = body.data + body.n, .max_depth = max_depth, .outline = &outline };
	skip_blanks(&scan);
	if (scan.at == scan.end || *scan.at != '{' || !read_value(&scan, ROOT) || scan.at != scan.end)
		return false;
	*ret_outline = outline;
	return true;
}
