/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin that does least: what is measured with it is everything around it. Built with -DCRASH, the one that does
 * worst. */
#include <belfry/plugin.h>

#include <stdlib.h>

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	(void)self, (void)host, (void)delivery;
#ifdef CRASH
	abort();
#endif
	return BELFRY_DONE;
}

BELFRY_PLUGIN(.name = "trivial", .version = "1.0", .summary = "does nothing", .handle = handle);
