/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/vault.h"

#include "base/log.h"
#include "wire/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct vault {
	char *path;
	uint8_t key[SEAL_KEY_BYTES];
	bool has_key;
};

int vault_create(const char *journal_path, struct vault **ret_vault)
{
	CLEANUP(vault_destroy) struct vault *vault = calloc(1, sizeof *vault);
	if (!vault || asprintf(&vault->path, "%s-key", journal_path) < 0)
		return -ENOMEM;
	*ret_vault = STEAL(vault);
	return 0;
}

void vault_destroy(struct vault *vault)
{
	if (!vault)
		return;
	secret_wipe(vault->key, sizeof vault->key);
	free(vault->path);
	free(vault);
}

/* --- the key's file ----------------------------------------------------------------------------------------------- */

/* Only its owner, who is us or root, may read it. 0 or -errno. */
static int read_key(const char *path, uint8_t ret_key[static SEAL_KEY_BYTES])
{
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || (status.st_mode & 077) || (status.st_uid != geteuid() && status.st_uid != 0))
		return -EPERM;
	ssize_t n = read(fd, ret_key, SEAL_KEY_BYTES);
	if (n < 0)
		return -errno;
	return n == SEAL_KEY_BYTES && status.st_size == SEAL_KEY_BYTES ? 0 : -EUCLEAN;
}

static int write_durably(int fd, const uint8_t *bytes, size_t n)
{
	ssize_t written = write(fd, bytes, n);
	if (written != (ssize_t)n)
		return written < 0 ? -errno : -ENOSPC;
	return fsync(fd) < 0 ? -errno : 0;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free) char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!folder)
		return -ENOMEM;
	CLEANUP(close) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Whole or not at all, and durable before anything is sealed with it. */
static int make_key(const char *path)
{
	uint8_t key[SEAL_KEY_BYTES];
	CLEANUP(free) char *draft = NULL;
	int r = digest_random(key, sizeof key);
	if (r == 0 && asprintf(&draft, "%s.new", path) < 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	(void)unlink(draft); /* of a start that was cut short */
	CLEANUP(close) int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : write_durably(fd, key, sizeof key);
	secret_wipe(key, sizeof key);
	if (r == 0 && rename(draft, path) < 0)
		r = -errno;
	return r < 0 ? r : sync_folder(path);
}

static int find_key(struct vault *vault)
{
	if (vault->has_key)
		return 0;
	int r = read_key(vault->path, vault->key);
	if (r == -ENOENT)
		r = make_key(vault->path);
	if (r == 0)
		r = read_key(vault->path, vault->key);
	if (r < 0)
		log_error_limited("handlers' state cannot be kept or read: the key of it cannot be used",
						  LOG_TEXT("path", vault->path), LOG_ERRNO(r));
	vault->has_key = r == 0;
	return r;
}

/* --- sealing ------------------------------------------------------------------------------------------------------ */

/* The key, and what a sealed value is bound to. Neither name has a NUL. */
static int prepare(struct vault *vault, struct span handler, struct span name, struct buffer *context)
{
	int r = find_key(vault);
	buffer_add_text(context, "belfry handler state");
	buffer_add_char(context, '\0');
	buffer_add(context, handler);
	buffer_add_char(context, '\0');
	buffer_add(context, name);
	return r == 0 && context->failed ? -ENOMEM : r;
}

int vault_seal(struct vault *vault, struct span handler, struct span name, struct span value, struct buffer *sealed)
{
	CLEANUP(buffer_finish) struct buffer context = BUFFER_INIT;
	int r = prepare(vault, handler, name, &context);
	return r < 0 ? r : seal(vault->key, buffer_span(&context), value, sealed);
}

int vault_unseal(struct vault *vault, struct span handler, struct span name, struct span sealed, struct buffer *value)
{
	CLEANUP(buffer_finish) struct buffer context = BUFFER_INIT;
	int r = prepare(vault, handler, name, &context);
	return r < 0 ? r : unseal(vault->key, buffer_span(&context), sealed, value);
}
