/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are inner ones: this machine, private networks, and whatever else no stranger's URL should reach. */
#ifndef HOST_ADDRESS_H
#define HOST_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* Also IPv6 addresses that stand for such an IPv4 address; and every family that is not IP. */
bool address_is_inner(const struct sockaddr *address);
/* "10.0.0.1"; room for the longest. */
#define ADDRESS_TEXT_SIZE 64
void address_format(const struct sockaddr *address, char ret_text[static ADDRESS_TEXT_SIZE]);

#endif
