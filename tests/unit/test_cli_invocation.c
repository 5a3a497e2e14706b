/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/invocation.h"

#include "cli/help.h"
#include "unit.h"

static int run_nothing(const struct invocation *invocation)
{
	(void)invocation;
	return CLI_OK;
}

static const struct command_option options[] = {
	{ "tag", "NAME=VALUE", true, "A tag." },  { "source", "NAME", false, "A source." },
	{ "count", "N", false, "How many." },     { "expires", "TIME", false, "How long." },
	{ "chunked", NULL, false, "In chunks." }, { 0 },
};
static const struct command command_ring = {
	.name = "ring",
	.summary = "",
	.operands = "[FILE]",
	.description = "",
	.examples = "",
	.options = options,
	.max_operands = 1,
	.run = run_nothing,
};
static const struct command *const known[] = { &command_ring, NULL };

struct parsed {
	struct invocation invocation;
	struct buffer message;
	int result;
};

#define PARSE(...) parse((char *[]){ (char[]){ "belfry" }, __VA_ARGS__, NULL })
#define WORD(text) ((char[]){ text })

static struct parsed parse(char **argv)
{
	struct parsed parsed = { .message = BUFFER_INIT };
	int argc = 0;
	while (argv[argc])
		argc++;
	parsed.result = invocation_parse(known, argc, argv, &parsed.invocation, &parsed.message);
	return parsed;
}

static void finish(struct parsed *parsed)
{
	invocation_finish(&parsed->invocation);
	buffer_finish(&parsed->message);
}

static void test_accepts(void)
{
	struct parsed p = PARSE(WORD("--config"), WORD("f.yaml"), WORD("ring"), WORD("--tag=a=b"), WORD("--tag"),
							WORD("c="), WORD("--json"), WORD("--chunked"), WORD("--"), WORD("--file"));
	CU_ASSERT_EQUAL(p.result, CLI_OK);
	CU_ASSERT_PTR_EQUAL(p.invocation.command, &command_ring);
	CU_ASSERT_EQUAL(invocation_count(&p.invocation, "tag"), 2);
	CU_ASSERT_STRING_EQUAL(invocation_value(&p.invocation, "tag"), "a=b");
	CU_ASSERT_STRING_EQUAL(invocation_value_at(&p.invocation, "tag", 1), "c=");
	CU_ASSERT_PTR_NULL(invocation_value_at(&p.invocation, "tag", 2));
	CU_ASSERT_STRING_EQUAL(invocation_config_path(&p.invocation), "f.yaml");
	CU_ASSERT_TRUE(invocation_is_json(&p.invocation));
	CU_ASSERT_TRUE(invocation_has(&p.invocation, "chunked"));
	CU_ASSERT_FALSE(invocation_has(&p.invocation, "source"));
	CU_ASSERT_EQUAL(p.invocation.n_operands, 1);
	CU_ASSERT_STRING_EQUAL(p.invocation.operands[0], "--file");
	finish(&p);
	p = PARSE(WORD("ring"), WORD("-"), WORD("--source="));
	CU_ASSERT_EQUAL(p.result, CLI_OK);
	CU_ASSERT_STRING_EQUAL(p.invocation.operands[0], "-");
	CU_ASSERT_STRING_EQUAL(invocation_value(&p.invocation, "source"), "");
	finish(&p);
	p = PARSE(WORD("-h"));
	CU_ASSERT_EQUAL(p.result, CLI_OK);
	CU_ASSERT_TRUE(invocation_has(&p.invocation, "help"));
	CU_ASSERT_PTR_NULL(p.invocation.command);
	finish(&p);
}

static void expect_refusal(struct parsed p, const char *message)
{
	CU_ASSERT_EQUAL(p.result, CLI_E_USAGE);
	CU_ASSERT_TRUE(span_equal(buffer_span(&p.message), span_text(message)));
	finish(&p);
}

static void test_refuses(void)
{
	expect_refusal(PARSE(WORD("rnig")), "no command \"rnig\"; did you mean \"ring\"?");
	expect_refusal(PARSE(WORD("telephone")), "no command \"telephone\"; \"belfry help\" lists them");
	expect_refusal(PARSE(WORD("ring"), WORD("--sorce"), WORD("x")),
				   "no option --sorce for \"ring\"; did you mean --source?");
	expect_refusal(PARSE(WORD("ring"), WORD("--jsn")), "no option --jsn for \"ring\"; did you mean --json?");
	expect_refusal(PARSE(WORD("ring"), WORD("--frobnicate=1")), "no option --frobnicate for \"ring\"");
	expect_refusal(PARSE(WORD("--tag"), WORD("a=b"), WORD("ring")), "no option --tag");
	expect_refusal(PARSE(WORD("ring"), WORD("--source")), "--source needs a value: --source NAME");
	expect_refusal(PARSE(WORD("ring"), WORD("--chunked=yes")), "--chunked takes no value");
	expect_refusal(PARSE(WORD("ring"), WORD("--source=a"), WORD("--source=b")),
				   "--source stands twice; it takes one value");
	expect_refusal(PARSE(WORD("ring"), WORD("-x")), "\"-x\" is no option: they begin with two dashes");
	expect_refusal(PARSE(WORD("ring"), WORD("a"), WORD("b")), "\"b\" is one word too many for \"ring\"");
	expect_refusal(PARSE(WORD("ring"), WORD("--="), WORD("b")), "no option -- for \"ring\"");
}

static void test_numbers(void)
{
	static const char *const bad[] = { "0", "11", "", "-1", "+1", " 1", "1 ", "1e1", "0x1", "99999999999999999999" };
	uint64_t value = 7;
	struct parsed p = PARSE(WORD("ring"));
	CU_ASSERT_EQUAL(invocation_u64(&p.invocation, "count", 1, 10, &value), CLI_OK);
	CU_ASSERT_EQUAL(value, 7);
	finish(&p);
	p = PARSE(WORD("ring"), WORD("--count=10"));
	CU_ASSERT_EQUAL(invocation_u64(&p.invocation, "count", 1, 10, &value), CLI_OK);
	CU_ASSERT_EQUAL(value, 10);
	for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
		p.invocation.values[0].text = bad[i];
		CU_ASSERT_EQUAL(invocation_u64(&p.invocation, "count", 1, 10, &value), CLI_E_USAGE);
	}
	CU_ASSERT_EQUAL(value, 10);
	finish(&p);
}

static void test_durations(void)
{
	static const struct {
		const char *text;
		int64_t ms; /* -1: refused */
	} cases[] = { { "500ms", 500 }, { "90s", 90000 }, { "15m", 900000 }, { "1h", 3600000 },    { "7d", 604800000 },
				  { "5", 5000 },    { "", -1 },       { "s", -1 },       { "-1s", -1 },        { "1.5h", -1 },
				  { "1 h", -1 },    { "1w", -1 },     { "1hh", -1 },     { "9999999999s", -1 } };
	struct parsed p = PARSE(WORD("ring"), WORD("--expires=1s"));
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		int64_t ms = -1;
		p.invocation.values[0].text = cases[i].text;
		CU_ASSERT_EQUAL(invocation_duration_ms(&p.invocation, "expires", &ms), cases[i].ms < 0 ? CLI_E_USAGE : CLI_OK);
		CU_ASSERT_EQUAL(ms, cases[i].ms);
	}
	finish(&p);
}

static void test_tags(void)
{
	struct tag tag;
	struct parsed p = PARSE(WORD("ring"), WORD("--tag=user=a=b"));
	CU_ASSERT_EQUAL(invocation_tag_at(&p.invocation, "tag", 0, &tag), CLI_OK);
	CU_ASSERT_TRUE(span_equal(tag.name, SPAN("user")));
	CU_ASSERT_TRUE(span_equal(tag.value, SPAN("a=b")));
	p.invocation.values[0].text = "user";
	CU_ASSERT_EQUAL(invocation_tag_at(&p.invocation, "tag", 0, &tag), CLI_E_USAGE);
	p.invocation.values[0].text = "=42";
	CU_ASSERT_EQUAL(invocation_tag_at(&p.invocation, "tag", 0, &tag), CLI_E_USAGE);
	finish(&p);
}

/* Help of every command fits the width of a terminal, and names each of its options. */
static void test_help(void)
{
	for (const struct command *const *c = commands; *c; c++) {
		CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
		help_add_command(&text, *c);
		struct span rest = buffer_span(&text), line;
		while (span_next(&rest, '\n', &line))
			CU_ASSERT_TRUE(line.n <= 100);
		for (const struct command_option *o = (*c)->options; o && o->name; o++) {
			CLEANUP(buffer_finish) struct buffer flag = BUFFER_INIT;
			buffer_add_printf(&flag, "--%s", o->name);
			CU_ASSERT_PTR_NOT_NULL(memmem(text.data, text.n, flag.data, flag.n));
		}
	}
}

UNIT_MAIN({ "a command line", test_accepts }, { "refuses, and says what was meant", test_refuses },
		  { "numbers are digits in a range", test_numbers }, { "durations", test_durations }, { "tags", test_tags },
		  { "help fits", test_help })
