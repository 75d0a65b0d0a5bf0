// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks: how one is made, how the CPU goes from one to the next, and the hooks by which the
 * program side (posix/) hears of it. The scheduler itself is generic code.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/string.h>
#include <asm/mmu_context.h>
#include <asm/processor.h>
#include <asm/setup.h>
#include <asm/switch_to.h>

struct task_struct *bh_switch_stacks(unsigned long *sp_ret, unsigned long sp,
				     struct task_struct *prev);
extern char bh_ret_from_fork[];

/* Seven words as switch.S keeps them; bh_task_layout describes them to the host. */
struct switch_frame {
	unsigned long r15, r14, r13, r12, bx, bp, resume;
};

__weak void bh_user_enter(struct pt_regs *regs)
{
	panic("This image has no program support.");
}

__weak void bh_user_switch(struct task_struct *from, struct task_struct *to)
{
}

__weak int bh_user_fork(struct task_struct *to, const struct kernel_clone_args *args)
{
	return 0;
}

__weak void bh_user_release(struct task_struct *task)
{
}

struct task_struct *__switch_to(struct task_struct *prev, struct task_struct *next)
{
	bh_current_task = next;
	if (prev->thread.host || next->thread.host)
		bh_user_switch(prev, next);
	return bh_switch_stacks(&prev->thread.sp, next->thread.sp, prev);
}

/* The generic allocator clears a stack, which would make all of its pages private for nothing. */
unsigned long *arch_alloc_thread_stack_node(struct task_struct *task, int node)
{
	struct page *page = alloc_pages_node(node, GFP_KERNEL, THREAD_SIZE_ORDER);

	return page ? page_address(page) : NULL;
}

void arch_free_thread_stack(struct task_struct *task)
{
	free_pages((unsigned long)task->stack, THREAD_SIZE_ORDER);
	task->stack = NULL;
}

int arch_dup_task_struct(struct task_struct *to, struct task_struct *from)
{
	*to = *from;
	/* The host's record is one task's own; bh_user_fork() makes the new one. */
	to->thread.host = NULL;
	return 0;
}

void arch_release_task_struct(struct task_struct *task)
{
	if (task->thread.host)
		bh_user_release(task);
}

int copy_thread(struct task_struct *task, const struct kernel_clone_args *args)
{
	struct pt_regs *regs = task_pt_regs(task);
	struct switch_frame *frame = (struct switch_frame *)regs - 1;

	*(unsigned long *)(regs + 1) = (unsigned long)&bh_boot->host_sp;
	memset(frame, 0, sizeof(*frame));
	frame->resume = (unsigned long)bh_ret_from_fork;
	task->thread.sp = (unsigned long)frame;
	if (args->fn) {
		memset(regs, 0, sizeof(*regs));
		frame->bx = (unsigned long)args->fn;
		frame->r12 = (unsigned long)args->fn_arg;
		return 0;
	}
	*regs = *current_pt_regs();
	regs->ax = 0;
	if (args->stack)
		regs->sp = args->stack;
	if (args->flags & CLONE_SETTLS)
		task->thread.fs_base = args->tls;
	return bh_user_fork(task, args);
}

void start_thread(struct pt_regs *regs, unsigned long ip, unsigned long sp)
{
	memset(regs, 0, sizeof(*regs));
	regs->ip = ip;
	regs->sp = sp;
	regs->cs = BH_USER_CS;
	regs->ss = BH_USER_DS;
	regs->flags = 0x202; /* interrupts enabled, and the bit that is always 1 */
}

void flush_thread(void)
{
	current->thread.fs_base = 0;
	current->thread.gs_base = 0;
}

unsigned long __get_wchan(struct task_struct *task)
{
	const struct switch_frame *frame = (const void *)task->thread.sp;
	unsigned long bp, lowest = task->thread.sp;
	int depth;

	bp = frame->bp;
	for (depth = 0; depth < 16; depth++) {
		unsigned long pc;

		if (bp < lowest || bp >= (unsigned long)task_pt_regs(task) || (bp & 7))
			break;
		pc = ((unsigned long *)bp)[1];
		if (!in_sched_functions(pc))
			return pc;
		lowest = bp;
		bp = *(unsigned long *)bp;
	}
	return 0;
}

void show_regs(struct pt_regs *regs)
{
	show_regs_print_info(KERN_DEFAULT);
	pr_info("ip %016lx sp %016lx bp %016lx flags %08lx\n", regs->ip, regs->sp, regs->bp,
		regs->flags);
	pr_info("ax %016lx bx %016lx cx %016lx dx %016lx\n", regs->ax, regs->bx, regs->cx,
		regs->dx);
	pr_info("si %016lx di %016lx r8 %016lx r9 %016lx\n", regs->si, regs->di, regs->r8,
		regs->r9);
}
