/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The door to seccomp: see confine.h. Calls that programs on nodes make never come here: Syscall
 * User Dispatch catches them first. What is filtered are the simulator's own calls, and whatever a
 * hostile program makes of the simulator, in whose address space it runs.
 */
#include "replayer/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* May be called with any arguments: memory, signals of this process, clocks, reading. */
static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(readv),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(access),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(mincore),
	SCMP_SYS(brk),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(sched_yield),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address),
};

/* What a replay never needs and only an attack would try: ends the process. */
static const int deadly[] = {
	SCMP_SYS(execve),     SCMP_SYS(execveat),	  SCMP_SYS(socket),
	SCMP_SYS(socketpair), SCMP_SYS(connect),	  SCMP_SYS(bind),
	SCMP_SYS(ptrace),     SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(bpf),	      SCMP_SYS(io_uring_setup),
};

/* prctl is allowed for what posix/ does to its own thread. */
static const int allowed_prctl[] = {PR_SET_SYSCALL_USER_DISPATCH,
				    PR_SET_TSC,
				    PR_GET_TSC,
				    PR_SET_NAME,
				    PR_SET_PDEATHSIG,
				    PR_SET_DUMPABLE};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int rules_add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && !status; i++)
		status = seccomp_rule_add(filter, action, calls[i], 0);
	return status;
}

static int writes_allow(scmp_filter_ctx filter, int fd)
{
	const int calls[] = {SCMP_SYS(write), SCMP_SYS(writev)};
	int status = 0;

	for (size_t i = 0; i < COUNT(calls) && !status && fd >= 0; i++)
		status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
					  SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)fd, 0));
	return status;
}

static int opens_allow(scmp_filter_ctx filter)
{
	const scmp_datum_t forbidden = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
	int status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, forbidden, O_RDONLY));

	if (status)
		return status;
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
				SCMP_A1(SCMP_CMP_MASKED_EQ, forbidden, O_RDONLY));
}

/* Signals only to this very process and thread, as abort() and raise() send them. A forked
 * checkpoint has another id, and loses this. */
static int signals_allow(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
}

static int fork_allow(scmp_filter_ctx filter)
{
	const int calls[] = {SCMP_SYS(fork),   SCMP_SYS(clone),	  SCMP_SYS(wait4),
			     SCMP_SYS(waitid), SCMP_SYS(getppid), SCMP_SYS(sched_setaffinity)};

	return rules_add(filter, SCMP_ACT_ALLOW, calls, COUNT(calls));
}

static int filter_fill(scmp_filter_ctx filter, const struct bh_confine_config *config)
{
	int status = rules_add(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

	for (size_t i = 0; i < COUNT(allowed_prctl) && !status; i++)
		status = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
					  SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)allowed_prctl[i], 0));
	if (!status)
		status = writes_allow(filter, STDERR_FILENO);
	if (!status && config->result_fd != STDERR_FILENO)
		status = writes_allow(filter, config->result_fd);
	if (!status)
		status = opens_allow(filter);
	if (!status)
		status = signals_allow(filter);
	if (!status && config->allow_fork)
		status = fork_allow(filter);
	if (!status)
		status = rules_add(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	return status;
}

struct bh_error *bh_confine(const struct bh_confine_config *config)
{
	const struct rlimit no_core = {0, 0};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int status = filter ? 0 : -ENOMEM;

	/* Before the filter, which doesn't allow it. */
	if (!status && setrlimit(RLIMIT_CORE, &no_core))
		status = -errno;
	if (filter) {
		if (!status)
			status = filter_fill(filter, config);
		/* seccomp_load() also sets no-new-privs. */
		if (!status)
			status = seccomp_load(filter);
		seccomp_release(filter);
	}
	if (!status)
		return NULL;
	return bh_error_new(
		BH_ERR_MACHINE,
		"cannot confine the replay with seccomp: %s; this machine's kernel must "
		"allow seccomp filters",
		strerror(-status));
}
