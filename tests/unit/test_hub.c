/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub against a model: members come, go, block, change what they want, while events are published and pages are
 * read from a journal that is an array. Whatever happens, each member gets the events that match what it wants, in
 * order, each once, from where it began; a seeded generator makes the runs repeatable.
 */
#include "hub/hub.h"

#include "hub/ring.h"
#include "unit.h"

#include <string.h>

#define MAX_EVENTS 600
#define MAX_MEMBERS 24

struct journal {
	struct event *events[MAX_EVENTS + 1]; /* by sequence, from 1 */
	uint64_t head, oldest;
};

/* A subscriber that remembers what it got. */
struct client {
	struct member member;
	struct filter filter;
	uint64_t began; /* wants everything behind this that matches */
	uint64_t got[MAX_EVENTS];
	size_t n_got;
	size_t room;  /* frames it takes before its socket is full */
	bool is_full; /* has said so: is given nothing before hub_writable() */
	uint64_t gap_after, gap_resumed_at;
	bool has_failed;
};

struct world {
	struct journal journal;
	struct hub *hub;
	bool has_read;
	struct hub_read read;
	struct filter filters[128]; /* copies, as the hub's may go */
	size_t n_calls;
	size_t n_finished[MAX_EVENTS + 1]; /* by sequence */
	uint32_t seed;
};

static uint32_t next_random(struct world *world, uint32_t bound)
{
	world->seed = world->seed * 1664525 + 1013904223;
	return (world->seed >> 8) % bound;
}

static size_t take(struct client *client, const struct hub_frames *frames)
{
	size_t n = 0;
	for (; n < frames->n && client->room; n++, client->room--)
		client->got[client->n_got++] = frames->entries[n]->sequence;
	return n;
}

static size_t deliver(const struct interest_slot *slots, size_t n, const struct hub_frames *frames, size_t *ret_n_taken)
{
	size_t n_bytes = 0;
	for (int i = 0; i < frames->n_pieces; i++)
		n_bytes += frames->pieces[i].iov_len;
	CU_ASSERT_EQUAL_FATAL(n_bytes, frames->n_bytes);
	for (size_t i = 0; i < n; i++) {
		struct client *client = CONTAINER_OF(slots[i].member, struct client, member);
		CU_ASSERT_FALSE_FATAL(client->is_full);
		*ret_n_taken = take(client, frames);
		client->is_full = client->room == 0;
		if (client->is_full)
			return i;
	}
	return n;
}

static void gap(void *owner, uint64_t after, uint64_t resumed_at)
{
	struct client *client = owner;
	client->gap_after = after;
	client->gap_resumed_at = resumed_at;
}

static void fail(void *owner)
{
	((struct client *)owner)->has_failed = true;
}

static int read_journal(void *context, const struct hub_read *read)
{
	struct world *world = context;
	CU_ASSERT_FATAL(!world->has_read); /* one question at a time */
	world->has_read = true;
	world->read = *read;
	CU_ASSERT_FATAL(read->n_filters <= ARRAY_LENGTH(world->filters));
	for (size_t i = 0; i < read->n_filters; i++)
		world->filters[i] = read->filters[i];
	world->read.filters = world->filters;
	world->n_calls++;
	return 0;
}

static void finished(void *context, const struct event *event)
{
	struct world *world = context;
	uint64_t sequence = 1;
	while (sequence <= world->journal.head && world->journal.events[sequence] != event)
		sequence++;
	CU_ASSERT_FATAL(sequence <= world->journal.head);
	world->n_finished[sequence]++;
	CU_ASSERT_EQUAL_FATAL(world->n_finished[sequence], 1); /* told once */
}

static struct event *make_event(uint32_t kind)
{
	static const char *const types[] = { "assigned", "failing", "change" };
	static const char *const users[] = { "1", "2", "3", "4" };
	const struct interaction interaction = { span_text(types[kind % 3]), SPAN("") };
	const struct tag tag = { SPAN("user"), span_text(users[kind / 3 % 4]) };
	const struct event model = {
		.kind = kind % 7 ? EVENT_CALLBACK : EVENT_OUTCOME,
		.source = SPAN("cronofy"),
		.event_id = kind % 5 ? SPAN("e1") : SPAN("e2"),
		.body = SPAN("{\"event\":1,\"handler\":\"it\"}"),
		.interactions = &interaction,
		.n_interactions = 1,
		.tags = &tag,
		.n_tags = 1,
	};
	struct event *event = NULL;
	CU_ASSERT_FATAL(event_create(&model, &event) == 0);
	return event;
}

static struct filter make_filter(uint32_t kind)
{
	struct filter filter;
	const char *reason = NULL;
	int r = 0;
	filter_init(&filter);
	if (kind % 5 == 1)
		r = filter_add(&filter, FILTER_INTERACTIONS, SPAN("assigned"), &reason);
	if (kind % 5 == 2)
		r = filter_add(&filter, FILTER_INTERACTIONS, SPAN("fail*"), &reason);
	if (kind % 5 == 3)
		r = filter_add_tag(&filter, SPAN("user"), kind % 2 ? SPAN("1") : SPAN("2"), &reason);
	if (kind % 5 == 4)
		r = filter_add(&filter, FILTER_EVENT_IDS, SPAN("e2"), &reason);
	CU_ASSERT_FATAL(r == 0);
	filter.has_outcomes = kind / 5 % 2 == 0;
	return filter;
}

static void world_begin(struct world *world, uint32_t seed, size_t max_ring_bytes)
{
	*world = (struct world){ .journal.oldest = 1, .seed = seed };
	const struct hub_options options = {
		.max_ring_bytes = max_ring_bytes,
		.context = world,
		.deliver = deliver,
		.gap = gap,
		.fail = fail,
		.finished = finished,
		.read = read_journal,
	};
	CU_ASSERT_FATAL(hub_create(&options, &world->hub) == 0);
}

static void world_end(struct world *world)
{
	hub_destroy(world->hub);
	for (uint64_t i = 1; i <= world->journal.head; i++)
		event_unref(world->journal.events[i]);
}

/* n new events in one batch: a reference to it. */
static struct batch *publish_batch(struct world *world, size_t n)
{
	struct event *events[16];
	uint64_t sequences[16];
	struct batch *batch = NULL;
	for (size_t i = 0; i < n; i++) {
		sequences[i] = ++world->journal.head;
		events[i] = world->journal.events[world->journal.head] = make_event(next_random(world, 60));
	}
	CU_ASSERT_FATAL(batch_create("abc", events, sequences, n, &batch) == 0);
	hub_publish(world->hub, batch, world->journal.head);
	return batch;
}

static void publish(struct world *world, size_t n)
{
	batch_unref(publish_batch(world, n));
}

static bool read_matches(const struct hub_read *read, const struct event *event)
{
	for (size_t i = 0; i < read->n_filters; i++)
		if (filter_matches(&read->filters[i], event))
			return true;
	return read->n_filters == 0;
}

/* Answers the question as the store would, a few events a page. */
static void answer_read(struct world *world)
{
	const struct hub_read read = world->read;
	struct event *events[MAX_EVENTS];
	uint64_t sequences[MAX_EVENTS], from = read.newest ? 0 : read.after, scanned = read.until;
	size_t n = 0, max = read.newest ? MAX_EVENTS : 5;
	if (!world->has_read)
		return;
	world->has_read = false;
	for (uint64_t s = from + 1; s <= read.until; s++) {
		if (s < world->journal.oldest || !read_matches(&read, world->journal.events[s]))
			continue;
		events[n] = world->journal.events[s];
		sequences[n++] = s;
		if (n == max) {
			scanned = s;
			break;
		}
	}
	size_t skip = read.newest && n > read.max_events ? n - read.max_events : 0;
	struct hub_page page = { .scanned = scanned, .oldest = world->journal.oldest };
	if (n)
		CU_ASSERT_FATAL(batch_create("abc", events + skip, sequences + skip, n - skip, &page.batch) == 0);
	hub_page(world->hub, &page);
	batch_unref(page.batch);
}

static void settle(struct world *world)
{
	for (int i = 0; i < 2000; i++) {
		bool has_more = hub_sweep(world->hub, 3);
		if (world->has_read)
			answer_read(world);
		else if (!has_more)
			return;
	}
	CU_FAIL_FATAL("the hub does not come to rest");
}

static void client_begin(struct world *world, struct client *client, uint32_t kind, uint64_t after, uint64_t n_newest)
{
	*client = (struct client){ .room = SIZE_MAX, .filter = make_filter(kind) };
	client->member.owner = client;
	client->began = after == HUB_FROM_HEAD ? hub_head(world->hub) : after;
	const struct filter *filters[] = { &client->filter };
	CU_ASSERT_FATAL(hub_join(world->hub, &client->member, filters, 1, after, n_newest) == 0);
}

static void client_end(struct world *world, struct client *client)
{
	hub_leave(world->hub, &client->member);
	filter_finish(&client->filter);
}

/* It has what matches behind `began`, up to the head, and nothing else. */
static void check_client(const struct world *world, const struct client *client)
{
	size_t n = 0;
	for (uint64_t s = client->began + 1; s <= world->journal.head; s++) {
		if (!filter_matches(&client->filter, world->journal.events[s]))
			continue;
		CU_ASSERT_FATAL(n < client->n_got);
		CU_ASSERT_EQUAL_FATAL(client->got[n], s);
		n++;
	}
	CU_ASSERT_EQUAL_FATAL(n, client->n_got);
}

static void unblock(struct world *world, struct client *client, size_t room)
{
	client->room = room;
	client->is_full = false;
	hub_writable(world->hub, &client->member);
}

static void run_random(uint32_t seed, size_t max_ring_bytes)
{
	struct world world;
	struct client clients[MAX_MEMBERS];
	bool is_in[MAX_MEMBERS] = { false };
	world_begin(&world, seed, max_ring_bytes);
	while (world.journal.head + 16 < MAX_EVENTS) {
		size_t i = next_random(&world, MAX_MEMBERS);
		switch (next_random(&world, 8)) {
		case 0:
		case 1:
			publish(&world, 1 + next_random(&world, 6));
			break;
		case 2:
			if (!is_in[i])
				client_begin(
					&world, &clients[i], next_random(&world, 30),
					next_random(&world, 2) ? HUB_FROM_HEAD : next_random(&world, (uint32_t)world.journal.head + 1), 0);
			is_in[i] = true;
			break;
		case 3:
			if (is_in[i]) {
				client_end(&world, &clients[i]);
				is_in[i] = false;
			}
			break;
		case 4:
			if (is_in[i])
				clients[i].room = next_random(&world, 4);
			break;
		case 5:
			if (is_in[i] && clients[i].room == 0)
				unblock(&world, &clients[i], 1 + next_random(&world, 9));
			break;
		case 6:
			answer_read(&world);
			break;
		default:
			(void)hub_sweep(world.hub, 1 + next_random(&world, 5));
		}
	}
	for (size_t i = 0; i < MAX_MEMBERS; i++)
		if (is_in[i])
			unblock(&world, &clients[i], SIZE_MAX);
	settle(&world);
	for (size_t i = 0; i < MAX_MEMBERS; i++) {
		if (!is_in[i])
			continue;
		CU_ASSERT_EQUAL_FATAL(clients[i].member.state, MEMBER_LIVE);
		check_client(&world, &clients[i]);
		CU_ASSERT_EQUAL_FATAL(hub_position(world.hub, &clients[i].member), world.journal.head);
		client_end(&world, &clients[i]);
	}
	world_end(&world);
}

static void test_everybody_gets_everything_once_in_order(void)
{
	for (uint32_t seed = 1; seed <= 150; seed++) {
		run_random(seed, 1u << 20); /* everything stays in the ring */
		run_random(seed, 2000);     /* a few events: the journal is asked */
		run_random(seed, 1);        /* only the newest batch */
	}
}

static size_t count_finished(const struct world *world, uint64_t first, uint64_t last)
{
	size_t n = 0;
	for (uint64_t s = first; s <= last; s++)
		n += world->n_finished[s];
	return n;
}

/* Not before the last one has had its turn, and not for events that nobody wants. */
static void test_the_end_of_an_event_is_told(void)
{
	struct world world;
	struct client clients[5];
	world_begin(&world, 7, 1u << 20);
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
		client_begin(&world, &clients[i], i < 3 ? 0 : 1, HUB_FROM_HEAD, 0); /* two interests */
	settle(&world);
	publish(&world, 8);
	CU_ASSERT_EQUAL(count_finished(&world, 1, 8), 0);
	while (hub_sweep(world.hub, 1)) { /* one visit each time */
		bool is_over = clients[0].n_got && clients[1].n_got && clients[2].n_got;
		CU_ASSERT_TRUE(is_over || world.n_finished[1] == 0);
	}
	CU_ASSERT_EQUAL(count_finished(&world, 1, 8), 8);
	for (size_t i = 0; i < 3; i++)
		client_end(&world, &clients[i]);
	publish(&world, 16); /* for the others: those that match */
	settle(&world);
	for (uint64_t s = 9; s <= 24; s++)
		CU_ASSERT_EQUAL(world.n_finished[s], filter_matches(&clients[3].filter, world.journal.events[s]));
	publish(&world, 16);
	size_t n_matching = 0;
	for (uint64_t s = 25; s <= 40; s++)
		n_matching += filter_matches(&clients[3].filter, world.journal.events[s]);
	CU_ASSERT(n_matching > 0);
	client_end(&world, &clients[3]);
	CU_ASSERT_EQUAL(count_finished(&world, 25, 40), 0);
	client_end(&world, &clients[4]); /* who leaves is not waited for */
	CU_ASSERT_EQUAL(count_finished(&world, 25, 40), n_matching);
	world_end(&world);
}

static void test_newest_first_then_live(void)
{
	struct world world;
	struct client client;
	world_begin(&world, 7, 1u << 20);
	for (int i = 0; i < 20; i++)
		publish(&world, 4);
	client_begin(&world, &client, 1, HUB_FROM_HEAD, 2);
	settle(&world);
	CU_ASSERT_EQUAL_FATAL(client.n_got, 2);
	CU_ASSERT(client.got[0] < client.got[1]);
	for (uint64_t s = client.got[0] + 1; s <= world.journal.head; s++)
		if (s != client.got[1])
			CU_ASSERT_FALSE(filter_matches(&client.filter, world.journal.events[s]));
	client.began = client.got[0] - 1;
	publish(&world, 16);
	settle(&world);
	check_client(&world, &client);
	client_end(&world, &client);
	world_end(&world);
}

static void test_purged_events_are_a_gap(void)
{
	struct world world;
	struct client client;
	world_begin(&world, 3, 1);
	for (int i = 0; i < 10; i++)
		publish(&world, 4);
	world.journal.oldest = 21;
	client_begin(&world, &client, 0, 5, 0);
	settle(&world);
	CU_ASSERT_EQUAL(client.gap_after, 5);
	CU_ASSERT_EQUAL(client.gap_resumed_at, 21);
	client.began = 20;
	check_client(&world, &client);
	client_end(&world, &client);
	world_end(&world);
}

static void test_unreadable_journal_fails_who_needs_it(void)
{
	struct world world;
	struct client behind, live;
	world_begin(&world, 3, 1);
	client_begin(&world, &live, 0, HUB_FROM_HEAD, 0);
	settle(&world);
	for (int i = 0; i < 10; i++) {
		publish(&world, 4);
		settle(&world);
	}
	client_begin(&world, &behind, 0, 0, 0);
	while (!world.has_read)
		(void)hub_sweep(world.hub, 10);
	world.has_read = false;
	hub_page(world.hub, &(struct hub_page){ .error = -5 });
	CU_ASSERT_TRUE(behind.has_failed);
	CU_ASSERT_EQUAL(behind.member.state, MEMBER_OUTSIDE);
	settle(&world);
	CU_ASSERT_FALSE(live.has_failed);
	check_client(&world, &live);
	client_end(&world, &live);
	filter_finish(&behind.filter);
	world_end(&world);
}

static void test_changed_filters_keep_the_place(void)
{
	struct world world;
	struct client client;
	world_begin(&world, 9, 1u << 20);
	client_begin(&world, &client, 1, HUB_FROM_HEAD, 0);
	settle(&world);
	publish(&world, 16);
	settle(&world);
	check_client(&world, &client);
	size_t n_before = client.n_got;
	struct filter wider = make_filter(0);
	const struct filter *filters[] = { &wider };
	CU_ASSERT_FATAL(hub_join(world.hub, &client.member, filters, 1, HUB_FROM_HEAD, 0) == 0);
	settle(&world);
	CU_ASSERT_EQUAL(client.n_got, n_before); /* nothing of the past */
	publish(&world, 5);
	settle(&world);
	CU_ASSERT_EQUAL(client.n_got, n_before + 5);
	filter_finish(&wider);
	client_end(&world, &client);
	world_end(&world);
}

static void test_missed_batch_is_read_from_the_journal(void)
{
	struct world world;
	struct client client;
	world_begin(&world, 11, 1u << 20);
	client_begin(&world, &client, 0, HUB_FROM_HEAD, 0);
	settle(&world);
	publish(&world, 3);
	world.journal.events[++world.journal.head] = make_event(1); /* nobody had memory to publish this one */
	hub_miss(world.hub, world.journal.head);
	publish(&world, 2);
	settle(&world);
	check_client(&world, &client);
	CU_ASSERT(world.n_calls > 0);
	client_end(&world, &client);
	world_end(&world);
}

static void test_members_far_apart_share_pages(void)
{
	struct world world;
	struct client clients[MAX_MEMBERS];
	world_begin(&world, 5, 1);
	for (int i = 0; i < 30; i++)
		publish(&world, 4);
	for (size_t i = 0; i < MAX_MEMBERS; i++)
		client_begin(&world, &clients[i], 0, 0, 0);
	settle(&world);
	/* 120 events, 5 a page: about 24 pages for all of them together, not for each */
	CU_ASSERT(world.n_calls <= 30);
	for (size_t i = 0; i < MAX_MEMBERS; i++) {
		check_client(&world, &clients[i]);
		client_end(&world, &clients[i]);
	}
	world_end(&world);
}

/* Publishing is faster than the sweep: what the ring has dropped is not kept for those who have not had it. */
static void test_a_slow_sweep_keeps_nothing_old(void)
{
	struct world world;
	struct client clients[8];
	world_begin(&world, 1, 2000);
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
		client_begin(&world, &clients[i], 0, HUB_FROM_HEAD, 0);
	settle(&world);
	struct batch *first = publish_batch(&world, 1);
	(void)hub_sweep(world.hub, 3);
	for (size_t i = 0; i < 40; i++)
		publish(&world, 1);
	(void)hub_sweep(world.hub, 1);
	CU_ASSERT_EQUAL(atomic_load(&first->references), 1); /* ours */
	batch_unref(first);
	settle(&world);
	for (size_t i = 0; i < ARRAY_LENGTH(clients); i++) {
		check_client(&world, &clients[i]);
		client_end(&world, &clients[i]);
	}
	world_end(&world);
}

/* However many a page is for, nobody else waits until all of them have it. */
static void test_a_page_is_given_in_slices(void)
{
	enum { N_CLIENTS = 20, MAX_WRITES = 3 };
	struct world world;
	struct client clients[N_CLIENTS];
	size_t n_served = 0;
	world_begin(&world, 1, 1);
	for (int i = 0; i < 10; i++)
		publish(&world, 4);
	for (size_t i = 0; i < N_CLIENTS; i++)
		client_begin(&world, &clients[i], 0, 0, 0);
	CU_ASSERT_FALSE(hub_sweep(world.hub, MAX_WRITES));
	answer_read(&world);
	CU_ASSERT_TRUE(hub_sweep(world.hub, MAX_WRITES));
	for (size_t i = 0; i < N_CLIENTS; i++)
		n_served += clients[i].n_got > 0;
	CU_ASSERT_EQUAL(n_served, MAX_WRITES);
	client_end(&world, &clients[N_CLIENTS - 1]); /* its turn has not come */
	settle(&world);
	for (size_t i = 0; i < N_CLIENTS - 1; i++) {
		check_client(&world, &clients[i]);
		client_end(&world, &clients[i]);
	}
	world_end(&world);
}

UNIT_MAIN({ "everybody gets everything once, in order", test_everybody_gets_everything_once_in_order },
		  { "the end of an event is told, once", test_the_end_of_an_event_is_told },
		  { "the newest first, then live", test_newest_first_then_live },
		  { "purged events are a gap", test_purged_events_are_a_gap },
		  { "an unreadable journal fails who needs it", test_unreadable_journal_fails_who_needs_it },
		  { "changed filters keep the place", test_changed_filters_keep_the_place },
		  { "a missed batch is read from the journal", test_missed_batch_is_read_from_the_journal },
		  { "members at the same place share pages", test_members_far_apart_share_pages },
		  { "a slow sweep keeps nothing old", test_a_slow_sweep_keeps_nothing_old },
		  { "a page is given in slices", test_a_page_is_given_in_slices })
