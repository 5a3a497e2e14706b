/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out: the n-th allocation fails, alone or with all that come after it.
 *
 * The linker puts the functions below in front of malloc() and its like (--wrap in CMakeLists.txt); OpenSSL is asked to
 * use them.
 */
#ifndef UNIT_FAILING_MEMORY_H
#define UNIT_FAILING_MEMORY_H

#include "wire/digest.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct {
	atomic_bool is_on;
	bool is_lasting;
	size_t n_before; /* allocations that succeed */
	_Atomic size_t n_calls;
} failure;

static bool fails(void)
{
	if (!failure.is_on)
		return false;
	size_t n = failure.n_calls++;
	return failure.is_lasting ? n >= failure.n_before : n == failure.n_before;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *memory, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t n);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *memory, size_t n)
{
	return fails() ? NULL : __real_realloc(memory, n);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static void *openssl_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return __wrap_malloc(n);
}

static void *openssl_realloc(void *memory, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return __wrap_realloc(memory, n);
}

static void openssl_free(void *memory, const char *file, int line)
{
	(void)file, (void)line;
	free(memory);
}

__attribute__((constructor)) static void take_over_openssl(void)
{
	uint8_t digest[DIGEST_BYTES];
	if (!CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) ||
		digest_sha256(SPAN("what OpenSSL sets up once, is set up"), digest) < 0)
		abort();
}

#endif
