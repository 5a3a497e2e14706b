/* SPDX-License-Identifier: Apache-2.0 */
/* belfry journal: looking after the file that everything is kept in. */
#include "cli/journal.h"

#include "cli/command.h"
#include "cli/operator.h"
#include "cli/output.h"

#include <errno.h>

int journal_refuse(int error, char *message)
{
	if (message)
		output_complain("%s", message);
	else if (error != -ENOMEM)
		output_complain("the journal cannot be used: %s", strerrordesc_np(-error));
	bool is_told = message != NULL;
	free(message);
	return is_told || error != -ENOMEM ? CLI_E_IO : error;
}

int journal_find(const struct invocation *invocation, char **ret_path)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	const char *named = invocation_value(invocation, "journal");
	int r = named ? CLI_OK : setup_config(invocation, &config);
	if (r != CLI_OK)
		return r;
	*ret_path = strdup(named ? named : config->journal.path);
	return *ret_path ? CLI_OK : -ENOMEM;
}

int journal_inspect(const struct invocation *invocation, struct inspection **ret_inspection)
{
	CLEANUP(free) char *path = NULL;
	char *message = NULL;
	int r = journal_find(invocation, &path);
	if (r != CLI_OK)
		return r;
	r = inspection_open(path, ret_inspection, &message);
	return r < 0 ? journal_refuse(r, message) : CLI_OK;
}

#define MAX_FILES 64

static const struct {
	const char *name;
	size_t min_files, max_files;
	int (*run)(const struct invocation *invocation);
	const char *usage;
} words[] = {
	{ "check", 0, 0, journal_check, "belfry journal check" },
	{ "export", 0, 0, journal_export, "belfry journal export" },
	{ "import", 1, MAX_FILES, journal_import, "belfry journal import FILE..." },
	{ "backup", 1, 1, journal_backup, "belfry journal backup FILE" },
	{ "erase", 0, 0, journal_erase, "belfry journal erase --tag NAME=VALUE | --event-id ID" },
};

static int run(const struct invocation *invocation)
{
	const char *word = invocation->n_operands ? invocation->operands[0] : "";
	for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
		if (strcmp(word, words[i].name) != 0)
			continue;
		size_t n_files = invocation->n_operands - 1;
		if (n_files >= words[i].min_files && n_files <= words[i].max_files)
			return words[i].run(invocation);
		output_complain("usage: %s", words[i].usage);
		return CLI_E_USAGE;
	}
	output_complain("journal what? check, export, import, backup or erase; \"belfry help journal\" says more");
	return CLI_E_USAGE;
}

static const struct command_option options[] = {
	{ "journal", "FILE", false, "The journal's file, if it is not the configuration's: a backup, say." },
	{ "interaction", "TYPE", true, "export: only this type; a star at the end stands for any rest." },
	{ "subtype", "NAME", true, "export: only this subtype." },
	{ "source", "NAME", true, "export: only from this source." },
	{ "event-id", "ID", true, "export, erase: only about this event." },
	{ "tag", "NAME=VALUE", true, "export, erase: only with this tag." },
	{ "after", "POSITION", false, "export: only what is behind this position." },
	{ "until", "POSITION", false, "export: only up to this position." },
	{ "deliveries", NULL, false, "export: with what handlers were owed, and each of their attempts." },
	{ "owed", NULL, false, "import: what was still owed when it was exported (with --deliveries) is owed again." },
	OPERATOR_OPTIONS,
	{ 0 },
};

const struct command command_journal = {
	.name = "journal",
	.summary = "check, save, restore the journal, and erase from it",
	.operands = "check | export | import FILE... | backup FILE | erase",
	.description =
		"\"check\" finds all that is wrong with the file: records, index, deliveries, and what SQLite says. "
		"\"export\" writes every event as a line of JSON, with its body as it came; what handlers keep for themselves "
		"is never exported. \"backup\" makes a copy, which is a journal of its own. These three only read, also beside "
		"a gateway that runs, as a user who may read the file.\n\n"
		"To restore a backup, stop the gateway, move the journal's file away, and that of the same name with -wal "
		"behind "
		"it, too, put the backup in its place, and start. Its positions get a new epoch: nobody takes one of them for "
		"another event.\n\n"
		"\"import\" makes a new journal of exported files, whole or not at all: in their order, nothing twice, with "
		"positions of its own. Nothing is owed to handlers but with --owed.\n\n"
		"\"erase\" removes for good what the journal has of all events that match every option: bodies, ids, tags, "
		"what handlers said of them, what subscribers were told of that. Their positions stay, empty; what is still "
		"owed "
		"for them is dead. A gateway that runs is asked at its admin socket or address; else it is done in the file. "
		"Backups "
		"and "
		"exports are files of their own, and keep what they have.\n\n"
		"The exit status is 1 if something was found, left out or not there.",
	.examples = "belfry journal check\n"
				"belfry journal backup /var/backups/belfry-$(date +%F).db\n"
				"belfry journal export --tag user=42 --deliveries > user-42.jsonl\n"
				"belfry journal erase --tag user=42\n"
				"belfry journal --journal new.db import user-42.jsonl",
	.options = options,
	.max_operands = 1 + MAX_FILES,
	.run = run,
};
