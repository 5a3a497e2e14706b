/* SPDX-License-Identifier: Apache-2.0 */
/* belfry callback-uri: the URI to give to the provider, with tags that say whom its callbacks are about. */
#include "cli/output.h"
#include "cli/setup.h"

static int run(const struct invocation *invocation)
{
	CLEANUP(config_destroy) struct config *config = NULL;
	CLEANUP(buffer_finish) struct buffer uri = BUFFER_INIT;
	const struct config_source *source = NULL;
	int r = setup_config(invocation, &config);
	if (r == CLI_OK)
		r = setup_source(invocation, config, &source);
	if (r == CLI_OK)
		r = setup_add_callback_uri(invocation, source, &uri);
	if (r != CLI_OK)
		return r;
	if (invocation_is_json(invocation))
		return output_json_new(json_pack("{s:s, s:s%}", "source", source->name, "uri", uri.data, uri.n));
	return output_line(buffer_span(&uri));
}

static const struct command_option options[] = {
	{ "source", "NAME", false, "The source, where the configuration has several." },
	{ "tag", "NAME=VALUE", true, "A tag that every callback to this URI will carry. As often as needed." },
	{ 0 },
};

const struct command command_callback_uri = {
	.name = "callback-uri",
	.summary = "print the URI to give to the provider, with signed tags",
	.operands = "",
	.description =
		"A callback names no user, no account and no calendar. What an application wants back, it puts into the URI "
		"that "
		"it gives to the provider. This prints such a URI: the source's public_url and path, the tags, and a signature "
		"over them, so that nobody can make up tags of their own. An application can compute the same by itself; the "
		"documentation says how.",
	.examples = "belfry callback-uri --tag user=42\n"
				"belfry callback-uri --source cronofy --tag user=42 --tag calendar_id=cal_n23kjnwrw2_jsdfjksn234",
	.options = options,
	.max_operands = 0,
	.run = run,
};
