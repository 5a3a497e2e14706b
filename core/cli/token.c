/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry token: make a subscriber's token to try things out with, or read one and say in words why it passes or not.
 * The token itself is printed only by the command that makes it.
 */
#include "base/clock.h"
#include "cli/base64.h"
#include "cli/http_client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/setup.h"
#include "cli/token_maker.h"
#include "config/contents.h"

#include <errno.h>

#define DEFAULT_LIFETIME_MS (3600 * MS_PER_S)
#define MAX_KEY_BYTES 65536
#define JWKS_TIMEOUT_NS (10ull * MS_PER_S * NS_PER_MS)

static void json_decref_cleanup(json_t **json)
{
	json_decref(*json);
}

/* ---- make ---- */

static int add_filter(json_t *filters, const char *text)
{
	json_error_t error;
	const char *reason = NULL;
	CLEANUP(filter_finish) struct filter filter;
	filter_init(&filter);
	CLEANUP(json_decref) json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		output_complain("--filter is no JSON: %s", error.text);
		return CLI_E_USAGE;
	}
	int r = filter_parse(json, &filter, &reason);
	if (r == FILTER_E_MALFORMED) {
		output_complain("--filter: %s", reason);
		return CLI_E_USAGE;
	}
	return r < 0 || json_array_append(filters, json) < 0 ? -ENOMEM : CLI_OK;
}

static int read_filters(const struct invocation *invocation, json_t **ret_filters)
{
	size_t n = invocation_count(invocation, "filter");
	CLEANUP(json_decref) json_t *filters = n ? json_array() : json_pack("[{}]");
	if (!filters)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = add_filter(filters, invocation_value_at(invocation, "filter", i));
		if (r != CLI_OK)
			return r;
	}
	*ret_filters = STEAL(filters);
	return CLI_OK;
}

/* With the key of --key-file. A configuration is used for issuer and audience if there is one. */
static int make_with_file(const struct invocation *invocation, struct token_wish *wish, struct buffer *ret_token)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(secret_buffer_finish) struct buffer key = BUFFER_INIT;
	int r = setup_optional_config(invocation, &config);
	if (r != CLI_OK)
		return r;
	if (config) {
		wish->issuer = config->subscribers.issuer;
		wish->audience = config->subscribers.audience;
	}
	r = secret_file_read(invocation_value(invocation, "key-file"), MAX_KEY_BYTES, &key);
	return r == CLI_OK ? token_make(wish, buffer_span(&key), ret_token) : r;
}

static int make_with_config(const struct invocation *invocation, struct token_wish *wish, struct buffer *ret_token)
{
	const char *where;
	CLEANUP(config_destroy) struct config *config = NULL;
	int r = setup_config(invocation, &config);
	if (r == CLI_OK)
		r = token_make_from_config(wish, config, ret_token, &where);
	if (r == CLI_E_NOT_SO)
		output_complain(
			"no key of subscribers.tokens.keys can sign%s: give the application's private key with --key-file",
			wish->algorithm ? " with this algorithm" : "");
	return r;
}

static int print_token(const struct invocation *invocation, const struct token_wish *wish, const struct buffer *token)
{
	char expires[CLOCK_TEXT_SIZE];
	if (!invocation_is_json(invocation))
		return output_line(buffer_span(token));
	clock_format(clock_wall_ms() + wish->lifetime_ms, expires);
	return output_json_new(json_pack("{s:s%, s:s, s:O}", "token", token->data, token->n, "expires_at", expires,
									 "subscribe", wish->filters));
}

static int make(const struct invocation *invocation)
{
	struct token_wish wish = { .subject = invocation_value(invocation, "subject"),
							   .lifetime_ms = DEFAULT_LIFETIME_MS,
							   .has_outcomes = invocation_has(invocation, "outcomes"),
							   .algorithm = invocation_value(invocation, "algorithm"),
							   .key_id = invocation_value(invocation, "kid") };
	CLEANUP(json_decref) json_t *filters = NULL;
	CLEANUP(secret_buffer_finish) struct buffer token = BUFFER_INIT;
	int r = invocation_duration_ms(invocation, "expires", &wish.lifetime_ms);
	if (r == CLI_OK)
		r = read_filters(invocation, &filters);
	wish.filters = filters;
	if (r == CLI_OK && invocation_has(invocation, "key-file"))
		r = make_with_file(invocation, &wish, &token);
	else if (r == CLI_OK)
		r = make_with_config(invocation, &wish, &token);
	return r == CLI_OK ? print_token(invocation, &wish, &token) : r;
}

/* ---- inspect ---- */

struct inspection {
	struct config *config;
	struct token_keys *keys;
	struct buffer token;
	json_t *header, *claims; /* NULL if they cannot be read */
	int outcome;             /* enum token_outcome */
};

static void inspection_finish(struct inspection *inspection)
{
	json_decref(inspection->header);
	json_decref(inspection->claims);
	secret_buffer_finish(&inspection->token);
	token_keys_unref(inspection->keys);
	config_destroy(inspection->config);
}

static void inspection_finish_cleanup(struct inspection *inspection)
{
	inspection_finish(inspection);
}

/* What the gateway would fetch: into `body`, which stays empty without a jwks_url. */
static int fetch_keys(const struct config *config, struct buffer *body)
{
	struct target target = { .url = config->subscribers.jwks_url };
	CLEANUP(http_client_destroy) struct http_client *client = NULL;
	CLEANUP(http_answer_finish) struct http_answer answer = { 0 };
	struct http_call call = { .url = target.url, .stop_fd = -1, .deadline_ns = clock_monotonic_ns() + JWKS_TIMEOUT_NS };
	if (!target.url)
		return CLI_OK;
	int r = http_client_create(&target, &client);
	if (r == 0)
		r = http_client_run(client, &call, &answer);
	if (r == -ENOMEM)
		return r;
	if (r == 0 && answer.status == 200)
		buffer_add(body, buffer_span(&answer.body));
	else if (r == 0)
		output_complain("%s answered %d; its keys are left out", target.url, answer.status);
	else
		output_complain("%s: %s; its keys are left out", target.url, http_client_error(client));
	return body->failed ? -ENOMEM : CLI_OK;
}

static int load_keys(struct inspection *inspection)
{
	CLEANUP(buffer_finish) struct buffer fetched = BUFFER_INIT;
	CLEANUP(free) char *warnings = NULL;
	CLEANUP(free) char *message = NULL;
	int r = fetch_keys(inspection->config, &fetched);
	if (r == CLI_OK)
		r = contents_load_keys(inspection->config, buffer_span(&fetched), &inspection->keys, &warnings, &message);
	if (r != -EINVAL)
		return r;
	output_complain("%s", message ? message : "a key cannot be read");
	return CLI_E_CONFIG;
}

/* The next dot-separated part as JSON; NULL if it is none. */
static json_t *next_part(struct span *token)
{
	struct span part;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	if (!span_next(token, '.', &part) || !base64_read(part, BASE64_URL, &text))
		return NULL;
	return json_loadb(text.data ? text.data : "", text.n, JSON_ALLOW_NUL, NULL);
}

/* The token on stdin, also as it stands in a header or between line ends. */
static struct span trim_token(struct span text)
{
	while (text.n && (text.data[text.n - 1] == '\n' || text.data[text.n - 1] == '\r' || text.data[text.n - 1] == ' '))
		text.n--;
	text = span_trim(text);
	return span_starts_with(text, SPAN("Bearer ")) ? span_trim(span_skip(text, 7)) : text;
}

static int read_token(struct inspection *inspection)
{
	int r = input_read("-", MAX_KEY_BYTES, &inspection->token);
	if (r == 0)
		return CLI_OK;
	output_complain("stdin: %s", strerrordesc_np(-r));
	return r == -ENOMEM ? r : CLI_E_IO;
}

static const char *const sentences[] = {
	[TOKEN_OK] = "it passes",
	[TOKEN_E_MALFORMED] =
		"it is no JSON Web Token with an expiry: three parts, \"exp\" as a number, claims of the right types",
	[TOKEN_E_ALGORITHM] = "its \"alg\" is not one that the key may be used with; \"none\" never is",
	[TOKEN_E_KEY] = "there is no key for it: no configured key has its \"kid\", or there is no key at all",
	[TOKEN_E_SIGNATURE] = "its signature is by none of the configured keys: another key, or its text was changed",
	[TOKEN_E_EXPIRED] = "it has expired: \"exp\" is in the past",
	[TOKEN_E_NOT_YET] = "it is not valid yet: \"nbf\" is in the future; do the clocks agree?",
	[TOKEN_E_ISSUER] = "its \"iss\" is not subscribers.tokens.issuer",
	[TOKEN_E_AUDIENCE] = "its \"aud\" is not, and does not contain, subscribers.tokens.audience",
	[TOKEN_E_GRANTS] =
		"it grants nothing: \"belfry\":{\"subscribe\":[...]} is missing or no list of filters; [{}] is everything",
};

static void add_json(struct buffer *text, const char *title, const json_t *json)
{
	CLEANUP(free) char *dump = json ? json_dumps(json, JSON_ENSURE_ASCII | JSON_ENCODE_ANY) : NULL;
	if (!dump)
		return;
	buffer_add_printf(text, "%-10s", title);
	printable_add(text, span_text(dump));
	buffer_add_char(text, '\n');
}

static void add_expiry(struct buffer *text, const json_t *claims)
{
	const json_t *exp = json_object_get(claims, "exp");
	double seconds = json_number_value(exp);
	if (!json_is_number(exp) || seconds < 0 || seconds > 2.5e11)
		return;
	char when[CLOCK_TEXT_SIZE];
	int64_t ms = (int64_t)(seconds * MS_PER_S), left_s = (ms - clock_wall_ms()) / MS_PER_S;
	clock_format(ms, when);
	buffer_add_printf(text, "%-10s%s, ", "expires", when);
	if (left_s >= 0)
		buffer_add_printf(text, "in %lld s\n", (long long)left_s);
	else
		buffer_add_printf(text, "%lld s ago\n", (long long)-left_s);
}

static int print_words(const struct inspection *inspection)
{
	static const char *const claims[][2] = { { "subject", "sub" }, { "issuer", "iss" }, { "audience", "aud" } };
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	add_json(&text, "header", inspection->header);
	for (size_t i = 0; i < ARRAY_LENGTH(claims); i++)
		add_json(&text, claims[i][0], json_object_get(inspection->claims, claims[i][1]));
	add_expiry(&text, inspection->claims);
	add_json(&text, "grants", json_object_get(inspection->claims, "belfry"));
	buffer_add_printf(&text, "%-10s%s: %s", "verdict", token_outcome_name((enum token_outcome)inspection->outcome),
					  sentences[inspection->outcome]);
	if (inspection->config->subscribers.anonymous)
		buffer_add_text(&text, "\nnote      subscribers.anonymous is on: nobody needs a token");
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

static int print_json(const struct inspection *inspection)
{
	return output_json_new(json_pack("{s:b, s:s, s:s, s:O?, s:O?}", "passes", inspection->outcome == TOKEN_OK,
									 "outcome", token_outcome_name((enum token_outcome)inspection->outcome),
									 "explanation", sentences[inspection->outcome], "header", inspection->header,
									 "claims", inspection->claims));
}

static int inspect(const struct invocation *invocation)
{
	CLEANUP(inspection_finish) struct inspection inspection = { 0 };
	CLEANUP(grant_unref) struct grant *grant = NULL;
	int r = setup_config(invocation, &inspection.config);
	if (r == CLI_OK)
		r = load_keys(&inspection);
	if (r == CLI_OK)
		r = read_token(&inspection);
	if (r != CLI_OK)
		return r;
	struct span token = trim_token(buffer_span(&inspection.token)), rest = token;
	inspection.header = next_part(&rest);
	inspection.claims = next_part(&rest);
	inspection.outcome = token_verify(inspection.keys, token, clock_wall_ms(), &grant);
	if (inspection.outcome < 0)
		return inspection.outcome;
	r = invocation_is_json(invocation) ? print_json(&inspection) : print_words(&inspection);
	if (r != CLI_OK)
		return r;
	return inspection.outcome == TOKEN_OK ? CLI_OK : CLI_E_NOT_SO;
}

static int run(const struct invocation *invocation)
{
	return invocation_has(invocation, "inspect") ? inspect(invocation) : make(invocation);
}

static const struct command_option options[] = {
	{ "subject", "TEXT", false, "Whose token it is (\"sub\"); default \"belfry\"." },
	{ "expires", "TIME", false, "How long it is valid: 90s, 15m, 1h (the default), 7d." },
	{ "filter", "JSON", true,
	  "What its bearer may listen to, as {\"tags\":{\"user\":\"42\"}}. As often as needed; without any, everything." },
	{ "outcomes", NULL, false, "Its bearer may also see what handlers did." },
	{ "key-file", "FILE", false,
	  "Sign with this key: an HS256 secret, a PEM private key, or a JWK. Default: the configuration's first key that "
	  "can "
	  "sign." },
	{ "algorithm", "NAME", false, "As HS256, RS256, ES256; default: the key's natural one." },
	{ "kid", "ID", false, "The name of the key, where the gateway knows several." },
	{ "inspect", NULL, false, "Read a token on stdin and say why it passes or not." },
	{ 0 },
};

const struct command command_token = {
	.name = "token",
	.summary = "make a subscriber's token, or say why one passes or not",
	.operands = "",
	.description =
		"Makes a token as an application's backend would, for trying things out: signed with a key of the "
		"configuration "
		"or of a file, with the issuer and the audience that the configuration asks for. Whoever holds it may listen; "
		"treat it like a password.\n\n"
		"With --inspect, reads a token on stdin, checks it against the configured keys (those of jwks_url are fetched) "
		"and explains the result. The exit status is 0 if it passes, 1 if not.",
	.examples = "belfry token\n"
				"belfry token --subject user-42 --filter '{\"tags\":{\"user\":\"42\"}}' --expires 15m\n"
				"belfry token --key-file private.pem --kid 2026-04\n"
				"belfry token | belfry token --inspect",
	.options = options,
	.max_operands = 0,
	.run = run,
};
