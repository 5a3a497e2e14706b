/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a small tree that knows where each piece stands. Nothing but yaml.c sees libyaml.
 *
 * Only the plain part of YAML is taken: maps, lists and text. Tags, anchors, aliases, merge keys, several documents, a
 * key twice, control characters, nesting deeper than YAML_MAX_DEPTH and files above YAML_MAX_BYTES are refused, each
 * with its place. Complaints of this module never quote the file: what is wrong may be a secret.
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "base/cleanup.h"
#include "base/span.h"
#include "config/complaint.h"

#define YAML_MAX_BYTES (1024u * 1024)
#define YAML_MAX_DEPTH 16
#define YAML_MAX_ENTRIES 4096 /* of one map or list */

enum yaml_kind {
	YAML_KIND_NOTHING, /* "key:" with nothing behind it, null, ~ */
	YAML_KIND_TEXT,
	YAML_KIND_LIST,
	YAML_KIND_MAP,
	YAML_KIND_BROKEN, /* was complained of already: to be passed over in silence */
};

/* Where a node stands. Outlives its nodes. */
struct yaml_file {
	const char *name;
	const char *exposure; /* why no secret may stand in it: "is open to everybody (mode 0644)"; NULL if it may */
};

struct yaml_entry {
	struct yaml_node *key; /* text; NULL in a list */
	struct yaml_node *value;
};

struct yaml_node {
	enum yaml_kind kind;
	bool is_quoted;
	const struct yaml_file *file;
	size_t line, column;        /* from 1 */
	char *text;                 /* YAML_KIND_TEXT: no control characters but line feed and tab, so no NUL; else NULL */
	struct yaml_entry *entries; /* list, map */
	size_t n_entries;
};

enum yaml_outcome { YAML_OK, YAML_E_INVALID };

/*
 * The tree of a text, now the caller's. An empty text is a node of YAML_KIND_NOTHING. *complaints may have grown also
 * on YAML_OK (a tag, a key twice: the rest could be read). YAML_E_INVALID when there is no tree; -ENOMEM.
 */
int yaml_read(const struct yaml_file *file, struct span text, struct complaints *complaints,
			  struct yaml_node **ret_root) MUST_USE;
/* Wipes all texts. NULL is fine. */
void yaml_node_destroy(struct yaml_node *node);
CLEANUP_DEFINE(struct yaml_node, yaml_node_destroy)

/* NULL if the node is NULL, no map, or has no such key. */
const struct yaml_entry *yaml_find(const struct yaml_node *map, const char *key);
/* The value of that entry; NULL if there is none. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/*
 * Moves what `from` has into `into`, map by map; `from` stays the caller's, to be destroyed and nothing else. A key
 * that both have is a complaint with both places, unless both values are maps. 0 or -ENOMEM.
 */
int yaml_merge(struct yaml_node *into, struct yaml_node *from, struct complaints *complaints) MUST_USE;

/* complaints_add() at the place of a node. */
#define yaml_complain(complaints, is_warning, node, ...) \
	complaints_add(complaints, is_warning, (node)->file->name, (node)->line, (node)->column, __VA_ARGS__)

#endif
