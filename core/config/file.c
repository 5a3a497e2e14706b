/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include "wire/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* Does not block on a FIFO. */
static int open_regular(const char *path, int *ret_fd, struct stat *ret_status)
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, ret_status) < 0)
		return -errno;
	if (!S_ISREG(ret_status->st_mode))
		return FILE_E_NOT_REGULAR;
	*ret_fd = fd;
	fd = -1;
	return FILE_OK;
}

int file_look(const char *path, struct stat *ret_status)
{
	CLEANUP(close) int fd = -1;
	struct stat status;
	int error = open_regular(path, &fd, &status);
	if (error == FILE_OK)
		*ret_status = status;
	return error;
}

/* Until the end of the file or of the room. */
static int read_all(int fd, char *data, size_t room, size_t *ret_n)
{
	size_t n = 0;
	while (n < room) {
		ssize_t got = read(fd, data + n, room - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_n = n;
	return 0;
}

int file_read(const char *path, size_t max_bytes, struct file *ret_file)
{
	CLEANUP(close) int fd = -1;
	CLEANUP(file_finish) struct file file = FILE_INIT;
	int error = open_regular(path, &fd, &file.status);
	if (error)
		return error;
	size_t room = max_bytes + 1; /* one more shows that the file is too large; at last it is the terminator */
	file.data = malloc(room);
	if (!file.data)
		return -ENOMEM;
	file.n = room; /* to be wiped whatever happens */
	size_t n = 0;
	error = read_all(fd, file.data, room, &n);
	if (error)
		return error;
	if (n > max_bytes)
		return FILE_E_TOO_LARGE;
	file.n = n;
	file.data[n] = '\0';
	*ret_file = file;
	file = FILE_INIT;
	return FILE_OK;
}

void file_finish(struct file *file)
{
	secret_wipe(file->data, file->n);
	free(file->data);
	*file = FILE_INIT;
}

const char *file_error_text(int error)
{
	switch (error) {
	case FILE_OK:
		return "nothing is wrong";
	case FILE_E_NOT_REGULAR:
		return "not a regular file";
	case FILE_E_TOO_LARGE:
		return "too large";
	default:
		return strerror(-error);
	}
}

bool file_exposure(const struct stat *status, bool is_group_trusted, char ret_reason[static FILE_EXPOSURE_BYTES])
{
	unsigned mode = status->st_mode & 07777u;
	/* root looks on behalf of the service, whose group it cannot know */
	bool is_own_group = (mode & 070u) == 040u && (status->st_gid == getegid() || geteuid() == 0);
	bool is_group_fine = (mode & 070u) == 0 || is_own_group || is_group_trusted;
	const char *what = NULL;
	if (mode & 07u)
		what = "is open to everybody";
	else if (!is_group_fine)
		what = "is open to its group";
	if (what)
		(void)snprintf(ret_reason, FILE_EXPOSURE_BYTES, "%s (mode %04o)", what, mode);
	else if (status->st_uid != 0 && status->st_uid != geteuid())
		(void)snprintf(ret_reason, FILE_EXPOSURE_BYTES, "belongs to another user (uid %u)", (unsigned)status->st_uid);
	else
		return false;
	return true;
}
