/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes to and from peers: sockets, TLS and the event loop of one reactor, by libwebsockets on libuv.
 *
 * This is the only file that knows libwebsockets. It uses its raw role: libwebsockets terminates TLS and says when a
 * socket can be read or written; requests and frames are read above, in wire/. (Why: facts about libwebsockets' own
 * readers are in core/README.md.) Writing goes straight to the socket or to OpenSSL, so nothing is copied or held back
 * here, and what a socket does not take stays where it was.
 *
 * Belongs to the reactor's thread, apart from creating and destroying.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include "auth/certificate.h"

#include <sys/uio.h>
#include <uv.h>

struct transport;
struct link;

struct link_ops {
	/* Bytes came in; they may be changed in place. */
	void (*received)(struct link *link, char *data, size_t n);
	/* The socket takes bytes again; once for each link_want_writable(). */
	void (*writable)(struct link *link);
	/* The link is gone: the last call, the place to free it. */
	void (*closed)(struct link *link);
};

/* Embedded in whatever uses it. */
struct link {
	const struct link_ops *ops;
	struct transport *transport;
	void *wsi;                       /* struct lws; NULL before and after */
	void *tls;                       /* SSL, behind its handshake */
	struct certificate *certificate; /* a reference; NULL: clear text */
	int fd;
	bool is_tls;
	bool is_in_handshake;
	bool is_closing;          /* asked for; `closed` follows */
	bool is_finished;         /* our side has been shut down */
	struct link *prev, *next; /* transport::closing */
};

/* One libwebsockets context on the loop. Not at the same time on two threads: libwebsockets has global state. 0 or
 * -ENOMEM. */
int transport_create(uv_loop_t *loop, struct transport **ret_transport) MUST_USE;
/* Closes what is open, runs the loop until that is done. */
void transport_destroy(struct transport *transport);
CLEANUP_DEFINE(struct transport, transport_destroy)

/* Takes over a connected socket (non-blocking) and the reference to a certificate (NULL: clear text), also when it
 * fails. 0 or negative errno: then `closed` is not called. */
int transport_adopt(struct transport *transport, int fd, struct certificate *certificate, const struct link_ops *ops,
					struct link *link) MUST_USE;

/* With TLS, in one call: a record. */
#define LINK_MAX_TLS_WRITE 16384
/* Writes what the socket takes now: 0.. bytes, or negative errno when the peer is gone. With TLS one piece is written
 * at most. After a short write with TLS the same bytes must come first next time, and at least as many of them
 * (SSL_write(3)). */
ssize_t link_write(struct link *link, const struct iovec *pieces, int n_pieces) MUST_USE;
/* Straight to a clear socket, without touching the link: for the fan-out. */
ssize_t link_write_fd(int fd, const struct iovec *pieces, int n_pieces) MUST_USE;
void link_want_writable(struct link *link);
/* Stops and resumes `received`. */
void link_pause(struct link *link, bool is_paused);
/* No more from us: FIN (and close_notify); what the peer still sends is received. */
void link_finish(struct link *link);
/* Closes soon, from a clean stack: nothing is called any more but `closed`. */
void link_close(struct link *link);
/* The same, and what the peer has not taken is thrown away (RST): else the kernel would keep it for who never reads. */
void link_reset(struct link *link);

#endif
