/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward: posts the callback on to another URL, its body byte for byte, signed as Standard Webhooks says
 * (https://www.standardwebhooks.com), so that the receiver can check it with a library that exists.
 *
 * The message's id is the delivery's key, the same at each attempt: by it a receiver knows what it has already seen.
 * Several secrets sign each message while one replaces another. What the answers mean is the standard's word, too: 2xx
 * is accepted, 410 never again, all else later.
 */
#include <belfry/plugin.h>

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECRET_PREFIX "whsec_"
/* Bounds of the standard, for a secret's bytes. */
#define MIN_SECRET_BYTES 24
#define MAX_SECRET_BYTES 64
#define MAX_SECRETS 8
#define MAX_HEADERS 32
#define MAX_ID_BYTES 128
#define MAC_BYTES 32
/* "v1," and the base64 of a MAC, and a blank */
#define SIGNATURE_BYTES (3 + 44 + 1)

struct conf {
	const char *url;
	struct belfry_list secrets;
	struct belfry_map headers;
	int64_t timeout;
};

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, url, BELFRY_URL, .is_required = true, .example = "https://app.example.com/callbacks",
				  .help = "where callbacks are posted to"),
	BELFRY_OPTION(struct conf, secrets, BELFRY_LIST, .entry = BELFRY_SECRET, .is_required = true, .least = 1,
				  .most = MAX_SECRETS, .example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
				  .help = "whsec_ and the base64 of 24 to 64 bytes; each signs, so that one can replace another"),
	BELFRY_OPTION(struct conf, headers, BELFRY_MAP, .entry = BELFRY_SECRET, .least = 0, .most = MAX_HEADERS / 2,
				  .example = "Bearer abc", .help = "further header fields, by name"),
	BELFRY_OPTION(struct conf, timeout, BELFRY_DURATION, .fallback = "15s", .least = 100, .most = 600000,
				  .help = "how long an answer may take"),
	BELFRY_END,
};

struct key {
	unsigned char bytes[MAX_SECRET_BYTES];
	size_t n;
};

struct forward {
	const struct conf *conf;
	struct key keys[MAX_SECRETS];
	size_t n_keys;
};

/* ---- secrets ---- */

static void wipe(void *bytes, size_t n)
{
	explicit_bzero(bytes, n);
}

static bool read_key(const char *text, struct key *key)
{
	unsigned char bytes[MAX_SECRET_BYTES + 3]; /* EVP_DecodeBlock() counts the padding as bytes */
	if (strncmp(text, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0)
		text += strlen(SECRET_PREFIX);
	size_t n_text = strlen(text), n_padding = strspn(text + strcspn(text, "="), "=");
	if (n_text == 0 || n_text % 4 || n_text / 4 * 3 > sizeof bytes || n_padding > 2)
		return false;
	int n = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n_text);
	key->n = n < (int)n_padding ? 0 : (size_t)n - n_padding;
	bool is_good = key->n >= MIN_SECRET_BYTES && key->n <= MAX_SECRET_BYTES;
	if (is_good)
		memcpy(key->bytes, bytes, key->n);
	wipe(bytes, sizeof bytes);
	return is_good;
}

static void destroy(void *self)
{
	wipe(self, sizeof(struct forward));
	free(self);
}

static int create(const struct belfry_host *host, const void *conf, void **ret_self)
{
	struct forward *forward = calloc(1, sizeof *forward);
	if (!forward)
		return -ENOMEM;
	forward->conf = conf;
	for (size_t i = 0; i < forward->conf->secrets.n; i++) {
		if (!read_key(forward->conf->secrets.entries[i].text, &forward->keys[forward->n_keys++])) {
			host->log(host, BELFRY_ERROR, "secrets: entry %zu is not whsec_ and the base64 of %d to %d bytes", i + 1,
					  MIN_SECRET_BYTES, MAX_SECRET_BYTES);
			destroy(forward);
			return -EINVAL;
		}
	}
	*ret_self = forward;
	return 0;
}

/* ---- the signature ---- */

/* Appends one "v1,..." of id.time.body; *n bytes are there already. */
static bool add_signature(const struct key *key, const char *head, const struct belfry_delivery *delivery, char *text,
						  size_t *n)
{
	unsigned char mac[MAC_BYTES];
	size_t n_head = strlen(head), n_message = n_head + delivery->n_body;
	unsigned char *message = malloc(n_message + 1);
	unsigned n_mac = 0;
	if (!message)
		return false;
	memcpy(message, head, n_head);
	if (delivery->n_body)
		memcpy(message + n_head, delivery->body, delivery->n_body);
	bool is_made = HMAC(EVP_sha256(), key->bytes, (int)key->n, message, n_message, mac, &n_mac) && n_mac == sizeof mac;
	free(message);
	if (!is_made)
		return false;
	*n += (size_t)sprintf(text + *n, "%sv1,", *n ? " " : "");
	*n += (size_t)EVP_EncodeBlock((unsigned char *)text + *n, mac, sizeof mac);
	return true;
}

/* The standard's parts are separated by full stops, so an id has none. */
static void make_id(const char *key, char id[static MAX_ID_BYTES + 1])
{
	size_t n = strnlen(key, MAX_ID_BYTES);
	for (size_t i = 0; i < n; i++)
		id[i] = key[i] == '.' ? '_' : key[i];
	id[n] = '\0';
}

struct message {
	char id[MAX_ID_BYTES + 1];
	char time[24];
	char signature[MAX_SECRETS * SIGNATURE_BYTES + 1];
	struct belfry_header headers[MAX_HEADERS];
	size_t n_headers;
};

static bool sign(const struct forward *forward, const struct belfry_delivery *delivery, struct message *message)
{
	char head[MAX_ID_BYTES + 32];
	size_t n = 0;
	make_id(delivery->key, message->id);
	(void)snprintf(message->time, sizeof message->time, "%lld", (long long)time(NULL));
	(void)snprintf(head, sizeof head, "%s.%s.", message->id, message->time);
	for (size_t i = 0; i < forward->n_keys; i++)
		if (!add_signature(&forward->keys[i], head, delivery, message->signature, &n))
			return false;
	return true;
}

static void add_header(struct message *message, const char *name, const char *value)
{
	if (*value)
		message->headers[message->n_headers++] = (struct belfry_header){ name, value };
}

static void add_headers(const struct forward *forward, const struct belfry_delivery *delivery, const char *tags,
						struct message *message)
{
	add_header(message, "content-type", "application/json");
	add_header(message, "webhook-id", message->id);
	add_header(message, "webhook-timestamp", message->time);
	add_header(message, "webhook-signature", message->signature);
	add_header(message, "belfry-position", delivery->position);
	add_header(message, "belfry-source", delivery->source);
	add_header(message, "belfry-tags", tags);
	add_header(message, "traceparent", delivery->traceparent);
	for (size_t i = 0; i < forward->conf->headers.n; i++)
		add_header(message, forward->conf->headers.pairs[i].name, forward->conf->headers.pairs[i].value.text);
}

/* ---- tags, as a query has them ---- */

static size_t add_encoded(char *text, size_t n, const char *raw)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	for (; *raw; raw++) {
		if (strchr(unreserved, *raw))
			text[n++] = *raw;
		else
			n += (size_t)sprintf(text + n, "%%%02X", (unsigned char)*raw);
	}
	return n;
}

/* The caller frees it; NULL without memory. */
static char *make_tags(const struct belfry_delivery *delivery)
{
	size_t n = 1;
	for (size_t i = 0; i < delivery->n_tags; i++)
		n += 3 * (strlen(delivery->tags[i].name) + strlen(delivery->tags[i].value)) + 2;
	char *text = malloc(n);
	if (!text)
		return NULL;
	n = 0;
	for (size_t i = 0; i < delivery->n_tags; i++) {
		if (i)
			text[n++] = '&';
		n = add_encoded(text, n, delivery->tags[i].name);
		text[n++] = '=';
		n = add_encoded(text, n, delivery->tags[i].value);
	}
	text[n] = '\0';
	return text;
}

/* ---- sending ---- */

static int judge(const struct belfry_host *host, const struct belfry_response *response)
{
	host->reason(host, "answered %lld", (long long)response->status);
	if (response->status >= 200 && response->status <= 299)
		return BELFRY_DONE;
	if (response->status == 410)
		return BELFRY_REJECT;
	if (response->retry_after_ms >= 0)
		host->retry_after(host, response->retry_after_ms);
	return BELFRY_RETRY;
}

static int post(const struct forward *forward, const struct belfry_host *host, const struct belfry_delivery *delivery,
				const struct message *message)
{
	struct belfry_request request = { .size = sizeof request,
									  .method = "POST",
									  .url = forward->conf->url,
									  .headers = message->headers,
									  .n_headers = message->n_headers,
									  .body = delivery->body,
									  .n_body = delivery->n_body,
									  .timeout_ms = forward->conf->timeout };
	struct belfry_response response = { .size = sizeof response };
	int r = host->http(host, &request, &response);
	if (r < 0)
		return r == -EACCES || r == -EINVAL ? BELFRY_REJECT : BELFRY_RETRY;
	return judge(host, &response);
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	const struct forward *forward = self;
	struct message message = { 0 };
	char *tags = make_tags(delivery);
	int outcome = BELFRY_RETRY;
	if (tags && sign(forward, delivery, &message)) {
		add_headers(forward, delivery, tags, &message);
		outcome = post(forward, host, delivery, &message);
	} else {
		host->reason(host, "not enough memory");
	}
	free(tags);
	return outcome;
}

BELFRY_PLUGIN(.name = "forward", .version = "1.0",
			  .summary = "posts callbacks on to another URL, signed as Standard Webhooks says", .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle, .destroy = destroy);
