/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for a plugin's own unit test: it answers as the test has told it to, and keeps what the plugin did.
 *
 *     struct fake fake;
 *     fake_begin(&fake, FAKE_OPTIONS("url", "https://example.com"));
 *     fake_answer(&fake, 200, "ok");
 *     CU_ASSERT_EQUAL(fake_handle(&fake), BELFRY_DONE);
 *     CU_ASSERT_STRING_EQUAL(fake.requests[0].url, "https://example.com");
 *     fake_end(&fake);
 *
 * The plugin under test is the one that is linked to the test. A template is its text; one that begins with a slash is
 * what that JSON pointer finds in the body, and fails if there is nothing.
 */
#ifndef TESTING_FAKE_HOST_H
#define TESTING_FAKE_HOST_H

#include <belfry/plugin.h>

#define FAKE_MAX 32

struct fake_request {
	char *method, *url, *body;
	char *headers; /* "name: value\n" for each */
	size_t n_body;
};

struct fake_answer {
	int r; /* what http() returns */
	int64_t status, retry_after_ms;
	const char *body; /* borrowed from the test */
};

struct fake_state {
	char *key, *value;
	size_t n;
};

struct fake {
	struct belfry_host host; /* first: the functions find the rest by it */
	struct belfry_delivery delivery;
	void *conf, *self;

	/* what the test may set */
	struct belfry_tag tags[FAKE_MAX];
	int64_t remaining_ms;
	const char *latest; /* NULL: -ENOENT */
	int callback_uri_r, set_state_r;
	void (*on_request)(struct fake *fake); /* before an answer is given */

	/* what the plugin did */
	struct fake_request requests[FAKE_MAX];
	size_t n_requests;
	char reason[1001];
	char log[4001]; /* all lines */
	int64_t retry_after_ms;

	struct fake_answer answers[FAKE_MAX];
	size_t n_answers, n_answered;
	struct fake_state states[FAKE_MAX];
	size_t n_states;
	char *texts[FAKE_MAX * 8]; /* what was lent to the plugin */
	size_t n_texts;
};

/* Pairs of name and value, as in the YAML; a list's name stands once for each entry, a map's as "name.key". What is
 * absent gets its fallback. create() must succeed; fake_create() returns what it said. */
#define FAKE_OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define FAKE_NO_OPTIONS ((const char *const[]){ NULL })
void fake_begin(struct fake *fake, const char *const *options);
int fake_create(struct fake *fake, const char *const *options);
void fake_end(struct fake *fake);

void fake_set_body(struct fake *fake, const char *body);
void fake_set_body_bytes(struct fake *fake, const char *body, size_t n);
void fake_add_tag(struct fake *fake, const char *name, const char *value);
/* The next request is answered so. */
void fake_answer(struct fake *fake, int64_t status, const char *body);
void fake_answer_later(struct fake *fake, int64_t status, int64_t retry_after_ms);
void fake_fail(struct fake *fake, int r);
/* handle(), once; a test asserts that all answers were used. */
int fake_handle(struct fake *fake);
bool fake_has_header(const struct fake *fake, size_t request, const char *line);

#endif
