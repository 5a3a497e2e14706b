/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into belfryd: a disk that a test holds by the throat. While there is a file of a function's name in $DISK,
 * that function fails with the errno in it, or takes so many milliseconds if the number is negative, or waits until the
 * file is gone if it is 0; a file NAME.waits then says that somebody does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* 0, or the errno to fail with. */
static int strike(const char *function)
{
	const char *folder = getenv("DISK");
	char path[4096], waits[4110], text[16] = "";
	(void)snprintf(path, sizeof path, "%s/%s", folder ? folder : "", function);
	for (int fd; (fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0; (void)usleep(1000)) {
		ssize_t n = read(fd, text, sizeof text - 1);
		(void)close(fd);
		int number = n > 0 ? atoi(text) : 0;
		if (number < 0)
			(void)usleep((useconds_t)-number * 1000);
		if (number)
			return number > 0 ? number : 0;
		(void)snprintf(waits, sizeof waits, "%s.waits", path);
		(void)close(open(waits, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	return 0;
}

#define IN_FRONT(type, name, parameters, arguments)            \
	type name parameters                                       \
	{                                                          \
		static type(*next) parameters;                         \
		if (!next)                                             \
			*(void **)(void *)&next = dlsym(RTLD_NEXT, #name); \
		errno = strike(#name);                                 \
		return errno ? -1 : next arguments;                    \
	}

IN_FRONT(int, fdatasync, (int fd), (fd))
IN_FRONT(int, fsync, (int fd), (fd))
IN_FRONT(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at))
