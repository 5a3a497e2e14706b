/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keys.h"

#include "base/clock.h"
#include "base/log.h"

#include <curl/curl.h>
#include <errno.h>
#include <time.h>

#define MAX_KEY_SET_BYTES (1u << 20)
#define FETCH_TIMEOUT_MS 10000L
/* After a failure; the keys that are there stay live meanwhile. */
#define RETRY_S 30

int keys_load(const struct config *config, struct span fetched, struct token_keys **ret_keys, char **ret_message)
{
	const struct config_subscribers *subscribers = &config->subscribers;
	const struct token_options options = { subscribers->issuer, subscribers->audience, TOKEN_LEEWAY_MS };
	size_t n = subscribers->n_keys;
	CLEANUP(free) char *warnings = NULL;
	CLEANUP(free) struct token_key_source *sources = calloc(n + 1, sizeof *sources);
	if (!sources)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct config_token_key *key = &subscribers->keys[i];
		sources[i] = (struct token_key_source){ .bytes = span_of(key->bytes.data, key->bytes.n), .where = key->where };
	}
	if (fetched.n)
		sources[n++] =
			(struct token_key_source){ .bytes = fetched, .where = subscribers->jwks_url, .is_published = true };
	int r = token_keys_create(sources, n, &options, ret_keys, &warnings, ret_message);
	if (r == 0 && warnings)
		log_warning("token keys", LOG_TEXT("says", warnings));
	return r;
}

struct key_fetcher {
	struct gateway *gateway;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool is_stopping; /* {lock} */
	bool has_fetched; /* once: the log is told no more often */
};

static size_t add_bytes(char *data, size_t size, size_t n, void *context)
{
	struct buffer *body = context;
	if (body->n + size * n > MAX_KEY_SET_BYTES)
		return 0;
	buffer_add(body, span_of(data, size * n));
	return body->failed ? 0 : size * n;
}

/* Ends a transfer that is under way when the daemon stops. */
static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct key_fetcher *fetcher = context;
	(void)a, (void)b, (void)c, (void)d;
	(void)pthread_mutex_lock(&fetcher->lock);
	bool is_stopping = fetcher->is_stopping;
	(void)pthread_mutex_unlock(&fetcher->lock);
	return is_stopping;
}

static CURLcode fetch(struct key_fetcher *fetcher, struct buffer *body)
{
	CURL *curl = curl_easy_init();
	if (!curl)
		return CURLE_OUT_OF_MEMORY;
	(void)curl_easy_setopt(curl, CURLOPT_URL, fetcher->gateway->config->subscribers.jwks_url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, FETCH_TIMEOUT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "belfry/" BELFRY_VERSION);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, add_bytes);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetcher);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	CURLcode r = curl_easy_perform(curl);
	curl_easy_cleanup(curl);
	return r;
}

/* False if the keys are as they were. */
static bool refresh(struct key_fetcher *fetcher)
{
	const struct config *config = fetcher->gateway->config;
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	CLEANUP(free) char *message = NULL;
	struct token_keys *keys = NULL;
	CURLcode fetched = fetch(fetcher, &body);
	if (fetched != CURLE_OK) {
		log_warning("cannot fetch the token keys", LOG_TEXT("url", config->subscribers.jwks_url),
					LOG_TEXT("error", curl_easy_strerror(fetched)));
		return false;
	}
	if (keys_load(config, buffer_span(&body), &keys, &message) < 0) {
		log_warning("the fetched token keys are no use", LOG_TEXT("url", config->subscribers.jwks_url),
					LOG_TEXT("reason", message));
		return false;
	}
	gateway_set_keys(fetcher->gateway, keys);
	atomic_store(&fetcher->gateway->has_fetched_keys, true);
	if (!fetcher->has_fetched)
		log_info("token keys fetched", LOG_TEXT("url", config->subscribers.jwks_url));
	fetcher->has_fetched = true;
	return true;
}

/* Waits; false if it is time to stop. */
static bool rest(struct key_fetcher *fetcher, int64_t ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / MS_PER_S);
	(void)pthread_mutex_lock(&fetcher->lock);
	while (!fetcher->is_stopping)
		if (pthread_cond_timedwait(&fetcher->stop, &fetcher->lock, &until) == ETIMEDOUT)
			break;
	bool goes_on = !fetcher->is_stopping;
	(void)pthread_mutex_unlock(&fetcher->lock);
	return goes_on;
}

static void *run(void *argument)
{
	struct key_fetcher *fetcher = argument;
	int64_t refresh_ms = fetcher->gateway->config->subscribers.jwks_refresh_ms;
	while (rest(fetcher, refresh(fetcher) ? refresh_ms : RETRY_S * MS_PER_S)) {
	}
	return NULL;
}

int key_fetcher_start(struct gateway *gateway, struct key_fetcher **ret_fetcher)
{
	pthread_condattr_t attributes;
	struct key_fetcher *fetcher = calloc(1, sizeof *fetcher);
	if (!fetcher)
		return -ENOMEM;
	fetcher->gateway = gateway;
	(void)pthread_mutex_init(&fetcher->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&fetcher->stop, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	int r = pthread_create(&fetcher->thread, NULL, run, fetcher);
	if (r) {
		free(fetcher);
		return -r;
	}
	*ret_fetcher = fetcher;
	return 0;
}

void key_fetcher_stop(struct key_fetcher *fetcher)
{
	if (!fetcher)
		return;
	(void)pthread_mutex_lock(&fetcher->lock);
	fetcher->is_stopping = true;
	(void)pthread_cond_signal(&fetcher->stop);
	(void)pthread_mutex_unlock(&fetcher->lock);
	(void)pthread_join(fetcher->thread, NULL);
	(void)pthread_cond_destroy(&fetcher->stop);
	(void)pthread_mutex_destroy(&fetcher->lock);
	free(fetcher);
}
