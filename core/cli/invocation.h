/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of a command line, sorted by the tables of the commands.
 *
 *     belfry [GLOBAL OPTION]... COMMAND [OPTION | OPERAND]...
 *
 * Options are written --name VALUE or --name=VALUE; global ones may also stand behind the command; "--" ends them. An
 * option that the command does not know, or one given twice that is no list, is refused with the nearest known name.
 */
#ifndef CLI_INVOCATION_H
#define CLI_INVOCATION_H

#include "base/buffer.h"
#include "cli/command.h"
#include "wire/event.h"

#define INVOCATION_DEFAULT_CONFIG "/etc/belfry/belfry.yaml"

/* --config, --json, --help, --version; ends with a row without a name. */
extern const struct command_option global_options[];

struct invocation_value {
	const struct command_option *option;
	const char *text; /* NULL for a switch */
};

/* Texts are those of argv. */
struct invocation {
	const struct command *command; /* NULL if none was named */
	struct invocation_value *values;
	size_t n_values;
	const char **operands;
	size_t n_operands;
};

/* CLI_OK; CLI_E_USAGE with a sentence in `message`; -ENOMEM. The caller finishes the invocation in every case. */
int invocation_parse(const struct command *const *known, int argc, char *const *argv, struct invocation *ret_invocation,
					 struct buffer *message) MUST_USE;
void invocation_finish(struct invocation *invocation);
static inline void invocation_finish_cleanup(struct invocation *invocation)
{
	invocation_finish(invocation);
}

/* Asking for a name that neither the command nor the global table has is a bug, and asserted. */
bool invocation_has(const struct invocation *invocation, const char *name);
size_t invocation_count(const struct invocation *invocation, const char *name);
/* NULL if there are not so many. */
const char *invocation_value_at(const struct invocation *invocation, const char *name, size_t index);
static inline const char *invocation_value(const struct invocation *invocation, const char *name)
{
	return invocation_value_at(invocation, name, 0);
}
bool invocation_is_json(const struct invocation *invocation);
/* --config, else BELFRY_CONFIG, else the default. */
const char *invocation_config_path(const struct invocation *invocation);

/*
 * Typed values. CLI_OK with the value, or with *ret_x untouched if the option was not given; CLI_E_USAGE, told, if it
 * is not what it should be.
 */
int invocation_u64(const struct invocation *invocation, const char *name, uint64_t min, uint64_t max,
				   uint64_t *ret_value) MUST_USE;
/* "90s", "15m", "1h", "7d", "500ms"; a bare number is seconds. */
int invocation_duration_ms(const struct invocation *invocation, const char *name, int64_t *ret_ms) MUST_USE;
/* "name=value"; index < invocation_count(). */
int invocation_tag_at(const struct invocation *invocation, const char *name, size_t index,
					  struct tag *ret_tag) MUST_USE;

#endif
