/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from outside, made safe for a terminal.
 *
 * No byte that moves a cursor, sets a title, or turns the direction of reading ever gets through: control characters,
 * bidi marks, invisible and annotation characters come out as an escape that can be seen. Other UTF-8 stays as it is.
 */
#ifndef CLI_PRINTABLE_H
#define CLI_PRINTABLE_H

#include "base/buffer.h"

/* Hidden characters become \u{202e}, bytes that are no UTF-8 \xff. */
void printable_add(struct buffer *text, struct span raw);
/* Not more than max_characters of it, then "...". */
void printable_add_cut(struct buffer *text, struct span raw, size_t max_characters);

/* A JSON text in one line and with the same meaning: blanks outside of strings are dropped, hidden characters inside
 * them become \uXXXX, numbers stay digit for digit. The text must be valid JSON. */
void printable_add_json_line(struct buffer *line, struct span json);

#endif
