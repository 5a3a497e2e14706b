/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A schema is data: tables of options. One walk over a YAML map and such a table finds unknown and missing keys, reads
 * every value by the function of its type, and fills in defaults, which are written as they would be in YAML and go the
 * same way. The tables of the daemon's own configuration are in options.c.
 *
 * Whatever is wrong becomes a complaint, and the walk goes on. Quotes make no difference to a value: "8" is 8.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "base/buffer.h"
#include "config/complaint.h"
#include "config/value.h"
#include "config/yaml.h"

struct option;

struct schema_reader {
	struct complaints *complaints;
	bool failed; /* out of memory */
};

/* What a value looks like in YAML, for whoever describes the tables (manual/). */
enum option_form {
	OPTION_FORM_TEXT,
	OPTION_FORM_BOOLEAN,
	OPTION_FORM_NUMBER,
	OPTION_FORM_CHOICE,
	OPTION_FORM_SECRET, /* text, or a map that says where it is */
	OPTION_FORM_GROUP,
	OPTION_FORM_LIST,
	OPTION_FORM_NAMED,  /* a map from names to what the entries are */
	OPTION_FORM_OTHERS, /* a map that these tables do not describe */
};

struct schema_comparer;

struct option_type {
	enum option_form form;
	const char *what; /* completes "write ...": "a duration" */
	/* Writes *field, or complains. The node is neither NULL nor broken. */
	void (*read)(struct schema_reader *reader, const struct option *option, const struct yaml_node *node, void *field);
	void (*release)(const struct option *option, void *field); /* NULL: owns nothing */
	/* Tells the comparer what is different. NULL: nothing of it is kept in a field. */
	void (*compare)(struct schema_comparer *comparer, const struct option *option, const void *before,
					const void *after);
	/* Appends the value as JSON. NULL: as its form says. */
	void (*write)(struct buffer *json, const void *field);
	const char *(*check)(struct span text); /* of text, and of the names in a map: see value.h */
	const struct value_unit *units;         /* of numbers */
	const char *before, *after;             /* what an entry's example stands between */
	size_t value_offset;                    /* of what a name stands for, in an entry of a map */
	const char *pattern; /* a regular expression (ECMA-262) that text, or a map's names, meet: what editors know of
						  * `check`. NULL: any */
	const char *const *(*names)(void); /* words to choose from, where rows have none of their own */
	const struct option *row;          /* such a value is what this row says ... */
	bool is_text_too;                  /* ... or just text */
};

struct option {
	const char *key; /* NULL ends a table */
	const struct option_type *type;
	size_t offset;        /* of the field in the object that the table describes */
	const char *fallback; /* as in YAML; NULL: zero */
	const char *example;  /* for complaints; NULL: the fallback. Of lists and maps of values: an entry */
	const char *help;     /* one line: completes "KEY: ..." */
	bool is_required;
	bool needs_restart;              /* nobody can change it in a gateway that runs */
	uint64_t least, most;            /* numbers (most INT64_MAX: any); entries of a list or a map */
	const char *word;                /* a number may also be this word, which means 0 ("auto") */
	const char *const *names;        /* words to choose from, ended by NULL */
	const struct option *options;    /* groups, and the entries of lists and maps that are maps themselves */
	const struct option_type *entry; /* lists and maps: the type of an entry ... */
	size_t entry_bytes;              /* ... its size ... */
	size_t count_offset;             /* ... and where the number of entries goes, from the same base as offset */
};

/* Fields: char * */
extern const struct option_type option_text, option_lines, option_path, option_request_path, option_url,
	option_public_url, option_origin, option_host;
/* bool */
extern const struct option_type option_boolean;
/* uint64_t; or int64_t in milliseconds */
extern const struct option_type option_integer, option_duration, option_size;
/* int or an enum: which of option->names */
extern const struct option_type option_choice;
/* A map whose keys are those of option->options. The field is whatever its table counts offsets from. */
extern const struct option_type option_group;
/* A pointer to option->entry_bytes times the number of entries. */
extern const struct option_type option_list;
/* The same for a map from names to whatever option->entry reads. An entry begins with its name, a char *. */
extern const struct option_type option_named;
/* For a map from names, of any characters, to values, which stand behind the name. */
extern const struct option_type option_map;

/* Reads the map into the zeroed object. NULL or a map left empty: defaults only. 0 or -ENOMEM; look at the complaints.
 */
int schema_read(const struct option *options, const struct yaml_node *map, struct complaints *complaints,
				void *ret_object) MUST_USE;
/* Releases what schema_read() put into the object, also in part. */
void schema_release(const struct option *options, void *object);

enum schema_change { SCHEMA_CHANGED, SCHEMA_ADDED, SCHEMA_REMOVED };

struct schema_comparer {
	struct buffer path; /* of what is being compared, from the top: "sources.cronofy.secrets" */
	/* What is there is not as it was. */
	void (*found)(struct schema_comparer *comparer, enum schema_change change, bool needs_restart);
};

/* Compares two objects that schema_read() has filled. Look at path.failed. */
void schema_compare(const struct option *options, const void *before, const void *after,
					struct schema_comparer *comparer);

/* --- for those who write types, or describe rows --- */

/* "KEY: message" at the place of the node. */
void schema_complain(struct schema_reader *reader, bool is_warning, const struct option *option,
					 const struct yaml_node *node, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* "KEY: found a list; write a duration from 5s to 5m, for example 25s" */
void schema_refuse_kind(struct schema_reader *reader, const struct option *option, const struct yaml_node *node);
/* "KEY: "25" PROBLEM; write a duration from 5s to 5m, for example 25s". Quotes the text: never for a secret. */
void schema_refuse_text(struct schema_reader *reader, const struct option *option, const struct yaml_node *node,
						const char *problem);
/* The words to choose from, ended by NULL; NULL: there are none. */
const char *const *schema_names(const struct option *option);
/* "off or a whole number from 1 to 1000" */
void schema_add_kind(struct buffer *b, const struct option *option);
/* What one entry of a list or a map is, in the words of an option. */
struct option schema_entry(const struct option *option);
/* The field of an object, for those who only look at it. */
static inline const void *schema_field(const void *object, size_t offset)
{
	return (const char *)object + offset;
}
/* How many entries the list or map in the field has, and the i-th of them. */
size_t schema_count(const struct option *option, const void *field);
const void *schema_entry_at(const struct option *option, const void *field, size_t i);
/* For option_type::write: text, or null. */
void schema_write_text(struct buffer *json, const char *text);
/* For option_type::compare. */
static inline void schema_found(struct schema_comparer *comparer, const struct option *option, bool is_same)
{
	if (!is_same)
		comparer->found(comparer, SCHEMA_CHANGED, option->needs_restart);
}
/* A copy, or NULL with reader->failed. */
char *schema_copy(struct schema_reader *reader, const char *text);

#endif
