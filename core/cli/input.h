/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the command line names. */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/buffer.h"

/* Appends the bytes of the file, unchanged; "-" is stdin. 0; -EFBIG beyond max_bytes; -errno. */
int input_read(const char *path, size_t max_bytes, struct buffer *bytes) MUST_USE;
/* The same, told. CLI_OK; CLI_E_IO; -ENOMEM. */
int input_require(const char *path, size_t max_bytes, struct buffer *bytes) MUST_USE;

#endif
