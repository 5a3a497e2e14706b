/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generation of the configuration as one reactor needs it.
 *
 * Made before anything is switched to it, by whichever thread; then the reactor's alone. An exchange keeps the setup
 * that it began with, so a callback that is under way is verified, routed and answered by one configuration.
 */
#ifndef NET_SETUP_H
#define NET_SETUP_H

#include "auth/tags.h"
#include "config/generation.h"
#include "net/counters.h"
#include "wire/signature.h"

#include <uthash.h>

/* What has been counted of a source, by its name: it outlives configurations. */
struct tally {
	UT_hash_handle hh; /* reactor::tallies */
	char *name;
	struct callback_counters counters;
};

/* One source: keys have their own scratch memory. */
struct source {
	const struct config_source *config;
	const struct scheme *scheme;
	struct verifier *verifier;
	struct tag_checker *tags;
	struct tally *tally; /* the reactor's, once it has adopted the setup */
};

struct setup {
	struct generation *generation; /* a reference */
	struct source *sources;        /* by index in the configuration */
	size_t n_references;           /* the reactor's, and one for each of its exchanges */
	bool is_adopted;
};

/* 0 or -errno. */
int setup_create(struct generation *generation, struct setup **ret_setup) MUST_USE;
static inline struct setup *setup_ref(struct setup *setup)
{
	setup->n_references++;
	return setup;
}
/* NULL is fine. */
void setup_unref(struct setup *setup);
CLEANUP_DEFINE(struct setup, setup_unref)

/* Counts on in the tallies that are there already, and leaves those that are new. */
void setup_adopt(struct setup *setup, struct tally **tallies);
/* NULL if this source never was here. */
const struct tally *tally_find(const struct tally *tallies, const char *name);
void tallies_destroy(struct tally *tallies);

#endif
