/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input.h"

#include "cli/invocation.h"
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>

#define SLICE_BYTES 65536

static int read_all(int fd, size_t max_bytes, struct buffer *bytes)
{
	for (size_t total = 0; total <= max_bytes;) {
		if (!buffer_reserve(bytes, SLICE_BYTES))
			return -ENOMEM;
		ssize_t n = read(fd, bytes->data + bytes->n, SLICE_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		bytes->n += (size_t)n;
		total += (size_t)n;
	}
	return -EFBIG;
}

int input_read(const char *path, size_t max_bytes, struct buffer *bytes)
{
	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, max_bytes, bytes);
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : read_all(fd, max_bytes, bytes);
}

int input_require(const char *path, size_t max_bytes, struct buffer *bytes)
{
	int r = input_read(path, max_bytes, bytes);
	if (r == 0 || r == -ENOMEM)
		return r;
	output_complain("%s: %s", path, strerrordesc_np(-r));
	return CLI_E_IO;
}
