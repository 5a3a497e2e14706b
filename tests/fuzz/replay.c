/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a target on files and on the files of folders: replay PATH...
 * Ends as libFuzzer does, with a report and status 77, when something does not hold. Nothing to read is a failure too.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static const char *volatile current_path = "";

static void on_abort(int number)
{
	(void)number;
	const char *path = current_path;
	if (write(STDERR_FILENO, path, strlen(path)) < 0 || write(STDERR_FILENO, "\n", 1) < 0) {
	}
	_exit(77);
}

static void read_all(int fd, struct buffer *bytes)
{
	ssize_t n = 1;
	while (n > 0 && buffer_reserve(bytes, 65536)) {
		n = read(fd, bytes->data + bytes->n, 65536);
		bytes->n += n > 0 ? (size_t)n : 0;
	}
	FUZZ_ASSERT(n == 0 && !bytes->failed);
}

/* Files run: 0 or 1. */
static unsigned replay_file(const char *path)
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	CLEANUP(buffer_finish) struct buffer bytes = BUFFER_INIT;
	if (fd < 0)
		return 0;
	current_path = path;
	read_all(fd, &bytes);
	CLEANUP(free) char *copy = fuzz_copy(buffer_span(&bytes));
	(void)LLVMFuzzerTestOneInput((const uint8_t *)copy, bytes.n);
	return 1;
}

static unsigned replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	unsigned n_files = 0;
	const struct dirent *entry;
	while (folder && (entry = readdir(folder))) {
		CLEANUP(buffer_finish) struct buffer file = BUFFER_INIT;
		if (entry->d_name[0] == '.')
			continue;
		buffer_add_printf(&file, "%s/%s", path, entry->d_name);
		CLEANUP(free) char *text = buffer_steal_text(&file);
		FUZZ_ASSERT(text);
		n_files += replay_file(text);
	}
	if (folder)
		(void)closedir(folder);
	return n_files;
}

int main(int argc, char **argv)
{
	(void)signal(SIGABRT, on_abort);
	unsigned n_files = 0;
	for (int i = 1; i < argc; i++) {
		struct stat status;
		bool is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
		n_files += is_folder ? replay_folder(argv[i]) : replay_file(argv[i]);
	}
	(void)printf("%u files\n", n_files);
	return n_files ? EXIT_SUCCESS : EXIT_FAILURE;
}
