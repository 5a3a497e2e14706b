/* SPDX-License-Identifier: Apache-2.0 */
/* From an address in the configuration to a listening socket. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "config/config.h"

/*
 * Binds and listens (or takes the socket that systemd passed, sd_listen_fds(3)). The socket is non-blocking and
 * close-on-exec. IPv6 sockets take IPv6 only: listen on 0.0.0.0 as well for IPv4. A unix socket that nobody listens on
 * any more is replaced. 0; -EINVAL with *ret_message (the caller frees), one sentence that says what to do; -ENOMEM.
 */
int address_listen(const struct config_address *address, int *ret_fd, char **ret_message) MUST_USE;
/* Whether this machine alone can connect to the socket. */
bool address_is_from_here(int fd);
/* What the socket is bound to, "127.0.0.1:8080" or a path, into text. */
#define ADDRESS_TEXT_SIZE 128
void address_describe(int fd, char ret_text[static ADDRESS_TEXT_SIZE]);

#endif
