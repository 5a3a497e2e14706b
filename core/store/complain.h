/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: a sentence for the administrator, and the errno that goes with it. */
#ifndef STORE_COMPLAIN_H
#define STORE_COMPLAIN_H

#include "base/buffer.h"

/* Writes the sentence to *ret_message (NULL without memory) and returns `error`. */
#define COMPLAIN(error, ret_message, ...)               \
	({                                                  \
		struct buffer sentence_ = BUFFER_INIT;          \
		buffer_add_printf(&sentence_, __VA_ARGS__);     \
		*(ret_message) = buffer_steal_text(&sentence_); \
		(error);                                        \
	})

#endif
