/* SPDX-License-Identifier: Apache-2.0 */
/* What several commands begin with: the configuration, one source of it, tags. All failures are told on stderr. */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "auth/tags.h"
#include "cli/invocation.h"
#include "config/config.h"
#include "wire/filter.h"

/* Reads the configuration that the invocation names, but for what only plugins know of their handlers. Warnings stay
 * unsaid: `belfry check` is there for them. CLI_OK, CLI_E_CONFIG, CLI_E_IO, or -ENOMEM. */
int setup_config(const struct invocation *invocation, struct config **ret_config) MUST_USE;
/* The same, but *ret_config is NULL if nobody named a configuration and there is none at the usual place. */
int setup_optional_config(const struct invocation *invocation, struct config **ret_config) MUST_USE;

/* The source that --source names, or the only one there is. CLI_OK or CLI_E_USAGE. */
int setup_source(const struct invocation *invocation, const struct config *config,
				 const struct config_source **ret_source) MUST_USE;

/* Adds what the options --interaction, --subtype, --source, --event-id and --tag say, as far as the command has them.
 * What matches comes with its outcomes. *ret_is_given: any of them was there. CLI_OK; CLI_E_USAGE; -ENOMEM. */
int setup_filter(const struct invocation *invocation, struct filter *filter, bool *ret_is_given) MUST_USE;

/* Appends the query that carries all --tag of the invocation, signed with the source's first key: nothing without tags.
 * CLI_OK; CLI_E_USAGE if a tag is malformed, or needs a signature and the source has no key; CLI_E_CONFIG; -ENOMEM. */
int setup_add_tags(const struct invocation *invocation, const struct config_source *source,
				   struct buffer *query) MUST_USE;

/* Appends the URI to give to the provider: the source's public_url and path, and that query. As setup_add_tags(). */
int setup_add_callback_uri(const struct invocation *invocation, const struct config_source *source,
						   struct buffer *uri) MUST_USE;

#endif
