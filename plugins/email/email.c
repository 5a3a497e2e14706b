/* SPDX-License-Identifier: Apache-2.0 */
/*
 * email: sends a mail by SMTP.
 *
 * The Message-ID is made of the delivery's key, so it is the same at each attempt, and mailboxes can drop what arrives
 * twice. Where TLS is required and not offered, nothing is sent. What an event says can make no header, line or command
 * of its own (message.h).
 *
 * The server's word decides: 4xx is for later, 5xx for never. If it wants some of several recipients later, the others
 * have got the mail; who is still owed it is kept in the handler's state, and the next attempt is for these alone.
 */
#include "message.h"

#include <belfry/plugin.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RECIPIENTS 100
#define MAX_SAID_BYTES 200

enum tls { TLS_REQUIRED, TLS_OPTIONAL, TLS_NONE };

struct conf {
	const char *server, *user, *password, *ca, *from, *from_name, *reply_to;
	int64_t tls;
	struct belfry_list to;
	const struct belfry_template *subject, *text;
	int64_t timeout;
};

static const char *const tls_names[] = { "required", "optional", "none", NULL };

static const struct belfry_option options[] = {
	BELFRY_OPTION(struct conf, server, BELFRY_STRING, .is_required = true, .example = "smtp://smtp.example.com:587",
				  .help = "smtp://HOST:PORT, with STARTTLS, or smtps://HOST:PORT"),
	BELFRY_OPTION(struct conf, tls, BELFRY_ENUM, .names = tls_names, .fallback = "required",
				  .help =
					  "what smtp:// does if the server offers no STARTTLS: required sends nothing, optional sends in "
					  "clear, none never asks"),
	BELFRY_OPTION(struct conf, user, BELFRY_STRING, .example = "belfry", .help = "whom to log in as; absent: nobody"),
	BELFRY_OPTION(struct conf, password, BELFRY_SECRET, .help = "that user's password"),
	BELFRY_OPTION(struct conf, ca, BELFRY_STRING, .example = "|, and the lines of a PEM file",
				  .help = "the certificates to trust instead of the system's, as PEM"),
	BELFRY_OPTION(struct conf, from, BELFRY_STRING, .is_required = true, .example = "belfry@example.com",
				  .help = "the sender's address"),
	BELFRY_OPTION(struct conf, from_name, BELFRY_STRING, .fallback = "Belfry", .help = "the sender's name"),
	BELFRY_OPTION(struct conf, reply_to, BELFRY_STRING, .example = "team@example.com",
				  .help = "where answers go; absent: to the sender"),
	BELFRY_OPTION(struct conf, to, BELFRY_LIST, .entry = BELFRY_TEMPLATE, .is_required = true, .least = 1,
				  .most = MAX_RECIPIENTS, .example = "on-call@example.com", .help = "the recipients' addresses"),
	BELFRY_OPTION(struct conf, subject, BELFRY_TEMPLATE, .is_required = true,
				  .example = "No conference for {{ .event.summary }}", .help = "one line, cut at 200 characters"),
	BELFRY_OPTION(struct conf, text, BELFRY_TEMPLATE, .is_required = true,
				  .example = "{{ .event.summary }} begins at {{ .event.start }} and has no link.", .help = "the mail"),
	BELFRY_OPTION(struct conf, timeout, BELFRY_DURATION, .fallback = "30s", .least = 1000, .most = 600000,
				  .help = "how long sending may take"),
	BELFRY_END,
};

static bool check_option(const struct belfry_host *host, const char *name, const char *address)
{
	if (!address || message_is_address(address, strlen(address)))
		return true;
	host->log(host, BELFRY_ERROR, "%s: no address as local@domain", name);
	return false;
}

static int create(const struct belfry_host *host, const void *conf_, void **ret_self)
{
	const struct conf *conf = conf_;
	if (!check_option(host, "from", conf->from) || !check_option(host, "reply_to", conf->reply_to))
		return -EINVAL;
	if (strncmp(conf->server, "smtp://", 7) != 0 && strncmp(conf->server, "smtps://", 8) != 0) {
		host->log(host, BELFRY_ERROR, "server: begins neither with smtp:// nor with smtps://");
		return -EINVAL;
	}
	if (!conf->user != !conf->password) {
		host->log(host, BELFRY_ERROR, "user and password: there is only one of them");
		return -EINVAL;
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	*ret_self = (void *)(uintptr_t)conf; /* nothing else to keep */
	return 0;
}

/* ---- the mail ---- */

struct mail {
	const struct conf *conf;
	const struct belfry_host *host;
	const struct belfry_delivery *delivery;
	const char *to[MAX_RECIPIENTS]; /* all of them, for people to see */
	size_t n_to;
	struct curl_slist *recipients; /* who gets it now */
	bool is_partial;               /* not all of them: the state says who */
	char *text;
	size_t n_text, n_sent; /* of it */
	bool failed;           /* without memory */

	/* the server's words */
	char recipient[MAX_SAID_BYTES + 1]; /* that the last command was about; "" if it was another one */
	struct curl_slist *later;           /* recipients that it wants later */
	size_t n_never;                     /* and those that it will never take */
	char refused[MAX_SAID_BYTES + 1];   /* the last one of both */
	char said[MAX_SAID_BYTES + 1];      /* its last answer that was no */
};

static bool add(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);
	if (longer)
		*list = longer;
	return longer != NULL;
}

static size_t count(const struct curl_slist *list)
{
	size_t n = 0;
	for (; list; list = list->next)
		n++;
	return n;
}

/* Whether the address is a line of the text. */
static bool has_line(const char *text, size_t n, const char *address)
{
	size_t n_address = strlen(address);
	while (n) {
		const char *end = memchr(text, '\n', n);
		size_t n_line = end ? (size_t)(end - text) : n;
		if (n_line == n_address && memcmp(text, address, n_line) == 0)
			return true;
		n -= end ? n_line + 1 : n_line;
		text += n_line + 1;
	}
	return false;
}

/* False if one is none: then the reason has been given. */
static bool render_recipients(struct mail *mail)
{
	for (size_t i = 0; i < mail->conf->to.n; i++) {
		size_t n = 0;
		const char *address = mail->host->render(mail->host, mail->conf->to.entries[i].template_, &n);
		if (!address)
			return false;
		if (!message_is_address(address, n)) {
			mail->host->reason(mail->host, "a recipient is no address as local@domain");
			return false;
		}
		mail->to[mail->n_to++] = address;
	}
	return true;
}

/* All, or who is still owed the mail after an earlier attempt. */
static void choose_recipients(struct mail *mail)
{
	const char *owed = NULL;
	size_t n = 0;
	mail->is_partial = mail->host->get_state(mail->host, mail->delivery->key, &owed, &n) == 0;
	for (size_t i = 0; i < mail->n_to; i++)
		if (!mail->is_partial || has_line(owed, n, mail->to[i]))
			mail->failed = !add(&mail->recipients, mail->to[i]) || mail->failed;
}

/* False if it cannot be made: then the reason has been given, but for memory. */
static bool make_mail(struct mail *mail)
{
	const struct conf *conf = mail->conf;
	if (!render_recipients(mail))
		return false;
	struct message message = { .key = mail->delivery->key,
							   .from = conf->from,
							   .from_name = conf->from_name,
							   .reply_to = conf->reply_to,
							   .to = mail->to,
							   .n_to = mail->n_to };
	message.subject = mail->host->render(mail->host, conf->subject, &message.n_subject);
	message.body = message.subject ? mail->host->render(mail->host, conf->text, &message.n_body) : NULL;
	if (!message.body)
		return false;
	mail->failed = !message_write(&message, &mail->text, &mail->n_text);
	choose_recipients(mail);
	return true;
}

/* ---- the server ---- */

static size_t on_read(char *room, size_t size, size_t n, void *context)
{
	struct mail *mail = context;
	size_t take = mail->n_text - mail->n_sent < size * n ? mail->n_text - mail->n_sent : size * n;
	memcpy(room, mail->text + mail->n_sent, take);
	mail->n_sent += take;
	return take;
}

/* What the server says goes to the log and into reasons. */
static void copy_printable(char *text, size_t size, const char *data, size_t n)
{
	size_t n_text = 0;
	for (size_t i = 0; i < n && n_text + 1 < size && data[i] != '\r' && data[i] != '\n'; i++)
		text[n_text++] = data[i];
	for (size_t i = 0; i < n_text; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	text[n_text] = '\0';
}

static void on_command(struct mail *mail, const char *data, size_t n)
{
	*mail->recipient = '\0';
	if (n > 9 && strncmp(data, "RCPT TO:<", 9) == 0)
		copy_printable(mail->recipient, sizeof mail->recipient, data + 9, strcspn(data + 9, ">\r\n"));
}

/* The last line of an answer that is no. */
static void on_no(struct mail *mail, const char *data)
{
	if (*mail->recipient == '\0')
		return;
	if (*data == '5')
		mail->n_never++;
	else if (!add(&mail->later, mail->recipient))
		mail->failed = true;
	(void)strcpy(mail->refused, mail->recipient);
}

static void on_reply(struct mail *mail, const char *data, size_t n)
{
	if (n < 4 || (*data != '4' && *data != '5'))
		return;
	copy_printable(mail->said, sizeof mail->said, data, n);
	if (data[3] == ' ')
		on_no(mail, data);
}

/* Commands and answers; what is a secret among them is not looked at. */
static int on_debug(CURL *curl, curl_infotype type, char *data, size_t n, void *context)
{
	(void)curl;
	if (type == CURLINFO_HEADER_OUT)
		on_command(context, data, n);
	else if (type == CURLINFO_HEADER_IN)
		on_reply(context, data, n);
	return 0;
}

static long tls_level(const struct conf *conf)
{
	static const long levels[] = {
		[TLS_REQUIRED] = CURLUSESSL_ALL, [TLS_OPTIONAL] = CURLUSESSL_TRY, [TLS_NONE] = CURLUSESSL_NONE
	};
	return levels[conf->tls];
}

static bool set_server(CURL *curl, const struct conf *conf)
{
	struct curl_blob ca = { .data = (void *)(uintptr_t)conf->ca,
							.len = conf->ca ? strlen(conf->ca) : 0 }; /* borrowed */
	bool is_set = curl_easy_setopt(curl, CURLOPT_URL, conf->server) == CURLE_OK &&
				  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
				  curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
				  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
				  curl_easy_setopt(curl, CURLOPT_USE_SSL, tls_level(conf)) == CURLE_OK;
	if (conf->ca)
		is_set = is_set && curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca) == CURLE_OK;
	if (conf->user)
		is_set = is_set && curl_easy_setopt(curl, CURLOPT_USERNAME, conf->user) == CURLE_OK &&
				 curl_easy_setopt(curl, CURLOPT_PASSWORD, conf->password) == CURLE_OK;
	return is_set;
}

static bool set_mail(CURL *curl, struct mail *mail, char *error)
{
	int64_t left_ms = mail->host->remaining_ms(mail->host), timeout_ms = mail->conf->timeout;
	if (timeout_ms > left_ms)
		timeout_ms = left_ms > 1 ? left_ms : 1;
	return curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_MAIL_FROM, mail->conf->from) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, mail->recipients) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L) == CURLE_OK && /* so it is spelled in 7.88 */
		   curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->n_text) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_READDATA, mail) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, on_debug) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_DEBUGDATA, mail) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) == CURLE_OK;
}

/* ---- what became of it ---- */

/* Who is still owed it; nobody: the state is deleted. False if it cannot be kept. */
static bool keep_owed(struct mail *mail)
{
	char *text = NULL;
	size_t n = 0;
	FILE *stream = open_memstream(&text, &n);
	if (!stream)
		return false;
	for (const struct curl_slist *r = mail->later; r; r = r->next)
		(void)fprintf(stream, "%s\n", r->data);
	bool is_kept = fclose(stream) == 0 &&
				   mail->host->set_state(mail->host, mail->delivery->key, mail->later ? text : NULL, n) == 0;
	free(text);
	return is_kept;
}

/* It was sent to at least one. */
static int judge_sent(struct mail *mail)
{
	size_t n = count(mail->recipients), n_accepted = n - count(mail->later) - mail->n_never;
	if (n_accepted == n)
		mail->host->reason(mail->host, "accepted for %zu recipient%s", n, n == 1 ? "" : "s");
	else
		mail->host->reason(mail->host, "accepted for %zu of %zu recipients; %s was refused: %s", n_accepted, n,
						   mail->refused, mail->said);
	if (mail->n_never)
		mail->host->log(mail->host, BELFRY_WARNING, "%zu of %zu recipients were refused for good", mail->n_never, n);
	bool is_kept = (!mail->later && !mail->is_partial) || keep_owed(mail);
	if (!is_kept)
		mail->host->log(mail->host, BELFRY_ERROR, "who is still owed the mail cannot be kept: %s is not tried again",
						mail->refused);
	return mail->later && is_kept ? BELFRY_RETRY : BELFRY_DONE;
}

/* The server's word if it said no; else what went wrong on the way there, which may be better later. */
static int judge(struct mail *mail, CURLcode code, const char *error)
{
	if (code == CURLE_OK)
		return judge_sent(mail);
	if (code == CURLE_USE_SSL_FAILED) {
		mail->host->reason(mail->host, "the server offers no STARTTLS, which `tls` requires: nothing was sent");
		return BELFRY_RETRY;
	}
	if (*mail->said) {
		mail->host->reason(mail->host, "refused: %s", mail->said);
		return *mail->said == '5' && !mail->later ? BELFRY_REJECT : BELFRY_RETRY;
	}
	mail->host->reason(mail->host, "%s", *error ? error : curl_easy_strerror(code));
	return BELFRY_RETRY;
}

static int send_mail(struct mail *mail)
{
	char error[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	int outcome = BELFRY_RETRY;
	if (curl && set_server(curl, mail->conf) && set_mail(curl, mail, error))
		outcome = judge(mail, curl_easy_perform(curl), error);
	else
		mail->failed = true;
	curl_easy_cleanup(curl);
	return outcome;
}

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	struct mail mail = { .conf = self, .host = host, .delivery = delivery };
	int outcome = BELFRY_REJECT;
	if (make_mail(&mail))
		outcome = mail.failed ? BELFRY_RETRY : send_mail(&mail);
	if (mail.failed)
		host->reason(host, "not enough memory");
	curl_slist_free_all(mail.recipients);
	curl_slist_free_all(mail.later);
	free(mail.text);
	return outcome;
}

BELFRY_PLUGIN(.name = "email", .version = "1.0", .summary = "sends a mail by SMTP", .options = options,
			  .conf_size = sizeof(struct conf), .create = create, .handle = handle);
