/* SPDX-License-Identifier: Apache-2.0 */
/* Does what must not be done, once for each sanitizer, so that ctest sees whether they would say so. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int shared;

static int sing_address(void)
{
	volatile size_t behind = 1; /* so that the compiler cannot know */
	char *bytes = calloc(1, 1);
	int song = bytes ? bytes[behind] : 0;
	free(bytes);
	return song;
}

static int sing_undefined(void)
{
	volatile int width = 32;
	return 1 << width;
}

static void *increment(void *unused)
{
	for (int i = 0; i < 10000; i++)
		shared++;
	return unused;
}

static int sing_thread(void)
{
	pthread_t other;
	if (pthread_create(&other, NULL, increment, NULL) != 0)
		return EXIT_FAILURE;
	(void)increment(NULL);
	(void)pthread_join(other, NULL);
	return shared;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*sing)(void);
	} songs[] = { { "address", sing_address }, { "undefined", sing_undefined }, { "thread", sing_thread } };
	for (size_t i = 0; argc == 2 && i < sizeof songs / sizeof *songs; i++)
		if (strcmp(argv[1], songs[i].name) == 0)
			return songs[i].sing();
	return EXIT_FAILURE;
}
