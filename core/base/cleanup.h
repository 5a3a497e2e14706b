/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership in two words.
 *
 * A constructor holds what it builds in a variable marked CLEANUP(x_destroy) and
 * ends with `*ret_x = STEAL(x)`: every early return frees, only the last one hands
 * over. Destructors therefore accept NULL and half-built objects.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function##_cleanup)))
#define MUST_USE __attribute__((warn_unused_result))
#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* Defines the function that CLEANUP(destroy) calls for a `type *` variable. */
#define CLEANUP_DEFINE(type, destroy)                                           \
	__attribute__((unused)) static inline void destroy##_cleanup(type **object) \
	{                                                                           \
		destroy(*object);                                                       \
	}

/* Takes the value out of an owner variable, leaving NULL behind. */
#define STEAL(owner)                         \
	({                                       \
		__typeof__(owner) stolen_ = (owner); \
		(owner) = NULL;                      \
		stolen_;                             \
	})

/* The object that holds `member` at `pointer`. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* CLEANUP(free) char *text; */
static inline void free_cleanup(void *owner)
{
	free(*(void **)owner);
}

/* CLEANUP(close) int fd = -1; */
static inline void close_cleanup(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#endif
