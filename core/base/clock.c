/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <string.h>
#include <time.h>

int64_t clock_wall_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * MS_PER_S + now.tv_nsec / (long)NS_PER_MS;
}

uint64_t clock_monotonic_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * MS_PER_S * NS_PER_MS + (uint64_t)now.tv_nsec;
}

static void put_digits(char *at, int n, unsigned value)
{
	for (int i = n - 1; i >= 0; i--) {
		at[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

void clock_format(int64_t wall_ms, char ret_text[static CLOCK_TEXT_SIZE])
{
	const int64_t year_0000_ms = -62167219200000, year_9999_ms = 253402300799999;
	wall_ms = wall_ms < year_0000_ms ? year_0000_ms : wall_ms > year_9999_ms ? year_9999_ms : wall_ms;
	int64_t milliseconds = wall_ms % MS_PER_S;
	time_t seconds = (time_t)(wall_ms / MS_PER_S);
	if (milliseconds < 0) {
		milliseconds += MS_PER_S;
		seconds--;
	}
	struct tm utc;
	(void)gmtime_r(&seconds, &utc);
	memcpy(ret_text, "0000-00-00T00:00:00.000Z", CLOCK_TEXT_SIZE);
	put_digits(ret_text, 4, (unsigned)(utc.tm_year + 1900));
	put_digits(ret_text + 5, 2, (unsigned)utc.tm_mon + 1);
	put_digits(ret_text + 8, 2, (unsigned)utc.tm_mday);
	put_digits(ret_text + 11, 2, (unsigned)utc.tm_hour);
	put_digits(ret_text + 14, 2, (unsigned)utc.tm_min);
	put_digits(ret_text + 17, 2, (unsigned)utc.tm_sec);
	put_digits(ret_text + 20, 3, (unsigned)milliseconds);
}
