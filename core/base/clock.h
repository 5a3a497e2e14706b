/* SPDX-License-Identifier: Apache-2.0 */
/* Two clocks: the wall's, for people, and the monotonic one, for every deadline. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US 1000u
#define NS_PER_MS 1000000u
#define MS_PER_S 1000
#define NS_PER_S ((uint64_t)MS_PER_S * NS_PER_MS)

/* Milliseconds since 1970 (CLOCK_REALTIME). May jump; order nothing by it. */
int64_t clock_wall_ms(void);
/* Nanoseconds since some moment in the past (CLOCK_MONOTONIC). */
uint64_t clock_monotonic_ns(void);

/* "2026-04-27T15:00:01.123Z" and a terminator. */
#define CLOCK_TEXT_SIZE 25
/* RFC 3339 in UTC with milliseconds. wall_ms is clamped to the years 0000..9999. */
void clock_format(int64_t wall_ms, char ret_text[static CLOCK_TEXT_SIZE]);

#endif
