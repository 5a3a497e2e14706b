/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/invocation.h"

#include "base/nearest.h"
#include "cli/output.h"

#include <assert.h>
#include <errno.h>

const struct command_option global_options[] = {
	{ "config", "FILE", false, "The configuration; default $BELFRY_CONFIG, else " INVOCATION_DEFAULT_CONFIG "." },
	{ "json", NULL, false, "Results as JSON on stdout. Complaints stay lines on stderr." },
	{ "help", NULL, false, "What the command does, its options, and examples." },
	{ "version", NULL, false, "The version." },
	{ 0 },
};

/* What is left to read. */
struct words {
	char *const *next;
	size_t n;
	bool are_operands; /* "--" was seen */
};

static const struct command_option *find_in(const struct command_option *options, struct span name)
{
	for (; options && options->name; options++)
		if (span_equal(span_text(options->name), name))
			return options;
	return NULL;
}

static const struct command_option *find_option(const struct command *command, struct span name)
{
	const struct command_option *found = command ? find_in(command->options, name) : NULL;
	return found ? found : find_in(global_options, name);
}

static int refuse_option(const struct command *command, struct span name, struct buffer *message)
{
	struct nearest nearest = nearest_begin(name);
	for (const struct command_option *o = command ? command->options : NULL; o && o->name; o++)
		nearest_try(&nearest, o->name);
	for (const struct command_option *o = global_options; o->name; o++)
		nearest_try(&nearest, o->name);
	buffer_add_printf(message, "no option --%.*s", SPAN_PRINTF(name));
	if (command)
		buffer_add_printf(message, " for \"%s\"", command->name);
	if (nearest.name)
		buffer_add_printf(message, "; did you mean --%s?", nearest.name);
	return CLI_E_USAGE;
}

static int add_value(struct invocation *invocation, const struct command_option *option, const char *text,
					 struct buffer *message)
{
	if (!option->is_list)
		for (size_t i = 0; i < invocation->n_values; i++)
			if (invocation->values[i].option == option) {
				buffer_add_printf(message, "--%s stands twice; it takes one value", option->name);
				return CLI_E_USAGE;
			}
	invocation->values[invocation->n_values++] = (struct invocation_value){ option, text };
	return CLI_OK;
}

/* word: "name" or "name=value", without the dashes. */
static int take_option(struct invocation *invocation, const char *word, struct words *words, struct buffer *message)
{
	struct span value = span_text(word), name;
	(void)span_next(&value, '=', &name);
	const struct command_option *option = find_option(invocation->command, name);
	if (!option)
		return refuse_option(invocation->command, name, message);
	if (!option->argument) {
		if (!value.data)
			return add_value(invocation, option, NULL, message);
		buffer_add_printf(message, "--%s takes no value", option->name);
		return CLI_E_USAGE;
	}
	if (value.data) /* runs to the end of the word, so it is terminated */
		return add_value(invocation, option, value.data, message);
	if (words->n == 0) {
		buffer_add_printf(message, "--%s needs a value: --%s %s", option->name, option->name, option->argument);
		return CLI_E_USAGE;
	}
	words->n--;
	return add_value(invocation, option, *words->next++, message);
}

static int take_command(struct invocation *invocation, const struct command *const *known, const char *name,
						struct buffer *message)
{
	struct nearest nearest = nearest_begin(span_text(name));
	for (; *known; known++) {
		if (strcmp((*known)->name, name) == 0) {
			invocation->command = *known;
			return CLI_OK;
		}
		nearest_try(&nearest, (*known)->name);
	}
	buffer_add_printf(message, "no command \"%s\"; ", name);
	if (nearest.name)
		buffer_add_printf(message, "did you mean \"%s\"?", nearest.name);
	else
		buffer_add_text(message, "\"belfry help\" lists them");
	return CLI_E_USAGE;
}

static int take_operand(struct invocation *invocation, const char *word, struct buffer *message)
{
	if (invocation->n_operands < invocation->command->max_operands) {
		invocation->operands[invocation->n_operands++] = word;
		return CLI_OK;
	}
	buffer_add_printf(message, "\"%s\" is one word too many for \"%s\"", word, invocation->command->name);
	return CLI_E_USAGE;
}

static int take_word(struct invocation *invocation, const struct command *const *known, struct words *words,
					 struct buffer *message)
{
	const char *word = *words->next++;
	words->n--;
	if (!words->are_operands && strcmp(word, "--") == 0) {
		words->are_operands = true;
		return CLI_OK;
	}
	if (!words->are_operands && strcmp(word, "-h") == 0)
		word = "--help";
	if (!words->are_operands && word[0] == '-' && word[1] != '\0') {
		if (word[1] == '-')
			return take_option(invocation, word + 2, words, message);
		buffer_add_printf(message, "\"%s\" is no option: they begin with two dashes", word);
		return CLI_E_USAGE;
	}
	if (!invocation->command)
		return take_command(invocation, known, word, message);
	return take_operand(invocation, word, message);
}

int invocation_parse(const struct command *const *known, int argc, char *const *argv, struct invocation *ret_invocation,
					 struct buffer *message)
{
	struct words words = { .next = argv + (argc > 0), .n = argc > 0 ? (size_t)argc - 1 : 0 };
	*ret_invocation = (struct invocation){ .values = calloc(words.n + 1, sizeof *ret_invocation->values),
										   .operands = calloc(words.n + 1, sizeof *ret_invocation->operands) };
	if (!ret_invocation->values || !ret_invocation->operands)
		return -ENOMEM;
	while (words.n) {
		int r = take_word(ret_invocation, known, &words, message);
		if (r != CLI_OK)
			return r;
	}
	return message->failed ? -ENOMEM : CLI_OK;
}

void invocation_finish(struct invocation *invocation)
{
	free(invocation->values);
	free(invocation->operands);
	*invocation = (struct invocation){ 0 };
}

const char *invocation_value_at(const struct invocation *invocation, const char *name, size_t index)
{
	const struct command_option *option = find_option(invocation->command, span_text(name));
	assert(option);
	for (size_t i = 0; i < invocation->n_values; i++)
		if (invocation->values[i].option == option && index-- == 0)
			return invocation->values[i].text;
	return NULL;
}

size_t invocation_count(const struct invocation *invocation, const char *name)
{
	const struct command_option *option = find_option(invocation->command, span_text(name));
	assert(option);
	size_t n = 0;
	for (size_t i = 0; i < invocation->n_values; i++)
		n += invocation->values[i].option == option;
	return n;
}

bool invocation_has(const struct invocation *invocation, const char *name)
{
	return invocation_count(invocation, name) > 0;
}

bool invocation_is_json(const struct invocation *invocation)
{
	return invocation_has(invocation, "json");
}

const char *invocation_config_path(const struct invocation *invocation)
{
	const char *path = invocation_value(invocation, "config");
	if (!path)
		path = getenv("BELFRY_CONFIG");
	return path && *path ? path : INVOCATION_DEFAULT_CONFIG;
}

int invocation_u64(const struct invocation *invocation, const char *name, uint64_t min, uint64_t max,
				   uint64_t *ret_value)
{
	const char *text = invocation_value(invocation, name);
	uint64_t value;
	if (!text)
		return CLI_OK;
	if (!span_to_u64(span_text(text), max, &value) || value < min) {
		output_complain("--%s is \"%s\"; it takes a whole number from %llu to %llu", name, text,
						(unsigned long long)min, (unsigned long long)max);
		return CLI_E_USAGE;
	}
	*ret_value = value;
	return CLI_OK;
}

static bool parse_duration(struct span text, int64_t *ret_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	size_t n_digits = 0;
	uint64_t value;
	while (n_digits < text.n && text.data[n_digits] >= '0' && text.data[n_digits] <= '9')
		n_digits++;
	if (!span_to_u64(span_of(text.data, n_digits), 1000000000, &value))
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(units); i++)
		if (span_equal(span_skip(text, n_digits), span_text(units[i].unit))) {
			*ret_ms = (int64_t)value * units[i].ms;
			return true;
		}
	return false;
}

int invocation_duration_ms(const struct invocation *invocation, const char *name, int64_t *ret_ms)
{
	const char *text = invocation_value(invocation, name);
	if (!text || parse_duration(span_text(text), ret_ms))
		return CLI_OK;
	output_complain("--%s is \"%s\"; it takes a time, as 500ms, 90s, 15m, 1h, 7d", name, text);
	return CLI_E_USAGE;
}

int invocation_tag_at(const struct invocation *invocation, const char *name, size_t index, struct tag *ret_tag)
{
	struct tag tag;
	tag.value = span_text(invocation_value_at(invocation, name, index));
	if (!span_next(&tag.value, '=', &tag.name) || !tag.value.data || tag.name.n == 0) {
		output_complain("--%s takes NAME=VALUE, as in --%s user=42", name, name);
		return CLI_E_USAGE;
	}
	*ret_tag = tag;
	return CLI_OK;
}
