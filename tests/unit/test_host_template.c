/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions and templates: what is accepted, what fails in which words, and that no expression reaches another. */
#include "host/expression.h"
#include "host/template.h"

#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#define BODY                                                                                                         \
	"{\"event\":{\"summary\":\"B\xc3\xb6rd\",\"n\":3,\"null\":null,\"list\":[1,\"a\"],\"start\":\"2026-04-27T15:00:" \
	"00Z\","                                                                                                         \
	"\"zoned\":{\"time\":\"2026-04-27T15:00:00+02:00\",\"tzid\":\"Europe/Berlin\"},\"day\":\"2026-04-27\","          \
	"\"local\":\"2026-04-27T15:00:00\"}}"

static const struct belfry_tag tags[] = { { "user", "42" } };

static struct template_input input(const char *body)
{
	return (struct template_input){ .body = span_text(body),
									.interaction = SPAN("change"),
									.subtype = SPAN("late"),
									.tags = tags,
									.n_tags = 1,
									.attempt = 2 };
}

static bool is_text(const struct buffer *actual, const char *expected)
{
	bool is_right = span_equal(buffer_span(actual), span_text(expected));
	if (!is_right)
		(void)fprintf(stderr, "%.*s, not %s\n", SPAN_PRINTF(buffer_span(actual)), expected);
	return is_right;
}

/* What the template makes of the body: its text, or the complaint, or the failure. */
static void render_body(const char *body, const char *template, const char *expected)
{
	CLEANUP(templates_destroy) struct templates *templates = NULL;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT, message = BUFFER_INIT;
	const struct belfry_template *made = NULL;
	struct template_input in = input(body);
	CU_ASSERT_EQUAL_FATAL(templates_create(&templates), 0);
	int r = templates_add(templates, span_text(template), &made, &message);
	if (r == TEMPLATE_OK)
		r = templates_compile(templates, &message);
	if (r == TEMPLATE_OK) {
		templates_begin(templates, &in);
		r = templates_render(templates, made, &text, &message);
	}
	CU_ASSERT_TRUE(is_text(r == TEMPLATE_OK ? &text : &message, expected));
}

static void render(const char *template, const char *expected)
{
	render_body(BODY, template, expected);
}

/* 1, 0, or -1 with the words in `message`. */
static int decide(const char *condition, struct buffer *message)
{
	CLEANUP(templates_destroy) struct templates *templates = NULL;
	struct template_input in = input(BODY);
	bool holds = false;
	CU_ASSERT_EQUAL_FATAL(templates_create(&templates), 0);
	int r = templates_set_condition(templates, span_text(condition), message);
	if (r == TEMPLATE_OK)
		r = templates_compile(templates, message);
	if (r == TEMPLATE_OK)
		templates_begin(templates, &in);
	if (r == TEMPLATE_OK)
		r = templates_decide(templates, &holds, message);
	return r == TEMPLATE_OK ? holds : -1;
}

static void expect(const char *condition, bool expected)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	int actual = decide(condition, &message);
	CU_ASSERT_EQUAL(actual, expected);
	if (actual != expected)
		(void)fprintf(stderr, "%s: %.*s\n", condition, SPAN_PRINTF(buffer_span(&message)));
}

static void refuse(const char *condition, const char *words)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	CU_ASSERT_EQUAL(decide(condition, &message), -1);
	CU_ASSERT_TRUE(is_text(&message, words));
}

static void test_renders(void)
{
	static char *nothing[] = { NULL };
	environ = nothing; /* as belfry-handler does first of all */
	render("", "");
	render("plain } { text", "plain } { text");
	render("{{ .event.summary }}", "B\xc3\xb6rd");
	render("<{{.event.n}}|{{ .event.list }}>", "<3|[1,\"a\"]>");
	render("{{ .event.missing // \"none\" }}", "none");
	render("{{ {\"a\": {\"b\": 1}} | .a.b }}", "1");
	render("{{ {a: 1}}}", "{\"a\":1}");
	render("{{ \"}}\" }}{{ \"a\\(\"}}\")\\\"b\" }}", "}}a}}\"b");
	render("{{ .event.n # three }}\n}}", "3");
	render("{{ $interaction }} {{ $subtype }} {{ $tags.user }} {{ $attempt + 1 }}", "change late 42 3");
	render("{{ def f: . + 1; .event.n | f }}", "4");
	render("{{ false }}", "false");
	render("{{ $ENV | length }}{{ env | length }}", "00");
}

static void test_missing_is_a_failure(void)
{
	render("{{ .event.sumary }}",
		   "{{ .event.sumary }} is null: if it may be missing, say what else, as in {{ .a // \"\" }}");
	render("{{ empty }}", "{{ empty }} gives no value: if it may be missing, say what else, as in {{ .a // \"\" }}");
	render("{{ .event.list[] }}", "{{ .event.list[] }} gives more than one value: put it into [ ] and join them");
	render("{{ .event.n.x }}", "{{ .event.n.x }} fails: Cannot index number with string \"x\"");
	render("{{ 1, error(\"no\") }}", "{{ 1, error(\"no\") }} fails: no");
	render("{{ error({a: 1}) }}", "{{ error({a: 1}) }} fails: {\"a\":1}");
	render("{{ halt }}", "{{ halt }} stops the program: halt has no place here");
	render_body("{", "{{ . }}", "{{ . }} needs JSON, and the body is none");
	render_body("", "{{ 1 }}", "{{ 1 }} needs JSON, and the body is none");
	render_body("", "text", "text");
}

static void test_refuses_syntax(void)
{
	render("{{ .a", "}} is missing in \"{{ .a\"");
	render("{{ }}", "there is no expression between {{ and }} in \"{{ }}\"");
	render("{{ .a) }}", "a bracket is closed that was not opened in \"{{ .a) }}\"");
	render("{{ \"a }}", "a string does not end in \"{{ \"a }}\"");
	render("{{ (.a }}", "a bracket is closed that was not opened in \"{{ (.a }}\"");
	render("{{ .a | }}", "syntax error, unexpected $end in \"{{ .a | }}\"");
	render("ok {{ 1 }} {{ nothing(1) }}", "nothing/1 is not defined in \"{{ nothing(1) }}\"");
	render("{{ $secret }}", "$secret is not defined in \"{{ $secret }}\"");
	refuse("", "there is no expression in \"\"");
	refuse("import \"a\" as a; .", "syntax error, unexpected import in \"import \"a\" as a; .\"");
}

static void test_no_expression_reaches_another(void)
{
	refuse(".) or (.", "a bracket is closed that was not opened in \".) or (.\"");
	refuse("true) else (1", "a bracket is closed that was not opened in \"true) else (1\"");
	refuse("1 else 2", "syntax error, unexpected else, expecting $end in \"1 else 2\"");
	refuse("1; 2", "syntax error, unexpected ';', expecting $end in \"1; 2\"");
	expect("true # a comment ends with its line", true);
	expect("false # )", false);
}

static void test_conditions(void)
{
	expect(".event.summary | test(\"rd$\")", true);
	expect(".event.missing", false);
	expect("false", false);
	expect("empty", false);
	expect("0", true);
	expect("$interaction == \"change\" and $tags.user == \"42\" and $attempt == 2", true);
	refuse(".event.n.x", ".event.n.x fails: Cannot index number with string \"x\"");
}

static void test_time(void)
{
	render("{{ time(.event.start) }}", "1777302000");
	render("{{ time(.event.zoned) }}", "1777294800");
	render("{{ time(.event.day) }}", "1777248000");
	render("{{ time(\"2026-04-27T15:00:00.123-00:30\") }}", "1777303800");
	expect("time(\"2001-01-01\") < now", true);
	refuse(
		"time(.event.local)",
		"time(.event.local) fails: time() of \"2026-04-27T15:00:00\", which is neither a date nor a timestamp with its "
		"offset");
	refuse("time(.event.missing)",
		   "time(.event.missing) fails: time() of null, which is neither a date nor a timestamp with its offset");
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	CU_ASSERT_EQUAL(decide("time(\"2026-13-01T00:00:00Z\")", &message), -1);
}

/* One program for all; each gives its own value, again and again. */
static void test_many_in_one_program(void)
{
	enum { N = 300 };
	CLEANUP(templates_destroy) struct templates *templates = NULL;
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	const struct belfry_template *made[N];
	CU_ASSERT_EQUAL_FATAL(templates_create(&templates), 0);
	CU_ASSERT_EQUAL(templates_set_condition(templates, SPAN(".event.n == 3"), &message), TEMPLATE_OK);
	for (int i = 0; i < N; i++) {
		char text[64];
		int n = snprintf(text, sizeof text, "%d {{ .event.n + %d }}", i, i);
		CU_ASSERT_EQUAL_FATAL(templates_add(templates, span_of(text, (size_t)n), &made[i], &message), TEMPLATE_OK);
	}
	CU_ASSERT_EQUAL_FATAL(templates_compile(templates, &message), TEMPLATE_OK);
	for (int round = 0; round < 2; round++) {
		struct template_input in = input(round ? "{\"event\":{\"n\":7}}" : BODY);
		bool holds;
		templates_begin(templates, &in);
		CU_ASSERT_EQUAL(templates_decide(templates, &holds, &message), TEMPLATE_OK);
		CU_ASSERT_EQUAL(holds, round == 0);
		for (int i = 0; i < N; i += 37) {
			CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
			char expected[64];
			(void)snprintf(expected, sizeof expected, "%d %d", i, i + (round ? 7 : 3));
			CU_ASSERT_EQUAL(templates_render(templates, made[i], &text, &message), TEMPLATE_OK);
			CU_ASSERT_TRUE(is_text(&text, expected));
		}
	}
}

static void test_checks_all(void)
{
	enum { N = 600 };
	static struct template_check checks[N];
	for (size_t i = 0; i < N; i++)
		checks[i] = (struct template_check){ .kind = i % 2 ? TEMPLATE_TEXT : TEMPLATE_CONDITION,
											 .text = i % 2 ? SPAN("{{ .a }} and {{ .b }}") : SPAN(".a") };
	checks[17].text = SPAN("{{ .a }} {{ .b | }}");
	checks[299].text = SPAN("{{ .a");
	checks[598].text = SPAN("nothing");
	CU_ASSERT_EQUAL_FATAL(template_check_all(checks, N), 0);
	for (size_t i = 0; i < N; i++) {
		const char *expected = i == 17    ? "syntax error, unexpected $end in \"{{ .b | }}\""
							   : i == 299 ? "}} is missing in \"{{ .a\""
							   : i == 598 ? "nothing/0 is not defined in \"nothing\""
										  : NULL;
		CU_ASSERT_EQUAL(!checks[i].complaint, !expected);
		if (checks[i].complaint && expected)
			CU_ASSERT_STRING_EQUAL(checks[i].complaint, expected);
		free(checks[i].complaint);
	}
	CU_ASSERT_EQUAL(template_check_all(NULL, 0), 0);
}

static void test_brackets(void)
{
	size_t n = 0;
	char deep[300];
	memset(deep, '(', 150);
	memset(deep + 150, ')', 150);
	CU_ASSERT_STRING_EQUAL(expression_judge(span_of(deep, 300)), "more than 100 brackets are open at once");
	CU_ASSERT_PTR_NULL(expression_judge(span_of(deep + 50, 200)));
	CU_ASSERT_STRING_EQUAL(expression_judge(SPAN("a\0b")), "there is a NUL in it");
	CU_ASSERT_STRING_EQUAL(expression_judge(SPAN("\"a\0b\"")), "there is a NUL in it");
	CU_ASSERT_STRING_EQUAL(expression_judge(SPAN("(]")), "a bracket is closed that was not opened");
	CU_ASSERT_STRING_EQUAL(expression_judge(SPAN("\"a\\(1")), "a bracket is not closed");
	CU_ASSERT_STRING_EQUAL(expression_judge(SPAN("\"a\\")), "a string does not end");
	CU_ASSERT_PTR_NULL(expression_judge(SPAN("\"a\\(\"b\\(1)\")\" | [{a: \")\"}] # (")));
	CU_ASSERT_PTR_NULL(expression_find_end(SPAN(" {a:{}} }} b"), &n));
	CU_ASSERT_EQUAL(n, 8);
}

UNIT_MAIN({ "renders", test_renders }, { "what is missing is a failure", test_missing_is_a_failure },
		  { "refuses syntax", test_refuses_syntax },
		  { "no expression reaches another", test_no_expression_reaches_another }, { "conditions", test_conditions },
		  { "time() of each form", test_time }, { "many in one program", test_many_in_one_program },
		  { "checks all, and finds the few", test_checks_all }, { "brackets", test_brackets })
