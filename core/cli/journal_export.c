/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry journal export: an event a line.
 *
 *     {"position":…,"received_at":…,"kind":"callback","source":…,"event_id":…,"interactions":[…],"tags":{…},"body":…}
 *
 * The body is a string, so that every byte of it is as it came; one that is no UTF-8 is "body_base64". Where it is
 * malformed, "malformed" says why. journal_import.c reads the same.
 */
#include "base/clock.h"
#include "cli/command.h"
#include "cli/journal.h"
#include "cli/output.h"
#include "wire/filter.h"

#include <errno.h>
#include <stdio.h>

struct exporting {
	const struct invocation *invocation;
	struct inspection *inspection;
	struct filter filter;
	bool has_filter, has_deliveries;
	uint64_t after, until;
	uint64_t n_damaged;
	struct buffer line;
};

static void exporting_finish(struct exporting *exporting)
{
	inspection_close(exporting->inspection);
	filter_finish(&exporting->filter);
	buffer_finish(&exporting->line);
}

static void exporting_finish_cleanup(struct exporting *exporting)
{
	exporting_finish(exporting);
}

/* --- a line ------------------------------------------------------------------------------------------------------- */

static void add_time(struct buffer *line, const char *key, int64_t ms)
{
	char text[CLOCK_TEXT_SIZE];
	clock_format(ms, text);
	buffer_add_printf(line, ",\"%s\":\"%s\"", key, text);
}

static void add_body(struct buffer *line, struct span body)
{
	if (span_is_utf8(body)) {
		buffer_add_json_member(line, "body", body);
		return;
	}
	buffer_add_text(line, ",\"body_base64\":\"");
	base64_add(line, body.data, body.n);
	buffer_add_char(line, '"');
}

static void add_event(struct buffer *line, const char *epoch, uint64_t sequence, const struct event *event)
{
	bool is_erased = event_is_erased(event);
	buffer_add_printf(line, "{\"position\":\"%s-%llu\"", epoch, (unsigned long long)sequence);
	add_time(line, "received_at", event->received_ms);
	buffer_add_printf(line, ",\"kind\":\"%s\"", is_erased ? "erased" : event_kinds[event->kind]);
	buffer_add_json_member(line, "source", event->source);
	if (is_erased)
		return;
	buffer_add_json_member(line, "event_id", event->event_id);
	buffer_add_text(line, ",\"interactions\":");
	event_add_interactions(line, event);
	buffer_add_text(line, ",\"tags\":");
	event_add_tags(line, event);
	if (event->kind == EVENT_MALFORMED)
		buffer_add_json_member(line, "malformed", event->malformed);
	if (event->traceparent.n)
		buffer_add_json_member(line, "traceparent", event->traceparent);
	add_body(line, event->body);
}

static int add_attempt(void *context, const struct attempt *attempt)
{
	struct buffer *line = context;
	buffer_add_text(line, line->data[line->n - 1] == '[' ? "" : ",");
	buffer_add_printf(line, "{\"outcome\":\"%s\",\"duration_ms\":%lld", attempt_outcomes[attempt->outcome],
					  (long long)attempt->duration_ms);
	add_time(line, "started_at", attempt->started_ms);
	buffer_add_json_member(line, "reason", attempt->reason);
	buffer_add_char(line, '}');
	return line->failed ? -ENOMEM : 0;
}

static int add_delivery(void *context, const struct delivery *delivery, bool is_damaged)
{
	struct exporting *exporting = context;
	struct buffer *line = &exporting->line;
	buffer_add_text(line, line->data[line->n - 1] == '[' ? "" : ",");
	buffer_add_printf(line, "{\"index\":%lld", (long long)delivery->interaction);
	buffer_add_json_member(line, "handler", delivery->handler);
	buffer_add_json_member(line, "state", is_damaged ? SPAN("damaged") : span_text(delivery_states[delivery->state]));
	add_time(line, "owed_since", delivery->owed_ms);
	buffer_add_text(line, ",\"attempts\":[");
	int r = line->failed ? -ENOMEM : inspection_attempts(exporting->inspection, delivery, add_attempt, line);
	buffer_add_text(line, "]}");
	return r;
}

static int write_event(struct exporting *exporting, uint64_t sequence, const struct event *event)
{
	struct buffer *line = &exporting->line;
	int r = 0;
	line->n = 0;
	add_event(line, exporting->inspection->state.epoch, sequence, event);
	if (exporting->has_deliveries) {
		buffer_add_text(line, ",\"deliveries\":[");
		r = line->failed ? -ENOMEM : inspection_deliveries(exporting->inspection, sequence, add_delivery, exporting);
		buffer_add_char(line, ']');
	}
	buffer_add_text(line, "}\n");
	if (r < 0 || line->failed)
		return r < 0 ? r : -ENOMEM;
	errno = 0;
	return fwrite(line->data, 1, line->n, stdout) == line->n ? 0 : errno ? -errno : -EIO;
}

/* --- which -------------------------------------------------------------------------------------------------------- */

static int read_position(const struct exporting *exporting, const char *name, uint64_t *ret_sequence)
{
	const char *text = invocation_value(exporting->invocation, name);
	struct position position;
	if (!text)
		return CLI_OK;
	if (!position_parse(span_text(text), &position) ||
		strcmp(position.epoch, exporting->inspection->state.epoch) != 0) {
		output_complain("--%s %s: no position of this journal, whose epoch is \"%s\"", name, text,
						exporting->inspection->state.epoch);
		return CLI_E_USAGE;
	}
	*ret_sequence = position.sequence;
	return CLI_OK;
}

static int prepare(struct exporting *exporting)
{
	const struct invocation *invocation = exporting->invocation;
	int r = journal_inspect(invocation, &exporting->inspection);
	if (r == CLI_OK)
		r = setup_filter(invocation, &exporting->filter, &exporting->has_filter);
	if (r != CLI_OK)
		return r;
	exporting->has_deliveries = invocation_has(invocation, "deliveries");
	exporting->until = exporting->inspection->head;
	r = read_position(exporting, "after", &exporting->after);
	return r == CLI_OK ? read_position(exporting, "until", &exporting->until) : r;
}

static int export_one(struct exporting *exporting, uint64_t sequence)
{
	CLEANUP(event_unref) struct event *event = NULL;
	int r = inspection_event(exporting->inspection, sequence, &event);
	exporting->n_damaged += r == -EBADMSG;
	if (r < 0)
		return r == -EBADMSG || r == -ENOENT ? 0 : r;
	if (exporting->has_filter && !filter_matches(&exporting->filter, event))
		return 0;
	return write_event(exporting, sequence, event);
}

static int export_all(struct exporting *exporting)
{
	uint64_t sequence = exporting->after;
	int r;
	while ((r = inspection_next(exporting->inspection, sequence, &sequence)) == 0 && sequence <= exporting->until) {
		r = export_one(exporting, sequence);
		if (r < 0)
			return r;
	}
	errno = 0;
	if (fflush(stdout) != 0)
		return errno ? -errno : -EIO;
	return r == -ENODATA ? 0 : r;
}

int journal_export(const struct invocation *invocation)
{
	CLEANUP(exporting_finish) struct exporting exporting = { .invocation = invocation };
	filter_init(&exporting.filter);
	int r = prepare(&exporting);
	if (r == CLI_OK)
		r = export_all(&exporting);
	if (r == CLI_OK && exporting.n_damaged) {
		output_complain("%llu events are damaged and were left out; belfry journal check says which",
						(unsigned long long)exporting.n_damaged);
		return CLI_E_NOT_SO;
	}
	return r;
}
