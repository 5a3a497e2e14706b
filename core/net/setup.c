/* SPDX-License-Identifier: Apache-2.0 */
#include "net/setup.h"

#include "config/contents.h"

#include <errno.h>

static void tally_destroy(struct tally *tally)
{
	if (tally)
		free(tally->name);
	free(tally);
}

static int create_source(struct source *source, const struct config_source *config)
{
	struct span secrets[SIGNATURE_MAX_SECRETS];
	size_t n = 0;
	for (; n < config->n_secrets && n < SIGNATURE_MAX_SECRETS; n++)
		secrets[n] = span_of(config->secrets[n].data, config->secrets[n].n);
	source->config = config;
	source->scheme = scheme_find(span_text(config->scheme));
	source->tally = calloc(1, sizeof *source->tally);
	if (!source->tally || !(source->tally->name = span_dup(span_text(config->name))))
		return -ENOMEM;
	int r = verifier_create(source->scheme, secrets, n, &source->verifier);
	return r < 0 ? r : contents_make_tag_checker(config, &source->tags);
}

int setup_create(struct generation *generation, struct setup **ret_setup)
{
	const struct config *config = generation->config;
	CLEANUP(setup_unref) struct setup *setup = calloc(1, sizeof *setup);
	if (!setup)
		return -ENOMEM;
	setup->n_references = 1;
	setup->generation = generation_ref(generation);
	setup->sources = calloc(config->n_sources, sizeof *setup->sources);
	if (!setup->sources)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_sources; i++) {
		int r = create_source(&setup->sources[i], &config->sources[i]);
		if (r < 0)
			return r;
	}
	*ret_setup = STEAL(setup);
	return 0;
}

void setup_unref(struct setup *setup)
{
	if (!setup || --setup->n_references > 0)
		return;
	for (size_t i = 0; setup->sources && i < setup->generation->config->n_sources; i++) {
		verifier_destroy(setup->sources[i].verifier);
		tag_checker_destroy(setup->sources[i].tags);
		if (!setup->is_adopted)
			tally_destroy(setup->sources[i].tally);
	}
	free(setup->sources);
	generation_unref(setup->generation);
	free(setup);
}

void setup_adopt(struct setup *setup, struct tally **tallies)
{
	for (size_t i = 0; i < setup->generation->config->n_sources; i++) {
		struct source *source = &setup->sources[i];
		struct tally *known;
		HASH_FIND_STR(*tallies, source->tally->name, known);
		if (known) {
			tally_destroy(source->tally);
			source->tally = known;
		} else {
			HASH_ADD_KEYPTR(hh, *tallies, source->tally->name, strlen(source->tally->name), source->tally);
		}
	}
	setup->is_adopted = true;
}

const struct tally *tally_find(const struct tally *tallies, const char *name)
{
	const struct tally *tally;
	HASH_FIND_STR(tallies, name, tally);
	return tally;
}

void tallies_destroy(struct tally *tallies)
{
	struct tally *tally, *next;
	HASH_ITER(hh, tallies, tally, next)
	{
		HASH_DEL(tallies, tally);
		tally_destroy(tally);
	}
}
