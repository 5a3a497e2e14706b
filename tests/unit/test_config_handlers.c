/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handlers, from YAML to what their processes are told. A script stands in for belfry-handler: a plugin's file holds
 * its description, and the file "answer" is what it says of expressions. What it was run for is in "runs".
 */
#include "config/routes.h"
#include "config_unit.h"

#include <errno.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define HOOK "https://hooks.example.com/services/hunter2"

static const char program[] = "#!/bin/sh\n"
							  "echo $1 >> $D/runs\n"
							  "[ $1 = --check ] && { cat > $D/question; exec cat $D/answer; }\n"
							  "[ -x $2 ] && exec $2\n"
							  "exec cat $2\n";

#define DESCRIPTION(needs, options)                                                           \
	"{\"abi\":\"1.0\",\"name\":\"x\",\"version\":\"1.2\",\"summary\":\"x\",\"needs\":[" needs \
	"],\"options\":[" options "]}"

static const char every[] = DESCRIPTION(
	"",
	"{\"name\":\"string\",\"type\":\"string\",\"fallback\":\"hello\\nworld\",\"help\":\"what to say\"},"
	"{\"name\":\"secret\",\"type\":\"secret\",\"help\":\"a password\"},"
	"{\"name\":\"hook\",\"type\":\"secret\",\"url\":true,\"help\":\"where to\"},"
	"{\"name\":\"integer\",\"type\":\"integer\",\"least\":-5,\"most\":10,\"fallback\":\"-1\",\"help\":\"x\"},"
	"{\"name\":\"any\",\"type\":\"integer\",\"help\":\"x\"},"
	"{\"name\":\"boolean\",\"type\":\"boolean\",\"fallback\":\"true\",\"help\":\"x\"},"
	"{\"name\":\"duration\",\"type\":\"duration\",\"least\":100,\"most\":60000,\"fallback\":\"10s\",\"help\":\"x\"},"
	"{\"name\":\"size\",\"type\":\"size\",\"help\":\"x\"},"
	"{\"name\":\"url\",\"type\":\"url\",\"example\":\"https://api.example.com\",\"help\":\"x\"},"
	"{\"name\":\"choice\",\"type\":\"enum\",\"names\":[\"fast\",\"slow\"],\"fallback\":\"slow\",\"help\":\"x\"},"
	"{\"name\":\"list\",\"type\":\"list\",\"entry\":\"string\",\"least\":1,\"most\":3,\"help\":\"x\"},"
	"{\"name\":\"map\",\"type\":\"map\",\"entry\":\"template\",\"help\":\"x\"},"
	"{\"name\":\"keys\",\"type\":\"map\",\"entry\":\"secret\",\"help\":\"x\"},"
	"{\"name\":\"template\",\"type\":\"template\",\"fallback\":\"{{ .a }}\",\"help\":\"x\"}");

static void write_plugin(const char *name, const char *text)
{
	CLEANUP(free) char *path = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&path, "plugins/%s.so", name) > 0);
	write_text(path, text[0] == '#' ? 0700 : 0600, text);
}

static void write_fixtures(void)
{
	write_text("secret", 0600, SECRET "\n");
	write_text("hook", 0600, HOOK "\n");
	write_text("binary", 0600, "hunter2 \xff\n");
	write_bytes("nul", 0600, SPAN("hunter2\0x"));
	write_text("belfry-handler", 0700, program);
	write_text("answer", 0600, "{\"complaints\":[]}");
	CU_ASSERT_EQUAL_FATAL(mkdir("plugins", 0700), 0);
	write_plugin("every", every);
	write_plugin("plain", DESCRIPTION("", ""));
	write_plugin("slack", DESCRIPTION("", "{\"name\":\"hook\",\"type\":\"secret\",\"url\":true,\"required\":true,"
										  "\"help\":\"where to post\"}"));
	write_plugin("exec", DESCRIPTION("\"exec\"", ""));
	CU_ASSERT_EQUAL_FATAL(symlink("plain.so", "plugins/renamed.so"), 0);
	CU_ASSERT_EQUAL_FATAL(symlink("../elsewhere.so", "plugins/stray.so"), 0);
	write_text("elsewhere.so", 0600, DESCRIPTION("", ""));
}

#define SOURCES "sources: {a: {secrets: [{file: $D/secret}]}}\n"
#define SUBSCRIBERS "subscribers: {tokens: {keys: [{file: $D/secret}]}}\n"
#define PLUGINS "plugins: {folder: $D/plugins, program: $D/belfry-handler}\n"
/* Three lines in front of what is tested. */
#define HEAD SOURCES SUBSCRIBERS PLUGINS
#define USED(name) "\ninteractions: {change: [" name "]}"

static size_t count_runs(const char *what)
{
	char line[32];
	size_t n = 0;
	FILE *file = fopen("runs", "re");
	while (file && fgets(line, sizeof line, file))
		n += strncmp(line, what, strlen(what)) == 0;
	if (file)
		(void)fclose(file);
	return n;
}

static char *read_text_file(const char *path)
{
	struct buffer b = BUFFER_INIT;
	char bytes[4096];
	FILE *file = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (size_t n; (n = fread(bytes, 1, sizeof bytes, file)) > 0;)
		buffer_add(&b, span_of(bytes, n));
	(void)fclose(file);
	return buffer_steal_text(&b);
}

/* --- options --- */

static void expect_options(const char *written, const char *options)
{
	CLEANUP(free) char *text = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&text, HEAD "handlers: {h: {plugin: every%s}}" USED("h"), written) > 0);
	CLEANUP(config_destroy) struct config *config = expect_config(text, "");
	CU_ASSERT_EQUAL_FATAL(config->n_handlers, 1);
	if (strcmp(config->handlers[0].options, options) != 0)
		printf("\n  %s\n", config->handlers[0].options);
	CU_ASSERT_STRING_EQUAL(config->handlers[0].options, options);
}

static void test_options(void)
{
	expect_options("", "{\"string\":\"hello\\nworld\",\"integer\":-1,\"any\":0,\"boolean\":true,\"duration\":10000,"
					   "\"size\":0,\"choice\":\"slow\",\"list\":[],\"map\":{},\"keys\":{},\"template\":\"{{ .a }}\"}");
	expect_options(", options: ",
				   "{\"string\":\"hello\\nworld\",\"integer\":-1,\"any\":0,\"boolean\":true,"
				   "\"duration\":10000,\"size\":0,\"choice\":\"slow\",\"list\":[],\"map\":{},\"keys\":{},"
				   "\"template\":\"{{ .a }}\"}");
	expect_options(", options: {template: \"{{ .b }}\", string: 7, secret: {file: $D/secret}, hook: {file: $D/hook}, "
				   "integer: 10, any: -9223372036854775807, boolean: false, duration: 1m, size: 3KiB, "
				   "url: \"https://x.example/?a=b\", choice: fast, list: [b, a], "
				   "map: {\"z, y\": 1, a: \"\\\"\"}, keys: {one: {file: $D/secret}}}",
				   "{\"string\":\"7\",\"secret\":\"" SECRET "\",\"hook\":\"" HOOK "\",\"integer\":10,"
				   "\"any\":-9223372036854775807,\"boolean\":false,\"duration\":60000,\"size\":3072,"
				   "\"url\":\"https://x.example/?a=b\",\"choice\":\"fast\",\"list\":[\"b\",\"a\"],"
				   "\"map\":{\"z, y\":\"1\",\"a\":\"\\\"\"},\"keys\":{\"one\":\"" SECRET
				   "\"},\"template\":\"{{ .b }}\"}");
}

#define EVERY HEAD "handlers:\n  h:\n    plugin: every\n    options:\n"
#define KNOWN_OPTIONS \
	"string, secret, hook, integer, any, boolean, duration, size, url, choice, list, map, keys, template"

static void test_refuses_options(void)
{
	static const struct refusal cases[] = {
		{ EVERY "      strin: a\n      colour: b" USED("h"),
		  "belfry.yaml:8:7: unknown key \"strin\"; did you mean \"string\"?\n"
		  "belfry.yaml:9:7: unknown key \"colour\"; known here: " KNOWN_OPTIONS },
		{ EVERY "      string: ''\n      template: ''\n      url: ftp://x/" USED("h"),
		  "belfry.yaml:8:15: string: \"\" is empty; write text, for example hello world\n"
		  "belfry.yaml:9:17: template: \"\" is empty; write text with {{ jq }} in it, for example {{ .a }}\n"
		  "belfry.yaml:10:12: url: \"ftp://x/\" is neither http nor https; write a URL, for example "
		  "https://api.example.com" },
		{ EVERY "      integer: -6\n      any: 1.5" USED("h"),
		  "belfry.yaml:8:16: integer: \"-6\" is less than -5; write a whole number, for example -1\n"
		  "belfry.yaml:9:12: any: \"1.5\" is not a whole number; write a whole number, for example 1" },
		{ EVERY "      integer: 11\n      any: 9223372036854775808" USED("h"),
		  "belfry.yaml:8:16: integer: \"11\" is more than 10; write a whole number, for example -1\n"
		  "belfry.yaml:9:12: any: \"9223372036854775808\" is not a whole number; write a whole number, for example 1" },
		{ EVERY "      integer: --1\n      any: []" USED("h"),
		  "belfry.yaml:8:16: integer: \"--1\" is not a whole number; write a whole number, for example -1\n"
		  "belfry.yaml:9:12: any: found a list; write a whole number, for example 1" },
		{ EVERY "      boolean: yes\n      duration: 2m\n      size: 5" USED("h"),
		  "belfry.yaml:8:16: boolean: \"yes\" is neither; write true or false\n"
		  "belfry.yaml:9:17: duration: \"2m\" is out of range; write a duration from 100ms to 1m, for example 10s\n"
		  "belfry.yaml:10:13: size: \"5\" has no unit; write a unit: 1MiB" },
		{ EVERY "      size: huge\n      choice: medium\n      list: []" USED("h"),
		  "belfry.yaml:8:13: size: \"huge\" is not a size; write a size, for example 1MiB\n"
		  "belfry.yaml:9:15: choice: \"medium\" is not known; write fast or slow\n"
		  "belfry.yaml:10:13: list: found 0 entries; write a list of 1 to 3 entries, for example [text]" },
		{ EVERY "      list: [a, [], '']\n      map: {'': a, b: {}}" USED("h"),
		  "belfry.yaml:8:17: list: found a list; write text, for example text\n"
		  "belfry.yaml:8:21: list: \"\" is empty; write text, for example text\n"
		  "belfry.yaml:9:13: map: the name \"\" is empty\n"
		  "belfry.yaml:9:23: b: found a map; write text with {{ jq }} in it, for example \"{{ .event.summary }}\"" },
		{ EVERY "      map: text\n      keys: [a]" USED("h"),
		  "belfry.yaml:8:12: map: found plain text; write a map of names of at most 4096 entries, for example {name: "
		  "\"{{ .event.summary }}\"}\n"
		  "belfry.yaml:9:13: keys: found a list; write a map of names of at most 4096 entries, for example {name: "
		  "{file: "
		  "/etc/belfry/secrets/name}}" },
		{ HEAD "handlers: {h: {plugin: every, options: [a]}}" USED("h"),
		  "belfry.yaml:4:40: options: found a list; write a map of the plugin's options" },
		{ HEAD "handlers:\n  h:\n    plugin: slack" USED("h"),
		  "belfry.yaml:6:5: \"hook\" is missing (where to post); write for example hook: {file: "
		  "/etc/belfry/secrets/name}" },
		{ HEAD "handlers: {h: {plugin: slack, options: {}}}" USED("h"),
		  "belfry.yaml:4:40: \"hook\" is missing (where to post); write for example hook: {file: "
		  "/etc/belfry/secrets/name}" },
	};
	EXPECT_REFUSALS(cases);
}

/* Secrets are said to be wrong, and nothing of them is said. */
static void test_tells_no_secret(void)
{
	static const struct refusal cases[] = {
		{ EVERY
		  "      secret: {file: $D/binary}\n      hook: {file: $D/secret}\n      keys: {k: {file: $D/nul}}" USED("h"),
		  "belfry.yaml:8:15: secret: the secret is no text: it has a NUL in it, or is not UTF-8\n"
		  "belfry.yaml:9:13: hook: the secret is to be a URL, but it does not begin with https:// or the like\n"
		  "belfry.yaml:10:17: k: the secret is no text: it has a NUL in it, or is not UTF-8" },
		{ EVERY "      secret: {path: hunter2}\n      hook: [hunter2]" USED("h"),
		  "belfry.yaml:8:16: secret: a secret is written as {file: /path}, {env: NAME} or {credential: NAME}\n"
		  "belfry.yaml:9:13: hook: found a list; write a secret that is a URL, for example {file: "
		  "/etc/belfry/secrets/name}" },
		{ EVERY "      hook: hunter2" USED("h"),
		  "warning: belfry.yaml:8:13: hook: a secret is written here; it is safer in a file of its own: {file: ...}\n"
		  "belfry.yaml:8:13: hook: the secret is to be a URL, but it does not begin with https:// or the like" },
	};
	EXPECT_REFUSALS(cases);
	expect_loaded(
		EVERY "      secret: hunter2" USED("h"), 0644, CONFIG_E_INVALID,
		"belfry.yaml:8:15: secret: a secret is written here, but belfry.yaml is open to everybody (mode 0644); "
		"move it into a file of its own and write {file: ...}",
		NULL);
}

/* As much as a packet can take, and not more. */
static void test_options_are_bounded(void)
{
	static char large[65530];
	enter_folder();
	memset(large, 'x', sizeof large);
	write_bytes("large", 0600, span_of(large, sizeof large));
	config_destroy(expect_config(EVERY "      keys: {a: {file: $D/large}, b: {file: $D/large}}" USED("h"), ""));
	expect_loaded(EVERY "      keys: {a: {file: $D/large}, b: {file: $D/large}, c: {file: $D/large}}" USED("h"), 0600,
				  CONFIG_E_INVALID, "belfry.yaml:8:7: options: together they have more than 192 KiB", NULL);
}

/* --- plugins --- */

#define ONE(plugin) HEAD "handlers: {h: {plugin: " plugin "}}" USED("h")

static void test_finds_plugins(void)
{
	static const char *const files[][2] = {
		{ ONE("plain"), "$D/plugins/plain.so" },
		{ ONE("renamed"), "$D/plugins/renamed.so" },
		{ ONE("$D/elsewhere.so"), "$D/elsewhere.so" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		CLEANUP(config_destroy) struct config *config = expect_config(files[i][0], "");
		CLEANUP(free) char *file = expand(files[i][1]);
		CU_ASSERT_STRING_EQUAL(config->handlers[0].file, file);
		CU_ASSERT_STRING_EQUAL(config->handlers[0].version, "1.2");
	}
	static const struct refusal cases[] = {
		{ ONE("plian"), "belfry.yaml:4:24: plugin: \"plian\" is not in $D/plugins; did you mean \"plain\"?" },
		{ ONE("email"), "belfry.yaml:4:24: plugin: \"email\" is not in $D/plugins; there are: every, exec, plain, "
						"renamed, slack, stray" },
		{ ONE("stray"),
		  "belfry.yaml:4:24: plugin: $D/plugins/stray.so leads out of the folder; write the absolute path of "
		  "the plugin instead" },
		{ ONE("Plain"), "belfry.yaml:4:24: plugin: \"Plain\" is neither a plugin's name nor an absolute path; write a "
						"plugin's name or file, for example slack" },
		{ ONE("../elsewhere"),
		  "belfry.yaml:4:24: plugin: \"../elsewhere\" is neither a plugin's name nor an absolute path; "
		  "write a plugin's name or file, for example slack" },
		{ ONE("exec"), "belfry.yaml:4:24: plugin: exec starts other programs, which it may not; write allow: [exec]" },
		{ HEAD "handlers: {h: {}}" USED("h"), "belfry.yaml:4:15: \"plugin\" is missing (what it runs: a name in "
											  "plugins.folder, or an absolute path); write for example plugin: slack" },
		{ SOURCES SUBSCRIBERS "plugins: {folder: /nowhere}\nhandlers: {h: {plugin: slack}}" USED("h"),
		  "belfry.yaml:4:24: plugin: \"slack\" is not in /nowhere, which cannot be read: No such file or directory" },
	};
	EXPECT_REFUSALS(cases);
	config_destroy(expect_config(HEAD "handlers: {h: {plugin: exec, allow: [exec]}}" USED("h"), ""));
}

static void test_refuses_descriptions(void)
{
	static const char *const descriptions[][2] = {
		{ "", "itself in a way that is not understood: it is not JSON" },
		{ "hello", "itself in a way that is not understood: it is not JSON" },
		{ "[]", "itself in a way that is not understood: there are no options" },
		{ "{}", "itself in a way that is not understood: there are no options" },
		{ DESCRIPTION("", "1"),
		  "itself in a way that is not understood: an option has no name, or a type that is not known" },
		{ DESCRIPTION("", "{\"name\":\"A\",\"type\":\"string\"}"),
		  "itself in a way that is not understood: an option has no name, or a type that is not known" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"float\"}"),
		  "the option \"a\" in a way that is not understood: an option has no name, or a type that is not known" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"enum\"}"),
		  "the option \"a\" in a way that is not understood: it has no words to choose from" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"enum\",\"names\":[1]}"),
		  "the option \"a\" in a way that is not understood: one of its words is none" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"list\",\"entry\":\"integer\"}"),
		  "the option \"a\" in a way that is not understood: its entries have no type that they can have" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"map\"}"),
		  "the option \"a\" in a way that is not understood: its entries have no type that they can have" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"integer\",\"least\":3,\"most\":2}"),
		  "the option \"a\" in a way that is not understood: its least is more than its most" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"duration\",\"fallback\":\"soon\"}"),
		  "the option \"a\" in a way that is not understood: its default is none" },
		{ DESCRIPTION("", "{\"name\":\"a\",\"type\":\"integer\",\"most\":2,\"fallback\":\"3\"}"),
		  "the option \"a\" in a way that is not understood: its default is none" },
	};
	enter_folder();
	for (size_t i = 0; i < ARRAY_LENGTH(descriptions); i++) {
		CLEANUP(free) char *expected = NULL;
		write_plugin("odd", descriptions[i][0]);
		CU_ASSERT_TRUE_FATAL(
			asprintf(&expected, "belfry.yaml:4:24: plugin: $D/plugins/odd.so describes %s", descriptions[i][1]) > 0);
		expect_loaded(ONE("odd"), 0600, CONFIG_E_INVALID, expected, NULL);
	}
	CU_ASSERT_EQUAL(unlink("plugins/odd.so"), 0);
}

/* What belfry-handler says, and what becomes of it. */
static void test_refused_by_the_program(void)
{
	enter_folder();
	write_plugin("odd", "#!/bin/sh\necho $D/plugins/odd.so: is a folder >&2; exit 1\n");
	expect_loaded(ONE("odd"), 0600, CONFIG_E_INVALID, "belfry.yaml:4:24: plugin: $D/plugins/odd.so: is a folder", NULL);
	write_plugin("odd", "#!/bin/sh\nkill -SEGV $$\n");
	expect_loaded(ONE("odd"), 0600, CONFIG_E_INVALID,
				  "belfry.yaml:4:24: plugin: $D/plugins/odd.so was ended by SIGSEGV", NULL);
	write_plugin("odd", "#!/bin/sh\nexit 9\n");
	expect_loaded(ONE("odd"), 0600, CONFIG_E_INVALID,
				  "belfry.yaml:4:24: plugin: $D/plugins/odd.so ended with exit status 9", NULL);
	write_plugin("odd", "#!/bin/sh\nwhile :; do echo '{}'; done\n");
	expect_loaded(ONE("odd"), 0600, CONFIG_E_INVALID,
				  "belfry.yaml:4:24: plugin: $D/plugins/odd.so wrote more than 1 MiB", NULL);
	CU_ASSERT_EQUAL(unlink("plugins/odd.so"), 0);
	expect_loaded(SOURCES SUBSCRIBERS
				  "plugins: {folder: $D/plugins, program: /nowhere}\n"
				  "handlers: {h: {plugin: plain, when: .a}, i: {plugin: exec}}\ninteractions: {change: [h, i]}",
				  0600, CONFIG_E_INVALID,
				  "belfry.yaml:3:68: program: /nowhere cannot be run: No such file or directory", NULL);
}

/* It runs as the gateway: it, or what leads to it, is nobody else's to change. */
static void test_a_program_that_others_may_write(void)
{
	static const char *const paths[] = { "plugins/odd.so", "plugins" };
	enter_folder();
	write_plugin("odd", "#!/bin/sh\nexit 9\n");
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		CU_ASSERT_EQUAL(chmod(paths[i], 0775), 0);
		expect_loaded(
			SOURCES SUBSCRIBERS "plugins: {folder: $D/plugins, program: $D/plugins/odd.so}\n"
								"handlers: {h: {plugin: odd}}\ninteractions: {change: [h]}",
			0600, CONFIG_E_INVALID,
			"belfry.yaml:3:68: program: $D/plugins/odd.so or a folder of it may be written by its group or by "
			"others, who could run there what they like: chmod go-w",
			NULL);
		CU_ASSERT_EQUAL(chmod(paths[i], 0755), 0);
	}
}

/* --- expressions --- */

#define EXPRESSIONS                                                                                                \
	HEAD "handlers:\n  h:\n    plugin: every\n    when: .a\n    options:\n      map:\n        one: \"{{ .b }}\"\n" \
		 "        two: c\n  i:\n    plugin: every\n    options: {template: \"{{ .d }}\"}\n"                        \
		 "interactions:\n  change:\n    - handler: h\n      when: |\n        .e\n    - i\n"

static void test_expressions(void)
{
	enter_folder();
	config_destroy(expect_config(EXPRESSIONS, ""));
	CLEANUP(free) char *question = read_text_file("question");
	CU_ASSERT_STRING_EQUAL(question, "{\"expressions\":[{\"id\":0,\"kind\":\"when\",\"text\":\".a\"},"
									 "{\"id\":1,\"kind\":\"template\",\"text\":\"{{ .b }}\"},"
									 "{\"id\":2,\"kind\":\"template\",\"text\":\"c\"},"
									 "{\"id\":3,\"kind\":\"template\",\"text\":\"{{ .a }}\"},"
									 "{\"id\":4,\"kind\":\"template\",\"text\":\"{{ .d }}\"},"
									 "{\"id\":5,\"kind\":\"when\",\"text\":\".e\\n\"}]}");
	write_text("answer", 0600,
			   "{\"complaints\":[{\"id\":0,\"message\":\"zero\"},{\"id\":1,\"message\":\"one\\nand more\"},"
			   "{\"id\":3,\"message\":\"three\"},{\"id\":4,\"message\":\"four\"},{\"id\":5,\"message\":\"five\"}]}");
	expect_loaded(
		EXPRESSIONS, 0600, CONFIG_E_INVALID,
		"belfry.yaml:6:13: template: three\nbelfry.yaml:7:11: when: zero\nbelfry.yaml:10:14: map: one and more\n"
		"belfry.yaml:14:25: template: four\nbelfry.yaml:18:13: when: five",
		NULL);
	static const char *const nonsense[] = { "",
											"{}",
											"[]",
											"{\"complaints\":[{\"id\":6,\"message\":\"x\"}]}",
											"{\"complaints\":[{\"id\":-1,\"message\":\"x\"}]}",
											"{\"complaints\":[{\"id\":1}]}" };
	for (size_t i = 0; i < ARRAY_LENGTH(nonsense); i++) {
		write_text("answer", 0600, nonsense[i]);
		expect_loaded(EXPRESSIONS, 0600, CONFIG_E_INVALID,
					  "belfry.yaml:7:11: when: expressions cannot be checked: $D/belfry-handler gave no answer", NULL);
	}
	write_text("answer", 0600, "{\"complaints\":[]}");
}

/* --- interactions --- */

static void test_refuses_interactions(void)
{
	static const struct refusal cases[] = {
		{ HEAD "handlers: {on-call: {plugin: plain}}\ninteractions: {change: [on-cal, {handler: other}, on-call]}",
		  "belfry.yaml:5:25: handler: \"on-cal\" is no handler; did you mean \"on-call\"?\n"
		  "belfry.yaml:5:43: handler: \"other\" is no handler; it has to be written under handlers" },
		{ HEAD "interactions: {change: x, other: [[]], third: [{when: a}], fourth: [{handler: h, sub: []}]}",
		  "belfry.yaml:4:24: change: found plain text; write a list of at most 4096 entries, for example [on-call]\n"
		  "belfry.yaml:4:35: other: found a list; write a handler's name, or a map, for example on-call\n"
		  "belfry.yaml:4:48: \"handler\" is missing (one of handlers); write for example handler: on-call\n"
		  "belfry.yaml:4:79: handler: \"h\" is no handler; it has to be written under handlers\n"
		  "belfry.yaml:4:82: unknown key \"sub\"; known here: handler, subtypes, when" },
		{ HEAD "interactions: {\"a*b\": [], \"\": [], \"a b\": [], \"**\": []}",
		  "belfry.yaml:4:16: interactions: the name \"a*b\" has a * that is not at its end, where it stands for any "
		  "rest\n"
		  "belfry.yaml:4:27: interactions: the name \"\" is not 1 to 128 characters long\n"
		  "belfry.yaml:4:35: interactions: the name \"a b\" has other characters than letters, digits, - . _ and *\n"
		  "belfry.yaml:4:46: interactions: the name \"**\" has a * that is not at its end, where it stands for any "
		  "rest" },
		{ HEAD "interactions: {belfry_dead_leter: [], belfry_x: [], belfry_breaker: [], \"belfry_*\": []}",
		  "belfry.yaml:4:16: \"belfry_dead_leter\" is no interaction of Belfry's own; did you mean "
		  "\"belfry_dead_letter\"?\n"
		  "belfry.yaml:4:39: \"belfry_x\" is no interaction of Belfry's own; there are: belfry_dead_letter, "
		  "belfry_breaker" },
		{ HEAD "handlers: {h: {plugin: plain, retry: {initial: 2m, maximum: 1m}}}" USED("h"),
		  "belfry.yaml:4:61: maximum: this is shorter than initial" },
		{ HEAD "handlers: {h: {plugin: plain, allow: [exec, all]}}" USED("h"),
		  "belfry.yaml:4:45: allow: \"all\" is not known; write a list of exec or inner" },
		{ HEAD "handlers: {H: {plugin: plain}}",
		  "belfry.yaml:4:12: handlers: the name \"H\" has other characters than a-z, "
		  "0-9, - and _" },
	};
	EXPECT_REFUSALS(cases);
}

static void test_warnings(void)
{
	config_destroy(expect_config(HEAD "handlers: {h: {plugin: plain}, i: {plugin: plain}}" USED("i"),
								 "warning: belfry.yaml:4:12: h: no interaction names this handler: it never runs"));
	config_destroy(expect_config(HEAD
								 "limits: {handler_processes: 3}\nhandlers: {h: {plugin: plain, workers: 4}}" USED("h"),
								 "warning: belfry.yaml:5:40: workers: all handlers together have no more than 3; see "
								 "limits.handler_processes"));
	config_destroy(expect_config(HEAD "handlers: {}\ninteractions: {change: [], \"*\": []}", ""));
}

static void test_routes_of_a_configuration(void)
{
	CLEANUP(config_destroy)
	struct config *config = expect_config(
		HEAD "handlers: {a: {plugin: plain}, b: {plugin: plain}}\n"
			 "interactions:\n  change: [b]\n  \"ch*\":\n    - handler: a\n      subtypes: [x, y]\n  \"*\": [b]\n",
		"");
	const struct interaction interaction = { SPAN("change"), SPAN("y") };
	const struct event event = { .kind = EVENT_CALLBACK, .interactions = &interaction, .n_interactions = 1 };
	struct route_walk walk;
	struct route route;
	routes_begin(&walk, config->routes, &event);
	CU_ASSERT_TRUE(routes_next(&walk, &route));
	CU_ASSERT_STRING_EQUAL(config->handlers[route.handler].name, "b");
	CU_ASSERT_TRUE(routes_next(&walk, &route));
	CU_ASSERT_STRING_EQUAL(config->handlers[route.handler].name, "a");
	CU_ASSERT_FALSE(routes_next(&walk, &route));
}

/* --- conditions --- */

static void expect_condition(const char *handler, const char *interactions, const char *condition)
{
	CLEANUP(free) char *text = NULL;
	CU_ASSERT_TRUE_FATAL(
		asprintf(&text, HEAD "handlers: {h: {plugin: plain%s}}\ninteractions: {%s}", handler, interactions) > 0);
	CLEANUP(config_destroy) struct config *config = expect_config(text, "");
	const char *got = config->handlers[0].condition;
	if (!got != !condition || (got && strcmp(got, condition) != 0))
		printf("\n  %s\n", got ? got : "none");
	CU_ASSERT_EQUAL_FATAL(!got, !condition);
	if (got)
		CU_ASSERT_STRING_EQUAL(got, condition);
}

static void test_conditions(void)
{
	expect_condition("", "a: [h], b: [{handler: h, subtypes: [x]}]", NULL);
	expect_condition(", when: .w", "a: [h]", ".w");
	expect_condition("", "a: [{handler: h, when: .x}], b: [{handler: h, when: .x, subtypes: [y]}]", ".x");
	expect_condition(", when: .w", "a: [{handler: h, when: .x}]", "([.w\n]|any) and ([.x\n]|any)");
	expect_condition("", "a: [{handler: h, when: .x}], b: [h]",
					 "((($interaction==\"a\") and ([.x\n]|any)) or (($interaction==\"b\")))");
	expect_condition(
		", when: .w", "a: [{handler: h, when: .x, subtypes: [s, t]}], \"b*\": [{handler: h, when: .y}]",
		"([.w\n]|any) and ((($interaction==\"a\") and ($subtype==\"s\" or $subtype==\"t\") and ([.x\n]|any)) "
		"or (($interaction|startswith(\"b\")) and ($interaction|startswith(\"belfry_\")|not) and "
		"([.y\n]|any)))");
	expect_condition("", "belfry_dead_letter: [{handler: h, when: .x}], \"belfry_*\": [h]",
					 "((($interaction==\"belfry_dead_letter\") and ([.x\n]|any)) or "
					 "(($interaction|startswith(\"belfry_\"))))");
}

/* --- digests --- */

static void load_digest(const char *handler, uint8_t ret_digest[static DIGEST_BYTES])
{
	CLEANUP(free) char *text = NULL;
	CU_ASSERT_TRUE_FATAL(
		asprintf(&text, HEAD "handlers: {h: {plugin: every%s}}\ninteractions: {change: [h]}", handler) > 0);
	CLEANUP(config_destroy) struct config *config = expect_config(text, "");
	memcpy(ret_digest, config->handlers[0].digest, DIGEST_BYTES);
}

static void expect_digest(const char *handler, const uint8_t digest[static DIGEST_BYTES], bool is_same)
{
	uint8_t got[DIGEST_BYTES];
	load_digest(handler, got);
	CU_ASSERT_EQUAL(memcmp(got, digest, sizeof got) == 0, is_same);
}

#define WITH_SECRET ", options: {secret: {file: $D/other}}"

static void test_digests(void)
{
	uint8_t plain[DIGEST_BYTES], secret[DIGEST_BYTES];
	enter_folder();
	write_text("other", 0600, SECRET "\n");
	load_digest("", plain);
	expect_digest("", plain, true);
	expect_digest(", options: {string: \"hello\\nworld\"}", plain, true); /* the default */
	expect_digest(", workers: 2, deadline: 5s, retry: {initial: 1s}", plain, true);
	expect_digest(", options: {string: other}", plain, false);
	expect_digest(", when: .a", plain, false);
	expect_digest(", allow: [inner]", plain, false);
	expect_digest(", limits: {memory: 64MiB}", plain, false);
	load_digest(WITH_SECRET, secret);
	expect_digest(WITH_SECRET, secret, true);
	write_text("other", 0600, SECRET SECRET "\n");
	expect_digest(WITH_SECRET, secret, false);
	CLEANUP(free) char *again = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&again, "%s\n", every) > 0);
	write_plugin("every", again); /* says the same, but is another file */
	expect_digest("", plain, false);
	write_plugin("every", every);
	expect_digest("", plain, true);
}

/* --- many --- */

#define MANY 1000

static void test_each_file_is_described_once(void)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	enter_folder();
	buffer_add_text(&text, HEAD "handlers:\n");
	for (unsigned i = 0; i < MANY; i++)
		buffer_add_printf(&text, "  h%u: {plugin: %s, when: .a}\n", i, i % 2 ? "plain" : "every");
	buffer_add_text(&text, "interactions:\n  change:\n");
	for (unsigned i = 0; i < MANY; i++)
		buffer_add_printf(&text, "    - h%u\n", i);
	buffer_add_char(&text, '\0');
	(void)unlink("runs");
	CLEANUP(config_destroy) struct config *config = expect_config(text.data, "");
	CU_ASSERT_EQUAL(config->n_handlers, MANY);
	CU_ASSERT_EQUAL(count_runs("--describe"), 2);
	CU_ASSERT_EQUAL(count_runs("--check"), 1);
}

static void test_without_handlers_nothing_is_run(void)
{
	enter_folder();
	(void)unlink("runs");
	config_destroy(expect_config(HEAD, ""));
	config_destroy(expect_config(HEAD "handlers: {}\ninteractions: {\"*\": []}", ""));
	CU_ASSERT_EQUAL(count_runs("--"), 0);
	config_destroy(expect_config(ONE("plain"), ""));
	CU_ASSERT_EQUAL(count_runs("--describe"), 1);
	CU_ASSERT_EQUAL(count_runs("--check"), 0); /* there is no expression */
}

UNIT_MAIN({ "options, with their defaults, become JSON", test_options },
		  { "wrong options are refused as the gateway's own are", test_refuses_options },
		  { "complaints tell no secret", test_tells_no_secret }, { "options have a bound", test_options_are_bounded },
		  { "plugins are found by name and by path", test_finds_plugins },
		  { "descriptions that make no sense are refused", test_refuses_descriptions },
		  { "what belfry-handler says is told", test_refused_by_the_program },
		  { "a program that others may write is refused", test_a_program_that_others_may_write },
		  { "expressions are checked at once, and complained of where they stand", test_expressions },
		  { "wrong interactions and settings are refused", test_refuses_interactions }, { "warnings", test_warnings },
		  { "interactions lead to handlers", test_routes_of_a_configuration },
		  { "conditions of a handler become one", test_conditions },
		  { "a digest changes with what a process is told", test_digests },
		  { "a thousand handlers, each file described once", test_each_file_is_described_once },
		  { "without handlers nothing is run", test_without_handlers_nothing_is_run })
