/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a listener can show a certificate, found out before any listener opens. */
#ifndef AUTH_CERTIFICATE_H
#define AUTH_CERTIFICATE_H

#include "base/cleanup.h"

#include <stdint.h>

/* A certificate that ends sooner than this is worth a warning. */
#define CERTIFICATE_WARNING_MS (14 * INT64_C(86400000))

/*
 * Reads a PEM chain, the listener's own certificate first, and its PEM private key, and checks that they can be read,
 * belong together, and are valid at now_ms (wall clock). The key may not be readable by everybody and needs no pass
 * phrase. 0, with *ret_warning if there is something to say; -EINVAL with *ret_message: the file, what is wrong, and
 * what would be right; -ENOMEM. The caller frees both texts; each is NULL otherwise. Reads files, nothing else.
 */
int certificate_check(const char *chain_path, const char *key_path, int64_t now_ms, char **ret_warning,
					  char **ret_message) MUST_USE;

#endif
