/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keys.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/contents.h"

#include <curl/curl.h>
#include <errno.h>
#include <time.h>

#define MAX_KEY_SET_BYTES (1u << 20)
#define FETCH_TIMEOUT_MS 10000L
/* After a failure; the keys that are there stay live meanwhile. */
#define RETRY_S 30

struct key_fetcher {
	struct gateway *gateway;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct generation *generation; /* {lock}: a reference */
	struct buffer fetched;         /* {lock}: the last key set that was of use */
	uint64_t next_ns;              /* {lock}: when to fetch again, monotonic; 0: at once */
	bool is_held, is_stopping;     /* {lock} */
	bool has_fetched;              /* once: the log is told no more often */
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

static CURLcode fetch(struct key_fetcher *fetcher, const char *url, struct buffer *body)
{
	CURL *curl = curl_easy_init();
	if (!curl)
		return CURLE_OUT_OF_MEMORY;
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
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

static const char *url_of(const struct generation *generation)
{
	return generation->config->subscribers.jwks_url;
}

static bool is_same_url(const struct generation *a, const struct generation *b)
{
	return url_of(a) && url_of(b) && strcmp(url_of(a), url_of(b)) == 0;
}

/* The lock is held. False if the keys are as they were. */
static bool use(struct key_fetcher *fetcher, struct buffer *body)
{
	const char *url = url_of(fetcher->generation);
	CLEANUP(free) char *warnings = NULL, *message = NULL;
	struct token_keys *keys = NULL;
	if (contents_load_keys(fetcher->generation->config, buffer_span(body), &keys, &warnings, &message) < 0) {
		log_warning("the fetched token keys are no use", LOG_TEXT("url", url), LOG_TEXT("reason", message));
		return false;
	}
	if (warnings)
		log_warning("token keys", LOG_TEXT("says", warnings));
	buffer_finish(&fetcher->fetched);
	fetcher->fetched = *body;
	*body = BUFFER_INIT;
	gateway_set_keys(fetcher->gateway, keys);
	atomic_store(&fetcher->gateway->has_fetched_keys, true);
	if (!fetcher->has_fetched)
		log_info("token keys fetched", LOG_TEXT("url", url));
	fetcher->has_fetched = true;
	return true;
}

/* The lock is held, but not while it fetches or waits. */
static void refresh(struct key_fetcher *fetcher)
{
	CLEANUP(generation_unref) struct generation *generation = generation_ref(fetcher->generation);
	CLEANUP(buffer_finish) struct buffer body = BUFFER_INIT;
	(void)pthread_mutex_unlock(&fetcher->lock);
	CURLcode fetched = fetch(fetcher, url_of(generation), &body);
	(void)pthread_mutex_lock(&fetcher->lock);
	while (fetcher->is_held && !fetcher->is_stopping)
		(void)pthread_cond_wait(&fetcher->wake, &fetcher->lock);
	if (fetcher->is_stopping || !is_same_url(generation, fetcher->generation))
		return; /* it is another's */
	if (fetched != CURLE_OK)
		log_warning("cannot fetch the token keys", LOG_TEXT("url", url_of(generation)),
					LOG_TEXT("error", curl_easy_strerror(fetched)));
	bool is_used = fetched == CURLE_OK && use(fetcher, &body);
	int64_t rest_ms = is_used ? fetcher->generation->config->subscribers.jwks_refresh_ms : RETRY_S * MS_PER_S;
	fetcher->next_ns = clock_monotonic_ns() + (uint64_t)rest_ms * NS_PER_MS;
}

/* The lock is held. */
static void wait_until(struct key_fetcher *fetcher, uint64_t ns)
{
	const struct timespec until = { .tv_sec = (time_t)(ns / (NS_PER_MS * MS_PER_S)),
									.tv_nsec = (long)(ns % (NS_PER_MS * MS_PER_S)) };
	(void)pthread_cond_timedwait(&fetcher->wake, &fetcher->lock, &until);
}

static void *run(void *argument)
{
	struct key_fetcher *fetcher = argument;
	(void)pthread_mutex_lock(&fetcher->lock);
	while (!fetcher->is_stopping) {
		if (fetcher->is_held || !url_of(fetcher->generation))
			(void)pthread_cond_wait(&fetcher->wake, &fetcher->lock);
		else if (clock_monotonic_ns() < fetcher->next_ns)
			wait_until(fetcher, fetcher->next_ns);
		else
			refresh(fetcher);
	}
	(void)pthread_mutex_unlock(&fetcher->lock);
	return NULL;
}

static void fetcher_destroy(struct key_fetcher *fetcher)
{
	(void)pthread_cond_destroy(&fetcher->wake);
	(void)pthread_mutex_destroy(&fetcher->lock);
	buffer_finish(&fetcher->fetched);
	generation_unref(fetcher->generation);
	free(fetcher);
}

int key_fetcher_start(struct gateway *gateway, struct generation *generation, struct key_fetcher **ret_fetcher)
{
	pthread_condattr_t attributes;
	struct key_fetcher *fetcher = calloc(1, sizeof *fetcher);
	if (!fetcher)
		return -ENOMEM;
	fetcher->gateway = gateway;
	fetcher->generation = generation_ref(generation);
	fetcher->is_held = true;
	(void)pthread_mutex_init(&fetcher->lock, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&fetcher->wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	int r = pthread_create(&fetcher->thread, NULL, run, fetcher);
	if (r) {
		fetcher_destroy(fetcher);
		return -r;
	}
	*ret_fetcher = fetcher;
	return 0;
}

void key_fetcher_hold(struct key_fetcher *fetcher, struct buffer *ret_fetched)
{
	(void)pthread_mutex_lock(&fetcher->lock);
	fetcher->is_held = true;
	buffer_add(ret_fetched, buffer_span(&fetcher->fetched));
	(void)pthread_mutex_unlock(&fetcher->lock);
}

/* The lock is held. */
static void set_generation(struct key_fetcher *fetcher, struct generation *generation)
{
	if (!is_same_url(generation, fetcher->generation))
		fetcher->next_ns = 0;
	if (!url_of(generation))
		buffer_finish(&fetcher->fetched);
	generation_unref(fetcher->generation);
	fetcher->generation = generation_ref(generation);
}

void key_fetcher_go_on(struct key_fetcher *fetcher, struct generation *generation)
{
	(void)pthread_mutex_lock(&fetcher->lock);
	if (generation)
		set_generation(fetcher, generation);
	fetcher->is_held = false;
	(void)pthread_cond_signal(&fetcher->wake);
	(void)pthread_mutex_unlock(&fetcher->lock);
}

void key_fetcher_stop(struct key_fetcher *fetcher)
{
	if (!fetcher)
		return;
	(void)pthread_mutex_lock(&fetcher->lock);
	fetcher->is_stopping = true;
	(void)pthread_cond_signal(&fetcher->wake);
	(void)pthread_mutex_unlock(&fetcher->lock);
	(void)pthread_join(fetcher->thread, NULL);
	fetcher_destroy(fetcher);
}
