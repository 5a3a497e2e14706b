/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slack: the bytes of the file's pages that belong to no row.
 *
 * When SQLite moves rows from page to page, it leaves the old bytes where nothing else comes to stand, whatever
 * secure_delete says (rebuildPage() in its btree.c). Of rows that had been moved by retention and were written over
 * afterwards, one in fifty could still be read somewhere. So these bytes are written over too, in the file itself. They
 * mean nothing to anybody: whoever reads the page at that moment, and a power cut in the middle, find it as good as
 * before.
 *
 * That is so while the write-ahead log is empty, nobody else writes, and whoever writes next has no page in memory from
 * before.
 */
#ifndef STORE_SLACK_H
#define STORE_SLACK_H

#include "base/cleanup.h"

#include <stdint.h>

/* Clears the slack of up to n pages from page *next on (they count from 1), and moves it on; to 0 at the end of the
 * file, when all is on the disk. The file must have SQLite's map of pages (auto_vacuum). 0 or -errno. */
int slack_clear(int fd, uint32_t page_bytes, uint64_t n, uint64_t *next) MUST_USE;

#endif
