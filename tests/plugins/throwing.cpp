// SPDX-License-Identifier: Apache-2.0
// A plugin in C++ that throws where its option says so: nobody can catch it, as the host is C.
#include <belfry/plugin.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace
{

struct conf {
	bool throws;
	const belfry_template *text;
};

const belfry_option options[] = {
	BELFRY_OPTION(conf, throws, BELFRY_BOOLEAN, .fallback = "false", .help = "whether it throws"),
	BELFRY_OPTION(conf, text, BELFRY_TEMPLATE, .fallback = "{{ .event.summary }}", .help = "what to say"),
	BELFRY_END,
};

int handle(void *self, const belfry_host *host, const belfry_delivery *delivery)
{
	const auto *settings = static_cast<const conf *>(self);
	std::vector<std::string> words{ delivery->interaction, host->render(host, settings->text, nullptr) };
	if (settings->throws)
		throw std::runtime_error("nobody catches this");
	try {
		words.at(7);
	} catch (const std::out_of_range &) {
		host->reason(host, "%s, %s", words[0].c_str(), words[1].c_str());
	}
	return BELFRY_DONE;
}

} // namespace

BELFRY_PLUGIN(.name = "throwing", .version = "1", .summary = "throws", .options = options, .conf_size = sizeof(conf),
			  .handle = handle);
