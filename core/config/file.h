/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files with something in them that is nobody else's business: bounded, read once, wiped when released.
 * Symbolic links are followed (certbot and Kubernetes work with them); what counts is the file behind them.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "base/cleanup.h"
#include "base/span.h"

#include <sys/stat.h>

struct file {
	char *data; /* terminated */
	size_t n;
	struct stat status;
};

#define FILE_INIT ((struct file){ 0 })

enum file_outcome { FILE_OK, FILE_E_NOT_REGULAR, FILE_E_TOO_LARGE };

/* FILE_OK; another outcome; -errno of open or read, -ENOMEM. */
int file_read(const char *path, size_t max_bytes, struct file *ret_file) MUST_USE;
void file_finish(struct file *file);
static inline void file_finish_cleanup(struct file *file)
{
	file_finish(file);
}

/* Opens and looks, without reading: FILE_OK and *ret_status, FILE_E_NOT_REGULAR, -errno. */
int file_look(const char *path, struct stat *ret_status) MUST_USE;

/* "not a regular file": what file_read() or file_look() returned, for a complaint. Static or strerror()'s. */
const char *file_error_text(int error);

/*
 * Why a secret may not stand in such a file: "is open to its group (mode 0640)". False if it may: owned by root or the
 * effective user, and open to nobody else, except that the group may read it if it is the one that the process runs as.
 * is_group_trusted: whatever the group may do is fine.
 */
#define FILE_EXPOSURE_BYTES 96
bool file_exposure(const struct stat *status, bool is_group_trusted, char ret_reason[static FILE_EXPOSURE_BYTES]);

#endif
