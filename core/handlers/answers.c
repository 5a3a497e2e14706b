/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handler may ask within a delivery: its state, the latest event of an event id, a callback URI.
 *
 * Most of it is the store's to answer, on another thread; by then the process may be gone, so an answer finds its asker
 * by the number of the question.
 */
#include "auth/tags.h"
#include "base/log.h"
#include "handlers/internal.h"
#include "store/deliveries.h"
#include "wire/filter.h"

#include <errno.h>

#define MAX_KEY_BYTES 128
#define MAX_VALUE_BYTES (16u * 1024)

struct question {
	struct supervisor_note note;
	struct handler *handler;
	uint64_t ask;
	struct buffer key;
	struct buffer value;  /* the answer's payload */
	struct buffer sealed; /* of the state, as it is in the journal */
	int error;
	struct filter filter;
	struct store_state state;
	struct store_state_change change;
	struct store_read read;
};

static void question_destroy(struct question *question)
{
	buffer_finish(&question->key);
	if (question->value.n)
		secret_wipe(question->value.data, question->value.n);
	buffer_finish(&question->value);
	buffer_finish(&question->sealed);
	filter_finish(&question->filter);
	free(question);
}

/* The state that was asked for. */
static int open_value(struct question *question)
{
	struct span handler = span_text(question->handler->name);
	if (question->sealed.failed)
		return -ENOMEM;
	int r = vault_unseal(question->handler->supervisor->vault, handler, buffer_span(&question->key),
						 buffer_span(&question->sealed), &question->value);
	if (r != -EBADMSG)
		return r;
	log_error_limited("a handler's state cannot be read: it is damaged, or was kept with another key",
					  LOG_SPAN("handler", handler));
	return -EIO;
}

static void on_answered(struct supervisor *supervisor, struct supervisor_note *note)
{
	struct question *question = CONTAINER_OF(note, struct question, note);
	struct worker *worker = question->handler->workers;
	supervisor->n_answers--;
	question->handler->n_questions--;
	handler_touch(question->handler);
	while (worker && worker->ask != question->ask)
		worker = worker->next;
	if (question->error == 0 && question->state.on_value)
		question->error = open_value(question);
	if (worker && question->value.failed)
		worker_reply(worker, -ENOMEM, SPAN(""), SPAN(""));
	else if (worker)
		worker_reply(worker, question->error, SPAN(""), question->error ? SPAN("") : buffer_span(&question->value));
	question_destroy(question);
}

static void post(struct question *question, int error)
{
	question->error = error;
	supervisor_post(question->handler->supervisor, &question->note);
}

static void on_value(struct store_state *state, struct span value, int error)
{
	struct question *question = CONTAINER_OF(state, struct question, state);
	buffer_add(&question->sealed, value);
	post(question, error);
}

static void on_changed(struct store_work *work)
{
	struct question *question = CONTAINER_OF(work, struct question, change.work);
	post(question, work->error);
}

static void on_page(struct store_read *read, const struct store_page *page)
{
	struct question *question = CONTAINER_OF(read, struct question, read);
	if (!page->error && page->n)
		buffer_add(&question->value, page->events[0]->body);
	post(question, page->error ? page->error : page->n == 0 ? -ENOENT : 0);
}

static int ask_state(struct question *question)
{
	question->state = (struct store_state){ .handler = span_text(question->handler->name),
											.key = buffer_span(&question->key),
											.on_value = on_value };
	return store_ask_state(question->handler->supervisor->store, &question->state);
}

static int change_state(struct question *question, struct span value)
{
	question->change = (struct store_state_change){ .work = { .kind = WORK_STATE, .on_done = on_changed },
													.handler = span_text(question->handler->name),
													.key = buffer_span(&question->key),
													.value = value };
	question->handler->supervisor->has_submitted = true;
	return store_submit(question->handler->supervisor->store, &question->change.work);
}

static int set_state(struct question *question, struct span value)
{
	if (value.n > MAX_VALUE_BYTES)
		return -EMSGSIZE;
	int r = vault_seal(question->handler->supervisor->vault, span_text(question->handler->name),
					   buffer_span(&question->key), value, &question->sealed);
	return r < 0 ? r : change_state(question, buffer_span(&question->sealed));
}

static int ask_latest(struct question *question, struct span source)
{
	const char *reason = NULL;
	int r = filter_add(&question->filter, FILTER_SOURCES, source, &reason);
	if (r == 0)
		r = filter_add(&question->filter, FILTER_EVENT_IDS, buffer_span(&question->key), &reason);
	if (r != 0)
		return r < 0 ? r : -ENOENT; /* no event has such an id */
	question->read = (struct store_read){ .direction = STORE_NEWEST,
										  .until = UINT64_MAX,
										  .filters = &question->filter,
										  .n_filters = 1,
										  .max_events = 1,
										  .max_bytes = 1,
										  .on_page = on_page };
	return store_read(question->handler->supervisor->store, &question->read);
}

static int put(struct question *question, int what, const struct packet *packet, struct span source)
{
	struct span name = buffer_span(&question->key);
	if (question->key.failed)
		return -ENOMEM;
	if (what == PACKET_LATEST)
		return ask_latest(question, source);
	if (name.n == 0 || name.n > MAX_KEY_BYTES)
		return -EINVAL;
	if (what == PACKET_GET_STATE)
		return ask_state(question);
	return what == PACKET_SET_STATE ? set_state(question, packet->payload) : change_state(question, span_of(NULL, 0));
}

static void ask_store(struct worker *worker, const struct packet *packet, int what)
{
	struct question *question = calloc(1, sizeof *question);
	if (!question) {
		worker_reply(worker, -ENOMEM, SPAN(""), SPAN(""));
		return;
	}
	question->note.run = on_answered;
	question->handler = worker->handler;
	question->ask = worker->ask;
	filter_init(&question->filter);
	buffer_add(&question->key, packet_text(packet, "name"));
	int r = put(question, what, packet, worker->job->event->source);
	if (r < 0) {
		worker_reply(worker, r, SPAN(""), SPAN(""));
		question_destroy(question);
		return;
	}
	worker->handler->supervisor->n_answers++;
	worker->handler->n_questions++;
}

/* --- callback URIs ------------------------------------------------------------------------------------------------ */

static int make_checker(const struct config_source *source, struct tag_checker **ret_checker)
{
	struct span keys[TAGS_MAX_KEYS];
	size_t n_keys = 0;
	for (; n_keys < source->n_tag_keys && n_keys < TAGS_MAX_KEYS; n_keys++)
		keys[n_keys] = span_of(source->tag_keys[n_keys].data, source->tag_keys[n_keys].n);
	return tag_checker_create(span_text(source->name), keys, n_keys, NULL, 0, ret_checker);
}

/* 0; -EINVAL if no tags can be like that; -ENOMEM. */
static int add_query(const struct config_source *source, const struct packet *packet, struct buffer *uri)
{
	CLEANUP(tag_checker_destroy) struct tag_checker *checker = NULL;
	struct tag tags[TAGS_MAX_COUNT];
	size_t n = 0;
	const char *name;
	json_t *value;
	json_object_foreach(packet_value(packet, "tags"), name, value)
	{
		struct span text = document_text(value);
		if (n == TAGS_MAX_COUNT || !text.data)
			return -EINVAL;
		tags[n++] = (struct tag){ span_text(name), text };
	}
	if (n == 0)
		return 0;
	int r = make_checker(source, &checker);
	buffer_add_char(uri, '?');
	if (r == 0)
		r = tag_checker_write(checker, tags, n, uri);
	return r > 0 ? -EINVAL : r;
}

static void answer_callback_uri(struct worker *worker, const struct packet *packet)
{
	const struct config *config = worker->handler->supervisor->config;
	const struct config_source *source = config_source_by_name(config, worker->job->event->source);
	CLEANUP(buffer_finish) struct buffer uri = BUFFER_INIT;
	if (!source || !source->public_url) {
		worker_reply(worker, -ENOTSUP, SPAN("the source has no public_url"), SPAN(""));
		return;
	}
	struct span base = span_text(source->public_url);
	while (base.n && base.data[base.n - 1] == '/') /* the path brings its own */
		base.n--;
	buffer_add(&uri, base);
	buffer_add_text(&uri, source->path);
	int r = add_query(source, packet, &uri);
	if (r == 0 && uri.failed)
		r = -ENOMEM;
	worker_reply(worker, r, SPAN(""), r ? SPAN("") : buffer_span(&uri));
}

void answer(struct worker *worker, const struct packet *packet)
{
	int what = packet_word(packet, "what");
	if (what == PACKET_CALLBACK_URI)
		answer_callback_uri(worker, packet);
	else
		ask_store(worker, packet, what);
}
