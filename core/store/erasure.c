/* SPDX-License-Identifier: Apache-2.0 */
#include "store/erasure.h"

#include "store/journal.h"
#include "store/reader.h"
#include "store/slack.h"
#include "store/work.h"

#include <errno.h>

/* Bodies in a page of what is to be erased. */
#define MAX_PAGE_BYTES (1u << 20)
/* Of the file, looked at in one step of scrubbing. */
#define PAGES_A_STEP 1024

/* --- an event ----------------------------------------------------------------------------------------------------- */

static int ask_number(struct journal *journal, enum journal_statement which, uint64_t sequence, int64_t *ret_number)
{
	sqlite3_stmt *statement = journal->statements[which];
	int r = sqlite_bind_number(statement, 1, (int64_t)sequence);
	return r < 0 ? r : sqlite_step_number(statement, ret_number);
}

static int erase_record(struct journal *journal, const struct event *event, uint64_t sequence)
{
	CLEANUP(event_unref) struct event *erased = NULL;
	int r = record_texts_make(&journal->texts, event);
	if (r == 0)
		r = record_make_erased(&journal->texts, event, &erased);
	if (r == 0)
		r = record_texts_make(&journal->texts, erased);
	return r < 0 ? r : record_write(journal->statements[STATEMENT_REPLACE], &journal->texts, erased, sequence);
}

static int erase_deliveries(struct journal *journal, struct store_erasure *erasure, uint64_t sequence)
{
	sqlite3_stmt *blank = journal->statements[STATEMENT_ATTEMPT_BLANK];
	int r = sqlite_bind_number(blank, 1, (int64_t)sequence);
	if (r == 0)
		r = sqlite_step(blank);
	if (r < 0)
		return r;
	erasure->n_attempts += (uint64_t)sqlite3_changes(journal->db);
	return work_kill_all(journal, sequence, WORK_ERASED, &erasure->n_deliveries);
}

static int erase_event(struct journal *journal, struct store_erasure *erasure, uint64_t sequence)
{
	CLEANUP(event_unref) struct event *event = NULL;
	int64_t n_in_hand = 0;
	int r = record_select(journal->statements[STATEMENT_SELECT], &journal->texts.scratch, sequence, &event);
	if (r == -ENOENT || r == -EBADMSG || (r == 0 && !filter_matches(erasure->filter, event)))
		return 0;
	if (r == 0 && journal->has_deliveries)
		r = ask_number(journal, STATEMENT_DELIVERY_IN_HAND, sequence, &n_in_hand);
	if (r == 0 && n_in_hand) {
		erasure->n_in_hand++;
		return 0;
	}
	if (r == 0)
		r = erase_record(journal, event, sequence);
	if (r == 0 && journal->has_deliveries)
		r = erase_deliveries(journal, erasure, sequence);
	if (r == 0)
		erasure->erased[erasure->n_events++] = sequence;
	return r;
}

/* --- the index ---------------------------------------------------------------------------------------------------- */

static int forget_in_segment(struct journal *journal, const struct candidates *gone)
{
	if (segment_first(gone->segment) >= tail_first(journal->tail)) /* erasure_end() */
		return 0;
	return segment_forget(journal->statements[STATEMENT_SEGMENT_SELECT], journal->statements[STATEMENT_SEGMENT],
						  &journal->texts.scratch, gone);
}

static int forget_terms(struct journal *journal, const struct store_erasure *erasure)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < erasure->n_events;) {
		struct candidates gone = { .segment = segment_of(erasure->erased[i]) };
		for (; i < erasure->n_events && segment_of(erasure->erased[i]) == gone.segment; i++)
			candidates_add(&gone, erasure->erased[i]);
		r = forget_in_segment(journal, &gone);
	}
	return r;
}

/* --- work --------------------------------------------------------------------------------------------------------- */

int erasure_run(struct journal *journal, struct store_erasure *erasure)
{
	int r = 0;
	erasure->n_events = erasure->n_deliveries = erasure->n_attempts = erasure->n_in_hand = 0;
	for (size_t i = 0; r == 0 && i < erasure->n; i++)
		r = erase_event(journal, erasure, erasure->sequences[i]);
	return r < 0 ? r : forget_terms(journal, erasure);
}

int erasure_scrub(struct journal *journal, struct store_scrub *scrub)
{
	int64_t n_free;
	if (scrub->next_page > 1) /* what became free meanwhile is cleared, by secure_delete: see clear_slack() */
		return 0;
	int r = sqlite_step(journal->statements[STATEMENT_VACUUM]);
	if (r == 0)
		r = sqlite_step_number(journal->statements[STATEMENT_N_FREE_PAGES], &n_free);
	if (r == 0 && n_free)
		scrub->work.error = -EAGAIN;
	return r;
}

/* With nothing in the log, nor in the writer's memory. While this goes on from step to step, no page may be moved to
 * where it has been already. */
static int clear_slack(struct journal *journal, struct store_scrub *scrub)
{
	int64_t page_bytes;
	int r = journal_empty_log(journal);
	if (r == 0)
		r = sqlite_ask(journal->db, "PRAGMA page_size", &page_bytes);
	(void)sqlite3_db_release_memory(journal->db);
	if (r == 0)
		r = slack_clear(journal->file.fd, (uint32_t)page_bytes, PAGES_A_STEP, &scrub->next_page);
	journal->upkeep.is_scrubbing = r == 0 && scrub->next_page;
	if (r < 0)
		scrub->next_page = 1;
	return r == 0 && scrub->next_page ? -EAGAIN : r;
}

void erasure_end(struct journal *journal, struct store_work *work)
{
	if (work->kind == WORK_SCRUB) {
		if (work->error == 0)
			work->error = clear_slack(journal, (struct store_scrub *)work);
		return;
	}
	const struct store_erasure *erasure = (const struct store_erasure *)work;
	for (size_t i = 0; i < erasure->n_events; i++)
		tail_forget(journal->tail, erasure->erased[i]);
}

struct store_read erasure_ask(const struct filter *filter, uint64_t after, uint64_t until)
{
	return (struct store_read){ .question.kind = QUESTION_EVENTS,
								.after = after,
								.until = until,
								.filters = filter,
								.n_filters = 1,
								.kinds = ~0,
								.has_kept = true,
								.max_events = ERASURE_MAX,
								.max_bytes = MAX_PAGE_BYTES };
}

struct store_erasure erasure_of(const struct filter *filter, const struct store_page *page)
{
	struct store_erasure erasure = { .work.kind = WORK_ERASE, .filter = filter, .n = page->n };
	if (page->n)
		memcpy(erasure.sequences, page->sequences, page->n * sizeof page->sequences[0]);
	return erasure;
}

void erasure_count(struct erasure_tally *tally, const struct store_erasure *erasure)
{
	tally->n_events += erasure->n_events;
	tally->n_deliveries += erasure->n_deliveries;
	tally->n_attempts += erasure->n_attempts;
	tally->n_in_hand += erasure->n_in_hand;
}

/* --- a journal that nobody else uses ------------------------------------------------------------------------------ */

struct walk {
	struct store_read read;
	struct store_erasure erasure;
	uint64_t scanned;
	int error;
};

static void on_done(struct store_work *work)
{
	(void)work;
}

static void on_page(struct store_read *read, const struct store_page *page)
{
	struct walk *walk = CONTAINER_OF(read, struct walk, read);
	walk->erasure = erasure_of(read->filters, page);
	walk->scanned = page->scanned;
	walk->error = page->error;
}

static int do_work(struct journal *journal, struct store_work *work)
{
	work->next = NULL;
	work->on_done = on_done;
	work_end(journal, work, journal_commit(journal, NULL, 0, work));
	return work->error;
}

static int walk_through(struct journal *journal, struct reader *reader, const struct filter *filter,
						struct erasure_tally *tally)
{
	struct walk walk = { .scanned = 0 };
	uint64_t head = atomic_load(&journal->head);
	int r = 0;
	while (r == 0 && walk.scanned < head) {
		walk.read = erasure_ask(filter, walk.scanned, head);
		walk.read.on_page = on_page;
		reader_answer(reader, &walk.read.question);
		r = walk.error;
		if (r == 0 && walk.erasure.n)
			r = do_work(journal, &walk.erasure.work);
		if (r == 0 && walk.erasure.n)
			erasure_count(tally, &walk.erasure);
	}
	struct store_scrub scrub = { .work.kind = WORK_SCRUB, .next_page = 1 };
	if (r == 0)
		do
			r = do_work(journal, &scrub.work);
		while (r == -EAGAIN);
	return r;
}

int erasure_run_file(const char *path, const struct filter *filter, struct erasure_tally *ret_tally, char **ret_message)
{
	CLEANUP(journal_close) struct journal *journal = NULL;
	CLEANUP(reader_destroy) struct reader *reader = NULL;
	*ret_message = NULL;
	*ret_tally = (struct erasure_tally){ 0 };
	int r = journal_open(&(struct store_options){ .path = path }, &journal, ret_message);
	if (r == 0)
		r = reader_create(journal, &reader);
	return r < 0 ? r : walk_through(journal, reader, filter, ret_tally);
}
