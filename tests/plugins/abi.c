/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that says something wrong about itself; what, the compiler is told: -DMAJOR=2 ... */
#include <belfry/plugin.h>

#include <stdlib.h>
#include <unistd.h>

#ifndef MAJOR
#define MAJOR BELFRY_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR BELFRY_ABI_MINOR
#endif
#ifndef SIZE
#define SIZE sizeof(struct belfry_plugin)
#endif
#ifndef OPTION_SIZE
#define OPTION_SIZE sizeof(struct belfry_option)
#endif
#ifndef NAME
#define NAME "wrong"
#endif
#ifndef HANDLE
#define HANDLE handle
#endif
#ifndef CONF_SIZE
#define CONF_SIZE sizeof(struct conf)
#endif
#ifndef NEEDS
#define NEEDS 0
#endif
#ifndef OPTION
#define OPTION                                                                                       \
	{                                                                                                \
		.name = "text", .type = BELFRY_STRING, .offset = offsetof(struct conf, text), .help = "text" \
	}
#endif
#ifndef END
#define END BELFRY_END
#endif

struct conf {
	const char *text;
	int64_t number;
};

#ifdef CONSTRUCT
__attribute__((constructor)) static void construct(void)
{
	CONSTRUCT;
}
#endif

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	(void)self, (void)host, (void)delivery;
	return BELFRY_DONE;
}

/* for -DHANDLE=0 */
int (*const unused_handle)(void *, const struct belfry_host *, const struct belfry_delivery *) = handle;

static const struct belfry_option options[] = { OPTION, END };

BELFRY_EXPORT const struct belfry_plugin belfry_plugin;
const struct belfry_plugin belfry_plugin = {
	.abi_major = MAJOR,
	.abi_minor = MINOR,
	.size = SIZE,
	.option_size = OPTION_SIZE,
	.name = NAME,
	.version = "1",
	.summary = "says something wrong about itself",
	.needs = NEEDS,
	.options = options,
	.conf_size = CONF_SIZE,
	.handle = HANDLE,
};
