/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/operator.h"

#include "base/clock.h"
#include "cli/http_client.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/setup.h"

#include <errno.h>

#define ANSWER_TIMEOUT_NS (60ull * MS_PER_S * NS_PER_MS)
#define MAX_SHOWN_CHARACTERS 200

void operator_add_option(struct buffer *query, const struct invocation *invocation, const char *name)
{
	const char *value = invocation_value(invocation, name);
	if (!value)
		return;
	buffer_add_printf(query, "&%s=", name);
	buffer_add_percent_encoded(query, span_text(value));
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

static int run(const struct target *target, const char *url, bool is_post, json_t **ret_answer)
{
	CLEANUP(http_client_destroy) struct http_client *client = NULL;
	CLEANUP(http_answer_finish) struct http_answer answer = { 0 };
	int r = http_client_create(target, &client);
	if (r < 0)
		return r;
	const struct http_call call = {
		.url = url, .is_post = is_post, .stop_fd = -1, .deadline_ns = clock_monotonic_ns() + ANSWER_TIMEOUT_NS
	};
	r = http_client_run(client, &call, &answer);
	if (r == -ENOMEM)
		return r;
	if (r == 0)
		return read_answer(&answer, ret_answer);
	output_complain("no answer from %s: %s", target->url, http_client_error(client));
	return CLI_E_IO;
}

int operator_ask(const struct invocation *invocation, const char *path, struct span query, bool is_post,
				 json_t **ret_answer)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(target_finish) struct target target = { 0 };
	CLEANUP(buffer_finish) struct buffer url = BUFFER_INIT;
	int r = invocation_has(invocation, "url") ? CLI_OK : setup_config(invocation, &config);
	if (r == CLI_OK)
		r = target_find(invocation, config, TARGET_ADMIN, NULL, path, &target);
	if (r != CLI_OK)
		return r;
	buffer_add_text(&url, target.url);
	if (query.n) {
		buffer_add_char(&url, '?');
		buffer_add(&url, span_skip(query, 1));
	}
	buffer_add_char(&url, '\0');
	return url.failed ? -ENOMEM : run(&target, url.data, is_post, ret_answer);
}
