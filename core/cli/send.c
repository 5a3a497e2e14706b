/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry send: be the provider. The bytes of a body are signed as they are and posted, once or many times over one
 * connection, one after the other; what came back is printed.
 */
#include "base/clock.h"
#include "base/nearest.h"
#include "cli/http_client.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/secrets.h"
#include "cli/setup.h"
#include "cli/tally.h"
#include "wire/digest.h"
#include "wire/http.h"
#include "wire/samples.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define MAX_BODY_BYTES (16u << 20)
#define MAX_COUNT 1000000
#define MAX_RATE 100000
/* Longer than any provider waits. */
#define ANSWER_TIMEOUT_NS (30ull * MS_PER_S * NS_PER_MS)
/* base64url of 16 bytes, as the documentation's event ids are */
#define ID_BYTES 16
/* How much of a refusal's body is shown. */
#define MAX_SHOWN_CHARACTERS 200

struct sending {
	const struct invocation *invocation;
	const char *name; /* of what is sent */
	struct config *config;
	struct target target;
	struct http_client *client;
	struct verifier *signer;
	const struct scheme *scheme;
	struct buffer url, body;
	struct tally tally;
	uint64_t count, rate;
	uint64_t start_ns, end_ns;
};

static void sending_finish(struct sending *sending)
{
	http_client_destroy(sending->client);
	verifier_destroy(sending->signer);
	tally_finish(&sending->tally);
	buffer_finish(&sending->url);
	buffer_finish(&sending->body);
	target_finish(&sending->target);
	config_destroy(sending->config);
}

static void sending_finish_cleanup(struct sending *sending)
{
	sending_finish(sending);
}

static int print_samples(bool is_json)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	json_t *list = is_json ? json_array() : NULL;
	for (const struct sample *s = samples; s->name; s++) {
		if (is_json)
			(void)json_array_append_new(
				list, json_pack("{s:s, s:s, s:s}", "name", s->name, "summary", s->summary, "body", s->body));
		else
			buffer_add_printf(&text, "%s%-35s%s", text.n ? "\n" : "", s->name, s->summary);
	}
	if (is_json)
		return output_json_new(list);
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

static int complain_sample(const char *name)
{
	struct nearest nearest = nearest_begin(span_text(name));
	for (const struct sample *s = samples; s->name; s++)
		nearest_try(&nearest, s->name);
	if (nearest.name)
		output_complain("no sample \"%s\"; did you mean \"%s\"?", name, nearest.name);
	else
		output_complain("no sample \"%s\"; \"belfry send --list\" shows them, a file is sent with --file", name);
	return CLI_E_USAGE;
}

/* The bytes to send: a sample, or a file. */
static int read_body(struct sending *sending)
{
	const char *name = sending->invocation->n_operands ? sending->invocation->operands[0] : NULL;
	const char *file = invocation_value(sending->invocation, "file");
	if (name && !file && strcmp(name, "-") == 0) {
		file = name;
		name = NULL;
	}
	if (!name == !file) {
		output_complain(name ? "either a sample or --file, not both"
							 : "what shall be sent? Name a sample (\"belfry send --list\") or a --file");
		return CLI_E_USAGE;
	}
	sending->name = name ? name : file;
	if (name) {
		const struct sample *sample = sample_find(span_text(name));
		if (!sample)
			return complain_sample(name);
		buffer_add_text(&sending->body, sample->body);
		return CLI_OK;
	}
	return input_require(file, MAX_BODY_BYTES, &sending->body);
}

/* Which of the secrets sign: the first, or what the options say. */
static int choose_secrets(const struct invocation *invocation, const struct secrets *secrets, size_t *ret_first,
						  size_t *ret_n)
{
	bool is_second = invocation_has(invocation, "second-secret"), are_all = invocation_has(invocation, "all-secrets");
	if (is_second && (are_all || secrets->n < 2)) {
		output_complain(are_all ? "either --second-secret or --all-secrets, not both" : "there is no second secret");
		return CLI_E_USAGE;
	}
	*ret_first = is_second ? 1 : 0;
	*ret_n = are_all ? secrets->n : 1;
	return CLI_OK;
}

static int create_signer(struct sending *sending, const struct config_source *source)
{
	CLEANUP(secrets_finish) struct secrets secrets = { 0 };
	size_t first = 0, n = 0;
	int r = secrets_read(sending->invocation, source, &secrets);
	if (r == CLI_OK)
		r = choose_secrets(sending->invocation, &secrets, &first, &n);
	if (r != CLI_OK)
		return r;
	sending->scheme = scheme_find(source ? span_text(source->scheme) : SPAN("cronofy"));
	return sending->scheme ? verifier_create(sending->scheme, secrets.items + first, n, &sending->signer) : -EINVAL;
}

/* The query with the tags, behind the URL. */
static int add_query(struct sending *sending, const struct config_source *source)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	if (invocation_has(sending->invocation, "tag") && !source) {
		output_complain("--tag needs a configuration, whose keys sign tags");
		return CLI_E_USAGE;
	}
	int r = source ? setup_add_tags(sending->invocation, source, &query) : CLI_OK;
	if (r != CLI_OK)
		return r;
	buffer_add_text(&sending->url, sending->target.url);
	if (query.n)
		buffer_add_char(&sending->url, strchr(sending->target.url, '?') ? '&' : '?');
	buffer_add(&sending->url, buffer_span(&query));
	buffer_add(&sending->url, span_of("", 1));
	return sending->url.failed || query.failed ? -ENOMEM : CLI_OK;
}

/* A configuration is needed unless the command line says where to, with which secret, and asks nothing of a source. */
static int load_source(struct sending *sending, const struct config_source **ret_source)
{
	const struct invocation *invocation = sending->invocation;
	bool is_needed = !invocation_has(invocation, "url") || !secrets_are_given(invocation) ||
					 invocation_has(invocation, "source") || invocation_has(invocation, "tag");
	if (!is_needed) {
		*ret_source = NULL;
		return CLI_OK;
	}
	int r = setup_config(invocation, &sending->config);
	return r == CLI_OK ? setup_source(invocation, sending->config, ret_source) : r;
}

static int read_numbers(struct sending *sending)
{
	sending->count = 1;
	int r = invocation_u64(sending->invocation, "count", 1, MAX_COUNT, &sending->count);
	if (r == CLI_OK)
		r = invocation_u64(sending->invocation, "rate", 1, MAX_RATE, &sending->rate);
	return r == CLI_OK ? tally_init(&sending->tally, sending->count * 2) : r;
}

static int prepare(struct sending *sending)
{
	const struct config_source *source = NULL;
	int r = read_numbers(sending);
	if (r == CLI_OK)
		r = read_body(sending);
	if (r == CLI_OK)
		r = load_source(sending, &source);
	if (r == CLI_OK)
		r = create_signer(sending, source);
	if (r == CLI_OK)
		r = target_find(sending->invocation, sending->config, TARGET_SOURCES, source ? source->public_url : NULL,
						source ? source->path : NULL, &sending->target);
	if (r == CLI_OK)
		r = add_query(sending, source);
	return r == CLI_OK ? http_client_create(&sending->target, &sending->client) : r;
}

/* The right signature, or one of the right form that no secret made. */
static int add_signature(struct sending *sending, struct span body, struct buffer *field)
{
	buffer_add_printf(field, "%s: ", sending->scheme->header);
	int r = 0;
	if (invocation_has(sending->invocation, "bad-signature")) {
		uint8_t wrong[DIGEST_BYTES];
		r = digest_random(wrong, sizeof wrong);
		base64_add(field, wrong, sizeof wrong);
	} else {
		r = verifier_sign(sending->signer, body, field);
	}
	buffer_add(field, span_of("", 1));
	return r < 0 ? r : field->failed ? -ENOMEM : 0;
}

static struct span without_newline(struct span text)
{
	while (text.n && (text.data[text.n - 1] == '\n' || text.data[text.n - 1] == '\r'))
		text.n--;
	return text;
}

static int print_answer(const struct sending *sending, const struct http_answer *answer, size_t n_bytes)
{
	if (sending->count > 1 || invocation_is_json(sending->invocation))
		return 0;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	buffer_add_printf(&line, "%d %s in %.1f ms: ", answer->status, http_status_text(answer->status),
					  (double)answer->elapsed_ns / NS_PER_MS);
	printable_add(&line, span_text(sending->name));
	buffer_add_printf(&line, ", %zu bytes, to ", n_bytes);
	printable_add(&line, span_of(sending->target.url, strcspn(sending->target.url, "?")));
	struct span reason = without_newline(buffer_span(&answer->body));
	if (answer->status >= 300 && reason.n) {
		buffer_add_text(&line, "\n  ");
		printable_add_cut(&line, reason, MAX_SHOWN_CHARACTERS);
	}
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

/* One request. 0, also when the gateway cannot be reached: the tally knows; -errno. */
static int post(struct sending *sending, struct span body)
{
	CLEANUP(buffer_finish) struct buffer signature = BUFFER_INIT;
	CLEANUP(http_answer_finish) struct http_answer answer = { 0 };
	int r = add_signature(sending, body, &signature);
	if (r < 0)
		return r;
	const char *fields[] = { "Content-Type: application/json; charset=utf-8", signature.data };
	struct http_call call = { .url = sending->url.data,
							  .fields = fields,
							  .n_fields = ARRAY_LENGTH(fields),
							  .is_post = true,
							  .body = body,
							  .is_chunked = invocation_has(sending->invocation, "chunked"),
							  .stop_fd = -1,
							  .deadline_ns = clock_monotonic_ns() + ANSWER_TIMEOUT_NS };
	r = http_client_run(sending->client, &call, &answer);
	if (r == -ENOMEM)
		return r;
	tally_add(&sending->tally, r < 0 ? 0 : answer.status, answer.elapsed_ns);
	if (r == 0)
		return print_answer(sending, &answer, body.n);
	if (sending->tally.by_status[0] == 1)
		output_complain("%.*s: %s", (int)strcspn(sending->target.url, "?"), sending->target.url,
						r == -ETIME ? "no answer in 30 s" : http_client_error(sending->client));
	return 0;
}

static int renumber(const struct sending *sending, struct buffer *body)
{
	uint8_t random[ID_BYTES];
	CLEANUP(buffer_finish) struct buffer id = BUFFER_INIT;
	int r = digest_random(random, sizeof random);
	if (r < 0)
		return r;
	base64url_add(&id, random, sizeof random);
	sample_renumber(buffer_span(&sending->body), buffer_span(&id), body);
	return id.failed || body->failed ? -ENOMEM : 0;
}

/* The n-th callback, and its duplicate. */
static int send_one(struct sending *sending)
{
	CLEANUP(buffer_finish) struct buffer other = BUFFER_INIT;
	struct span body = buffer_span(&sending->body);
	int r = 0;
	if (sending->count > 1) {
		r = renumber(sending, &other);
		body = buffer_span(&other);
	}
	if (r == 0)
		r = post(sending, body);
	if (r == 0 && invocation_has(sending->invocation, "duplicate"))
		r = post(sending, body);
	return r;
}

/* Sleeps until the n-th callback is due. */
static void await_turn(const struct sending *sending, uint64_t n)
{
	if (sending->rate == 0)
		return;
	uint64_t due_ns = sending->start_ns + n * 1000000000u / sending->rate;
	struct timespec due = { .tv_sec = (time_t)(due_ns / 1000000000u), .tv_nsec = (long)(due_ns % 1000000000u) };
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR) {
	}
}

static int send_all(struct sending *sending)
{
	sending->start_ns = clock_monotonic_ns();
	for (uint64_t i = 0; i < sending->count; i++) {
		await_turn(sending, i);
		int r = send_one(sending);
		if (r < 0)
			return r;
		if (sending->tally.by_status[0] == sending->tally.n) /* nobody there at all: no need to ask a million times */
			break;
	}
	sending->end_ns = clock_monotonic_ns();
	return 0;
}

static double seconds(const struct sending *sending)
{
	return (double)(sending->end_ns - sending->start_ns) / 1e9;
}

static int print_json(struct sending *sending)
{
	struct tally *tally = &sending->tally;
	json_t *statuses = json_object();
	for (int i = 0; i < TALLY_MAX_STATUS; i++) {
		char name[16];
		if (tally->by_status[i] == 0)
			continue;
		(void)snprintf(name, sizeof name, "%d", i);
		(void)json_object_set_new(statuses, i ? name : "unreachable", json_integer((json_int_t)tally->by_status[i]));
	}
	return output_json_new(json_pack("{s:s, s:I, s:I, s:I, s:o, s:f, s:f, s:f}", "what", sending->name, "bytes",
									 (json_int_t)sending->body.n, "sent", (json_int_t)tally->n, "accepted",
									 (json_int_t)tally->n_accepted, "statuses", statuses, "seconds", seconds(sending),
									 "p50_ms", (double)tally_percentile_ns(tally, 50) / NS_PER_MS, "p99_ms",
									 (double)tally_percentile_ns(tally, 99) / NS_PER_MS));
}

static int print_summary(struct sending *sending)
{
	struct tally *tally = &sending->tally;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	buffer_add_printf(&line, "%" PRIu64 " sent in %.2f s (%.0f a second)", tally->n, seconds(sending),
					  (double)tally->n / (seconds(sending) + 1e-9));
	for (int i = 1; i < TALLY_MAX_STATUS; i++)
		if (tally->by_status[i])
			buffer_add_printf(&line, "\n%8" PRIu64 "  %d %s", tally->by_status[i], i, http_status_text(i));
	if (tally->by_status[0])
		buffer_add_printf(&line, "\n%8" PRIu64 "  without an answer", tally->by_status[0]);
	buffer_add_printf(&line, "\np50 %.1f ms, p99 %.1f ms", (double)tally_percentile_ns(tally, 50) / NS_PER_MS,
					  (double)tally_percentile_ns(tally, 99) / NS_PER_MS);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static int run(const struct invocation *invocation)
{
	if (invocation_has(invocation, "list"))
		return print_samples(invocation_is_json(invocation));
	CLEANUP(sending_finish) struct sending sending = { .invocation = invocation };
	int r = prepare(&sending);
	if (r == CLI_OK)
		r = send_all(&sending);
	if (r == CLI_OK && invocation_is_json(invocation))
		r = print_json(&sending);
	else if (r == CLI_OK && sending.count > 1)
		r = print_summary(&sending);
	if (r != CLI_OK)
		return r;
	if (sending.tally.by_status[0])
		return CLI_E_IO;
	return sending.tally.n_accepted == sending.tally.n ? CLI_OK : CLI_E_NOT_SO;
}

static const struct command_option options[] = {
	{ "list", NULL, false, "Print the names of all samples, and send nothing." },
	{ "file", "FILE", false, "Send this file, byte for byte; - is stdin." },
	{ "source", "NAME", false, "The source to be, where the configuration has several." },
	{ "tag", "NAME=VALUE", true, "Put this tag into the URL, signed as callback-uri signs it. As often as needed." },
	{ "url", "URL", false, "Post to this URL, not to the configuration's first listener that serves sources." },
	{ "secret-file", "FILE", true,
	  "Sign with the secret in this file, not with the source's. Twice for a second secret. The environment variable "
	  "BELFRY_SECRET does the same." },
	{ "second-secret", NULL, false, "Sign with the second secret alone, not with the first." },
	{ "all-secrets", NULL, false,
	  "Sign with every secret, as a provider does who has several active ones: a list, one signature for each." },
	{ "bad-signature", NULL, false, "Send a signature that no secret made. The answer should be 401." },
	{ "duplicate", NULL, false, "Send each callback twice, the very same bytes. Both should be answered 200." },
	{ "count", "N", false,
	  "Send N callbacks, each with an event id of its own (without an \"event_id\" in it, a member \"belfry_sample\" "
	  "is "
	  "added), and print a summary." },
	{ "rate", "R", false, "Not more than R a second." },
	{ "chunked", NULL, false, "Send the body in many small chunks, its length unsaid." },
	{ "insecure", NULL, false, "Do not check the listener's certificate: for a self-signed one." },
	{ "cacert", "FILE", false, "Trust the certificates in this PEM file." },
	{ 0 },
};

const struct command command_send = {
	.name = "send",
	.summary = "send a signed callback, as the provider would",
	.operands = "[SAMPLE | -]",
	.description =
		"Signs a body and posts it to the gateway: a sample of what the provider sends by its name, a file, or "
		"stdin, byte for byte. Where to, and the secret, come from the configuration, or from --url and "
		"--secret-file. The first secret signs, unless you say otherwise.\n\n"
		"Prints what was answered. The exit status is 0 if every answer was 2xx, 1 if one was not (so 1 is what you "
		"want to see for --bad-signature), 3 if there was none.",
	.examples = "belfry send conferencing_assigned\n"
				"belfry send conferencing_failing --tag user=42\n"
				"belfry send --file callback.json --duplicate\n"
				"belfry send conferencing_assigned --bad-signature    # expect 401\n"
				"belfry send conferencing_assigned --count 1000 --rate 200\n"
				"belfry send change --url http://127.0.0.1:8080/callbacks/cronofy --secret-file secret",
	.options = options,
	.max_operands = 1,
	.run = run,
};
