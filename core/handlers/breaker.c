/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/breaker.h"

size_t breaker_allowance(const struct breaker *breaker, int64_t now_ms)
{
	if (!breaker->is_open)
		return SIZE_MAX;
	return now_ms >= breaker->paused_until_ms ? 1 : 0;
}

bool breaker_note_failure(struct breaker *breaker, const struct config_breaker *config, int64_t now_ms)
{
	bool was_open = breaker->is_open;
	breaker->n_failures++;
	if (config->failures == 0 || breaker->n_failures < config->failures)
		return false;
	breaker->is_open = true;
	breaker->paused_until_ms = now_ms + config->pause_ms;
	return !was_open;
}

bool breaker_note_success(struct breaker *breaker)
{
	bool was_open = breaker->is_open;
	*breaker = (struct breaker){ 0 };
	return was_open;
}
