/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One peer's connection: reads requests one after the other, hands each to an endpoint, writes the answer. An upgrade
 * or an event stream makes it a subscriber's for the rest of its life (subscriber.h).
 *
 * Deadlines are absolute, for each phase of a request, so a byte now and then keeps nobody alive. An answer behind
 * which the connection ends is followed by a lingering close, so that the peer can read it even while it is still
 * sending.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include "net/reactor.h"
#include "wire/http.h"

enum connection_phase {
	CONNECTION_HEAD,       /* reading a request's head, or idle before it */
	CONNECTION_BODY,       /* reading a request's body */
	CONNECTION_ANSWERING,  /* an endpoint works on it */
	CONNECTION_HELD_BACK,  /* the answer is ready, and waits */
	CONNECTION_SUBSCRIBED, /* WebSocket or event stream */
	CONNECTION_LINGERING,  /* all is said; waits for the peer to close */
};

/* What is reached by a connection. TRUSTED: whoever can open it (a unix socket) may do everything. */
enum serves { SERVES_SOURCES = 1, SERVES_SUBSCRIBERS = 2, SERVES_ADMIN = 4, SERVES_TRUSTED = 8 };

struct exchange;
struct subscriber;
struct limits_entry;

struct connection {
	struct link link;
	struct reactor *reactor;
	unsigned serves;   /* enum serves: what its listener does */
	const char *limit; /* a sentence that names the limit that it is over: it is told so and closed; else NULL */
	struct limits_entry *address;
	char *peer;    /* as text, once somebody asked; NULL before */
	uint64_t turn; /* of the loop, in which it came */
	enum connection_phase phase;
	bool is_pending; /* on reactor::pending */
	bool is_paused;
	bool ends_when_drained; /* the answer in `out` is the last */
	bool has_progress;      /* bytes went out since somebody reset it */
	uv_timer_t timer;
	uint64_t deadline_ms;           /* of the phase, by the loop's clock */
	uint64_t timer_ms;              /* when the timer comes, not later than the deadline; 0: it does not run */
	struct buffer in;               /* bytes that wait: an incomplete head, requests behind the one being answered */
	struct span rest;               /* of frames that the socket took in part: goes out first */
	struct batch *rest_batch;       /* whose bytes `rest` is; a reference */
	struct buffer out;              /* further bytes that the socket did not take */
	struct exchange *exchange;      /* BODY, ANSWERING */
	struct subscriber *subscriber;  /* SUBSCRIBED */
	struct connection *prev, *next; /* reactor::connections */
	struct connection *pending_prev, *pending_next; /* reactor::pending */
};

/* What answers requests on a path. */
struct endpoint {
	const char *methods; /* for Allow, "GET, HEAD"; anything else is 405 */
	size_t exchange_size;
	/* The head is here, with what of it is needed to be copied. Answers, or sets exchange::max_body to read a body; or
	 * makes the connection a subscriber's. NULL if there is nothing to be looked at. */
	void (*begin)(struct exchange *exchange, const struct http_request *request);
	/* The body is complete. Answers now, or later by connection_answer(). */
	void (*finish)(struct exchange *exchange, struct span body);
	/* The time for answering is over. */
	void (*expire)(struct exchange *exchange);
	/* Only told: the request is answered with this status because its body is too large, malformed or too slow, or
	 * there is no memory for it. May be NULL. */
	void (*refused)(struct exchange *exchange, int status);
	/* Frees what the endpoint holds in the exchange, right before it is freed. NULL if that is nothing. */
	void (*release)(struct exchange *exchange);
};

/* One request on its way to an answer. Endpoints embed it first in their own struct. */
struct exchange {
	const struct endpoint *endpoint;
	struct connection *connection; /* NULL once it is gone or answered */
	struct reactor *reactor;
	struct setup *setup;   /* a reference: by which it is answered */
	struct source *source; /* of a callback */
	bool is_held;          /* something else still refers to it: whoever set this calls exchange_free() */
	bool keep_alive;
	bool is_head;      /* HEAD: the answer's body is left out */
	uint64_t max_body; /* set by begin */
	enum http_body body_kind;
	uint64_t content_length;
	struct http_chunks chunks;
	struct buffer body;    /* what has come so far, unless all came at once */
	struct buffer headers; /* lines that every answer to it carries (CORS) */
};

void exchange_free(struct exchange *exchange);
/* The configuration that it is answered by. */
static inline const struct config *exchange_config(const struct exchange *exchange)
{
	return exchange->setup->generation->config;
}

/* Has the request that is being answered go on as another one, to this endpoint: its exchange, which takes the place of
 * the one that there was. NULL without memory: then that one is still there. */
struct exchange *connection_redirect(struct connection *connection, const struct endpoint *endpoint,
									 struct source *source) MUST_USE;

/* A socket that was accepted, and what its listener says of it. */
struct arrival {
	int fd;
	unsigned serves;
	struct certificate *certificate; /* a reference; NULL: clear text */
	const char *limit;               /* see struct connection */
	struct limits_entry *address;
};
/* Takes it over. */
void connection_adopt(struct reactor *reactor, const struct arrival *arrival);

/* After each turn of the loop: closes connections that send no request, if there are too many. */
void connection_bound_pending(struct reactor *reactor);

struct answer {
	int status;
	const char *content_type; /* NULL without a body */
	struct span body;
	const char *headers; /* further lines, each with CRLF; NULL for none */
	bool closes;         /* the connection ends behind it */
	int64_t wait_ms;     /* held back so long, and the connection ends behind it; negative: it ends without a word */
};
/* Answers the connection's exchange, which is released. */
void connection_answer(struct connection *connection, const struct answer *answer);
/* The same with {"error":code,"message":message} as body. */
void connection_refuse(struct connection *connection, int status, const char *code, const char *message,
					   const char *headers);
/* The same, with answer::wait_ms. */
void connection_refuse_late(struct connection *connection, int64_t wait_ms, int status, const char *code,
							const char *message, const char *headers);
/* Answers an exchange that was held while another thread made the JSON: with that; or, where there is an error or the
 * buffer has failed, 503 and `sorry`. If nobody waits for it any more, it is freed. */
void exchange_answer_json(struct exchange *exchange, const struct buffer *json, int error, const char *sorry);
/* The same, with another status than 200. */
void exchange_answer_json_status(struct exchange *exchange, int status, const struct buffer *json, int error,
								 const char *sorry);
/* "HTTP/1.1 200 OK\r\n" and the lines that every answer has; for answers that do not end (upgrade, event stream). */
void connection_add_status(struct connection *connection, struct buffer *head, int status);

/* Sends bytes, or keeps what the socket does not take in `out`. */
void connection_send(struct connection *connection, struct span bytes);
/* The rest of frames that went out in part, as a reference to the batch or as a copy. Only when drained. */
void connection_hold(struct connection *connection, struct batch *batch, struct span rest);
/* Nothing waits to go out. */
static inline bool connection_is_drained(const struct connection *connection)
{
	return connection->rest.n == 0 && connection->out.n == 0;
}
/* The exchange is over without an answer: the connection is a subscriber's now. */
void connection_subscribe(struct connection *connection, struct subscriber *subscriber);
/* The gateway stops: ends now if it is idle, else with the answer to what is under way. */
void connection_drain(struct connection *connection);
/* No more from us; lingers until the peer closes. */
void connection_end(struct connection *connection);
void connection_set_deadline(struct connection *connection, int64_t ms);

/* The peer as text for the log, "127.0.0.1:4711"; it lives as long as the connection. */
struct span connection_peer(struct connection *connection);

#endif
