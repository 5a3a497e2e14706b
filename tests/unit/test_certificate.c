/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/certificate.h"

#include "base/clock.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NOW_MS INT64_C(1777300000000)
#define DAY_S 86400

static char folder[] = "/tmp/belfry-certificate-XXXXXX";
static char chain_path[64], key_path[64];

static EVP_PKEY *make_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	return key;
}

static void write_certificate(EVP_PKEY *key, long from_s, long until_s)
{
	X509 *certificate = X509_new();
	FILE *file = fopen(chain_path, "w");
	time_t now = NOW_MS / MS_PER_S;
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_TRUE(X509_set_version(certificate, 2) && X509_set_pubkey(certificate, key));
	(void)X509_time_adj_ex(X509_getm_notBefore(certificate), 0, from_s, &now);
	(void)X509_time_adj_ex(X509_getm_notAfter(certificate), 0, until_s, &now);
	CU_ASSERT_TRUE(X509_sign(certificate, key, EVP_sha256()) > 0);
	CU_ASSERT_TRUE(PEM_write_X509(file, certificate));
	CU_ASSERT_EQUAL(fclose(file), 0);
	X509_free(certificate);
}

static void write_key(EVP_PKEY *key, const EVP_CIPHER *cipher)
{
	FILE *file = fopen(key_path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	unsigned char phrase[] = "secret phrase";
	CU_ASSERT_TRUE(PEM_write_PrivateKey(file, key, cipher, cipher ? phrase : NULL, cipher ? 13 : 0, NULL, NULL));
	CU_ASSERT_EQUAL(fclose(file), 0);
	CU_ASSERT_EQUAL(chmod(key_path, 0600), 0);
}

static void append(const char *path, const char *text)
{
	FILE *file = fopen(path, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_TRUE(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

/* The usual pair, valid from yesterday for so many days. */
static void write_pair(long days)
{
	EVP_PKEY *key = make_key();
	write_certificate(key, -DAY_S, days * DAY_S);
	write_key(key, NULL);
	EVP_PKEY_free(key);
}

/* NULL: there is nothing to say; else a part of what is said. */
static void expect(int result, const char *warning, const char *message)
{
	CLEANUP(free) char *said_warning = NULL;
	CLEANUP(free) char *said_message = NULL;
	CLEANUP(certificate_unref) struct certificate *certificate = NULL;
	CU_ASSERT_EQUAL(certificate_load(chain_path, key_path, NOW_MS, &certificate, &said_warning, &said_message), result);
	CU_ASSERT_EQUAL(certificate != NULL, result == 0);
	CU_ASSERT_EQUAL(said_warning != NULL, warning != NULL);
	CU_ASSERT_EQUAL(said_message != NULL, message != NULL);
	if (said_warning && warning)
		CU_ASSERT_PTR_NOT_NULL(strstr(said_warning, warning));
	if (said_message && message)
		CU_ASSERT_PTR_NOT_NULL(strstr(said_message, message));
}

static void test_accepts(void)
{
	write_pair(90);
	expect(0, NULL, NULL);
	append(chain_path, "some text behind it\n");
	expect(0, NULL, NULL);
}

static void test_warns(void)
{
	write_pair(13);
	expect(0, "expires on 2026-05-10", NULL);
}

static void test_refuses_times(void)
{
	EVP_PKEY *key = make_key();
	write_key(key, NULL);
	write_certificate(key, -2 * DAY_S, -DAY_S);
	expect(-EINVAL, NULL, "has expired on 2026-04-26");
	write_certificate(key, DAY_S, 90 * DAY_S);
	expect(-EINVAL, NULL, "not valid yet");
	EVP_PKEY_free(key);
}

static void test_refuses_keys(void)
{
	EVP_PKEY *other = make_key();
	write_pair(90);
	CU_ASSERT_EQUAL(chmod(key_path, 0644), 0);
	expect(-EINVAL, NULL, "everybody can read");
	write_key(other, NULL);
	expect(-EINVAL, NULL, "not the key of the certificate");
	write_key(other, EVP_aes_128_cbc());
	expect(-EINVAL, NULL, "needs a pass phrase");
	CU_ASSERT_EQUAL(truncate(key_path, 60), 0);
	expect(-EINVAL, NULL, "no private key");
	CU_ASSERT_EQUAL(truncate(key_path, 0), 0);
	expect(-EINVAL, NULL, "no private key");
	CU_ASSERT_EQUAL(unlink(key_path), 0);
	expect(-EINVAL, NULL, "No such file");
	EVP_PKEY_free(other);
}

static void test_refuses_chains(void)
{
	write_pair(90);
	append(chain_path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	expect(-EINVAL, NULL, "certificate 2 of the chain cannot be read");
	CU_ASSERT_EQUAL(truncate(chain_path, 100), 0);
	expect(-EINVAL, NULL, "no certificate in PEM form");
	CU_ASSERT_EQUAL(unlink(chain_path), 0);
	expect(-EINVAL, NULL, "No such file");
	CU_ASSERT_EQUAL(mkdir(chain_path, 0700), 0);
	expect(-EINVAL, NULL, "not a regular file");
	CU_ASSERT_EQUAL(rmdir(chain_path), 0);
	CU_ASSERT_EQUAL(mkfifo(chain_path, 0600), 0);
	expect(-EINVAL, NULL, "not a regular file"); /* and does not wait for somebody to write */
	CU_ASSERT_EQUAL(unlink(chain_path), 0);
}

static void test_cleanup(void)
{
	(void)unlink(chain_path);
	(void)unlink(key_path);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void test_setup(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	(void)snprintf(chain_path, sizeof chain_path, "%s/chain.pem", folder);
	(void)snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
}

UNIT_MAIN({ "a folder", test_setup }, { "a pair that fits", test_accepts }, { "warns before it ends", test_warns },
		  { "refuses what is over, or not yet", test_refuses_times }, { "refuses keys", test_refuses_keys },
		  { "refuses chains", test_refuses_chains }, { "the folder goes", test_cleanup })
