/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include "store/complain.h"

#include <errno.h>
#include <fcntl.h>

static int copy_pages(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (!backup)
		return sqlite_errno(to, sqlite3_errcode(to));
	int code = sqlite3_backup_step(backup, -1);
	int finished = sqlite3_backup_finish(backup);
	return sqlite_errno(to, code == SQLITE_DONE ? finished : code);
}

/* It is synced as a whole in the end; until then nobody counts on it. */
static int copy(struct inspection *inspection, const char *path)
{
	CLEANUP(sqlite_close) sqlite3 *to = NULL;
	int r = sqlite_open(path, SQLITE_OPEN_READWRITE, &to);
	if (r == 0)
		r = sqlite_run(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
	if (r == 0)
		r = copy_pages(inspection->db, to);
	return r < 0 ? r : state_make_own(to);
}

int backup_make(struct inspection *inspection, const char *path, char **ret_message)
{
	CLEANUP(close) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	*ret_message = NULL;
	if (fd < 0 && errno == EEXIST)
		return COMPLAIN(-EEXIST, ret_message,
						"%s is there already, and nothing is overwritten: give the backup another name", path);
	if (fd < 0)
		return COMPLAIN(-errno, ret_message, "%s cannot be made: %s", path, strerrordesc_np(errno));
	int r = copy(inspection, path);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		r = journal_file_sync_folder(path);
	if (r == 0)
		return 0;
	(void)unlink(path);
	return COMPLAIN(r, ret_message, "the backup %s could not be written: %s", path, strerrordesc_np(-r));
}
