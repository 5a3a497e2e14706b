/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes: what they have of the event that they are about, who wants them, and the message. */
#include "unit.h"
#include "wire/filter.h"
#include "wire/outcome.h"

static const struct position position = { "k3x9", 57 };

static struct event *make_event(void)
{
	static const struct interaction interactions[] = { { SPAN("change"), SPAN("") },
													   { SPAN("conferencing_failing"), SPAN("profile_missing") } };
	static const struct tag tags[] = { { SPAN("user"), SPAN("4\"2") } };
	const struct event model = { .kind = EVENT_CALLBACK,
								 .received_ms = 5,
								 .source = SPAN("cronofy"),
								 .event_id = SPAN("evt"),
								 .body = SPAN("{\"x\":1}"),
								 .interactions = interactions,
								 .n_interactions = 2,
								 .tags = tags,
								 .n_tags = 1 };
	struct event *event = NULL;
	CU_ASSERT_EQUAL_FATAL(event_create(&model, &event), 0);
	return event;
}

static struct event *make_outcome(size_t interaction, struct span detail)
{
	CLEANUP(event_unref) struct event *event = make_event();
	const struct outcome what = { .sequence = 42,
								  .interaction = interaction,
								  .at_ms = 1777302000123,
								  .handler = SPAN("retry"),
								  .state = SPAN("done"),
								  .attempt = 3,
								  .detail = detail };
	struct event *outcome = NULL;
	CU_ASSERT_EQUAL_FATAL(outcome_create(event, &what, &outcome), 0);
	return outcome;
}

static bool has_message(const struct event *event, const char *expected)
{
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	event_add_message(&message, event, &position);
	bool is_right = span_equal(buffer_span(&message), span_text(expected));
	if (!is_right)
		fprintf(stderr, "%.*s\n", SPAN_PRINTF(buffer_span(&message)));
	return is_right;
}

#define HEAD                                                                                                      \
	"{\"type\":\"outcome\",\"position\":\"k3x9-57\",\"event_position\":\"k3x9-42\",\"at\":\"2026-04-27T15:00:00." \
	"123Z\","                                                                                                     \
	"\"source\":\"cronofy\",\"event_id\":\"evt\","
#define TAIL "\"tags\":{\"user\":\"4\\\"2\"},\"handler\":\"retry\",\"state\":\"done\",\"attempt\":3,\"detail\":"

static void test_writes_the_message(void)
{
	CLEANUP(event_unref) struct event *outcome = make_outcome(1, SPAN("tried pro_b, \"then\"\n\xc3\xa9"));
	CLEANUP(event_unref) struct event *plain = make_outcome(0, SPAN(""));
	CU_ASSERT_TRUE(has_message(outcome,
							   HEAD "\"interaction\":\"conferencing_failing\",\"subtype\":\"profile_missing\"," TAIL
									"\"tried pro_b, \\\"then\\\"\\n\xc3\xa9\"}"));
	CU_ASSERT_TRUE(has_message(plain, HEAD "\"interaction\":\"change\"," TAIL "\"\"}"));
}

/* The journal gives it back as it was. */
static void test_is_restored(void)
{
	CLEANUP(event_unref) struct event *outcome = make_outcome(1, SPAN("why"));
	CLEANUP(event_unref) struct event *restored = NULL;
	CLEANUP(buffer_finish) struct buffer interactions = BUFFER_INIT, tags = BUFFER_INIT, message = BUFFER_INIT;
	event_add_interactions(&interactions, outcome);
	event_add_tags(&tags, outcome);
	const struct event_record record = { .kind = outcome->kind,
										 .received_ms = outcome->received_ms,
										 .source = outcome->source,
										 .event_id = outcome->event_id,
										 .body = outcome->body,
										 .interactions = buffer_span(&interactions),
										 .tags = buffer_span(&tags) };
	CU_ASSERT_EQUAL_FATAL(event_restore(&record, &restored), 0);
	event_add_message(&message, outcome, &position);
	CLEANUP(free) char *text = buffer_steal_text(&message);
	CU_ASSERT_TRUE(has_message(restored, text));
}

/* Bytes that are no UTF-8, as where a text was cut, must not end a WebSocket. */
static void test_is_utf_8_whatever_the_detail(void)
{
	CLEANUP(event_unref) struct event *outcome = make_outcome(0, SPAN("\xff\xc3"));
	CLEANUP(buffer_finish) struct buffer message = BUFFER_INIT;
	event_add_message(&message, outcome, &position);
	CU_ASSERT_TRUE(span_is_utf8(buffer_span(&message)));
}

static void test_is_wanted_by_who_asks(void)
{
	CLEANUP(event_unref) struct event *event = make_event();
	CLEANUP(event_unref) struct event *outcome = make_outcome(1, SPAN(""));
	CLEANUP(filter_finish) struct filter filter;
	CLEANUP(filter_finish) struct filter copy;
	const char *reason = NULL;
	filter_init(&filter);
	CU_ASSERT_TRUE(filter_matches(&filter, event));
	CU_ASSERT_FALSE(filter_matches(&filter, outcome));
	filter.has_outcomes = true;
	CU_ASSERT_TRUE(filter_matches(&filter, event));
	CU_ASSERT_TRUE(filter_matches(&filter, outcome));
	CU_ASSERT_EQUAL(filter_add(&filter, FILTER_INTERACTIONS, SPAN("conferencing_*"), &reason), 0);
	CU_ASSERT_EQUAL(filter_add_tag(&filter, SPAN("user"), SPAN("4\"2"), &reason), 0);
	CU_ASSERT_TRUE(filter_matches(&filter, outcome));
	CU_ASSERT_EQUAL_FATAL(filter_copy(&filter, &copy), 0);
	CU_ASSERT_TRUE(filter_matches(&copy, outcome));
}

/* Of an event with several interactions it has the one that was handled. */
static void test_has_one_interaction(void)
{
	CLEANUP(event_unref) struct event *outcome = make_outcome(0, SPAN(""));
	CLEANUP(filter_finish) struct filter filter;
	const char *reason = NULL;
	filter_init(&filter);
	filter.has_outcomes = true;
	CU_ASSERT_EQUAL(filter_add(&filter, FILTER_INTERACTIONS, SPAN("conferencing_failing"), &reason), 0);
	CU_ASSERT_FALSE(filter_matches(&filter, outcome));
}

UNIT_MAIN({ "writes the message", test_writes_the_message }, { "is restored as it was", test_is_restored },
		  { "is UTF-8 whatever the detail", test_is_utf_8_whatever_the_detail },
		  { "is wanted by those who ask", test_is_wanted_by_who_asks },
		  { "has the one interaction that was handled", test_has_one_interaction })
