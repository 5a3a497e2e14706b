/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A position says how far somebody is in the journal: EPOCH-SEQUENCE, "k3x9t2ma-42".
 *
 * The epoch names one journal for its whole life (it changes when the file is replaced or
 * restored), the sequence counts its entries from 1. Clients hand positions back as opaque
 * text; 0 stands for "before the first".
 */
#ifndef WIRE_POSITION_H
#define WIRE_POSITION_H

#include "base/buffer.h"

/* Characters of an epoch: lower-case letters and digits. */
#define POSITION_MAX_EPOCH 16
#define POSITION_MAX_SEQUENCE INT64_MAX
/* The longest text: epoch, dash, 19 digits, terminator. */
#define POSITION_TEXT_SIZE (POSITION_MAX_EPOCH + 1 + 19 + 1)

struct position {
	char epoch[POSITION_MAX_EPOCH + 1];
	uint64_t sequence; /* 0..POSITION_MAX_SEQUENCE */
};

/* False unless the text is exactly EPOCH-SEQUENCE (digits only, no sign, no blank, no zero in front). */
bool position_parse(struct span text, struct position *ret_position);
/* Writes the text with a terminator and returns its length without it. */
size_t position_format(const struct position *position, char ret_text[static POSITION_TEXT_SIZE]);
/* "KEY":"k3x9t2ma-42", without a comma in front. The key needs no escapes. */
void position_add_json(struct buffer *json, const char *key, const char *epoch, uint64_t sequence);

#endif
