/* SPDX-License-Identifier: Apache-2.0 */
#include "store/work.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/delivery.h"
#include "store/erasure.h"

#include <errno.h>

static int update(struct journal *journal, const struct delivery *delivery)
{
	return delivery_write(journal->statements[STATEMENT_DELIVERY_UPDATE], &journal->texts.scratch, delivery);
}

static int select_first(struct journal *journal, enum journal_statement statement, struct delivery *ret_delivery)
{
	return delivery_first(journal->statements[statement], &journal->texts.scratch, &journal->handler, ret_delivery);
}

/* A row whose digest was wrong, made good. What it counts may be anything, and what it waits for as well. */
static void mend(struct journal *journal, struct delivery *delivery, int64_t now_ms)
{
	delivery_tell_damage(delivery);
	(void)atomic_fetch_add(&journal->n_damaged_deliveries, 1);
	*delivery = (struct delivery){ .sequence = delivery->sequence,
								   .interaction = delivery->interaction,
								   .handler = delivery->handler,
								   .state = DELIVERY_DUE,
								   .due_ms = now_ms,
								   .owed_ms = now_ms };
}

/* --- owing -------------------------------------------------------------------------------------------------------- */

/* Whether an earlier interaction of the event is owed to the same handler. */
static bool is_behind(const struct append *append, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (span_equal(append->owed[k].handler, append->owed[i].handler))
			return true;
	return false;
}

int work_owe(struct journal *journal, const struct append *append, uint64_t sequence)
{
	int64_t now_ms = append->event->received_ms;
	int r = 0;
	for (size_t i = 0; r == 0 && i < append->n_owed; i++) {
		const struct delivery delivery = {
			.sequence = sequence,
			.interaction = append->owed[i].interaction,
			.handler = append->owed[i].handler,
			.state = DELIVERY_DUE,
			.due_ms = is_behind(append, i) ? DELIVERY_BEHIND_MS : now_ms,
			.owed_ms = now_ms,
		};
		r = delivery_write(journal->statements[STATEMENT_DELIVERY_INSERT], &journal->texts.scratch, &delivery);
		if (r == 0)
			r = owed_counts_add(journal->owed, delivery.handler, 1);
	}
	return r;
}

/* --- settling ----------------------------------------------------------------------------------------------------- */

/* The next interaction of the event that waits for this one, if one does, is due. */
static int release_next(struct journal *journal, const struct delivery *settled)
{
	struct delivery next;
	sqlite3_stmt *statement = journal->statements[STATEMENT_DELIVERY_BEHIND];
	int r = delivery_bind_key(statement, settled);
	if (r == 0)
		r = select_first(journal, STATEMENT_DELIVERY_BEHIND, &next);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (r == DELIVERY_E_DAMAGED)
		mend(journal, &next, settled->owed_ms);
	next.due_ms = next.owed_ms;
	return update(journal, &next);
}

static bool is_over(const struct delivery *delivery)
{
	return delivery->state == DELIVERY_DONE || delivery->state == DELIVERY_DEAD;
}

static int settle(struct journal *journal, struct delivery *delivery, const struct attempt *attempt, bool has_others)
{
	int r = 0;
	if (attempt) {
		delivery->n_attempts++;
		r = attempt_insert(journal->statements[STATEMENT_ATTEMPT], delivery, attempt);
	}
	if (r == 0)
		r = update(journal, delivery);
	if (r == 0 && is_over(delivery))
		r = owed_counts_add(journal->owed, delivery->handler, -1);
	if (r == 0 && is_over(delivery) && has_others)
		r = release_next(journal, delivery);
	if (is_over(delivery) && delivery->sequence <= journal->state.purged)
		journal->upkeep.has_released = true;
	return r;
}

static int run_settlement(struct journal *journal, struct store_settlement *settlement)
{
	struct delivery delivery = settlement->delivery; /* the caller's stays as it is: the transaction may fail */
	return settle(journal, &delivery, settlement->has_attempt ? &settlement->attempt : NULL, settlement->has_others);
}

static int make_dead(struct journal *journal, struct delivery *delivery, enum attempt_outcome outcome,
					 const char *reason)
{
	const struct attempt attempt = { .started_ms = clock_wall_ms(), .outcome = outcome, .reason = span_text(reason) };
	delivery->state = DELIVERY_DEAD;
	return settle(journal, delivery, &attempt, true);
}

static int kill_off(struct journal *journal, struct delivery *delivery, const char *reason)
{
	log_error_limited("a delivery is dead", LOG_NUMBER("sequence", delivery->sequence),
					  LOG_SPAN("handler", delivery->handler), LOG_TEXT("reason", reason));
	return make_dead(journal, delivery, ATTEMPT_FAILED, reason);
}

int work_kill_all(struct journal *journal, uint64_t sequence, const char *reason, uint64_t *n)
{
	struct delivery delivery;
	sqlite3_stmt *statement = journal->statements[STATEMENT_DELIVERY_OPEN];
	int r = 0;
	while (r >= 0) {
		r = sqlite_bind_number(statement, 1, (int64_t)sequence);
		if (r == 0)
			r = select_first(journal, STATEMENT_DELIVERY_OPEN, &delivery);
		if (r < 0)
			break;
		if (r == DELIVERY_E_DAMAGED)
			mend(journal, &delivery, clock_wall_ms());
		r = make_dead(journal, &delivery, ATTEMPT_REJECT, reason);
		*n += r == 0;
	}
	return r == -ENOENT ? 0 : r;
}

/* --- claiming ----------------------------------------------------------------------------------------------------- */

/* Nobody waits longer than this for an attempt (see DELIVERY_MAX_WAIT_MS): what does was put off by a clock that has
 * been set back since. */
static int64_t beyond_ms(const struct store_claim *claim)
{
	return claim->now_ms < INT64_MAX - DELIVERY_MAX_WAIT_MS - 1 ? claim->now_ms + DELIVERY_MAX_WAIT_MS + 1 : INT64_MAX;
}

static int bind_due(sqlite3_stmt *statement, const struct store_claim *claim, int64_t from_ms, int64_t to_ms)
{
	int r = sqlite_bind_text(statement, 1, claim->handler);
	if (r == 0)
		r = sqlite_bind_number(statement, 2, from_ms);
	if (r == 0)
		r = sqlite_bind_number(statement, 3, to_ms);
	return r < 0 ? r : sqlite_bind_number(statement, 4, (int64_t)(claim->max - claim->n));
}

/* Adds the rows that are due in this range, as they are; their handler is the claim's own. */
static int find_due(struct journal *journal, struct store_claim *claim, int64_t from_ms, int64_t to_ms)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_DELIVERY_DUE];
	int r = bind_due(statement, claim, from_ms, to_ms), code = SQLITE_DONE;
	while (r >= 0 && claim->n < claim->max && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct delivery *delivery = &claim->claimed[claim->n].delivery;
		claim->claimed[claim->n].event = NULL;
		r = delivery_read(statement, &journal->texts.scratch, delivery);
		if (r < 0)
			break;
		delivery->handler = claim->handler;
		if (r == DELIVERY_E_DAMAGED)
			mend(journal, delivery, claim->now_ms);
		claim->n++;
	}
	(void)sqlite3_reset(statement);
	if (r >= 0 && code != SQLITE_ROW && code != SQLITE_DONE)
		r = sqlite_errno(journal->db, code);
	return r < 0 ? r : 0;
}

/* Its event, or an end as dead. */
static int take_event(struct journal *journal, struct claimed *claimed)
{
	struct delivery *delivery = &claimed->delivery;
	int r = record_select(journal->statements[STATEMENT_SELECT], &journal->texts.scratch, delivery->sequence,
						  &claimed->event);
	bool is_damaged = r == -EBADMSG || r == -ENOENT;
	/* a malformed event has no interactions, and is owed as a whole */
	if (r == 0 && (uint64_t)delivery->interaction >= claimed->event->n_interactions + !claimed->event->n_interactions) {
		event_unref(STEAL(claimed->event));
		is_damaged = true;
	}
	if (r == 0 && event_is_erased(claimed->event)) {
		event_unref(STEAL(claimed->event));
		return kill_off(journal, delivery, WORK_ERASED);
	}
	if (is_damaged)
		return kill_off(journal, delivery, "the event is damaged in the journal");
	if (r < 0)
		return r;
	delivery->state = DELIVERY_CLAIMED;
	return update(journal, delivery);
}

static int find_next_due(struct journal *journal, struct store_claim *claim)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_DELIVERY_NEXT];
	claim->next_due_ms = DELIVERY_BEHIND_MS;
	int r = sqlite_bind_text(statement, 1, claim->handler);
	if (r == 0)
		r = sqlite_step_number(statement, &claim->next_due_ms);
	if (r == 0 && claim->next_due_ms >= beyond_ms(claim) && claim->next_due_ms != DELIVERY_BEHIND_MS)
		claim->next_due_ms = claim->now_ms;
	return r == -ENODATA ? 0 : r;
}

static void give_up_claim(struct store_claim *claim)
{
	for (size_t i = 0; i < claim->n; i++)
		event_unref(claim->claimed[i].event);
	claim->n = 0;
}

static int run_claim(struct journal *journal, struct store_claim *claim)
{
	size_t n = 0, n_bytes = 0, n_found;
	give_up_claim(claim); /* of a transaction that failed, and is tried again */
	int r = find_due(journal, claim, INT64_MIN, claim->now_ms);
	if (r == 0)
		r = find_due(journal, claim, beyond_ms(claim), DELIVERY_BEHIND_MS - 1);
	n_found = claim->n;
	for (size_t i = 0; r == 0 && i < n_found && (n == 0 || n_bytes < claim->max_bytes); i++) {
		struct claimed claimed = claim->claimed[i];
		r = take_event(journal, &claimed);
		if (claimed.event) {
			n_bytes += claimed.event->body.n;
			claim->claimed[n++] = claimed;
		}
	}
	claim->n = n;
	return r < 0 ? r : find_next_due(journal, claim);
}

/* --- replaying ---------------------------------------------------------------------------------------------------- */

/* The dead ones of now: not those that are replayed and die again meanwhile. */
static int bind_replay(struct journal *journal, const struct store_replay *replay, enum journal_statement which)
{
	sqlite3_stmt *statement = journal->statements[which];
	int r = sqlite_bind_text(statement, 1, replay->handler);
	return r < 0 ? r : sqlite_bind_number(statement, 2, replay->sequence ? (int64_t)replay->sequence : replay->now_ms);
}

/* Behind an earlier interaction that is owed, too, it waits. */
static int owe_again(struct journal *journal, struct delivery *delivery, int64_t now_ms)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_DELIVERY_BEFORE];
	int64_t n_before = 0;
	int r = delivery_bind_key(statement, delivery);
	if (r == 0)
		r = sqlite_step_number(statement, &n_before);
	if (r < 0)
		return r;
	delivery->state = DELIVERY_DUE;
	delivery->due_ms = n_before ? DELIVERY_BEHIND_MS : now_ms;
	delivery->owed_ms = now_ms + 1;
	delivery->n_before = delivery->n_attempts;
	delivery->n_interrupted = delivery->n_crashed = 0;
	r = update(journal, delivery);
	return r < 0 ? r : owed_counts_add(journal->owed, delivery->handler, 1);
}

static int run_replay(struct journal *journal, struct store_replay *replay)
{
	enum journal_statement which = replay->sequence ? STATEMENT_DELIVERY_OF_EVENT : STATEMENT_DELIVERY_DEAD;
	struct delivery delivery;
	int r = bind_replay(journal, replay, which);
	for (replay->n = 0; r >= 0 && replay->n < replay->max; replay->n++) {
		r = select_first(journal, which, &delivery);
		if (r < 0)
			break;
		if (r == DELIVERY_E_DAMAGED)
			mend(journal, &delivery, replay->now_ms);
		r = owe_again(journal, &delivery, replay->now_ms);
	}
	return r == -ENOENT ? 0 : r;
}

/* --- handlers' state ---------------------------------------------------------------------------------------------- */

static int bind_state(sqlite3_stmt *statement, const struct store_state_change *change)
{
	int r = sqlite_bind_text(statement, 1, change->handler);
	return r < 0 ? r : sqlite_bind_text(statement, 2, change->key);
}

static int forget_state(struct journal *journal, struct store_state_change *change)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_STATE_FORGET];
	int r = bind_state(statement, change);
	return r < 0 ? r : sqlite_step(statement);
}

/* A key that is there is overwritten; counted is only when one is new. */
static int run_state_change(struct journal *journal, struct store_state_change *change)
{
	sqlite3_stmt *update_value = journal->statements[STATEMENT_STATE_UPDATE];
	sqlite3_stmt *insert = journal->statements[STATEMENT_STATE_INSERT];
	int64_t n_keys = 0;
	if (!change->value.data)
		return forget_state(journal, change);
	int r = bind_state(update_value, change);
	if (r == 0)
		r = sqlite_bind_blob(update_value, 3, change->value);
	if (r == 0)
		r = sqlite_step(update_value);
	if (r < 0 || sqlite3_changes(journal->db) > 0)
		return r;
	r = sqlite_bind_text(journal->statements[STATEMENT_STATE_COUNT], 1, change->handler);
	if (r == 0)
		r = sqlite_step_number(journal->statements[STATEMENT_STATE_COUNT], &n_keys);
	if (r == 0 && n_keys >= STATE_MAX_KEYS) {
		change->work.error = -ENOSPC; /* this work alone */
		return 0;
	}
	if (r == 0)
		r = bind_state(insert, change);
	if (r == 0)
		r = sqlite_bind_blob(insert, 3, change->value);
	return r < 0 ? r : sqlite_step(insert);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

int work_recover(struct journal *journal)
{
	struct delivery delivery;
	int r;
	while ((r = select_first(journal, STATEMENT_DELIVERY_CLAIMED, &delivery)) >= 0) {
		if (r == DELIVERY_E_DAMAGED)
			mend(journal, &delivery, delivery.owed_ms);
		delivery.n_interrupted++;
		delivery.state = DELIVERY_DUE; /* as it was when it was claimed */
		r = update(journal, &delivery);
		if (r < 0)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}

int work_run(struct journal *journal, struct store_work *work)
{
	work->error = 0;
	switch (work->kind) {
	case WORK_CLAIM:
		return run_claim(journal, (struct store_claim *)work);
	case WORK_SETTLE:
		return run_settlement(journal, (struct store_settlement *)work);
	case WORK_REPLAY:
		return run_replay(journal, (struct store_replay *)work);
	case WORK_STATE:
		return run_state_change(journal, (struct store_state_change *)work);
	case WORK_ERASE:
		return erasure_run(journal, (struct store_erasure *)work);
	case WORK_SCRUB:
		return erasure_scrub(journal, (struct store_scrub *)work);
	}
	return -EINVAL;
}

void work_end(struct journal *journal, struct store_work *work, int r)
{
	if (r < 0)
		work->error = r;
	else if (work->kind == WORK_ERASE || work->kind == WORK_SCRUB)
		erasure_end(journal, work);
	if (r < 0 && work->kind == WORK_CLAIM)
		give_up_claim((struct store_claim *)work);
	work->on_done(work);
}

/* The first of them that is damaged. 0; -ENOENT if all are intact; else -errno. */
static int find_damaged(struct journal *journal, uint64_t first, uint64_t last, struct delivery *ret_delivery)
{
	sqlite3_stmt *statement = journal->statements[STATEMENT_DELIVERY_FINISHED];
	int code = SQLITE_DONE;
	int r = sqlite_bind_number(statement, 1, (int64_t)first);
	if (r == 0)
		r = sqlite_bind_number(statement, 2, (int64_t)last);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
		r = delivery_read(statement, &journal->texts.scratch, ret_delivery);
	if (r == 0)
		r = code == SQLITE_DONE ? -ENOENT : sqlite_errno(journal->db, code);
	if (r == DELIVERY_E_DAMAGED) {
		journal->handler.n = 0;
		buffer_add(&journal->handler, ret_delivery->handler);
		ret_delivery->handler = buffer_span(&journal->handler);
		r = journal->handler.failed ? -ENOMEM : 0;
	}
	(void)sqlite3_reset(statement);
	return r;
}

int work_check_finished(struct journal *journal, uint64_t first, uint64_t last)
{
	struct delivery delivery;
	int r;
	while ((r = find_damaged(journal, first, last, &delivery)) == 0) {
		mend(journal, &delivery, clock_wall_ms());
		r = update(journal, &delivery);
		if (r == 0)
			r = owed_counts_add(journal->owed, delivery.handler, 1);
		if (r < 0)
			return r;
	}
	return r == -ENOENT ? 0 : r;
}
