/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subscriber says: '?' first and it is a URL's query, else JSON. What is refused has a reason in words; what is
 * accepted is whole, and its filters, written down, read back as the same.
 */
#include "fuzz.h"
#include "wire/document.h"
#include "wire/message.h"

static bool is_id(const char *id)
{
	struct span s = span_text(id);
	return s.n >= 1 && s.n <= MESSAGE_MAX_ID_BYTES && span_is_utf8(s);
}

static void check_filter(const struct filter *filter)
{
	json_error_t error;
	const char *reason = NULL;
	CLEANUP(buffer_finish) struct buffer text = BUFFER_INIT, again = BUFFER_INIT;
	CLEANUP(document_finish) struct document document = DOCUMENT_INIT;
	CLEANUP(filter_finish) struct filter parsed;
	filter_init(&parsed);
	filter_add_json(&text, filter);
	FUZZ_ASSERT(document_read(buffer_span(&text), &document, &error) == DOCUMENT_OK);
	FUZZ_ASSERT(filter_parse(document.root, &parsed, &reason) == FILTER_OK);
	filter_add_json(&again, &parsed);
	FUZZ_ASSERT(span_equal(buffer_span(&text), buffer_span(&again)));
	FUZZ_ASSERT(filter_is_within(filter, &parsed) && filter_is_within(&parsed, filter));
}

static void check_start(const struct message *message)
{
	struct position position;
	char text[POSITION_TEXT_SIZE];
	FUZZ_ASSERT((message->last != 0) == (message->start == MESSAGE_START_LAST));
	FUZZ_ASSERT(message->last <= MESSAGE_MAX_LAST);
	FUZZ_ASSERT((message->after.epoch[0] != '\0') == (message->start == MESSAGE_START_AFTER));
	if (message->start != MESSAGE_START_AFTER)
		return;
	size_t n = position_format(&message->after, text);
	FUZZ_ASSERT(position_parse(span_of(text, n), &position) && position.sequence == message->after.sequence &&
				strcmp(position.epoch, message->after.epoch) == 0);
}

static void check_accepted(const struct message *message, bool is_query)
{
	FUZZ_ASSERT((message->token != NULL) == (message->type == MESSAGE_AUTH));
	FUZZ_ASSERT((message->n_filters >= 1) == (message->type == MESSAGE_SUBSCRIBE));
	FUZZ_ASSERT(message->id || message->type != MESSAGE_UNSUBSCRIBE);
	FUZZ_ASSERT(is_query || !message->ticket);
	check_start(message);
	for (size_t i = 0; i < message->n_filters; i++) {
		FUZZ_ASSERT(is_id(message->filters[i].id));
		check_filter(&message->filters[i].filter);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(message_finish) struct message message;
	CLEANUP(buffer_finish) struct buffer reason = BUFFER_INIT;
	bool is_query = n && data[0] == '?';
	int outcome = is_query ? message_parse_query(span_of(data + 1, n - 1), "limit", &message, &reason)
						   : message_parse(span_of(data, n), &message, &reason);
	FUZZ_ASSERT(outcome >= MESSAGE_OK && outcome <= MESSAGE_E_POSITION && !reason.failed);
	FUZZ_ASSERT(!message.id || is_id(message.id));
	if (outcome == MESSAGE_OK)
		check_accepted(&message, is_query);
	else
		FUZZ_ASSERT(reason.n && reason.n < 512 && span_is_utf8(buffer_span(&reason)) &&
					!memchr(reason.data, '\0', reason.n) && !memchr(reason.data, '\n', reason.n));
	return 0;
}
