/* SPDX-License-Identifier: Apache-2.0 */
/* A program is run to its end, whatever it does. */
#include "config/program.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>

#define PATIENT (120 * 1000)

struct end {
	struct buffer output;
	char *problem;
	int outcome;
};

static struct end run(const char *script, struct span input, int64_t patience_ms)
{
	struct end end = { .output = BUFFER_INIT };
	const char *const arguments[] = { "/bin/sh", "-c", script, NULL };
	end.outcome = program_run(arguments, input, patience_ms, &end.output, &end.problem);
	return end;
}

static void finish(struct end *end)
{
	buffer_finish(&end->output);
	free(end->problem);
}

static void expect_output(const char *script, struct span input, struct span output)
{
	struct end end = run(script, input, PATIENT);
	CU_ASSERT_EQUAL(end.outcome, PROGRAM_OK);
	CU_ASSERT_PTR_NULL(end.problem);
	if (!span_equal(buffer_span(&end.output), output))
		printf("\n  %s: got \"%.*s\"", script, SPAN_PRINTF(buffer_span(&end.output)));
	CU_ASSERT_TRUE(span_equal(buffer_span(&end.output), output));
	finish(&end);
}

static void expect_problem(const char *script, int64_t patience_ms, int outcome, const char *problem)
{
	struct end end = run(script, SPAN(""), patience_ms);
	CU_ASSERT_EQUAL(end.outcome, outcome);
	CU_ASSERT_PTR_NOT_NULL_FATAL(end.problem);
	CU_ASSERT_STRING_EQUAL(end.problem, problem);
	finish(&end);
}

static void test_output(void)
{
	static char large[500000];
	memset(large, 'x', sizeof large);
	expect_output("echo out; echo said >&2", SPAN(""), SPAN("out\n"));
	expect_output("cat", SPAN("in\0put"), SPAN("in\0put"));
	expect_output("cat", span_of(large, sizeof large), span_of(large, sizeof large));
	expect_output("exec >&-; exec 2>&-; exit 0", SPAN(""), SPAN(""));
}

/* No environment, no descriptor but three, SIGPIPE not ignored. */
static void test_nothing_of_ours(void)
{
	CU_ASSERT_EQUAL(setenv("BELFRY_TEST_SECRET", "hunter2", 1), 0);
	int fd = open("/dev/null", O_RDONLY); /* not closed at exec */
	CU_ASSERT_TRUE_FATAL(fd > 2);
	(void)signal(SIGPIPE, SIG_IGN);
	expect_output("wc -c < /proc/$$/environ", SPAN(""), SPAN("0\n"));
	expect_output("ls /proc/self/fd | grep -v '^[012]$' | wc -l", SPAN(""), SPAN("1\n"));       /* the folder itself */
	expect_output("grep -c 'SigIgn.*[02468ace]...$' /proc/self/status", SPAN(""), SPAN("1\n")); /* of SIGPIPE */
	(void)signal(SIGPIPE, SIG_DFL);
	(void)close(fd);
}

static void test_refusals(void)
{
	expect_problem("echo first >&2; echo second >&2; exit 1", PATIENT, PROGRAM_E_REFUSED, "first");
	expect_problem("printf 'a\\033[31m\\tb\\377' >&2; exit 1", PATIENT, PROGRAM_E_REFUSED, "a [31m b?");
	expect_problem("exit 3", PATIENT, PROGRAM_E_FAILED, "ended with exit status 3");
	expect_problem("echo a word >&2; kill -SEGV $$", PATIENT, PROGRAM_E_FAILED, "was ended by SIGSEGV");
	expect_problem("while :; do echo endless; done", PATIENT, PROGRAM_E_FAILED, "wrote more than 1 MiB");
	expect_problem("exec sleep 1000", 100, PROGRAM_E_FAILED, "did not end within 100 ms");
	expect_problem("exec >&- 2>&-; exec sleep 1000", 100, PROGRAM_E_FAILED, "did not end within 100 ms");
	expect_problem("while :; do echo endless >&2; done", 100, PROGRAM_E_FAILED, "did not end within 100 ms");
	const char *const nowhere[] = { "/nowhere/belfry-handler", NULL };
	struct buffer output = BUFFER_INIT;
	char *problem = NULL;
	CU_ASSERT_EQUAL(program_run(nowhere, SPAN(""), PATIENT, &output, &problem), -ENOENT);
	CU_ASSERT_PTR_NULL(problem);
}

/* What it leaves behind is killed, and not waited for although it has its stdout. */
static void test_children(void)
{
	struct end end = run("sleep 1000 & echo $!", SPAN(""), PATIENT);
	CU_ASSERT_EQUAL(end.outcome, PROGRAM_OK);
	uint64_t pid = 0;
	CU_ASSERT_TRUE_FATAL(end.output.n > 1);
	CU_ASSERT_TRUE_FATAL(span_to_u64(span_of(end.output.data, end.output.n - 1), INT32_MAX, &pid));
	CLEANUP(close) int pidfd = pidfd_open((pid_t)pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	CU_ASSERT_TRUE(pidfd < 0 || poll(&fd, 1, PATIENT) == 1); /* it is gone, or goes */
	finish(&end);
}

UNIT_MAIN({ "what it prints is taken", test_output }, { "it gets nothing of ours", test_nothing_of_ours },
		  { "ends that are bad are told", test_refusals }, { "nobody is left behind", test_children })
