/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder of a test's own, in which it works, so that complaints begin with "belfry.yaml:". "$D" in a text stands for
 * the folder's path. What every test finds there, write_fixtures() of each file puts there.
 */
#ifndef UNIT_CONFIG_UNIT_H
#define UNIT_CONFIG_UNIT_H

#include "base/buffer.h"
#include "config/config.h"
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static void write_fixtures(void);

static char folder[64];

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status, (void)kind, (void)place;
	return remove(path);
}

static void remove_folder(void)
{
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_bytes(const char *path, mode_t mode, struct span bytes)
{
	CLEANUP(close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, bytes.data, bytes.n), (ssize_t)bytes.n);
	CU_ASSERT_EQUAL_FATAL(fchmod(fd, mode), 0);
}

/* The text with the folder's path for each "$D"; the caller frees. */
static char *expand(const char *text)
{
	struct buffer b = BUFFER_INIT;
	for (const char *found; (found = strstr(text, "$D")); text = found + 2) {
		buffer_add(&b, span_of(text, (size_t)(found - text)));
		buffer_add_text(&b, folder);
	}
	buffer_add_text(&b, text);
	return buffer_steal_text(&b);
}

static void write_text(const char *path, mode_t mode, const char *text)
{
	CLEANUP(free) char *expanded = expand(text);
	write_bytes(path, mode, span_text(expanded));
}

static void enter_folder(void)
{
	if (folder[0])
		return;
	(void)snprintf(folder, sizeof folder, "/tmp/belfry-test-config-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	CU_ASSERT_EQUAL_FATAL(chdir(folder), 0);
	CU_ASSERT_EQUAL_FATAL(atexit(remove_folder), 0);
	CU_ASSERT_EQUAL_FATAL(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	write_fixtures();
}

/* --- expectations --- */

/* All complaints, one a line; warnings begin with "warning: ". The caller frees. */
static char *joined(const struct complaints *complaints)
{
	struct buffer b = BUFFER_INIT;
	for (size_t i = 0; i < complaints->n; i++)
		buffer_add_printf(&b, "%s%s%s", i ? "\n" : "", complaints->items[i].is_warning ? "warning: " : "",
						  complaints->items[i].text);
	return buffer_steal_text(&b);
}

static void expect_loaded(const char *text, mode_t mode, int expected_outcome, const char *expected,
						  struct config **ret_config)
{
	enter_folder();
	write_text("belfry.yaml", mode, text);
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(free) char *wanted = expand(expected);
	int outcome = config_load("belfry.yaml", &complaints, &config);
	CLEANUP(free) char *got = joined(&complaints);
	if (strcmp(got, wanted) != 0)
		printf("\n%s\n  got:\n%s\n  want:\n%s\n", text, got, wanted);
	CU_ASSERT_STRING_EQUAL(got, wanted);
	CU_ASSERT_EQUAL(outcome, expected_outcome);
	CU_ASSERT_EQUAL(config != NULL, outcome == CONFIG_OK);
	CU_ASSERT_EQUAL(complaints.n_errors > 0, outcome == CONFIG_E_INVALID);
	if (ret_config)
		*ret_config = STEAL(config);
}

static struct config *expect_config(const char *text, const char *warnings)
{
	struct config *config = NULL;
	expect_loaded(text, 0600, CONFIG_OK, warnings, &config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	return config;
}

struct refusal {
	const char *text, *expected;
};

__attribute__((unused)) static void expect_refusals(const struct refusal *refusals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_loaded(refusals[i].text, 0600, CONFIG_E_INVALID, refusals[i].expected, NULL);
}
#define EXPECT_REFUSALS(refusals) expect_refusals(refusals, ARRAY_LENGTH(refusals))

#endif
