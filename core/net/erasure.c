/* SPDX-License-Identifier: Apache-2.0 */
#include "net/erasure.h"

#include "base/log.h"
#include "net/operator.h"
#include "net/rights.h"
#include "store/erasure.h"
#include "wire/message.h"

#include <errno.h>

struct erasure_exchange {
	struct exchange exchange; /* first */
	struct message message;   /* its one filter says what */
	struct store_read read;
	struct store_erasure erasure;
	struct store_scrub scrub;
	struct note note;
	uint64_t scanned, until;
	int error;
	struct erasure_tally tally;
	struct buffer json;
};

static struct erasure_exchange *of(struct exchange *exchange)
{
	return CONTAINER_OF(exchange, struct erasure_exchange, exchange);
}

static struct store *store_of(const struct erasure_exchange *erasing)
{
	return erasing->exchange.reactor->gateway->store;
}

static void post(struct erasure_exchange *erasing, void (*run)(struct reactor *reactor, struct note *note))
{
	erasing->note.run = run;
	reactor_post(erasing->exchange.reactor, &erasing->note);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void conclude(struct erasure_exchange *erasing, int error)
{
	const struct erasure_tally *tally = &erasing->tally;
	bool is_log_read = error == -EBUSY;
	if (tally->n_events) {
		log_info("events were erased", LOG_NUMBER("events", tally->n_events),
				 LOG_NUMBER("deliveries", tally->n_deliveries));
		gateway_forget(erasing->exchange.reactor->gateway);
	}
	buffer_add_printf(
		&erasing->json, "{\"events\":%llu,\"deliveries\":%llu,\"attempts\":%llu,\"in_hand\":%llu,\"log_is_read\":%s}\n",
		(unsigned long long)tally->n_events, (unsigned long long)tally->n_deliveries,
		(unsigned long long)tally->n_attempts, (unsigned long long)tally->n_in_hand, is_log_read ? "true" : "false");
	exchange_answer_json(&erasing->exchange, &erasing->json, is_log_read ? 0 : error, "the journal cannot be used now");
}

/* Each step has all the time that an answer has. */
static void go_on(const struct erasure_exchange *erasing)
{
	if (erasing->exchange.connection)
		connection_set_deadline(erasing->exchange.connection,
								exchange_config(&erasing->exchange)->limits.write_timeout_ms);
}

/* --- scrubbing ---------------------------------------------------------------------------------------------------- */

static void on_scrubbed_note(struct reactor *reactor, struct note *note);

static void on_scrubbed(struct store_work *work)
{
	post(CONTAINER_OF(work, struct erasure_exchange, scrub.work), on_scrubbed_note);
}

static void scrub(struct erasure_exchange *erasing)
{
	go_on(erasing);
	int r = store_submit(store_of(erasing), &erasing->scrub.work);
	if (r < 0)
		conclude(erasing, r);
	else
		store_wake(store_of(erasing));
}

static void on_scrubbed_note(struct reactor *reactor, struct note *note)
{
	struct erasure_exchange *erasing = CONTAINER_OF(note, struct erasure_exchange, note);
	(void)reactor;
	if (erasing->scrub.work.error == -EAGAIN)
		scrub(erasing);
	else
		conclude(erasing, erasing->scrub.work.error);
}

/* --- walking through ---------------------------------------------------------------------------------------------- */

static void read_on(struct erasure_exchange *erasing);

static void on_erased_note(struct reactor *reactor, struct note *note)
{
	struct erasure_exchange *erasing = CONTAINER_OF(note, struct erasure_exchange, note);
	(void)reactor;
	if (erasing->erasure.work.error) {
		conclude(erasing, erasing->erasure.work.error);
		return;
	}
	erasure_count(&erasing->tally, &erasing->erasure);
	read_on(erasing);
}

static void on_erased(struct store_work *work)
{
	post(CONTAINER_OF(work, struct erasure_exchange, erasure.work), on_erased_note);
}

static void on_page_note(struct reactor *reactor, struct note *note)
{
	struct erasure_exchange *erasing = CONTAINER_OF(note, struct erasure_exchange, note);
	int r = erasing->error;
	(void)reactor;
	if (r == 0 && erasing->erasure.n == 0) {
		read_on(erasing);
		return;
	}
	if (r == 0)
		r = store_submit(store_of(erasing), &erasing->erasure.work);
	if (r < 0)
		conclude(erasing, r);
	else
		store_wake(store_of(erasing));
}

/* On the reader's thread. */
static void on_page(struct store_read *read, const struct store_page *page)
{
	struct erasure_exchange *erasing = CONTAINER_OF(read, struct erasure_exchange, read);
	erasing->error = page->error;
	erasing->scanned = page->scanned;
	erasing->erasure = erasure_of(read->filters, page);
	erasing->erasure.work.on_done = on_erased;
	post(erasing, on_page_note);
}

static void read_on(struct erasure_exchange *erasing)
{
	if (erasing->scanned >= erasing->until) {
		erasing->scrub = (struct store_scrub){ .work = { .kind = WORK_SCRUB, .on_done = on_scrubbed }, .next_page = 1 };
		scrub(erasing);
		return;
	}
	erasing->read = erasure_ask(&erasing->message.filters[0].filter, erasing->scanned, erasing->until);
	erasing->read.on_page = on_page;
	go_on(erasing);
	int r = store_read(store_of(erasing), &erasing->read);
	if (r < 0)
		conclude(erasing, r);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

/* NULL, or what is wrong. Nobody erases everything by a word that is missing. */
static const char *judge(const struct message *message)
{
	const struct filter *filter = &message->filters[0].filter;
	bool has_more = message->n_filters > 1 || filter->lists[FILTER_INTERACTIONS].n ||
					filter->lists[FILTER_SUBTYPES].n || filter->lists[FILTER_SOURCES].n ||
					message->start != MESSAGE_START_NONE;
	if (has_more)
		return "only \"event_ids\" and \"tags.NAME\" say what to erase";
	return filter->n_tags || filter->lists[FILTER_EVENT_IDS].n ? NULL
															   : "\"event_ids\" or \"tags.NAME\" say what to erase";
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	struct message *message = &of(exchange)->message;
	struct http_request told = *request;
	told.query = SPAN(""); /* whose data it is does not go into the log */
	rights_log(exchange, &told);
	int r = message_parse_query(request->query, "", message, &reason);
	const char *complaint = r == MESSAGE_OK ? judge(message) : "the query is no filter";
	if (r < 0)
		connection_refuse(exchange->connection, 503, "unavailable", "not enough memory", "Retry-After: 5\r\n");
	else if (complaint)
		operator_refuse(exchange, complaint);
	else
		message->filters[0].filter.has_outcomes = true;
}

static void finish(struct exchange *exchange, struct span body)
{
	struct erasure_exchange *erasing = of(exchange);
	(void)body;
	exchange->is_held = true;
	erasing->until = store_head(store_of(erasing));
	read_on(erasing);
}

static void release(struct exchange *exchange)
{
	message_finish(&of(exchange)->message);
	buffer_finish(&of(exchange)->json);
}

const struct endpoint erasure_endpoint = {
	.methods = "POST",
	.exchange_size = sizeof(struct erasure_exchange),
	.begin = begin,
	.finish = finish,
	.release = release,
};
