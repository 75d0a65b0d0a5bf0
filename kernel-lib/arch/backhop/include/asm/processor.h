/* SPDX-License-Identifier: GPL-2.0 */
/* A task's saved context and the layout of the address space that programs see. */
#ifndef _ASM_BACKHOP_PROCESSOR_H
#define _ASM_BACKHOP_PROCESSOR_H

#include <asm/page.h>
#include <asm/ptrace.h>
#include <asm/thread_info.h>

#define TASK_SIZE	   0x00007ffffffff000ul
#define TASK_UNMAPPED_BASE 0ul
#define STACK_TOP	   TASK_SIZE
#define STACK_TOP_MAX	   TASK_SIZE

#ifndef __ASSEMBLY__

struct task_struct;

struct thread_struct {
	unsigned long sp;      /* saved stack pointer of a task that isn't running: switch.S */
	void *host;	       /* the host's own record of this task (posix/) */
	unsigned long fs_base; /* of the program; CLONE_SETTLS sets it */
	unsigned long gs_base;
};

#define INIT_THREAD                                                                                \
	{                                                                                          \
		.sp = 0                                                                            \
	}

/*
 * The top of every kernel stack: the registers of the program, then one word that points at
 * bh_boot.host_sp, by which the unwinder finds its way from a task's first frame to the host.
 */
#define BH_STACK_TOP_WORDS 1
#define task_pt_regs(task)                                                                         \
	((struct pt_regs *)((unsigned long *)(task_stack_page(task) + THREAD_SIZE) -               \
			    BH_STACK_TOP_WORDS) -                                                  \
	 1)

#define KSTK_EIP(task) (task_pt_regs(task)->ip)
#define KSTK_ESP(task) (task_pt_regs(task)->sp)

void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp);
unsigned long __get_wchan(struct task_struct *task);

static __always_inline void cpu_relax(void)
{
	barrier();
}

#endif
#endif
