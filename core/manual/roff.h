/* SPDX-License-Identifier: Apache-2.0 */
/* Text in the language of manual pages: mdoc(7), as mandoc and groff read it. */
#ifndef MANUAL_ROFF_H
#define MANUAL_ROFF_H

#include "base/buffer.h"

/* Paragraphs, separated by empty lines. Each sentence begins a line, as the language wants it. */
void roff_add_text(struct buffer *page, struct span text);
/* Lines as they are, indented. */
void roff_add_literal(struct buffer *page, struct span lines);
/* One word of a macro's line, behind a blank. */
void roff_add_word(struct buffer *page, struct span word);

#endif
