/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into belfryd (test_22_failing.py): while there is a file of a function's name in $FAILING, the function
 * fails. */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Others go on, those of SQLite (64 KiB) among them: what a test sends takes more. */
#define LARGE 70000

static bool fails(const char *name)
{
	char path[4096];
	const char *folder = getenv("FAILING");
	return folder && snprintf(path, sizeof path, "%s/%s", folder, name) > 0 && access(path, F_OK) == 0;
}

void *malloc(size_t n)
{
	static void *(*next)(size_t);
	if (!next)
		next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	if (n < LARGE || !fails("malloc"))
		return next(n);
	errno = ENOMEM;
	return NULL;
}

/* The digest is written all the same: whoever does not look at the result would compare with the right one. */
int EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *digest, size_t *n, size_t size)
{
	static int (*next)(EVP_MAC_CTX *, unsigned char *, size_t *, size_t);
	if (!next)
		next = (int (*)(EVP_MAC_CTX *, unsigned char *, size_t *, size_t))dlsym(RTLD_NEXT, "EVP_MAC_final");
	int r = next(context, digest, n, size);
	return fails("EVP_MAC_final") ? 0 : r;
}
