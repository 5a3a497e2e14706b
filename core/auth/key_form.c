/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What form a key came in, and the PEM form.
 *
 * An HS secret is any bytes at all, so everything that is not recognized would become one. That is dangerous where the
 * bytes are public: a certificate printed with text around it, a DER file, the bare base64 that some identity
 * providers show, an SSH key. These are looked for first, and refused.
 */
#include "auth/key.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pemerr.h>
#include <openssl/x509.h>

/* Longer than any key; what is longer is no DER of one. */
#define MAX_DER_BYTES 65536

/* Reads a key at *at and sets *at behind it; NULL if there is none. */
typedef EVP_PKEY *(*der_reader)(const unsigned char **at, long n);

static EVP_PKEY *read_public(const unsigned char **at, long n)
{
	return d2i_PUBKEY(NULL, at, n);
}

static EVP_PKEY *read_rsa_public(const unsigned char **at, long n)
{
	return d2i_PublicKey(EVP_PKEY_RSA, NULL, at, n);
}

static EVP_PKEY *read_certificate(const unsigned char **at, long n)
{
	X509 *certificate = d2i_X509(NULL, at, n);
	EVP_PKEY *pkey = certificate ? X509_get_pubkey(certificate) : NULL;
	X509_free(certificate);
	return pkey;
}

static EVP_PKEY *read_private(const unsigned char **at, long n)
{
	return d2i_AutoPrivateKey(NULL, at, n);
}

/* What may stand behind "-----BEGIN ". */
static const struct pem_label {
	const char *name;
	enum key_use use;
	der_reader read;
} pem_labels[] = {
	{ "PUBLIC KEY", KEY_VERIFY, read_public },       { "RSA PUBLIC KEY", KEY_VERIFY, read_rsa_public },
	{ "CERTIFICATE", KEY_VERIFY, read_certificate }, { "PRIVATE KEY", KEY_SIGN, read_private },
	{ "RSA PRIVATE KEY", KEY_SIGN, read_private },   { "EC PRIVATE KEY", KEY_SIGN, read_private },
};

static const struct pem_label *find_label(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(pem_labels); i++)
		if (strcmp(pem_labels[i].name, name) == 0)
			return &pem_labels[i];
	return NULL;
}

static int refuse(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return KEY_E_UNUSABLE;
}

/* `header` is where the old form of encrypted PEM says that it is encrypted. */
static int read_block(const char *name, const char *header, struct span der, enum key_use use, struct key *ret_key,
					  const char **ret_reason)
{
	const struct pem_label *label = find_label(name);
	if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0 || *header)
		return refuse(ret_reason, "the key is encrypted; give it without a password");
	if (!label)
		return refuse(ret_reason, "a PEM block that is neither a key nor a certificate");
	if (use == KEY_VERIFY && label->use == KEY_SIGN)
		return refuse(ret_reason, "it is a private key; give the public key");
	if (use == KEY_SIGN && label->use == KEY_VERIFY)
		return refuse(ret_reason, "it is a public key; signing needs the private key");
	const unsigned char *at = (const unsigned char *)der.data, *end = at + der.n;
	EVP_PKEY *pkey = label->read(&at, (long)der.n);
	int r = pkey && at == end ? key_from_pkey(pkey, use, ret_key, ret_reason)
							  : refuse(ret_reason, "a PEM block that does not hold what its first line says");
	EVP_PKEY_free(pkey);
	return r;
}

static int read_next(BIO *pem, enum key_use use, bool *ret_is_key, struct key *ret_key, const char **ret_reason)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long n = 0;
	int r = KEY_OK;
	if (PEM_read_bio(pem, &name, &header, &der, &n) != 1)
		return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
				   ? KEY_END
				   : refuse(ret_reason, "a PEM block that is not whole");
	*ret_is_key = strcmp(name, "EC PARAMETERS") != 0; /* openssl writes these before a private key */
	if (*ret_is_key)
		r = read_block(name, header, span_of(der, (size_t)n), use, ret_key, ret_reason);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_clear_free(der, (size_t)n);
	return r;
}

int key_next_pem(BIO *pem, enum key_use use, struct key *ret_key, const char **ret_reason)
{
	bool is_key = false;
	int r = KEY_OK;
	while (r == KEY_OK && !is_key)
		r = read_next(pem, use, &is_key, ret_key, ret_reason);
	return r;
}

/* Whether DER of a key begins here; what follows it does not matter. */
static bool is_der_key(const unsigned char *bytes, size_t n)
{
	static const der_reader readers[] = { read_public, read_rsa_public, read_certificate, read_private };
	bool is_key = false;
	if (n == 0 || bytes[0] != 0x30) /* SEQUENCE */
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(readers) && !is_key; i++) {
		const unsigned char *at = bytes;
		EVP_PKEY *pkey = readers[i](&at, (long)n);
		is_key = pkey != NULL;
		EVP_PKEY_free(pkey);
	}
	return is_key;
}

/* DER in base64, with or without line ends, but without the lines that make it PEM. */
static bool is_base64_key(struct span text, unsigned char *scratch)
{
	int n = 0, n_last = 0;
	EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
	if (!context)
		return true; /* as below */
	EVP_DecodeInit(context);
	bool is_base64 = EVP_DecodeUpdate(context, scratch, &n, (const unsigned char *)text.data, (int)text.n) >= 0 &&
					 EVP_DecodeFinal(context, scratch + n, &n_last) >= 0;
	EVP_ENCODE_CTX_free(context);
	return is_base64 && is_der_key(scratch, (size_t)(n + n_last));
}

/* A key that is neither PEM nor JSON, as it is or in base64. */
static bool is_bare_key(struct span bytes, struct span text)
{
	if (bytes.n == 0 || bytes.n > MAX_DER_BYTES)
		return false;
	unsigned char *scratch = malloc(bytes.n + 1);
	if (!scratch)
		return true; /* nobody can tell, so it must not become a secret */
	/* whoever read the file may have taken the last byte of DER for a line end, and dropped it */
	memcpy(scratch, bytes.data, bytes.n);
	scratch[bytes.n] = '\n';
	bool is_key = is_der_key(scratch, bytes.n + 1) || is_base64_key(text, scratch);
	OPENSSL_cleanse(scratch, bytes.n);
	free(scratch);
	return is_key;
}

static struct span skip_blanks(struct span s)
{
	if (span_starts_with(s, SPAN("\xef\xbb\xbf"))) /* a byte order mark */
		s = span_skip(s, 3);
	while (s.n && strchr(" \t\r\n", s.data[0]) && s.data[0])
		s = span_skip(s, 1);
	return s;
}

enum key_form key_look(struct span bytes)
{
	struct span text = skip_blanks(bytes);
	if (bytes.n && memmem(bytes.data, bytes.n, "-----BEGIN ", 11))
		return KEY_FORM_PEM;
	if (span_starts_with(text, SPAN("{")))
		return KEY_FORM_JSON;
	if (span_starts_with(text, SPAN("ssh-")) || span_starts_with(text, SPAN("ecdsa-sha2-")) || is_bare_key(bytes, text))
		return KEY_FORM_MISTAKEN;
	return KEY_FORM_SECRET;
}
