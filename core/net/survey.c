/* SPDX-License-Identifier: Apache-2.0 */
#include "net/survey.h"

/* A reactor that does not come to its inbox for so long hangs. */
#define PATIENCE_MS 2000

struct survey_note {
	struct note note; /* first */
	struct survey *survey;
	size_t index; /* of the reactor that is asked */
	bool is_back;
};

static struct survey *survey_of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct survey, exchange);
}

/* --- on the reactor that is asked --------------------------------------------------------------------------------- */

const char *const survey_states[] = { [REPORT_LIVE] = "live", [REPORT_BEHIND] = "behind", [REPORT_IDLE] = "idle" };
const char *const survey_transports[] = { [SUBSCRIBER_WEBSOCKET] = "websocket", [SUBSCRIBER_STREAM] = "stream" };

enum report_state survey_state(const struct subscriber *subscriber)
{
	if (subscriber->member.state == MEMBER_OUTSIDE)
		return REPORT_IDLE;
	return subscriber->member.state == MEMBER_LIVE ? REPORT_LIVE : REPORT_BEHIND;
}

uint64_t survey_lag(const struct reactor *reactor, const struct subscriber *subscriber)
{
	uint64_t head = hub_head(reactor->hub), position = hub_position(reactor->hub, &subscriber->member);
	return head > position ? head - position : 0;
}

static void count_subscribers(const struct reactor *reactor, struct report *report)
{
	for (const struct connection *c = reactor->connections; c; c = c->next) {
		if (!c->subscriber)
			continue;
		uint64_t lag = survey_lag(reactor, c->subscriber);
		report->n_subscribers[c->subscriber->kind][survey_state(c->subscriber)]++;
		report->lag = lag > report->lag ? lag : report->lag;
	}
}

void survey_report(struct survey *survey, const struct reactor *reactor, size_t i)
{
	struct report *report = &survey->reports[i];
	report->counters = reactor->counters;
	const struct config *config = exchange_config(&survey->exchange);
	for (size_t k = 0; k < config->n_sources; k++) {
		const struct tally *tally = tally_find(reactor->tallies, config->sources[k].name);
		if (tally) /* else it is on its way to this reactor */
			report->sources[k] = tally->counters;
	}
	report->n_pending = reactor->n_pending;
	report->n_delivered = hub_delivered(reactor->hub);
	report->n_delivered_bytes = hub_delivered_bytes(reactor->hub);
	report->n_ring_bytes = hub_ring_bytes(reactor->hub);
	report->head = hub_head(reactor->hub);
	count_subscribers(reactor, report);
}

/* --- on the one that asks ----------------------------------------------------------------------------------------- */

static void on_back(struct reactor *reactor, struct note *note)
{
	struct survey_note *answer = CONTAINER_OF(note, struct survey_note, note);
	struct survey *survey = answer->survey;
	(void)reactor;
	answer->is_back = true;
	if (--survey->n_left)
		return;
	survey->exchange.is_held = false;
	if (survey->exchange.connection)
		survey->conclude(survey);
	else
		exchange_free(&survey->exchange);
}

static void on_asked(struct reactor *reactor, struct note *note)
{
	struct survey_note *question = CONTAINER_OF(note, struct survey_note, note);
	if (question->survey->look)
		question->survey->look(question->survey, reactor, question->index);
	note->run = on_back;
	reactor_post(question->survey->exchange.reactor, note);
}

static bool make_notes(struct survey *survey, const struct gateway *gateway)
{
	survey->n_notes = gateway->n_reactors;
	survey->notes = calloc(survey->n_notes, sizeof *survey->notes);
	for (size_t i = 0; survey->notes && i < survey->n_notes; i++)
		survey->notes[i] = (struct survey_note){ { .run = on_asked }, survey, i, false };
	return survey->notes;
}

static bool make_reports(struct survey *survey)
{
	size_t n_sources = exchange_config(&survey->exchange)->n_sources;
	survey->reports = calloc(survey->n_notes, sizeof *survey->reports);
	bool is_made = survey->reports;
	for (size_t i = 0; is_made && i < survey->n_notes; i++) {
		survey->reports[i].sources = calloc(n_sources, sizeof *survey->reports[i].sources);
		is_made = survey->reports[i].sources;
	}
	return is_made;
}

void survey_start(struct exchange *exchange, survey_look *look, void (*conclude)(struct survey *survey))
{
	struct survey *survey = survey_of(exchange);
	struct gateway *gateway = exchange->reactor->gateway;
	survey->look = look;
	survey->conclude = conclude;
	if (!make_notes(survey, gateway) || (look == survey_report && !make_reports(survey))) {
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", NULL);
		return;
	}
	exchange->is_held = true;
	survey->n_left = survey->n_notes;
	connection_set_deadline(exchange->connection, PATIENCE_MS);
	for (size_t i = 0; i < survey->n_notes; i++)
		reactor_post(gateway->reactors[i], &survey->notes[i].note);
}

void survey_expire(struct exchange *exchange)
{
	const struct survey *survey = survey_of(exchange);
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	buffer_add_text(&text, "does not respond: reactor");
	for (size_t i = 0; i < survey->n_notes; i++)
		if (!survey->notes[i].is_back)
			buffer_add_printf(&text, " %zu", i);
	buffer_add_char(&text, '\n');
	connection_answer(
		exchange->connection,
		&(struct answer){ .status = 503, .content_type = "text/plain; charset=utf-8", .body = buffer_span(&text) });
}

void survey_release(struct exchange *exchange)
{
	struct survey *survey = survey_of(exchange);
	for (size_t i = 0; survey->reports && i < survey->n_notes; i++)
		free(survey->reports[i].sources);
	free(survey->reports);
	free(survey->notes);
}
