/* SPDX-License-Identifier: Apache-2.0 */
#include "net/send.h"

#include "net/ingest.h"
#include "net/operator.h"
#include "net/rights.h"
#include "wire/samples.h"
#include "wire/sending.h"

#define MAX_BODY_BYTES (1u << 20)
#define ID_BYTES 15

static struct source *find_source(const struct exchange *exchange, struct span name)
{
	const struct config *config = exchange_config(exchange);
	for (size_t i = 0; i < config->n_sources; i++)
		if (span_equal(name, span_text(config->sources[i].name)) || (name.n == 0 && config->n_sources == 1))
			return &exchange->setup->sources[i];
	return NULL;
}

/* A sample has another event id each time, so that it is no duplicate. NULL, or what is wrong. */
static const char *make_body(const struct sending *sending, struct buffer *body)
{
	uint8_t random[ID_BYTES];
	CLEANUP(buffer_finish) struct buffer id = BUFFER_INIT;
	if (sending->body.n) {
		buffer_add(body, sending->body);
		return NULL;
	}
	const struct sample *sample = sample_find(sending->sample);
	if (!sample)
		return "there is no such sample (belfry send --list)";
	body->failed |= digest_random(random, sizeof random) < 0;
	base64url_add(&id, random, sizeof random);
	sample_renumber(span_text(sample->body), buffer_span(&id), body);
	body->failed |= id.failed;
	return NULL;
}

/* The head of the request that the provider would make. NULL, or what is wrong. */
static const char *make_head(const struct source *source, const struct sending *sending, struct span body,
							 struct buffer *head)
{
	buffer_add_printf(head, "POST %s", source->config->path);
	if (sending->n_tags) {
		buffer_add_char(head, '?');
		int r = tag_checker_write(source->tags, sending->tags, sending->n_tags, head);
		head->failed |= r < 0;
		if (r > 0)
			return "a tag has a name or a value that none can have";
	}
	buffer_add_printf(head, " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\n%s: ",
					  source->scheme->header);
	head->failed |= verifier_sign(source->verifier, body, head) < 0;
	buffer_add_printf(head, "\r\nContent-Length: %zu\r\n\r\n", body.n);
	return NULL;
}

static const char *take(struct exchange *exchange, const struct sending *sending)
{
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT, head = BUFFER_INIT;
	struct source *source = find_source(exchange, sending->source);
	if (!source)
		return "\"source\" is none of the configuration's";
	const char *complaint = make_body(sending, &body);
	if (!complaint)
		complaint = make_head(source, sending, buffer_span(&body), &head);
	if (complaint)
		return complaint;
	if (body.failed || head.failed)
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
	else
		ingest_take(exchange->connection, source, buffer_span(&head), buffer_span(&body));
	return NULL;
}

static void begin(struct exchange *exchange, const struct http_request *request)
{
	exchange->max_body = MAX_BODY_BYTES;
	rights_log(exchange, request);
}

static void finish(struct exchange *exchange, struct span body)
{
	CLEANUP(sending_finish) struct sending sending;
	const char *complaint = NULL;
	int r = sending_parse(body, &sending, &complaint);
	if (r == SENDING_OK)
		complaint = take(exchange, &sending);
	if (complaint)
		operator_refuse(exchange, complaint);
	else if (r < 0)
		connection_refuse(exchange->connection, 503, "unavailable", "out of memory", "Retry-After: 5\r\n");
}

const struct endpoint send_endpoint = {
	.methods = "POST", .exchange_size = sizeof(struct exchange), .begin = begin, .finish = finish
};
