/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/setup.h"

#include "base/nearest.h"
#include "cli/output.h"
#include "config/contents.h"

#include <errno.h>

int setup_config(const struct invocation *invocation, struct config **ret_config)
{
	const char *path = invocation_config_path(invocation);
	CLEANUP(complaints_finish) struct complaints complaints = COMPLAINTS_INIT;
	int r = config_load_without_plugins(path, &complaints, ret_config);
	for (size_t i = 0; i < complaints.n; i++)
		if (!complaints.items[i].is_warning)
			output_complain("%s", complaints.items[i].text);
	if (r < 0 && complaints.n_errors == 0 && r != -ENOMEM)
		output_complain("%s: %s", path, strerrordesc_np(-r));
	if (r < 0)
		return r == -ENOMEM ? r : CLI_E_IO;
	return r == CONFIG_OK ? CLI_OK : CLI_E_CONFIG;
}

int setup_optional_config(const struct invocation *invocation, struct config **ret_config)
{
	const char *path = invocation_config_path(invocation);
	if (strcmp(path, INVOCATION_DEFAULT_CONFIG) == 0 && access(path, R_OK) != 0) {
		*ret_config = NULL;
		return CLI_OK;
	}
	return setup_config(invocation, ret_config);
}

static int complain_source(const struct config *config, const char *name)
{
	struct nearest nearest = nearest_begin(span_text(name));
	CLEANUP(buffer_finish) struct buffer list = BUFFER_INIT;
	for (size_t i = 0; i < config->n_sources; i++) {
		buffer_add_printf(&list, "%s%s", i ? ", " : "", config->sources[i].name);
		nearest_try(&nearest, config->sources[i].name);
	}
	if (list.failed)
		return -ENOMEM;
	if (!name)
		output_complain("which source? --source takes one of: %.*s", SPAN_PRINTF(buffer_span(&list)));
	else if (nearest.name)
		output_complain("no source \"%s\"; did you mean \"%s\"?", name, nearest.name);
	else
		output_complain("no source \"%s\"; there are: %.*s", name, SPAN_PRINTF(buffer_span(&list)));
	return CLI_E_USAGE;
}

int setup_source(const struct invocation *invocation, const struct config *config,
				 const struct config_source **ret_source)
{
	const char *name = invocation_value(invocation, "source");
	const struct config_source *source = NULL;
	if (name)
		source = config_source_by_name(config, span_text(name));
	else if (config->n_sources == 1)
		source = &config->sources[0];
	if (!source)
		return complain_source(config, name);
	*ret_source = source;
	return CLI_OK;
}

static int refuse_member(const char *option, const char *reason)
{
	output_complain("--%s: %s", option, reason);
	return CLI_E_USAGE;
}

static int add_members(const struct invocation *invocation, const char *option, enum filter_key key,
					   struct filter *filter)
{
	int r = FILTER_OK;
	const char *member, *reason = NULL;
	for (size_t i = 0; r == FILTER_OK && (member = invocation_value_at(invocation, option, i)); i++)
		r = filter_add(filter, key, span_text(member), &reason);
	return r == FILTER_E_MALFORMED ? refuse_member(option, reason) : r;
}

static int add_tags(const struct invocation *invocation, struct filter *filter)
{
	int r = CLI_OK;
	for (size_t i = 0; r == CLI_OK && i < invocation_count(invocation, "tag"); i++) {
		const char *reason = NULL;
		struct tag tag;
		r = invocation_tag_at(invocation, "tag", i, &tag);
		if (r != CLI_OK)
			return r;
		r = filter_add_tag(filter, tag.name, tag.value, &reason);
		if (r == FILTER_E_MALFORMED)
			return refuse_member("tag", reason);
	}
	return r;
}

int setup_filter(const struct invocation *invocation, struct filter *filter, bool *ret_is_given)
{
	static const struct {
		const char *option;
		enum filter_key key;
	} lists[] = { { "interaction", FILTER_INTERACTIONS },
				  { "subtype", FILTER_SUBTYPES },
				  { "source", FILTER_SOURCES },
				  { "event-id", FILTER_EVENT_IDS } };
	int r = CLI_OK;
	filter->has_outcomes = true;
	*ret_is_given = invocation_has(invocation, "tag");
	for (size_t i = 0; r == CLI_OK && i < ARRAY_LENGTH(lists); i++) {
		*ret_is_given |= invocation_has(invocation, lists[i].option);
		r = add_members(invocation, lists[i].option, lists[i].key, filter);
	}
	return r == CLI_OK ? add_tags(invocation, filter) : r;
}

static bool is_unsigned_tag(const struct config_source *source, struct span name)
{
	for (size_t i = 0; i < source->n_unsigned_tags; i++)
		if (span_equal(span_text(source->unsigned_tags[i]), name))
			return true;
	return false;
}

static int read_tags(const struct invocation *invocation, const struct config_source *source,
					 struct tag ret_tags[static TAGS_MAX_COUNT], size_t *ret_n)
{
	size_t n = invocation_count(invocation, "tag");
	if (n > TAGS_MAX_COUNT) {
		output_complain("%zu tags are too many: at most %d", n, TAGS_MAX_COUNT);
		return CLI_E_USAGE;
	}
	for (size_t i = 0; i < n; i++) {
		int r = invocation_tag_at(invocation, "tag", i, &ret_tags[i]);
		if (r != CLI_OK)
			return r;
		if (source->n_tag_keys == 0 && !is_unsigned_tag(source, ret_tags[i].name)) {
			output_complain("source \"%s\" has no key to sign tags with: give it tags.keys, or name \"%.*s\" in "
							"unsigned_tags",
							source->name, SPAN_PRINTF(ret_tags[i].name));
			return CLI_E_USAGE;
		}
	}
	*ret_n = n;
	return CLI_OK;
}

int setup_add_tags(const struct invocation *invocation, const struct config_source *source, struct buffer *query)
{
	struct tag tags[TAGS_MAX_COUNT];
	size_t n_tags = 0;
	CLEANUP(tag_checker_destroy) struct tag_checker *checker = NULL;
	int r = read_tags(invocation, source, tags, &n_tags);
	if (r != CLI_OK || n_tags == 0)
		return r;
	r = contents_make_tag_checker(source, &checker);
	if (r == -EINVAL) {
		output_complain("source \"%s\": a key for tags has fewer than %d bytes, or a name in unsigned_tags is none",
						source->name, TAGS_MIN_KEY_BYTES);
		return CLI_E_CONFIG;
	}
	if (r == 0)
		r = tag_checker_write(checker, tags, n_tags, query);
	if (r == TAGS_E_MALFORMED) {
		output_complain(
			"a tag's name is 1 to %d of A-Z a-z 0-9 _ . - and stands once (\"sig\" is none), its value has at most "
			"%d bytes of UTF-8",
			TAGS_MAX_NAME_BYTES, TAGS_MAX_VALUE_BYTES);
		return CLI_E_USAGE;
	}
	return r;
}

int setup_add_callback_uri(const struct invocation *invocation, const struct config_source *source, struct buffer *uri)
{
	CLEANUP(buffer_finish) struct buffer query = BUFFER_INIT;
	struct span base = span_text(source->public_url);
	if (!source->public_url) {
		output_complain("source \"%s\" has no public_url: how the provider reaches it, as https://gateway.example.com",
						source->name);
		return CLI_E_USAGE;
	}
	int r = setup_add_tags(invocation, source, &query);
	if (r != CLI_OK)
		return r;
	while (base.n && base.data[base.n - 1] == '/') /* the path brings its own */
		base.n--;
	buffer_add(uri, base);
	buffer_add_text(uri, source->path);
	if (query.n)
		buffer_add_char(uri, '?');
	buffer_add(uri, buffer_span(&query));
	return uri->failed || query.failed ? -ENOMEM : CLI_OK;
}
