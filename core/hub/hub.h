/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub of one reactor: who wants what, and who has got how far. No sockets here.
 *
 * A member is a subscriber's connection seen from the hub: a cursor into the journal and an interest. Members that want
 * exactly the same share one interest; the index leads from an event to the interests that may want it, so the cost
 * of an event grows with those who match, not with those who are connected.
 *
 * A member is LIVE while it has got everything up to the head that it wants. New events are then brought to it by a
 * sweep over its interest's members, round and round, in slices: whoever is visited late gets several frames in one
 * write. A member whose socket is full stops being live: it keeps its cursor and nothing else, and when its socket
 * drains it catches up from the ring of recent batches or, further back, from pages of the journal, which all who are
 * about equally far behind share.
 *
 * What always holds: a member is given the events that match its interest in order of sequence, each once, from
 * its cursor on; what can never be given to it any more (purged, damaged) it is told as a gap.
 *
 * Belongs to the reactor's thread.
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "hub/batch.h"
#include "hub/interest.h"

#include <sys/uio.h>

/* Frames that go to a member in one call. */
#define HUB_MAX_FRAMES 64

enum member_state {
	MEMBER_OUTSIDE, /* wants nothing */
	MEMBER_LIVE,
	MEMBER_BLOCKED, /* its socket is full; hub_writable() goes on */
	MEMBER_READY,   /* behind, and able to take more */
	MEMBER_WAITING, /* behind the ring, waits for a page of the journal */
	MEMBER_PAGED,   /* the page is here, and its turn comes */
};

/* Embedded in the subscriber; all fields are the hub's but the first two, set before the first join. */
struct member {
	void *owner;
	int fd; /* passed to deliver while live, when nothing else waits to go out, so that the member's object need not be
			 * touched; -1 if that is no use */
	enum member_state state;
	struct interest *interest;  /* a reference */
	size_t slot;                /* LIVE: in the interest's array */
	uint64_t cursor;            /* not LIVE: everything up to here has been dealt with */
	uint64_t n_newest;          /* WAITING: wants that many of the newest first, then live */
	bool is_in_read;            /* WAITING: the page under way is for this one too */
	struct member *prev, *next; /* READY, WAITING, PAGED: hub::ready, hub::waiting, hub::paged */
};

/* Frames for one member, in order. */
struct hub_frames {
	const struct batch_entry *entries[HUB_MAX_FRAMES];
	struct batch *batches[HUB_MAX_FRAMES]; /* whose entry it is: take a reference to keep bytes of it */
	size_t n;
	struct iovec pieces[HUB_MAX_FRAMES]; /* the same frames, neighbours joined */
	int n_pieces;
	size_t n_bytes;
};

/* A question to the journal; filters are shared with interests that the hub keeps alive until hub_page(). */
struct hub_read {
	bool newest; /* the max_events newest up to `until`; else forward from `after` */
	uint64_t after, until;
	struct filter *filters; /* none: everything */
	size_t n_filters;
	size_t max_events, max_bytes;
};

struct hub_options {
	size_t max_ring_bytes;
	uint64_t head; /* newest sequence at the start */
	void *context;
	/*
	 * Takes the frames for these members (1..), one after the other, up to the first one whose socket is full. Returns
	 * how many it has done. Fewer than n: the next one has taken *ret_n_taken frames, the last one maybe in part, and
	 * waits for its socket: deliver is responsible for the rest of that frame, and calls hub_writable() later. Must not
	 * call the hub otherwise.
	 */
	size_t (*deliver)(const struct interest_slot *slots, size_t n, const struct hub_frames *frames,
					  size_t *ret_n_taken);
	/* What lies between the two is lost for this member: the message to it, ahead of what follows. */
	void (*gap)(void *owner, uint64_t after, uint64_t resumed_at);
	/* The journal cannot be read: the member is outside now, and its connection is to be closed. */
	void (*fail)(void *owner);
	/* The last live member that wants this event has been visited for it (or has left). Must not call the hub. */
	void (*finished)(void *context, const struct event *event);
	/* Asks the journal; the answer comes by hub_page(). One question at a time. 0 or negative errno. */
	int (*read)(void *context, const struct hub_read *read);
};

struct hub;
int hub_create(const struct hub_options *options, struct hub **ret_hub) MUST_USE;
/* All members must have left. NULL is fine. */
void hub_destroy(struct hub *hub);
CLEANUP_DEFINE(struct hub, hub_destroy)

/* Frames that members took, since the beginning, and the bytes of these. */
uint64_t hub_delivered(const struct hub *hub);
uint64_t hub_delivered_bytes(const struct hub *hub);
/* Bytes of recent frames that are kept. */
size_t hub_ring_bytes(const struct hub *hub);
void hub_set_max_ring_bytes(struct hub *hub, size_t max_bytes);
/* Newest sequence that this reactor has seen. */
uint64_t hub_head(const struct hub *hub);

/* New durable events; head is the newest durable sequence, which may be beyond the batch (malformed events have
 * sequences and are not pushed). batch is NULL if there is nothing to push. Takes a reference; hub_sweep() delivers.
 * Without memory it does as hub_miss(). */
void hub_publish(struct hub *hub, struct batch *batch, uint64_t head);
/* There are events up to head that nobody could give us: all members catch up from the journal. */
void hub_miss(struct hub *hub, uint64_t head);

/* Delivers up to about max_writes times. True if there is more to do. */
bool hub_sweep(struct hub *hub, size_t max_writes);

/* Where a member starts. */
#define HUB_FROM_HEAD UINT64_MAX /* live, or, for one that is in already, from where it is */

/*
 * The member wants what any of the filters matches (1..), from `after` on, or first the n_newest newest (if > 0). For
 * one that is in already the filters are replaced and `after` is HUB_FROM_HEAD. Filters are copied by reference count
 * of the interest. 0 or -ENOMEM (then nothing has changed).
 */
int hub_join(struct hub *hub, struct member *member, const struct filter *const *filters, size_t n_filters,
			 uint64_t after, uint64_t n_newest) MUST_USE;
void hub_leave(struct hub *hub, struct member *member);

/* The member's socket is full for other reasons than deliver(). */
void hub_block(struct hub *hub, struct member *member);
/* The member's socket takes bytes again, and what it had begun is finished. */
void hub_writable(struct hub *hub, struct member *member);

/* Everything up to here has been dealt with: the position a client may resume from. */
uint64_t hub_position(const struct hub *hub, const struct member *member);

/* The answer to a read. hub_page() takes a reference to the batch; hub_sweep() gives it to those it is for. */
struct hub_page {
	struct batch *batch; /* NULL: no events */
	uint64_t scanned, oldest;
	size_t n_damaged; /* as in store_page */
	uint64_t damaged_first, damaged_last;
	int error;
};
void hub_page(struct hub *hub, const struct hub_page *page);

#endif
