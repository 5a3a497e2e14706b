/* SPDX-License-Identifier: Apache-2.0 */
/* What token_keys.c builds and token.c verifies with; private to auth/. */
#ifndef AUTH_TOKEN_KEYS_H
#define AUTH_TOKEN_KEYS_H

#include "auth/key.h"
#include "auth/token.h"

/*
 * Any number of threads read this at once, with no lock. They may: the keys' JSON is only ever read after it was built,
 * jose's verification takes no reference to a key and changes nothing in it, and jansson promises that reading is
 * safe between threads (its reference counts are atomic wherever JANSSON_THREAD_SAFE_REFCOUNT is defined).
 * OpenSSL's objects are made anew by jose for each verification.
 */
#ifndef JANSSON_THREAD_SAFE_REFCOUNT
#error "jansson was built without atomic reference counts"
#endif

struct token_keys {
	struct key keys[TOKEN_MAX_KEYS];
	size_t n;
	char *issuer, *audience; /* NULL: not checked */
	int64_t leeway_ms;
	atomic_uint references;
};

#endif
