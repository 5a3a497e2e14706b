/* SPDX-License-Identifier: Apache-2.0 */
/* belfry journal check: a line for all that is wrong. */
#include "cli/command.h"
#include "cli/journal.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "store/check.h"

#include <errno.h>

struct checking {
	bool is_json;
	json_t *findings;
	int error; /* of the output */
};

static void on_finding(void *context, const char *sentence)
{
	struct checking *checking = context;
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	int r = 0;
	printable_add(&line, span_text(sentence));
	if (line.failed)
		r = -ENOMEM;
	else if (!checking->is_json)
		r = output_line(buffer_span(&line));
	else if (json_array_append_new(checking->findings, json_stringn(line.data, line.n)) < 0)
		r = -ENOMEM;
	if (r < 0)
		checking->error = r;
}

static int print_words(const struct inspection *inspection, const struct check *check)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (check->n_findings) {
		output_complain("%s: %llu findings", inspection->file.path, (unsigned long long)check->n_findings);
		return CLI_OK;
	}
	buffer_add_printf(&line, "OK: %llu events", (unsigned long long)check->n_events);
	if (inspection->oldest <= inspection->head)
		buffer_add_printf(&line, " from %s-%llu to %s-%llu", inspection->state.epoch,
						  (unsigned long long)inspection->oldest, inspection->state.epoch,
						  (unsigned long long)inspection->head);
	buffer_add_printf(&line, ", %llu deliveries, %llu attempts", (unsigned long long)check->n_deliveries,
					  (unsigned long long)check->n_attempts);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

static int print_json(const struct inspection *inspection, const struct check *check, json_t *findings)
{
	return output_json_new(json_pack("{s:b, s:s, s:I, s:I, s:I, s:O}", "ok", check->n_findings == 0, "file",
									 inspection->file.path, "events", (json_int_t)check->n_events, "deliveries",
									 (json_int_t)check->n_deliveries, "attempts", (json_int_t)check->n_attempts,
									 "findings", findings));
}

int journal_check(const struct invocation *invocation)
{
	CLEANUP(inspection_close) struct inspection *inspection = NULL;
	int r = journal_inspect(invocation, &inspection);
	if (r != CLI_OK)
		return r;
	struct checking checking = { .is_json = invocation_is_json(invocation), .findings = json_array() };
	struct check check = { .on_finding = on_finding, .context = &checking };
	r = check_run(inspection, &check);
	if (r == 0)
		r = checking.error;
	if (r == 0)
		r = checking.is_json ? print_json(inspection, &check, checking.findings) : print_words(inspection, &check);
	json_decref(checking.findings);
	return r != CLI_OK ? r : check.n_findings ? CLI_E_NOT_SO : CLI_OK;
}
