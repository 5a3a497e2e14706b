/* SPDX-License-Identifier: Apache-2.0 */
#include "config/contents.h"

#include <errno.h>

/* Lines that bring their own place with them. Takes the text. */
static void add_complaints(struct complaints *complaints, bool is_warning, char *text)
{
	struct span rest = span_text(text), line;
	while (span_next(&rest, '\n', &line))
		if (line.n)
			complaints_add(complaints, is_warning, NULL, 0, 0, "%.*s", SPAN_PRINTF(line));
	free(text);
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

int contents_load_keys(const struct config *config, struct span fetched, struct token_keys **ret_keys,
					   char **ret_warnings, char **ret_message)
{
	const struct config_subscribers *subscribers = &config->subscribers;
	const struct token_options options = { subscribers->issuer, subscribers->audience, TOKEN_LEEWAY_MS };
	size_t n = subscribers->n_keys;
	CLEANUP(free) struct token_key_source *sources = calloc(n + 1, sizeof *sources);
	if (!sources)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct config_token_key *key = &subscribers->keys[i];
		sources[i] = (struct token_key_source){ .bytes = span_of(key->bytes.data, key->bytes.n), .where = key->where };
	}
	if (fetched.n)
		sources[n++] =
			(struct token_key_source){ .bytes = fetched, .where = subscribers->jwks_url, .is_published = true };
	return token_keys_create(sources, n, &options, ret_keys, ret_warnings, ret_message);
}

static int load_keys(const struct config *config, struct span fetched, struct complaints *complaints,
					 struct contents *contents)
{
	char *warnings = NULL, *message = NULL;
	int r = contents_load_keys(config, fetched, &contents->keys, &warnings, &message);
	add_complaints(complaints, true, warnings);
	add_complaints(complaints, false, message);
	return r == -EINVAL ? 0 : r;
}

/* --- tags --------------------------------------------------------------------------------------------------------- */

int contents_make_tag_checker(const struct config_source *source, struct tag_checker **ret_checker)
{
	struct span keys[TAGS_MAX_KEYS];
	size_t n_keys = source->n_tag_keys < TAGS_MAX_KEYS ? source->n_tag_keys : TAGS_MAX_KEYS;
	for (size_t i = 0; i < n_keys; i++)
		keys[i] = span_of(source->tag_keys[i].data, source->tag_keys[i].n);
	return tag_checker_create(span_text(source->name), keys, n_keys, (const char *const *)source->unsigned_tags,
							  source->n_unsigned_tags, ret_checker);
}

static int check_tags(const struct config *config, struct complaints *complaints)
{
	for (size_t i = 0; i < config->n_sources; i++) {
		const struct config_source *source = &config->sources[i];
		CLEANUP(tag_checker_destroy) struct tag_checker *checker = NULL;
		int r = contents_make_tag_checker(source, &checker);
		if (r == -EINVAL)
			complaints_add(complaints, false, NULL, 0, 0,
						   "source \"%s\": a key for tags has fewer than %d bytes, or a name in unsigned_tags is none",
						   source->name, TAGS_MIN_KEY_BYTES);
		else if (r < 0)
			return r;
	}
	return 0;
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

/* Nothing for clear text. */
static int load_certificate(const struct config_listener *listener, int64_t now_ms, struct complaints *complaints,
							struct certificate **ret_certificate)
{
	char *warning = NULL, *message = NULL;
	if (!listener->has_tls)
		return 0;
	int r = certificate_load(listener->certificate, listener->key, now_ms, ret_certificate, &warning, &message);
	add_complaints(complaints, true, warning);
	add_complaints(complaints, false, message);
	return r == -EINVAL ? 0 : r;
}

static int load_certificates(const struct config *config, int64_t now_ms, struct complaints *complaints,
							 struct contents *contents)
{
	contents->certificates = calloc(config->n_listeners + 1, sizeof(struct certificate *));
	if (!contents->certificates)
		return -ENOMEM;
	contents->n_certificates = config->n_listeners;
	int r = load_certificate(&config->admin.listener, now_ms, complaints, &contents->admin_certificate);
	for (size_t i = 0; r == 0 && i < config->n_listeners; i++)
		r = load_certificate(&config->listeners[i], now_ms, complaints, &contents->certificates[i]);
	return r;
}

int64_t contents_first_end_ms(const struct contents *contents)
{
	int64_t first_ms = contents->admin_certificate ? contents->admin_certificate->end_ms : INT64_MAX;
	for (size_t i = 0; i < contents->n_certificates; i++)
		if (contents->certificates[i] && contents->certificates[i]->end_ms < first_ms)
			first_ms = contents->certificates[i]->end_ms;
	return first_ms;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

int contents_load(const struct config *config, struct span fetched, int64_t now_ms, struct complaints *complaints,
				  struct contents *ret_contents)
{
	CLEANUP(contents_finish) struct contents contents = CONTENTS_INIT;
	int r = load_keys(config, fetched, complaints, &contents);
	if (r == 0)
		r = check_tags(config, complaints);
	if (r == 0)
		r = load_certificates(config, now_ms, complaints, &contents);
	if (r < 0)
		return r;
	*ret_contents = contents;
	contents = CONTENTS_INIT;
	return 0;
}

void contents_finish(struct contents *contents)
{
	token_keys_unref(contents->keys);
	for (size_t i = 0; i < contents->n_certificates; i++)
		certificate_unref(contents->certificates[i]);
	free(contents->certificates);
	certificate_unref(contents->admin_certificate);
	*contents = CONTENTS_INIT;
}
