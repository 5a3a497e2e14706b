/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a hub, for the files of this folder. hub.c: members and live delivery; catch_up.c: those who are
 * behind. */
#ifndef HUB_INTERNAL_H
#define HUB_INTERNAL_H

#include "hub/hub.h"
#include "hub/ring.h"

struct hub {
	struct hub_options options;
	uint64_t head;
	struct interest_index *index;
	struct ring *ring;
	struct interest *due;   /* interests with visits left */
	struct member *ready;   /* behind, able to take more */
	struct member *waiting; /* for a page */
	struct member *paged;   /* `page` is for them */
	struct hub_page page;
	bool has_page;
	bool is_reading;           /* until the page has been given */
	struct interest **reading; /* references: the page under way uses their filters */
	size_t n_reading, max_reading;
	struct filter *read_filters; /* shallow: the interests' own */
	size_t max_read_filters;
	struct hub_frames frames; /* scratch */
	uint64_t n_delivered, n_delivered_bytes;
};

/* Frames for one member, gathered in hub::frames. */
void hub_frames_clear(struct hub_frames *frames);
void hub_frames_add(struct hub_frames *frames, struct batch *batch, const struct batch_entry *entry);
/* Hands the gathered frames to these members, one after the other; a slot's cursor becomes the last frame that its
 * member took. Returns how many took all; the socket of the one behind them is full. */
size_t hub_give(struct hub *hub, struct interest_slot *slots, size_t n);

/* Where a member that is on no list goes. */
void hub_set_behind(struct hub *hub, struct member *member);
void hub_set_live(struct hub *hub, struct member *member);
void hub_fail_member(struct hub *hub, struct member *member);

/* The next step of a member on hub::ready. */
void hub_serve_ready(struct hub *hub, struct member *member);
/* Gives the page to the next of those it is for; lets go of it behind the last one. */
void hub_serve_page(struct hub *hub);
/* Asks the journal for those who wait, unless a question is under way. */
void hub_start_read(struct hub *hub);
/* Lets go of what the question under way needed. */
void hub_release_read(struct hub *hub);

#endif
