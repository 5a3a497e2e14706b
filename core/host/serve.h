/* SPDX-License-Identifier: Apache-2.0 */
/* A handler's life: configured, one delivery after another, stopped. */
#ifndef HOST_SERVE_H
#define HOST_SERVE_H

/* Speaks packets over the socket `fd`. Returns the exit status; ends the process by itself when the daemon is gone. */
int serve(int fd);

#endif
