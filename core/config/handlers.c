/* SPDX-License-Identifier: Apache-2.0 */
#include "config/handlers.h"

#include "base/nearest.h"
#include "config/conditions.h"
#include "config/description.h"
#include "config/expressions.h"
#include "config/routes.h"
#include "config/value.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define SUFFIX ".so"
#define MAX_LISTED 12 /* names in a complaint */

struct builder {
	struct config *config;
	const struct yaml_node *handlers, *interactions, *plugins; /* NULL if they are not written */
	struct complaints *complaints;
	struct description **descriptions; /* one for each plugin file */
	size_t n_descriptions;
	struct expressions expressions;
	bool asks_plugins;
	bool is_program_broken; /* it cannot be run: told once */
	bool failed;            /* out of memory */
};

static void builder_finish_cleanup(struct builder *builder)
{
	for (size_t i = 0; i < builder->n_descriptions; i++)
		description_destroy(builder->descriptions[i]);
	free(builder->descriptions);
	expressions_finish(&builder->expressions);
}

#define error(builder, node, ...) yaml_complain((builder)->complaints, false, node, __VA_ARGS__)
#define warning(builder, node, ...) yaml_complain((builder)->complaints, true, node, __VA_ARGS__)

/* --- which file ----------------------------------------------------------------------------------------------------
 */

/* The name of the plugin that the file in the folder is; false if it is none. */
static bool read_plugin_name(const char *file, char ret_name[static 65])
{
	struct span name = span_text(file);
	size_t n_suffix = strlen(SUFFIX);
	if (name.n <= n_suffix || !span_equal(span_skip(name, name.n - n_suffix), SPAN(SUFFIX)))
		return false;
	name.n -= n_suffix;
	if (value_check_name(name))
		return false;
	memcpy(ret_name, name.data, name.n);
	ret_name[name.n] = '\0';
	return true;
}

static int only_plugins(const struct dirent *entry)
{
	char name[65];
	return read_plugin_name(entry->d_name, name);
}

/* "; did you mean "slack"?", "; there are: exec, slack" */
static void add_advice(struct buffer *text, const char *name, struct dirent **files, size_t n)
{
	char names[2][65]; /* the nearest one stays while others are read */
	size_t spare = 0;
	struct nearest nearest = nearest_begin(span_text(name));
	for (size_t i = 0; i < n; i++)
		if (read_plugin_name(files[i]->d_name, names[spare])) {
			nearest_try(&nearest, names[spare]);
			spare = nearest.name == names[spare] ? 1 - spare : spare;
		}
	if (nearest.name) {
		buffer_add_printf(text, "; did you mean \"%s\"?", nearest.name);
		return;
	}
	for (size_t i = 0; i < n && i < MAX_LISTED; i++)
		if (read_plugin_name(files[i]->d_name, names[0]))
			buffer_add_printf(text, "%s%s", i ? ", " : "; there are: ", names[0]);
	buffer_add_text(text, n > MAX_LISTED ? ", ..." : n == 0 ? "; there is none" : "");
}

static void refuse_plugin(struct builder *builder, const char *name, const struct yaml_node *node)
{
	const char *folder = builder->config->plugins.folder;
	struct dirent **files = NULL;
	CLEANUP(buffer_finish) struct buffer advice = BUFFER_INIT;
	int n = scandir(folder, &files, only_plugins, alphasort);
	if (n < 0)
		buffer_add_printf(&advice, ", which cannot be read: %s", strerrordesc_np(errno));
	else
		add_advice(&advice, name, files, (size_t)n);
	for (int i = 0; i < n; i++)
		free(files[i]);
	free(files);
	builder->failed |= advice.failed;
	if (!advice.failed)
		error(builder, node, "plugin: \"%s\" is not in %s%.*s", name, folder, SPAN_PRINTF(buffer_span(&advice)));
}

/* A name is a promise that the file comes from the folder: a link may rename there, but not lead elsewhere. */
static bool is_in_folder(const char *file, const char *folder)
{
	CLEANUP(free) char *real_file = realpath(file, NULL), *real_folder = realpath(folder, NULL);
	size_t n = real_folder ? strlen(real_folder) : 0;
	return real_file && n && strncmp(real_file, real_folder, n) == 0 && real_file[n] == '/';
}

/* Sets the handler's file; false if there is none. */
static bool find_file(struct builder *builder, struct config_handler *handler, const struct yaml_node *node)
{
	const char *folder = builder->config->plugins.folder;
	bool is_path = handler->plugin[0] == '/';
	int n = is_path ? asprintf(&handler->file, "%s", handler->plugin)
					: asprintf(&handler->file, "%s/%s" SUFFIX, folder, handler->plugin);
	if (n < 0) {
		handler->file = NULL;
		builder->failed = true;
		return false;
	}
	if (is_path)
		return true; /* what is wrong with it belfry-handler says */
	if (access(handler->file, F_OK) != 0) {
		refuse_plugin(builder, handler->plugin, node);
		return false;
	}
	if (!is_in_folder(handler->file, folder)) {
		error(builder, node, "plugin: %s leads out of the folder; write the absolute path of the plugin instead",
			  handler->file);
		return false;
	}
	return true;
}

/* --- what the plugin says of itself ------------------------------------------------------------------------------- */

static const struct description *find_description(const struct builder *builder, const char *file)
{
	for (size_t i = 0; i < builder->n_descriptions; i++)
		if (strcmp(builder->descriptions[i]->file, file) == 0)
			return builder->descriptions[i];
	return NULL;
}

static const struct description *keep_description(struct builder *builder, struct description *description)
{
	struct description **grown =
		reallocarray(builder->descriptions, builder->n_descriptions + 1, sizeof *builder->descriptions);
	if (!grown) {
		description_destroy(description);
		builder->failed = true;
		return NULL;
	}
	builder->descriptions = grown;
	builder->descriptions[builder->n_descriptions++] = description;
	return description;
}

/* detail: what stands behind the reason, or "". */
static void refuse_program(struct builder *builder, const struct yaml_node *node, const char *reason,
						   const char *detail)
{
	const struct yaml_node *written = yaml_get(builder->plugins, "program");
	builder->is_program_broken = true;
	error(builder, written ? written : node, "program: %s %s%s", builder->config->plugins.program, reason, detail);
}

static void refuse_run(struct builder *builder, const struct yaml_node *node, int r)
{
	refuse_program(builder, node, "cannot be run: ", strerrordesc_np(-r));
}

/* NULL, or what is wrong: whoever may write it runs as the gateway. */
static const char *judge_writers(const struct stat *status, bool is_sticky_fine)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return "must belong to root or to the user who runs Belfry, and so must its folders";
	bool is_writable = status->st_mode & (S_IWGRP | S_IWOTH);
	if (is_writable && !(is_sticky_fine && status->st_mode & S_ISVTX))
		return "or a folder of it may be written by its group or by others, who could run there what they like: chmod "
			   "go-w";
	return NULL;
}

/* The file, its folder, and those above it: who can rename one can put another in its place, unless it is sticky. What
 * is not there cannot be run, which is told when it is tried. */
static void judge_program(struct builder *builder, const struct yaml_node *node)
{
	CLEANUP(free) char *path = realpath(builder->config->plugins.program, NULL);
	struct stat status;
	for (size_t depth = 0; path && stat(path, &status) == 0; depth++) {
		const char *reason = judge_writers(&status, depth > 1);
		if (reason) {
			refuse_program(builder, node, reason, "");
			return;
		}
		char *slash = strrchr(path, '/');
		if (slash == path && path[1] == '\0')
			break;
		slash[slash == path] = '\0';
	}
}

/* NULL if there is none; then it was said why. */
static const struct description *describe(struct builder *builder, const char *file, const struct yaml_node *node)
{
	const struct description *known = find_description(builder, file);
	struct description *description = NULL;
	if (!known && !builder->is_program_broken) {
		int r = description_create(builder->config->plugins.program, file, &description);
		if (r == -ENOMEM)
			builder->failed = true;
		else if (r < 0)
			refuse_run(builder, node, r);
		else
			known = keep_description(builder, description);
	}
	if (!known || !known->problem)
		return known;
	error(builder, node, "plugin: %s", known->problem);
	return NULL;
}

/* --- a handler ---------------------------------------------------------------------------------------------------- */

static void add_expression(struct builder *builder, const char *kind, const char *key, const char *text,
						   const struct yaml_node *node)
{
	if (text)
		expressions_add(&builder->expressions,
						&(struct expression){ .kind = kind, .text = text, .key = key, .node = node });
}

/* The templates in the value of an option: itself, or its entries. */
static void add_templates(struct builder *builder, const struct option *option, const struct yaml_node *value)
{
	if (value->kind == YAML_KIND_TEXT)
		add_expression(builder, "template", option->key, value->text, value);
	for (size_t i = 0; i < value->n_entries; i++)
		if (value->entries[i].value->kind == YAML_KIND_TEXT)
			add_expression(builder, "template", option->key, value->entries[i].value->text, value->entries[i].value);
}

/* `place` is where a default is told of, which is written nowhere. */
static void add_all_templates(struct builder *builder, const struct description *description,
							  const struct yaml_node *options, const struct yaml_node *place)
{
	for (size_t i = 0; i < description->n_options; i++) {
		const struct option *option = &description->options[i];
		const struct yaml_node *value = yaml_get(options, option->key);
		if (!description_is_template(option))
			continue;
		if (value)
			add_templates(builder, option, value);
		else
			add_expression(builder, "template", option->key, option->fallback, place);
	}
}

/* The options, as far as they are right. */
static void configure(struct builder *builder, struct config_handler *handler, const struct description *description,
					  const struct yaml_node *node)
{
	const struct yaml_node *options = yaml_get(node, "options"), *plugin = yaml_get(node, "plugin");
	if (description->needs_exec && !handler->confinement.allows_exec)
		error(builder, plugin, "plugin: %s starts other programs, which it may not; write allow: [exec]",
			  handler->plugin);
	handler->version = span_dup(span_text(description->version));
	int r = description_configure(description, options, node, builder->complaints, &handler->options);
	builder->failed |= r < 0 || !handler->version;
	add_all_templates(builder, description, options, plugin);
}

static void complete_settings(struct builder *builder, struct config_handler *handler, const struct yaml_node *node)
{
	const struct yaml_node *retry = yaml_get(node, "retry"), *workers = yaml_get(node, "workers");
	uint64_t max_processes = builder->config->limits.max_handler_processes;
	bool is_too_long = handler->retry.initial_ms > handler->retry.maximum_ms;
	if (is_too_long && yaml_get(retry, "initial") && yaml_get(retry, "maximum"))
		error(builder, yaml_get(retry, "maximum"), "maximum: this is shorter than initial");
	if (is_too_long)
		handler->retry.maximum_ms = handler->retry.initial_ms;
	if (workers && max_processes && handler->workers > max_processes)
		warning(builder, workers, "workers: all handlers together have no more than %ju; see limits.handler_processes",
				(uintmax_t)max_processes);
}

static void complete_handler(struct builder *builder, size_t i)
{
	struct config_handler *handler = &builder->config->handlers[i];
	const struct yaml_node *node = builder->handlers->entries[i].value, *plugin = yaml_get(node, "plugin");
	complete_settings(builder, handler, node);
	add_expression(builder, "when", "when", handler->when, yaml_get(node, "when"));
	if (!builder->asks_plugins || !handler->plugin || !builder->config->plugins.folder ||
		!builder->config->plugins.program || !find_file(builder, handler, plugin))
		return;
	const struct description *description = describe(builder, handler->file, plugin);
	if (description)
		configure(builder, handler, description, node);
}

/* --- interactions ------------------------------------------------------------------------------------------------- */

static bool find_handler(const struct config *config, const char *name, size_t *ret_index)
{
	const struct config_handler *handler = config_handler_by_name(config, span_text(name));
	if (handler)
		*ret_index = (size_t)(handler - config->handlers);
	return handler != NULL;
}

static void refuse_target(struct builder *builder, const char *name, const struct yaml_node *node)
{
	const struct config *config = builder->config;
	struct nearest nearest = nearest_begin(span_text(name));
	for (size_t i = 0; i < config->n_handlers; i++)
		if (config->handlers[i].name)
			nearest_try(&nearest, config->handlers[i].name);
	CLEANUP(buffer_finish) struct buffer quoted = BUFFER_INIT;
	buffer_add_json(&quoted, span_of(name, strnlen(name, 80)));
	if (quoted.failed)
		builder->failed = true;
	else if (nearest.name)
		error(builder, node, "handler: %.*s is no handler; did you mean \"%s\"?", SPAN_PRINTF(buffer_span(&quoted)),
			  nearest.name);
	else
		error(builder, node, "handler: %.*s is no handler; it has to be written under handlers",
			  SPAN_PRINTF(buffer_span(&quoted)));
}

static void tie_target(struct builder *builder, struct config_target *target, const struct yaml_node *node)
{
	const struct yaml_node *name = node->kind == YAML_KIND_MAP ? yaml_get(node, "handler") : node;
	add_expression(builder, "when", "when", target->when, yaml_get(node, "when"));
	if (!target->name)
		return;
	if (find_handler(builder->config, target->name, &target->handler))
		builder->config->handlers[target->handler].is_used = true;
	else
		refuse_target(builder, target->name, name);
}

/* Patterns for Belfry's own interactions: one of them, or a star behind their beginning. */
static void check_pattern(struct builder *builder, const char *pattern, const struct yaml_node *key)
{
	struct span text = span_text(pattern);
	struct nearest nearest = nearest_begin(text);
	bool is_known = !span_starts_with(text, SPAN("belfry_")) || text.data[text.n - 1] == '*';
	for (const char *const *own = routes_own_types; *own; own++) {
		is_known |= span_equal(text, span_text(*own));
		nearest_try(&nearest, *own);
	}
	if (is_known)
		return;
	if (nearest.name)
		error(builder, key, "\"%s\" is no interaction of Belfry's own; did you mean \"%s\"?", pattern, nearest.name);
	else
		error(builder, key,
			  "\"%s\" is no interaction of Belfry's own; there are: " ROUTES_DEAD_LETTER ", " ROUTES_BREAKER, pattern);
}

static void tie_interaction(struct builder *builder, size_t i)
{
	struct config_interaction *interaction = &builder->config->interactions[i];
	const struct yaml_entry *entry = &builder->interactions->entries[i];
	if (interaction->pattern)
		check_pattern(builder, interaction->pattern, entry->key);
	for (size_t k = 0; k < interaction->n_targets; k++)
		tie_target(builder, &interaction->targets[k], entry->value->entries[k].value);
}

static void warn_of_unused(struct builder *builder)
{
	const struct config *config = builder->config;
	for (size_t i = 0; i < config->n_handlers; i++)
		if (!config->handlers[i].is_used && config->handlers[i].name)
			warning(builder, builder->handlers->entries[i].key, "%s: no interaction names this handler: it never runs",
					config->handlers[i].name);
}

/* --- digests ------------------------------------------------------------------------------------------------------ */

/* Of digests, so that no secret is copied. */
static int make_digest(struct config_handler *handler, const struct description *description)
{
	const struct config_confinement *confinement = &handler->confinement;
	const char *const texts[] = { handler->name, handler->file, handler->options,
								  handler->condition ? handler->condition : "" };
	CLEANUP(buffer_finish) struct buffer parts = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		int r = digest_sha256(span_text(texts[i]), digest);
		if (r < 0)
			return r;
		buffer_add(&parts, span_of(digest, sizeof digest));
	}
	memcpy(handler->file_digest, description->digest, sizeof description->digest);
	buffer_add(&parts, span_of(description->digest, sizeof description->digest));
	buffer_add_printf(&parts, "%ju %ju %ju %d %d", (uintmax_t)confinement->memory_bytes,
					  (uintmax_t)confinement->descriptors, (uintmax_t)confinement->processes, confinement->allows_exec,
					  confinement->allows_inner);
	return parts.failed ? -ENOMEM : digest_sha256(buffer_span(&parts), handler->digest);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static void check_expressions(struct builder *builder)
{
	const char *program = builder->config->plugins.program;
	int r = program && !builder->is_program_broken
				? expressions_check(&builder->expressions, program, builder->complaints)
				: 0;
	if (r == -ENOMEM || builder->expressions.failed)
		builder->failed = true;
	else if (r < 0)
		refuse_run(builder, builder->expressions.items[0].node, r);
}

/* What can be made only where nothing is wrong. */
static void finish(struct builder *builder)
{
	struct config *config = builder->config;
	builder->failed |= conditions_make(config) < 0;
	for (size_t i = 0; builder->asks_plugins && i < config->n_handlers && !builder->failed; i++)
		builder->failed |= make_digest(&config->handlers[i], find_description(builder, config->handlers[i].file)) < 0;
	if (!builder->failed)
		builder->failed = routes_create(config->interactions, config->n_interactions, &config->routes) < 0;
}

int handlers_complete(struct config *config, const struct yaml_node *root, bool asks_plugins,
					  struct complaints *complaints)
{
	CLEANUP(builder_finish)
	struct builder builder = {
		.config = config,
		.handlers = yaml_get(root, "handlers"),
		.interactions = yaml_get(root, "interactions"),
		.plugins = yaml_get(root, "plugins"),
		.complaints = complaints,
		.asks_plugins = asks_plugins,
	};
	if (asks_plugins && config->n_handlers && config->plugins.program)
		judge_program(&builder, builder.handlers);
	for (size_t i = 0; i < config->n_handlers; i++)
		complete_handler(&builder, i);
	for (size_t i = 0; i < config->n_interactions; i++)
		tie_interaction(&builder, i);
	if (asks_plugins)
		check_expressions(&builder);
	if (complaints->n_errors == 0 && !builder.failed)
		finish(&builder);
	warn_of_unused(&builder);
	return builder.failed || complaints->failed ? -ENOMEM : 0;
}

static void finish_handler(struct config_handler *handler)
{
	if (handler->options)
		secret_wipe(handler->options, strlen(handler->options));
	free(handler->options);
	free(handler->condition);
	free(handler->version);
	free(handler->file);
}

void handlers_finish(struct config *config)
{
	routes_destroy(config->routes);
	for (size_t i = 0; i < config->n_handlers; i++)
		finish_handler(&config->handlers[i]);
}
