/* SPDX-License-Identifier: Apache-2.0 */
/* Reading base64 that somebody else wrote, in either alphabet, to say what is in it. Writing is in wire/digest.h. */
#ifndef CLI_BASE64_H
#define CLI_BASE64_H

#include "base/buffer.h"

enum base64_alphabet { BASE64_STANDARD, BASE64_URL };

/* Appends what the text stands for. Padding may be there or not; bits that a shorter text leaves over are ignored.
 * False for a character of neither kind, misplaced padding, or a length that no bytes have. */
bool base64_read(struct span text, enum base64_alphabet alphabet, struct buffer *decoded);

#endif
