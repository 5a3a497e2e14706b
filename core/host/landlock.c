/* SPDX-License-Identifier: Apache-2.0 */
#include "host/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Newer than the header may be. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

/* Which version brought what. */
enum { REFER_VERSION = 2, TRUNCATE_VERSION = 3, SCOPED_VERSION = 6 };

struct ruleset {
	uint64_t handled_access_fs, handled_access_net, scoped;
};

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ_TREE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define READ_WRITE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE)

/* Whatever of it there is on this system. Links are followed. */
static const struct {
	const char *path;
	uint64_t access;
} readable[] = {
	/* libraries */
	{ "/lib", READ_TREE },
	{ "/lib64", READ_TREE },
	{ "/usr/lib", READ_TREE },
	{ "/usr/lib64", READ_TREE },
	{ "/usr/local/lib", READ_TREE },
	{ "/etc/ld.so.cache", READ_FILE },
	{ "/etc/ld.so.preload", READ_FILE },
	/* names */
	{ "/etc/hosts", READ_FILE },
	{ "/etc/host.conf", READ_FILE },
	{ "/etc/gai.conf", READ_FILE },
	{ "/etc/nsswitch.conf", READ_FILE },
	{ "/etc/resolv.conf", READ_FILE },
	{ "/etc/services", READ_FILE },
	{ "/etc/protocols", READ_FILE },
	/* TLS */
	{ "/etc/ssl/certs", READ_TREE },
	{ "/etc/ssl/openssl.cnf", READ_FILE },
	{ "/etc/pki/tls/certs", READ_TREE },
	{ "/etc/pki/ca-trust/extracted", READ_TREE },
	{ "/usr/share/ca-certificates", READ_TREE },
	{ "/usr/local/share/ca-certificates", READ_TREE },
	/* time, texts, chance */
	{ "/etc/localtime", READ_FILE },
	{ "/usr/share/zoneinfo", READ_TREE },
	{ "/usr/share/locale", READ_TREE },
	{ "/dev/null", READ_WRITE },
	{ "/dev/zero", READ_FILE },
	{ "/dev/random", READ_FILE },
	{ "/dev/urandom", READ_FILE },
};

static int allow(int ruleset, const char *path, uint64_t access)
{
	CLEANUP(close) int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
	if (!S_ISDIR(status.st_mode))
		access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

/* The folder that a file really lies in; NULL with errno. The caller frees. */
static char *folder_of(const char *path)
{
	char *folder = realpath(path, NULL);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	if (slash)
		slash[slash == folder] = '\0';
	return folder;
}

/* With the libraries that it may bring along. */
static int allow_plugin(int ruleset, const char *plugin)
{
	CLEANUP(free) char *folder = folder_of(plugin);
	return folder ? allow(ruleset, folder, READ_TREE) : -errno;
}

/* Where the resolver's file is a link, whoever keeps it puts a new file there when the network changes; and a rule is
 * about a file, not about a name. */
static int allow_resolver(int ruleset)
{
	CLEANUP(free) char *folder = folder_of("/etc/resolv.conf");
	return folder && strcmp(folder, "/etc") != 0 ? allow(ruleset, folder, READ_TREE) : 0;
}

/* Which Landlock the kernel has; 0 if it has none; -errno. */
static long get_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	return version;
}

static int create_ruleset(const struct ruleset *rules, long version)
{
	size_t size = version >= SCOPED_VERSION ? sizeof *rules : sizeof rules->handled_access_fs;
	int fd = (int)syscall(SYS_landlock_create_ruleset, rules, size, 0);
	return fd < 0 ? -errno : fd;
}

static int enter(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int landlock_enter(const char *plugin)
{
	long version = get_version();
	if (version <= 0)
		return (int)version;
	struct ruleset rules = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
							 .scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL };
	if (version >= REFER_VERSION)
		rules.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= TRUNCATE_VERSION)
		rules.handled_access_fs |= ACCESS_TRUNCATE;
	CLEANUP(close) int ruleset = create_ruleset(&rules, version);
	if (ruleset < 0)
		return ruleset;
	int r = plugin ? allow_plugin(ruleset, plugin) : 0;
	if (r == 0)
		r = allow_resolver(ruleset);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(readable); i++)
		r = allow(ruleset, readable[i].path, readable[i].access);
	return r == 0 ? enter(ruleset) : r;
}

int landlock_enter_scope(void)
{
	long version = get_version();
	if (version < SCOPED_VERSION)
		return version < 0 ? (int)version : 0;
	struct ruleset rules = { .scoped = SCOPE_SIGNAL };
	CLEANUP(close) int ruleset = create_ruleset(&rules, version);
	return ruleset < 0 ? ruleset : enter(ruleset);
}
