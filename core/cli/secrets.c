/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secrets.h"

#include "cli/input.h"
#include "cli/output.h"
#include "wire/digest.h"

#include <errno.h>

#define MAX_SECRET_BYTES 4096

bool secret_is_token(struct span token)
{
	for (size_t i = 0; i < token.n; i++)
		if (token.data[i] <= ' ' || token.data[i] >= 0x7f)
			return false;
	return true;
}

int secret_add_authorization(struct buffer *field, struct span token)
{
	if (!buffer_reserve(field, token.n + 64)) /* in one piece: growing would leave copies behind */
		return -ENOMEM;
	buffer_add_text(field, "Authorization: Bearer ");
	buffer_add(field, token);
	buffer_add(field, span_of("", 1));
	return 0;
}

void secret_buffer_finish(struct buffer *secret)
{
	secret_wipe(secret->data, secret->cap);
	buffer_finish(secret);
}

void secrets_finish(struct secrets *secrets)
{
	for (size_t i = 0; i < secrets->n; i++) {
		char *bytes = (char *)(uintptr_t)secrets->items[i].data; /* ours: span_dup() made it */
		secret_wipe(bytes, secrets->items[i].n);
		free(bytes);
		free(secrets->origins[i]);
	}
	secrets->n = 0;
}

static int add(struct secrets *secrets, struct span bytes, const char *kind, const char *name)
{
	if (secrets->n == SIGNATURE_MAX_SECRETS) {
		output_complain("too many secrets: at most %d", SIGNATURE_MAX_SECRETS);
		return CLI_E_USAGE;
	}
	CLEANUP(free) char *origin = NULL;
	if (asprintf(&origin, "%s%s", kind, name) < 0)
		return -ENOMEM;
	char *copy = span_dup(bytes);
	if (!copy)
		return -ENOMEM;
	secrets->items[secrets->n] = span_of(copy, bytes.n);
	secrets->origins[secrets->n++] = STEAL(origin);
	return CLI_OK;
}

int secret_file_read(const char *path, size_t max_bytes, struct buffer *ret_secret)
{
	CLEANUP(secret_buffer_finish) struct buffer bytes = BUFFER_INIT;
	if (!buffer_reserve(&bytes, max_bytes + 65536)) /* in one piece: growing would leave copies behind */
		return -ENOMEM;
	int r = input_read(path, max_bytes, &bytes);
	if (r < 0) {
		output_complain("%s: %s", path, strerrordesc_np(-r));
		return r == -ENOMEM ? r : CLI_E_IO;
	}
	if (bytes.n && bytes.data[bytes.n - 1] == '\n')
		bytes.n--;
	if (bytes.n && bytes.data[bytes.n - 1] == '\r')
		bytes.n--;
	if (bytes.n == 0) {
		output_complain("%s: holds no secret, it is empty", path);
		return CLI_E_IO;
	}
	*ret_secret = bytes;
	bytes = BUFFER_INIT;
	return CLI_OK;
}

static int add_file(struct secrets *secrets, const char *path)
{
	CLEANUP(secret_buffer_finish) struct buffer bytes = BUFFER_INIT;
	int r = secret_file_read(path, MAX_SECRET_BYTES, &bytes);
	return r == CLI_OK ? add(secrets, buffer_span(&bytes), "file ", path) : r;
}

bool secrets_are_given(const struct invocation *invocation)
{
	const char *environment = getenv("BELFRY_SECRET");
	return invocation_has(invocation, "secret-file") || (environment && *environment);
}

static int read_given(const struct invocation *invocation, struct secrets *secrets)
{
	size_t n = invocation_count(invocation, "secret-file");
	if (n == 0)
		return add(secrets, span_text(getenv("BELFRY_SECRET")), "environment variable ", "BELFRY_SECRET");
	for (size_t i = 0; i < n; i++) {
		int r = add_file(secrets, invocation_value_at(invocation, "secret-file", i));
		if (r != CLI_OK)
			return r;
	}
	return CLI_OK;
}

static int read_configured(const struct config_source *source, struct secrets *secrets)
{
	for (size_t i = 0; i < source->n_secrets; i++) {
		const struct secret *secret = &source->secrets[i];
		int r = add(secrets, span_of(secret->data, secret->n), secret->origin, "");
		if (r != CLI_OK)
			return r;
	}
	return CLI_OK;
}

int secrets_read(const struct invocation *invocation, const struct config_source *source, struct secrets *ret_secrets)
{
	CLEANUP(secrets_finish) struct secrets secrets = { 0 };
	int r = secrets_are_given(invocation) ? read_given(invocation, &secrets) : read_configured(source, &secrets);
	if (r != CLI_OK)
		return r;
	*ret_secrets = secrets;
	secrets.n = 0;
	return CLI_OK;
}
