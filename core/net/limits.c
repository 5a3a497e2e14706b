/* SPDX-License-Identifier: Apache-2.0 */
#include "net/limits.h"

#include "base/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <uthash.h>

/* Addresses share this table by their hash, so that it does not grow with them: what two that meet in it lose is speed
 * in being refused. */
#define REFUSAL_SLOTS 4096

#define KEY_BYTES 9 /* family and an IPv4 address or the first half of an IPv6 one */

struct limits_entry {
	UT_hash_handle hh; /* limits::entries */
	uint8_t key[KEY_BYTES];
	uint64_t n;
};

struct limits {
	pthread_mutex_t lock;
	uint64_t max_connections, max_per_address; /* {lock} */
	uint64_t n;                                /* {lock} */
	struct limits_entry *entries;              /* {lock} */
	struct limits_refused refused;             /* {lock} */
	/* until when the refusals so far use up their time */
	uint64_t refused_until_ns[REFUSAL_SLOTS]; /* {lock} */
	uint64_t all_refused_until_ns;            /* {lock} */
};

struct pace {
	uint64_t interval_ns; /* of each refusal */
	uint64_t free_ns;     /* that may be used up at once */
};

static const struct pace pace_of_one = { NS_PER_S, 100 * NS_PER_S };
static const struct pace pace_of_all = { NS_PER_S / 200, 5 * NS_PER_S };

int limits_create(uint64_t max_connections, uint64_t max_per_address, struct limits **ret_limits)
{
	struct limits *limits = calloc(1, sizeof *limits);
	if (!limits)
		return -ENOMEM;
	(void)pthread_mutex_init(&limits->lock, NULL);
	limits->max_connections = max_connections;
	limits->max_per_address = max_per_address;
	*ret_limits = limits;
	return 0;
}

void limits_set(struct limits *limits, uint64_t max_connections, uint64_t max_per_address)
{
	(void)pthread_mutex_lock(&limits->lock);
	limits->max_connections = max_connections;
	limits->max_per_address = max_per_address;
	(void)pthread_mutex_unlock(&limits->lock);
}

void limits_destroy(struct limits *limits)
{
	if (!limits)
		return;
	(void)pthread_mutex_destroy(&limits->lock);
	free(limits);
}

static bool make_key(const struct sockaddr *address, uint8_t ret_key[static KEY_BYTES])
{
	memset(ret_key, 0, KEY_BYTES);
	if (address->sa_family == AF_INET) {
		ret_key[0] = 4;
		memcpy(ret_key + 1, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *ip = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		ret_key[0] = IN6_IS_ADDR_V4MAPPED(ip) ? 4 : 6;
		memcpy(ret_key + 1, IN6_IS_ADDR_V4MAPPED(ip) ? ip->s6_addr + 12 : ip->s6_addr, ret_key[0] == 4 ? 4 : 8);
		return true;
	}
	return false; /* a unix socket: whoever may open it is trusted with it */
}

static struct limits_entry *get_entry(struct limits *limits, const uint8_t *key)
{
	struct limits_entry *entry;
	HASH_FIND(hh, limits->entries, key, KEY_BYTES, entry);
	if (entry)
		return entry;
	entry = calloc(1, sizeof *entry);
	if (!entry)
		return NULL;
	memcpy(entry->key, key, KEY_BYTES);
	HASH_ADD(hh, limits->entries, key, KEY_BYTES, entry);
	return entry;
}

/* One that is over both is told, and counted, for the overall limit. */
static const char *find_limit(struct limits *limits, const struct limits_entry *entry)
{
	if (limits->n > limits->max_connections) {
		limits->refused.n_overall++;
		return "too many connections (limits.connections)";
	}
	if (entry && entry->n > limits->max_per_address) {
		limits->refused.n_by_address++;
		return "too many connections from one address (limits.connections_per_address)";
	}
	return NULL;
}

int limits_enter(struct limits *limits, const struct sockaddr *address, bool is_exempt, struct limits_entry **ret_entry,
				 const char **ret_limit)
{
	uint8_t key[KEY_BYTES];
	struct limits_entry *entry = NULL;
	const char *limit = NULL;
	bool has_key = make_key(address, key);
	(void)pthread_mutex_lock(&limits->lock);
	if (has_key)
		entry = get_entry(limits, key);
	if (!has_key || entry) {
		limits->n++;
		if (entry)
			entry->n++;
		limit = is_exempt ? NULL : find_limit(limits, entry);
	}
	(void)pthread_mutex_unlock(&limits->lock);
	if (has_key && !entry)
		return -ENOMEM;
	*ret_entry = entry;
	*ret_limit = limit;
	return 0;
}

void limits_leave(struct limits *limits, struct limits_entry *entry)
{
	(void)pthread_mutex_lock(&limits->lock);
	limits->n--;
	if (entry && --entry->n == 0) {
		HASH_DEL(limits->entries, entry);
		free(entry);
	}
	(void)pthread_mutex_unlock(&limits->lock);
}

void limits_get_refused(struct limits *limits, struct limits_refused *ret_refused)
{
	(void)pthread_mutex_lock(&limits->lock);
	*ret_refused = limits->refused;
	(void)pthread_mutex_unlock(&limits->lock);
}

size_t limits_count(struct limits *limits)
{
	(void)pthread_mutex_lock(&limits->lock);
	size_t n = limits->n;
	(void)pthread_mutex_unlock(&limits->lock);
	return n;
}

size_t limits_excess(struct limits *limits)
{
	(void)pthread_mutex_lock(&limits->lock);
	size_t n = limits->n > limits->max_connections ? limits->n - limits->max_connections : 0;
	(void)pthread_mutex_unlock(&limits->lock);
	return n;
}

/* The wait in milliseconds, negative if it would be too long. */
static int64_t take_turn(uint64_t *until_ns, const struct pace *pace, uint64_t now_ns)
{
	uint64_t start = *until_ns > now_ns ? *until_ns : now_ns;
	uint64_t ahead = start - now_ns, wait_ns = ahead > pace->free_ns ? ahead - pace->free_ns : 0;
	if (wait_ns > LIMITS_MAX_WAIT_MS * (uint64_t)NS_PER_MS)
		return -1;
	*until_ns = start + pace->interval_ns;
	return (int64_t)(wait_ns / NS_PER_MS);
}

int64_t limits_refusal_wait_ms(struct limits *limits, const struct limits_entry *entry, uint64_t now_ns)
{
	if (!entry)
		return 0;
	(void)pthread_mutex_lock(&limits->lock);
	int64_t own = take_turn(&limits->refused_until_ns[entry->hh.hashv % REFUSAL_SLOTS], &pace_of_one, now_ns);
	int64_t common = own < 0 ? own : take_turn(&limits->all_refused_until_ns, &pace_of_all, now_ns);
	(void)pthread_mutex_unlock(&limits->lock);
	return common > own || common < 0 ? common : own;
}
