/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin of the ABI 1.1, built against the header as it was (belfry/plugin.h beside it, which nobody changes): what
 * came with that minor.
 */
#include <belfry/plugin.h>

static int handle(void *self, const struct belfry_host *host, const struct belfry_delivery *delivery)
{
	(void)self;
	if (!BELFRY_HAS(delivery, traceparent))
		return BELFRY_REJECT;
	host->reason(host, "trace: %s", *delivery->traceparent ? delivery->traceparent : "none");
	return BELFRY_DONE;
}

BELFRY_PLUGIN(.name = "abi-1_1", .version = "1", .summary = "is of the ABI 1.1", .handle = handle);
