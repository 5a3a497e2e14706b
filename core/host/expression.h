/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an expression of jq ends, found by its brackets, strings and comments alone. jq's grammar keeps what stands
 * between two brackets together, so an expression whose own brackets match can be put into (...) among others and never
 * says anything outside of them.
 */
#ifndef HOST_EXPRESSION_H
#define HOST_EXPRESSION_H

#include "base/span.h"

/* NULL if all brackets and strings of the text match; else what is wrong with them. */
const char *expression_judge(struct span text);
/* The same for one that "}}" ends: *ret_n is where that stands. */
const char *expression_find_end(struct span text, size_t *ret_n);

#endif
