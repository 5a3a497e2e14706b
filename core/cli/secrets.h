/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secrets that a command signs or checks with: from files that the command line names, from BELFRY_SECRET, or from
 * the configuration, in this order of preference. Never from the command line itself, where `ps` shows them.
 */
#ifndef CLI_SECRETS_H
#define CLI_SECRETS_H

#include "cli/invocation.h"
#include "config/config.h"
#include "wire/signature.h"

/* Copies, wiped by secrets_finish(). */
struct secrets {
	struct span items[SIGNATURE_MAX_SECRETS];
	char *origins[SIGNATURE_MAX_SECRETS]; /* "file /etc/belfry/secrets/cronofy" */
	size_t n;
};

void secrets_finish(struct secrets *secrets);
static inline void secrets_finish_cleanup(struct secrets *secrets)
{
	secrets_finish(secrets);
}

/* Whether the invocation needs no configuration for its secrets. */
bool secrets_are_given(const struct invocation *invocation);
/* source may be NULL if secrets_are_given(). CLI_OK; CLI_E_IO or CLI_E_USAGE, told; -ENOMEM. */
int secrets_read(const struct invocation *invocation, const struct config_source *source,
				 struct secrets *ret_secrets) MUST_USE;

/* One secret in a file, without the newline that editors put at its end; the caller wipes and frees *ret_secret.
 * CLI_OK; CLI_E_IO, told; -ENOMEM. */
int secret_file_read(const char *path, size_t max_bytes, struct buffer *ret_secret) MUST_USE;
/* Whether the text can be a bearer token: printable ASCII without blanks. Anything else would be another header. */
bool secret_is_token(struct span token);
/* The header's line with it, terminated. 0 or -ENOMEM. */
int secret_add_authorization(struct buffer *field, struct span token) MUST_USE;
/* Wipes and frees. */
void secret_buffer_finish(struct buffer *secret);
static inline void secret_buffer_finish_cleanup(struct buffer *secret)
{
	secret_buffer_finish(secret);
}

#endif
