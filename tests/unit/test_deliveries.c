/* SPDX-License-Identifier: Apache-2.0 */
/* What is owed to handlers, from the event's commit to the end of its retention, over restarts and damage. */
#include "store/deliveries.h"
#include "store_unit.h"
#include "wire/outcome.h"

#define HOUR_MS (INT64_C(3600) * MS_PER_S)
#define MAX_CLAIMED 64
#define OWED(i, name)                             \
	{                                             \
		.interaction = (i), .handler = SPAN(name) \
	}

/* --- asking the writer and the reader ----------------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static size_t n_ended; /* {lock} */

static void tell_end(void)
{
	(void)pthread_mutex_lock(&lock);
	n_ended++;
	(void)pthread_cond_broadcast(&wake);
	(void)pthread_mutex_unlock(&lock);
}

static void wait_for_end(size_t n)
{
	(void)pthread_mutex_lock(&lock);
	while (n_ended != n)
		(void)pthread_cond_wait(&wake, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static void on_done(struct store_work *work)
{
	(void)work;
	tell_end();
}

static int submit_all(struct bench *bench, struct store_work **work, size_t n)
{
	n_ended = 0;
	for (size_t i = 0; i < n; i++) {
		work[i]->on_done = on_done;
		CU_ASSERT_EQUAL_FATAL(store_submit(bench->store, work[i]), 0);
	}
	store_wake(bench->store);
	wait_for_end(n);
	return n ? work[n - 1]->error : 0;
}

static int submit(struct bench *bench, struct store_work *work)
{
	return submit_all(bench, &work, 1);
}

/* What a claim gave. */
struct hands {
	struct store_claim claim;
	struct claimed claimed[MAX_CLAIMED];
};

static void hands_finish_cleanup(struct hands *hands)
{
	for (size_t i = 0; i < hands->claim.n; i++)
		event_unref(hands->claimed[i].event);
}

static int claim_at(struct bench *bench, const char *handler, size_t max, int64_t now_ms, struct hands *hands)
{
	hands->claim = (struct store_claim){ .work.kind = WORK_CLAIM,
										 .handler = span_text(handler),
										 .now_ms = now_ms,
										 .max = max,
										 .max_bytes = 1u << 20,
										 .claimed = hands->claimed };
	return submit(bench, &hands->claim.work);
}

static size_t claim(struct bench *bench, const char *handler, struct hands *hands)
{
	CU_ASSERT_EQUAL(claim_at(bench, handler, MAX_CLAIMED, clock_wall_ms(), hands), 0);
	return hands->claim.n;
}

/* How many there were, and forgets them: they stay claimed. */
static size_t take(struct bench *bench, const char *handler)
{
	CLEANUP(hands_finish) struct hands hands;
	return claim(bench, handler, &hands);
}

static struct store_settlement settlement_of(const struct claimed *claimed, enum delivery_state state, int64_t due_ms)
{
	struct store_settlement settlement = { .work.kind = WORK_SETTLE,
										   .delivery = claimed->delivery,
										   .has_attempt = true,
										   .attempt = { .started_ms = 7, .duration_ms = 3, .reason = SPAN("because") },
										   .has_others = claimed->event->n_interactions > 1 };
	settlement.delivery.state = state;
	settlement.delivery.due_ms = due_ms;
	settlement.attempt.outcome = state == DELIVERY_DONE   ? ATTEMPT_DONE
								 : state == DELIVERY_DEAD ? ATTEMPT_REJECT
														  : ATTEMPT_RETRY;
	return settlement;
}

static int settle(struct bench *bench, const struct claimed *claimed, enum delivery_state state, int64_t due_ms)
{
	struct store_settlement settlement = settlement_of(claimed, state, due_ms);
	return submit(bench, &settlement.work);
}

static size_t replay(struct bench *bench, uint64_t sequence, const char *handler, size_t max)
{
	struct store_replay replay = { .work.kind = WORK_REPLAY,
								   .sequence = sequence,
								   .handler = span_text(handler),
								   .now_ms = clock_wall_ms(),
								   .max = max };
	CU_ASSERT_EQUAL(submit(bench, &replay.work), 0);
	return replay.n;
}

/* The rows of a page, as far as tests look at them. */
struct page {
	struct store_deliveries question;
	size_t n;
	struct row {
		uint64_t sequence;
		int64_t interaction, n_attempts, n_interrupted;
		enum delivery_state state;
		bool is_damaged, has_event;
		char handler[16], reason[64];
	} rows[MAX_CLAIMED];
	int error;
};

static void on_deliveries(struct store_deliveries *question, const struct delivery_row *rows, size_t n, int error)
{
	struct page *page = CONTAINER_OF(question, struct page, question);
	page->n = n;
	page->error = error;
	for (size_t i = 0; i < n && i < MAX_CLAIMED; i++) {
		const struct delivery *delivery = &rows[i].delivery;
		struct row *row = &page->rows[i];
		*row = (struct row){ .sequence = delivery->sequence,
							 .interaction = delivery->interaction,
							 .n_attempts = delivery->n_attempts,
							 .n_interrupted = delivery->n_interrupted,
							 .state = delivery->state,
							 .is_damaged = rows[i].is_damaged,
							 .has_event = rows[i].event != NULL };
		(void)snprintf(row->handler, sizeof row->handler, "%.*s", SPAN_PRINTF(delivery->handler));
		for (size_t k = 0; k < rows[i].n_attempts; k++) {
			size_t used = strlen(row->reason);
			(void)snprintf(row->reason + used, sizeof row->reason - used, used ? ", %.*s" : "%.*s",
						   SPAN_PRINTF(rows[i].attempts[k].reason));
		}
	}
	tell_end();
}

static void list(struct bench *bench, struct store_deliveries question, struct page *page)
{
	*page = (struct page){ .question = question };
	page->question.before = question.before ? question.before : INT64_MAX;
	page->question.max = question.max ? question.max : MAX_CLAIMED;
	page->question.on_page = on_deliveries;
	n_ended = 0;
	CU_ASSERT_EQUAL_FATAL(store_ask_deliveries(bench->store, &page->question), 0);
	wait_for_end(1);
	CU_ASSERT_EQUAL(page->error, 0);
}

/* What is counted is what is there. */
static void check_owed(struct bench *bench)
{
	static const char *const handlers[] = { "a", "b" };
	for (size_t i = 0; i < ARRAY_LENGTH(handlers); i++) {
		struct page page;
		struct span handler = span_text(handlers[i]);
		list(bench,
			 (struct store_deliveries){ .handler = handler, .states = 1 << DELIVERY_DUE | 1 << DELIVERY_CLAIMED },
			 &page);
		CU_ASSERT_EQUAL(store_count_owed(bench->store, handler), page.n);
	}
}

/* The only one of this event. */
static struct row row_of(struct bench *bench, uint64_t sequence)
{
	struct page page;
	list(bench, (struct store_deliveries){ .only = sequence }, &page);
	CU_ASSERT_EQUAL(page.n, 1);
	return page.rows[0];
}

/* --- events that owe ---------------------------------------------------------------------------------------------- */

/* With two interactions. */
static struct event *make_double(const char *event_id, int64_t received_ms)
{
	static const struct interaction interactions[] = { { SPAN("change"), SPAN("") }, { SPAN("other"), SPAN("") } };
	struct event *event = NULL;
	struct event model = { .kind = EVENT_CALLBACK,
						   .received_ms = received_ms,
						   .source = SPAN("cronofy"),
						   .event_id = span_text(event_id),
						   .body = SPAN("{}"),
						   .interactions = interactions,
						   .n_interactions = 2 };
	return event_create(&model, &event) == 0 ? event : NULL;
}

static struct entry append_owing_at(struct bench *bench, int64_t received_ms, const struct owed *owed, size_t n)
{
	struct entry entry;
	CLEANUP(event_unref) struct event *event = make_double("evt", received_ms);
	entry_init(&entry, event, 0);
	entry.append.owed = owed;
	entry.append.n_owed = n;
	CU_ASSERT_EQUAL_FATAL(append_all(bench, &entry, 1), 0);
	return entry;
}

static struct entry append_owing(struct bench *bench, const struct owed *owed, size_t n)
{
	return append_owing_at(bench, clock_wall_ms(), owed, n);
}

static const struct owed to_a[] = { OWED(0, "a") };
static const struct owed both_to_a[] = { OWED(0, "a"), OWED(1, "a") };
static const struct owed to_a_and_b[] = { OWED(0, "a"), OWED(0, "b"), OWED(1, "b") };

static void begin(struct bench *bench)
{
	bench_init(bench);
	open_store(bench);
}

/* --- claiming and settling ---------------------------------------------------------------------------------------- */

static void test_is_owed_with_its_event(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	begin(&bench);
	CU_ASSERT_EQUAL(append_id(&bench, "owes nothing").status, COMMIT_STORED);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).sequence, 2);
	CU_ASSERT_EQUAL(store_count_owed(bench.store, SPAN("a")), 1);
	CU_ASSERT_EQUAL(store_count_owed(bench.store, SPAN("b")), 0);
	CU_ASSERT_EQUAL(take(&bench, "b"), 0);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	const struct claimed *claimed = &hands.claimed[0];
	CU_ASSERT_EQUAL(claimed->delivery.sequence, 2);
	CU_ASSERT_EQUAL(claimed->delivery.n_attempts, 0);
	CU_ASSERT_TRUE(span_equal(claimed->event->event_id, SPAN("evt")));
	CU_ASSERT_EQUAL(hands.claim.next_due_ms, DELIVERY_BEHIND_MS);
	CU_ASSERT_EQUAL(take(&bench, "a"), 0);
	CU_ASSERT_EQUAL(settle(&bench, claimed, DELIVERY_DONE, 0), 0);
	CU_ASSERT_EQUAL(take(&bench, "a"), 0);
	struct row row = row_of(&bench, 2);
	CU_ASSERT_TRUE(row.state == DELIVERY_DONE && row.n_attempts == 1 && row.has_event && !row.is_damaged);
	CU_ASSERT_STRING_EQUAL(row.reason, "because");
	check_owed(&bench);
}

static void test_duplicates_owe_nothing(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(event_unref) struct event *event = make_double("evt", clock_wall_ms());
	struct entry entries[2];
	begin(&bench);
	for (size_t i = 0; i < 2; i++) {
		entry_init(&entries[i], event, HOUR_MS);
		entries[i].append.owed = to_a;
		entries[i].append.n_owed = 1;
	}
	CU_ASSERT_EQUAL_FATAL(append_all(&bench, entries, 2), 0);
	CU_ASSERT_EQUAL(entries[1].status, COMMIT_DUPLICATE);
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
}

static void test_is_tried_again_when_it_is_due(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	int64_t now_ms = clock_wall_ms();
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DUE, now_ms + HOUR_MS), 0);
	struct hands again;
	CU_ASSERT_EQUAL(claim_at(&bench, "a", 1, now_ms + HOUR_MS - 1, &again), 0);
	CU_ASSERT_EQUAL(again.claim.n, 0);
	CU_ASSERT_EQUAL(again.claim.next_due_ms, now_ms + HOUR_MS);
	CLEANUP(hands_finish) struct hands last = { 0 };
	CU_ASSERT_EQUAL(claim_at(&bench, "a", 1, now_ms + HOUR_MS, &last), 0);
	CU_ASSERT_EQUAL_FATAL(last.claim.n, 1);
	CU_ASSERT_EQUAL(last.claimed[0].delivery.n_attempts, 1);
}

/* What a clock that was set back since has put off for years is due at once. */
static void test_a_clock_that_was_wrong_delays_nothing(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 }, again = { 0 };
	int64_t now_ms = clock_wall_ms(), year_ms = 365 * 24 * HOUR_MS;
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing_at(&bench, now_ms + year_ms, both_to_a, 2).status, COMMIT_STORED);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	CU_ASSERT_EQUAL(hands.claim.next_due_ms, DELIVERY_BEHIND_MS);
	CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DUE, now_ms + 24 * HOUR_MS), 0);
	CU_ASSERT_EQUAL(take(&bench, "a"), 0); /* that is no mistake */
	CU_ASSERT_EQUAL(claim_at(&bench, "a", 1, now_ms - year_ms, &again), 0);
	CU_ASSERT_EQUAL(again.claim.n, 1);
}

/* Not more than asked for, the oldest first, and it is told that there is more. */
static void test_claims_are_bounded(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands first = { 0 }, second = { 0 };
	begin(&bench);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(append_owing_at(&bench, 100 + i, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(claim_at(&bench, "a", 3, 1000, &first), 0);
	CU_ASSERT_EQUAL_FATAL(first.claim.n, 3);
	CU_ASSERT_TRUE(first.claimed[0].delivery.sequence == 1 && first.claimed[2].delivery.sequence == 3);
	CU_ASSERT_EQUAL(first.claim.next_due_ms, 103);
	second.claim = (struct store_claim){ .work.kind = WORK_CLAIM,
										 .handler = SPAN("a"),
										 .now_ms = 1000,
										 .max = 3,
										 .max_bytes = 1, /* one all the same */
										 .claimed = second.claimed };
	CU_ASSERT_EQUAL(submit(&bench, &second.claim.work), 0);
	CU_ASSERT_EQUAL_FATAL(second.claim.n, 1);
	CU_ASSERT_EQUAL(second.claimed[0].delivery.sequence, 4);
	CU_ASSERT_EQUAL(second.claim.next_due_ms, 104);
}

static void test_interactions_are_in_order(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands first = { 0 }, retried = { 0 }, second = { 0 };
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, both_to_a, 2).status, COMMIT_STORED);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &first), 1);
	CU_ASSERT_EQUAL(first.claimed[0].delivery.interaction, 0);
	CU_ASSERT_EQUAL(take(&bench, "a"), 0);
	CU_ASSERT_EQUAL(settle(&bench, &first.claimed[0], DELIVERY_DUE, 0), 0);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &retried), 1);
	CU_ASSERT_EQUAL(retried.claimed[0].delivery.interaction, 0);
	CU_ASSERT_EQUAL(settle(&bench, &retried.claimed[0], DELIVERY_DEAD, 0), 0);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &second), 1);
	CU_ASSERT_EQUAL(second.claimed[0].delivery.interaction, 1);
	check_owed(&bench);
}

static void test_handlers_do_not_wait_for_each_other(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a_and_b, 3).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
	CU_ASSERT_EQUAL(take(&bench, "b"), 1);
}

static void test_settles_many_in_one_transaction(void)
{
	enum { N = 20 };
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	struct store_settlement settlements[N];
	struct store_work *work[N];
	begin(&bench);
	for (int i = 0; i < N; i++)
		CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), N);
	for (int i = 0; i < N; i++) {
		settlements[i] = settlement_of(&hands.claimed[i], DELIVERY_DONE, 0);
		work[i] = &settlements[i].work;
	}
	CU_ASSERT_EQUAL(submit_all(&bench, work, N), 0);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM deliveries WHERE state = 2"), N);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM attempts"), N);
}

/* --- what is told of a settlement --------------------------------------------------------------------------------- */

/* An outcome of that event, by itself. */
static struct entry entry_of_outcome(const struct event *event, uint64_t sequence)
{
	struct entry entry;
	struct event *outcome = NULL;
	const struct outcome what = {
		.sequence = sequence, .at_ms = clock_wall_ms(), .handler = SPAN("a"), .state = SPAN("done"), .attempt = 1
	};
	CU_ASSERT_EQUAL_FATAL(outcome_create(event, &what, &outcome), 0);
	entry_init(&entry, outcome, 0);
	return entry;
}

static void tell(struct store_settlement *settlement, struct entry *entry)
{
	entry->append.owner = entry; /* it may have been moved */
	settlement->told[settlement->n_told++] = &entry->append;
}

/* Its positions follow those of what came in with it, and what it owes is owed. */
static void test_what_is_told_comes_with_the_settlement(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	begin(&bench);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 2);
	struct store_settlement settlements[2];
	struct entry told[3];
	for (size_t i = 0; i < 3; i++)
		told[i] = entry_of_outcome(hands.claimed[i / 2].event, hands.claimed[i / 2].delivery.sequence);
	for (size_t i = 0; i < 2; i++)
		settlements[i] = settlement_of(&hands.claimed[i], DELIVERY_DONE, 0);
	for (size_t i = 0; i < 3; i++)
		tell(&settlements[i / 2], &told[i]);
	static const struct owed to_b[] = { OWED(0, "b") };
	told[1].append.owed = to_b;
	told[1].append.n_owed = 1;
	struct store_work *work[] = { &settlements[0].work, &settlements[1].work };
	CU_ASSERT_EQUAL(submit_all(&bench, work, 2), 0);
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(told[i].is_done);
		CU_ASSERT_EQUAL(told[i].status, COMMIT_STORED);
		CU_ASSERT_EQUAL(told[i].sequence, i + 3);
		event_unref(told[i].append.event);
	}
	CU_ASSERT_EQUAL(store_head(bench.store), 5);
	CU_ASSERT_EQUAL(take(&bench, "b"), 1);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM events WHERE kind = 3"), 3);
}

/* A settlement that cannot be written tells nothing, and takes nobody along. */
static void test_nothing_is_told_of_what_failed(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	begin(&bench);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 2);
	CU_ASSERT_EQUAL(meddle(bench.path, "DELETE FROM deliveries WHERE sequence = 1"), SQLITE_OK);
	struct store_settlement settlements[2];
	struct entry told[2];
	struct store_work *work[2];
	for (size_t i = 0; i < 2; i++) {
		told[i] = entry_of_outcome(hands.claimed[i].event, hands.claimed[i].delivery.sequence);
		settlements[i] = settlement_of(&hands.claimed[i], DELIVERY_DONE, 0);
		tell(&settlements[i], &told[i]);
		work[i] = &settlements[i].work;
	}
	CU_ASSERT_EQUAL(submit_all(&bench, work, 2), 0); /* the second one */
	CU_ASSERT_EQUAL(settlements[0].work.error, -EUCLEAN);
	CU_ASSERT_EQUAL(told[0].status, COMMIT_FAILED);
	CU_ASSERT_EQUAL(told[0].error, -EUCLEAN);
	CU_ASSERT_EQUAL(told[1].status, COMMIT_STORED);
	CU_ASSERT_EQUAL(told[1].sequence, 3);
	struct store_status status = status_of(&bench);
	CU_ASSERT_TRUE(status.last_error == 0 && status.n_failed == 0 && status.n_appended == 3);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM events WHERE kind = 3"), 1);
	for (size_t i = 0; i < 2; i++)
		event_unref(told[i].append.event);
	CU_ASSERT_EQUAL(store_count_owed(bench.store, SPAN("a")), 1); /* as nothing of the first settlement holds */
}

/* It has all that duplicates are known by; a callback that comes again is still one of the callback's. */
static void test_an_outcome_hides_no_duplicate(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(event_unref) struct event *event = make_double("evt", clock_wall_ms());
	struct entry entry;
	begin(&bench);
	entry_init(&entry, event, HOUR_MS);
	CU_ASSERT_EQUAL(append_all(&bench, &entry, 1), 0);
	struct entry outcome = entry_of_outcome(event, entry.sequence);
	outcome.append.owner = &outcome;
	CU_ASSERT_EQUAL(append_all(&bench, &outcome, 1), 0);
	event_unref(outcome.append.event);
	for (int i = 0; i < 2; i++) {
		entry_init(&entry, event, HOUR_MS);
		CU_ASSERT_EQUAL(append_all(&bench, &entry, 1), 0);
		CU_ASSERT_EQUAL(entry.status, COMMIT_DUPLICATE);
		CU_ASSERT_EQUAL(entry.sequence, 1);
		reopen_store(&bench);
	}
}

/* --- over restarts ------------------------------------------------------------------------------------------------ */

static void test_what_was_claimed_is_due_again(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
	reopen_store(&bench);
	CLEANUP(hands_finish) struct hands hands = { 0 };
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	CU_ASSERT_EQUAL(hands.claimed[0].delivery.n_interrupted, 1);
	CU_ASSERT_EQUAL(hands.claimed[0].delivery.n_attempts, 0);
	/* given back in order, it was not interrupted */
	struct store_settlement back = settlement_of(&hands.claimed[0], DELIVERY_DUE, 0);
	back.has_attempt = false;
	CU_ASSERT_EQUAL(submit(&bench, &back.work), 0);
	reopen_store(&bench);
	CLEANUP(hands_finish) struct hands again = { 0 };
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &again), 1);
	CU_ASSERT_EQUAL(again.claimed[0].delivery.n_interrupted, 1);
	check_owed(&bench);
}

static bool load_sql(const char *path, const char *name)
{
	char file[256];
	(void)snprintf(file, sizeof file, "%s/%s", TEST_VECTORS, name);
	struct span sql = read_all(file);
	CLEANUP(free) char *text = (char *)(uintptr_t)sql.data;
	if (sql.n == SIZE_MAX)
		return false;
	text[sql.n] = '\0';
	return meddle(path, text) == SQLITE_OK && chmod(path, 0600) == 0;
}

/* Opens a journal of that version; in each there are three events for subscribers. */
static void migrate(struct bench *bench, const char *name, long long version, struct answer *answer)
{
	bench_init(bench);
	CU_ASSERT_TRUE_FATAL(load_sql(bench->path, name));
	CU_ASSERT_EQUAL(look_up(bench->path, "PRAGMA user_version"), version);
	open_store(bench);
	CU_ASSERT_EQUAL(look_up(bench->path, "PRAGMA user_version"), 3);
	ask(bench, (struct store_read){ 0 }, answer);
	CU_ASSERT_EQUAL(answer->n_damaged, 0);
	CU_ASSERT_EQUAL(answer->n, 3);
}

static void test_migrates_version_1(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	migrate(&bench, "journal-1.sql", 1, &answer);
	CU_ASSERT_TRUE(has_id(&answer, 1, "evt_\xc3\xbc\"x"));
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).sequence, 23);
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
}

static void test_migrates_version_2(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(answer_finish) struct answer answer;
	migrate(&bench, "journal-2.sql", 2, &answer);
	CU_ASSERT_TRUE(has_id(&answer, 2, "evt_retry"));
	CU_ASSERT_EQUAL(answer.events[2]->traceparent.n, 0);
	CU_ASSERT_EQUAL(take(&bench, "it"), 1);
}

/* --- retention ---------------------------------------------------------------------------------------------------- */

static bool has_events(struct bench *bench, long long n)
{
	return look_up(bench->path, "SELECT count(*) FROM events") == n;
}

static void test_what_is_owed_is_not_purged(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	int64_t old_ms = clock_wall_ms() - HOUR_MS;
	bench_init(&bench);
	open_store(&bench);
	CU_ASSERT_TRUE(append_many(&bench, 1, 300, old_ms));
	CU_ASSERT_EQUAL(append_owing_at(&bench, old_ms, to_a, 1).sequence, 301);
	CU_ASSERT_TRUE(append_many(&bench, 302, 300, old_ms));
	close_store(&bench);
	bench.options.limits.retention_age_ms = 10 * MS_PER_S;
	open_store(&bench);
	CU_ASSERT_TRUE(WAIT_UNTIL(has_events(&bench, 1)));
	CU_ASSERT_TRUE(WAIT_UNTIL(status_of(&bench).oldest == 602)); /* for subscribers it is gone */
	CLEANUP(answer_finish) struct answer answer;
	ask(&bench, (struct store_read){ 0 }, &answer);
	CU_ASSERT_TRUE(answer.n == 0 && answer.n_damaged == 0);
	reopen_store(&bench);
	CU_ASSERT_EQUAL(status_of(&bench).oldest, 602);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	CU_ASSERT_EQUAL(hands.claimed[0].delivery.sequence, 301);
	CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DONE, 0), 0);
	CU_ASSERT_TRUE(WAIT_UNTIL(has_events(&bench, 0)));
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM deliveries"), 0);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM attempts"), 0);
	check_owed(&bench);
}

/* What is dead goes with its event. */
static void test_dead_ones_are_purged(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing_at(&bench, clock_wall_ms() - HOUR_MS, to_a, 1).sequence, 1);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DEAD, 0), 0);
	close_store(&bench);
	bench.options.limits.retention_age_ms = 10 * MS_PER_S;
	open_store(&bench);
	CU_ASSERT_TRUE(WAIT_UNTIL(has_events(&bench, 0)));
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM deliveries"), 0);
}

static void test_a_size_that_cannot_be_kept_is_told(void)
{
	enum { N = 600 };
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	for (int i = 0; i < N; i++)
		CU_ASSERT_EQUAL(append_owing(&bench, to_a_and_b, 3).status, COMMIT_STORED);
	CU_ASSERT_FALSE(status_of(&bench).is_held);
	close_store(&bench);
	bench.options.limits.retention_bytes = 65536;
	open_store(&bench);
	CU_ASSERT_TRUE(WAIT_UNTIL(status_of(&bench).is_held));
	CU_ASSERT_TRUE(has_events(&bench, N));
}

/* --- replaying ---------------------------------------------------------------------------------------------------- */

/* Deliveries of three events to `a`: done, dead, dead; and one of the last to `b`, open. */
static void make_past(struct bench *bench)
{
	static const struct owed owed[] = { OWED(0, "a"), OWED(0, "b") };
	CLEANUP(hands_finish) struct hands hands = { 0 };
	begin(bench);
	CU_ASSERT_EQUAL(append_owing(bench, to_a, 1).sequence, 1);
	CU_ASSERT_EQUAL(append_owing(bench, to_a, 1).sequence, 2);
	CU_ASSERT_EQUAL(append_owing(bench, owed, 2).sequence, 3);
	CU_ASSERT_EQUAL_FATAL(claim(bench, "a", &hands), 3);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(settle(bench, &hands.claimed[i], i ? DELIVERY_DEAD : DELIVERY_DONE, 0), 0);
}

static void test_the_dead_are_replayed(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	make_past(&bench);
	CU_ASSERT_EQUAL(replay(&bench, 0, "b", 10), 0);
	CU_ASSERT_EQUAL(replay(&bench, 0, "", 1), 1);
	CU_ASSERT_EQUAL(replay(&bench, 0, "a", 10), 1);
	CU_ASSERT_EQUAL(replay(&bench, 0, "", 10), 0);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 2);
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(hands.claimed[i].delivery.sequence, i + 2);
		CU_ASSERT_EQUAL(hands.claimed[i].delivery.n_attempts, 1);
		CU_ASSERT_EQUAL(hands.claimed[i].delivery.n_before, 1);
	}
	CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DONE, 0), 0);
	CU_ASSERT_EQUAL(look_up(bench.path, "SELECT count(*) FROM attempts WHERE sequence = 2"), 2);
	check_owed(&bench);
}

static void test_an_event_is_replayed(void)
{
	CLEANUP(bench_finish) struct bench bench;
	make_past(&bench);
	CU_ASSERT_EQUAL(replay(&bench, 1, "b", 10), 0);
	CU_ASSERT_EQUAL(replay(&bench, 1, "", 10), 1);
	CU_ASSERT_EQUAL(replay(&bench, 4, "", 10), 0);
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
	CU_ASSERT_EQUAL(replay(&bench, 1, "", 10), 0); /* it is owed */
	check_owed(&bench);
}

static void test_replayed_interactions_are_in_order(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, both_to_a, 2).status, COMMIT_STORED);
	for (int i = 0; i < 2; i++) {
		CLEANUP(hands_finish) struct hands hands = { 0 };
		CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
		CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DEAD, 0), 0);
	}
	CU_ASSERT_EQUAL(replay(&bench, 0, "", 10), 2);
	for (int i = 0; i < 2; i++) {
		CLEANUP(hands_finish) struct hands hands = { 0 };
		CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
		CU_ASSERT_EQUAL(hands.claimed[0].delivery.interaction, i);
		CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DONE, 0), 0);
	}
	check_owed(&bench);
}

static void test_lists_what_is_asked_for(void)
{
	CLEANUP(bench_finish) struct bench bench;
	struct page page;
	make_past(&bench);
	list(&bench, (struct store_deliveries){ .max = 1 }, &page);
	CU_ASSERT_EQUAL(page.n, 2); /* of one event */
	CU_ASSERT_EQUAL(page.rows[0].sequence, 3);
	CU_ASSERT_STRING_EQUAL(page.rows[1].handler, "b");
	list(&bench, (struct store_deliveries){ .before = 3 }, &page);
	CU_ASSERT_TRUE(page.n == 2 && page.rows[0].sequence == 2 && page.rows[1].sequence == 1);
	list(&bench, (struct store_deliveries){ .handler = SPAN("b") }, &page);
	CU_ASSERT_TRUE(page.n == 1 && page.rows[0].state == DELIVERY_DUE);
	list(&bench, (struct store_deliveries){ .states = 1 << DELIVERY_DONE | 1 << DELIVERY_DUE }, &page);
	CU_ASSERT_EQUAL(page.n, 2);
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

/* A row that a disk or a hand has changed is owed, whatever it says now. */
static void test_a_damaged_row_is_owed(void)
{
	CLEANUP(bench_finish) struct bench bench;
	CLEANUP(hands_finish) struct hands hands = { 0 };
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	close_store(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "UPDATE deliveries SET n_attempts = 1000, owed_ms = 5"), SQLITE_OK);
	open_store(&bench);
	CU_ASSERT_TRUE(row_of(&bench, 1).is_damaged);
	CU_ASSERT_EQUAL_FATAL(claim(&bench, "a", &hands), 1);
	CU_ASSERT_EQUAL(hands.claimed[0].delivery.n_attempts, 0);
	CU_ASSERT_EQUAL(status_of(&bench).n_damaged_deliveries, 1);
	CU_ASSERT_FALSE(row_of(&bench, 1).is_damaged);
	CU_ASSERT_EQUAL(settle(&bench, &hands.claimed[0], DELIVERY_DONE, 0), 0);
	check_owed(&bench);
}

/* Also one that says it is done: it is found out before it would be forgotten. */
static void test_a_row_that_was_made_done_is_owed(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing_at(&bench, clock_wall_ms() - HOUR_MS, to_a, 1).status, COMMIT_STORED);
	close_store(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "UPDATE deliveries SET state = 2"), SQLITE_OK);
	bench.options.limits.retention_age_ms = 10 * MS_PER_S;
	open_store(&bench);
	CU_ASSERT_TRUE(WAIT_UNTIL(status_of(&bench).n_damaged_deliveries == 1));
	CU_ASSERT_TRUE(has_events(&bench, 1));
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
	check_owed(&bench);
}

static void test_a_damaged_event_makes_a_dead_delivery(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	close_store(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "UPDATE events SET body = x'7b' WHERE sequence = 1;"
									   "DELETE FROM events WHERE sequence = 2"),
					SQLITE_OK);
	open_store(&bench);
	CU_ASSERT_EQUAL(take(&bench, "a"), 1);
	for (uint64_t i = 1; i <= 2; i++) {
		struct row row = row_of(&bench, i);
		CU_ASSERT_TRUE(row.state == DELIVERY_DEAD && !row.has_event);
		CU_ASSERT_STRING_EQUAL(row.reason, "the event is damaged in the journal");
	}
	check_owed(&bench);
}

/* A page that SQLite cannot make sense of costs the work that needs it, and no callback. */
static void test_a_damaged_page_keeps_no_callback_out(void)
{
	enum { N = 200 };
	CLEANUP(bench_finish) struct bench bench;
	struct hands hands = { 0 };
	begin(&bench);
	for (int i = 0; i < N; i++)
		CU_ASSERT_EQUAL(append_owing(&bench, to_a, 1).status, COMMIT_STORED);
	close_store(&bench);
	long long root = look_up(bench.path, "SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries_open'");
	CU_ASSERT_TRUE_FATAL(root > 1);
	CLEANUP(close) int fd = open(bench.path, O_WRONLY | O_CLOEXEC);
	CU_ASSERT_EQUAL(pwrite(fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, (root - 1) * 4096), 12);
	open_store(&bench);
	hold(&bench);
	struct entry first, second;
	CLEANUP(event_unref) struct event *event = make_event("x", "change", "42", clock_wall_ms());
	entry_init(&first, event, 0);
	entry_init(&second, event, 0);
	CU_ASSERT_EQUAL(append_now(&bench, &first.append), 0);
	wait_until_held(&bench);
	CU_ASSERT_EQUAL(append_now(&bench, &second.append), 0);
	hands.claim = (struct store_claim){ .work = { .kind = WORK_CLAIM, .on_done = on_done },
										.handler = SPAN("a"),
										.now_ms = clock_wall_ms(),
										.max = 1,
										.claimed = hands.claimed };
	n_ended = 0;
	CU_ASSERT_EQUAL(store_submit(bench.store, &hands.claim.work), 0);
	let_go(&bench);
	wait_for(&bench, &second, 1);
	wait_for_end(1);
	CU_ASSERT_EQUAL(second.status, COMMIT_STORED);
	CU_ASSERT_EQUAL(hands.claim.work.error, -EUCLEAN);
	CU_ASSERT_EQUAL(hands.claim.n, 0);
}

/* --- handlers' state ---------------------------------------------------------------------------------------------- */

struct value {
	struct store_state question;
	char text[32];
	int error;
};

static void on_value(struct store_state *question, struct span value, int error)
{
	struct value *into = CONTAINER_OF(question, struct value, question);
	into->error = error;
	(void)snprintf(into->text, sizeof into->text, "%.*s", SPAN_PRINTF(value));
	tell_end();
}

static struct value get_state(struct bench *bench, const char *handler, const char *key)
{
	struct value value = { .question = { .handler = span_text(handler), .key = span_text(key), .on_value = on_value } };
	n_ended = 0;
	CU_ASSERT_EQUAL_FATAL(store_ask_state(bench->store, &value.question), 0);
	wait_for_end(1);
	return value;
}

static int set_state(struct bench *bench, const char *handler, const char *key, struct span value)
{
	struct store_state_change change = {
		.work.kind = WORK_STATE, .handler = span_text(handler), .key = span_text(key), .value = value
	};
	return submit(bench, &change.work);
}

static void test_keeps_state(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	CU_ASSERT_EQUAL(get_state(&bench, "a", "k").error, -ENOENT);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "k", SPAN("one")), 0);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "k", SPAN("two")), 0);
	CU_ASSERT_EQUAL(set_state(&bench, "b", "k", SPAN("")), 0);
	reopen_store(&bench);
	CU_ASSERT_STRING_EQUAL(get_state(&bench, "a", "k").text, "two");
	CU_ASSERT_EQUAL(get_state(&bench, "b", "k").error, 0);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "k", span_of(NULL, 0)), 0);
	CU_ASSERT_EQUAL(get_state(&bench, "a", "k").error, -ENOENT);
	CU_ASSERT_EQUAL(get_state(&bench, "b", "k").error, 0);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "k", span_of(NULL, 0)), 0);
}

static void test_state_is_bounded(void)
{
	CLEANUP(bench_finish) struct bench bench;
	begin(&bench);
	close_store(&bench);
	CU_ASSERT_EQUAL(meddle(bench.path, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)"
									   " INSERT INTO handler_state SELECT 'a', 'k' || i, x'' FROM n"),
					SQLITE_OK);
	open_store(&bench);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "last", SPAN("x")), 0);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "one more", SPAN("x")), -ENOSPC);
	CU_ASSERT_EQUAL(set_state(&bench, "a", "k1", SPAN("x")), 0);
	CU_ASSERT_EQUAL(set_state(&bench, "b", "one more", SPAN("x")), 0);
}

UNIT_MAIN({ "is owed with its event", test_is_owed_with_its_event },
		  { "duplicates owe nothing", test_duplicates_owe_nothing },
		  { "is tried again when it is due", test_is_tried_again_when_it_is_due },
		  { "a clock that was wrong delays nothing", test_a_clock_that_was_wrong_delays_nothing },
		  { "claims are bounded", test_claims_are_bounded },
		  { "interactions are in order", test_interactions_are_in_order },
		  { "handlers do not wait for each other", test_handlers_do_not_wait_for_each_other },
		  { "what is told comes with the settlement", test_what_is_told_comes_with_the_settlement },
		  { "nothing is told of what failed", test_nothing_is_told_of_what_failed },
		  { "an outcome hides no duplicate", test_an_outcome_hides_no_duplicate },
		  { "settles many in one transaction", test_settles_many_in_one_transaction },
		  { "what was claimed is due again", test_what_was_claimed_is_due_again },
		  { "migrates version 1", test_migrates_version_1 }, { "migrates version 2", test_migrates_version_2 },
		  { "what is owed is not purged", test_what_is_owed_is_not_purged },
		  { "dead ones are purged", test_dead_ones_are_purged },
		  { "a size that cannot be kept is told", test_a_size_that_cannot_be_kept_is_told },
		  { "the dead are replayed", test_the_dead_are_replayed },
		  { "an event is replayed", test_an_event_is_replayed },
		  { "replayed interactions are in order", test_replayed_interactions_are_in_order },
		  { "lists what is asked for", test_lists_what_is_asked_for },
		  { "a damaged row is owed", test_a_damaged_row_is_owed },
		  { "a row that was made done is owed", test_a_row_that_was_made_done_is_owed },
		  { "a damaged event makes a dead delivery", test_a_damaged_event_makes_a_dead_delivery },
		  { "a damaged page keeps no callback out", test_a_damaged_page_keeps_no_callback_out },
		  { "keeps state", test_keeps_state }, { "state is bounded", test_state_is_bounded })
