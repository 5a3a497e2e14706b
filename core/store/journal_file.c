/* SPDX-License-Identifier: Apache-2.0 */
#include "store/journal_file.h"

#include "base/log.h"
#include "store/complain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

/* SQLite locks from 1 GiB on (and in its -shm file), never here. */
#define LOCK_BYTE 0

static char *with_suffix(const char *path, const char *suffix)
{
	struct buffer name = BUFFER_INIT;
	buffer_add_text(&name, path);
	buffer_add_text(&name, suffix);
	return buffer_steal_text(&name);
}

static struct file_identity identity_of(const struct stat *status)
{
	return (struct file_identity){ status->st_dev, status->st_ino, true };
}

static int judge_owner(const struct stat *status, const char *path, char **ret_message)
{
	if (!S_ISREG(status->st_mode))
		return COMPLAIN(-EINVAL, ret_message, "%s is not a regular file: give the journal a path of its own", path);
	if (status->st_uid != geteuid())
		return COMPLAIN(-EPERM, ret_message,
						"%s belongs to user %u, but the gateway runs as user %u: give the file to that one (chown)",
						path, (unsigned)status->st_uid, (unsigned)geteuid());
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return COMPLAIN(-EPERM, ret_message,
						"%s may be written by others than its owner (mode %04o): take that right away (chmod go-w)",
						path, (unsigned)status->st_mode & 07777u);
	/* SQLite looks for the write-ahead log beside the name that it was given. */
	if (status->st_nlink > 1)
		return COMPLAIN(-EMLINK, ret_message,
						"%s has %" PRIu64
						" names (hard links): remove all but one, or what is not yet in the file itself "
						"is missed under the others",
						path, (uint64_t)status->st_nlink);
	return 0;
}

static int take_lock(int fd, const char *path, char **ret_message)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 1 };
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	int error = errno;
	if (error == EAGAIN || error == EACCES)
		return COMPLAIN(-EBUSY, ret_message,
						"%s is in use by another gateway: stop that one, or give this one a journal "
						"of its own",
						path);
	return COMPLAIN(-error, ret_message, "%s cannot be locked: %s", path, strerrordesc_np(error));
}

static void look_beside(struct journal_file *file, const char *rollback_path)
{
	struct stat status;
	file->had_wal = stat(file->wal_path, &status) == 0;
	file->had_wal_frames = file->had_wal && status.st_size > 0;
	file->had_rollback = stat(rollback_path, &status) == 0 && status.st_size > 0;
}

/* Its names, and what lies beside it. */
static int find_around(struct journal_file *file, const struct stat *status, const char *path, char **ret_message)
{
	file->identity = identity_of(status);
	file->is_empty = status->st_size == 0;
	file->path = realpath(path, NULL);
	if (!file->path)
		return COMPLAIN(-errno, ret_message, "%s cannot be found again: %s", path, strerrordesc_np(errno));
	file->wal_path = with_suffix(file->path, "-wal");
	CLEANUP(free) char *rollback_path = with_suffix(file->path, "-journal");
	if (!file->wal_path || !rollback_path)
		return -ENOMEM;
	look_beside(file, rollback_path);
	return journal_file_in_place(file);
}

static int examine(struct journal_file *file, const char *path, char **ret_message)
{
	struct stat status;
	if (fstat(file->fd, &status) < 0)
		return COMPLAIN(-errno, ret_message, "%s cannot be examined: %s", path, strerrordesc_np(errno));
	int r = judge_owner(&status, path, ret_message);
	if (r == 0)
		r = take_lock(file->fd, path, ret_message);
	return r < 0 ? r : find_around(file, &status, path, ret_message);
}

static int refuse_to_open(const char *path, int error, char **ret_message)
{
	switch (error) {
	case ENOENT:
		return COMPLAIN(
			-error, ret_message,
			"%s cannot be opened: its folder must exist; make it, for user %u alone (install -d -m 0700 -o)", path,
			(unsigned)geteuid());
	case EACCES:
		return COMPLAIN(
			-error, ret_message,
			"%s cannot be opened: the gateway runs as user %u, who may not; give the folder, with what is in "
			"it, to that one (chown -R)",
			path, (unsigned)geteuid());
	case EROFS:
		return COMPLAIN(-error, ret_message,
						"%s cannot be opened: %s; mount it for writing, or choose another place (in a unit, "
						"ReadWritePaths=)",
						path, strerrordesc_np(error));
	default:
		return COMPLAIN(-error, ret_message, "%s cannot be opened: %s", path, strerrordesc_np(error));
	}
}

int journal_file_open(const char *path, struct journal_file *ret_file, char **ret_message)
{
	CLEANUP(journal_file_finish)
	struct journal_file file = { .fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600) };
	if (file.fd < 0)
		return refuse_to_open(path, errno, ret_message);
	int r = examine(&file, path, ret_message);
	if (r < 0)
		return r;
	*ret_file = file;
	file = (struct journal_file){ .fd = -1 };
	return 0;
}

int journal_file_look(const char *path, struct journal_file *ret_file, char **ret_message)
{
	struct stat status;
	CLEANUP(journal_file_finish)
	struct journal_file file = { .fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) };
	if (file.fd < 0 || fstat(file.fd, &status) < 0)
		return COMPLAIN(-errno, ret_message, "%s cannot be opened: %s", path, strerrordesc_np(errno));
	if (!S_ISREG(status.st_mode))
		return COMPLAIN(-EINVAL, ret_message, "%s is not a regular file, so it is no journal", path);
	int r = find_around(&file, &status, path, ret_message);
	if (r < 0)
		return r;
	*ret_file = file;
	file = (struct journal_file){ .fd = -1 };
	return 0;
}

void journal_file_finish(struct journal_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	free(file->path);
	free(file->wal_path);
	*file = (struct journal_file){ .fd = -1 };
}

int journal_file_know_wal(struct journal_file *file)
{
	struct stat status;
	if (stat(file->wal_path, &status) < 0)
		return -errno;
	file->wal = identity_of(&status);
	return 0;
}

/* Asks for nothing but the identity: whoever has seen a file's times makes Linux (from 6.13 on) note the next change to
 * the nanosecond, and the sync behind it write the inode, too. */
static bool leads_to(const char *path, const struct file_identity *identity)
{
	struct statx status;
	return statx(AT_FDCWD, path, 0, STATX_INO, &status) == 0 &&
		   makedev(status.stx_dev_major, status.stx_dev_minor) == identity->device && status.stx_ino == identity->inode;
}

int journal_file_in_place(const struct journal_file *file)
{
	bool is_in_place =
		leads_to(file->path, &file->identity) && (!file->wal.is_known || leads_to(file->wal_path, &file->wal));
	return is_in_place ? 0 : -ESTALE;
}

int journal_file_sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free) char *folder = slash ? span_dup(span_of(path, (size_t)(slash - path) + 1)) : strdup(".");
	if (!folder)
		return -ENOMEM;
	CLEANUP(close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

void journal_file_warn_of_system(const struct journal_file *file)
{
	static const struct {
		long magic;
		const char *name, *reason;
	} systems[] = {
		{ TMPFS_MAGIC, "tmpfs", "it is memory: everything is lost when the machine restarts" },
		{ RAMFS_MAGIC, "ramfs", "it is memory: everything is lost when the machine restarts" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay", "it goes with the container: mount a volume for the journal" },
		{ NFS_SUPER_MAGIC, "nfs", "locks and shared memory cannot be trusted over a network" },
		{ SMB_SUPER_MAGIC, "smb", "locks and shared memory cannot be trusted over a network" },
		{ SMB2_SUPER_MAGIC, "smb2", "locks and shared memory cannot be trusted over a network" },
	};
	struct statfs status;
	if (fstatfs(file->fd, &status) < 0)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(systems); i++)
		if (status.f_type == systems[i].magic)
			log_warning("the journal lies on a file system that may lose it", LOG_TEXT("path", file->path),
						LOG_TEXT("file_system", systems[i].name), LOG_TEXT("reason", systems[i].reason));
}
