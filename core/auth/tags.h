/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tags say whom a callback is about. Cronofy signs the body only, never the URI, so tags travel in the URI's query
 * with a signature of ours:
 *
 *     https://gateway/callbacks/cronofy?calendar_id=cal_1&user=42&sig=QFlm...
 *
 * A name is 1 to 64 of A-Z a-z 0-9 _ . - and stands once; "sig" is none. A value is UTF-8 without NUL, up to 512 bytes,
 * and may be empty. Both are percent-encoded (RFC 3986); '+' is a plus sign, not a blank.
 *
 * sig is base64url, without padding, of HMAC-SHA256(key, message). The message is a row of netstrings: each text as its
 * length in bytes (decimal), ':', the text itself as UTF-8 before percent-encoding, ','. No two sets of tags have the
 * same message. In order: "belfry-tags", the source's name, then name and value of each tag, sorted by the name's
 * bytes; for the example:
 *
 *     11:belfry-tags,7:cronofy,11:calendar_id,5:cal_1,4:user,2:42,
 *
 * In Python:
 *
 *     texts = ["belfry-tags", source] + [text for tag in sorted(tags.items()) for text in tag]
 *     message = b"".join(b"%d:%s," % (len(t.encode()), t.encode()) for t in texts)
 *     sig = base64.urlsafe_b64encode(hmac.digest(key, message, "sha256")).rstrip(b"=")
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
#define TAGS_MIN_KEY_BYTES 16

enum tags_outcome {
	TAGS_OK,
	TAGS_E_MALFORMED, /* not UTF-8, bad percent-encoding, a name twice, a bound exceeded, sig twice */
	TAGS_E_UNSIGNED,  /* tags that need a signature, and there is none */
	TAGS_E_SIGNATURE, /* there is one, and it is wrong */
};
const char *tags_outcome_name(enum tags_outcome outcome);

/* What one source accepts; ready for use by one thread. */
struct tag_checker;
/* n_keys may be 0: then only tags named in unsigned_names are accepted. 0; -EINVAL for an empty source, too many or too
 * short keys, or an unsigned name that no tag may have; -ENOMEM. */
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

/* Appends "name=value&...&sig=..." signed with the first key; without keys, no sig. 0, TAGS_E_MALFORMED, -ENOMEM. */
int tag_checker_write(struct tag_checker *checker, const struct tag *tags, size_t n_tags,
					  struct buffer *query) MUST_USE;

#endif
