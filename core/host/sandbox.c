/* SPDX-License-Identifier: Apache-2.0 */
#include "host/sandbox.h"

#include "base/span.h"
#include "host/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Mapped without being written: code, files. Beyond the bound on data, so that libraries do not count. */
#define MAPPED_BYTES (UINT64_C(1) << 30)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true /* shadow memory is data, of some tebibytes */
#else
#define IS_SANITIZED false
#endif

/* ---- before anything else ---- */

static int close_others(int keep)
{
	unsigned first = STDERR_FILENO + 1;
	if (keep < 0)
		return close_range(first, UINT_MAX, 0) < 0 ? -errno : 0;
	if ((unsigned)keep > first && close_range(first, (unsigned)keep - 1, 0) < 0)
		return -errno;
	return close_range((unsigned)keep + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* Who has none need not be allowed to drop any: the filter of belfry.service forbids it. */
static int drop_capabilities(void)
{
	static const struct __user_cap_data_struct none[2];
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct ours[2] = { 0 };
	if (syscall(SYS_capget, &head, ours) < 0)
		return -errno;
	if (memcmp(ours, none, sizeof none) == 0)
		return 0;
	return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

static int limit(__rlimit_resource_t resource, uint64_t value)
{
	struct rlimit now;
	if (getrlimit(resource, &now) < 0)
		return -errno;
	rlim_t wanted = now.rlim_max < value ? now.rlim_max : value;
	struct rlimit new = { wanted, wanted };
	return setrlimit(resource, &new) < 0 ? -errno : 0;
}

int sandbox_begin(int keep)
{
	static char *nothing[] = { NULL }; /* clearenv() would leave no list at all, which libjq does not expect */
	int r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
		prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	environ = nothing;
	(void)setpgid(0, 0); /* fails for the leader of a session, who has a group already */
	if ((r = close_others(keep)) < 0 || (r = drop_capabilities()) < 0)
		return r;
	return limit(RLIMIT_CORE, 0);
}

/* ---- system calls ---- */

/* For nobody. What this libseccomp does not know is not there. */
static const char *const forbidden[] = {
	/* other processes */
	"ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_open "
	"pidfd_getfd pidfd_send_signal tkill setsid setpgid setpriority ioprio_set sched_setattr "
	"sched_setaffinity sched_setparam sched_setscheduler migrate_pages move_pages",
	/* the kernel's inside */
	"bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register kexec_load "
	"kexec_file_load init_module finit_module delete_module create_module lookup_dcookie syslog iopl "
	"ioperm modify_ldt vm86 vm86old add_key request_key keyctl acct quotactl quotactl_fd nfsservctl "
	"_sysctl sysfs ustat uselib",
	/* what belongs to the system */
	"mount umount umount2 mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick "
	"pivot_root chroot swapon swapoff reboot sethostname setdomainname settimeofday clock_settime "
	"clock_adjtime adjtimex stime vhangup unshare setns mknod mknodat open_by_handle_at "
	"name_to_handle_at fanotify_init",
	/* other users */
	"setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset "
	"personality",
	/* memory that no limit counts */
	"memfd_create memfd_secret shmget shmat shmctl msgget msgsnd semget mq_open",
};

/* For whoever may not start programs. */
static const char *const starting[] = { "execve execveat fork vfork" };

/* A process may signal itself. Programs signal their children: for them it is Landlock that draws the line. */
static const char *const signalling[] = { "kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo" };

static int forbid_call(scmp_filter_ctx filter, struct span name)
{
	CLEANUP(free) char *text = span_dup(name);
	if (!text)
		return -ENOMEM;
	int number = seccomp_syscall_resolve_name(text);
	return number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0);
}

/* Each entry has several names. */
static int forbid(scmp_filter_ctx filter, const char *const *lists, size_t n)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct span rest = span_text(lists[i]), name;
		while (r == 0 && span_next(&rest, ' ', &name))
			r = forbid_call(filter, name);
	}
	return r;
}

static int forbid_signals_to_others(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < ARRAY_LENGTH(signalling); i++) {
		int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), seccomp_syscall_resolve_name(signalling[i]), 1,
								 SCMP_A0(SCMP_CMP_NE, (scmp_datum_t)getpid(), 0));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Nobody becomes root of a world of its own. clone3() has its flags in memory, where no filter sees them: without it,
 * glibc takes clone(). */
static int forbid_namespaces(scmp_filter_ctx filter)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r < 0 ? r
				 : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
									SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
}

/* Only threads. */
static int forbid_processes(scmp_filter_ctx filter)
{
	int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
							 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	return r < 0 ? r : forbid(filter, starting, ARRAY_LENGTH(starting));
}

/* With all that is not IP go the daemon's sockets; netlink tells the resolver which addresses this machine has. */
static int forbid_sockets(scmp_filter_ctx filter)
{
	static const struct {
		unsigned from, to;
	} others[] = { { 0, AF_INET - 1 }, { AF_INET + 1, AF_INET6 - 1 }, { AF_INET6 + 1, AF_NETLINK - 1 } };
	int r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_NETLINK, 0));
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(others); i++)
		for (unsigned family = others[i].from; r == 0 && family <= others[i].to; family++)
			r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, family, 0));
	return r;
}

static int forbid_operation(scmp_filter_ctx filter, int number, unsigned argument, uint32_t value)
{
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 1,
							SCMP_CMP(argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, value));
}

/* Of calls that do much else, by their second argument. */
static const struct {
	const char *name;
	uint32_t value;
} operations[] = {
	/* typing into an administrator's terminal */
	{ "ioctl", TIOCSTI },
	{ "ioctl", TIOCLINUX },
	/* a descriptor that has something to say can have it said by a signal: any signal, to any process of the user */
	{ "ioctl", FIOSETOWN },
	{ "ioctl", SIOCSPGRP },
	{ "fcntl", F_SETOWN },
	{ "fcntl", F_SETOWN_EX },
};

static int add_rules(scmp_filter_ctx filter, bool can_exec)
{
	int r = forbid(filter, forbidden, ARRAY_LENGTH(forbidden));
	if (r == 0)
		r = forbid_namespaces(filter);
	if (r == 0) /* glibc asks for its own limits by it */
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_NE, 0, 0));
	if (r == 0) /* it dies with its parent, and shows nobody its memory */
		r = forbid_operation(filter, SCMP_SYS(prctl), 0, PR_SET_PDEATHSIG);
	if (r == 0)
		r = forbid_operation(filter, SCMP_SYS(prctl), 0, PR_SET_DUMPABLE);
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(operations); i++)
		r = forbid_operation(filter, seccomp_syscall_resolve_name(operations[i].name), 1, operations[i].value);
	if (can_exec)
		return r;
	if (r == 0)
		r = forbid_signals_to_others(filter);
	if (r == 0)
		r = forbid_processes(filter);
	return r == 0 ? forbid_sockets(filter) : r;
}

static int filter_calls(bool can_exec)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return -ENOMEM;
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = add_rules(filter, can_exec);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

/* ---- all of it ---- */

static int set_limits(const struct sandbox *sandbox)
{
	int r = 0;
	if (sandbox->descriptors)
		r = limit(RLIMIT_NOFILE, sandbox->descriptors);
	if (r == 0 && sandbox->processes)
		r = limit(RLIMIT_NPROC, sandbox->processes);
	if (r == 0 && sandbox->memory_bytes && !IS_SANITIZED)
		r = limit(RLIMIT_DATA, sandbox->memory_bytes);
	if (r == 0 && sandbox->memory_bytes && !IS_SANITIZED)
		r = limit(RLIMIT_AS, sandbox->memory_bytes + MAPPED_BYTES);
	return r;
}

int sandbox_enter(const struct sandbox *sandbox, const char **ret_what)
{
	*ret_what = "limits";
	int r = set_limits(sandbox);
	if (r < 0)
		return r;
	*ret_what = "Landlock";
	r = sandbox->can_exec ? landlock_enter_scope() : landlock_enter(sandbox->plugin);
	if (r < 0)
		return r;
	*ret_what = "seccomp";
	return filter_calls(sandbox->can_exec);
}
