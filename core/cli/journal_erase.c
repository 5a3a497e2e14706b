/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry journal erase: people's data goes for good.
 *
 * A gateway that runs does it itself, asked at its administrator's side; otherwise it is done in the file. What is in a
 * handler's hands, or still in a log that somebody reads from, is asked for again until it is over.
 */
#include "cli/command.h"
#include "cli/journal.h"
#include "cli/operator.h"
#include "cli/output.h"
#include "store/erasure.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

struct erasing {
	const struct invocation *invocation;
	struct filter filter;
	char *path; /* NULL: --url says whom to ask */
	struct erasure_tally tally;
	bool has_waited;
};

static void erasing_finish(struct erasing *erasing)
{
	filter_finish(&erasing->filter);
	free(erasing->path);
}

static void erasing_finish_cleanup(struct erasing *erasing)
{
	erasing_finish(erasing);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

static void add_query(struct buffer *query, const struct invocation *invocation)
{
	const char *id;
	for (size_t i = 0; (id = invocation_value_at(invocation, "event-id", i)); i++) {
		buffer_add_text(query, i ? "," : "&event_ids=");
		buffer_add_percent_encoded(query, span_text(id));
	}
	for (size_t i = 0; i < invocation_count(invocation, "tag"); i++) {
		struct tag tag;
		if (invocation_tag_at(invocation, "tag", i, &tag) != CLI_OK) /* it has been read before */
			continue;
		buffer_add_text(query, "&tags.");
		buffer_add_percent_encoded(query, tag.name);
		buffer_add_char(query, '=');
		buffer_add_percent_encoded(query, tag.value);
	}
}

static uint64_t number_at(const json_t *answer, const char *key)
{
	json_int_t number = json_integer_value(json_object_get(answer, key));
	return number > 0 ? (uint64_t)number : 0;
}

/* Once. *ret_is_over: nothing is left. */
static int ask(struct erasing *erasing, struct span query, bool *ret_is_over)
{
	json_t *answer = NULL;
	int r = operator_ask(erasing->invocation, "/journal/erase", query, true, &answer);
	if (r != CLI_OK)
		return r;
	erasing->tally.n_events += number_at(answer, "events");
	erasing->tally.n_deliveries += number_at(answer, "deliveries");
	erasing->tally.n_attempts += number_at(answer, "attempts");
	erasing->tally.n_in_hand = number_at(answer, "in_hand");
	bool is_log_read = json_is_true(json_object_get(answer, "log_is_read"));
	json_decref(answer);
	*ret_is_over = !erasing->tally.n_in_hand && !is_log_read;
	if (*ret_is_over || erasing->has_waited)
		return CLI_OK;
	erasing->has_waited = true;
	if (erasing->tally.n_in_hand)
		output_complain("%llu events are in handlers' hands: waiting for the end of these attempts",
						(unsigned long long)erasing->tally.n_in_hand);
	else
		output_complain("somebody reads from the journal's log, which cannot be emptied before: waiting");
	return CLI_OK;
}

static int ask_until_over(struct erasing *erasing)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	bool is_over = false;
	add_query(&query, erasing->invocation);
	if (query.failed)
		return -ENOMEM;
	int r = ask(erasing, buffer_span(&query), &is_over);
	while (r == CLI_OK && !is_over) {
		(void)nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
		r = ask(erasing, buffer_span(&query), &is_over);
	}
	return r;
}

/* --- in the file -------------------------------------------------------------------------------------------------- */

/* Whoever may not write the file may still ask the gateway that does. */
static int erase(struct erasing *erasing)
{
	struct stat status;
	char *message = NULL;
	if (!erasing->path)
		return ask_until_over(erasing);
	if (stat(erasing->path, &status) < 0 && errno == ENOENT) {
		output_complain("there is no journal at %s", erasing->path);
		return CLI_E_IO;
	}
	if (access(erasing->path, R_OK | W_OK) < 0 || status.st_uid != geteuid())
		return ask_until_over(erasing);
	int r = erasure_run_file(erasing->path, &erasing->filter, &erasing->tally, &message);
	if (r == -EBUSY && !invocation_has(erasing->invocation, "journal")) {
		free(message);
		return ask_until_over(erasing);
	}
	return r < 0 ? journal_refuse(r, message) : CLI_OK;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int print(const struct invocation *invocation, const struct erasure_tally *tally)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (invocation_is_json(invocation))
		return output_json_new(json_pack("{s:I, s:I, s:I}", "events", (json_int_t)tally->n_events, "deliveries",
										 (json_int_t)tally->n_deliveries, "attempts", (json_int_t)tally->n_attempts));
	buffer_add_printf(&line,
					  "erased: %llu events, the reasons of %llu attempts; %llu deliveries that were owed are dead",
					  (unsigned long long)tally->n_events, (unsigned long long)tally->n_attempts,
					  (unsigned long long)tally->n_deliveries);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static int prepare(struct erasing *erasing)
{
	const struct invocation *invocation = erasing->invocation;
	bool is_given = false;
	if (invocation_has(invocation, "interaction") || invocation_has(invocation, "subtype") ||
		invocation_has(invocation, "source")) {
		output_complain("erase knows --tag and --event-id alone");
		return CLI_E_USAGE;
	}
	int r = setup_filter(invocation, &erasing->filter, &is_given);
	if (r == CLI_OK && !is_given) {
		output_complain("erase what? --tag NAME=VALUE, --event-id ID, or both");
		return CLI_E_USAGE;
	}
	return r == CLI_OK && !invocation_has(invocation, "url") ? journal_find(invocation, &erasing->path) : r;
}

int journal_erase(const struct invocation *invocation)
{
	CLEANUP(erasing_finish) struct erasing erasing = { .invocation = invocation };
	filter_init(&erasing.filter);
	int r = prepare(&erasing);
	if (r == CLI_OK)
		r = erase(&erasing);
	if (r == CLI_OK)
		r = print(invocation, &erasing.tally);
	return r == CLI_OK && erasing.tally.n_events == 0 ? CLI_E_NOT_SO : r;
}
