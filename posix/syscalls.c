/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which system call is whose. Nearly all are the node kernel's own; those about memory and the
 * thread's registers are ours; what neither can do right is refused with ENOSYS and named in the
 * process's log. Nothing ever reaches the host.
 *
 * Called by entry.S for each system call of a program, on the task's kernel stack.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "posix/internal.h"

/* The last number that this file has looked at (Linux 6.12: mseal). */
#define LAST_CALL 462
/* Numbers in between that x86-64 doesn't use. */
#define FIRST_GAP 335
#define LAST_GAP  423

typedef long (*memory_call)(struct bh_task *task, const struct pt_regs *regs);

/* The thread's segment bases are loaded by us when it returns to its program. */
static long set_base(struct bh_task *task, const struct pt_regs *regs)
{
	uint64_t value = regs->si;
	const struct bh_region *region = bh_regions_at(task->mm, value);

	switch (regs->di) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (value >= 0x7ffffffff000ull)
			return -EPERM;
		*(regs->di == ARCH_SET_FS ? &task->view.fs_base : &task->view.gs_base) = value;
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		if (!region || !(region->prot & PROT_WRITE) || region->end - value < 8)
			return -EFAULT;
		memcpy((void *)value,
		       regs->di == ARCH_GET_FS ? &task->view.fs_base : &task->view.gs_base, 8);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Locking and syncing memory have nothing to do here. */
static long accept(struct bh_task *task, const struct pt_regs *regs)
{
	return 0;
}

static const memory_call memory_calls[LAST_CALL + 1] = {
	[SYS_mmap] = bh_memory_mmap,
	[SYS_munmap] = bh_memory_munmap,
	[SYS_mprotect] = bh_memory_mprotect,
	[SYS_brk] = bh_memory_brk,
	[SYS_mremap] = bh_memory_mremap,
	[SYS_madvise] = bh_memory_madvise,
	[SYS_mincore] = bh_memory_mincore,
	[SYS_shmat] = bh_memory_shmat,
	[SYS_shmdt] = bh_memory_shmdt,
	[SYS_arch_prctl] = set_base,
	[SYS_msync] = accept,
	[SYS_mlock] = accept,
	[SYS_mlock2] = accept,
	[SYS_munlock] = accept,
	[SYS_mlockall] = accept,
	[SYS_munlockall] = accept,
};

/* Calls that the kernel would take for its own but can't do for memory that isn't its own, or that
 * concern the processor of the host. */
static const char *const refused_calls[LAST_CALL + 1] = {
	[SYS_ptrace] = "ptrace",
	[SYS_modify_ldt] = "modify_ldt",
	[SYS_iopl] = "iopl",
	[SYS_ioperm] = "ioperm",
	[SYS_remap_file_pages] = "remap_file_pages",
	[SYS_mbind] = "mbind",
	[SYS_set_mempolicy] = "set_mempolicy",
	[SYS_get_mempolicy] = "get_mempolicy",
	[SYS_migrate_pages] = "migrate_pages",
	[SYS_move_pages] = "move_pages",
	[SYS_vmsplice] = "vmsplice",
	[SYS_perf_event_open] = "perf_event_open",
	[SYS_process_vm_readv] = "process_vm_readv",
	[SYS_process_vm_writev] = "process_vm_writev",
	[SYS_userfaultfd] = "userfaultfd",
	[SYS_pkey_mprotect] = "pkey_mprotect",
	[SYS_pkey_alloc] = "pkey_alloc",
	[SYS_pkey_free] = "pkey_free",
	[425] = "io_uring_setup",
	[426] = "io_uring_enter",
	[427] = "io_uring_register",
	[440] = "process_madvise",
	[447] = "memfd_secret",
	[448] = "process_mrelease",
	[450] = "set_mempolicy_home_node",
	[451] = "cachestat",
	[453] = "map_shadow_stack",
	[462] = "mseal",
};

static int is_known(uint64_t nr)
{
	return nr <= LAST_CALL && (nr < FIRST_GAP || nr > LAST_GAP);
}

/* --- what a call costs --- */

/* Bytes that the call moved, if it is one that moves bytes. */
static uint64_t moved_bytes(const struct pt_regs *regs)
{
	switch (regs->orig_ax) {
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_sendto:
	case SYS_recvfrom:
	case SYS_sendmsg:
	case SYS_recvmsg:
	case SYS_sendfile:
	case SYS_splice:
		return (int64_t)regs->ax > 0 ? regs->ax : 0;
	default:
		return 0;
	}
}

static uint64_t cost_of(const struct bh_posix_costs *costs, uint64_t nr)
{
	switch (nr) {
	case SYS_fork:
	case SYS_vfork:
	case SYS_clone:
	case SYS_clone3:
		return costs->syscall_ns + costs->fork_ns;
	case SYS_execve:
	case SYS_execveat:
		return costs->syscall_ns + costs->exec_ns;
	default:
		return costs->syscall_ns;
	}
}

/* Is it time to sleep? */
BH_NO_FP static inline int must_pay(struct bh_task *task)
{
	uint64_t now = bh_posix_node_clock_ns(task->node);

	if (now != task->instant_ns) {
		task->instant_ns = now;
		if (!task->node->costs.is_model)
			task->debt_ns = 0;
	}
	return task->debt_ns && task->debt_ns >= task->node->costs.slice_ns;
}

static void pay(struct bh_task *task)
{
	bh_posix_node_image(task->node)->sleep(task->debt_ns);
	task->instant_ns = bh_posix_node_clock_ns(task->node);
	task->debt_ns = 0;
}

/* --- dispatching --- */

/* The call, whoever's it is, but not the way back to the program. */
static void do_call(struct bh_task *task, struct pt_regs *regs)
{
	uint64_t nr = regs->orig_ax;

	if (!is_known(nr)) {
		bh_posix_node_log(task->node, "system call %lld refused: ENOSYS", (long long)nr);
		regs->ax = (uint64_t)-ENOSYS;
	} else if (nr == SYS_rseq) {
		/* Every C library tries it, none needs it: not worth a line. */
		regs->ax = (uint64_t)-ENOSYS;
	} else if (memory_calls[nr]) {
		regs->ax = (uint64_t)memory_calls[nr](task, regs);
	} else if (refused_calls[nr]) {
		bh_posix_node_log(task->node, "system call %s refused: ENOSYS", refused_calls[nr]);
		regs->ax = (uint64_t)-ENOSYS;
	} else {
		bh_posix_node_image(task->node)->call(regs);
	}
}

static __attribute__((noinline)) void dispatch_slowly(struct bh_task *task, struct pt_regs *regs)
{
	const struct bh_posix_costs *costs = &task->node->costs;

	if (must_pay(task))
		pay(task);
	task->debt_ns += cost_of(costs, regs->orig_ax);
	if (task->is_traced)
		bh_strace_call(task, regs, 0);
	do_call(task, regs);
	task->debt_ns += moved_bytes(regs) * costs->kilobyte_ns / 1024;
	if (task->is_traced)
		bh_strace_call(task, regs, 1);
	bh_posix_node_image(task->node)->leave(regs);
}

/* Calls that are the kernel's alone. */
BH_NO_FP static inline int is_plain(uint64_t nr)
{
	return nr <= LAST_CALL && (nr < FIRST_GAP || nr > LAST_GAP) && nr != SYS_rseq &&
	       !memory_calls[nr] && !refused_calls[nr];
}

BH_NO_FP void bh_syscall_dispatch(struct bh_task *task, struct pt_regs *regs)
{
	const struct bh_posix_costs *costs = &task->node->costs;

	if (task->is_traced || costs->is_detailed || !is_plain(regs->orig_ax) || must_pay(task)) {
		bh_fp_save();
		dispatch_slowly(task, regs);
		return;
	}
	task->debt_ns += costs->syscall_ns;
	bh_posix_node_image(task->node)->syscall(regs);
}
