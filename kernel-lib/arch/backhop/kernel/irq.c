// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts and the idle task. A node runs until its idle task gives the CPU back to the host;
 * the host sets bits in bh_boot.pending and resumes it, and the bits are handled here as
 * interrupts. So no kernel code is ever interrupted in the middle.
 */
#include <linux/context_tracking_irq.h>
#include <linux/cpu.h>
#include <linux/hardirq.h>
#include <linux/instruction_pointer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>
#include <linux/version.h>
#include <trace/events/timer.h>
#include <asm/irq_regs.h>
#include <asm/setup.h>

/* What the tick reads as "the interrupted registers": the kernel's. */
static struct pt_regs idle_regs;

void __init init_IRQ(void)
{
	set_irq_regs(&idle_regs);
}

/* Set when a timer of the timer wheel is started: see arch_cpu_idle(). */
static bool timer_started;

static void note_timer(void *unused)
{
	timer_started = true;
}

static int __init note_timers(void)
{
	/* Not by its typed function: the tracepoint's arguments differ between kernel versions. */
	return tracepoint_probe_register(&__tracepoint_timer_start, note_timer, NULL);
}
early_initcall(note_timers);

static unsigned long take_interrupts(struct bh_boot *boot)
{
	unsigned long pending = boot->pending;

	if (!pending) {
		bh_memory_check();
		boot->host_ops->idle(boot->host);
		pending = boot->pending;
	}
	boot->pending = 0;
	/* As the entry of an interrupt does it (kernel/entry/common.c): when idling, lockdep takes
	 * interrupts for enabled and RCU doesn't look. */
	lockdep_hardirqs_off(_THIS_IP_);
	ct_irq_enter();
	irq_enter_rcu();
	if (pending & BH_IRQ_TIMER)
		bh_timer_interrupt();
	if (pending & BH_IRQ_LINK)
		bh_link_interrupt();
	if (pending & BH_IRQ_NET)
		bh_netdev_interrupt();
	if (pending & BH_IRQ_SPAWN)
		bh_spawn_interrupt();
	if (pending & BH_IRQ_TERMINAL)
		bh_terminal_interrupt();
	irq_exit_rcu();
	lockdep_hardirqs_on_prepare();
	ct_irq_exit();
	lockdep_hardirqs_on(_THIS_IP_);
	return pending;
}

/*
 * The generic idle loop computes the next deadline anew after every return from here, which is a
 * good part of the cost of forwarding a packet. Nothing of what it computes changes as long as no
 * timer was started and no task is to run, so then the node idles again right away.
 */
void arch_cpu_idle(void)
{
	unsigned long pending;

	timer_started = false;
	do
		pending = take_interrupts(bh_boot);
	while (pending == BH_IRQ_NET && !timer_started && !need_resched());
	/* Since 6.3 default_idle_call() (kernel/sched/idle.c) does this itself. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
	raw_local_irq_enable();
#endif
}
