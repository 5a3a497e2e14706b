/* SPDX-License-Identifier: Apache-2.0 */
/*
 * belfry journal import: a new journal, made of exported files.
 *
 * It is made beside its place, and moved there when all is in it: so there is a whole journal, or none. Positions are
 * new ones, and so is their epoch. What speaks of positions that are no more (outcomes), or has nothing left (what was
 * erased), is left out.
 */
#include "cli/base64.h"
#include "cli/command.h"
#include "cli/journal.h"
#include "cli/output.h"
#include "store/deliveries.h"
#include "wire/document.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* Events on their way at the same time. */
#define BATCH 512
#define QUEUE_BYTES (1u << 30)
#define KEY_BYTES 16

/* An event on its way, and the line that it came from, as long as its owed handlers are named there. */
struct item {
	struct append append;
	struct document line;
	struct owed *owed;
};

/* What is in the journal already: digests, in a table that is never more than half full. */
struct seen {
	uint8_t (*keys)[KEY_BYTES]; /* all zeros: free */
	size_t n, max;
};

struct importing {
	bool has_owed;
	char *path, *made; /* where it is to be, and where it is made */
	struct store *store;
	struct item items[BATCH];
	size_t n_items;
	struct seen seen;
	const char *file; /* for complaints */
	uint64_t line_number;
	uint64_t n_imported, n_twice, n_left_out, n_owed;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	size_t n_committed; /* {lock} of the items */
	int error;          /* {lock} */
};

static char *with_suffix(const char *path, const char *suffix)
{
	struct buffer name = BUFFER_INIT;
	buffer_add_text(&name, path);
	buffer_add_text(&name, suffix);
	return buffer_steal_text(&name);
}

static void remove_beside(const char *path, const char *suffix)
{
	CLEANUP(free) char *name = with_suffix(path, suffix);
	if (name)
		(void)unlink(name);
}

/* What is made, if it was not moved to its place. */
static void remove_made(const struct importing *importing)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	for (size_t i = 0; importing->made && i < ARRAY_LENGTH(suffixes); i++)
		remove_beside(importing->made, suffixes[i]);
}

static void item_finish(struct item *item)
{
	event_unref(item->append.event);
	document_finish(&item->line);
	free(item->owed);
	*item = (struct item){ 0 };
}

static void importing_destroy(struct importing *importing)
{
	if (!importing)
		return;
	store_close(importing->store);
	remove_made(importing);
	for (size_t i = 0; i < importing->n_items; i++)
		item_finish(&importing->items[i]);
	(void)pthread_mutex_destroy(&importing->lock);
	(void)pthread_cond_destroy(&importing->wake);
	free(importing->seen.keys);
	free(importing->path);
	free(importing->made);
	free(importing);
}
CLEANUP_DEFINE(struct importing, importing_destroy)

/* --- nothing twice ------------------------------------------------------------------------------------------------ */

static uint8_t *seen_place(const struct seen *seen, const uint8_t key[static KEY_BYTES])
{
	static const uint8_t none[KEY_BYTES];
	uint64_t hash;
	memcpy(&hash, key, sizeof hash);
	size_t at = hash & (seen->max - 1);
	while (memcmp(seen->keys[at], none, KEY_BYTES) != 0 && memcmp(seen->keys[at], key, KEY_BYTES) != 0)
		at = (at + 1) & (seen->max - 1);
	return seen->keys[at];
}

static int seen_grow(struct seen *seen)
{
	struct seen larger = { .n = seen->n, .max = seen->max ? seen->max * 2 : 4096 };
	larger.keys = calloc(larger.max, KEY_BYTES);
	if (!larger.keys)
		return -ENOMEM;
	for (size_t i = 0; i < seen->max; i++)
		memcpy(seen_place(&larger, seen->keys[i]), seen->keys[i], KEY_BYTES);
	free(seen->keys);
	*seen = larger;
	return 0;
}

/* *ret_is_new: it was not there. */
static int seen_add(struct seen *seen, const uint8_t key[static KEY_BYTES], bool *ret_is_new)
{
	int r = seen->n * 2 >= seen->max ? seen_grow(seen) : 0;
	if (r < 0)
		return r;
	uint8_t *place = seen_place(seen, key);
	*ret_is_new = memcmp(place, key, KEY_BYTES) != 0;
	seen->n += *ret_is_new;
	memcpy(place, key, KEY_BYTES);
	return 0;
}

/* All that makes it this event and no other. */
static int make_key(const struct event *event, uint8_t ret_key[static KEY_BYTES])
{
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT;
	uint8_t digest[DIGEST_BYTES];
	buffer_add_printf(&text, "%d %lld ", (int)event->kind, (long long)event->received_ms);
	buffer_add_json(&text, event->source);
	buffer_add_json(&text, event->event_id);
	event_add_interactions(&text, event);
	event_add_tags(&text, event);
	buffer_add(&text, span_of(event->body_digest, DIGEST_BYTES));
	int r = text.failed ? -ENOMEM : digest_sha256(buffer_span(&text), digest);
	if (r == 0)
		memcpy(ret_key, digest, KEY_BYTES);
	return r;
}

/* --- a line ------------------------------------------------------------------------------------------------------- */

static int refuse_line(const struct importing *importing, const char *reason)
{
	output_complain("%s:%llu: %s; nothing was imported", importing->file, (unsigned long long)importing->line_number,
					reason);
	return CLI_E_USAGE;
}

/* "2026-04-27T15:00:01.123Z" */
static bool read_time(const char *text, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	uint64_t ms;
	const char *rest = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	if (!rest || strlen(rest) != strlen(".123Z") || rest[0] != '.' || rest[4] != 'Z' ||
		!span_to_u64(span_of(rest + 1, 3), 999, &ms))
		return false;
	*ret_ms = (int64_t)timegm(&tm) * 1000 + (int64_t)ms;
	return true;
}

static bool read_kind(struct span name, enum event_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_LENGTH(event_kinds); i++)
		if (span_equal(name, span_text(event_kinds[i]))) {
			*ret_kind = (enum event_kind)i;
			return true;
		}
	return false;
}

/* NULL, or what is wrong. */
static const char *read_record(const json_t *line, struct event_record *record, struct buffer *decoded)
{
	const json_t *base64 = json_object_get(line, "body_base64");
	record->source = document_text(json_object_get(line, "source"));
	record->event_id = document_text(json_object_get(line, "event_id"));
	record->malformed = document_text(json_object_get(line, "malformed"));
	record->traceparent = document_text(json_object_get(line, "traceparent"));
	record->body = document_text(json_object_get(line, "body"));
	if (!read_kind(document_text(json_object_get(line, "kind")), &record->kind))
		return "\"kind\" is none that this Belfry knows";
	if (!read_time(json_string_value(json_object_get(line, "received_at")), &record->received_ms))
		return "\"received_at\" is no time as 2026-04-27T15:00:01.123Z";
	if (base64 && !base64_read(document_text(base64), BASE64_STANDARD, decoded))
		return "\"body_base64\" is no base64";
	if (base64)
		record->body = buffer_span(decoded);
	if (!record->source.data || !record->event_id.data || (!base64 && !record->body.data))
		return "\"source\", \"event_id\" and \"body\" must be there";
	return NULL;
}

static int restore(struct importing *importing, const json_t *line, struct event **ret_event)
{
	CLEANUP(buffer_finish) struct buffer decoded = BUFFER_INIT;
	CLEANUP(free) char *interactions = json_dumps(json_object_get(line, "interactions"), JSON_COMPACT);
	CLEANUP(free) char *tags = json_dumps(json_object_get(line, "tags"), JSON_COMPACT);
	struct event_record record = { 0 };
	const char *reason = read_record(line, &record, &decoded);
	if (reason)
		return refuse_line(importing, reason);
	if (decoded.failed)
		return -ENOMEM;
	record.interactions = span_text(interactions ? interactions : "");
	record.tags = span_text(tags ? tags : "");
	int r = event_restore(&record, ret_event);
	return r == -EBADMSG ? refuse_line(importing, "its interactions or tags are not what an export has") : r;
}

static int compare_owed(const void *a, const void *b)
{
	const struct owed *left = a, *right = b;
	return (left->interaction > right->interaction) - (left->interaction < right->interaction);
}

static bool is_open(const json_t *delivery)
{
	struct span state = document_text(json_object_get(delivery, "state"));
	return span_equal(state, SPAN("due")) || span_equal(state, SPAN("claimed")) || span_equal(state, SPAN("damaged"));
}

static int read_owed(struct importing *importing, struct item *item)
{
	const json_t *deliveries = json_object_get(item->line.root, "deliveries");
	size_t n_all = json_array_size(deliveries), n = 0;
	if (!importing->has_owed || n_all == 0)
		return CLI_OK;
	item->owed = calloc(n_all, sizeof *item->owed);
	if (!item->owed)
		return -ENOMEM;
	for (size_t i = 0; i < n_all; i++) {
		const json_t *delivery = json_array_get(deliveries, i);
		struct span handler = document_text(json_object_get(delivery, "handler"));
		json_int_t index = json_integer_value(json_object_get(delivery, "index"));
		if (!handler.n || index < 0 || index > UINT32_MAX)
			return refuse_line(importing, "a delivery without a handler, or with an impossible index");
		if (is_open(delivery))
			item->owed[n++] = (struct owed){ .interaction = (uint32_t)index, .handler = handler };
	}
	qsort(item->owed, n, sizeof *item->owed, compare_owed);
	item->append.owed = item->owed;
	item->append.n_owed = n;
	return CLI_OK;
}

/* --- the journal -------------------------------------------------------------------------------------------------- */

static void on_commit(void *context, struct commit *commit)
{
	struct importing *importing = context;
	(void)pthread_mutex_lock(&importing->lock);
	for (size_t i = 0; i < commit->n; i++)
		if (commit->items[i].status == COMMIT_FAILED)
			importing->error = commit->items[i].error;
	importing->n_committed += commit->n;
	(void)pthread_cond_signal(&importing->wake);
	(void)pthread_mutex_unlock(&importing->lock);
}

static int complain_store(const struct importing *importing, int error)
{
	output_complain("%s cannot be written: %s; nothing was imported", importing->made, strerrordesc_np(-error));
	return CLI_E_IO;
}

/* Whatever waits becomes durable. */
static int flush(struct importing *importing)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < importing->n_items; i++)
		r = store_append(importing->store, &importing->items[i].append);
	if (r < 0)
		return complain_store(importing, r);
	store_wake(importing->store);
	(void)pthread_mutex_lock(&importing->lock);
	while (importing->n_committed < importing->n_items)
		(void)pthread_cond_wait(&importing->wake, &importing->lock);
	importing->n_committed = 0;
	r = importing->error;
	(void)pthread_mutex_unlock(&importing->lock);
	for (; importing->n_items > 0; importing->n_items--)
		item_finish(&importing->items[importing->n_items - 1]);
	return r < 0 ? complain_store(importing, r) : CLI_OK;
}

/* Takes what is in the item over, if it belongs into the journal. */
static int keep(struct importing *importing, struct item *item)
{
	uint8_t key[KEY_BYTES];
	bool is_new = false;
	int r = make_key(item->append.event, key);
	if (r == 0)
		r = seen_add(&importing->seen, key, &is_new);
	if (r < 0 || !is_new) {
		importing->n_twice += r == 0;
		item_finish(item);
		return r;
	}
	importing->n_imported++;
	importing->n_owed += item->append.n_owed;
	importing->items[importing->n_items++] = *item;
	*item = (struct item){ 0 };
	return importing->n_items == BATCH ? flush(importing) : CLI_OK;
}

static bool is_left_out(const json_t *line)
{
	struct span kind = document_text(json_object_get(line, "kind"));
	return span_equal(kind, SPAN("outcome")) || span_equal(kind, SPAN("erased"));
}

static int take_line(struct importing *importing, struct span text)
{
	struct item item = { 0 };
	json_error_t error;
	int r = document_read(text, &item.line, &error);
	if (r == DOCUMENT_E_MALFORMED || (r == DOCUMENT_OK && !json_is_object(item.line.root)))
		r = refuse_line(importing, r == DOCUMENT_E_MALFORMED ? error.text : "no JSON object");
	else if (r == DOCUMENT_OK && is_left_out(item.line.root)) {
		importing->n_left_out++;
		document_finish(&item.line);
		return CLI_OK;
	}
	if (r == CLI_OK)
		r = restore(importing, item.line.root, &item.append.event);
	if (r == CLI_OK)
		r = read_owed(importing, &item);
	if (r == CLI_OK)
		return keep(importing, &item);
	item_finish(&item);
	return r;
}

static int take_file(struct importing *importing, const char *name)
{
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	CLEANUP(free) char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int r = CLI_OK;
	importing->file = name;
	importing->line_number = 0;
	if (!file) {
		output_complain("%s: %s", name, strerrordesc_np(errno));
		return CLI_E_IO;
	}
	while (r == CLI_OK && (n = getline(&line, &size, file)) > 0) {
		importing->line_number++;
		struct span text = span_of(line, (size_t)n - (line[n - 1] == '\n'));
		r = text.n ? take_line(importing, text) : CLI_OK;
	}
	if (r == CLI_OK && ferror(file)) {
		output_complain("%s: %s", name, strerrordesc_np(EIO));
		r = CLI_E_IO;
	}
	if (file != stdin)
		(void)fclose(file);
	return r;
}

/* --- its place ---------------------------------------------------------------------------------------------------- */

static int refuse_place(const char *path)
{
	output_complain(
		"%s is there already, and nothing is overwritten: import makes a new journal. Move that file away, or "
		"have it made elsewhere with --journal FILE",
		path);
	return CLI_E_IO;
}

static int open_made(struct importing *importing)
{
	CLEANUP(free) char *log = with_suffix(importing->path, "-wal");
	char *message = NULL;
	importing->made = with_suffix(importing->path, ".importing");
	if (!log || !importing->made)
		return -ENOMEM;
	if (access(importing->path, F_OK) == 0)
		return refuse_place(importing->path);
	if (access(log, F_OK) == 0)
		return refuse_place(log);
	remove_made(importing); /* of an import that was killed */
	int r = store_open(&(struct store_options){ .path = importing->made,
												.limits.max_queue_bytes = QUEUE_BYTES,
												.on_commit = on_commit,
												.context = importing },
					   &importing->store, &message);
	return r < 0 ? journal_refuse(r, message) : CLI_OK;
}

/* All of it is in the file itself, and on the disk. */
static int check_made(const struct importing *importing)
{
	CLEANUP(journal_file_finish) struct journal_file file = { .fd = -1 };
	struct journal_state state;
	char *message = NULL;
	int r = journal_file_look(importing->made, &file, &message);
	if (r < 0)
		return journal_refuse(r, message);
	r = state_read_without_wal(&file, &state);
	if (r == 0 && (state.is_open || state.head != importing->n_imported))
		r = -EIO;
	if (r == 0 && fsync(file.fd) < 0)
		r = -errno;
	return r < 0 ? complain_store(importing, r) : CLI_OK;
}

static int put_in_place(struct importing *importing)
{
	store_close(importing->store);
	importing->store = NULL;
	int r = check_made(importing);
	if (r != CLI_OK)
		return r;
	if (renameat2(AT_FDCWD, importing->made, AT_FDCWD, importing->path, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? refuse_place(importing->path) : complain_store(importing, -errno);
	r = journal_file_sync_folder(importing->path);
	return r < 0 ? complain_store(importing, r) : CLI_OK;
}

static int print(const struct invocation *invocation, const struct importing *importing)
{
	CLEANUP(buffer_finish) struct buffer line = BUFFER_INIT;
	if (invocation_is_json(invocation))
		return output_json_new(json_pack("{s:s, s:I, s:I, s:I, s:I}", "file", importing->path, "events",
										 (json_int_t)importing->n_imported, "twice", (json_int_t)importing->n_twice,
										 "left_out", (json_int_t)importing->n_left_out, "owed",
										 (json_int_t)importing->n_owed));
	buffer_add_printf(
		&line, "%s: %llu events, %llu deliveries owed; %llu stood twice, %llu outcomes or erased events left out",
		importing->path, (unsigned long long)importing->n_imported, (unsigned long long)importing->n_owed,
		(unsigned long long)importing->n_twice, (unsigned long long)importing->n_left_out);
	return line.failed ? -ENOMEM : output_line(buffer_span(&line));
}

int journal_import(const struct invocation *invocation)
{
	CLEANUP(importing_destroy) struct importing *importing = calloc(1, sizeof *importing);
	if (!importing)
		return -ENOMEM;
	(void)pthread_mutex_init(&importing->lock, NULL);
	(void)pthread_cond_init(&importing->wake, NULL);
	importing->has_owed = invocation_has(invocation, "owed");
	int r = journal_find(invocation, &importing->path);
	if (r == CLI_OK)
		r = open_made(importing);
	for (size_t i = 1; r == CLI_OK && i < invocation->n_operands; i++)
		r = take_file(importing, invocation->operands[i]);
	if (r == CLI_OK)
		r = flush(importing);
	if (r == CLI_OK)
		r = put_in_place(importing);
	return r == CLI_OK ? print(invocation, importing) : r;
}
