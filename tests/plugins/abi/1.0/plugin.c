/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin of the first ABI 1.0, built against the header as it was (belfry/plugin.h beside it, which nobody changes):
 * it must run on every Belfry with the same major. It uses something of everything.
 */
#include <belfry/plugin.h>

#include <errno.h>
#include <string.h>

struct conf {
	const char *string, *secret, *url;
	int64_t integer, duration, size, choice;
	bool boolean;
	struct belfry_list list;
	struct belfry_map map;
	const struct belfry_template *text;
};

static const char *const words[] = { "red", "green", NULL };

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, string, BELFRY_STRING, .fallback = "s", .help = "a string"),
	BELFRY_OPTION(struct conf, secret, BELFRY_SECRET, .help = "a secret"),
	BELFRY_OPTION(struct conf, url, BELFRY_URL, .fallback = "https://example.com", .help = "a url"),
	BELFRY_OPTION(struct conf, integer, BELFRY_INTEGER, .fallback = "-3", .least = -5, .most = 5, .help = "a number"),
	BELFRY_OPTION(struct conf, duration, BELFRY_DURATION, .fallback = "2s", .help = "a time"),
	BELFRY_OPTION(struct conf, size, BELFRY_SIZE, .fallback = "1KiB", .help = "a size"),
	BELFRY_OPTION(struct conf, choice, BELFRY_ENUM, .names = words, .fallback = "green", .help = "a word"),
	BELFRY_OPTION(struct conf, boolean, BELFRY_BOOLEAN, .fallback = "true", .help = "a boolean"),
	BELFRY_OPTION(struct conf, list, BELFRY_LIST, .entry = BELFRY_STRING, .help = "a list"),
	BELFRY_OPTION(struct conf, map, BELFRY_MAP, .entry = BELFRY_TEMPLATE, .help = "a map"),
	BELFRY_OPTION(struct conf, text, BELFRY_TEMPLATE, .fallback = "{{ .event.summary }}", .help = "a template"),
	BELFRY_END,
};

struct self {
	const struct conf *conf;
	int64_t n_handled;
};

static int create(const struct belfry_host *host, const void *conf, void **ret_self)
{
	static struct self self;
	self.conf = conf;
	*ret_self = &self;
	host->log(host, BELFRY_INFO, "create: host of %zu bytes, url %s", host->size > 96 ? (size_t)96 : host->size,
			  self.conf->url);
	return 0;
}

static void log_conf(const struct conf *conf, const struct belfry_host *host)
{
	host->log(host, BELFRY_INFO, "conf: %s %s %lld %lld %lld %s %d", conf->string, conf->secret ? conf->secret : "-",
			  (long long)conf->integer, (long long)conf->duration, (long long)conf->size, words[conf->choice],
			  conf->boolean);
	for (size_t i = 0; i < conf->list.n; i++)
		host->log(host, BELFRY_DEBUG, "list: %s", conf->list.entries[i].text);
	for (size_t i = 0; i < conf->map.n; i++)
		host->log(host, BELFRY_DEBUG, "map: %s=%s", conf->map.pairs[i].name,
				  host->render(host, conf->map.pairs[i].value.template_, NULL));
}

static int use_state(const struct belfry_host *host)
{
	const char *data = NULL;
	size_t n = 0;
	int r = host->get_state(host, "key", &data, &n);
	if (r != -ENOENT)
		return -1;
	r = host->set_state(host, "key", "value", 5);
	if (r == 0)
		r = host->get_state(host, "key", &data, &n);
	return r == 0 && n == 5 && memcmp(data, "value", 5) == 0 ? host->set_state(host, "key", NULL, 0) : -1;
}

static int handle(void *self_, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	struct self *self = self_;
	const struct belfry_tag tag = { "user", "4 2" };
	const char *uri = NULL, *body = NULL;
	size_t n = 0;
	self->n_handled++;
	log_conf(self->conf, host);
	host->log(host, BELFRY_INFO, "delivery: %s %s %s %s %zu tags, attempt %lld of %lld", delivery->interaction,
			  delivery->event_id, delivery->source, delivery->key, delivery->n_tags, (long long)delivery->attempt,
			  (long long)delivery->max_attempts);
	if (use_state(host) != 0 || host->latest(host, delivery->event_id, &body, &n) != 0 || n != delivery->n_body ||
		host->latest(host, "another", &body, &n) != -ENOENT || host->callback_uri(host, &tag, 1, &uri) != 0)
		return BELFRY_REJECT;
	host->log(host, BELFRY_INFO, "uri: %s", uri);
	host->log(host, BELFRY_INFO, "field: %s", host->field(host, "/notification/interactions/0/type", NULL));
	if (!BELFRY_HAS(host, remaining_ms) || host->remaining_ms(host) <= 0)
		return BELFRY_REJECT;
	const char *text = host->render(host, self->conf->text, &n);
	if (!text)
		return BELFRY_REJECT;
	host->retry_after(host, 1500);
	host->reason(host, "%s (%zu)", text, n);
	return BELFRY_RETRY;
}

static void destroy(void *self)
{
	((struct self *)self)->n_handled = 0;
}

BELFRY_PLUGIN(.name = "abi-1_0", .version = "1", .summary = "is of the first ABI", .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle, .destroy = destroy);
