/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration points to: keys of tokens and tags, certificates. */
#ifndef CONFIG_CONTENTS_H
#define CONFIG_CONTENTS_H

#include "auth/certificate.h"
#include "auth/tags.h"
#include "auth/token.h"
#include "config/config.h"

struct contents {
	struct token_keys *keys;           /* a reference */
	struct certificate **certificates; /* by listener; NULL for clear text */
	size_t n_certificates;
	struct certificate *admin_certificate; /* NULL for clear text */
};

#define CONTENTS_INIT ((struct contents){ 0 })

/* fetched: the JWK set of subscribers.tokens.jwks_url; empty: unknown. now_ms: wall clock. 0: what is wrong has been
 * complained of, and if nothing is, all is there; -ENOMEM, -EIO. Reads files, nothing else. */
int contents_load(const struct config *config, struct span fetched, int64_t now_ms, struct complaints *complaints,
				  struct contents *ret_contents) MUST_USE;
/* When the first of the certificates expires, wall clock; INT64_MAX if there are none. */
int64_t contents_first_end_ms(const struct contents *contents);
void contents_finish(struct contents *contents);
static inline void contents_finish_cleanup(struct contents *contents)
{
	contents_finish(contents);
}

/* The keys alone, as token_keys_create(). */
int contents_load_keys(const struct config *config, struct span fetched, struct token_keys **ret_keys,
					   char **ret_warnings, char **ret_message) MUST_USE;
/* What checks and signs this source's tags, as tag_checker_create(). */
int contents_make_tag_checker(const struct config_source *source, struct tag_checker **ret_checker) MUST_USE;

#endif
