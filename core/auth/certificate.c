/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/certificate.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static inline void X509_free_cleanup(X509 **certificate)
{
	X509_free(*certificate);
}

static inline void fclose_cleanup(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* Sets the message. -EINVAL, or -ENOMEM. */
__attribute__((format(printf, 2, 3))) static int refuse(char **ret_message, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vasprintf(ret_message, format, args);
	va_end(args);
	ERR_clear_error();
	if (n >= 0)
		return -EINVAL;
	*ret_message = NULL;
	return -ENOMEM;
}

static int open_file(const char *path, FILE **ret_file, char **ret_message)
{
	struct stat status;
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not make us wait */
	if (fd < 0 || fstat(fd, &status) < 0)
		return refuse(ret_message, "%s: %s", path, strerrordesc_np(errno));
	if (!S_ISREG(status.st_mode))
		return refuse(ret_message, "%s: not a regular file", path);
	*ret_file = fdopen(fd, "r");
	if (!*ret_file)
		return -ENOMEM;
	fd = -1;
	return 0;
}

/* Answers a request for a pass phrase with none, where OpenSSL would ask at the terminal. */
static int no_pass_phrase(char *buffer, int size, int is_writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)is_writing;
	(void)context;
	return -1;
}

/* The rest of the chain. */
static int read_issuers(FILE *file, const char *path, STACK_OF(X509) * issuers, char **ret_message)
{
	for (int n = 2;; n++) {
		CLEANUP(X509_free) X509 *issuer = PEM_read_X509(file, NULL, no_pass_phrase, NULL);
		if (issuer && sk_X509_push(issuers, issuer) <= 0)
			return -ENOMEM;
		if (issuer) {
			issuer = NULL; /* the stack's */
			continue;
		}
		if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
			return refuse(ret_message, "%s: certificate %d of the chain cannot be read", path, n);
		ERR_clear_error(); /* the end of the file */
		return 0;
	}
}

static int read_chain(const char *path, struct certificate *certificate, char **ret_message)
{
	CLEANUP(fclose) FILE *file = NULL;
	int r = open_file(path, &file, ret_message);
	if (r < 0)
		return r;
	certificate->own = PEM_read_X509(file, NULL, no_pass_phrase, NULL);
	if (!certificate->own)
		return refuse(ret_message, "%s: no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path);
	certificate->issuers = sk_X509_new_null();
	return certificate->issuers ? read_issuers(file, path, certificate->issuers, ret_message) : -ENOMEM;
}

static int read_key(const char *path, struct certificate *certificate, char **ret_message)
{
	struct stat status;
	CLEANUP(fclose) FILE *file = NULL;
	int r = open_file(path, &file, ret_message);
	if (r < 0)
		return r;
	if (fstat(fileno(file), &status) < 0 || (status.st_mode & S_IROTH))
		return refuse(ret_message, "%s: a private key that everybody can read; chmod o-r", path);
	certificate->key = PEM_read_PrivateKey(file, NULL, no_pass_phrase, NULL);
	if (!certificate->key)
		return refuse(ret_message, "%s: no private key in PEM form, or one that needs a pass phrase", path);
	return 0;
}

/* The end of its validity in milliseconds; INT64_MAX if that cannot be said. */
static int64_t end_ms(const X509 *certificate, int64_t now_ms)
{
	int days, seconds;
	time_t now = (time_t)(now_ms / MS_PER_S);
	ASN1_TIME *start = ASN1_TIME_set(NULL, now);
	bool is_known = start && ASN1_TIME_diff(&days, &seconds, start, X509_get0_notAfter(certificate));
	ASN1_TIME_free(start);
	return is_known ? now_ms + ((int64_t)days * 86400 + seconds) * MS_PER_S : INT64_MAX;
}

static int check_times(const X509 *certificate, const char *path, int64_t now_ms, char **ret_warning,
					   char **ret_message)
{
	time_t now = (time_t)(now_ms / MS_PER_S);
	char end[CLOCK_TEXT_SIZE];
	clock_format(end_ms(certificate, now_ms), end);
	if (X509_cmp_time(X509_get0_notBefore(certificate), &now) > 0)
		return refuse(ret_message, "%s: the certificate is not valid yet; set the clock, or wait", path);
	if (X509_cmp_time(X509_get0_notAfter(certificate), &now) < 0)
		return refuse(ret_message, "%s: the certificate has expired on %s; renew it", path, end);
	if (end_ms(certificate, now_ms) - now_ms < CERTIFICATE_WARNING_MS)
		return refuse(ret_warning, "%s: the certificate expires on %s", path, end) == -ENOMEM ? -ENOMEM : 0;
	return 0;
}

int certificate_load(const char *chain_path, const char *key_path, int64_t now_ms, struct certificate **ret_certificate,
					 char **ret_warning, char **ret_message)
{
	CLEANUP(certificate_unref) struct certificate *certificate = calloc(1, sizeof *certificate);
	*ret_warning = *ret_message = NULL;
	if (!certificate)
		return -ENOMEM;
	atomic_init(&certificate->references, 1);
	ERR_clear_error();
	int r = read_chain(chain_path, certificate, ret_message);
	if (r == 0)
		r = read_key(key_path, certificate, ret_message);
	if (r < 0)
		return r;
	if (X509_check_private_key(certificate->own, certificate->key) != 1)
		return refuse(ret_message, "%s: not the key of the certificate in %s; name two that were made for each other",
					  key_path, chain_path);
	certificate->end_ms = end_ms(certificate->own, now_ms);
	r = check_times(certificate->own, chain_path, now_ms, ret_warning, ret_message);
	if (r == 0)
		*ret_certificate = STEAL(certificate);
	return r;
}

struct certificate *certificate_ref(struct certificate *certificate)
{
	(void)atomic_fetch_add_explicit(&certificate->references, 1, memory_order_relaxed);
	return certificate;
}

void certificate_unref(struct certificate *certificate)
{
	if (!certificate || atomic_fetch_sub_explicit(&certificate->references, 1, memory_order_acq_rel) > 1)
		return;
	X509_free(certificate->own);
	sk_X509_pop_free(certificate->issuers, X509_free);
	EVP_PKEY_free(certificate->key);
	free(certificate);
}

bool certificate_is_same(const struct certificate *a, const struct certificate *b)
{
	int n = sk_X509_num(a->issuers);
	if (X509_cmp(a->own, b->own) != 0 || n != sk_X509_num(b->issuers))
		return false;
	for (int i = 0; i < n; i++)
		if (X509_cmp(sk_X509_value(a->issuers, i), sk_X509_value(b->issuers, i)) != 0)
			return false;
	return true; /* with the same certificate it is the same key */
}
