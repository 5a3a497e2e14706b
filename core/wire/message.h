/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscriber says: belfry.v1's messages, or the same wishes in the query of a URL.
 *
 *     {"type":"auth","token":"…"}
 *     {"type":"subscribe","id":"s1","filter":{…},"after":"POSITION"|"earliest"|"latest"}
 *     {"type":"subscribe","filters":{"s1":{…},"s2":{…}},"last":1,"outcomes":true}
 *     {"type":"unsubscribe","id":"s1"}      {"type":"ping"}
 *     ?interactions=conferencing_*&tags.user=42&after=latest&outcomes=true&ticket=…
 *     ?filters={"s1":{…},"s2":{…}}&after=POSITION, percent-encoded
 *
 * Strict: a key that nobody knows is a mistake of somebody who will wonder why it has no effect, so it is said.
 */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "wire/filter.h"
#include "wire/position.h"

#define MESSAGE_MAX_ID_BYTES 64
/* Largest "last". */
#define MESSAGE_MAX_LAST 100
/* The subscription of those who subscribe by URL without an id. */
#define MESSAGE_URL_ID "url"

enum message_type { MESSAGE_AUTH, MESSAGE_SUBSCRIBE, MESSAGE_UNSUBSCRIBE, MESSAGE_PING };

enum message_start {
	MESSAGE_START_NONE, /* not given: as LATEST */
	MESSAGE_START_EARLIEST,
	MESSAGE_START_LATEST,
	MESSAGE_START_AFTER, /* `after` holds */
	MESSAGE_START_LAST,  /* `last` holds */
};

struct message_filter {
	char *id;
	struct filter filter;
};

struct message {
	enum message_type type;
	char *id;     /* NULL if there is none; set whenever it can be read, also when the message is refused */
	char *token;  /* AUTH */
	char *ticket; /* URL only; NULL if there is none */
	struct message_filter *filters; /* SUBSCRIBE: at least one; all of them have outcomes, or none */
	size_t n_filters;
	enum message_start start;
	struct position after;
	uint64_t last;
};

enum message_outcome {
	MESSAGE_OK,
	MESSAGE_E_MALFORMED,
	MESSAGE_E_UNKNOWN_TYPE,
	MESSAGE_E_POSITION, /* `after` is no position */
};
/* "malformed", "unknown_type", "bad_position": the code of the error that the client gets. */
const char *message_outcome_name(enum message_outcome outcome);

/* MESSAGE_OK, another outcome with the reason in words (UTF-8) in *reason, or -ENOMEM. Whatever comes
 * back, message_finish() ret_message. */
int message_parse(struct span text, struct message *ret_message, struct buffer *reason) MUST_USE;
/* The query of a URL, without '?', as a SUBSCRIBE under the id MESSAGE_URL_ID, or under those in "filters". Parameters
 * named in `others` (separated by blanks) are left to the caller. */
int message_parse_query(struct span query, const char *others, struct message *ret_message,
						struct buffer *reason) MUST_USE;
void message_finish(struct message *message);
static inline void message_finish_cleanup(struct message *message)
{
	message_finish(message);
}

#endif
