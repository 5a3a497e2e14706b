/* SPDX-License-Identifier: Apache-2.0 */
/* What a listener shows of itself, and whether it can: found out before it opens. */
#ifndef AUTH_CERTIFICATE_H
#define AUTH_CERTIFICATE_H

#include "base/cleanup.h"

#include <openssl/types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A certificate that ends sooner than this is worth a warning. */
#define CERTIFICATE_WARNING_MS (14 * INT64_C(86400000))

/* A chain and its key. Immutable and reference counted; any thread. */
struct certificate {
	X509 *own;
	STACK_OF(X509) * issuers; /* those between it and the root */
	EVP_PKEY *key;
	int64_t end_ms; /* when it expires, wall clock; INT64_MAX if that cannot be said */
	atomic_uint references;
};

/*
 * Reads a PEM chain, the listener's own certificate first, and its PEM private key, and checks that they can be read,
 * belong together, and are valid at now_ms (wall clock). The key may not be readable by everybody and needs no pass
 * phrase. 0, with *ret_warning if there is something to say; -EINVAL with *ret_message: the file, what is wrong, and
 * what would be right; -ENOMEM. The caller frees both texts; each is NULL otherwise. Reads files, nothing else.
 */
int certificate_load(const char *chain_path, const char *key_path, int64_t now_ms, struct certificate **ret_certificate,
					 char **ret_warning, char **ret_message) MUST_USE;
struct certificate *certificate_ref(struct certificate *certificate);
/* NULL is fine. */
void certificate_unref(struct certificate *certificate);
CLEANUP_DEFINE(struct certificate, certificate_unref)
bool certificate_is_same(const struct certificate *a, const struct certificate *b);

#endif
