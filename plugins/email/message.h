/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mail as a server takes it: header and text, lines that end with CR LF and are not too long.
 *
 * Nothing in it can be more than it is: a subject is stripped of control characters and written as encoded words (RFC
 * 2047) wherever it is not plain; the text is base64; addresses have been checked.
 */
#ifndef EMAIL_MESSAGE_H
#define EMAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

struct message {
	const char *key; /* makes the Message-ID: A-Z a-z 0-9 . _ : - */
	const char *from, *from_name;
	const char *reply_to; /* NULL: none */
	const char *const *to;
	size_t n_to;
	const char *subject, *body; /* UTF-8 */
	size_t n_subject, n_body;
};

/* As mail servers take them unquoted: local@domain, ASCII, one '@', no empty part. */
bool message_is_address(const char *text, size_t n);

/* The caller frees the text. False without memory. */
bool message_write(const struct message *message, char **ret_text, size_t *ret_n);

#endif
