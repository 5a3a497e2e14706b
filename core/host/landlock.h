/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock, which takes files away from the process that asks for it (Linux 5.13). */
#ifndef HOST_LANDLOCK_H
#define HOST_LANDLOCK_H

#include "base/cleanup.h"

/* From now on only the plugin, libraries, and what names and TLS need can be read, and nothing be written but
 * /dev/null. 0, also where the kernel has no Landlock; or -errno. */
int landlock_enter(const char *plugin) MUST_USE;
/* Only: no signal leaves this process and those that it starts (Linux 6.12). As landlock_enter(). */
int landlock_enter_scope(void) MUST_USE;

#endif
