/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that does as it is told by the callback: {"do": ["crash", "retry", "done"]} is for the first attempt, the
 * second, and all that follow. Before that it tells whoever listens at `url` which delivery it was given.
 */
#include <belfry/plugin.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct conf {
	const char *url;
	bool refuse;
};

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, url, BELFRY_URL, .help = "who wants to know of each attempt"),
	BELFRY_OPTION(struct conf, refuse, BELFRY_BOOLEAN, .help = "refuse to start"), BELFRY_END
};

static int create(const struct belfry_host *host, const void *conf, void **ret_self)
{
	*ret_self = (void *)(uintptr_t)conf;
	if (!((const struct conf *)conf)->refuse)
		return 0;
	host->log(host, BELFRY_ERROR, "told not to start");
	return -1;
}

static int tell(const struct conf *conf, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	char body[256];
	struct belfry_request request = { .size = sizeof request, .url = conf->url, .body = body };
	struct belfry_response response = { .size = sizeof response };
	int n = snprintf(body, sizeof body, "%s %s %s %lld", delivery->event_id, delivery->key, delivery->interaction,
					 (long long)delivery->attempt);
	request.n_body = (size_t)n;
	return host->http(host, &request, &response);
}

static int remember(const struct belfry_host *host)
{
	const char *data = NULL;
	size_t n = 0;
	int r = host->get_state(host, "k", &data, &n);
	int n_before = r == 0 ? atoi(data) : 0;
	char text[16];
	(void)snprintf(text, sizeof text, "%d", n_before + 1);
	if (host->set_state(host, "k", text, strlen(text)) < 0)
		return BELFRY_REJECT;
	host->reason(host, "counted %d", n_before + 1);
	return BELFRY_DONE;
}

static int recall(const struct belfry_host *host)
{
	const char *data = NULL;
	size_t n = 0;
	host->reason(host, "%s", host->get_state(host, "k", &data, &n) == 0 ? data : "cannot be read");
	return BELFRY_DONE;
}

static int latest(const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	const char *body = NULL;
	size_t n = 0;
	int r = host->latest(host, delivery->event_id, &body, &n);
	host->reason(host, "%s",
				 r == 0 && n == delivery->n_body && memcmp(body, delivery->body, n) == 0 ? "itself" : "another");
	return BELFRY_DONE;
}

static int uri(const struct belfry_host *host)
{
	const struct belfry_tag tag = { "user", "42" };
	const char *text = NULL;
	int r = host->callback_uri(host, &tag, 1, &text);
	host->reason(host, "%s", r == 0 ? text : "none");
	return BELFRY_DONE;
}

static int obey(const struct belfry_host *host, const struct belfry_delivery *delivery, const char *what)
{
	if (strcmp(what, "retry") == 0) {
		host->reason(host, "told to retry");
		host->retry_after(host, 1);
		return BELFRY_RETRY;
	}
	if (strcmp(what, "retry_later") == 0)
		return BELFRY_RETRY;
	if (strcmp(what, "reject") == 0) {
		host->reason(host, "told to reject");
		return BELFRY_REJECT;
	}
	if (strcmp(what, "crash") == 0) {
		(void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would have a word */
		(void)raise(SIGSEGV);
	}
	if (strcmp(what, "abort") == 0)
		abort();
	if (strcmp(what, "exit") == 0)
		_exit(7);
	while (strcmp(what, "hang") == 0)
		(void)pause();
	while (strcmp(what, "print") == 0)
		(void)!write(STDOUT_FILENO, "blah blah blah blah\n", 20);
	if (strcmp(what, "garbage") == 0)
		(void)!write(3, "this is no packet at all, whatever one may think of it", 54);
	if (strcmp(what, "close") == 0 && close(3) == 0)
		(void)pause();
	if (strcmp(what, "remember") == 0)
		return remember(host);
	if (strcmp(what, "read") == 0)
		return recall(host);
	if (strcmp(what, "latest") == 0)
		return latest(host, delivery);
	if (strcmp(what, "uri") == 0)
		return uri(host);
	if (strcmp(what, "slow") == 0)
		(void)usleep(300000);
	return BELFRY_DONE;
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	const struct conf *conf = self;
	char pointer[32];
	const char *what;
	if (conf->url && tell(conf, host, delivery) < 0)
		return BELFRY_RETRY;
	(void)snprintf(pointer, sizeof pointer, "/do/%lld", (long long)delivery->attempt - 1);
	what = host->field(host, pointer, NULL);
	if (!what)
		what = host->field(host, "/otherwise", NULL);
	return what ? obey(host, delivery, what) : BELFRY_DONE;
}

BELFRY_PLUGIN(.name = "obedient", .version = "1.0", .summary = "does as it is told", .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle);
