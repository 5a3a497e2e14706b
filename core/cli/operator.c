/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operator.h"

#include "base/clock.h"
#include "cli/http_client.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/secrets.h"
#include "cli/setup.h"

#include <errno.h>
#include <stdio.h>

#define ANSWER_TIMEOUT_NS (60ull * MS_PER_S * NS_PER_MS)
#define MAX_SHOWN_CHARACTERS 200
#define MAX_REASON_CHARACTERS 300
#define MAX_TOKEN_FILE_BYTES 4096

void operator_add_option_as(struct buffer *query, const struct invocation *invocation, const char *name,
							const char *parameter)
{
	const char *value = invocation_value(invocation, name);
	if (!value)
		return;
	buffer_add_printf(query, "&%s=", parameter);
	buffer_add_percent_encoded(query, span_text(value));
}

void operator_add_option(struct buffer *query, const struct invocation *invocation, const char *name)
{
	operator_add_option_as(query, invocation, name, name);
}

void operator_add_options(struct buffer *query, const struct invocation *invocation, const char *const *names)
{
	for (; *names; names++)
		operator_add_option(query, invocation, *names);
}

const char *operator_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

long long operator_number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

/* Why not, in the gateway's words. */
static int refuse(const struct http_answer *answer)
{
	CLEANUP(buffer_finish) struct buffer shown = BUFFER_INIT;
	json_t *body = json_loadb(answer->body.data ? answer->body.data : "", answer->body.n, 0, NULL);
	const char *message = json_string_value(json_object_get(body, "message"));
	printable_add_cut(&shown, span_text(message ? message : "no reason given"), MAX_SHOWN_CHARACTERS);
	output_complain("the gateway answered %d: %.*s", answer->status, SPAN_PRINTF(buffer_span(&shown)));
	json_decref(body);
	return answer->status >= 500 ? CLI_E_IO : CLI_E_USAGE;
}

static int read_answer(const struct http_answer *answer, json_t **ret_answer)
{
	if (answer->status != 200 && answer->status != 422) /* a refusal with its reasons */
		return refuse(answer);
	json_t *body = json_loadb(answer->body.data ? answer->body.data : "", answer->body.n, 0, NULL);
	if (!json_is_object(body)) {
		json_decref(body);
		output_complain("the gateway's answer is none that this program understands: are both of the same version?");
		return CLI_E_IO;
	}
	*ret_answer = body;
	return CLI_OK;
}

/* Empty if none is given, or needed. */
static int find_token(const struct invocation *invocation, const struct config *config, struct buffer *ret_token)
{
	const char *file = invocation_value(invocation, "token-file"), *environment = getenv("BELFRY_ADMIN_TOKEN");
	if (file)
		return secret_file_read(file, MAX_TOKEN_FILE_BYTES, ret_token);
	if (environment && *environment)
		buffer_add_text(ret_token, environment);
	for (size_t i = 0; config && !ret_token->n && !config->admin.has_socket && i < config->admin.n_tokens; i++) {
		const struct config_admin_token *token = &config->admin.tokens[i];
		if (token->role == CONFIG_ROLE_OPERATOR)
			buffer_add(ret_token, span_of(token->token.data, token->token.n));
	}
	return ret_token->failed ? -ENOMEM : CLI_OK;
}

/* The header's line, or nothing. */
static int make_authorization(const struct invocation *invocation, const struct config *config,
							  struct buffer *ret_field)
{
	CLEANUP(secret_buffer_finish) struct buffer token = BUFFER_INIT;
	int r = find_token(invocation, config, &token);
	if (r != CLI_OK || !token.n)
		return r;
	if (secret_is_token(buffer_span(&token)))
		return secret_add_authorization(ret_field, buffer_span(&token));
	output_complain("what is given as a token is none: it has blanks, or other characters that a header cannot carry");
	return CLI_E_USAGE;
}

static int run(const struct target *target, const char *url, const struct buffer *authorization, bool is_post,
			   json_t **ret_answer)
{
	const char *fields[] = { authorization->data };
	CLEANUP(http_client_destroy) struct http_client *client = NULL;
	CLEANUP(http_answer_finish) struct http_answer answer = { 0 };
	int r = http_client_create(target, &client);
	if (r < 0)
		return r;
	const struct http_call call = {
		.url = url,
		.fields = fields,
		.n_fields = authorization->n ? 1 : 0,
		.is_post = is_post,
		.stop_fd = -1,
		.deadline_ns = clock_monotonic_ns() + ANSWER_TIMEOUT_NS,
	};
	r = http_client_run(client, &call, &answer);
	if (r == -ENOMEM)
		return r;
	if (r == 0)
		return read_answer(&answer, ret_answer);
	output_complain("no answer from %s: %s", target->url, http_client_error(client));
	return CLI_E_IO;
}

/* What the address's certificate should be for: a URL, as target_find() wants it; NULL: whatever the address is. */
static int make_name(const struct config *config, char **ret_name)
{
	const struct config_admin *admin = config ? &config->admin : NULL;
	if (!admin || !admin->listener.has_tls || !admin->n_server_names)
		return CLI_OK;
	if (asprintf(ret_name, "https://%s", admin->server_names[0]) >= 0)
		return CLI_OK;
	*ret_name = NULL;
	return -ENOMEM;
}

int operator_ask(const struct invocation *invocation, const char *path, struct span query, bool is_post,
				 json_t **ret_answer)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(target_finish) struct target target = { 0 };
	CLEANUP(free) char *name = NULL;
	CLEANUP(secret_buffer_finish) struct buffer authorization = BUFFER_INIT;
	CLEANUP(buffer_finish) struct buffer url = BUFFER_INIT;
	int r = invocation_has(invocation, "url") ? CLI_OK : setup_config(invocation, &config);
	if (r == CLI_OK)
		r = make_name(config, &name);
	if (r == CLI_OK)
		r = target_find(invocation, config, TARGET_ADMIN, name, path, &target);
	if (r == CLI_OK)
		r = make_authorization(invocation, config, &authorization);
	if (r != CLI_OK)
		return r;
	buffer_add_text(&url, target.url);
	if (query.n) {
		buffer_add_char(&url, '?');
		buffer_add(&url, span_skip(query, 1));
	}
	buffer_add_char(&url, '\0');
	return url.failed ? -ENOMEM : run(&target, url.data, &authorization, is_post, ret_answer);
}

int operator_show(const struct invocation *invocation, const char *path, const struct buffer *query,
				  int (*print)(const struct invocation *invocation, const json_t *answer))
{
	json_t *answer = NULL;
	if (query->failed)
		return -ENOMEM;
	int r = operator_ask(invocation, path, buffer_span(query), false, &answer);
	if (r != CLI_OK)
		return r;
	if (invocation_is_json(invocation))
		return output_json_new(answer);
	r = print(invocation, answer);
	json_decref(answer);
	return r;
}

void operator_add_interaction(struct buffer *line, const char *type, const char *subtype)
{
	printable_add_cut(line, span_text(type), MAX_REASON_CHARACTERS);
	buffer_add_text(line, *subtype ? "/" : "");
	printable_add_cut(line, span_text(subtype), MAX_REASON_CHARACTERS);
}

void operator_tell_older(const json_t *answer)
{
	const char *before = operator_text(answer, "before");
	if (*before)
		output_complain("there are older ones: --before %s", before);
}

int operator_print_delivery(const json_t *delivery)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	const json_t *last = json_object_get(delivery, "last");
	const char *due = operator_text(delivery, "due_at");
	buffer_add_printf(&line, "%s  %-7s  %s  ", operator_text(delivery, "position"), operator_text(delivery, "state"),
					  operator_text(delivery, "handler"));
	operator_add_interaction(&line, operator_text(delivery, "interaction"), operator_text(delivery, "subtype"));
	buffer_add_printf(&line, "  attempts %lld", operator_number(delivery, "attempts"));
	if (*due)
		buffer_add_printf(&line, "  due %s", due);
	if (last) {
		buffer_add_printf(&line, "\n    %s %s after %lld ms  ", operator_text(last, "started_at"),
						  operator_text(last, "outcome"), operator_number(last, "duration_ms"));
		printable_add_cut(&line, span_text(operator_text(last, "reason")), MAX_REASON_CHARACTERS);
	}
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}
