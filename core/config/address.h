/* SPDX-License-Identifier: Apache-2.0 */
/* Where to listen: 0.0.0.0:8443, [::]:8443, unix:/run/belfry/public.sock, systemd:, systemd:NAME. No host names. */
#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include "config/config.h"

/* 0; -EINVAL with *ret_problem (static: "has no port"); -ENOMEM. */
int address_read(struct span text, struct config_address *ret_address, const char **ret_problem) MUST_USE;
void address_finish(struct config_address *address);
/* Reachable from this machine alone: a loopback address or a unix socket. What systemd passes is not known. */
bool address_is_local(const struct config_address *address);

#endif
