/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin with an option of every type. It gives as its reason what it was configured with; of secrets their length.
 */
#include <belfry/plugin.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct conf {
	const char *string, *secret, *hook, *url;
	int64_t integer, duration, size, choice;
	bool boolean;
	struct belfry_list list;
	struct belfry_map map, keys;
	const struct belfry_template *text;
};

static const char *const choices[] = { "fast", "slow", NULL };

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, string, BELFRY_STRING, .fallback = "hello", .help = "what to say"),
	BELFRY_OPTION(struct conf, secret, BELFRY_SECRET, .help = "a password"),
	BELFRY_OPTION(struct conf, hook, BELFRY_SECRET, .is_url = true, .is_required = true, .help = "where to post"),
	BELFRY_OPTION(struct conf, url, BELFRY_URL, .example = "https://api.example.com", .help = "what to ask"),
	BELFRY_OPTION(struct conf, integer, BELFRY_INTEGER, .least = -5, .most = 10, .fallback = "-1", .help = "how much"),
	BELFRY_OPTION(struct conf, duration, BELFRY_DURATION, .fallback = "10s", .help = "how long"),
	BELFRY_OPTION(struct conf, size, BELFRY_SIZE, .least = 1024, .most = 1048576, .fallback = "64KiB",
				  .help = "how large"),
	BELFRY_OPTION(struct conf, choice, BELFRY_ENUM, .names = choices, .fallback = "slow", .help = "how"),
	BELFRY_OPTION(struct conf, boolean, BELFRY_BOOLEAN, .fallback = "true", .help = "whether"),
	BELFRY_OPTION(struct conf, list, BELFRY_LIST, .entry = BELFRY_STRING, .least = 1, .most = 3, .help = "which"),
	BELFRY_OPTION(struct conf, map, BELFRY_MAP, .entry = BELFRY_TEMPLATE, .help = "what is made of it, by name"),
	BELFRY_OPTION(struct conf, keys, BELFRY_MAP, .entry = BELFRY_SECRET, .help = "passwords, by name"),
	BELFRY_OPTION(struct conf, text, BELFRY_TEMPLATE, .fallback = "{{ .event.summary }}", .help = "what is made of it"),
	BELFRY_END
};

static size_t length(const char *text)
{
	return text ? strlen(text) : 0;
}

struct text {
	char bytes[900];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text->bytes + text->n, sizeof text->bytes - text->n, format, arguments);
	va_end(arguments);
	if (n > 0 && (size_t)n < sizeof text->bytes - text->n)
		text->n += (size_t)n;
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	const struct conf *conf = self;
	struct text text = { .n = 0 };
	add(&text, "%s/%s string=%s secret=%zu hook=%zu url=%s", delivery->interaction, delivery->subtype, conf->string,
		length(conf->secret), length(conf->hook), conf->url ? conf->url : "none");
	add(&text, " integer=%lld duration=%lld size=%lld", (long long)conf->integer, (long long)conf->duration,
		(long long)conf->size);
	add(&text, " choice=%s boolean=%d list=", choices[conf->choice], conf->boolean);
	for (size_t i = 0; i < conf->list.n; i++)
		add(&text, "%s,", conf->list.entries[i].text);
	for (size_t i = 0; i < conf->map.n; i++) {
		const char *made = host->render(host, conf->map.pairs[i].value.template_, NULL);
		add(&text, " %s=%s", conf->map.pairs[i].name, made ? made : "none");
	}
	for (size_t i = 0; i < conf->keys.n; i++)
		add(&text, " %s=%zu", conf->keys.pairs[i].name, length(conf->keys.pairs[i].value.text));
	const char *made = host->render(host, conf->text, NULL);
	add(&text, " text=%s", made ? made : "none");
	host->reason(host, "%s", text.bytes);
	return BELFRY_DONE;
}

BELFRY_PLUGIN(.name = "options", .version = "1.2", .summary = "has an option of every type", .options = options,
			  .conf_size = sizeof(struct conf), .handle = handle);
