/* SPDX-License-Identifier: Apache-2.0 */
#include "store/slack.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* https://www.sqlite.org/fileformat.html, "B-tree Pages" and "Pointer Map or Ptrmap Pages" */
enum { FILE_HEADER_BYTES = 100, MAX_PAGE_BYTES = 65536, MAP_ENTRY_BYTES = 5, FIRST_MAP_PAGE = 2 };
enum { MAP_ROOT = 1, MAP_BTREE = 5 };
enum { INTERIOR_INDEX = 2, INTERIOR_TABLE = 5, LEAF_INDEX = 10, LEAF_TABLE = 13 };
/* The page with SQLite's locks, which it never uses. */
#define LOCK_OFFSET 0x40000000u

struct pages {
	int fd;
	uint32_t bytes; /* of each */
	uint8_t page[MAX_PAGE_BYTES];
};

static uint16_t read_u16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static int read_at(int fd, void *bytes, size_t n, uint64_t offset)
{
	ssize_t got = pread(fd, bytes, n, (off_t)offset);
	return got == (ssize_t)n ? 0 : got < 0 ? -errno : -EIO;
}

/* Whether the page is one with rows, as the map has it. */
static int is_btree(const struct pages *pages, uint64_t number, bool *ret_is_btree)
{
	uint64_t pages_a_map = pages->bytes / MAP_ENTRY_BYTES + 1, lock_page = LOCK_OFFSET / pages->bytes + 1;
	*ret_is_btree = number == 1;
	if (number < FIRST_MAP_PAGE || number == lock_page)
		return 0;
	uint64_t map = (number - FIRST_MAP_PAGE) / pages_a_map * pages_a_map + FIRST_MAP_PAGE;
	map += map == lock_page;
	if (number <= map)
		return 0;
	uint8_t type = 0;
	int r = read_at(pages->fd, &type, 1, (map - 1) * pages->bytes + MAP_ENTRY_BYTES * (number - map - 1));
	*ret_is_btree = type == MAP_ROOT || type == MAP_BTREE;
	return r;
}

/* Between the cells' places and the cells. False if this is not what a page with rows looks like. */
static bool find_slack(const struct pages *pages, uint64_t number, size_t *ret_first, size_t *ret_end)
{
	size_t start = number == 1 ? FILE_HEADER_BYTES : 0;
	const uint8_t *header = pages->page + start;
	bool is_interior = header[0] == INTERIOR_INDEX || header[0] == INTERIOR_TABLE;
	if (!is_interior && header[0] != LEAF_INDEX && header[0] != LEAF_TABLE)
		return false;
	*ret_first = start + (is_interior ? 12u : 8u) + 2u * read_u16(header + 3);
	*ret_end = read_u16(header + 5) ? read_u16(header + 5) : MAX_PAGE_BYTES;
	return *ret_first <= *ret_end && *ret_end <= pages->bytes;
}

static int clear_page(struct pages *pages, uint64_t number)
{
	static const uint8_t zeros[MAX_PAGE_BYTES];
	uint64_t offset = (number - 1) * pages->bytes;
	bool is_one;
	size_t first, end;
	int r = is_btree(pages, number, &is_one);
	if (r < 0 || !is_one)
		return r;
	r = read_at(pages->fd, pages->page, pages->bytes, offset);
	if (r < 0 || !find_slack(pages, number, &first, &end) || memcmp(pages->page + first, zeros, end - first) == 0)
		return r;
	ssize_t n = pwrite(pages->fd, zeros, end - first, (off_t)(offset + first));
	return n < 0 ? -errno : (size_t)n < end - first ? -EIO : 0;
}

int slack_clear(int fd, uint32_t page_bytes, uint64_t n, uint64_t *next)
{
	struct pages pages = { .fd = fd, .bytes = page_bytes };
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	uint64_t n_pages = (uint64_t)status.st_size / page_bytes, number = *next;
	int r = 0;
	for (; r == 0 && number <= n_pages && n > 0; n--)
		r = clear_page(&pages, number++);
	bool is_end = number > n_pages;
	if (r == 0 && is_end && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0)
		*next = is_end ? 0 : number;
	return r;
}
