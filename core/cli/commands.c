/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

const struct command *const commands[] = {
	&command_check,
	&command_send,
	&command_listen,
	&command_explain,
	&command_callback_uri,
	&command_upsert,
	&command_token,
	&command_plugin,
	&command_status,
	&command_events,
	&command_deliveries,
	&command_replay,
	&command_handlers,
	&command_subscribers,
	&command_journal,
	&command_reload,
	&command_drain,
	&command_help,
	NULL,
};
