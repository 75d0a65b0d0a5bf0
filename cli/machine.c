/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processor, host kernel and memory, for `backhop doctor`: see machine.h. */
#include "cli/machine.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/memory_limit.h"
#include "replayer/ptrace.h"

/* Of uapi/linux/prctl.h and asm/hwcap2.h; older headers lack them. */
#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
#define DISPATCH_ON	 1
#define HWCAP2_FS_GSBASE 2
#define NEEDED_BYTES	 (1ull << 30)

void bh_check_add(struct bh_checks *checks, const char *name, enum bh_check_state state,
		  const char *advice, const char *detail_format, ...)
{
	if (checks->count == BH_CHECKS_MAX)
		return;
	struct bh_check *check = &checks->list[checks->count++];
	va_list args;

	memset(check, 0, sizeof(*check));
	snprintf(check->name, sizeof(check->name), "%s", name);
	check->state = state;
	va_start(args, detail_format);
	vsnprintf(check->detail, sizeof(check->detail), detail_format, args);
	va_end(args);
	if (state != BH_CHECK_OK)
		snprintf(check->advice, sizeof(check->advice), "%s", advice);
}

/* Runs try() in a child: 0, or the errno that it returned; -signal if that killed it. */
static int try_in_child(int (*try)(void))
{
	int status;
	pid_t child = fork();

	if (child < 0)
		return errno;
	if (child == 0)
		_exit(try() & 0xff);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static const char *outcome_text(int outcome)
{
	if (outcome < 0)
		return sigdescr_np(-outcome) ? sigdescr_np(-outcome) : "killed by a signal";
	return strerrordesc_np(outcome) ? strerrordesc_np(outcome) : "unknown error";
}

static void add_outcome(struct bh_checks *checks, const char *name, int outcome,
			enum bh_check_state otherwise, const char *what, const char *advice)
{
	if (outcome)
		bh_check_add(checks, name, otherwise, advice, "%s", outcome_text(outcome));
	else
		bh_check_add(checks, name, BH_CHECK_OK, "", "%s", what);
}

/* --- processor --- */

static int try_cpuid_fault(void)
{
	return syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) ? errno : 0;
}

static int try_tsc_fault(void)
{
	return prctl(PR_SET_TSC, PR_TSC_SIGSEGV) ? errno : 0;
}

void bh_checks_processor(struct bh_checks *checks)
{
	unsigned int a, b, c = 0, d;
	struct utsname name;

	uname(&name);
	bh_check_add(checks, "x86-64",
		     strcmp(name.machine, "x86_64") == 0 ? BH_CHECK_OK : BH_CHECK_MISSING,
		     "nodes run x86-64 programs; use a machine that does", "%s", name.machine);
	if (getauxval(AT_HWCAP2) & HWCAP2_FS_GSBASE)
		bh_check_add(checks, "rdfsbase", BH_CHECK_OK, "", "usable by programs");
	else
		bh_check_add(checks, "rdfsbase", BH_CHECK_MISSING,
			     "a processor from 2013 or later and Linux 5.9 or later have it",
			     "not offered to programs");
	if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE))
		bh_check_add(checks, "xsave", BH_CHECK_OK, "", "usable by programs");
	else
		bh_check_add(checks, "xsave", BH_CHECK_MISSING,
			     "use a processor, or a virtual machine's model of one, that has it",
			     "the processor hasn't got it");
	add_outcome(checks, "rdtsc faulting", try_in_child(try_tsc_fault), BH_CHECK_MISSING,
		    "prctl(PR_SET_TSC) works", "a sandbox must let prctl(PR_SET_TSC) through");
	add_outcome(checks, "cpuid faulting", try_in_child(try_cpuid_fault), BH_CHECK_ABSENT,
		    "arch_prctl(ARCH_SET_CPUID) works",
		    "not needed: the cpuid instructions of programs are rewritten");
}

/* --- host kernel --- */

/* All code may call the host here: what is tried is whether the kernel knows it. */
static int try_user_dispatch(void)
{
	return prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_ON, 0ul, ~0ul, 0ul) ? errno : 0;
}

static int try_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ? errno : 0;
}

static int try_personality(void)
{
	int now = personality(0xffffffff);

	return now < 0 || personality((unsigned long)now | ADDR_NO_RANDOMIZE) < 0 ? errno : 0;
}

static void sleep_for_ever(void *arg)
{
	for (;;)
		pause();
}

void bh_checks_host_kernel(struct bh_checks *checks)
{
	struct utsname name;

	uname(&name);
	bh_check_add(checks, "host kernel", BH_CHECK_OK, "", "%s %s", name.sysname, name.release);
	add_outcome(checks, "Syscall User Dispatch", try_in_child(try_user_dispatch),
		    BH_CHECK_MISSING, "catches programs' system calls",
		    "use Linux 5.11 or later, and a sandbox that lets prctl() through");
	add_outcome(checks, "seccomp", try_in_child(try_seccomp), BH_CHECK_MISSING,
		    "confines verify and replay",
		    "use a kernel built with CONFIG_SECCOMP_FILTER, and a sandbox that lets "
		    "seccomp() through");
	struct bh_tracee *tracee = NULL;
	struct bh_error *error = bh_tracee_start(sleep_for_ever, NULL, &tracee);

	bh_tracee_destroy(tracee);
	if (error)
		bh_check_add(checks, "ptrace", BH_CHECK_MISSING,
			     "let this user trace its own children (sysctl "
			     "kernel.yama.ptrace_scope=1 at most, or the container's option "
			     "--cap-add SYS_PTRACE)",
			     "%s", error->message);
	else
		bh_check_add(checks, "ptrace", BH_CHECK_OK, "", "holds and steps replays");
	bh_error_free(error);
	add_outcome(checks, "personality", try_in_child(try_personality), BH_CHECK_ABSENT,
		    "address randomisation can be switched off",
		    "not needed: addresses of nodes are fixed; gdb warns when it starts a program "
		    "itself");
}

/* --- memory --- */

/* The number behind "KEY:" in /proc/meminfo, in bytes; 0 if it can't be read. */
static uint64_t memory_bytes(const char *key)
{
	FILE *stream = fopen("/proc/meminfo", "re");
	char line[160];
	uint64_t bytes = 0;

	while (stream && fgets(line, sizeof(line), stream))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			bytes = strtoull(line + strlen(key) + 1, NULL, 10) * 1024;
	if (stream)
		fclose(stream);
	return bytes;
}

static int read_number(const char *path, long *number_ret)
{
	FILE *stream = fopen(path, "re");
	int count = stream ? fscanf(stream, "%ld", number_ret) : 0;

	if (stream)
		fclose(stream);
	return count == 1;
}

void bh_checks_memory(struct bh_checks *checks)
{
	uint64_t total = memory_bytes("MemTotal"), available = memory_bytes("MemAvailable");
	long overcommit = 0, maps = 0;
	struct bh_memory_limit limit;

	bh_check_add(checks, "memory", available >= NEEDED_BYTES ? BH_CHECK_OK : BH_CHECK_ABSENT,
		     "runs of a few nodes work; a node takes about 4 MiB, a program what it takes",
		     "%.1f of %.1f GiB available", (double)available / (1u << 30),
		     (double)total / (1u << 30));
	bh_memory_limit_read(&limit);
	if (limit.bytes < total)
		bh_check_add(checks, "memory limit",
			     limit.bytes >= NEEDED_BYTES ? BH_CHECK_OK : BH_CHECK_ABSENT,
			     "raise it for runs of more than a few nodes", "%.0f MiB by %.150s",
			     (double)limit.bytes / (1u << 20), limit.path);
	read_number("/proc/sys/vm/overcommit_memory", &overcommit);
	/* A node's RAM is mapped whole and mostly never touched. */
	bh_check_add(checks, "overcommit", overcommit != 2 ? BH_CHECK_OK : BH_CHECK_MISSING,
		     "sysctl vm.overcommit_memory=0: nodes reserve more memory than they use",
		     "vm.overcommit_memory is %ld", overcommit);
	if (read_number("/proc/sys/vm/max_map_count", &maps))
		bh_check_add(checks, "mappings", maps >= 65530 ? BH_CHECK_OK : BH_CHECK_ABSENT,
			     "sysctl vm.max_map_count=65530: runs of many programs need it",
			     "vm.max_map_count is %ld", maps);
}
