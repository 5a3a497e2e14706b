/* SPDX-License-Identifier: Apache-2.0 */
#include "config/secret.h"

#include "config/file.h"
#include "wire/digest.h"

#include <errno.h>
#include <stdio.h>

/* What is being read, and for whom to complain. */
struct secret_reader {
	struct schema_reader *schema;
	const struct option *option;
	const struct yaml_node *node; /* the path, the name or the literal */
	struct secret *ret_secret;
};

static void complain(struct secret_reader *reader, bool is_warning, const char *message)
{
	schema_complain(reader->schema, is_warning, reader->option, reader->node, "%s", message);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Copies the bytes; checks what holds for every secret. */
static void take(struct secret_reader *reader, struct span bytes, const char *kind, const char *name)
{
	if (bytes.n == 0 || bytes.n > SECRET_MAX_BYTES) {
		complain(reader, false, bytes.n ? "the secret is larger than 64 KiB" : "the secret is empty");
		return;
	}
	if (is_blank(bytes.data[0]) || is_blank(bytes.data[bytes.n - 1]))
		complain(reader, true, "the secret begins or ends with a blank or an empty line, which counts as part of it");
	char *data = span_dup(bytes), *origin = NULL;
	if (asprintf(&origin, "%s %s", kind, name) < 0)
		origin = NULL;
	if (data && origin) {
		*reader->ret_secret = (struct secret){ .data = data, .n = bytes.n, .origin = origin };
		return;
	}
	reader->schema->failed = true;
	secret_wipe(data, data ? bytes.n : 0);
	free(data);
	free(origin);
}

/* Editors and echo(1) put a line end behind the secret: one, no more, is cut off. */
static struct span without_line_end(struct span bytes)
{
	if (bytes.n && bytes.data[bytes.n - 1] == '\n')
		bytes.n -= bytes.n > 1 && bytes.data[bytes.n - 2] == '\r' ? 2 : 1;
	return bytes;
}

/* is_group_trusted: systemd keeps credentials for one service alone, by access lists that stat() shows as a group's. */
static void take_file(struct secret_reader *reader, const char *path, const char *kind, const char *name,
					  bool is_group_trusted)
{
	CLEANUP(file_finish) struct file file = FILE_INIT;
	char reason[FILE_EXPOSURE_BYTES];
	int error = file_read(path, SECRET_MAX_BYTES + 2, &file);
	if (error == -ENOMEM)
		reader->schema->failed = true;
	else if (error)
		schema_complain(reader->schema, false, reader->option, reader->node, "%s cannot be read: %s", path,
						file_error_text(error));
	else if (file_exposure(&file.status, is_group_trusted, reason))
		schema_complain(reader->schema, false, reader->option, reader->node,
						"%s %s; let the gateway's user alone read it: chmod 0600", path, reason);
	else
		take(reader, without_line_end(span_of(file.data, file.n)), kind, name);
}

static void read_file(struct secret_reader *reader)
{
	const char *path = reader->node->text;
	if (value_check_path(span_text(path)))
		complain(reader, false,
				 "the secret's file has no absolute path; write for example {file: /etc/belfry/secrets/cronofy}");
	else
		take_file(reader, path, "file", path, false);
}

static bool is_variable_name(const char *name)
{
	static const char alphabet[] = "0123456789_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	return name[0] && (name[0] < '0' || name[0] > '9') && name[strspn(name, alphabet)] == '\0';
}

static void read_variable(struct secret_reader *reader)
{
	const char *value = is_variable_name(reader->node->text) ? getenv(reader->node->text) : NULL;
	if (!value) {
		complain(reader, false, "there is no environment variable of this name");
		return;
	}
	complain(reader, true, "a secret in the environment is for development: it shows in /proc; a file is safer");
	take(reader, span_text(value), "env", reader->node->text);
}

static void read_credential(struct secret_reader *reader)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY"), *name = reader->node->text;
	CLEANUP(free) char *path = NULL;
	if (!folder || folder[0] != '/') {
		complain(reader, false, "there are no credentials here: systemd's LoadCredential= provides them to a service");
		return;
	}
	if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		complain(reader, false, "this is not the name of a credential; write it as in LoadCredential=");
		return;
	}
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		reader->schema->failed = true;
		return;
	}
	take_file(reader, path, "credential", name, true);
}

static void read_literal(struct secret_reader *reader)
{
	const char *exposure = reader->node->file->exposure;
	if (exposure) {
		schema_complain(reader->schema, false, reader->option, reader->node,
						"a secret is written here, but %s %s; move it into a file of its own and write {file: ...}",
						reader->node->file->name, exposure);
		return;
	}
	complain(reader, true, "a secret is written here; it is safer in a file of its own: {file: ...}");
	take(reader, span_text(reader->node->text), "in", reader->node->file->name);
}

static const struct {
	const char *key;
	void (*read)(struct secret_reader *reader);
} forms[] = {
	{ "file", read_file },
	{ "env", read_variable },
	{ "credential", read_credential },
};

static void read_form(struct secret_reader *reader, const struct yaml_entry *entry)
{
	reader->node = entry->value;
	for (size_t i = 0; i < ARRAY_LENGTH(forms); i++)
		if (strcmp(entry->key->text, forms[i].key) == 0 && entry->value->kind == YAML_KIND_TEXT) {
			forms[i].read(reader);
			return;
		}
	reader->node = entry->key;
	if (entry->value->kind != YAML_KIND_BROKEN)
		complain(reader, false, "a secret is written as {file: /path}, {env: NAME} or {credential: NAME}");
}

static void read_secret(struct schema_reader *schema, const struct option *option, const struct yaml_node *node,
						void *field)
{
	struct secret_reader reader = { .schema = schema, .option = option, .node = node, .ret_secret = field };
	if (node->kind == YAML_KIND_TEXT)
		read_literal(&reader);
	else if (node->kind == YAML_KIND_MAP && node->n_entries == 1)
		read_form(&reader, &node->entries[0]);
	else if (node->kind == YAML_KIND_MAP)
		complain(&reader, false, "a secret has exactly one of file, env and credential");
	else
		schema_refuse_kind(schema, option, node);
}

static void release_secret(const struct option *option, void *field)
{
	struct secret *secret = field;
	(void)option;
	secret_wipe(secret->data, secret->n);
	free(secret->data);
	free(secret->origin);
	*secret = (struct secret){ 0 };
}

static void read_token_key(struct schema_reader *schema, const struct option *option, const struct yaml_node *node,
						   void *field)
{
	struct config_token_key *key = field;
	read_secret(schema, option, node, &key->bytes);
	if (asprintf(&key->where, "%s:%zu:%zu", node->file->name, node->line, node->column) < 0) {
		key->where = NULL;
		schema->failed = true;
	}
}

static void release_token_key(const struct option *option, void *field)
{
	struct config_token_key *key = field;
	release_secret(option, &key->bytes);
	free(key->where);
	key->where = NULL;
}

static void compare_secret(struct schema_comparer *comparer, const struct option *option, const void *before,
						   const void *after)
{
	const struct secret *old = before, *new = after;
	schema_found(comparer, option, span_equal(span_of(old->data, old->n), span_of(new->data, new->n)));
}

static void compare_token_key(struct schema_comparer *comparer, const struct option *option, const void *before,
							  const void *after)
{
	const struct config_token_key *old = before, *new = after;
	compare_secret(comparer, option, &old->bytes, &new->bytes);
}

const struct option_type option_secret = { .form = OPTION_FORM_SECRET,
										   .what = "a secret",
										   .read = read_secret,
										   .release = release_secret,
										   .compare = compare_secret };
const struct option_type option_token_key = { .form = OPTION_FORM_SECRET,
											  .what = "a secret",
											  .read = read_token_key,
											  .release = release_token_key,
											  .compare = compare_token_key };
