/* SPDX-License-Identifier: Apache-2.0 */
#include "testing/fake_host.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SH(script) FAKE_OPTIONS("program", "/bin/sh", "arguments", "-c", "arguments", script)

/* The outcome of a script, whose reason stays in the fake. */
static int run(struct fake *fake, const char *script)
{
	fake_begin(fake, SH(script));
	return fake_handle(fake);
}

static void test_exit_statuses(void)
{
	static const struct {
		const char *script;
		int outcome;
		const char *reason;
	} rows[] = { { "exit 0", BELFRY_DONE, "" },
				 { "echo rung; echo twice", BELFRY_DONE, "rung" },
				 { "exit 75", BELFRY_RETRY, "exit status 75" },
				 { "echo busy; exit 75", BELFRY_RETRY, "exit status 75: busy" },
				 { "printf 'no \\033[1m bell'; exit 1", BELFRY_REJECT, "exit status 1: no  [1m bell" },
				 { "exit 255", BELFRY_REJECT, "exit status 255" },
				 { "kill -SEGV $$", BELFRY_RETRY, "ended by SIGSEGV" },
				 { "kill -KILL $$", BELFRY_RETRY, "ended by SIGKILL" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fake fake;
		CU_ASSERT_EQUAL(run(&fake, rows[i].script), rows[i].outcome);
		CU_ASSERT_STRING_EQUAL(fake.reason, rows[i].reason);
		fake_end(&fake);
	}
}

static void test_body(void)
{
	static char body[1 << 20];
	struct fake fake;
	memset(body, 'x', sizeof body);
	fake_begin(&fake, SH("wc -c | tr -d ' '"));
	fake_set_body_bytes(&fake, body, sizeof body);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "1048576");
	fake_set_body_bytes(&fake, "a\0b", 3);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "3");
	fake_set_body_bytes(&fake, NULL, 0);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "0");
	fake_end(&fake);
}

static void test_unread(void)
{
	static char body[1 << 20];
	struct fake fake;
	fake_begin(&fake, SH("exec <&-; echo deaf"));
	fake_set_body_bytes(&fake, body, sizeof body);
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "deaf");
	fake_end(&fake);
}

static void test_babble(void)
{
	struct fake fake;
	CU_ASSERT_EQUAL(run(&fake, "head -c 3000000 /dev/zero | tr '\\0' x; echo; exit 1"), BELFRY_REJECT);
	CU_ASSERT_EQUAL(strlen(fake.reason), strlen("exit status 1: ") + 900);
	fake_end(&fake);
}

static void test_environment(void)
{
	struct fake fake;
	(void)setenv("LEAKED", "canary", 1);
	fake_begin(&fake, FAKE_OPTIONS("program", "/bin/sh", "arguments", "-c", "arguments",
								   "env | grep -v -e ^_= -e ^PWD= -e ^SHLVL= -e ^OLDPWD= | sort | tr '\\n' ' '",
								   "environment.MORE", "x=y z"));
	fake_add_tag(&fake, "user.id-1", "4 2");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason,
						   "BELFRY_ATTEMPT=1 BELFRY_EVENT_ID=evt BELFRY_HANDLER=handler "
						   "BELFRY_INTERACTION=conferencing_failing BELFRY_KEY=k3x9-42.0:handler BELFRY_MAX_ATTEMPTS=5 "
						   "BELFRY_POSITION=k3x9-42 BELFRY_SOURCE=cronofy BELFRY_SUBTYPE=profile_missing "
						   "BELFRY_TAG_user_id_1=4 2 MORE=x=y z PATH=/usr/local/bin:/usr/bin:/bin ");
	fake_end(&fake);
}

static void test_no_shell(void)
{
	struct fake fake;
	fake_begin(&fake,
			   FAKE_OPTIONS("program", "/bin/echo", "arguments", "--summary=$(id)", "arguments", "/event/summary"));
	fake_set_body(&fake, "{\"event\":{\"summary\":\"`reboot`; * 'x\"}}");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "--summary=$(id) `reboot`; * 'x");
	fake_set_body(&fake, "{\"event\":{\"summary\":\"a\\u0000b\"}}");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "argument 2 would have a NUL in it");
	fake_set_body(&fake, "{}");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "/event/summary failed");
	fake_end(&fake);
}

static void test_descriptors(void)
{
	struct fake fake;
	CU_ASSERT_EQUAL(close_range(3, ~0U, 0), 0); /* what this test has inherited itself */
	CU_ASSERT_EQUAL(run(&fake, "exec ls /proc/self/fd | tr '\\n' ' '"), BELFRY_DONE);
	CU_ASSERT_STRING_EQUAL(fake.reason, "0 1 2 3 "); /* 3 is the folder that ls reads */
	fake_end(&fake);
}

static void test_deadline(void)
{
	struct fake fake;
	fake_begin(&fake, SH("trap '' TERM; while :; do sleep 1000; done"));
	fake.remaining_ms = 500; /* as much as is kept for the host */
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_RETRY);
	CU_ASSERT_STRING_EQUAL(fake.reason, "took too long, and was killed");
	fake_end(&fake);
}

static void test_nothing_is_left_behind(void)
{
	struct fake fake;
	CU_ASSERT_EQUAL(run(&fake, "sleep 1000 >/dev/null & (setsid sleep 1000 >/dev/null 2>&1 & echo $!)"), BELFRY_DONE);
	int pid = atoi(fake.reason);
	CU_ASSERT_FATAL(pid > 1);
	CU_ASSERT(kill(pid, 0) < 0 && errno == ESRCH);
	fake_end(&fake);
}

static void test_held_output(void)
{
	struct fake fake;
	CU_ASSERT_EQUAL(run(&fake, "sleep 1000 & echo out"), BELFRY_DONE); /* the sleeper holds the pipe */
	CU_ASSERT_STRING_EQUAL(fake.reason, "out");
	fake_end(&fake);
}

static void test_missing(void)
{
	struct fake fake;
	fake_begin(&fake, FAKE_OPTIONS("program", "/nowhere/ring"));
	CU_ASSERT_STRING_EQUAL(fake.log, "program: /nowhere/ring: No such file or directory");
	CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_REJECT);
	CU_ASSERT_STRING_EQUAL(fake.reason, "exit status 127");
	fake_end(&fake);
	CU_ASSERT_EQUAL(fake_create(&fake, FAKE_OPTIONS("program", "ring")), -EINVAL);
	CU_ASSERT_STRING_EQUAL(fake.log, "program: \"ring\" is no absolute path");
	fake_end(&fake);
}

UNIT_MAIN({ "what an exit status means", test_exit_statuses }, { "the body is its input", test_body },
		  { "a program need not read", test_unread }, { "what it prints is bounded", test_babble },
		  { "nothing of our environment", test_environment }, { "there is no shell", test_no_shell },
		  { "nor a descriptor", test_descriptors }, { "killed before the deadline", test_deadline },
		  { "nothing is left behind", test_nothing_is_left_behind }, { "its end is its end", test_held_output },
		  { "a program that is not there", test_missing })
