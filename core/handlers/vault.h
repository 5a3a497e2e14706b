/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers' state is kept in the journal under seal: a plugin may keep tokens there. The key lies beside the journal,
 * in a file of its own (JOURNAL-key, mode 0600, made when something is kept for the first time), so that whoever gets
 * hold of the journal alone, in a copy or a backup, reads none of it. A value is bound to its handler and its name:
 * none can be put in another's place.
 *
 * Belongs to one thread.
 */
#ifndef HANDLERS_VAULT_H
#define HANDLERS_VAULT_H

#include "base/buffer.h"

struct vault;
/* Touches no file yet. 0 or -ENOMEM. */
int vault_create(const char *journal_path, struct vault **ret_vault) MUST_USE;
void vault_destroy(struct vault *vault); /* NULL is fine */
CLEANUP_DEFINE(struct vault, vault_destroy)

/* Both append. 0 or -errno; what is wrong with the key's file is said in the log. */
int vault_seal(struct vault *vault, struct span handler, struct span name, struct span value,
			   struct buffer *sealed) MUST_USE;
/* -EBADMSG if it was sealed with another key, for another handler or name, or was changed. */
int vault_unseal(struct vault *vault, struct span handler, struct span name, struct span sealed,
				 struct buffer *value) MUST_USE;

#endif
