/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files become trees, trees become one tree, the tree becomes a struct config by the tables of options.c, and check.c
 * looks at the whole. Syntax errors end it early: half a tree would only make false complaints.
 */
#include "config/config.h"

#include "config/address.h"
#include "config/check.h"
#include "config/file.h"
#include "config/handlers.h"
#include "config/options.h"
#include "config/yaml.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>

#define EMPTY_FILE                                       \
	"the file is empty; the shortest one that works is " \
	"sources: {cronofy: {secrets: [{file: /etc/belfry/secrets/cronofy}]}}"
#define MAX_REACTORS 64

struct document {
	struct yaml_file file;
	char *name;
	char exposure[FILE_EXPOSURE_BYTES];
	struct yaml_node *root;
};

/* The main file and those in conf.d. Never resized: nodes point into it. */
struct documents {
	struct document *items;
	size_t n;
};

static void documents_finish_cleanup(struct documents *documents)
{
	for (size_t i = 0; i < documents->n; i++) {
		yaml_node_destroy(documents->items[i].root);
		free(documents->items[i].name);
	}
	free(documents->items);
}

/* --- files --- */

static bool is_yaml_name(const char *name)
{
	size_t n = strlen(name);
	return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".yaml") == 0;
}

static int filter_yaml(const struct dirent *entry)
{
	return is_yaml_name(entry->d_name);
}

static int compare_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* conf.d beside the file. */
static char *overlay_folder(const char *path)
{
	char *folder = NULL;
	const char *slash = strrchr(path, '/');
	int before = slash ? (int)(slash - path) + 1 : 0;
	return asprintf(&folder, "%.*sconf.d", before, path) < 0 ? NULL : folder;
}

/* Takes the names of all files, the main one first. */
static int name_documents(struct documents *documents, const char *path, const char *folder, struct dirent **entries,
						  size_t n_entries)
{
	documents->items = calloc(n_entries + 1, sizeof *documents->items);
	if (!documents->items)
		return -ENOMEM;
	for (size_t i = 0; i <= n_entries; i++) {
		struct document *document = &documents->items[i];
		int n = i ? asprintf(&document->name, "%s/%s", folder, entries[i - 1]->d_name)
				  : asprintf(&document->name, "%s", path);
		if (n < 0) {
			document->name = NULL;
			return -ENOMEM;
		}
		document->file.name = document->name;
		documents->n++;
	}
	return 0;
}

static int find_documents(const char *path, struct complaints *complaints, struct documents *documents)
{
	CLEANUP(free) char *folder = overlay_folder(path);
	struct dirent **entries = NULL;
	if (!folder)
		return -ENOMEM;
	int n = scandir(folder, &entries, filter_yaml, compare_bytes);
	if (n < 0 && errno == ENOMEM)
		return -ENOMEM;
	if (n < 0 && errno != ENOENT && errno != ENOTDIR)
		complaints_add(complaints, false, folder, 0, 0, "cannot be read: %s", strerror(errno));
	size_t n_entries = n < 0 ? 0 : (size_t)n;
	int error = name_documents(documents, path, folder, entries, n_entries);
	for (size_t i = 0; i < n_entries; i++)
		free(entries[i]);
	free(entries);
	return error;
}

/* 0; CONFIG_E_INVALID when there is no tree; -errno when the file cannot be read. */
static int read_document(struct document *document, struct complaints *complaints)
{
	CLEANUP(file_finish) struct file file = FILE_INIT;
	complaints_expect_file(complaints, document->name);
	int error = file_read(document->name, YAML_MAX_BYTES, &file);
	if (error == FILE_E_TOO_LARGE)
		complaints_add(complaints, false, document->name, 0, 0, "larger than 1 MiB");
	else if (error)
		complaints_add(complaints, false, document->name, 0, 0, "cannot be read: %s", file_error_text(error));
	if (error)
		return error < 0 ? error : CONFIG_E_INVALID;
	if (file_exposure(&file.status, false, document->exposure))
		document->file.exposure = document->exposure;
	error = yaml_read(&document->file, span_of(file.data, file.n), complaints, &document->root);
	return error < 0 ? error : error ? CONFIG_E_INVALID : CONFIG_OK;
}

/* The main file must be readable; what is wrong with others is told with the rest. */
static int read_documents(struct documents *documents, struct complaints *complaints)
{
	int first_error = CONFIG_OK;
	for (size_t i = 0; i < documents->n; i++) {
		int error = read_document(&documents->items[i], complaints);
		if (error == -ENOMEM || (error < 0 && i == 0))
			return error;
		if (error)
			first_error = CONFIG_E_INVALID;
	}
	return first_error;
}

/* One tree; it stays in the first document. CONFIG_E_INVALID if a file holds no map. */
static int join_documents(struct documents *documents, struct complaints *complaints)
{
	struct yaml_node *root = documents->items[0].root;
	if (root->kind != YAML_KIND_MAP) {
		yaml_complain(complaints, false, root, "%s",
					  root->kind == YAML_KIND_NOTHING ? EMPTY_FILE : "a configuration is a map; write key: value");
		return CONFIG_E_INVALID;
	}
	int error = CONFIG_OK;
	for (size_t i = 1; i < documents->n; i++) {
		struct yaml_node *other = documents->items[i].root;
		if (other->kind == YAML_KIND_NOTHING) {
			yaml_complain(complaints, true, other, "the file is empty");
		} else if (other->kind != YAML_KIND_MAP) {
			yaml_complain(complaints, false, other, "a configuration is a map; write key: value");
			error = CONFIG_E_INVALID;
		} else if (yaml_merge(root, other, complaints) < 0) {
			return -ENOMEM;
		}
	}
	return error;
}

/* --- defaults that are made, not written --- */

static uint64_t usable_cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > MAX_REACTORS ? MAX_REACTORS : (uint64_t)n;
}

static int add_default_listener(struct config *config)
{
	const char *problem = NULL;
	config->listeners = calloc(1, sizeof *config->listeners);
	if (!config->listeners)
		return -ENOMEM;
	config->n_listeners = 1;
	return address_read(SPAN("127.0.0.1:8080"), &config->listeners[0].address, &problem);
}

static void complete_listener(struct config_listener *listener)
{
	listener->has_tls = listener->certificate && listener->key;
	if (!listener->serves_sources && !listener->serves_subscribers)
		listener->serves_sources = listener->serves_subscribers = true;
}

/* A path that is written and wrong stays NULL: it was complained of already. */
static int complete_source(struct config_source *source, const struct yaml_node *node)
{
	if (!source->path && source->name && !yaml_get(node, "path") &&
		asprintf(&source->path, "/callbacks/%s", source->name) < 0) {
		source->path = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int complete(struct config *config, const struct yaml_node *root)
{
	const struct yaml_node *sources = yaml_get(root, "sources");
	int error = yaml_get(root, "listen") ? 0 : add_default_listener(config);
	for (size_t i = 0; i < config->n_listeners; i++)
		complete_listener(&config->listeners[i]);
	config->admin.has_listener = config->admin.listener.address.text != NULL;
	config->admin.has_socket = config->admin.socket.text != NULL;
	config->admin.socket.mode = config->admin.socket_access == CONFIG_ACCESS_GROUP ? 0660 : 0600;
	config->admin.listener.has_tls = config->admin.listener.certificate && config->admin.listener.key;
	for (size_t i = 0; i < config->n_sources && !error; i++)
		error = complete_source(&config->sources[i], sources->entries[i].value);
	if (!config->reactors)
		config->reactors = usable_cores();
	return error;
}

/* --- the whole --- */

static int read_config(const struct yaml_node *root, bool asks_plugins, struct complaints *complaints,
					   struct config **ret_config)
{
	CLEANUP(config_destroy) struct config *config = calloc(1, sizeof *config);
	if (!config || schema_read(config_options, root, complaints, config) < 0 || complete(config, root) < 0)
		return -ENOMEM;
	check_config(config, root, complaints);
	if (handlers_complete(config, root, asks_plugins, complaints) < 0)
		return -ENOMEM;
	*ret_config = STEAL(config);
	return 0;
}

static int load(const char *path, bool asks_plugins, struct complaints *complaints, struct config **ret_config)
{
	CLEANUP(documents_finish) struct documents documents = { 0 };
	int error = find_documents(path, complaints, &documents);
	if (!error)
		error = read_documents(&documents, complaints);
	if (!error)
		error = join_documents(&documents, complaints);
	return error ? error : read_config(documents.items[0].root, asks_plugins, complaints, ret_config);
}

static int load_all(const char *path, bool asks_plugins, struct complaints *complaints, struct config **ret_config)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	size_t n_before = complaints->n_errors;
	int error = load(path, asks_plugins, complaints, &config);
	if (complaints->failed)
		return -ENOMEM;
	if (error)
		return error;
	if (complaints->n_errors > n_before)
		return CONFIG_E_INVALID;
	*ret_config = STEAL(config);
	return CONFIG_OK;
}

int config_load(const char *path, struct complaints *complaints, struct config **ret_config)
{
	return load_all(path, true, complaints, ret_config);
}

int config_load_without_plugins(const char *path, struct complaints *complaints, struct config **ret_config)
{
	return load_all(path, false, complaints, ret_config);
}

void config_destroy(struct config *config)
{
	if (!config)
		return;
	handlers_finish(config);
	schema_release(config_options, config);
	free(config);
}

const struct config_source *config_source_by_name(const struct config *config, struct span name)
{
	for (size_t i = 0; i < config->n_sources; i++)
		if (span_equal(span_text(config->sources[i].name), name))
			return &config->sources[i];
	return NULL;
}

const struct config_handler *config_handler_by_name(const struct config *config, struct span name)
{
	for (size_t i = 0; i < config->n_handlers; i++)
		if (span_equal(span_text(config->handlers[i].name), name))
			return &config->handlers[i];
	return NULL;
}
