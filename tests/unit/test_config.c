/* SPDX-License-Identifier: Apache-2.0 */
/* Whole configurations, from files to struct config. */
#include "config/options.h"
#include "config/secret.h"
#include "config_unit.h"

#include <errno.h>

#define SECRET "0123456789abcdef0123456789abcdef"

static void write_fixtures(void)
{
	static char big[SECRET_MAX_BYTES + 3];
	memset(big, 'x', sizeof big);
	big[SECRET_MAX_BYTES] = '\n';
	write_text("secret", 0600, SECRET "\n");
	write_text("other", 0600, "another-secret-of-32-bytes------");
	write_text("open", 0644, SECRET "\n");
	write_text("writable", 0620, SECRET "\n");
	write_text("short", 0600, "fifteen-bytes--\n");
	write_text("empty", 0600, "");
	write_text("line", 0600, "\n");
	write_text("dos", 0600, SECRET "\r\n");
	write_text("lines", 0600, SECRET "\n\n");
	write_text("blank", 0600, " " SECRET);
	write_bytes("nul", 0600,
				SPAN("0123456789abcdef\0"
					 "0123456789abcdef"));
	write_bytes("largest", 0600, span_of(big, SECRET_MAX_BYTES + 1));
	write_bytes("large", 0600, span_of(big + SECRET_MAX_BYTES - 9, 3));
	write_bytes("too-large", 0600, span_of(big, SECRET_MAX_BYTES + 3));
	write_text("cert.pem", 0644, "certificate");
	CU_ASSERT_EQUAL_FATAL(symlink("secret", "link"), 0);
	CU_ASSERT_EQUAL_FATAL(symlink("open", "link-to-open"), 0);
	CU_ASSERT_EQUAL_FATAL(symlink("nowhere", "dangling"), 0);
	CU_ASSERT_EQUAL_FATAL(mkfifo("fifo", 0600), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir("credentials", 0700), 0);
	write_text("credentials/cronofy", 0440, SECRET); /* as systemd shows those with an access list */
	write_text("credentials/open", 0444, SECRET);
}

static void expect_secret(const struct secret *secret, struct span bytes, const char *origin)
{
	CLEANUP(free) char *wanted = expand(origin);
	CU_ASSERT_TRUE(span_equal(span_of(secret->data, secret->n), bytes));
	CU_ASSERT_STRING_EQUAL(secret->origin, wanted);
}

/* Lines 1 and 2 of most texts: nothing to complain of. */
#define SOURCES "sources: {a: {secrets: [{file: $D/secret}]}}\n"
#define SUBSCRIBERS "subscribers: {tokens: {keys: [{file: $D/secret}]}}\n"
#define GOOD SOURCES SUBSCRIBERS
#define NOBODY "subscribers: nobody can subscribe without tokens; write tokens: {keys: [{file: /etc/belfry/jwks.json}]}"

/* --- accepts --- */

static void expect_default_listener(const struct config *config)
{
	CU_ASSERT_EQUAL_FATAL(config->n_listeners, 1);
	CU_ASSERT_STRING_EQUAL(config->listeners[0].address.text, "127.0.0.1:8080");
	CU_ASSERT_STRING_EQUAL(config->listeners[0].address.host, "127.0.0.1");
	CU_ASSERT_EQUAL(config->listeners[0].address.port, 8080);
	CU_ASSERT_FALSE(config->listeners[0].has_tls);
	CU_ASSERT_TRUE(config->listeners[0].serves_sources);
	CU_ASSERT_TRUE(config->listeners[0].serves_subscribers);
	CU_ASSERT_FALSE(config->admin.has_listener);
}

static void expect_default_source(const struct config *config)
{
	CU_ASSERT_EQUAL_FATAL(config->n_sources, 1);
	const struct config_source *source = &config->sources[0];
	CU_ASSERT_STRING_EQUAL(source->name, "cronofy");
	CU_ASSERT_STRING_EQUAL(source->scheme, "cronofy");
	CU_ASSERT_STRING_EQUAL(source->path, "/callbacks/cronofy");
	CU_ASSERT_PTR_NULL(source->public_url);
	CU_ASSERT_EQUAL(source->duplicate_window_ms, 600000);
	CU_ASSERT_EQUAL_FATAL(source->n_secrets, 1);
	CU_ASSERT_EQUAL(source->n_tag_keys, 0);
	CU_ASSERT_EQUAL(source->n_unsigned_tags, 0);
	CU_ASSERT_EQUAL(source->max_body_bytes, 262144);
}

static void expect_default_subscribers(const struct config_subscribers *subscribers)
{
	CU_ASSERT_STRING_EQUAL(subscribers->path, "/subscribe");
	CU_ASSERT_EQUAL(subscribers->n_origins, 0);
	CU_ASSERT_EQUAL(subscribers->n_server_names, 0);
	CU_ASSERT_EQUAL(subscribers->n_keys, 0);
	CU_ASSERT_PTR_NULL(subscribers->jwks_url);
	CU_ASSERT_EQUAL(subscribers->jwks_refresh_ms, 600000);
	CU_ASSERT_PTR_NULL(subscribers->issuer);
	CU_ASSERT_PTR_NULL(subscribers->audience);
	CU_ASSERT_FALSE(subscribers->anonymous);
	CU_ASSERT_FALSE(subscribers->anonymous_anywhere);
	CU_ASSERT_FALSE(subscribers->outcomes);
	CU_ASSERT_EQUAL(subscribers->ping_ms, 25000);
	CU_ASSERT_EQUAL(subscribers->auth_timeout_ms, 10000);
	CU_ASSERT_EQUAL(subscribers->stalled_timeout_ms, 60000);
	CU_ASSERT_EQUAL(subscribers->max_filters, 64);
	CU_ASSERT_EQUAL(subscribers->max_message_bytes, 16384);
	CU_ASSERT_EQUAL(subscribers->max_messages_per_second, 20);
}

static void expect_default_limits(const struct config_limits *limits)
{
	CU_ASSERT_EQUAL(limits->max_connections, 16000);
	CU_ASSERT_EQUAL(limits->max_connections_per_address, 10000);
	CU_ASSERT_EQUAL(limits->max_pending, 1024);
	CU_ASSERT_EQUAL(limits->ring_bytes, 8388608);
	CU_ASSERT_EQUAL(limits->queue_bytes, 16777216);
	CU_ASSERT_EQUAL(limits->header_timeout_ms, 5000);
	CU_ASSERT_EQUAL(limits->body_timeout_ms, 10000);
	CU_ASSERT_EQUAL(limits->write_timeout_ms, 10000);
	CU_ASSERT_EQUAL(limits->idle_timeout_ms, 60000);
	CU_ASSERT_EQUAL(limits->answer_timeout_ms, 4000);
	CU_ASSERT_EQUAL(limits->max_handler_processes, 64);
	CU_ASSERT_EQUAL(limits->drain_grace_ms, 0);
	CU_ASSERT_EQUAL(limits->drain_timeout_ms, 10000);
	CU_ASSERT_EQUAL(limits->handler_idle_timeout_ms, 60000);
}

static void expect_defaults(const struct config *config)
{
	expect_default_listener(config);
	expect_default_source(config);
	expect_default_subscribers(&config->subscribers);
	expect_default_limits(&config->limits);
	CU_ASSERT_STRING_EQUAL(config->journal.path, "/var/lib/belfry/journal.db");
	CU_ASSERT_EQUAL(config->journal.retention_age_ms, 604800000);
	CU_ASSERT_EQUAL(config->journal.retention_bytes, 4294967296);
	CU_ASSERT_TRUE(config->reactors >= 1 && config->reactors <= 64);
	CU_ASSERT_EQUAL(config->log_level, CONFIG_LOG_INFO);
	CU_ASSERT_EQUAL(config->log_format, CONFIG_LOG_TEXT);
}

static void test_smallest(void)
{
	CLEANUP(config_destroy)
	struct config *config =
		expect_config("sources: {cronofy: {secrets: [{file: $D/secret}]}}", "warning: belfry.yaml:1:1: " NOBODY);
	expect_defaults(config);
	CU_ASSERT_FALSE(config->admin.has_socket);
	expect_secret(&config->sources[0].secrets[0], SPAN(SECRET), "file $D/secret");
	CU_ASSERT_PTR_EQUAL(config_source_by_name(config, SPAN("cronofy")), &config->sources[0]);
	CU_ASSERT_PTR_NULL(config_source_by_name(config, SPAN("cron")));
}

static void test_groups_left_empty(void)
{
	CLEANUP(config_destroy)
	struct config *config = expect_config("sources: {cronofy: {secrets: [{file: $D/secret}], tags: }}\n"
										  "journal:\nsubscribers:\n  tokens:\nlimits:\nlog:\n",
										  "warning: belfry.yaml:4:3: " NOBODY);
	expect_defaults(config);
	CU_ASSERT_FALSE(config->admin.has_socket);
}

static const char everything[] =
	"listen:\n"
	"  - address: 0.0.0.0:8443\n"
	"    tls: {certificate: $D/cert.pem, key: $D/secret}\n"
	"    serves: [sources]\n"
	"  - address: \"[::1]:0\"\n"
	"    serves: [subscribers]\n"
	"  - address: unix:/run/belfry/public.sock\n"
	"  - address: systemd:web\n"
	"    serves: [subscribers, sources]\n"
	"admin: {address: unix:/run/belfry/admin.sock}\n"
	"journal: {sqlite: {path: /srv/j.db}, retention: {age: 36h, size: 1500MB}}\n"
	"sources:\n"
	"  a:\n"
	"    scheme: cronofy\n"
	"    path: /in/a\n"
	"    public_url: https://gw.example.com/prefix\n"
	"    duplicate_window: 0\n"
	"    secrets: [{file: $D/secret}, {file: $D/other}]\n"
	"    tags: {keys: [{file: $D/other}, {file: $D/secret}]}\n"
	"    unsigned_tags: [user, calendar_id]\n"
	"    max_body: 1MiB\n"
	"  b-2: {secrets: [{file: $D/link}], duplicate_window: 24h}\n"
	"subscribers:\n"
	"  path: /live\n"
	"  origins: [https://app.example.com, \"http://localhost:3000\"]\n"
	"  server_names: [gateway.example.com, \"[::1]\"]\n"
	"  tokens:\n"
	"    keys: [{file: $D/secret}]\n"
	"    jwks_url: https://app.example.com/jwks.json\n"
	"    jwks_refresh: 1h\n"
	"    issuer: https://app.example.com\n"
	"    audience: belfry\n"
	"  anonymous: false\n"
	"  ping: 5s\n"
	"  auth_timeout: 30s\n"
	"  stalled_timeout: 1h\n"
	"  max_filters: 1\n"
	"  max_message: 64KB\n"
	"  max_messages_per_second: \"10000\"\n"
	"limits: {connections: 100, connections_per_address: 10, pending: 5, ring: 1MiB, queue: 8MiB,\n"
	"         header_timeout: 1s, body_timeout: 2s, write_timeout: 3s, idle_timeout: 4s, answer_timeout: 250ms}\n"
	"reactors: 3\n"
	"log: {level: debug, format: json}\n";

static void expect_every_listener(const struct config *config)
{
	CU_ASSERT_EQUAL_FATAL(config->n_listeners, 4);
	const struct config_listener *l = config->listeners;
	CU_ASSERT_TRUE(l[0].has_tls && l[0].serves_sources && !l[0].serves_subscribers);
	CU_ASSERT_TRUE(!l[1].has_tls && !l[1].serves_sources && l[1].serves_subscribers);
	CU_ASSERT_TRUE(l[2].serves_sources && l[2].serves_subscribers);
	CU_ASSERT_TRUE(l[3].serves_sources && l[3].serves_subscribers);
	CU_ASSERT_STRING_EQUAL(l[2].address.path, "/run/belfry/public.sock");
	CU_ASSERT_STRING_EQUAL(l[3].address.name, "web");
	CU_ASSERT_TRUE(config->admin.has_listener && !config->admin.has_socket);
	CU_ASSERT_EQUAL(config->admin.listener.address.kind, CONFIG_ADDRESS_UNIX);
}

static void expect_every_source(const struct config *config)
{
	CU_ASSERT_EQUAL_FATAL(config->n_sources, 2);
	const struct config_source *a = &config->sources[0], *b = &config->sources[1];
	CU_ASSERT_STRING_EQUAL(a->path, "/in/a");
	CU_ASSERT_STRING_EQUAL(a->public_url, "https://gw.example.com/prefix");
	CU_ASSERT_EQUAL(a->duplicate_window_ms, 0);
	CU_ASSERT_EQUAL_FATAL(a->n_secrets, 2);
	expect_secret(&a->secrets[1], SPAN("another-secret-of-32-bytes------"), "file $D/other");
	CU_ASSERT_EQUAL_FATAL(a->n_tag_keys, 2);
	expect_secret(&a->tag_keys[1], SPAN(SECRET), "file $D/secret");
	CU_ASSERT_EQUAL_FATAL(a->n_unsigned_tags, 2);
	CU_ASSERT_STRING_EQUAL(a->unsigned_tags[1], "calendar_id");
	CU_ASSERT_EQUAL(a->max_body_bytes, 1048576);
	CU_ASSERT_STRING_EQUAL(b->path, "/callbacks/b-2");
	CU_ASSERT_EQUAL(b->duplicate_window_ms, 86400000);
	expect_secret(&b->secrets[0], SPAN(SECRET), "file $D/link");
}

static void expect_every_number(const struct config *config)
{
	const struct config_subscribers *s = &config->subscribers;
	const struct config_limits *l = &config->limits;
	const int64_t got[] = {
		config->journal.retention_age_ms,
		(int64_t)config->journal.retention_bytes,
		s->jwks_refresh_ms,
		s->ping_ms,
		s->auth_timeout_ms,
		s->stalled_timeout_ms,
		(int64_t)s->max_filters,
		(int64_t)s->max_message_bytes,
		(int64_t)s->max_messages_per_second,
		(int64_t)l->max_connections,
		(int64_t)l->max_connections_per_address,
		(int64_t)l->max_pending,
		(int64_t)l->ring_bytes,
		(int64_t)l->queue_bytes,
		l->header_timeout_ms,
		l->body_timeout_ms,
		l->write_timeout_ms,
		l->idle_timeout_ms,
		l->answer_timeout_ms,
		(int64_t)config->reactors,
	};
	static const int64_t wanted[] = { 129600000, 1500000000, 3600000, 5000,    30000, 3600000, 1,    64000, 10000, 100,
									  10,        5,          1048576, 8388608, 1000,  2000,    3000, 4000,  250,   3 };
	for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++)
		CU_ASSERT_EQUAL(got[i], wanted[i]);
}

static void test_everything(void)
{
	CLEANUP(config_destroy) struct config *config = expect_config(everything, "");
	expect_every_listener(config);
	expect_every_source(config);
	expect_every_number(config);
	const struct config_subscribers *s = &config->subscribers;
	CU_ASSERT_STRING_EQUAL(s->path, "/live");
	CU_ASSERT_EQUAL_FATAL(s->n_origins, 2);
	CU_ASSERT_STRING_EQUAL(s->origins[1], "http://localhost:3000");
	CU_ASSERT_EQUAL_FATAL(s->n_server_names, 2);
	CU_ASSERT_STRING_EQUAL(s->server_names[1], "[::1]");
	CU_ASSERT_EQUAL_FATAL(s->n_keys, 1);
	CU_ASSERT_STRING_EQUAL(s->keys[0].where, "belfry.yaml:28:12");
	expect_secret(&s->keys[0].bytes, SPAN(SECRET), "file $D/secret");
	CU_ASSERT_STRING_EQUAL(s->jwks_url, "https://app.example.com/jwks.json");
	CU_ASSERT_STRING_EQUAL(s->issuer, "https://app.example.com");
	CU_ASSERT_STRING_EQUAL(s->audience, "belfry");
	CU_ASSERT_STRING_EQUAL(config->journal.path, "/srv/j.db");
	CU_ASSERT_EQUAL(config->log_level, CONFIG_LOG_DEBUG);
	CU_ASSERT_EQUAL(config->log_format, CONFIG_LOG_JSON);
}

static void test_warnings(void)
{
	static const struct refusal cases[] = {
		{ GOOD "listen: [{address: \"0.0.0.0:80\"}]", "warning: belfry.yaml:3:20: address: no tls on 0.0.0.0:80: "
													  "callbacks and tokens travel in clear unless a proxy in "
													  "front terminates TLS" },
		{ GOOD "listen: [{address: \"127.0.0.1:80\", serves: [sources]}]",
		  "warning: belfry.yaml:3:9: listen: no listener serves subscribers: nobody can subscribe" },
		{ GOOD "listen: [{address: \"127.0.0.1:80\", serves: [subscribers]}]",
		  "warning: belfry.yaml:3:9: listen: no listener serves sources: no callback can arrive" },
		{ GOOD "listen: [{address: \"127.0.0.1:0\"}, {address: \"127.0.0.1:0\"}]", "" },
		{ GOOD "admin: {address: \"[::]:8081\", tokens: [{name: a, role: viewer, token: {file: $D/secret}}]}",
		  "warning: belfry.yaml:3:18: address: no tls on [::]:8081: administrators' tokens travel in clear unless a "
		  "proxy in front terminates TLS" },
		{ GOOD "journal: {retention: {age: 1h}}", "" },
		{ SUBSCRIBERS "sources:\n  a:\n    secrets: [{file: $D/secret}]\n    duplicate_window: 2h\n"
					  "journal: {retention: {age: 1h}}",
		  "warning: belfry.yaml:5:23: duplicate_window: callbacks are not kept for so long; see "
		  "journal.retention.age" },
		{ SUBSCRIBERS "sources:\n  a:\n    secrets:\n      - file: $D/secret\n      - file: $D/short\n"
					  "    tags: {keys: [{file: $D/short}]}",
		  "warning: belfry.yaml:6:9: secrets: the secret is only 15 bytes; the provider's secrets are longer\n"
		  "warning: belfry.yaml:7:19: keys: the secret is only 15 bytes; take 32 random ones: openssl rand -hex 32" },
		{ SOURCES "subscribers: {anonymous: true}", "" },
		{ SOURCES "subscribers: {anonymous: true, tokens: {keys: [{file: $D/secret}]}}",
		  "warning: belfry.yaml:2:26: anonymous: tokens are not looked at while this is true" },
		{ SOURCES "subscribers: {anonymous: true, anonymous_anywhere: true}\nlisten: [{address: \"systemd:\"}]", "" },
		{ SOURCES "subscribers: {tokens: {jwks_url: http://app.example.com/jwks.json}}",
		  "warning: belfry.yaml:2:34: jwks_url: whoever is on the way can put other keys there; use https" },
		{ SOURCES "subscribers: {tokens: {keys: []}}", "warning: belfry.yaml:2:14: " NOBODY },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		config_destroy(expect_config(cases[i].text, cases[i].expected));
}

/* --- secrets --- */

static struct config *expect_one_secret(const char *written, struct span bytes, const char *origin,
										const char *warnings)
{
	CLEANUP(free) char *text = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&text, "sources:\n  a:\n    secrets:\n      - %s\n" SUBSCRIBERS, written) > 0);
	struct config *config = expect_config(text, warnings);
	expect_secret(&config->sources[0].secrets[0], bytes, origin);
	return config;
}

#define ENVIRONMENT_WARNING \
	"secrets: a secret in the environment is for development: it shows in /proc; a file is safer"
#define BLANK_WARNING "secrets: the secret begins or ends with a blank or an empty line, which counts as part of it"

static void test_secrets(void)
{
	static char largest[SECRET_MAX_BYTES];
	memset(largest, 'x', sizeof largest);
	enter_folder();
	CU_ASSERT_EQUAL(setenv("BELFRY_TEST_SECRET", SECRET, 1), 0);
	const struct {
		const char *written;
		struct span bytes;
		const char *origin, *warnings;
	} cases[] = {
		{ "{file: $D/secret}", SPAN(SECRET), "file $D/secret", "" },
		{ "{file: $D/link}", SPAN(SECRET), "file $D/link", "" },
		{ "{file: $D/other}", SPAN("another-secret-of-32-bytes------"), "file $D/other", "" },
		{ "{file: $D/dos}", SPAN(SECRET), "file $D/dos", "" },
		{ "{file: $D/nul}",
		  SPAN("0123456789abcdef\0"
			   "0123456789abcdef"),
		  "file $D/nul", "" },
		{ "{file: $D/largest}", span_of(largest, sizeof largest), "file $D/largest", "" },
		{ "{file: $D/lines}", SPAN(SECRET "\n"), "file $D/lines", "warning: belfry.yaml:4:16: " BLANK_WARNING },
		{ "{file: $D/blank}", SPAN(" " SECRET), "file $D/blank", "warning: belfry.yaml:4:16: " BLANK_WARNING },
		{ "{file: $D/short}", SPAN("fifteen-bytes--"), "file $D/short",
		  "warning: belfry.yaml:4:9: secrets: the secret is only 15 bytes; the provider's secrets are longer" },
		{ "{env: BELFRY_TEST_SECRET}", SPAN(SECRET), "env BELFRY_TEST_SECRET",
		  "warning: belfry.yaml:4:15: " ENVIRONMENT_WARNING },
		{ SECRET, SPAN(SECRET), "in belfry.yaml",
		  "warning: belfry.yaml:4:9: secrets: a secret is written here; it is safer in a file of its own: {file: "
		  "...}" },
	};
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		config_destroy(expect_one_secret(cases[i].written, cases[i].bytes, cases[i].origin, cases[i].warnings));
	CU_ASSERT_EQUAL(setenv("CREDENTIALS_DIRECTORY", "credentials", 1), 0);
	expect_loaded(
		"sources: {a: {secrets: [{credential: cronofy}]}}\n" SUBSCRIBERS, 0600, CONFIG_E_INVALID,
		"belfry.yaml:1:38: secrets: there are no credentials here: systemd's LoadCredential= provides them to a "
		"service",
		NULL);
	CLEANUP(free) char *credentials = expand("$D/credentials");
	CU_ASSERT_EQUAL(setenv("CREDENTIALS_DIRECTORY", credentials, 1), 0);
	config_destroy(expect_one_secret("{credential: cronofy}", SPAN(SECRET), "credential cronofy", ""));
	expect_loaded(
		"sources: {a: {secrets: [{credential: open}]}}\n" SUBSCRIBERS, 0600, CONFIG_E_INVALID,
		"belfry.yaml:1:38: secrets: $D/credentials/open is open to everybody (mode 0444); let the gateway's user "
		"alone read it: chmod 0600",
		NULL);
	expect_loaded(
		"sources: {a: {secrets: [{credential: ../secret}]}}\n" SUBSCRIBERS, 0600, CONFIG_E_INVALID,
		"belfry.yaml:1:38: secrets: this is not the name of a credential; write it as in LoadCredential=", NULL);
	CU_ASSERT_EQUAL(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

#define CHMOD "; let the gateway's user alone read it: chmod 0600"
#define FORMS "secrets: a secret is written as {file: /path}, {env: NAME} or {credential: NAME}"
#define ONE "sources: {a: {secrets: ["
#define TWO "]}}\n" SUBSCRIBERS

static void test_refuses_secrets(void)
{
	static const struct refusal cases[] = {
		{ ONE "{file: $D/none}" TWO, "belfry.yaml:1:32: secrets: $D/none cannot be read: No such file or directory" },
		{ ONE "{file: $D/dangling}" TWO,
		  "belfry.yaml:1:32: secrets: $D/dangling cannot be read: No such file or directory" },
		{ ONE "{file: $D}" TWO, "belfry.yaml:1:32: secrets: $D cannot be read: not a regular file" },
		{ ONE "{file: $D/fifo}" TWO, "belfry.yaml:1:32: secrets: $D/fifo cannot be read: not a regular file" },
		{ ONE "{file: /dev/zero}" TWO, "belfry.yaml:1:32: secrets: /dev/zero cannot be read: not a regular file" },
		{ ONE "{file: $D/too-large}" TWO, "belfry.yaml:1:32: secrets: $D/too-large cannot be read: too large" },
		{ ONE "{file: $D/open}" TWO, "belfry.yaml:1:32: secrets: $D/open is open to everybody (mode 0644)" CHMOD },
		{ ONE "{file: $D/link-to-open}" TWO,
		  "belfry.yaml:1:32: secrets: $D/link-to-open is open to everybody (mode 0644)" CHMOD },
		{ ONE "{file: $D/writable}" TWO,
		  "belfry.yaml:1:32: secrets: $D/writable is open to its group (mode 0620)" CHMOD },
		{ ONE "{file: $D/empty}" TWO, "belfry.yaml:1:32: secrets: the secret is empty" },
		{ ONE "{file: $D/line}" TWO, "belfry.yaml:1:32: secrets: the secret is empty" },
		{ ONE "{file: secret}" TWO,
		  "belfry.yaml:1:32: secrets: the secret's file has no absolute path; write for example "
		  "{file: /etc/belfry/secrets/cronofy}" },
		{ ONE "{file: }" TWO, "belfry.yaml:1:26: " FORMS },
		{ ONE "{file: [$D/secret]}" TWO, "belfry.yaml:1:26: " FORMS },
		{ ONE "{env: BELFRY_TEST_NONE}" TWO,
		  "belfry.yaml:1:31: secrets: there is no environment variable of this name" },
		{ ONE "{env: \"\"}" TWO, "belfry.yaml:1:31: secrets: there is no environment variable of this name" },
		{ ONE "{env: 1=2}" TWO, "belfry.yaml:1:31: secrets: there is no environment variable of this name" },
		{ ONE "{env: BELFRY_TEST_EMPTY}" TWO,
		  "warning: belfry.yaml:1:31: " ENVIRONMENT_WARNING "\nbelfry.yaml:1:31: secrets: the secret is empty" },
		{ ONE "{credential: x}" TWO,
		  "belfry.yaml:1:38: secrets: there are no credentials here: systemd's LoadCredential= "
		  "provides them to a service" },
		{ ONE "\"\"" TWO,
		  "warning: belfry.yaml:1:25: secrets: a secret is written here; it is safer in a file of its own: "
		  "{file: ...}\nbelfry.yaml:1:25: secrets: the secret is empty" },
		{ ONE "{path: $D/secret}" TWO, "belfry.yaml:1:26: " FORMS },
		{ ONE "{file: $D/secret, env: X}" TWO,
		  "belfry.yaml:1:25: secrets: a secret has exactly one of file, env and credential" },
		{ ONE "{}" TWO, "belfry.yaml:1:25: secrets: a secret has exactly one of file, env and credential" },
		{ ONE "[x]" TWO, "belfry.yaml:1:25: secrets: found a list; write a secret, for example {file: "
						 "/etc/belfry/secrets/cronofy}" },
		{ ONE "~" TWO, "belfry.yaml:1:25: secrets: found nothing; write a secret, for example {file: "
					   "/etc/belfry/secrets/cronofy}" },
	};
	enter_folder();
	CU_ASSERT_EQUAL(setenv("BELFRY_TEST_EMPTY", "", 1), 0);
	EXPECT_REFUSALS(cases);
	expect_loaded(
		ONE SECRET TWO, 0644, CONFIG_E_INVALID,
		"belfry.yaml:1:25: secrets: a secret is written here, but belfry.yaml is open to everybody (mode 0644); "
		"move it into a file of its own and write {file: ...}",
		NULL);
}

/* A secret in any wrong place is not repeated in any complaint. */
static void test_complaints_tell_no_secret(void)
{
	static const char *const places[] = {
		"secrets: hunter2",
		"secrets: [hunter2]",
		"secrets: [[hunter2]]",
		"secrets: [{hunter2}]",
		"secrets: [{hunter2: }]",
		"secrets: [{hunter2: x, y: hunter2}]",
		"secrets: [{file: hunter2}]",
		"secrets: [{env: hunter2}]",
		"secrets: [{credential: hunter2}]",
		"secrets: {hunter2: hunter2}",
		"secrets: [!hunter2 x]",
		"secrets: [!!hunter2 x]",
		"secrets: [&hunter2 x]",
		"secrets: [*hunter2]",
		"secrets: [\"hunter2\\0\"]",
		"secrets: [hunter2, \"hunter2\\q\"]",
		"secrets: [{hunter2: a, hunter2: b}]",
		"secrets: [hunter2",
		"secrets: [hunter2: @]",
		"secrets: [\"hunter2]",
		"secrets: [\thunter2\001]",
		"secrets: [hunter2\xff]",
		"tags: {keys: hunter2}",
		"public_url: https://me:hunter2@gateway.example.com",
	};
	enter_folder();
	for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
		for (mode_t mode = 0600; mode <= 0644; mode += 044) {
			CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
			CLEANUP(config_destroy) struct config *config = NULL;
			CLEANUP(free) char *text = NULL;
			CU_ASSERT_TRUE_FATAL(asprintf(&text, "sources:\n  a:\n    %s\n", places[i]) > 0);
			write_text("belfry.yaml", mode, text);
			CU_ASSERT_TRUE(config_load("belfry.yaml", &complaints, &config) >= 0);
			CLEANUP(free) char *got = joined(&complaints);
			if (!complaints.n || strstr(got, "hunter2"))
				printf("\n  %s\n  %s\n", places[i], got);
			CU_ASSERT_TRUE(complaints.n > 0);
			CU_ASSERT_PTR_NULL(strstr(got, "hunter2"));
		}
}

/* --- refuses --- */

#define AN_ADDRESS "; write a numeric address with a port, unix:/path or systemd:NAME, for example 127.0.0.1:8080"
#define A_URL "; write a URL, for example https://gateway.example.com"
#define AN_ORIGIN "; write scheme://host or scheme://host:port, for example https://app.example.com"
#define KNOWN "listen, admin, journal, sources, subscribers, limits, plugins, handlers, interactions, reactors, log"

static void test_refuses_keys(void)
{
	static const struct refusal cases[] = {
		{ "", "belfry.yaml:1:1: the file is empty; the shortest one that works is sources: {cronofy: {secrets: [{file: "
			  "/etc/belfry/secrets/cronofy}]}}" },
		{ "# nothing\n",
		  "belfry.yaml:1:1: the file is empty; the shortest one that works is sources: {cronofy: {secrets: "
		  "[{file: /etc/belfry/secrets/cronofy}]}}" },
		{ "[]", "belfry.yaml:1:1: a configuration is a map; write key: value" },
		{ "text", "belfry.yaml:1:1: a configuration is a map; write key: value" },
		{ GOOD "a: b: c",
		  "belfry.yaml:3:5: a colon makes no sense here; put text with a colon into quotes, and give each "
		  "key a line of its own" },
		{ GOOD "limit: {}", "belfry.yaml:3:1: unknown key \"limit\"; did you mean \"limits\"?" },
		{ GOOD "Limits: {}", "belfry.yaml:3:1: unknown key \"Limits\"; did you mean \"limits\"?" },
		{ GOOD "listne: []", "belfry.yaml:3:1: unknown key \"listne\"; did you mean \"listen\"?" },
		{ GOOD "handlres: {}", "belfry.yaml:3:1: unknown key \"handlres\"; did you mean \"handlers\"?" },
		{ GOOD "\"\\n\": 1", "belfry.yaml:3:1: unknown key \"\\n\"; known here: " KNOWN },
		{ GOOD "limits: {conections: 1, Pending: 2}",
		  "belfry.yaml:3:10: unknown key \"conections\"; did you mean \"connections\"?\n"
		  "belfry.yaml:3:25: unknown key \"Pending\"; did you mean \"pending\"?" },
		{ GOOD "journal: {nats: {}}", "belfry.yaml:3:11: unknown key \"nats\"; known here: sqlite, retention" },
		{ "sources: {a: {secret: [], secrets: [{file: $D/secret}]}}\n" SUBSCRIBERS,
		  "belfry.yaml:1:15: unknown key \"secret\"; did you mean \"secrets\"?" },
		{ SUBSCRIBERS, "belfry.yaml:1:1: \"sources\" is missing (who calls back); write for example sources: {cronofy: "
					   "{secrets: [{file: /etc/belfry/secrets/cronofy}]}}" },
		{ SUBSCRIBERS "sources: {}",
		  "belfry.yaml:2:10: sources: found 0 entries; write a map of names of 1 to 4096 entries, "
		  "for example {cronofy: {secrets: [{file: /etc/belfry/secrets/cronofy}]}}" },
		{ SUBSCRIBERS "sources:",
		  "belfry.yaml:2:9: sources: found nothing; write a map of names of 1 to 4096 entries, for "
		  "example {cronofy: {secrets: [{file: /etc/belfry/secrets/cronofy}]}}" },
		{ SUBSCRIBERS "sources: {a: }",
		  "belfry.yaml:2:14: \"secrets\" is missing (what the provider signs with; any of them "
		  "may match); write for example secrets: [{file: /etc/belfry/secrets/cronofy}]" },
		{ SUBSCRIBERS "sources: {a: x}", "belfry.yaml:2:14: a: found plain text; write a map of options" },
		{ GOOD "admin: {}",
		  "belfry.yaml:3:8: admin: neither \"address\" nor \"socket\" is written; write for example address: "
		  "127.0.0.1:8081" },
		{ GOOD "ping: 1s\nreactors: 0\nlog: {level: loud}\nreactors: 2",
		  "belfry.yaml:3:1: unknown key \"ping\"; known here: " KNOWN "\n"
		  "belfry.yaml:4:11: reactors: \"0\" is out of range; write auto or a whole number from 1 to 64, for example "
		  "4\n"
		  "belfry.yaml:5:14: level: \"loud\" is not known; write error, warning, info or debug\n"
		  "belfry.yaml:6:1: this key is in belfry.yaml:4:1 already; keep one of them" },
		{ GOOD "log: {level: *x}", "belfry.yaml:3:14: aliases (*) are not supported; write it out" },
	};
	EXPECT_REFUSALS(cases);
}

#define REACTORS "; write auto or a whole number from 1 to 64, for example 4"
#define PING "; write a duration from 5s to 5m, for example 25s"
#define SIZE "; write a size from 1MiB to 64TiB, for example 4GiB"
#define PINGS SOURCES "subscribers: {ping: "
#define PING_AT "belfry.yaml:2:21: ping: "
#define SIZES GOOD "journal: {retention: {size: "
#define SIZE_AT "belfry.yaml:3:29: size: "
#define ANON SOURCES "subscribers: {anonymous: "
#define ANON_AT "belfry.yaml:2:26: anonymous: "

static void test_refuses_scalars(void)
{
	static const struct refusal cases[] = {
		{ GOOD "reactors: no", "belfry.yaml:3:11: reactors: \"no\" is not a whole number" REACTORS },
		{ GOOD "reactors: 0o17", "belfry.yaml:3:11: reactors: \"0o17\" is not a whole number" REACTORS },
		{ GOOD "reactors: 0x10", "belfry.yaml:3:11: reactors: \"0x10\" is not a whole number" REACTORS },
		{ GOOD "reactors: 1_000", "belfry.yaml:3:11: reactors: \"1_000\" is not a whole number" REACTORS },
		{ GOOD "reactors: 1e3", "belfry.yaml:3:11: reactors: \"1e3\" is not a whole number" REACTORS },
		{ GOOD "reactors: 08", "belfry.yaml:3:11: reactors: \"08\" is not a whole number" REACTORS },
		{ GOOD "reactors: \" 8\"", "belfry.yaml:3:11: reactors: \" 8\" is not a whole number" REACTORS },
		{ GOOD "reactors: +1", "belfry.yaml:3:11: reactors: \"+1\" is not a whole number" REACTORS },
		{ GOOD "reactors: -1", "belfry.yaml:3:11: reactors: \"-1\" is not a whole number" REACTORS },
		{ GOOD "reactors: ''", "belfry.yaml:3:11: reactors: \"\" is not a whole number" REACTORS },
		{ GOOD "reactors: Auto", "belfry.yaml:3:11: reactors: \"Auto\" is not a whole number" REACTORS },
		{ GOOD "reactors: 65", "belfry.yaml:3:11: reactors: \"65\" is out of range" REACTORS },
		{ GOOD "reactors: 4294967297", "belfry.yaml:3:11: reactors: \"4294967297\" is out of range" REACTORS },
		{ GOOD "reactors: 18446744073709551617",
		  "belfry.yaml:3:11: reactors: \"18446744073709551617\" is out of range" REACTORS },
		{ GOOD "reactors:", "belfry.yaml:3:10: reactors: found nothing" REACTORS },
		{ GOOD "reactors: [1]", "belfry.yaml:3:11: reactors: found a list" REACTORS },
		{ GOOD "reactors: {a: 1}", "belfry.yaml:3:11: reactors: found a map" REACTORS },
		{ PINGS "25}", PING_AT "\"25\" has no unit; write a unit: 25s" },
		{ PINGS "25 s}", PING_AT "\"25 s\" is not a duration" PING },
		{ PINGS "1m30s}", PING_AT "\"1m30s\" is not a duration" PING },
		{ PINGS "4999ms}", PING_AT "\"4999ms\" is out of range" PING },
		{ PINGS "6m}", PING_AT "\"6m\" is out of range" PING },
		{ SIZES "4096}}", SIZE_AT "\"4096\" has no unit; write a unit: 4GiB" },
		{ SIZES "0}}", SIZE_AT "\"0\" has no unit; write a unit: 4GiB" },
		{ SIZES "0B}}", SIZE_AT "\"0B\" is out of range" SIZE },
		{ SIZES "4G}}", SIZE_AT "\"4G\" is not a size" SIZE },
		{ SIZES "1048575B}}", SIZE_AT "\"1048575B\" is out of range" SIZE },
		{ GOOD "limits: {answer_timeout: 4501ms}",
		  "belfry.yaml:3:26: answer_timeout: \"4501ms\" is out of range; write a "
		  "duration from 100ms to 4500ms, for example 4s" },
		{ ANON "yes}", ANON_AT "\"yes\" is neither; write true or false" },
		{ ANON "no}", ANON_AT "\"no\" is neither; write true or false" },
		{ ANON "on}", ANON_AT "\"on\" is neither; write true or false" },
		{ ANON "off}", ANON_AT "\"off\" is neither; write true or false" },
		{ ANON "True}", ANON_AT "\"True\" is neither; write true or false" },
		{ ANON "1}", ANON_AT "\"1\" is neither; write true or false" },
		{ GOOD "journal: {sqlite: {path: journal.db}}",
		  "belfry.yaml:3:26: path: \"journal.db\" is not an absolute path; "
		  "write an absolute path, for example /var/lib/belfry/journal.db" },
		{ GOOD "log: {level: INFO}",
		  "belfry.yaml:3:14: level: \"INFO\" is not known; write error, warning, info or debug" },
		{ GOOD "log: {level: \"\\u001binfo\"}",
		  "belfry.yaml:3:14: an escape in this text makes a control character; take it "
		  "out" },
	};
	EXPECT_REFUSALS(cases);
}

#define LISTEN GOOD "listen:\n- address: "
#define LISTEN_AT "belfry.yaml:4:12: address: "

static void test_refuses_listeners(void)
{
	static const struct refusal cases[] = {
		{ LISTEN "localhost:8080",
		  LISTEN_AT "\"localhost:8080\" has a host name, or something else that is not a numeric "
					"address" AN_ADDRESS },
		{ LISTEN "127.0.0.1", LISTEN_AT "\"127.0.0.1\" has no port" AN_ADDRESS },
		{ LISTEN "\"::1:8080\"",
		  LISTEN_AT "\"::1:8080\" has an IPv6 address that needs brackets, or no port" AN_ADDRESS },
		{ LISTEN "unix:x.sock", LISTEN_AT "\"unix:x.sock\" is not an absolute path" AN_ADDRESS },
		{ LISTEN "[8080]", LISTEN_AT "found a list" AN_ADDRESS },
		{ GOOD "listen: []", "belfry.yaml:3:9: listen: found 0 entries; write a list of 1 to 64 entries, for example "
							 "[{address: \"127.0.0.1:8080\"}]" },
		{ GOOD "listen: 8080",
		  "belfry.yaml:3:9: listen: found plain text; write a list of 1 to 64 entries, for example "
		  "[{address: \"127.0.0.1:8080\"}]" },
		{ GOOD "listen: [8080]", "belfry.yaml:3:10: listen: found plain text; write a map of options, for example "
								 "{address: \"127.0.0.1:8080\"}" },
		{ GOOD "listen: [{}]",
		  "belfry.yaml:3:10: \"address\" is missing (where to listen); write for example address: 127.0.0.1:8080" },
		{ LISTEN "127.0.0.1:1\n  serves: []",
		  "belfry.yaml:5:11: serves: a listener that serves nothing; leave it out" },
		{ LISTEN "127.0.0.1:1\n  serves: sources",
		  "belfry.yaml:5:11: serves: found plain text; write a list of sources or subscribers" },
		{ LISTEN "127.0.0.1:1\n  serves: [sources, admin]",
		  "belfry.yaml:5:21: serves: \"admin\" is not known; write a list of sources or subscribers" },
		{ LISTEN "127.0.0.1:1\n  tls: {certificate: $D/cert.pem}",
		  "belfry.yaml:5:8: \"key\" is missing (PEM file with the private key); write for example key: "
		  "/etc/belfry/tls/key.pem" },
		{ LISTEN "127.0.0.1:1\n  tls: {key: $D/secret}", "belfry.yaml:5:8: \"certificate\" is missing (PEM file with "
														 "the certificate and those between it and the root); "
														 "write for example certificate: /etc/belfry/tls/cert.pem" },
		{ LISTEN "127.0.0.1:1\n  tls:\n    certificate: $D/none\n    key: $D/none",
		  "belfry.yaml:6:18: certificate: $D/none cannot be read: No such file or directory\n"
		  "belfry.yaml:7:10: key: $D/none cannot be read: No such file or directory" },
		{ LISTEN "127.0.0.1:1\n  tls:\n    certificate: $D\n    key: $D/open",
		  "belfry.yaml:6:18: certificate: $D cannot be read: not a regular file\n"
		  "belfry.yaml:7:10: key: $D/open is open to everybody (mode 0644)" CHMOD },
		{ LISTEN "127.0.0.1:1\n- address: 127.0.0.1:1",
		  "belfry.yaml:5:12: address: 127.0.0.1:1 is in belfry.yaml:4:12 already; keep one of them" },
		{ LISTEN "127.0.0.1:1\nadmin: {address: \"127.0.0.1:1\"}",
		  "belfry.yaml:5:18: address: 127.0.0.1:1 is in belfry.yaml:4:12 already; keep one of them" },
		{ GOOD "admin: {address: \"127.0.0.1:8080\"}",
		  "belfry.yaml:3:18: address: 127.0.0.1:8080 is where the public side listens by default; choose another one" },
		{ GOOD "admin:",
		  "belfry.yaml:3:7: admin: neither \"address\" nor \"socket\" is written; write for example address: "
		  "127.0.0.1:8081" },
		{ GOOD "admin: {address: \"0.0.0.0:8081\"}",
		  "belfry.yaml:3:18: address: others than this machine can reach 0.0.0.0:8081, where anybody could do "
		  "everything; write tokens, or listen on 127.0.0.1" },
		{ GOOD "admin: {socket: /run/x, address: \"unix:/run/x\"}",
		  "belfry.yaml:3:17: socket: /run/x is the address already; keep one of them" },
		{ GOOD "admin: {socket: run/x}",
		  "belfry.yaml:3:17: socket: \"run/x\" is not an absolute path; write an absolute path, for example "
		  "/run/belfry/admin.sock" },
		{ GOOD "admin: {socket: /run/x, socket_access: others}",
		  "belfry.yaml:3:40: socket_access: \"others\" is not known; write owner or group" },
		{ GOOD "admin:\n  socket: /run/x\n  tokens:\n"
			   "  - {name: a, role: viewer, token: {file: $D/short}}\n"
			   "  - {name: a, role: operator, token: {file: $D/blank}}\n"
			   "  - {name: b, role: king, token: {file: $D/secret}}",
		  "belfry.yaml:6:36: token: it has only 15 bytes and could be guessed; take 32 random ones: openssl rand -hex "
		  "32\n"
		  "belfry.yaml:7:12: name: \"a\" has a token already; choose another one\n"
		  "belfry.yaml:7:38: token: it has blanks or other characters that a header cannot carry; take openssl rand "
		  "-hex 32\n"
		  "warning: belfry.yaml:7:45: token: the secret begins or ends with a blank or an empty line, which counts as "
		  "part of it\n"
		  "belfry.yaml:8:21: role: \"king\" is not known; write viewer or operator" },
		{ GOOD "admin: {address: \":8080\"}",
		  "belfry.yaml:3:18: address: \":8080\" has no address before the port; write a "
		  "numeric address with a port, unix:/path or systemd:NAME, for example "
		  "127.0.0.1:8081" },
	};
	EXPECT_REFUSALS(cases);
}

#define A SUBSCRIBERS "sources:\n  a:\n    secrets: [{file: $D/secret}]\n    "
#define PATH "; write the path of a URL, for example /callbacks/cronofy"

static void test_refuses_sources(void)
{
	static const struct refusal cases[] = {
		{ SUBSCRIBERS "sources: {A b: {secrets: [{file: $D/secret}]}}",
		  "belfry.yaml:2:11: sources: the name \"A b\" has other characters than a-z, 0-9, - and _" },
		{ A "scheme: stripe", "belfry.yaml:5:13: scheme: \"stripe\" is not known; write cronofy" },
		{ A "scheme: [cronofy]", "belfry.yaml:5:13: scheme: found a list; write cronofy" },
		{ A "path: in", "belfry.yaml:5:11: path: \"in\" does not begin with /" PATH },
		{ A "path: /a//b", "belfry.yaml:5:11: path: \"/a//b\" has an empty segment (//)" PATH },
		{ A "path: /a/../b", "belfry.yaml:5:11: path: \"/a/../b\" has a . or .. segment" PATH },
		{ A "path: /a?b",
		  "belfry.yaml:5:11: path: \"/a?b\" has other characters than letters, digits, - . _ ~ and /" PATH },
		{ A "path: /events", "belfry.yaml:5:11: path: \"/events\" is one of the gateway's own; choose another one" },
		{ A "path: /ticket", "belfry.yaml:5:11: path: \"/ticket\" is one of the gateway's own; choose another one" },
		{ A "path: /belfry.js",
		  "belfry.yaml:5:11: path: \"/belfry.js\" is one of the gateway's own; choose another one" },
		{ A "path: /healthz", "belfry.yaml:5:11: path: \"/healthz\" is one of the gateway's own; choose another one" },
		{ A "path: /subscribe", "belfry.yaml:5:11: path: \"/subscribe\" is the subscribers' path; choose another one" },
		{ "subscribers: {path: /live, tokens: {keys: [{file: $D/secret}]}}\n"
		  "sources: {a: {path: /live, secrets: [{file: $D/secret}]}}",
		  "belfry.yaml:2:21: path: \"/live\" is the subscribers' path in belfry.yaml:1:21; choose another one" },
		{ A "path: /callbacks/b\n  b: {secrets: [{file: $D/secret}]}",
		  "belfry.yaml:6:3: path: \"/callbacks/b\" is in belfry.yaml:5:11 already; every source needs its own" },
		{ A "path: /x\n  b: {path: /x, secrets: [{file: $D/secret}]}\n  c: {path: /x, secrets: [{file: $D/secret}]}",
		  "belfry.yaml:6:13: path: \"/x\" is in belfry.yaml:5:11 already; every source needs its own\n"
		  "belfry.yaml:7:13: path: \"/x\" is in belfry.yaml:5:11 already; every source needs its own" },
		{ A "public_url: gateway",
		  "belfry.yaml:5:17: public_url: \"gateway\" does not begin with https:// or the like" A_URL },
		{ A "public_url: https://g/", "belfry.yaml:5:17: public_url: \"https://g/\" ends with /, which the path begins "
									  "with" A_URL },
		{ A "public_url: https://me:x@g", "belfry.yaml:5:17: public_url: \"...\" has a user in it" A_URL },
		{ A "public_url: https://g#x", "belfry.yaml:5:17: public_url: \"https://g#x\" has a fragment (#)" A_URL },
		{ A "duplicate_window: 10", "belfry.yaml:5:23: duplicate_window: \"10\" has no unit; write a unit: 10m" },
		{ A "duplicate_window: 25h",
		  "belfry.yaml:5:23: duplicate_window: \"25h\" is out of range; write 0 or a duration from "
		  "1s to 1d, for example 10m" },
		{ A "max_body: 4097KiB",
		  "belfry.yaml:5:15: max_body: \"4097KiB\" is out of range; write a size from 1KiB to 4MiB, for "
		  "example 256KiB" },
		{ A "unsigned_tags: user",
		  "belfry.yaml:5:20: unsigned_tags: found plain text; write a list of at most 32 entries, "
		  "for example [user]" },
		{ A "unsigned_tags: [sig, '']",
		  "belfry.yaml:5:21: unsigned_tags: \"sig\" is the signature's name, not a tag's; write "
		  "the name of a tag, for example user\n"
		  "belfry.yaml:5:26: unsigned_tags: \"\" is empty; write the name of a tag, for example "
		  "user" },
		{ A "tags: {keys: [{file: $D/secret}, {file: $D/secret}, {file: $D/secret}]}",
		  "belfry.yaml:5:18: keys: found 3 entries; write a list of at most 2 entries, for example [{file: "
		  "/etc/belfry/secrets/tags}]" },
		{ A "tags: {unsigned: [user]}", "belfry.yaml:5:12: unknown key \"unsigned\"; known here: keys" },
		{ SUBSCRIBERS "sources: {a: {secrets: []}}",
		  "belfry.yaml:2:24: secrets: found 0 entries; write a list of 1 to 8 "
		  "entries, for example [{file: /etc/belfry/secrets/cronofy}]" },
		{ SUBSCRIBERS "sources: {a: {secrets: [a,b,c,d,e,f,g,h,i]}}",
		  "belfry.yaml:2:24: secrets: found 9 entries; write a list of 1 to 8 entries, for example [{file: "
		  "/etc/belfry/secrets/cronofy}]" },
	};
	EXPECT_REFUSALS(cases);
}

#define S SOURCES "subscribers:\n  tokens: {keys: [{file: $D/secret}]}\n  "
#define OPENED                                                                                           \
	"others than this machine can connect to 0.0.0.0:80 and would see every callback; write tokens, or " \
	"anonymous_anywhere: true as well"
#define CLEAR                                                                                                  \
	"warning: belfry.yaml:3:20: address: no tls on 0.0.0.0:80: callbacks and tokens travel in clear unless a " \
	"proxy in front terminates TLS"

static void test_refuses_subscribers(void)
{
	static const struct refusal cases[] = {
		{ S "origins: ['*']",
		  "belfry.yaml:4:13: origins: \"*\" would let the scripts of any web page listen in with their "
		  "visitor's token" AN_ORIGIN },
		{ S "origins: [https://a.example/]",
		  "belfry.yaml:4:13: origins: \"https://a.example/\" has something behind the host "
		  "and port; an origin ends there" AN_ORIGIN },
		{ S "origins: [a.example]",
		  "belfry.yaml:4:13: origins: \"a.example\" does not begin with https:// or the like" AN_ORIGIN },
		{ S "origins: https://a.example",
		  "belfry.yaml:4:12: origins: found plain text; write a list of at most 256 entries, "
		  "for example [https://app.example.com]" },
		{ S "server_names: ['g:443']", "belfry.yaml:4:18: server_names: \"g:443\" is no host name and no address, or "
									   "has a port; write a host name or "
									   "an address, without a port, for example gateway.example.com" },
		{ S "path: /events", "belfry.yaml:4:9: path: \"/events\" is one of the gateway's own; choose another one" },
		{ S "max_message: 1MB1",
		  "belfry.yaml:4:16: max_message: \"1MB1\" is not a size; write a size from 1KiB to 1MiB, for "
		  "example 16KiB" },
		{ SOURCES "subscribers: {anonymous: true}\nlisten: [{address: \"0.0.0.0:80\"}]",
		  "belfry.yaml:2:26: anonymous: " OPENED "\n" CLEAR },
		{ SOURCES "subscribers: {anonymous: true, anonymous_anywhere: false}\nlisten: [{address: \"systemd:\"}]",
		  "belfry.yaml:2:26: anonymous: others than this machine can connect to systemd: and would see every callback; "
		  "write "
		  "tokens, or anonymous_anywhere: true as well" },
		{ SOURCES "subscribers: {tokens: {jwks_url: ftp://x/}}",
		  "belfry.yaml:2:34: jwks_url: \"ftp://x/\" is neither http nor "
		  "https; write a URL, for example "
		  "https://app.example.com/jwks.json" },
		{ SOURCES "subscribers: {tokens: {issuer: ''}}",
		  "belfry.yaml:2:32: issuer: \"\" is empty; write one line of text, for "
		  "example https://app.example.com" },
		{ SOURCES "subscribers: {tokens: {keys: [{file: $D/open}]}}",
		  "belfry.yaml:2:38: keys: $D/open is open to everybody (mode 0644)" CHMOD },
		{ SOURCES "subscribers: []", "belfry.yaml:2:14: subscribers: found a list; "
									 "write a map of options" },
	};
	EXPECT_REFUSALS(cases);
	config_destroy(expect_config(
		SOURCES "subscribers: {anonymous: true}\nlisten: [{address: \"0.0.0.0:80\", serves: [sources]}]",
		"warning: belfry.yaml:3:9: listen: no listener serves subscribers: nobody can subscribe\n" CLEAR));
}

/* --- conf.d --- */

static void remove_overlays(void)
{
	(void)nftw("conf.d", remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_overlays(void)
{
	enter_folder();
	CU_ASSERT_EQUAL_FATAL(mkdir("conf.d", 0700), 0);
	write_text("conf.d/20-b.yaml", 0644, "sources: {b: {secrets: [{file: $D/secret}]}}\nsubscribers: {ping: 5s}");
	write_text("conf.d/10-c.yaml", 0644, "sources: {c: {secrets: [{file: $D/secret}]}}\nlimits: {connections: 77}");
	write_text("conf.d/not.yml", 0644, "not: read");
	write_text("conf.d/.hidden.yaml", 0644, "not: read");
	write_text("conf.d/30-empty.yaml", 0644, "# later\n");
	CLEANUP(config_destroy)
	struct config *config =
		expect_config(GOOD "limits: {pending: 5}", "warning: conf.d/30-empty.yaml:1:1: the file is empty");
	CU_ASSERT_EQUAL_FATAL(config->n_sources, 3);
	CU_ASSERT_STRING_EQUAL(config->sources[0].name, "a");
	CU_ASSERT_STRING_EQUAL(config->sources[1].name, "c");
	CU_ASSERT_STRING_EQUAL(config->sources[2].name, "b");
	CU_ASSERT_EQUAL(config->subscribers.ping_ms, 5000);
	CU_ASSERT_EQUAL(config->limits.max_connections, 77);
	CU_ASSERT_EQUAL(config->limits.max_pending, 5);
	remove_overlays();
}

static void test_refuses_overlays(void)
{
	enter_folder();
	CU_ASSERT_EQUAL_FATAL(mkdir("conf.d", 0700), 0);
	write_text("conf.d/a.yaml", 0644, "sources: {a: {secrets: [{file: $D/other}]}}\nreactors: 2\nlisten: []");
	write_text("conf.d/b.yaml", 0644, "limits:\n  pending: 0\n  ring: 1");
	expect_loaded(
		GOOD "reactors: 2\nlisten: [{address: \"127.0.0.1:1\"}]\nlimits: {pending: 4, typo: 1}", 0600, CONFIG_E_INVALID,
		"belfry.yaml:5:22: unknown key \"typo\"; known here: connections, connections_per_address, pending, "
		"handler_processes, ring, queue, header_timeout, body_timeout, write_timeout, idle_timeout, answer_timeout, "
		"drain_grace, drain_timeout, handler_idle_timeout\n"
		"conf.d/a.yaml:1:15: this key is in belfry.yaml:1:15 already; keep one of them\n"
		"conf.d/a.yaml:2:1: this key is in belfry.yaml:3:1 already; keep one of them\n"
		"conf.d/a.yaml:3:1: this key is in belfry.yaml:4:1 already; keep one of them\n"
		"conf.d/b.yaml:2:3: this key is in belfry.yaml:5:10 already; keep one of them\n"
		"conf.d/b.yaml:3:9: ring: \"1\" has no unit; write a unit: 8MiB",
		NULL);
	write_text("conf.d/a.yaml", 0644, "[]");
	write_text("conf.d/b.yaml", 0644, "a: [");
	expect_loaded(GOOD, 0600, CONFIG_E_INVALID,
				  "conf.d/b.yaml:2:1: a value is missing here; put text that begins with a bracket into quotes", NULL);
	write_text("conf.d/b.yaml", 0644, "sources: {b: {secrets: [" SECRET "]}}");
	CU_ASSERT_EQUAL(unlink("conf.d/a.yaml"), 0);
	expect_loaded(
		GOOD, 0600, CONFIG_E_INVALID,
		"conf.d/b.yaml:1:25: secrets: a secret is written here, but conf.d/b.yaml is open to everybody (mode 0644); "
		"move it into a file of its own and write {file: ...}",
		NULL);
	CU_ASSERT_EQUAL(unlink("conf.d/b.yaml"), 0);
	CU_ASSERT_EQUAL(symlink("nowhere", "conf.d/b.yaml"), 0);
	expect_loaded(GOOD, 0600, CONFIG_E_INVALID, "conf.d/b.yaml: cannot be read: No such file or directory", NULL);
	remove_overlays();
}

static void expect_unreadable(const char *path, int outcome, const char *expected)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	struct config *config = NULL;
	CU_ASSERT_EQUAL(config_load(path, &complaints, &config), outcome);
	CLEANUP(free) char *got = joined(&complaints);
	CU_ASSERT_STRING_EQUAL(got, expected);
	CU_ASSERT_EQUAL(complaints.n_errors, 1);
}

static void test_refuses_unreadable(void)
{
	enter_folder();
	expect_unreadable("none.yaml", -ENOENT, "none.yaml: cannot be read: No such file or directory");
	expect_unreadable("/nowhere/none.yaml", -ENOENT, "/nowhere/none.yaml: cannot be read: No such file or directory");
	expect_unreadable("credentials", CONFIG_E_INVALID, "credentials: cannot be read: not a regular file");
	expect_unreadable("fifo", CONFIG_E_INVALID, "fifo: cannot be read: not a regular file");
	CLEANUP(free) char *big = calloc(1, 1048578);
	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	write_bytes("big.yaml", 0600, span_of(big, 1048577));
	expect_unreadable("big.yaml", CONFIG_E_INVALID, "big.yaml: larger than 1 MiB");
}

/* --- the sample --- */

static void add_in_folder(struct buffer *b, const char *line)
{
	static const char *const places[] = { "/etc/belfry", "/usr/lib/belfry", "/usr/libexec/belfry" };
	while (*line) {
		size_t n = 0;
		for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
			if (strncmp(line, places[i], strlen(places[i])) == 0)
				n = strlen(places[i]);
		if (n)
			buffer_add_text(b, "$D");
		else
			buffer_add_char(b, *line);
		line += n ? n : 1;
	}
}

/* etc/belfry.yaml with the folder's path for those that an installation has; without the # before options if
 * is_uncommented. */
static char *read_sample(bool is_uncommented)
{
	struct buffer b = BUFFER_INIT;
	CLEANUP(free) char *line = NULL;
	size_t room = 0;
	FILE *file = fopen(TEST_VECTORS "/../../etc/belfry.yaml", "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while (getline(&line, &room, file) > 0) {
		char *text = line + strspn(line, " ");
		if (is_uncommented && text[0] == '#' && (text[1] == '-' || (text[1] >= 'a' && text[1] <= 'z')))
			memmove(text, text + 1, strlen(text));
		add_in_folder(&b, line);
	}
	(void)fclose(file);
	return buffer_steal_text(&b);
}

static void write_sample_files(void)
{
	enter_folder();
	(void)mkdir("secrets", 0700);
	(void)mkdir("tls", 0700);
	static const char *const files[] = { "secrets/cronofy", "secrets/tags", "secrets/alice",
										 "jwks.json",       "tls/cert.pem", "tls/key.pem" };
	for (size_t i = 0; i < ARRAY_LENGTH(files); i++)
		write_text(files[i], 0600, SECRET "\n");
	write_text("secrets/slack-url", 0600, "https://slack.example/services/T/B/x\n");
	(void)mkdir("plugins", 0700);
	write_text("plugins/slack.so", 0600,
			   "{\"version\":\"1.0\",\"options\":[{\"name\":\"webhook_url\",\"type\":\"secret\",\"url\":true},"
			   "{\"name\":\"text\",\"type\":\"template\"}]}");
	write_text("belfry-handler", 0700, "#!/bin/sh\n[ \"$1\" = --check ] && echo '{\"complaints\":[]}' || cat \"$2\"\n");
}

static void test_sample(void)
{
	write_sample_files();
	CLEANUP(free) char *text = read_sample(false);
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(config_destroy) struct config *config = NULL;
	write_text("belfry.yaml", 0644, text);
	CU_ASSERT_EQUAL_FATAL(config_load("belfry.yaml", &complaints, &config), CONFIG_OK);
	CU_ASSERT_EQUAL_FATAL(complaints.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints.items[0].text, NOBODY));
	expect_defaults(config);
	CU_ASSERT_TRUE(config->admin.has_socket); /* which systemctl reload needs */
}

static void expect_default_handler(const struct config_handler *handler)
{
	CU_ASSERT_EQUAL(handler->workers, 1);
	CU_ASSERT_EQUAL(handler->deadline_ms, 30000);
	CU_ASSERT_EQUAL(handler->retry.max_attempts, 12);
	CU_ASSERT_EQUAL(handler->retry.initial_ms, 5000);
	CU_ASSERT_EQUAL(handler->retry.maximum_ms, 3600000);
	CU_ASSERT_EQUAL(handler->retry.give_up_after_ms, 86400000);
	CU_ASSERT_EQUAL(handler->confinement.memory_bytes, 268435456);
	CU_ASSERT_EQUAL(handler->confinement.descriptors, 64);
	CU_ASSERT_EQUAL(handler->confinement.processes, 512);
	CU_ASSERT_EQUAL(handler->breaker.failures, 10);
	CU_ASSERT_EQUAL(handler->breaker.pause_ms, 60000);
}

/* Every default that the sample tells is the one that holds. */
static void test_sample_uncommented(void)
{
	write_sample_files();
	CLEANUP(free) char *text = read_sample(true);
	CLEANUP(config_destroy) struct config *config = NULL;
	expect_loaded(text, 0644, CONFIG_OK, "", &config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_TRUE(config->admin.has_listener && config->admin.has_socket && config->listeners[0].has_tls);
	CU_ASSERT_EQUAL(config->admin.socket.mode, 0600);
	CU_ASSERT_EQUAL(config->admin.n_tokens, 1);
	CU_ASSERT_EQUAL(config->sources[0].n_tag_keys, 1);
	CU_ASSERT_EQUAL(config->sources[0].n_unsigned_tags, 1);
	CU_ASSERT_EQUAL(config->subscribers.n_origins, 1);
	CU_ASSERT_EQUAL(config->subscribers.n_keys, 1);
	CU_ASSERT_EQUAL(config->sources[0].duplicate_window_ms, 600000);
	CU_ASSERT_EQUAL(config->sources[0].max_body_bytes, 262144);
	CU_ASSERT_EQUAL(config->subscribers.jwks_refresh_ms, 600000);
	CU_ASSERT_EQUAL(config->subscribers.ping_ms, 25000);
	CU_ASSERT_EQUAL(config->subscribers.auth_timeout_ms, 10000);
	CU_ASSERT_EQUAL(config->subscribers.stalled_timeout_ms, 60000);
	CU_ASSERT_EQUAL(config->subscribers.max_filters, 64);
	CU_ASSERT_EQUAL(config->subscribers.max_message_bytes, 16384);
	CU_ASSERT_EQUAL(config->subscribers.max_messages_per_second, 20);
	CU_ASSERT_EQUAL(config->journal.retention_age_ms, 604800000);
	CU_ASSERT_EQUAL(config->journal.retention_bytes, 4294967296);
	expect_default_limits(&config->limits);
	CU_ASSERT_EQUAL_FATAL(config->n_handlers, 1);
	expect_default_handler(&config->handlers[0]);
	CU_ASSERT_TRUE(config->handlers[0].confinement.allows_inner && !config->handlers[0].confinement.allows_exec);
	CU_ASSERT_EQUAL(config->n_interactions, 2);
	CU_ASSERT_EQUAL(config->log_level, CONFIG_LOG_INFO);
}

/* --- every row of the tables --- */

/* A value is written between before and after; that is the place of the table in a file. */
struct place {
	const char *before, *after;
	const char *sample;
};

/* Whether the complaints about "BEFORE KEY: VALUE AFTER" include one that contains "KEY: WHAT". */
static bool is_complained(const struct place *place, const char *key, const char *value, const char *what)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(free) char *text = NULL, *wanted = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&text, "%s%s: %s%s", place->before, key, value, place->after) > 0);
	CU_ASSERT_TRUE_FATAL(asprintf(&wanted, ": %s: %s", key, what) > 0);
	write_text("belfry.yaml", 0600, text);
	int outcome = config_load("belfry.yaml", &complaints, &config);
	CU_ASSERT_TRUE(outcome >= 0);
	for (size_t i = 0; i < complaints.n; i++)
		if (strstr(complaints.items[i].text, wanted))
			return true;
	return false;
}

static char *in_smallest_unit(const struct option *option, uint64_t value)
{
	struct buffer b = BUFFER_INIT;
	buffer_add_u64(&b, value);
	buffer_add_text(&b, option->type->units[0].suffix);
	return buffer_steal_text(&b);
}

static void check_number(const struct place *place, const struct option *option)
{
	const struct {
		uint64_t value;
		bool is_fine;
	} cases[] = {
		{ option->least, true }, { option->most, true }, { option->least - 1, false }, { option->most + 1, false }
	};
	CU_ASSERT_TRUE(option->least > 0 && option->least <= option->most);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		CLEANUP(free) char *text = in_smallest_unit(option, cases[i].value);
		CU_ASSERT_EQUAL(is_complained(place, option->key, text, ""), !cases[i].is_fine);
	}
	if (option->word)
		CU_ASSERT_FALSE(is_complained(place, option->key, option->word, ""));
}

/* Text where a collection belongs, and the other way round. */
static void check_kind(const struct place *place, const struct option *option)
{
	bool is_collection =
		option->entry || option->options || strstr(option->type->what, "list") || strstr(option->type->what, "a map");
	CU_ASSERT_TRUE(is_complained(place, option->key, is_collection ? "text" : "[x]",
								 is_collection ? "found plain text; write " : "found a list; write "));
}

static void check_words(const struct place *place, const struct option *option)
{
	CLEANUP(free) char *in_sample = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&in_sample, "%s:", option->key) > 0);
	if (!option->help || !strstr(place->sample, in_sample))
		printf("\n  %s: no help, or not in the sample", option->key);
	CU_ASSERT_TRUE(option->help && option->help[0]);
	CU_ASSERT_PTR_NOT_NULL(strstr(place->sample, in_sample));
	CU_ASSERT_TRUE(option->type->units || !option->is_required || option->example);
	if (option->fallback)
		CU_ASSERT_FALSE(is_complained(place, option->key, option->fallback, ""));
}

static void check_table(const struct place *place, const struct option *options);

static void check_nested(const struct place *place, const struct option *option)
{
	bool is_list = option->type == &option_list, is_named = option->type == &option_named;
	CLEANUP(free) char *before = NULL, *after = NULL;
	CU_ASSERT_TRUE_FATAL(asprintf(&before, "%s%s: %s", place->before, option->key,
								  is_list    ? "[{"
								  : is_named ? "{a: {"
											 : "{") > 0);
	CU_ASSERT_TRUE_FATAL(asprintf(&after, "%s%s", is_list ? "}]" : is_named ? "}}" : "}", place->after) > 0);
	check_table(&(struct place){ before, after, place->sample }, option->options);
}

static size_t n_rows;

static void check_table(const struct place *place, const struct option *options)
{
	for (const struct option *option = options; option->key; option++) {
		n_rows++;
		check_words(place, option);
		check_kind(place, option);
		if (option->type->units)
			check_number(place, option);
		if (option->options)
			check_nested(place, option);
	}
}

static void test_every_row(void)
{
	enter_folder();
	CLEANUP(free) char *sample = read_sample(false);
	check_table(&(struct place){ "{", "}", sample }, config_options);
	CU_ASSERT_TRUE(n_rows > 50);
}

UNIT_MAIN({ "the smallest file, and every default", test_smallest },
		  { "groups left empty are full of defaults", test_groups_left_empty }, { "every option set", test_everything },
		  { "warnings", test_warnings }, { "secrets", test_secrets }, { "conf.d joins", test_overlays },
		  { "the sample as it is shipped", test_sample },
		  { "the sample with all its comments taken off", test_sample_uncommented },
		  { "every row of the tables", test_every_row }, { "what is no fit secret is refused", test_refuses_secrets },
		  { "complaints tell no secret", test_complaints_tell_no_secret },
		  { "unknown and missing keys are refused", test_refuses_keys },
		  { "wrong scalars are refused", test_refuses_scalars },
		  { "wrong listeners are refused", test_refuses_listeners },
		  { "wrong sources are refused", test_refuses_sources },
		  { "wrong subscribers are refused", test_refuses_subscribers },
		  { "conf.d: wrong files and keys twice are refused", test_refuses_overlays },
		  { "unreadable files are refused", test_refuses_unreadable })
