/* SPDX-License-Identifier: Apache-2.0 */
/* belfry plugin test: a plugin, its options, an event; what it logs, and what becomes of the event. */
#include "base/clock.h"
#include "cli/hosting.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/plugin.h"
#include "cli/printable.h"
#include "config/description.h"
#include "wire/callback.h"
#include "wire/samples.h"

#include <errno.h>

#define MAX_BODY_BYTES PACKET_MAX_TO_HANDLER_BYTES
#define MAX_TAGS 32
#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_SAMPLE "conferencing_assigned"
#define SOURCE "test"

struct testing {
	const struct invocation *invocation;
	char *path;
	char *options; /* JSON, with secrets */
	struct event *event;
	struct hosting_plan plan;
};

static void testing_finish(struct testing *testing)
{
	if (testing->options)
		secret_wipe(testing->options, strlen(testing->options));
	free(testing->options);
	free(testing->path);
	event_unref(testing->event);
}

static void testing_finish_cleanup(struct testing *testing)
{
	testing_finish(testing);
}

/* ---- options ---- */

/* "name=value" of an option of the command line; *ret_value ends with it. */
static int split(const struct invocation *invocation, const char *option, size_t index, struct span *ret_name,
				 const char **ret_value)
{
	struct span value = span_text(invocation_value_at(invocation, option, index));
	if (!span_next(&value, '=', ret_name) || !value.data || ret_name->n == 0) {
		output_complain("--%s takes NAME=VALUE", option);
		return CLI_E_USAGE;
	}
	*ret_value = value.data;
	return CLI_OK;
}

/* One line of YAML for each; the file of a secret by its absolute path, as the configuration wants it. */
static int add_secret(struct buffer *yaml, struct span name, const char *file)
{
	CLEANUP(free) char *path = plugin_path(file);
	if (!path)
		return CLI_E_IO;
	buffer_add(yaml, name);
	buffer_add_text(yaml, ": {file: ");
	buffer_add_json(yaml, span_text(path));
	buffer_add_text(yaml, "}\n");
	return CLI_OK;
}

static int write_yaml(const struct invocation *invocation, struct buffer *yaml)
{
	struct span name;
	const char *value;
	int r = CLI_OK;
	for (size_t i = 0; r == CLI_OK && i < invocation_count(invocation, "option"); i++) {
		r = split(invocation, "option", i, &name, &value);
		if (r != CLI_OK)
			break;
		buffer_add(yaml, name);
		buffer_add_printf(yaml, ": %s\n", value);
	}
	for (size_t i = 0; r == CLI_OK && i < invocation_count(invocation, "secret"); i++) {
		r = split(invocation, "secret", i, &name, &value);
		if (r == CLI_OK)
			r = add_secret(yaml, name, value);
	}
	return yaml->failed ? -ENOMEM : r;
}

static int configure(struct testing *testing, const struct description *description, struct span yaml,
					 struct complaints *complaints)
{
	struct yaml_file file = { .name = "options" };
	CLEANUP(yaml_node_destroy) struct yaml_node *root = NULL;
	int r = yaml_read(&file, yaml, complaints, &root);
	if (r == YAML_OK)
		r = description_configure(description, root, root, complaints, &testing->options);
	return r < 0 || complaints->failed ? -ENOMEM : 0;
}

static int read_options(struct testing *testing)
{
	CLEANUP(description_destroy) struct description *description = NULL;
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(buffer_finish) struct buffer yaml = BUFFER_INIT;
	int r = write_yaml(testing->invocation, &yaml);
	if (r != CLI_OK)
		return r;
	r = description_create(plugin_program(), testing->path, &description);
	if (r < 0) {
		output_complain("%s: %s", plugin_program(), strerrordesc_np(-r));
		return r == -ENOMEM ? r : CLI_E_IO;
	}
	if (description->problem) {
		output_complain("%s", description->problem);
		return CLI_E_CONFIG;
	}
	r = configure(testing, description, buffer_span(&yaml), &complaints);
	for (size_t i = 0; i < complaints.n; i++)
		output_complain("%s%s", complaints.items[i].is_warning ? "warning: " : "", complaints.items[i].text);
	return r < 0 ? r : complaints.n_errors == 0 && testing->options ? CLI_OK : CLI_E_CONFIG;
}

/* ---- the event ---- */

static int read_body(const char *name, struct buffer *body)
{
	const struct sample *sample = sample_find(span_text(name));
	if (sample) {
		buffer_add_text(body, sample->body);
		return body->failed ? -ENOMEM : CLI_OK;
	}
	return input_require(name, MAX_BODY_BYTES, body);
}

static int read_event(struct testing *testing)
{
	const struct invocation *invocation = testing->invocation;
	struct tag tags[MAX_TAGS];
	struct callback_origin origin = { .source = SPAN(SOURCE),
									  .received_ms = clock_wall_ms(),
									  .tags = tags,
									  .n_tags = invocation_count(invocation, "tag") };
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	if (origin.n_tags > MAX_TAGS) {
		output_complain("%zu tags are too many: at most %d", origin.n_tags, MAX_TAGS);
		return CLI_E_USAGE;
	}
	for (size_t i = 0; i < origin.n_tags; i++) {
		int r = invocation_tag_at(invocation, "tag", i, &tags[i]);
		if (r != CLI_OK)
			return r;
	}
	int r = read_body(invocation->n_operands > 2 ? invocation->operands[2] : DEFAULT_SAMPLE, &body);
	return r == CLI_OK ? callback_to_event(&origin, buffer_span(&body), &testing->event) : r;
}

/* ---- running ---- */

static int print_log(void *context, enum packet_level level, struct span text)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	const struct testing *testing = context;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (invocation_is_json(testing->invocation))
		return output_json_new(
			json_pack("{s:s, s:s, s:s%}", "type", "log", "level", names[level], "text", text.data, text.n));
	buffer_add_printf(&line, "log %s: ", names[level]);
	printable_add(&line, text);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static const struct {
	const char *name;
	int status;
} ends[] = {
	[HOSTING_DONE] = { "done", CLI_OK },        [HOSTING_SKIPPED] = { "skipped", CLI_OK },
	[HOSTING_RETRY] = { "retry", CLI_E_LATER }, [HOSTING_REJECT] = { "reject", CLI_E_NOT_SO },
	[HOSTING_REFUSED] = { NULL, CLI_E_CONFIG }, [HOSTING_FAILED] = { NULL, CLI_E_NOT_SO },
};

static int print_end(const struct testing *testing, int end, int64_t retry_after_ms, const struct buffer *reason)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (!ends[end].name) {
		output_complain("%.*s", SPAN_PRINTF(buffer_span(reason)));
		return ends[end].status;
	}
	int r;
	if (invocation_is_json(testing->invocation)) {
		json_t *json = json_pack("{s:s, s:s, s:s%}", "type", "outcome", "outcome", ends[end].name, "reason",
								 reason->n ? reason->data : "", reason->n);
		if (json && retry_after_ms >= 0)
			(void)json_object_set_new(json, "retry_after_ms", json_integer(retry_after_ms));
		r = output_json_new(json);
	} else {
		buffer_add_text(&line, ends[end].name);
		if (retry_after_ms >= 0)
			buffer_add_printf(&line, ", not before %lld ms from now", (long long)retry_after_ms);
		buffer_add_text(&line, reason->n ? ": " : "");
		printable_add(&line, buffer_span(reason));
		r = line.failed ? -ENOMEM : output_line(buffer_span(&line));
	}
	return r < 0 ? r : ends[end].status;
}

static int read_plan(struct testing *testing)
{
	const struct invocation *invocation = testing->invocation;
	testing->plan = (struct hosting_plan){
		.program = plugin_program(),
		.plugin = testing->path,
		.when = invocation_value(invocation, "when"),
		.timeout_ms = DEFAULT_TIMEOUT_MS,
		.on_log = print_log,
		.context = testing,
	};
	for (size_t i = 0; i < invocation_count(invocation, "allow"); i++) {
		const char *word = invocation_value_at(invocation, "allow", i);
		testing->plan.can_exec |= strcmp(word, "exec") == 0;
		testing->plan.can_reach_inner |= strcmp(word, "inner") == 0;
		if (strcmp(word, "exec") != 0 && strcmp(word, "inner") != 0) {
			output_complain("--allow takes exec or inner, not \"%s\"", word);
			return CLI_E_USAGE;
		}
	}
	return invocation_duration_ms(invocation, "timeout", &testing->plan.timeout_ms);
}

int plugin_test(const struct invocation *invocation)
{
	CLEANUP(testing_finish) struct testing testing = { .invocation = invocation };
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	int64_t retry_after_ms = -1;
	testing.path = plugin_path(invocation->operands[1]);
	if (!testing.path)
		return CLI_E_IO;
	int r = read_plan(&testing);
	if (r == CLI_OK)
		r = read_event(&testing);
	if (r == CLI_OK)
		r = read_options(&testing);
	if (r != CLI_OK)
		return r;
	testing.plan.event = testing.event;
	testing.plan.options = span_text(testing.options);
	int end = hosting_run(&testing.plan, &retry_after_ms, &reason);
	if (end < 0) {
		output_complain("%s: %s", testing.plan.program, strerrordesc_np(-end));
		return CLI_E_IO;
	}
	return print_end(&testing, end, retry_after_ms, &reason);
}
