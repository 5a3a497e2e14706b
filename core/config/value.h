/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one piece of text may mean: numbers with and without units, names, paths, URLs. Pure functions.
 *
 * Numbers are decimal digits without sign, blanks, separators or leading zeros: no 0x10, 0o17, 1_000, 1e3, 08 or +1,
 * which other readers of YAML would each take for something else. A unit stands directly behind, and there is one.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "base/buffer.h"

struct value_unit {
	const char *suffix; /* NULL ends the table */
	uint64_t factor;
};

extern const struct value_unit value_plain[];     /* no unit */
extern const struct value_unit value_durations[]; /* ms s m h d, in milliseconds */
extern const struct value_unit value_sizes[];     /* B KB KiB MB MiB GB GiB TB TiB, in bytes */

enum value_outcome {
	VALUE_OK,
	VALUE_E_FORM,  /* no number, or a unit that is not in the table */
	VALUE_E_UNIT,  /* a number without the unit that it needs */
	VALUE_E_RANGE, /* does not fit into 63 bits */
};

/* enum value_outcome. */
int value_read_number(struct span text, const struct value_unit *units, uint64_t *ret_value) MUST_USE;
/* The same the other way, with the largest unit that leaves no rest: 90000 is "90s". */
void value_add_number(struct buffer *b, const struct value_unit *units, uint64_t value);

/*
 * Checks of text. Each says what is wrong, to be read behind the quoted text ("is not an absolute path"), or NULL.
 */
const char *value_check_text(struct span text);         /* one line, not empty */
const char *value_check_lines(struct span text);        /* not empty */
const char *value_check_name(struct span text);         /* 1..64 of a-z 0-9 - _ */
const char *value_check_key(struct span text);          /* 1..64 bytes, one line */
const char *value_check_pattern(struct span text);      /* of types of interaction: "change", "conferencing_*", "*" */
const char *value_check_path(struct span text);         /* absolute, in the file system */
const char *value_check_request_path(struct span text); /* of a URL: "/callbacks/cronofy" */
const char *value_check_url(struct span text);          /* http or https; no user, no fragment */
const char *value_check_public_url(struct span text);   /* the same without query and without '/' at the end */
const char *value_check_origin(struct span text);       /* as browsers write it: scheme://host[:port] */
const char *value_check_host(struct span text);         /* a name, an IPv4 address, an IPv6 address in brackets */

#endif
