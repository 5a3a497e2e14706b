/* SPDX-License-Identifier: Apache-2.0 */
#include "host/plugin.h"

#include "host/elf.h"
#include "host/options.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SYMBOL "belfry_plugin"
/* Far more than any plugin has; what is larger is no plugin, and need not be mapped. */
#define MAX_FILE_BYTES (1 << 30)

/* The first fields, which stay at these places for ever. */
struct abi {
	uint32_t major, minor, size, option_size;
};

/* The sizes that the structs had when this minor came out: a plugin of that minor has no less. */
static const struct {
	uint32_t size, option_size;
} least_sizes[] = {
#define UP_TO(last_of_plugin, last_of_option)                                                                    \
	{                                                                                                            \
		offsetof(struct belfry_plugin, last_of_plugin) + sizeof(((struct belfry_plugin *)0)->last_of_plugin),    \
			offsetof(struct belfry_option, last_of_option) + sizeof(((struct belfry_option *)0)->last_of_option) \
	}
	UP_TO(destroy, help),
	UP_TO(destroy, help),
#undef UP_TO
};
static_assert(ARRAY_LENGTH(least_sizes) == BELFRY_ABI_MINOR + 1, "a minor, a row");

#define REFUSE(message, path, ...) \
	(buffer_add_printf(message, "%s: ", path), buffer_add_printf(message, __VA_ARGS__), PLUGIN_E_REFUSED)

/* ---- the file ---- */

static int judge_owner(const char *path, const char *what, const struct stat *status, struct buffer *message)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return REFUSE(message, path, "%s belongs to user %u; it must belong to root or to user %u, who runs Belfry",
					  what, status->st_uid, geteuid());
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return REFUSE(message, path,
					  "%s may be written by its group or by others, who could run there what they like: chmod go-w",
					  what);
	return PLUGIN_OK;
}

/* The folder, and those above it: who can rename one can put another in its place, unless it is sticky. */
static int judge_folders(const char *path, struct buffer *message)
{
	CLEANUP(free) char *folder = strdup(path);
	if (!folder)
		return -ENOMEM;
	bool is_parent = true;
	for (char *slash; (slash = strrchr(folder, '/')); is_parent = false) {
		struct stat status;
		slash[slash == folder] = '\0';
		if (stat(folder, &status) < 0)
			return REFUSE(message, path, "its folder %s: %s", folder, strerrordesc_np(errno));
		if (!is_parent && status.st_mode & S_ISVTX)
			status.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
		CLEANUP(buffer_finish) struct buffer what = BUFFER_INIT;
		buffer_add_printf(&what, "its folder %s%c", folder, '\0');
		if (what.failed)
			return -ENOMEM;
		int r = judge_owner(path, what.data, &status, message);
		if (r != PLUGIN_OK || slash == folder)
			return r;
		*slash = '\0';
	}
	return PLUGIN_OK;
}

static int judge_kind(const char *path, const struct stat *status, struct buffer *message)
{
	if (S_ISDIR(status->st_mode))
		return REFUSE(message, path, "is a folder; a plugin is a file, the shared object in it");
	if (!S_ISREG(status->st_mode))
		return REFUSE(message, path, "is no regular file; a plugin is a shared object, as cc -shared makes it");
	if (status->st_size > MAX_FILE_BYTES)
		return REFUSE(message, path, "has more than a gibibyte; no plugin is that large");
	return PLUGIN_OK;
}

/* ---- what it is built for ---- */

static int judge_abi(const char *path, const struct abi *abi, struct buffer *message)
{
	if (abi->major != BELFRY_ABI_MAJOR)
		return REFUSE(message, path,
					  "is built for ABI %u.%u, and this Belfry has %u.%u: build it against this Belfry's "
					  "<belfry/plugin.h>",
					  abi->major, abi->minor, BELFRY_ABI_MAJOR, BELFRY_ABI_MINOR);
	if (abi->minor > BELFRY_ABI_MINOR)
		return REFUSE(message, path,
					  "is built for ABI %u.%u, and this Belfry has %u.%u: it needs a newer Belfry, or to be built "
					  "against this one's <belfry/plugin.h>",
					  abi->major, abi->minor, BELFRY_ABI_MAJOR, BELFRY_ABI_MINOR);
	if (abi->size < least_sizes[abi->minor].size || abi->option_size < least_sizes[abi->minor].option_size ||
		abi->option_size % _Alignof(struct belfry_option))
		return REFUSE(message, path,
					  "says that its structs have %u and %u bytes, which is less than the %u and %u of ABI %u.%u: let "
					  "BELFRY_PLUGIN(...) fill in the first fields",
					  abi->size, abi->option_size, least_sizes[abi->minor].size, least_sizes[abi->minor].option_size,
					  abi->major, abi->minor);
	return PLUGIN_OK;
}

static int judge_bytes(const char *path, struct span file, struct buffer *message)
{
	struct abi abi;
	struct span symbol;
	CLEANUP(buffer_finish) struct buffer why = BUFFER_INIT;
	if (elf_find_data(file, SYMBOL, sizeof abi, &symbol, &why) != ELF_OK)
		return REFUSE(message, path, "%.*s", SPAN_PRINTF(buffer_span(&why)));
	memcpy(&abi, symbol.data, sizeof abi);
	int r = judge_abi(path, &abi, message);
	if (r == PLUGIN_OK && symbol.n < abi.size)
		return REFUSE(message, path, "says that its struct belfry_plugin has %u bytes, but it has %zu", abi.size,
					  symbol.n);
	return r;
}

static int judge_content(const char *path, int fd, size_t n, struct buffer *message)
{
	if (n == 0)
		return judge_bytes(path, span_of(NULL, 0), message);
	void *bytes = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return REFUSE(message, path, "%s", strerrordesc_np(errno));
	int r = judge_bytes(path, span_of(bytes, n), message);
	(void)munmap(bytes, n);
	return r;
}

static int judge(const char *path, struct buffer *message)
{
	struct stat status;
	/* not waiting for somebody to write into a FIFO */
	CLEANUP(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status) < 0)
		return REFUSE(message, path, "%s", strerrordesc_np(errno));
	int r = judge_kind(path, &status, message);
	if (r == PLUGIN_OK)
		r = judge_owner(path, "it", &status, message);
	if (r == PLUGIN_OK)
		r = judge_folders(path, message);
	if (r == PLUGIN_OK)
		r = judge_content(path, fd, (size_t)status.st_size, message);
	return r;
}

int plugin_judge(const char *path, struct buffer *message)
{
	CLEANUP(free) char *real = realpath(path, NULL); /* a link's target is what is judged */
	if (!real)
		return errno == ENOMEM ? -ENOMEM : REFUSE(message, path, "%s", strerrordesc_np(errno));
	int r = judge(real, message);
	return message->failed ? -ENOMEM : r;
}

/* ---- what it says about itself ---- */

static bool is_name(const char *name, const char *characters)
{
	size_t n = name ? strlen(name) : 0;
	return n >= 1 && n <= 64 && strspn(name, characters) == n;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

struct belfry_option plugin_option(const struct belfry_plugin *plugin, size_t index)
{
	struct belfry_option option = { 0 };
	size_t known = plugin->option_size < sizeof option ? plugin->option_size : sizeof option;
	memcpy(&option, (const char *)plugin->options + index * plugin->option_size, known);
	return option;
}

size_t plugin_count_options(const struct belfry_plugin *plugin)
{
	size_t n = 0;
	while (plugin->options && n <= PLUGIN_MAX_OPTIONS && plugin_option(plugin, n).name)
		n++;
	return n;
}

static int judge_option(const char *path, const struct belfry_plugin *plugin, size_t index, struct buffer *message)
{
	struct belfry_option option = plugin_option(plugin, index);
	if (!is_name(option.name, LETTERS))
		return REFUSE(message, path, "its option %zu has a name that is none: 1 to 64 of a-z 0-9 _", index + 1);
	const char *why = options_judge(&option, plugin->conf_size);
	if (why)
		return REFUSE(message, path, "its option \"%s\" %s", option.name, why);
	for (size_t i = 0; i < index; i++)
		if (strcmp(plugin_option(plugin, i).name, option.name) == 0)
			return REFUSE(message, path, "its option \"%s\" stands twice in the table", option.name);
	return PLUGIN_OK;
}

static int judge_options(const char *path, const struct belfry_plugin *plugin, struct buffer *message)
{
	size_t n = plugin_count_options(plugin);
	if (n > PLUGIN_MAX_OPTIONS)
		return REFUSE(message, path, "its table of options has no end within %d rows; BELFRY_END ends it",
					  PLUGIN_MAX_OPTIONS);
	for (size_t i = 0; i < n; i++) {
		int r = judge_option(path, plugin, i, message);
		if (r != PLUGIN_OK)
			return r;
	}
	return PLUGIN_OK;
}

static int judge_loaded(const char *path, const struct belfry_plugin *plugin, struct buffer *message)
{
	if (!is_name(plugin->name, LETTERS "-"))
		return REFUSE(message, path, "has no name that is one: .name is 1 to 64 of a-z 0-9 _ -");
	if (!plugin->version || !plugin->summary)
		return REFUSE(message, path, "says no .version or no .summary: both are one line of text");
	if (!plugin->handle)
		return REFUSE(message, path, "has no .handle, which is what a plugin is for");
	if (plugin->needs & ~(uint32_t)BELFRY_NEED_EXEC)
		return REFUSE(message, path, "needs something that this Belfry does not know: .needs is 0x%x", plugin->needs);
	if (plugin->conf_size > PLUGIN_MAX_CONF_BYTES)
		return REFUSE(message, path, "says that its options' struct has %zu bytes; at most %d", plugin->conf_size,
					  PLUGIN_MAX_CONF_BYTES);
	return judge_options(path, plugin, message);
}

int plugin_load(const char *path, struct belfry_plugin *ret_plugin, struct buffer *message)
{
	CLEANUP(free) char *real = realpath(path, NULL);
	void *object = real ? dlopen(real, RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!object) {
		const char *why = real ? dlerror() : strerrordesc_np(errno);
		struct span text = span_text(why);
		if (real && span_starts_with(text, span_text(real)) &&
			span_starts_with(span_skip(text, strlen(real)), SPAN(": ")))
			text = span_skip(text, strlen(real) + 2);
		(void)REFUSE(message, real ? real : path, "cannot be loaded: %.*s", SPAN_PRINTF(text));
		return message->failed ? -ENOMEM : PLUGIN_E_REFUSED;
	}
	const struct belfry_plugin *theirs = dlsym(object, SYMBOL);
	if (!theirs)
		return REFUSE(message, real, "has no symbol %s; a plugin ends with BELFRY_PLUGIN(...)", SYMBOL);
	*ret_plugin = (struct belfry_plugin){ 0 };
	memcpy(ret_plugin, theirs, theirs->size < sizeof *ret_plugin ? theirs->size : sizeof *ret_plugin);
	int r = judge_loaded(real, ret_plugin, message);
	return message->failed ? -ENOMEM : r;
}
