/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the address that we would have: for whoever starts a second gateway, or the second server on a port. */
#ifndef NET_HOLDER_H
#define NET_HOLDER_H

#include "base/buffer.h"

#include <sys/socket.h>

/* Appends "nginx (process 812)". False, and nothing, if it cannot be seen: only root sees other users' descriptors. */
bool holder_find(const struct sockaddr *address, struct buffer *text);

#endif
