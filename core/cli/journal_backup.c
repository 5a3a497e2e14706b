/* SPDX-License-Identifier: Apache-2.0 */
/* belfry journal backup: a copy as of one moment. */
#include "cli/command.h"
#include "cli/journal.h"
#include "cli/output.h"
#include "store/backup.h"

#include <errno.h>
#include <sys/stat.h>

static int print(const struct invocation *invocation, const struct inspection *inspection, const char *path)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	struct stat status = { 0 };
	(void)stat(path, &status);
	if (invocation_is_json(invocation))
		return output_json_new(json_pack("{s:s, s:s, s:I}", "file", path, "of", inspection->file.path, "bytes",
										 (json_int_t)status.st_size));
	buffer_add_printf(&line, "%s: %lld bytes", path, (long long)status.st_size);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

int journal_backup(const struct invocation *invocation)
{
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	const char *path = invocation->operands[1];
	char *message = NULL;
	int r = journal_inspect(invocation, &inspection);
	if (r != CLI_OK)
		return r;
	r = backup_make(inspection, path, &message);
	return r < 0 ? journal_refuse(r, message) : print(invocation, inspection, path);
}
