/* SPDX-License-Identifier: Apache-2.0 */
/* What `belfry journal` does, one function a word of it. Each as command.run. */
#ifndef CLI_JOURNAL_H
#define CLI_JOURNAL_H

#include "cli/setup.h"
#include "store/inspection.h"

int journal_check(const struct invocation *invocation) MUST_USE;
int journal_export(const struct invocation *invocation) MUST_USE;
int journal_import(const struct invocation *invocation) MUST_USE;
int journal_backup(const struct invocation *invocation) MUST_USE;
int journal_erase(const struct invocation *invocation) MUST_USE;

/* The journal's file: what --journal names, else the configuration's. The caller frees. CLI_OK; an enum cli_exit, told;
 * -ENOMEM. */
int journal_find(const struct invocation *invocation, char **ret_path) MUST_USE;
/* The same file, to be read. */
int journal_inspect(const struct invocation *invocation, struct inspection **ret_inspection) MUST_USE;
/* Tells a sentence of store/, which it frees, and what exit status goes with it. */
int journal_refuse(int error, char *message) MUST_USE;

#endif
