/* SPDX-License-Identifier: Apache-2.0 */
#include "net/configuration.h"

#include "config/effective.h"
#include "net/operator.h"

static void finish(struct exchange *exchange, struct span body)
{
	CLEANUP(buffer_finish) struct buffer json = BUFFER_INIT;
	const struct generation *generation = exchange->setup->generation;
	(void)body;
	buffer_add_text(&json, "{\"configuration\":");
	effective_add_json(&json, generation->config);
	operator_add_time(&json, "loaded_at", generation->loaded_ms);
	buffer_add_text(&json, "}\n");
	operator_answer(exchange, &json);
}

const struct endpoint configuration_endpoint = { .methods = "GET, HEAD",
												 .exchange_size = sizeof(struct exchange),
												 .finish = finish };
