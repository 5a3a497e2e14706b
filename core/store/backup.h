/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a journal as it is at one moment, made while the gateway goes on.
 *
 * The whole copy is one reading transaction. The writer notices nothing of it but that its log cannot be begun anew
 * until the end, and grows by what comes meanwhile.
 */
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include "store/inspection.h"

/* Makes the file, with mode 0600; it must not be there. When this returns 0, it is on the disk; otherwise there is
 * none, and *ret_message says why (-errno). */
int backup_make(struct inspection *inspection, const char *path, char **ret_message) MUST_USE;

#endif
