/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration, alone in a folder of its own. It is complete, or there is a complaint that says where it is not.
 * Every plugin has options of all types. */
#include "base/cleanup.h"
#include "config/config.h"
#include "config/routes.h"
#include "described.h"

#include <fcntl.h>
#include <sys/stat.h>

#define FOLDER "/tmp/belfry-fuzz-XXXXXX"

static char folder[] = FOLDER;
static char path[sizeof FOLDER "/belfry.yaml"];

static void remove_folder(void)
{
	(void)remove(folder);
}

/* Made once. */
static void make_folder(void)
{
	if (path[0])
		return;
	FUZZ_ASSERT(mkdtemp(folder) && atexit(remove_folder) == 0);
	FUZZ_ASSERT(snprintf(path, sizeof path, "%s/belfry.yaml", folder) > 0);
}

static void write_file(struct span bytes)
{
	CLEANUP(close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FUZZ_ASSERT(fd >= 0 && write(fd, bytes.data, bytes.n) == (ssize_t)bytes.n);
}

int __wrap_program_run(const char *const *arguments, struct span input, int64_t patience_ms, struct buffer *output,
					   char **ret_problem)
{
	static const char description[] =
		"{\"version\":\"1\",\"options\":[{\"name\":\"string\",\"type\":\"string\"},"
		"{\"name\":\"secret\",\"type\":\"secret\"},{\"name\":\"hook\",\"type\":\"secret\",\"url\":true},"
		"{\"name\":\"integer\",\"type\":\"integer\",\"least\":-5,\"most\":10},"
		"{\"name\":\"boolean\",\"type\":\"boolean\"},{\"name\":\"duration\",\"type\":\"duration\",\"fallback\":\"1s\"},"
		"{\"name\":\"size\",\"type\":\"size\"},{\"name\":\"url\",\"type\":\"url\"},"
		"{\"name\":\"choice\",\"type\":\"enum\",\"names\":[\"a\",\"b\"]},"
		"{\"name\":\"list\",\"type\":\"list\",\"entry\":\"template\"},"
		"{\"name\":\"map\",\"type\":\"map\",\"entry\":\"secret\"}]}";
	(void)input, (void)patience_ms, (void)ret_problem;
	buffer_add_text(output, strcmp(arguments[1], "--check") == 0 ? "{\"complaints\":[]}" : description);
	return PROGRAM_OK;
}

static void check_handlers(const struct config *config)
{
	const struct interaction interaction = { SPAN("conferencing_failing"), SPAN("profile_missing") };
	const struct event event = { .kind = EVENT_CALLBACK, .interactions = &interaction, .n_interactions = 1 };
	struct route_walk walk;
	struct route route;
	for (size_t i = 0; i < config->n_handlers; i++) {
		const struct config_handler *handler = &config->handlers[i];
		FUZZ_ASSERT(handler->name && handler->file[0] == '/' && handler->options[0] == '{' && handler->workers >= 1);
		FUZZ_ASSERT(span_is_utf8(span_text(handler->options)) &&
					handler->retry.initial_ms <= handler->retry.maximum_ms);
	}
	routes_begin(&walk, config->routes, &event);
	while (routes_next(&walk, &route))
		FUZZ_ASSERT(route.interaction == 0 && config->handlers[route.handler].is_used);
}

static void check_config(const struct config *config)
{
	FUZZ_ASSERT(config->n_listeners >= 1 && config->n_sources >= 1 && config->reactors >= 1 && config->journal.path);
	for (size_t i = 0; i < config->n_sources; i++) {
		const struct config_source *source = &config->sources[i];
		FUZZ_ASSERT(source->name && source->scheme && source->path && source->path[0] == '/');
		FUZZ_ASSERT(source->n_secrets >= 1 && source->n_secrets <= 8 && source->secrets[0].n >= 1);
		FUZZ_ASSERT(config_source_by_name(config, span_text(source->name)) == source);
	}
	FUZZ_ASSERT(config->limits.max_connections >= 1 && config->subscribers.ping_ms >= 1);
	check_handlers(config);
}

static void check_complaints(const struct complaints *complaints)
{
	FUZZ_ASSERT(complaints->n <= COMPLAINTS_MAX && !complaints->failed);
	for (size_t i = 0; i < complaints->n; i++) {
		struct span text = span_text(complaints->items[i].text);
		FUZZ_ASSERT(text.n && span_is_utf8(text) && !strpbrk(text.data, "\n\r\x1b"));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	CLEANUP(config_destroy) struct config *config = NULL;
	make_folder();
	write_file(span_of(data, n));
	int r = config_load(path, &complaints, &config);
	(void)unlink(path);
	FUZZ_ASSERT(r == CONFIG_OK || r == CONFIG_E_INVALID);
	FUZZ_ASSERT((r == CONFIG_OK) == (config != NULL) && (r == CONFIG_OK) == (complaints.n_errors == 0));
	check_complaints(&complaints);
	if (config)
		check_config(config);
	return 0;
}
