/* SPDX-License-Identifier: Apache-2.0 */
#include "store/inspection.h"

#include "store/delivery.h"
#include "store/head.h"
#include "store/layout.h"
#include "store/record.h"
#include "store/segment.h"

#include <errno.h>

static int prepare(struct inspection *inspection)
{
	const struct {
		const char *sql;
		sqlite3_stmt **statement;
	} statements[] = {
		{ RECORD_SELECT, &inspection->record },
		{ "SELECT min(sequence) FROM events WHERE sequence > ?", &inspection->next },
		{ DELIVERY_SELECT "WHERE sequence = ? ORDER BY handler, interaction", &inspection->deliveries },
		{ ATTEMPT_SELECT, &inspection->attempts },
		{ SEGMENT_SELECT, &inspection->part },
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
		r = sqlite_prepare(inspection->db, statements[i].sql, statements[i].statement);
	return r;
}

static int look_around(struct inspection *inspection)
{
	int r = state_read(inspection->db, &inspection->state);
	if (r == 0)
		r = head_find(inspection->db, inspection->state.head, &inspection->head, &inspection->has_strangers);
	if (r == 0)
		r = inspection_next(inspection, inspection->state.purged, &inspection->oldest);
	if (r == -ENODATA) {
		inspection->oldest = inspection->head + 1;
		r = 0;
	}
	return r;
}

static int open_database(struct inspection *inspection, char **ret_message)
{
	const char *path = inspection->file.path;
	int r = layout_judge_file(&inspection->file, ret_message);
	if (r < 0)
		return r;
	r = sqlite_open(path, SQLITE_OPEN_READONLY, &inspection->db);
	if (r == 0)
		r = sqlite_run(inspection->db, "PRAGMA query_only = TRUE");
	if (r < 0)
		return layout_complain(path, r, ret_message);
	r = state_judge_wal(inspection->db, &inspection->file, ret_message);
	if (r == 0)
		r = layout_judge_current(inspection->db, path, ret_message);
	if (r < 0)
		return r;
	r = prepare(inspection);
	if (r == 0)
		r = look_around(inspection);
	return r < 0 ? layout_complain(path, r, ret_message) : 0;
}

int inspection_open(const char *path, struct inspection **ret_inspection, char **ret_message)
{
	CLEANUP(inspection_close) struct inspection *inspection = calloc(1, sizeof *inspection);
	*ret_message = NULL;
	if (!inspection)
		return -ENOMEM;
	inspection->file.fd = -1;
	int r = journal_file_look(path, &inspection->file, ret_message);
	if (r == 0)
		r = open_database(inspection, ret_message);
	if (r < 0)
		return r;
	*ret_inspection = STEAL(inspection);
	return 0;
}

void inspection_close(struct inspection *inspection)
{
	if (!inspection)
		return;
	sqlite3_stmt *const statements[] = { inspection->record, inspection->next, inspection->deliveries,
										 inspection->attempts, inspection->part };
	for (size_t i = 0; i < ARRAY_LENGTH(statements); i++)
		sqlite_finalize(statements[i]);
	sqlite_close(inspection->db);
	buffer_finish(&inspection->scratch);
	buffer_finish(&inspection->handler);
	journal_file_finish(&inspection->file);
	free(inspection);
}

int inspection_next(struct inspection *inspection, uint64_t after, uint64_t *ret_sequence)
{
	int64_t sequence;
	int r = sqlite_bind_number(inspection->next, 1, (int64_t)after);
	if (r == 0)
		r = sqlite_step_number(inspection->next, &sequence);
	if (r == 0)
		*ret_sequence = (uint64_t)sequence;
	return r;
}

int inspection_event(struct inspection *inspection, uint64_t sequence, struct event **ret_event)
{
	return record_select(inspection->record, &inspection->scratch, sequence, ret_event);
}

int inspection_deliveries(struct inspection *inspection, uint64_t sequence, inspection_delivery *on_delivery,
						  void *context)
{
	sqlite3_stmt *statement = inspection->deliveries;
	struct delivery delivery;
	int code = SQLITE_DONE, r = sqlite_bind_number(statement, 1, (int64_t)sequence);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		r = delivery_read(statement, &inspection->scratch, &delivery);
		if (r >= 0)
			r = on_delivery(context, &delivery, r == DELIVERY_E_DAMAGED);
	}
	(void)sqlite3_reset(statement);
	return r ? r : sqlite_errno(inspection->db, code);
}

int inspection_attempts(struct inspection *inspection, const struct delivery *delivery, inspection_attempt *on_attempt,
						void *context)
{
	sqlite3_stmt *statement = inspection->attempts;
	int code = SQLITE_DONE, r = delivery_bind_key(statement, delivery);
	while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const struct attempt attempt = attempt_read(statement);
		r = on_attempt(context, &attempt);
	}
	(void)sqlite3_reset(statement);
	return r ? r : sqlite_errno(inspection->db, code);
}
