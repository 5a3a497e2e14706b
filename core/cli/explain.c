/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry explain: why does this body with this header pass, or fail? The signature first (see diagnosis.h), then what
 * the gateway would make of the body.
 *
 * What the signature would have to be is printed: whoever runs this holds the secret anyway. The secret never is.
 */
#include "base/clock.h"
#include "cli/diagnosis.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/secrets.h"
#include "cli/setup.h"
#include "config/routes.h"
#include "wire/callback.h"

#include <errno.h>

#define MAX_BODY_BYTES (16u << 20)
#define MAX_SHOWN_CHARACTERS 100

struct explanation {
	const struct scheme *scheme;
	struct config *config;
	const struct config_source *source; /* NULL without a configuration */
	struct secrets secrets;
	struct buffer header; /* of the request: the values of all --header, joined */
	bool has_header;
	struct buffer body;
	struct diagnosis diagnosis;
	struct event *event;
	struct buffer expected[SIGNATURE_MAX_SECRETS]; /* what each secret makes of the body */
};

static void explanation_finish(struct explanation *explanation)
{
	for (size_t i = 0; i < SIGNATURE_MAX_SECRETS; i++)
		buffer_finish(&explanation->expected[i]);
	event_unref(explanation->event);
	buffer_finish(&explanation->body);
	buffer_finish(&explanation->header);
	secrets_finish(&explanation->secrets);
	config_destroy(explanation->config);
}

static void explanation_finish_cleanup(struct explanation *explanation)
{
	explanation_finish(explanation);
}

/* ---- reading ---- */

/* The value alone, also where the whole line was copied: "Cronofy-HMAC-SHA256: value". */
static struct span header_value(const struct scheme *scheme, const char *text)
{
	struct span value = span_text(text), name;
	if (!span_next(&value, ':', &name) || !value.data ||
		!span_equal_ignoring_case(span_trim(name), span_text(scheme->header)))
		return span_trim(span_text(text));
	return span_trim(value);
}

static int read_header(const struct invocation *invocation, struct explanation *explanation)
{
	size_t n = invocation_count(invocation, "header");
	explanation->has_header = n > 0;
	for (size_t i = 0; i < n; i++) {
		if (i)
			buffer_add_text(&explanation->header, ", ");
		buffer_add(&explanation->header,
				   header_value(explanation->scheme, invocation_value_at(invocation, "header", i)));
	}
	return explanation->header.failed ? -ENOMEM : CLI_OK;
}

static int read_body(const struct invocation *invocation, struct buffer *body)
{
	if (invocation->n_operands == 0) {
		output_complain("which body? Name a file with the bytes as they came, or - for stdin");
		return CLI_E_USAGE;
	}
	const char *path = invocation->operands[0];
	return input_require(path, MAX_BODY_BYTES, body);
}

static int read_source(const struct invocation *invocation, struct explanation *explanation)
{
	explanation->scheme = scheme_find(SPAN("cronofy"));
	if (secrets_are_given(invocation) && !invocation_has(invocation, "source"))
		return CLI_OK;
	int r = setup_config(invocation, &explanation->config);
	if (r == CLI_OK)
		r = setup_source(invocation, explanation->config, &explanation->source);
	if (r == CLI_OK)
		explanation->scheme = scheme_find(span_text(explanation->source->scheme));
	return r;
}

static int compute_expected(struct explanation *explanation)
{
	for (size_t i = 0; i < explanation->secrets.n; i++) {
		CLEANUP(verifier_destroy) struct verifier *verifier = NULL;
		int r = verifier_create(explanation->scheme, &explanation->secrets.items[i], 1, &verifier);
		if (r == 0)
			r = verifier_sign(verifier, buffer_span(&explanation->body), &explanation->expected[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int diagnose(struct explanation *explanation)
{
	struct span header = explanation->has_header ? buffer_span(&explanation->header) : span_of(NULL, 0);
	struct span body = buffer_span(&explanation->body);
	const struct callback_origin origin = {
		.source = explanation->source ? span_text(explanation->source->name) : SPAN("explain"),
		.received_ms = clock_wall_ms(),
	};
	int r = diagnosis_make(explanation->scheme, explanation->secrets.items, explanation->secrets.n, header, body,
						   &explanation->diagnosis);
	if (r == 0)
		r = compute_expected(explanation);
	return r == 0 ? callback_to_event(&origin, body, &explanation->event) : r;
}

static int prepare(const struct invocation *invocation, struct explanation *explanation)
{
	int r = read_source(invocation, explanation);
	if (r == CLI_OK)
		r = read_header(invocation, explanation);
	if (r == CLI_OK)
		r = read_body(invocation, &explanation->body);
	if (r == CLI_OK)
		r = secrets_read(invocation, explanation->source, &explanation->secrets);
	return r == CLI_OK ? diagnose(explanation) : r;
}

/* ---- telling ---- */

static bool is_too_long(const struct explanation *explanation)
{
	return explanation->source && explanation->body.n > explanation->source->max_body_bytes;
}

static bool is_accepted(const struct explanation *explanation)
{
	return explanation->diagnosis.outcome == SIGNATURE_VALID && explanation->event->kind == EVENT_CALLBACK &&
		   !is_too_long(explanation);
}

/* "secret 1 (file /etc/belfry/secrets/cronofy)" */
static void add_secret(struct buffer *text, const struct explanation *explanation, size_t secret)
{
	buffer_add_printf(text, "secret %zu (", secret + 1);
	printable_add(text, span_text(explanation->secrets.origins[secret]));
	buffer_add_char(text, ')');
}

/* What the element is in truth. */
static void add_finding(struct buffer *text, const struct explanation *explanation,
						const struct diagnosis_element *element)
{
	if (!element->is_found && element->n_decoded && element->n_digest == 0) {
		buffer_add_printf(text, "wrong: base64 of %zu bytes, where HMAC-SHA256 has %d", element->n_decoded,
						  DIGEST_BYTES);
		return;
	}
	if (!element->is_found) {
		buffer_add_text(text, "wrong: no secret makes it of this body: another secret, or other bytes");
		return;
	}
	buffer_add_printf(text, "%s the signature of %s by ",
					  diagnosis_is_right(element)        ? "right:"
					  : element->n_digest < DIGEST_BYTES ? "wrong, but it is the beginning of"
														 : "wrong, but it is",
					  element->body_variant->words);
	add_secret(text, explanation, element->secret);
	buffer_add_text(text, element->secret_variant->words);
	buffer_add_text(text, element->method->words);
}

static void add_element(struct buffer *text, const struct explanation *explanation, size_t i)
{
	const struct diagnosis_element *element = &explanation->diagnosis.elements[i];
	buffer_add_printf(text, "element %zu: %zu character%s, %s\n  \"", i + 1, element->text.n,
					  element->text.n == 1 ? "" : "s", element->form->words);
	printable_add_cut(text, element->text, MAX_SHOWN_CHARACTERS);
	buffer_add_text(text, "\"\n  ");
	add_finding(text, explanation, element);
	buffer_add_char(text, '\n');
}

static void add_expected(struct buffer *text, const struct explanation *explanation)
{
	for (size_t i = 0; i < explanation->secrets.n; i++) {
		buffer_add_text(text, "it would have to be ");
		buffer_add(text, buffer_span(&explanation->expected[i]));
		buffer_add_text(text, " by ");
		add_secret(text, explanation, i);
		buffer_add_char(text, '\n');
	}
}

static void add_signature_verdict(struct buffer *text, int outcome)
{
	static const char *const sentences[] = {
		[SIGNATURE_VALID] = "valid",
		[SIGNATURE_E_MISSING] = "missing: there is no header, or nothing in it; answered 401",
		[SIGNATURE_E_TOO_MANY] = "too long: more elements or bytes than are looked at; answered 401",
		[SIGNATURE_E_MISMATCH] = "wrong: no element is right; answered 401",
	};
	buffer_add_printf(text, "signature: %s\n", sentences[outcome]);
}

static void add_body(struct buffer *text, const struct explanation *explanation)
{
	struct span body = buffer_span(&explanation->body);
	bool has_newline = body.n && body.data[body.n - 1] == '\n';
	buffer_add_printf(text, "body: %zu bytes%s%s, SHA-256 ", body.n, has_newline ? ", the last one a newline" : "",
					  span_starts_with(body, SPAN("\xef\xbb\xbf")) ? ", with a byte order mark in front" : "");
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		buffer_add_printf(text, "%02x", explanation->event->body_digest[i]);
	buffer_add_char(text, '\n');
}

static void add_event_verdict(struct buffer *text, const struct explanation *explanation)
{
	const struct event *event = explanation->event;
	buffer_add_text(text, "callback: ");
	if (is_too_long(explanation)) {
		buffer_add_printf(text, "longer than the source's max_body of %llu bytes; answered 413",
						  (unsigned long long)explanation->source->max_body_bytes);
		return;
	}
	if (event->kind == EVENT_MALFORMED) {
		buffer_add_printf(text, "malformed (%.*s); if authentic, answered 200, kept as a dead letter, pushed to nobody",
						  SPAN_PRINTF(event->malformed));
		return;
	}
	for (size_t i = 0; i < event->n_interactions; i++) {
		buffer_add_text(text, i ? ", " : "");
		printable_add_cut(text, event->interactions[i].type, MAX_SHOWN_CHARACTERS);
		buffer_add_text(text, event->interactions[i].subtype.n ? "/" : "");
		printable_add_cut(text, event->interactions[i].subtype, MAX_SHOWN_CHARACTERS);
	}
	buffer_add_text(text, event->event_id.n ? "; event id " : "; no event id");
	printable_add_cut(text, event->event_id, MAX_SHOWN_CHARACTERS);
}

/* Which handlers it would be owed to; nothing where no configuration was read, or none is interested. */
static void add_handlers(struct buffer *text, const struct explanation *explanation)
{
	const char *separator = "\nhandlers: ";
	struct route_walk walk;
	struct route route;
	if (!explanation->config || is_too_long(explanation))
		return;
	routes_begin(&walk, explanation->config->routes, explanation->event);
	for (; routes_next(&walk, &route); separator = ", ") {
		buffer_add_printf(text, "%s%s", separator, explanation->config->handlers[route.handler].name);
		if (explanation->event->n_interactions > 1)
			buffer_add_printf(text, " (interaction %zu)", route.interaction + 1);
	}
}

static int print_words(const struct explanation *explanation)
{
	const struct diagnosis *diagnosis = &explanation->diagnosis;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	add_body(&text, explanation);
	for (size_t i = 0; i < diagnosis->n_elements; i++)
		add_element(&text, explanation, i);
	if (diagnosis->n_more)
		buffer_add_printf(&text, "and %zu elements more, not looked at\n", diagnosis->n_more);
	if (diagnosis->outcome != SIGNATURE_VALID)
		add_expected(&text, explanation);
	add_signature_verdict(&text, diagnosis->outcome);
	add_event_verdict(&text, explanation);
	add_handlers(&text, explanation);
	return text.failed ? -ENOMEM : output_line(buffer_span(&text));
}

/* A string of JSON, whatever the bytes are. */
static json_t *json_text(struct span raw)
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	printable_add(&text, raw);
	return json_stringn(text.data ? text.data : "", text.n);
}

static json_t *elements_json(const struct diagnosis *diagnosis)
{
	json_t *list = json_array();
	for (size_t i = 0; i < diagnosis->n_elements; i++) {
		const struct diagnosis_element *e = &diagnosis->elements[i];
		json_t *element = json_pack("{s:o, s:s, s:b, s:I}", "text", json_text(e->text), "form", e->form->name, "right",
									diagnosis_is_right(e), "decoded_bytes", (json_int_t)e->n_decoded);
		if (e->is_found)
			(void)json_object_set_new(element, "explained_by",
									  json_pack("{s:I, s:s, s:s, s:s}", "secret", (json_int_t)e->secret + 1,
												"secret_variant", e->secret_variant->name, "body_variant",
												e->body_variant->name, "method", e->method->name));
		(void)json_array_append_new(list, element);
	}
	return list;
}

static json_t *expected_json(const struct explanation *explanation)
{
	json_t *list = json_array();
	for (size_t i = 0; i < explanation->secrets.n; i++)
		(void)json_array_append_new(list, json_pack("{s:I, s:s, s:s%}", "secret", (json_int_t)i + 1, "origin",
													explanation->secrets.origins[i], "value",
													explanation->expected[i].data, explanation->expected[i].n));
	return list;
}

static json_t *event_json(const struct event *event)
{
	CLEANUP(buffer_finish) struct buffer interactions = BUFFER_INIT;
	if (event->kind == EVENT_MALFORMED)
		return json_pack("{s:s, s:o}", "kind", "malformed", "reason", json_text(event->malformed));
	event_add_interactions(&interactions, event);
	return json_pack("{s:s, s:o, s:o}", "kind", "callback", "event_id", json_text(event->event_id), "interactions",
					 json_loadb(interactions.data ? interactions.data : "", interactions.n, JSON_ALLOW_NUL, NULL));
}

static json_t *handlers_json(const struct explanation *explanation)
{
	json_t *list = json_array();
	struct route_walk walk;
	struct route route;
	if (!explanation->config || is_too_long(explanation))
		return list;
	routes_begin(&walk, explanation->config->routes, explanation->event);
	while (routes_next(&walk, &route))
		(void)json_array_append_new(list, json_pack("{s:s, s:I}", "handler",
													explanation->config->handlers[route.handler].name, "interaction",
													(json_int_t)route.interaction + 1));
	return list;
}

static int print_json(const struct explanation *explanation)
{
	const struct diagnosis *diagnosis = &explanation->diagnosis;
	return output_json_new(json_pack(
		"{s:b, s:s, s:o, s:o, s:I, s:b, s:o, s:o}", "accepted", is_accepted(explanation), "signature",
		signature_outcome_name((enum signature_outcome)diagnosis->outcome), "elements", elements_json(diagnosis),
		"expected", expected_json(explanation), "body_bytes", (json_int_t)explanation->body.n, "too_long",
		is_too_long(explanation), "callback", event_json(explanation->event), "handlers", handlers_json(explanation)));
}

static int run(const struct invocation *invocation)
{
	CLEANUP(explanation_finish) struct explanation explanation = { 0 };
	int r = prepare(invocation, &explanation);
	if (r == CLI_OK)
		r = invocation_is_json(invocation) ? print_json(&explanation) : print_words(&explanation);
	if (r != CLI_OK)
		return r;
	return is_accepted(&explanation) ? CLI_OK : CLI_E_NOT_SO;
}

static const struct command_option options[] = {
	{ "header", "VALUE", true,
	  "The signature header as it came, with or without its name. More than once if it stood more than once; left out, "
	  "this says what it would have to be." },
	{ "source", "NAME", false, "The source, where the configuration has several." },
	{ "secret-file", "FILE", true,
	  "Check with the secret in this file, not with the source's. The environment variable BELFRY_SECRET does the "
	  "same." },
	{ 0 },
};

const struct command command_explain = {
	.name = "explain",
	.summary = "say why a signature passes or fails",
	.operands = "BODYFILE | -",
	.description =
		"Takes the bytes of a body and the signature header that came with them, and says for each element of the "
		"header "
		"what it is, which secret it fits, and what it would have to be. Where none fits, it tries what usually went "
		"wrong: hexadecimal, the wrong alphabet, a newline too many, JSON that was parsed and written anew, a secret "
		"without its prefix, key and message swapped. Then it says what the gateway would make of the body, and which "
		"handlers it would go to.\n\n"
		"The exit status is 0 if the gateway would accept and push it, 1 if not.",
	.examples = "belfry explain --header '5DxentQi5YSXODEzTVv06sRwJ3pULIz1KrYv20qxEK0=' body.json\n"
				"belfry explain --header \"$(cat header.txt)\" --secret-file secret body.json\n"
				"curl -s https://example.com/last-body | belfry explain --header 'Cronofy-HMAC-SHA256: ...' -\n"
				"belfry explain body.json",
	.options = options,
	.max_operands = 1,
	.run = run,
};
