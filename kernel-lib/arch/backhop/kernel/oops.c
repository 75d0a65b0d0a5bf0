// SPDX-License-Identifier: GPL-2.0
/*
 * A fault in kernel code that nothing expected: the oops text in the kernel log, then the end of
 * the task, or of the node. The host's handler of the fault (posix/traps.c) calls bh_oops() on the
 * stack on which the fault happened.
 */
#include <linux/hardirq.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <asm/setup.h>

static void print_cause(int signal, int has_address, unsigned long address)
{
	if ((signal == SIGSEGV || signal == SIGBUS) && has_address && address < PAGE_SIZE)
		pr_alert("BUG: kernel NULL pointer dereference, address: %016lx\n", address);
	else if ((signal == SIGSEGV || signal == SIGBUS) && has_address)
		pr_alert("BUG: unable to handle page fault for address: %016lx\n", address);
	else if (signal == SIGSEGV || signal == SIGBUS)
		pr_alert("BUG: general protection fault, probably for a non-canonical address\n");
	else if (signal == SIGILL)
		pr_alert("BUG: invalid opcode\n");
	else if (signal == SIGFPE)
		pr_alert("BUG: divide error\n");
	else
		pr_alert("BUG: unexpected trap\n");
}

void bh_oops(struct pt_regs *regs, int signal, int has_address, unsigned long address)
{
	static int count;
	static bool is_busy;

	if (is_busy)
		bh_boot->host_ops->halt(bh_boot->host, BH_HALT_PANIC,
					"the kernel faulted while it reported a fault");
	is_busy = true;
	oops_enter();
	console_verbose();
	print_cause(signal, has_address, address);
	pr_emerg("Oops: [#%d]\n", ++count);
	show_regs(regs);
	bh_show_trace(regs, KERN_EMERG);
	pr_emerg("---[ end trace ]---\n");
	add_taint(TAINT_DIE, LOCKDEP_NOW_UNRELIABLE);
	oops_exit();
	is_busy = false;
	if (in_interrupt())
		panic("Fatal exception in interrupt");
	if (panic_on_oops)
		panic("Fatal exception");
	make_task_dead(signal);
}
