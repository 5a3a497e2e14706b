/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags say whom a callback is about. Cronofy signs the body only, never the URI, so tags travel in the URI's
 * query with a signature of ours:
 *
 *     https://gateway/callbacks/cronofy?calendar_id=cal_1&user=42&sig=…
 *
 * sig is base64url(HMAC-SHA256(key, message)); the message is the source's name and the tags, sorted, each with its
 * length in front, so that no two sets of tags have the same message. One tag name may stand once. "sig" is no tag
 * name.
 */
#ifndef AUTH_TAGS_H
#define AUTH_TAGS_H

#include "wire/digest.h"
#include "wire/event.h"

#define TAGS_MAX_COUNT 32
#define TAGS_MAX_NAME_BYTES 64
#define TAGS_MAX_VALUE_BYTES 512
/* Keys that may be live at once. */
#define TAGS_MAX_KEYS 2

enum tags_outcome {
	TAGS_OK,
	TAGS_E_MALFORMED, /* not UTF-8, bad percent-encoding, a name twice, a bound exceeded, sig twice */
	TAGS_E_UNSIGNED,  /* tags that need a signature, and there is none */
	TAGS_E_SIGNATURE, /* there is one, and it is wrong */
};
const char *tags_outcome_name(enum tags_outcome outcome);

/* What one source accepts; ready for use by one thread. */
struct tag_checker;
/* n_keys may be 0: then only tags named in unsigned_names are accepted. 0, -EINVAL, -ENOMEM. */
int tag_checker_create(struct span source, const struct span *keys, size_t n_keys, const char *const *unsigned_names,
					   size_t n_unsigned_names, struct tag_checker **ret_checker) MUST_USE;
void tag_checker_destroy(struct tag_checker *checker);
CLEANUP_DEFINE(struct tag_checker, tag_checker_destroy)

/* The decoded tags of one request; the texts live in `text`. Sorted by name. */
struct tag_list {
	struct tag tags[TAGS_MAX_COUNT];
	size_t n;
	struct buffer text;
};
void tag_list_finish(struct tag_list *list);
static inline void tag_list_finish_cleanup(struct tag_list *list)
{
	tag_list_finish(list);
}

/*
 * Reads the query of a request (without '?'; empty is fine) and checks it. A signature covers all tags but itself.
 * Tags named in unsigned_names may come without one; if a signature is there, it must be right.
 * enum tags_outcome, or -ENOMEM. ret_list is written on TAGS_OK only.
 */
int tag_checker_read(struct tag_checker *checker, struct span query, struct tag_list *ret_list) MUST_USE;

/* Appends "name=value&…&sig=…" signed with the first key; without keys, no sig. 0, TAGS_E_MALFORMED, -ENOMEM. */
int tag_checker_write(struct tag_checker *checker, const struct tag *tags, size_t n_tags,
					  struct buffer *query) MUST_USE;

#endif
