/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What load.c and yardstick.c share: time, samples, the callback that is sent, and what a process costs.
 *
 * The callback is one of the provider's, of about 700 bytes, all of fixed width: what changes from one to the next (a
 * number, the time, and so the signature) is written over in place. Whoever receives it finds number and time behind a
 * mark.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S 1000000000ull

uint64_t now_ns(void);
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *must_alloc(size_t n, size_t size);

/* --- options --- */

/* NAME=VALUE, in any order; the value is written to where the row says. */
struct parameter {
	const char *name;
	const char **text; /* or */
	double *number;
};
/* A row without name ends the table. Dies of what it does not know. */
void read_parameters(char **arguments, const struct parameter *parameters);

/* --- samples: all of them are kept, so quantiles are exact --- */

struct samples {
	uint64_t *ns;
	size_t n, max;
};
void samples_add(struct samples *samples, uint64_t ns);
/* "ack_us":{"p50":…,"p99":…,"max":…,"n":…}, with a comma in front. Sorts. */
void samples_print(const char *name, struct samples *samples);

/* --- the callback --- */

#define MARK "~s0000000000t00000000000000000000~"
#define MARK_BYTES (sizeof MARK - 1)

struct request {
	char *bytes; /* head and body of one POST */
	size_t n, n_head, mark, signature;
};
/* secret: the client secret that signs. */
void request_init(struct request *request, const char *path, const char *secret, const char *event_id);
/* Number and time of the next one; signs it. */
void request_fill(struct request *request, uint32_t number, uint64_t ns);
/* Finds the mark in a payload; *hint is where it was last time. */
bool mark_read(const char *payload, size_t n, size_t *hint, uint32_t *ret_number, uint64_t *ret_ns);
/* HMAC-SHA256 with the key given to request_init() or hmac_init(), as base64: 44 characters. */
void hmac_init(const char *secret);
void hmac_base64(const void *data, size_t n, char ret_text[static 45]);

/* --- sockets --- */

/* Non-blocking, without delay. Loopback only. */
int listen_on_loopback(uint16_t *ret_port);
int connect_to_loopback(uint16_t port);
/* The length of the WebSocket frame at bytes and of its header; 0 if it is not whole. */
size_t frame_length(const uint8_t *bytes, size_t n, size_t *ret_header);

/* --- what a process costs --- */

/* CPU time, user and system, of all its threads. */
double cpu_seconds(int pid);
/* Its share of the memory that it has (PSS), in bytes. */
uint64_t memory_bytes(int pid);

#endif
