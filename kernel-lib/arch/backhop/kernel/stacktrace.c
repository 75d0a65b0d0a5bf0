// SPDX-License-Identifier: GPL-2.0
/* Stack traces in the kernel log, by frame pointers within one kernel stack. */
#include <linux/kallsyms.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <asm/processor.h>
#include <asm/sections.h>
#include <asm/setup.h>

/* Kernel stacks begin in the host's code, whose addresses differ from run to run. */
static bool is_image_code(unsigned long pc)
{
	return pc >= (unsigned long)_stext && pc < (unsigned long)_einittext;
}

void arch_stack_walk(stack_trace_consume_fn consume, void *cookie, struct task_struct *task,
		     struct pt_regs *regs)
{
	unsigned long top, bp;

	if (!task)
		task = current;
	top = (unsigned long)task_stack_page(task) + THREAD_SIZE;
	if (regs) {
		if (!consume(cookie, regs->ip))
			return;
		bp = regs->bp;
	} else if (task == current) {
		bp = (unsigned long)__builtin_frame_address(0);
	} else {
		/* switch.S: six registers, of which rbp is the last, below the resume address. */
		bp = ((unsigned long *)task->thread.sp)[5];
	}
	while (bp >= (unsigned long)task_stack_page(task) && bp + 16 <= top && !(bp & 7)) {
		const unsigned long *frame = (const unsigned long *)bp;

		if (!is_image_code(frame[1]) || !consume(cookie, frame[1]))
			return;
		if (frame[0] <= bp)
			return;
		bp = frame[0];
	}
}

static bool print_frame(void *cookie, unsigned long pc)
{
	const char *level = cookie;

	/* The host finds the function and line of an offset; names cost each node memory. */
	if (IS_ENABLED(CONFIG_KALLSYMS))
		printk("%s [image+0x%lx] %pS\n", level, pc - PAGE_OFFSET, (void *)pc);
	else
		printk("%s [image+0x%lx]\n", level, pc - PAGE_OFFSET);
	return true;
}

void bh_show_trace(struct pt_regs *regs, const char *level)
{
	printk("%sCall trace:\n", level);
	arch_stack_walk(print_frame, (void *)level, current, regs);
}

void show_stack(struct task_struct *task, unsigned long *sp, const char *level)
{
	printk("%sCall trace:\n", level);
	arch_stack_walk(print_frame, (void *)level, task, NULL);
}
