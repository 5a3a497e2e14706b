/* SPDX-License-Identifier: Apache-2.0 */
/* Two configurations, and what is told to be different. */
#include "config/difference.h"
#include "config_unit.h"

static void write_fixtures(void)
{
	write_text("secret", 0600, "0123456789abcdef0123456789abcdef");
	write_text("other", 0600, "another-secret-of-32-bytes------");
	write_text("plugin.so", 0600,
			   "{\"abi\":\"1.0\",\"name\":\"x\",\"version\":\"1.2\",\"summary\":\"x\",\"needs\":[],\"options\":"
			   "[{\"name\":\"word\",\"type\":\"string\",\"help\":\"x\"}]}");
	write_text("belfry-handler", 0700, "#!/bin/sh\n[ $1 = --check ] && exec echo '{\"complaints\":[]}'\nexec cat $2\n");
}

/* "sources.a.secrets changed", one a line; what needs a restart has an exclamation mark. */
static char *differences_of(const struct config *before, const struct config *after)
{
	CLEANUP(differences_finish) struct differences differences;
	struct buffer text = BUFFER_INIT;
	differences_find(before, after, &differences);
	CU_ASSERT_FALSE(differences.failed);
	for (size_t i = 0; i < differences.n; i++)
		buffer_add_printf(&text, "%s%s %s%s", i ? "\n" : "", differences.items[i].option,
						  difference_word(differences.items[i].change), differences.items[i].needs_restart ? "!" : "");
	return buffer_steal_text(&text);
}

static void expect(const char *before, const char *after, const char *expected)
{
	CLEANUP(config_destroy) struct config *old = expect_config(before, "");
	CLEANUP(config_destroy) struct config *new = expect_config(after, "");
	CLEANUP(free) char *found = differences_of(old, new);
	CU_ASSERT_STRING_EQUAL(found, expected);
	if (strcmp(found, expected) != 0)
		printf("\ngot:\n%s\nwant:\n%s\n", found, expected);
	CLEANUP(free) char *itself = differences_of(new, new);
	CU_ASSERT_STRING_EQUAL(itself, "");
}

#define SOURCE(name, more) name ": {secrets: [{file: $D/secret}]" more "}"
#define SUBSCRIBERS(more) "\nsubscribers: {tokens: {keys: [{file: $D/secret}]" more "}}"
#define HEAD "sources: {" SOURCE("a", "") "}" SUBSCRIBERS("")

static void test_options(void)
{
	expect(HEAD, HEAD "\nlog: {level: debug}\nreactors: 3\nlimits: {queue: 32MiB, idle_timeout: 61s}",
		   "limits.queue changed\nlimits.idle_timeout changed\nreactors changed!\nlog.level changed");
	expect(HEAD, HEAD "\njournal: {sqlite: {path: /a.db}, retention: {age: 8d}}",
		   "journal.sqlite.path changed!\njournal.retention.age changed");
	expect(HEAD, HEAD "\nadmin: {address: \"127.0.0.1:8081\"}", "admin.address added");
	expect(HEAD "\nadmin: {address: \"127.0.0.1:8081\"}", HEAD, "admin.address removed");
	expect(HEAD, HEAD "\nlisten: [{address: \"127.0.0.1:8080\"}]", "");
	expect(HEAD, HEAD "\nlisten: [{address: \"127.0.0.1:8080\", serves: [sources]}, {address: \"127.0.0.1:8082\"}]",
		   "listen changed");
	expect("sources: {" SOURCE("a", "") "}" SUBSCRIBERS(""),
		   "sources: {" SOURCE("a", "") "}" SUBSCRIBERS(", issuer: x, jwks_url: \"https://k.example.com\""),
		   "subscribers.tokens.jwks_url added\nsubscribers.tokens.issuer added");
}

static void test_sources(void)
{
	expect("sources: {" SOURCE("a", "") ", " SOURCE("b", ", unsigned_tags: [user]") ", " SOURCE("c",
																								"") "}" SUBSCRIBERS(""),
		   "sources: {" SOURCE("c", ", tags: {keys: [{file: $D/secret}]}") ", " SOURCE(
			   "b", ", unsigned_tags: [users]") ", "
												"d: {secrets: [{file: $D/other}]}}" SUBSCRIBERS(""),
		   "sources.a removed\nsources.b.unsigned_tags changed\nsources.c.tags.keys changed\nsources.d added");
}

/* The same words, other bytes. */
static void test_secrets(void)
{
	enter_folder();
	CLEANUP(config_destroy) struct config *old = expect_config(HEAD, "");
	write_text("secret", 0600, "and-now-something-else-0123456789");
	CLEANUP(config_destroy) struct config *new = expect_config(HEAD, "");
	CLEANUP(free) char *found = differences_of(old, new);
	CU_ASSERT_STRING_EQUAL(found, "sources.a.secrets changed\nsubscribers.tokens.keys changed");
}

#define PLUGINS "\nplugins: {program: $D/belfry-handler}"
#define HANDLER(more) "{plugin: $D/plugin.so" more "}"

static void test_handlers(void)
{
	expect(HEAD PLUGINS "\nhandlers: {x: " HANDLER("") ", y: " HANDLER("") "}\ninteractions: {a: [x], b: [y]}",
		   HEAD PLUGINS "\nhandlers: {x: " HANDLER(", options: {word: w}, retry: {initial: 6s}") ", z: " HANDLER(
			   "") "}"
				   "\ninteractions: {a: [{handler: x, subtypes: [s]}], c: [z]}",
		   "handlers.x.retry.initial changed\nhandlers.y removed\nhandlers.z added\ninteractions.a changed\n"
		   "interactions.b removed\ninteractions.c added\nhandlers.x.options changed");
	CLEANUP(config_destroy)
	struct config *old = expect_config(HEAD PLUGINS "\nhandlers: {x: " HANDLER("") "}\ninteractions: {a: [x]}", "");
	write_text("plugin.so", 0600,
			   "{\"abi\":\"1.0\",\"name\":\"x\",\"version\":\"1.3\",\"summary\":\"x\",\"needs\":[],\"options\":[]}");
	CLEANUP(config_destroy)
	struct config *new = expect_config(HEAD PLUGINS "\nhandlers: {x: " HANDLER("") "}\ninteractions: {a: [x]}", "");
	CLEANUP(free) char *found = differences_of(old, new);
	CU_ASSERT_STRING_EQUAL(found, "handlers.x.plugin changed");
}

UNIT_MAIN({ "what is different is named", test_options }, { "sources are compared by name", test_sources },
		  { "secrets are compared, and not told", test_secrets },
		  { "handlers, and their plugins' files", test_handlers })
