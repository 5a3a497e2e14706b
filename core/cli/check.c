/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry check: all that the gateway would find wrong at its start, found without starting it. Reads files, has plugins
 * described, opens no socket, writes nothing.
 */
#include "base/clock.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/setup.h"
#include "config/contents.h"

#include <errno.h>

#define MAX_SHOWN_CHARACTERS 60

struct checking {
	struct complaints complaints;
	struct config *config; /* NULL if it is not valid */
};

static void checking_finish(struct checking *checking)
{
	complaints_finish(&checking->complaints);
	config_destroy(checking->config);
}

static void checking_finish_cleanup(struct checking *checking)
{
	checking_finish(checking);
}

/* CLI_OK, also when there are complaints; CLI_E_IO when there is no file to check; -errno. */
static int check(struct checking *checking, const char *path)
{
	CLEANUP(contents_finish) struct contents contents = CONTENTS_INIT;
	int r = config_load(path, &checking->complaints, &checking->config);
	if (r == 0)
		r = contents_load(checking->config, SPAN(""), clock_wall_ms(), &checking->complaints, &contents);
	if (checking->complaints.failed || r == -ENOMEM)
		return -ENOMEM;
	if (r < 0 && checking->complaints.n_errors == 0)
		complaints_add(&checking->complaints, false, path, 0, 0, "%s", strerrordesc_np(-r));
	return r < 0 ? CLI_E_IO : CLI_OK;
}

static void print_complaints(const struct checking *checking)
{
	for (size_t i = 0; i < checking->complaints.n; i++)
		output_complain("%s%s", checking->complaints.items[i].is_warning ? "warning: " : "",
						checking->complaints.items[i].text);
}

static void add_count(struct buffer *text, size_t n, const char *what)
{
	buffer_add_printf(text, ", %zu %s%s", n, what, n == 1 ? "" : "s");
}

/* "on-call (profile_missing or missing_meeting_url, when .event.start > now)" */
static void add_target(struct buffer *text, const struct config_target *target)
{
	buffer_add_text(text, target->name);
	for (size_t i = 0; i < target->n_subtypes; i++) {
		buffer_add_text(text, i ? " or " : " (");
		printable_add(text, span_text(target->subtypes[i]));
	}
	if (target->when) {
		buffer_add_text(text, target->n_subtypes ? ", when " : " (when ");
		printable_add_cut(text, span_trim(span_text(target->when)), MAX_SHOWN_CHARACTERS);
	}
	if (target->when || target->n_subtypes)
		buffer_add_char(text, ')');
}

static void add_handlers(struct buffer *text, const struct config *config)
{
	buffer_add_text(text, "\nhandlers:");
	for (size_t i = 0; i < config->n_handlers; i++) {
		const struct config_handler *handler = &config->handlers[i];
		buffer_add_printf(text, "\n  %s: %s, version ", handler->name, handler->file);
		printable_add(text, span_text(handler->version));
	}
	buffer_add_text(text, config->n_interactions ? "\ninteractions:" : "");
	for (size_t i = 0; i < config->n_interactions; i++) {
		const struct config_interaction *interaction = &config->interactions[i];
		buffer_add_printf(text, "\n  %s: %s", interaction->pattern, interaction->n_targets ? "" : "nobody");
		for (size_t k = 0; k < interaction->n_targets; k++) {
			buffer_add_text(text, k ? ", " : "");
			add_target(text, &interaction->targets[k]);
		}
	}
}

static int print_words(const struct checking *checking)
{
	const struct config *config = checking->config;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	add_count(&text, config->n_listeners, "listener");
	add_count(&text, config->n_sources, "source");
	add_count(&text, config->subscribers.n_keys, "token key");
	if (config->n_handlers)
		add_count(&text, config->n_handlers, "handler");
	if (checking->complaints.n)
		add_count(&text, checking->complaints.n, "warning");
	if (text.failed)
		return -ENOMEM;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	buffer_add_text(&line, "OK: ");
	buffer_add(&line, span_skip(buffer_span(&text), 2));
	if (config->n_handlers)
		add_handlers(&line, config);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static json_t *target_json(const struct config_target *target)
{
	json_t *subtypes = json_array();
	for (size_t i = 0; i < target->n_subtypes; i++)
		(void)json_array_append_new(subtypes, json_string(target->subtypes[i]));
	return json_pack("{s:s, s:o, s:s?}", "handler", target->name, "subtypes", subtypes, "when", target->when);
}

static json_t *interactions_json(const struct config *config)
{
	json_t *map = json_object();
	for (size_t i = 0; config && i < config->n_interactions; i++) {
		json_t *targets = json_array();
		for (size_t k = 0; k < config->interactions[i].n_targets; k++)
			(void)json_array_append_new(targets, target_json(&config->interactions[i].targets[k]));
		(void)json_object_set_new(map, config->interactions[i].pattern, targets);
	}
	return map;
}

static json_t *handlers_json(const struct config *config)
{
	json_t *list = json_array();
	for (size_t i = 0; config && i < config->n_handlers; i++) {
		const struct config_handler *handler = &config->handlers[i];
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", handler->name, "plugin",
													handler->plugin, "file", handler->file, "version", handler->version,
													"workers", (json_int_t)handler->workers));
	}
	return list;
}

static int print_json(const struct checking *checking, const char *path, bool is_ok)
{
	const struct config *config = checking->config;
	json_t *list = json_array();
	for (size_t i = 0; i < checking->complaints.n; i++)
		(void)json_array_append_new(list,
									json_pack("{s:b, s:s}", "is_warning", checking->complaints.items[i].is_warning,
											  "text", checking->complaints.items[i].text));
	return output_json_new(json_pack(
		"{s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o}", "ok", is_ok, "file", path, "listeners",
		(json_int_t)(config ? config->n_listeners : 0), "sources", (json_int_t)(config ? config->n_sources : 0),
		"token_keys", (json_int_t)(config ? config->subscribers.n_keys : 0), "handlers", handlers_json(config),
		"interactions", interactions_json(config), "complaints", list));
}

static int run(const struct invocation *invocation)
{
	CLEANUP(checking_finish) struct checking checking = { .complaints = COMPLAINTS_INIT };
	const char *path = invocation->n_operands ? invocation->operands[0] : invocation_config_path(invocation);
	int r = check(&checking, path);
	if (r < 0)
		return r;
	print_complaints(&checking);
	bool is_ok = checking.complaints.n_errors == 0;
	int printed = CLI_OK;
	if (invocation_is_json(invocation))
		printed = print_json(&checking, path, is_ok);
	else if (is_ok)
		printed = print_words(&checking);
	if (printed < 0)
		return printed;
	return r != CLI_OK ? r : is_ok ? CLI_OK : CLI_E_CONFIG;
}

const struct command command_check = {
	.name = "check",
	.summary = "find all that is wrong with a configuration",
	.operands = "[FILE]",
	.description =
		"Reads the configuration as the gateway would, with everything that it points to: secrets, keys, certificates, "
		"plugins. Prints every complaint as file:line:column, what is wrong, and what would be right; warnings do no "
		"harm. Then it shows which handlers there are and what they run for. Has no effect on a gateway that runs, and "
		"opens no socket.\n\n"
		"The exit status is 0 if the gateway would start with it, and 78 if not.",
	.examples = "belfry check\n"
				"belfry check belfry.yaml\n"
				"belfry --config /etc/belfry/belfry.yaml --json check",
	.max_operands = 1,
	.run = run,
};
