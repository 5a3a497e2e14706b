/* SPDX-License-Identifier: Apache-2.0 */
/* Tells systemd how we are (sd_notify(3)); does nothing where nobody asked. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* state: "READY=1", "RELOADING=1\nMONOTONIC_USEC=...", "STOPPING=1", "WATCHDOG=1". */
void notify(const char *state);

#endif
