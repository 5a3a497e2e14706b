/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the gateway at its administrator's side: at the socket of the configuration or, if there is none, the address.
 */
#ifndef CLI_OPERATOR_H
#define CLI_OPERATOR_H

#include "cli/invocation.h"

#include <jansson.h>

/* In the table of each command that asks. */
#define OPERATOR_OPTIONS                                                                                              \
	{ "url", "URL", false, "Ask at this URL, not at the configuration's admin socket or address." },                  \
		{ "token-file", "FILE", false,                                                                                \
		  "The administrator's token, in a file. The environment variable BELFRY_ADMIN_TOKEN does the same. Without " \
		  "either, the first operator's of the configuration is taken, if one is needed." },                          \
		{ "insecure", NULL, false, "Do not check the listener's certificate: for a self-signed one." },               \
	{                                                                                                                 \
		"cacert", "FILE", false, "Trust the certificates in this PEM file."                                           \
	}

/* Appends "&name=value" of an option, if it was given. */
void operator_add_option(struct buffer *query, const struct invocation *invocation, const char *name);
/* The same of an option that the gateway calls otherwise, or of each of several: the last one is NULL. */
void operator_add_option_as(struct buffer *query, const struct invocation *invocation, const char *name,
							const char *parameter);
void operator_add_options(struct buffer *query, const struct invocation *invocation, const char *const *names);
/* The text of a member, "" without one. */
const char *operator_text(const json_t *object, const char *key);
/* The number. */
long long operator_number(const json_t *object, const char *key);
/* What the gateway answers to GET or POST of path?query. CLI_OK and *ret_answer, an object (json_decref); an enum
 * cli_exit, told; -ENOMEM. */
int operator_ask(const struct invocation *invocation, const char *path, struct span query, bool is_post,
				 json_t **ret_answer) MUST_USE;
/* The same by GET, and the answer is shown: as it is with --json, otherwise by `print`. */
int operator_show(const struct invocation *invocation, const char *path, const struct buffer *query,
				  int (*print)(const struct invocation *invocation, const json_t *answer)) MUST_USE;

/* "type/subtype", or the type alone. */
void operator_add_interaction(struct buffer *line, const char *type, const char *subtype);
/* An answer may be a page of several: says how to get the next one. */
void operator_tell_older(const json_t *answer);
/* A delivery in two lines: what it is, and how the last attempt ended. */
int operator_print_delivery(const json_t *delivery) MUST_USE;

#endif
