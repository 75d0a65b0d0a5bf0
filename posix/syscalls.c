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

/* A program that makes calls without end at one virtual instant, waiting for something by asking,
 * must see time pass: after so many calls it sleeps so long. That is 1 us a call. */
#define CALLS_AT_ONE_INSTANT 64
#define CALLS_COST_NS	     64000ull

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
	[SYS_mincore] = "mincore",
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

static void finish(struct bh_task *task, struct pt_regs *regs, long result)
{
	regs->ax = (uint64_t)result;
	bh_posix_node_image(task->node)->leave(regs);
}

static void let_time_pass(struct bh_task *task)
{
	uint64_t now = bh_posix_node_clock_ns(task->node);

	if (now != task->instant_ns) {
		task->instant_ns = now;
		task->calls = 0;
	}
	if (++task->calls <= CALLS_AT_ONE_INSTANT)
		return;
	bh_posix_node_image(task->node)->sleep(CALLS_COST_NS);
	task->instant_ns = bh_posix_node_clock_ns(task->node);
	task->calls = 1;
}

void bh_syscall_dispatch(struct bh_task *task, struct pt_regs *regs)
{
	uint64_t nr = regs->orig_ax;

	let_time_pass(task);
	if (!is_known(nr)) {
		bh_posix_node_log(task->node, "system call %lld refused: ENOSYS", (long long)nr);
		finish(task, regs, -ENOSYS);
		return;
	}
	/* Every C library tries it, none needs it: not worth a line. */
	if (nr == SYS_rseq) {
		finish(task, regs, -ENOSYS);
		return;
	}
	if (memory_calls[nr]) {
		finish(task, regs, memory_calls[nr](task, regs));
		return;
	}
	if (refused_calls[nr]) {
		bh_posix_node_log(task->node, "system call %s refused: ENOSYS", refused_calls[nr]);
		finish(task, regs, -ENOSYS);
		return;
	}
	bh_posix_node_image(task->node)->syscall(regs);
}
